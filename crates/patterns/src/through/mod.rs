//! A stream of requests through a service: a stream of responses, with a bounded number of calls in
//! flight.
//!
//! [`StreamLayerExt::through`](crate::StreamLayerExt::through) begins it, and
//! [`ordered`](Through::ordered) or [`unordered`](Through::unordered) make the stream.
//!
//! | | responses come | waits for |
//! |---|---|---|
//! | [`Ordered`] | in the order of their requests | the oldest call |
//! | [`Unordered`] | as they finish | the first call that finishes |
//!
//! The service's readiness is asked for *before* an item is taken from the source, so that no request
//! is held that the service does not want yet. At most `concurrency` responses are in flight or
//! finished and not yet taken; nothing else is taken from the source ahead of time. So the end of the
//! source, too, is seen only when the service is ready.
//!
//! # Who drives the calls
//!
//! A future makes progress only when it is polled, and there is no executor here. So it matters what
//! happens while the consumer is busy with a response. There are four ways, from the weakest to the
//! strongest:
//!
//! 1. `while let Some(response) = calls.next().await { work(response).await }`: each poll of the stream
//!    polls all calls that were woken, not only the first. While `work` waits, nothing polls the
//!    stream: the calls stand still, and their timeouts may run out unseen. That is so of every stream,
//!    and of futures' `buffered` too.
//! 2. [`calls.for_each(work)`](Calls::for_each): whenever `work` waits, the calls are driven, and new
//!    ones begin up to the limit. The work on one response is done before that on the next one starts.
//! 3. [`calls.drive_with(future)`](Calls::drive_with): the same for a single future, in a loop of your
//!    own.
//! 4. A service whose calls run on tasks of their own, [`SpawnLayer`](crate::service::SpawnLayer): they
//!    go on even while `work` computes without waiting. That needs an executor, which you pass.
//!
//! In 2 and 3 a `work` that blocks its thread, or computes for long between two waits, holds the calls
//! up for so long.
//!
//! # Cancel safety
//!
//! Dropping the stream drops the calls in flight, which cancels them, and the finished responses.
//! [`into_parts`](Calls::into_parts) gives all of it back: the source, the service, the responses, and
//! the futures in flight, which can be awaited on.
//!
//! ```
//! use std::{convert::Infallible, num::NonZeroUsize};
//! use futures::{TryStreamExt, stream};
//! use ziggurat_patterns::StreamLayerExt;
//!
//! # futures::executor::block_on(async {
//! let double = tower::service_fn(|n: u32| async move { Ok::<_, Infallible>(n * 2) });
//! let at_once = NonZeroUsize::new(16).unwrap();
//! let doubled = stream::iter([1, 2, 3]).through(double).concurrency(at_once).ordered();
//! assert_eq!(doubled.try_collect::<Vec<_>>().await.unwrap(), [2, 4, 6]);
//! # });
//! ```

mod builder;
mod calls;
mod drive;
mod error;
mod fallible;
mod layer;
mod parts;
mod queue;
pub(crate) mod response_stream;
mod slots;
pub(crate) mod spawn;

pub use builder::{Through, ZeroConcurrency};
pub use calls::{Calls, Ordered, Unordered};
pub use drive::{DriveWith, ForEach};
pub use error::ThroughError;
pub use fallible::{FallibleFuture, FallibleService};
pub use layer::ThroughLayer;
pub use parts::{Call, InFlight, Parts};
pub use queue::{AsFinished, InOrder, Order};
pub use spawn::{Spawn, SpawnError};

/// How many polls of calls, and of items taken from the source, one poll of ours makes at most.
const BUDGET: usize = 128;
