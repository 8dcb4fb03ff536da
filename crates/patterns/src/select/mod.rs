//! Selection: one stream of many, one answer of many services.
//!
//! | what | of | its items or answers |
//! |---|---|---|
//! | [`Merge`], [`merge()`] | any number of streams of one type | all items, as they come |
//! | [`MergeMap`] | the same, under keys | all items with their keys |
//! | [`MergeTuple`] | 2 to 8 streams of different types | all items, as they come |
//! | [`ZipTuple`], [`zip`] | 2 to 8 streams | tuples of one item of each |
//! | [`CombineTuple`] | 2 to 8 streams | tuples of the latest item of each |
//! | [`race`] | streams of one type | those of the stream that has the first item |
//! | [`RaceTuple`] | 2 to 8 streams of different types | those of the stream that has the first item |
//! | [`Switch`] | a stream of streams | those of the latest stream |
//! | [`Steer`] | services of one type | that of the service that a picker chooses |
//! | [`FirstOk`] | services of one type, all at once | the first success |
//! | [`Fallback`] | services of one type, one after the other | the first success |
//!
//! Who is next when several streams have an item is up to a [`Policy`]:
//!
//! | policy | who is next | what a stream that is always ready gets of `n` such |
//! |---|---|---|
//! | [`RoundRobin`] | the next in turn | 1 of every `n` items |
//! | [`Biased`] | the first in order | nothing, if one before it is always ready |
//! | [`Weighted`] | the next in turn that has not had its share | at least its part of all weights |
//! | [`Priority`] | the first class, or one that lost patience | a class: 1 of `patience + classes` |
//! | [`Random`] | any, by chance | 1 of every `n` items, on average |
//!
//! ```
//! use futures::{StreamExt, channel::mpsc, executor::block_on};
//! use ziggurat_patterns::stream::MergeMap;
//!
//! let (mut peers, mut senders) = (MergeMap::new(), Vec::new());
//! for peer in ["ann", "bob"] {
//!     let (sender, receiver) = mpsc::unbounded();
//!     peers.insert(peer, receiver);
//!     senders.push(sender);
//! }
//! senders[1].unbounded_send("hello").unwrap();
//! assert_eq!(block_on(peers.next()), Some(("bob", "hello")));
//! drop(senders);
//! assert_eq!(block_on(peers.next()), None);
//! ```

mod children;
mod combine;
mod error;
mod fallback;
mod first_ok;
mod map;
mod merge;
mod policy;
mod race;
mod race_tuple;
mod steer;
mod switch;
mod tuple;
mod zip;

pub use combine::{
    Combine2, Combine3, Combine4, Combine5, Combine6, Combine7, Combine8, CombineTuple,
};
pub use error::{FirstOkError, NoServices, SteerError};
pub use fallback::{Fallback, FallbackFuture};
pub use first_ok::{FirstOk, FirstOkFuture};
pub use map::{MergeMap, NextManyEntries};
pub use merge::{Merge, NextMany, StreamId, merge};
pub use policy::{
    Biased, Class, Policy, Priority, Random, RoundRobin, TuplePolicy, Weight, Weighted,
};
pub use race::{Race, race};
pub use race_tuple::{Race2, Race3, Race4, Race5, Race6, Race7, Race8, RaceTuple};
pub use steer::{Steer, SteerFuture};
pub use switch::Switch;
pub use tuple::{Merge2, Merge3, Merge4, Merge5, Merge6, Merge7, Merge8, MergeTuple};
pub use zip::{Zip2, Zip3, Zip4, Zip5, Zip6, Zip7, Zip8, ZipTuple, zip};
