//! The two halves of a transform's handle.

use crate::abi::{RawHandle, TransformVTable, TypeDesc};
use crate::error::OpenError;
use crate::source::checked_table;
use crate::{RawSink, RawSource};

/// Takes ownership of a transform's handle, after checking its tables: what takes the input, and what
/// delivers the output.
///
/// On an error the state's references are not released: a table that is not understood is not called.
///
/// # Errors
///
/// [`OpenError`] when one of the tables cannot be used, or carries other items.
///
/// # Safety
///
/// As for [`RawSource::from_raw`], with a [`TransformVTable`], both of whose tables are as [`RawSink`]
/// and [`RawSource`] want them.
pub(crate) unsafe fn halves(
    handle: RawHandle,
    input: TypeDesc,
    output: TypeDesc,
) -> Result<(RawSink, RawSource), OpenError> {
    // SAFETY: passed on.
    let table: &TransformVTable =
        unsafe { checked_table(handle.vtable.cast(), "transform's table") }?;
    let half = |vtable| RawHandle { vtable, state: handle.state };
    // SAFETY: the handle owns a reference for each half; the rest is passed on.
    unsafe {
        let sink = RawSink::from_raw(half(table.sink.cast()), input, TypeDesc::of::<()>())
            .map_err(as_input)?;
        // The sink's reference is released with it, if the source is refused.
        let source = RawSource::from_raw(half(table.source.cast()), output)?;
        Ok((sink, source))
    }
}

/// For a transform, the sink's items are the input.
fn as_input(error: OpenError) -> OpenError {
    match error {
        OpenError::ItemType { expected, found } => OpenError::InputType { expected, found },
        other => other,
    }
}
