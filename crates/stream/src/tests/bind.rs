//! Builders over a library's exports.

use std::path::Path;
use std::sync::OnceLock;

use ziggurat_core::time::TestClock;
use ziggurat_core::{BufferPool, PoolError};
use ziggurat_zig_ffi::abi::{
    self, ErrorRecord, Exports, KIND_UINT, OPTION_SPILL, OPTION_THREAD, TypeDesc,
};
use ziggurat_zig_ffi::testing::{
    FakeSink, FakeSource, Opened, export, exports, sink_export, when_opened,
};
use ziggurat_zig_ffi::{Args, Library};

use crate::host::{DefaultHost, HostRef};
use crate::{
    Argument, Bind, BoundLibrary, OpenError, ZigByteSink, ZigByteStream, ZigSink, ZigStream,
};

const U64: TypeDesc = TypeDesc { kind: KIND_UINT, align: 8, size: 8 };

static ARGS: [TypeDesc; 1] = [TypeDesc::BYTES];
// SAFETY: the table below is constant, and its functions are the scripted ones.
static LIBRARY: BoundLibrary = unsafe { BoundLibrary::new(table) };

fn table() -> *const Exports {
    struct Kept(Exports);
    // SAFETY: the table is constant.
    unsafe impl Send for Kept {}
    // SAFETY: as above.
    unsafe impl Sync for Kept {}
    static TABLE: OnceLock<Kept> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        Kept(exports(vec![
            export("numbers", U64, &[]),
            export("lines", TypeDesc::BYTES, &ARGS),
            sink_export("sum", U64, U64),
            sink_export("hash", TypeDesc::BYTES, U64),
        ]))
    });
    &raw const table.0
}

#[test]
fn a_stream_is_opened_with_its_options() {
    let fake = FakeSource::<u64>::new([]);
    when_opened(abi::READY, fake.handle(), ErrorRecord::EMPTY);
    let builder = ZigStream::<u64>::bind(&LIBRARY, "numbers", Args::new());
    assert!(format!("{builder:?}").contains("numbers"));
    let stream = builder.capacity(5).stack_size(1 << 20).batch(3).open().unwrap();
    let opened = Opened::take();
    assert_eq!((opened.sizes, opened.flags, opened.pool), ((5, 1 << 20), 0, false));
    assert_eq!(fake.calls().crossings, 0, "opening starts nothing");
    drop(stream);
    fake.assert_released();
}

#[test]
fn a_byte_stream_makes_itself_a_pool_that_spills() {
    let fake = FakeSource::bytes([]);
    let lines = || {
        let mut args = Args::new();
        Path::new("/etc/hosts").push_to(&mut args);
        ZigByteStream::bind(&LIBRARY, "lines", args)
    };
    when_opened(abi::READY, fake.handle(), ErrorRecord::EMPTY);
    drop(lines().block_size(100).open().unwrap());
    let opened = Opened::take();
    assert_eq!((opened.flags, opened.pool), (OPTION_SPILL, true));
    assert_eq!(opened.args, [(TypeDesc::BYTES, b"/etc/hosts".to_vec())]);

    when_opened(abi::READY, fake.handle(), ErrorRecord::EMPTY);
    let pool = BufferPool::builder(16).build().unwrap();
    drop(lines().pool(pool).open().unwrap());
    let opened = Opened::take();
    assert_eq!((opened.flags, opened.pool), (0, true), "a pool that is given bounds all there is");
    fake.assert_released();

    let refused = lines().block_size(0).open().map(drop);
    assert_eq!(refused, Err(OpenError::Pool(PoolError::ZeroBlockSize)));
    assert_eq!(Opened::take().count, 0);
}

#[test]
fn sinks_are_opened() {
    let fake = FakeSink::<u64, u64>::new([], []);
    when_opened(abi::READY, fake.handle(), ErrorRecord::EMPTY);
    drop(ZigSink::<u64, u64>::bind(&LIBRARY, "sum", Args::new()).open().unwrap());
    fake.assert_released();
    let fake = FakeSink::<_, u64>::bytes([], []);
    when_opened(abi::READY, fake.handle(), ErrorRecord::EMPTY);
    drop(ZigByteSink::<u64>::bind(&LIBRARY, "hash", Args::new()).open().unwrap());
    fake.assert_released();
}

#[test]
fn each_builder_takes_a_host_or_a_thread() {
    /// Opens in vain, and says with which flags and which host.
    macro_rules! opened {
        ($ty:ty, $name:literal $(.$how:ident($($value:expr)?))*) => {{
            let mut args = Args::new();
            if $name == "lines" {
                "path".push_to(&mut args);
            }
            let builder = <$ty>::bind(&LIBRARY, $name, args);
            assert!(builder$(.$how($($value)?))*.open().is_err(), "nothing was prepared");
            let opened = Opened::take();
            assert_eq!(opened.count, 1);
            (opened.flags & OPTION_THREAD, opened.host.map(|host| host.as_raw().addr()))
        }};
    }
    macro_rules! each {
        ($($ty:ty, $name:literal;)*) => {$(
            let (flag, default) = opened!($ty, $name);
            assert_eq!(flag, 0);
            assert!(default.is_some(), "there is always one");
            assert_eq!(opened!($ty, $name), (0, default), "and it is the same");
            let mine = HostRef::new(DefaultHost::with_timer(TestClock::new()));
            let given = (0, Some(mine.as_raw().addr()));
            assert_eq!(opened!($ty, $name.host(mine.clone())), given);
            assert_ne!(Some(mine.as_raw().addr()), default);
            let (_, other) = opened!($ty, $name.host(DefaultHost::new()));
            assert!(other.is_some() && other != default);
            assert_eq!(opened!($ty, $name.on_thread()), (OPTION_THREAD, None));
            assert_eq!(opened!($ty, $name.host(mine).on_thread()), (OPTION_THREAD, given.1));
        )*};
    }
    each! {
        ZigStream<u64>, "numbers";
        ZigByteStream, "lines";
        ZigSink<u64, u64>, "sum";
        ZigByteSink<u64>, "hash";
    }
}

#[test]
fn nothing_may_be_zero() {
    let numbers = || ZigStream::<u64>::bind(&LIBRARY, "numbers", Args::new());
    assert_eq!(numbers().capacity(0).open().map(drop), Err(OpenError::Zero("capacity")));
    let fake = FakeSource::<u64>::new([]);
    when_opened(abi::READY, fake.handle(), ErrorRecord::EMPTY);
    assert_eq!(numbers().batch(0).open().map(drop), Err(OpenError::Zero("batch")));
    fake.assert_released();
    let fake = FakeSink::<u64, u64>::new([], []);
    when_opened(abi::READY, fake.handle(), ErrorRecord::EMPTY);
    let sum = ZigSink::<u64, u64>::bind(&LIBRARY, "sum", Args::new());
    assert_eq!(sum.batch(0).open().map(drop), Err(OpenError::Zero("batch")));
    fake.assert_released();
}

#[test]
fn mismatches_name_both_sides() {
    let message = |error: OpenError| error.to_string();
    let refused = ZigStream::<f32>::bind(&LIBRARY, "numbers", Args::new()).open().unwrap_err();
    assert_eq!(message(refused), "the items are u64 in Zig, not f32");
    let refused = ZigStream::<u64>::bind(&LIBRARY, "lines", Args::new()).open().unwrap_err();
    assert_eq!(message(refused), "the items are bytes in Zig, not u64");
    let refused = ZigSink::<u64, ()>::bind(&LIBRARY, "sum", Args::new()).open().unwrap_err();
    assert_eq!(message(refused), "the result is u64 in Zig, not void");
    let refused = ZigByteStream::bind(&LIBRARY, "lines", Args::new()).open().unwrap_err();
    assert_eq!(message(refused), "`lines` takes 1 arguments, not 0");
    let refused = ZigByteStream::bind(&LIBRARY, "sum", Args::new()).open().unwrap_err();
    assert_eq!(
        message(refused),
        "no stream named `sum`; the library has: numbers, lines, sum, hash"
    );
}

#[test]
fn a_library_that_cannot_be_used_says_so_each_time() {
    // SAFETY: null is allowed.
    static NULL: BoundLibrary = unsafe { BoundLibrary::new(std::ptr::null) };
    for _ in 0..2 {
        let refused = ZigStream::<u64>::bind(&NULL, "numbers", Args::new()).open().map(drop);
        assert_eq!(refused, Err(OpenError::Null("table of exports")));
    }
}

#[test]
fn arguments_have_the_types_of_their_values() {
    #[derive(Clone, Copy, bytemuck::AnyBitPattern)]
    #[repr(C)]
    struct Point {
        x: f64,
        y: f64,
    }
    let mut args = Args::new();
    1_u8.push_to(&mut args);
    (-1_isize).push_to(&mut args);
    1.5_f32.push_to(&mut args);
    "text".push_to(&mut args);
    b"bytes"[..].push_to(&mut args);
    (&Point { x: 1.0, y: 2.0 }).push_to(&mut args);
    (&[1_u32, 2]).push_to(&mut args);
    static TYPES: OnceLock<Vec<TypeDesc>> = OnceLock::new();
    let types = TYPES.get_or_init(|| {
        vec![
            TypeDesc::of::<u8>(),
            TypeDesc::of::<isize>(),
            TypeDesc::of::<f32>(),
            TypeDesc::BYTES,
            TypeDesc::BYTES,
            TypeDesc::of::<Point>(),
            TypeDesc::of::<[u32; 2]>(),
        ]
    });
    static TABLE: OnceLock<usize> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        let table = Box::leak(Box::new(exports(vec![export("numbers", U64, types)])));
        std::ptr::from_ref(table).expose_provenance()
    });
    // SAFETY: the table was leaked, and all in it is static.
    let library = unsafe { Library::open(std::ptr::with_exposed_provenance(*table)) }.unwrap();
    let refused = library.source("numbers", &mut args, &Default::default(), U64);
    assert!(matches!(refused, Err(OpenError::Failed(_))), "it fits, and nothing was prepared");
    let sizes: Vec<_> = Opened::take().args.iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(sizes, [1, 8, 4, 4, 5, 16, 8]);
}
