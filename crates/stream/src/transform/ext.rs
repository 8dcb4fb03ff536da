//! `stream.through_zig(…)`.

use futures_core::Stream;

use super::{Through, TransformItem, TryThrough, ZigTransform};

/// Streams go through Zig functions.
///
/// ```ignore
/// ziggurat_stream::bind! {
///     library "codecs";
///     /// What a gzip stream holds.
///     pub fn gunzip() -> ZigTransform<[u8], [u8]>;
/// }
///
/// let mut text = chunks.through_zig(gunzip().open()?);
/// while let Some(bytes) = text.try_next().await? {
///     file.write_all(&bytes).await?;
/// }
/// ```
pub trait ThroughZigExt: Stream {
    /// Sends the items through a Zig function, and becomes the stream of what it makes of them.
    ///
    /// An item is pulled from this stream when the function asks for one and has no output left to
    /// be delivered (on a thread: when there is room), and with it at most a batch of those that
    /// are ready at once. The function's end is the stream's end; see [`Through::into_parts`] for
    /// what is left then.
    fn through_zig<T, U>(self, transform: ZigTransform<T, U>) -> Through<Self, T, U>
    where
        Self: Stream<Item = T::Item> + Sized,
        T: ?Sized + TransformItem,
        U: ?Sized + TransformItem,
    {
        Through::new(self, transform)
    }

    /// As [`through_zig`](Self::through_zig), for a stream that may fail: its first error cancels
    /// the function where that asks for more, and is the last item,
    /// [`TransformError::Input`](super::TransformError::Input).
    fn try_through_zig<T, U, E>(self, transform: ZigTransform<T, U>) -> TryThrough<Self, T, U, E>
    where
        Self: Stream<Item = Result<T::Item, E>> + Sized,
        T: ?Sized + TransformItem,
        U: ?Sized + TransformItem,
    {
        TryThrough::new(self, transform)
    }
}

impl<S: Stream + ?Sized> ThroughZigExt for S {}
