//! Streams that are made again when they fail.

use std::future::Future;

use futures_core::TryStream;
use ziggurat_core::time::DefaultTimer;

pub use super::restart::{Restart, RestartParts};
use super::{AnyError, Backoff, Connect, Make, MakeBackoff, Positioned};

/// A stream that is made by `make`, and made again, after a delay of `backoff`, when it fails.
///
/// ```
/// use std::{io, time::Duration};
/// use futures::{TryStreamExt, stream};
/// use ziggurat_patterns::{retry::Backoff, stream::restart_with_backoff};
///
/// # futures::executor::block_on(async {
/// let mut broken = true;
/// let lines = restart_with_backoff(
///     || {
///         let end = std::mem::take(&mut broken).then(|| Err(io::Error::other("reset")));
///         stream::iter([Ok("one"), Ok("two")].into_iter().chain(end))
///     },
///     Backoff::constant(Duration::from_millis(1)),
/// );
/// // It begins anew: to go on where it was, there is `resume_from`.
/// assert_eq!(lines.try_collect::<Vec<_>>().await.unwrap(), ["one", "two", "one", "two"]);
/// # });
/// ```
pub fn restart_with_backoff<F, S, B>(make: F, backoff: B) -> Restart<Make<F>, B>
where
    F: FnMut() -> S,
    S: TryStream,
    B: MakeBackoff,
{
    Restart::from_maker(Make(make), backoff)
}

/// As [`restart_with_backoff`], with a `connect` that takes time and may itself fail.
///
/// ```
/// use std::{io, time::Duration};
/// use futures::{TryStreamExt, stream};
/// use ziggurat_patterns::{retry::Backoff, stream::reconnect_with_backoff};
///
/// # futures::executor::block_on(async {
/// let mut refusals = 2;
/// let lines = reconnect_with_backoff(
///     || {
///         refusals -= 1;
///         let refused = refusals >= 0;
///         async move {
///             if refused {
///                 return Err(io::Error::from(io::ErrorKind::ConnectionRefused));
///             }
///             Ok(stream::iter([Ok("one"), Ok("two")]))
///         }
///     },
///     Backoff::constant(Duration::from_millis(1)),
/// );
/// assert_eq!(lines.try_collect::<Vec<_>>().await.unwrap(), ["one", "two"]);
/// # });
/// ```
pub fn reconnect_with_backoff<F, R, S, B>(connect: F, backoff: B) -> Restart<Connect<F>, B>
where
    F: FnMut() -> R,
    R: Future<Output = Result<S, S::Error>>,
    S: TryStream,
    B: MakeBackoff,
{
    Restart::from_maker(Connect(connect), backoff)
}

/// A stream that goes on where it was when it fails: `make` makes it from a position on, and `after`
/// tells the position after an item.
///
/// Every item is handed out once, as long as positions are exact: the position moves in the same poll
/// that hands the item out. There is no delay and there are 3 retries until [`backoff`](Restart::backoff)
/// and its kin say otherwise.
///
/// ```
/// use std::{io, time::Duration};
/// use futures::{TryStreamExt, stream};
/// use ziggurat_patterns::{retry::Backoff, stream::resume_from};
///
/// # futures::executor::block_on(async {
/// // A source that breaks down after each item.
/// let from = |offset: u64| {
///     let more = (offset < 4).then(|| [Ok(offset), Err(io::Error::other("reset"))]);
///     stream::iter(more.into_iter().flatten())
/// };
/// let items = resume_from(0, from, |item| item + 1)
///     .backoff(Backoff::fibonacci(Duration::from_millis(1)));
/// assert_eq!(items.try_collect::<Vec<_>>().await.unwrap(), [0, 1, 2, 3]);
/// # });
/// ```
pub fn resume_from<P, F, S, A>(position: P, make: F, after: A) -> Resume<P, Make<F>, A>
where
    P: Clone,
    F: FnMut(P) -> S,
    S: TryStream,
    A: FnMut(&S::Ok) -> P,
{
    Restart::from_maker(Positioned { position, make: Make(make), after }, Backoff::none())
}

/// As [`resume_from`], with a `connect` that takes time and may itself fail.
///
/// ```
/// use std::io;
/// use futures::{TryStreamExt, stream};
/// use ziggurat_patterns::stream::reconnect_from;
///
/// # futures::executor::block_on(async {
/// let connect = |offset: u64| async move {
///     let more = (offset < 3).then(|| [Ok(offset), Err(io::Error::other("reset"))]);
///     Ok(stream::iter(more.into_iter().flatten()))
/// };
/// let items = reconnect_from(0, connect, |item| item + 1);
/// assert_eq!(items.try_collect::<Vec<_>>().await.unwrap(), [0, 1, 2]);
/// # });
/// ```
pub fn reconnect_from<P, F, R, S, A>(position: P, connect: F, after: A) -> Resume<P, Connect<F>, A>
where
    P: Clone,
    F: FnMut(P) -> R,
    R: Future<Output = Result<S, S::Error>>,
    S: TryStream,
    A: FnMut(&S::Ok) -> P,
{
    Restart::from_maker(Positioned { position, make: Connect(connect), after }, Backoff::none())
}

/// A [`Restart`] that remembers where it is. Made by [`resume_from`] and [`reconnect_from`].
pub type Resume<P, F, A, B = Backoff, Q = AnyError, T = DefaultTimer> =
    Restart<Positioned<P, F, A>, B, Q, T>;
