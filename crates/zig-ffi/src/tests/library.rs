//! Lists of exports, good and bad, and what opening gives.

use std::ptr;

use super::UNKNOWN;
use crate::abi::{
    self, ABI_MAJOR, ErrorRecord, Export, Exports, KIND_UINT, LAYOUT, OPTION_POISON, OPTION_SPILL,
    OPTION_THREAD, RawHandle, TypeDesc,
};
use crate::testing::{
    FakeSink, FakeSource, Opened, export, exports, sink_export, text, when_opened,
};
use crate::{Args, Library, OpenError, Options, PanicPolicy, ProtocolError};
use ziggurat_core::BufferPool;

const U64: TypeDesc = TypeDesc { kind: KIND_UINT, align: 8, size: 8 };
const VOID: TypeDesc = TypeDesc { kind: abi::KIND_VOID, align: 1, size: 0 };
const NO_HANDLE: RawHandle = RawHandle { vtable: ptr::null(), state: ptr::null_mut() };

/// Checks a list of exports that was changed by `spoil`.
fn open(list: Vec<Export>, spoil: impl FnOnce(&mut Exports)) -> Result<Library, OpenError> {
    let mut table = exports(list);
    spoil(&mut table);
    // The table is leaked with the list: a library lives as long as the program.
    static KEPT: std::sync::Mutex<Vec<Library>> = std::sync::Mutex::new(Vec::new());
    let table = Box::into_raw(Box::new(table));
    // SAFETY: it is never freed if it is accepted.
    let library = unsafe { Library::open(table) };
    match &library {
        Ok(library) => KEPT.lock().unwrap().push(*library),
        // SAFETY: nobody has it.
        Err(_) => drop(unsafe { Box::from_raw(table) }),
    }
    library
}

fn library(list: Vec<Export>) -> Library {
    open(list, |_| ()).unwrap()
}

fn source_of(export: Export, args: &mut Args) -> Result<(), OpenError> {
    library(vec![export]).source("numbers", args, &Options::default(), U64).map(drop)
}

#[test]
fn a_list_that_cannot_be_used_is_refused() {
    // SAFETY: null is allowed.
    let null = unsafe { Library::open(ptr::null()) }.map(drop);
    assert_eq!(null, Err(OpenError::Null("table of exports")));
    let refused = |spoil: fn(&mut Exports)| open(vec![export("a", U64, &[])], spoil).map(drop);
    let needed = size_of::<Exports>() as u32;
    assert_eq!(
        refused(|t| t.header.struct_size -= 1),
        Err(OpenError::TableSize { table: "table of exports", found: needed - 1, needed })
    );
    assert_eq!(
        refused(|t| t.header.abi_major += 1),
        Err(OpenError::AbiVersion { found_major: ABI_MAJOR + 1, found_minor: 0 })
    );
    assert_eq!(refused(|t| t.entries = ptr::null()), Err(OpenError::Null("list of exports")));
    assert_eq!(
        refused(|t| t.entries = t.entries.wrapping_byte_add(1)),
        Err(OpenError::Misaligned("list of exports"))
    );
    assert_eq!(refused(|t| t.layout = ptr::null()), Err(OpenError::Null("layout")));
    assert_eq!(
        refused(|t| t.layout = t.layout.wrapping_byte_add(1)),
        Err(OpenError::Misaligned("layout"))
    );
}

#[test]
fn a_layout_that_differs_is_named() {
    let none = open(vec![], |t| t.layout_count = 0).map(drop);
    let ours = align_of::<abi::Header>() as u32;
    assert_eq!(none, Err(OpenError::Layout { field: "Header (alignment)", ours, theirs: 0 }));
    let short = open(vec![], |t| t.layout_count -= 1).map(drop);
    assert!(matches!(
        short,
        Err(OpenError::Layout { field: "TransformVTable.source", theirs: 0, .. })
    ));
    let mut other = LAYOUT.to_vec();
    other[0] = 1;
    let differs = open(vec![], |t| t.layout = other.as_ptr()).map(drop);
    assert_eq!(differs, Err(OpenError::Layout { field: "Header (alignment)", ours: 8, theirs: 1 }));
    // A newer library may know more structs.
    let longer = [LAYOUT, &[1, 2, 3]].concat().leak();
    assert!(open(vec![], |t| (t.layout, t.layout_count) = (longer.as_ptr(), longer.len())).is_ok());
    assert!(open(vec![], |t| t.layout_count = usize::MAX).is_ok());
}

#[test]
fn a_newer_minor_version_with_a_longer_table_is_accepted() {
    let newer = open(vec![export("a", U64, &[])], |t| {
        t.header.abi_minor = 9;
        t.header.struct_size += 8;
    });
    assert_eq!(newer.unwrap().names().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn names_that_are_null_or_no_text_are_empty() {
    let mut bad = [export("", U64, &[]), export("x", U64, &[]), export("y", U64, &[])];
    bad[1].name = abi::Slice { ptr: ptr::null(), len: usize::MAX };
    bad[2].name = text(b"\xff\xfe");
    let library = library(bad.into_iter().chain([export("good", U64, &[])]).collect());
    assert_eq!(library.names().collect::<Vec<_>>(), ["", "", "", "good"]);
    let missing = library.source("lines", &mut Args::new(), &Options::default(), U64).unwrap_err();
    assert_eq!(missing.to_string(), "no stream named `lines`; the library has: , , , good");
}

#[test]
fn an_empty_library_has_nothing() {
    let library = library(vec![]);
    assert_eq!(library.names().count(), 0);
    let missing = library.sink("s", &mut Args::new(), &Options::default(), U64, VOID).unwrap_err();
    assert_eq!(missing.to_string(), "no sink named `s`; the library has: ");
}

#[test]
fn a_stream_is_no_sink_and_an_unknown_kind_is_neither() {
    let strange = Export { kind: 99, ..export("strange", U64, &[]) };
    let library = library(vec![export("a", U64, &[]), sink_export("b", U64, VOID), strange]);
    let (mut args, options) = (Args::new(), Options::default());
    let unknown = |e| matches!(e, OpenError::UnknownExport { .. });
    assert!(unknown(library.sink("a", &mut args, &options, U64, VOID).unwrap_err()));
    assert!(unknown(library.source("b", &mut args, &options, U64).unwrap_err()));
    assert!(unknown(library.source("strange", &mut args, &options, U64).unwrap_err()));
}

#[test]
fn types_are_compared_before_anything_is_opened() {
    Opened::take();
    let library = library(vec![export("a", U64, &[]), sink_export("b", U64, VOID)]);
    let (mut args, options) = (Args::new(), Options::default());
    let (expected, found) = (TypeDesc::BYTES, U64);
    assert_eq!(
        library.source("a", &mut args, &options, expected).map(drop),
        Err(OpenError::ItemType { expected, found })
    );
    assert_eq!(
        library.sink("b", &mut args, &options, expected, VOID).map(drop),
        Err(OpenError::ItemType { expected, found })
    );
    assert_eq!(
        library.sink("b", &mut args, &options, U64, U64).map(drop),
        Err(OpenError::ResultType { expected: U64, found: VOID })
    );
    assert_eq!(Opened::take().count, 0);
}

#[test]
fn arguments_are_counted_and_compared() {
    Opened::take();
    static TYPES: [TypeDesc; 2] = [TypeDesc::BYTES, U64];
    let mut args = Args::new();
    let counted = |found| Err(OpenError::ArgCount { name: "numbers".into(), expected: 2, found });
    assert_eq!(source_of(export("numbers", U64, &TYPES), &mut args), counted(0));
    args.push_bytes(b"x");
    assert_eq!(source_of(export("numbers", U64, &TYPES), &mut args), counted(1));
    args.push(1_i64);
    let (expected, found) = (U64, TypeDesc::of::<i64>());
    assert_eq!(
        source_of(export("numbers", U64, &TYPES), &mut args),
        Err(OpenError::ArgType { name: "numbers".into(), index: 1, expected, found })
    );
    let null = Export { args: ptr::null(), ..export("numbers", U64, &TYPES) };
    assert_eq!(source_of(null, &mut args), Err(OpenError::Null("list of argument types")));
    let crooked = TYPES.as_ptr().wrapping_byte_add(1);
    let crooked = Export { args: crooked, ..export("numbers", U64, &TYPES) };
    assert_eq!(source_of(crooked, &mut args), Err(OpenError::Misaligned("list of argument types")));
    // Where there are none, the pointer is not looked at.
    let none = Export { args: ptr::without_provenance(1), ..export("numbers", U64, &[]) };
    assert!(matches!(source_of(none, &mut Args::new()), Err(OpenError::Failed(_))));
    assert_eq!(Opened::take().count, 1);
}

#[test]
fn what_opening_answers_is_checked() {
    let numbers = || export("numbers", U64, &[]);
    let failing = ErrorRecord { name: text(b"OutOfMemory"), ..ErrorRecord::EMPTY };
    when_opened(abi::ERROR, NO_HANDLE, failing);
    let Err(OpenError::Failed(failure)) = source_of(numbers(), &mut Args::new()) else {
        panic!("it failed")
    };
    assert_eq!(failure.name(), "OutOfMemory");
    for status in UNKNOWN.into_iter().chain([abi::PENDING, abi::DONE, abi::PANICKED]) {
        when_opened(status, NO_HANDLE, ErrorRecord::EMPTY);
        let unknown = ProtocolError::UnknownStatus(status);
        assert_eq!(source_of(numbers(), &mut Args::new()), Err(OpenError::Protocol(unknown)));
    }
    when_opened(abi::READY, NO_HANDLE, ErrorRecord::EMPTY);
    assert_eq!(source_of(numbers(), &mut Args::new()), Err(OpenError::Null("stream's table")));
    let closed = Export { open: None, ..numbers() };
    assert_eq!(source_of(closed, &mut Args::new()), Err(OpenError::Null("`open` function")));
}

#[test]
fn an_opened_stream_owns_its_handle() {
    let fake = FakeSource::<u64>::new([]);
    when_opened(abi::READY, fake.handle(), ErrorRecord::EMPTY);
    assert_eq!(source_of(export("numbers", U64, &[]), &mut Args::new()), Ok(()));
    assert_eq!((fake.calls().cancels, fake.calls().releases), (1, 1));
    fake.assert_released();

    let fake = FakeSink::<u64, u64>::new([], []);
    when_opened(abi::READY, fake.handle(), ErrorRecord::EMPTY);
    let library = library(vec![sink_export("sum", U64, U64)]);
    let sink = library.sink("sum", &mut Args::new(), &Options::default(), U64, U64).unwrap();
    assert_eq!((sink.item(), sink.result()), (U64, U64));
    drop(sink);
    fake.assert_released();
}

#[test]
fn options_and_arguments_arrive_as_they_were_given() {
    #[repr(C)]
    #[derive(Clone, Copy, bytemuck::AnyBitPattern)]
    struct Padded(u8, u32);

    static TYPES: [TypeDesc; 5] = [
        TypeDesc::BYTES,
        TypeDesc { kind: KIND_UINT, align: 16, size: 16 },
        TypeDesc::BYTES,
        TypeDesc { kind: abi::KIND_STRUCT, align: 2, size: 8 },
        TypeDesc { kind: abi::KIND_VOID, align: 1, size: 0 },
    ];
    let mut args = Args::new();
    args.push_bytes(b"seventeen bytes..");
    args.push(u128::MAX - 5);
    args.push_bytes(b"");
    args.push([1_u16, 2, 3, 4]);
    args.push(());
    // The padding is nobody's business: copies and `Debug` do not look at it.
    let mut padded = Args::new();
    padded.push(Padded(1, 2));
    assert!(!format!("{:?}", padded).is_empty());

    let options = Options {
        capacity: Some(5),
        stack_size: Some(1 << 20),
        pool: Some(BufferPool::builder(16).build().unwrap()),
        spill: true,
        ..Options::default()
    };
    Opened::take();
    let library = library(vec![export("numbers", U64, &TYPES)]);
    assert!(library.source("numbers", &mut args, &options, U64).is_err(), "nothing was prepared");
    let opened = Opened::take();
    assert_eq!((opened.sizes, opened.flags, opened.pool), ((5, 1 << 20), OPTION_SPILL, true));
    assert_eq!(opened.args[0], (TypeDesc::BYTES, b"seventeen bytes..".to_vec()));
    assert_eq!(opened.args[1].1, (u128::MAX - 5).to_ne_bytes());
    assert_eq!(opened.args[2], (TypeDesc::BYTES, vec![]));
    assert_eq!(opened.args[3].1, [1_u16, 2, 3, 4].map(u16::to_ne_bytes).concat());
    assert_eq!(opened.args[4].1, []);

    assert!(library.source("numbers", &mut args, &Options::default(), U64).is_err());
    let opened = Opened::take();
    assert_eq!((opened.sizes, opened.flags, opened.pool), ((0, 0), 0, false));
    assert!(opened.host.is_none());

    let options = Options { thread: true, ..Options::default() };
    assert!(library.source("numbers", &mut args, &options, U64).is_err());
    assert_eq!(Opened::take().flags, OPTION_THREAD);

    let options = Options { on_panic: PanicPolicy::Poison, ..Options::default() };
    assert!(library.source("numbers", &mut args, &options, U64).is_err());
    assert_eq!(Opened::take().flags, OPTION_POISON);
}

#[test]
fn a_policy_that_cannot_be_kept_is_refused_by_either_side() {
    let library = library(vec![export("numbers", U64, &[])]);
    let open = |options: Options| library.source("numbers", &mut Args::new(), &options, U64);
    let poison = || Options { on_panic: PanicPolicy::Poison, ..Options::default() };
    let refusal = |domain, name| {
        let name = text(name);
        when_opened(abi::ERROR, NO_HANDLE, ErrorRecord { domain, name, ..ErrorRecord::EMPTY });
    };
    let unsupported = OpenError::PoisonUnsupported { name: "numbers".into() };

    Opened::take();
    assert_eq!(open(Options { thread: true, ..poison() }).unwrap_err(), unsupported);
    assert_eq!(Opened::take().count, 0, "nobody was asked");

    refusal(abi::DOMAIN_RUNTIME, b"PoisonUnsupported");
    assert_eq!(open(poison()).unwrap_err(), unsupported);
    // Anything else is what it is.
    refusal(abi::DOMAIN_RUNTIME, b"OutOfMemory");
    assert!(matches!(open(poison()), Err(OpenError::Failed(_))));
    refusal(abi::DOMAIN_FUNCTION, b"PoisonUnsupported");
    assert!(matches!(open(poison()), Err(OpenError::Failed(_))));
    refusal(abi::DOMAIN_RUNTIME, b"PoisonUnsupported");
    assert!(matches!(open(Options::default()), Err(OpenError::Failed(_))));
}
