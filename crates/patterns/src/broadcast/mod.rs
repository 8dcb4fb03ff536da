//! One stream for several consumers, each of which gets every item.
//!
//! [`tee`] makes two of one. [`Broadcast`] is a handle by which consumers come and go:
//! [`subscribe`](Broadcast::subscribe) is a consumer "from now on".
//!
//! No executor and no task: whichever consumer is polled polls the source, for all of them. What it
//! finds goes into a ring of `capacity` items, and the others are woken. When a wake comes from the
//! source, all that wait are woken, and the first that is polled takes the turn; so nobody depends on a
//! consumer that has gone away or looks elsewhere.
//!
//! What happens when a consumer lags a whole ring behind is for the caller to say:
//!
//! | policy | the laggard | the others | `Item` |
//! |---|---|---|---|
//! | [`Backpressure`] | loses nothing | wait for it | `T` |
//! | [`DropOldest`] | misses the oldest items, and is told how many | never wait | `Result<T, Lagged>` |
//! | [`Disconnect`] | is told so, and ended | never wait | `Result<T, Lagged>` |
//!
//! With [`Backpressure`] two consumers that wait for each other's progress in other ways can lock up:
//! one that is never polled stops them all once the ring is full. Drop consumers that are not needed.
//!
//! `T: Clone`: each consumer but the last one to come gets a clone. Put large items in an `Arc`. Each
//! item costs an allocation, so that it can be cloned outside the lock.
//!
//! ```
//! use std::num::NonZeroUsize;
//! use futures::{StreamExt, future, stream};
//! use ziggurat_patterns::broadcast::tee;
//!
//! # futures::executor::block_on(async {
//! let (left, right) = tee(stream::iter(1..=3), NonZeroUsize::new(8).unwrap());
//! let (left, right): (Vec<_>, Vec<_>) = future::join(left.collect(), right.collect()).await;
//! assert_eq!((left, right), (vec![1, 2, 3], vec![1, 2, 3]));
//! # });
//! ```

mod policy;
mod ring;
mod subscriber;
mod wait_list;

pub use policy::{Backpressure, Disconnect, DropOldest, LagPolicy, Lagged};
pub use subscriber::{Broadcast, BroadcastParts, Subscriber, tee};
pub(crate) use wait_list::WaitList;
