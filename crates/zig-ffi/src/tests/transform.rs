//! Tables of transforms that are refused.

use std::ptr;

use crate::abi::{Header, RawHandle, TransformVTable, TypeDesc};
use crate::testing::{FakeSink, FakeSource};
use crate::transform::halves;
use crate::{OpenError, RawSink, RawSource};

/// Opens a transform whose table was changed by `spoil`, of items of these types.
fn open(
    spoil: impl FnOnce(&mut TransformVTable),
    (input, output): (TypeDesc, TypeDesc),
) -> Result<(RawSink, RawSource), OpenError> {
    let (sink, source) = (FakeSink::<u64>::new([], []), FakeSource::<u32>::new([]));
    let mut table = TransformVTable {
        header: Header::of::<TransformVTable>(),
        sink: sink.table(),
        source: source.table(),
    };
    spoil(&mut table);
    // No half is called here: what is refused is not, and what is accepted is looked at only.
    let handle = RawHandle { vtable: (&raw const table).cast(), state: ptr::null_mut() };
    // SAFETY: tables of the fakes'.
    unsafe { halves(handle, input, output) }
}

fn error(spoil: impl FnOnce(&mut TransformVTable)) -> OpenError {
    open(spoil, (TypeDesc::of::<u64>(), TypeDesc::of::<u32>())).unwrap_err()
}

#[test]
fn a_table_that_cannot_be_used_is_an_error() {
    assert!(matches!(error(|t| t.header.struct_size -= 1), OpenError::TableSize { .. }));
    assert!(matches!(error(|t| t.header.abi_major += 1), OpenError::AbiVersion { .. }));
    assert_eq!(error(|t| t.sink = ptr::null()), OpenError::Null("sink's table"));
    let handle = RawHandle { vtable: ptr::null(), state: ptr::null_mut() };
    // SAFETY: null is an answer.
    let opened = unsafe { halves(handle, TypeDesc::BYTES, TypeDesc::BYTES) };
    assert_eq!(opened.unwrap_err(), OpenError::Null("transform's table"));
}

#[test]
fn what_goes_in_is_named_as_such() {
    let (input, output) = (TypeDesc::of::<i8>(), TypeDesc::of::<u32>());
    let found = TypeDesc::of::<u64>();
    let opened = open(|_| (), (input, output)).unwrap_err();
    assert_eq!(opened, OpenError::InputType { expected: input, found });
    assert_eq!(opened.to_string(), "what goes in is u64 in Zig, not i8");
}
