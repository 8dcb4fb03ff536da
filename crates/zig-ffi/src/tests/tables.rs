//! Tables of sources and sinks that are refused, and tables of the future that are not.

use std::ptr;

use crate::abi::{ABI_MAJOR, RawHandle, SinkVTable, SourceVTable, TypeDesc};
use crate::testing::{Calls, FakeSink, FakeSource};
use crate::{OpenError, RawSink, RawSource};

const U64: TypeDesc = TypeDesc { kind: crate::abi::KIND_UINT, align: 8, size: 8 };

/// Opens a source whose table was changed by `spoil`.
fn source(spoil: impl FnOnce(&mut SourceVTable)) -> Result<(), OpenError> {
    let fake = FakeSource::<u64>::new([]);
    // SAFETY: tables are plain data.
    let mut table = unsafe { ptr::read(fake.table()) };
    spoil(&mut table);
    let handle = RawHandle { vtable: (&raw const table).cast(), ..fake.handle() };
    // SAFETY: a table with the fake's own functions, and its state.
    let opened = unsafe { RawSource::from_raw(handle, U64) };
    if opened.is_err() {
        assert_eq!(fake.calls(), Calls::default(), "a table that is not understood is not called");
        reclaim(fake, handle);
    }
    opened.map(drop)
}

/// Drops the reference that a refused handle still holds.
fn reclaim(fake: FakeSource<u64>, handle: RawHandle) {
    let release = fake.table().release.unwrap();
    // SAFETY: the handle's reference, which nobody took.
    unsafe { release(handle.state) };
    fake.assert_released();
}

/// Opens a sink whose table was changed by `spoil`.
fn sink(spoil: impl FnOnce(&mut SinkVTable)) -> Result<(), OpenError> {
    let fake = FakeSink::<u64, u64>::new([], []);
    // SAFETY: tables are plain data.
    let mut table = unsafe { ptr::read(fake.table()) };
    spoil(&mut table);
    let handle = RawHandle { vtable: (&raw const table).cast(), ..fake.handle() };
    // SAFETY: a table with the fake's own functions, and its state.
    let opened = unsafe { RawSink::from_raw(handle, U64, U64) };
    if opened.is_err() {
        assert_eq!(fake.calls(), Calls::default(), "a table that is not understood is not called");
        let release = fake.table().release.unwrap();
        // SAFETY: the handle's reference, which nobody took.
        unsafe { release(handle.state) };
    }
    let opened = opened.map(drop);
    fake.assert_released();
    opened
}

#[test]
fn a_good_table_is_accepted() {
    assert_eq!(source(|_| ()), Ok(()));
    assert_eq!(sink(|_| ()), Ok(()));
}

#[test]
fn a_null_table_is_refused() {
    let handle = RawHandle { vtable: ptr::null(), state: ptr::null_mut() };
    // SAFETY: null is allowed.
    let source = unsafe { RawSource::from_raw(handle, U64) }.map(drop);
    assert_eq!(source, Err(OpenError::Null("stream's table")));
    // SAFETY: null is allowed.
    let sink = unsafe { RawSink::from_raw(handle, U64, U64) }.map(drop);
    assert_eq!(sink, Err(OpenError::Null("sink's table")));
}

#[test]
fn each_null_function_is_refused_by_name() {
    let null = |what| Err(OpenError::Null(what));
    assert_eq!(source(|t| t.poll_batch = None), null("`poll_batch` function"));
    assert_eq!(source(|t| t.release = None), null("`release` function"));
    assert_eq!(source(|t| t.cancel = None), null("`cancel` function"));
    assert_eq!(source(|t| t.last_error = None), null("`last_error` function"));
    assert_eq!(sink(|t| t.send_batch = None), null("`send_batch` function"));
    assert_eq!(sink(|t| t.poll_close = None), null("`poll_close` function"));
    assert_eq!(sink(|t| t.release = None), null("`release` function"));
    assert_eq!(sink(|t| t.cancel = None), null("`cancel` function"));
    assert_eq!(sink(|t| t.last_error = None), null("`last_error` function"));
    // An owner needs no second reference.
    assert_eq!(source(|t| t.retain = None), Ok(()));
    assert_eq!(sink(|t| t.retain = None), Ok(()));
}

#[test]
fn a_table_that_is_too_short_is_refused() {
    for found in [0, 16, size_of::<SourceVTable>() as u32 - 1] {
        let needed = size_of::<SourceVTable>() as u32;
        let refused = OpenError::TableSize { table: "stream's table", found, needed };
        assert_eq!(source(|t| t.header.struct_size = found), Err(refused));
    }
    for found in [0, 16, size_of::<SinkVTable>() as u32 - 1] {
        let needed = size_of::<SinkVTable>() as u32;
        let refused = OpenError::TableSize { table: "sink's table", found, needed };
        assert_eq!(sink(|t| t.header.struct_size = found), Err(refused));
    }
}

#[test]
fn another_major_version_is_refused_before_anything_else_is_read() {
    for found_major in [0, ABI_MAJOR - 1, ABI_MAJOR + 1, u16::MAX] {
        let refused = Err(OpenError::AbiVersion { found_major, found_minor: 7 });
        let opened = source(|t| {
            (t.header.abi_major, t.header.abi_minor) = (found_major, 7);
            t.header.struct_size = 0;
        });
        assert_eq!(opened, refused);
        let opened = sink(|t| (t.header.abi_major, t.header.abi_minor) = (found_major, 7));
        assert_eq!(opened, refused);
    }
}

#[test]
fn a_newer_minor_version_with_a_longer_table_is_accepted() {
    let opened = source(|t| {
        t.header.abi_minor = u16::MAX;
        t.header.struct_size += 64;
        t.header.features = u64::MAX;
    });
    assert_eq!(opened, Ok(()));
    let opened = sink(|t| {
        t.header.abi_minor = 1;
        t.header.struct_size = u32::MAX;
    });
    assert_eq!(opened, Ok(()));
}

#[test]
fn a_misaligned_table_is_refused() {
    #[repr(C, align(16))]
    struct Shifted<T>([u8; 4], [u8; 256], std::marker::PhantomData<T>);
    fn shifted<T>(table: &T) -> Shifted<T> {
        let mut bytes = Shifted([0; 4], [0; 256], std::marker::PhantomData);
        // SAFETY: a table is readable, and there is room for it.
        unsafe {
            let to = bytes.1.as_mut_ptr();
            ptr::copy_nonoverlapping(ptr::from_ref(table).cast(), to, size_of::<T>());
        }
        bytes
    }
    let (fake_source, fake_sink) = (FakeSource::<u64>::new([]), FakeSink::<u64, u64>::new([], []));
    let bytes = shifted(fake_source.table());
    let handle = RawHandle { vtable: bytes.1.as_ptr().cast(), state: ptr::null_mut() };
    // SAFETY: a readable table; it is not called.
    let source = unsafe { RawSource::from_raw(handle, U64) }.map(drop);
    assert_eq!(source, Err(OpenError::Misaligned("stream's table")));
    let bytes = shifted(fake_sink.table());
    let handle = RawHandle { vtable: bytes.1.as_ptr().cast(), state: ptr::null_mut() };
    // SAFETY: as above.
    let sink = unsafe { RawSink::from_raw(handle, U64, U64) }.map(drop);
    assert_eq!(sink, Err(OpenError::Misaligned("sink's table")));
}

#[test]
fn other_items_and_results_are_refused() {
    let others = [
        TypeDesc { kind: crate::abi::KIND_INT, ..U64 },
        TypeDesc { kind: 77, ..U64 },
        TypeDesc { size: 4, ..U64 },
        TypeDesc { size: u64::MAX, ..U64 },
        TypeDesc { align: 4, ..U64 },
        TypeDesc { align: 0, ..U64 },
        TypeDesc::BYTES,
    ];
    for found in others {
        let item = Err(OpenError::ItemType { expected: U64, found });
        assert_eq!(source(|t| t.item = found), item);
        assert_eq!(sink(|t| t.item = found), item);
        let result = Err(OpenError::ResultType { expected: U64, found });
        assert_eq!(sink(|t| t.result = found), result);
    }
}
