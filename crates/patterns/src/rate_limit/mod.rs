//! Rate limits: so many items, requests or bytes per second.
//!
//! | over | the layer |
//! |---|---|
//! | services | [`service::RateLimitLayer`]; `.weighted(cost)`, `.by_key(key)`, `.enforcing()` |
//! | streams | [`stream::RateLimitLayer`]; `.weighted(cost)`, `.enforcing()` |
//! | sinks | [`sink::RateLimitLayer`]; `.weighted(cost)`, `.enforcing()` |
//! | anything else | [`RateLimiter`] and [`KeyedRateLimiter`] |
//!
//! What finds no room waits, unless it is to be rejected ([`Mode`]): a request by an error, an item by
//! being handed out or back in one. Every item and request costs one cell of the quota, unless it is
//! weighted.
//!
//! A layer, its clones, all that it wraps, and the clones of those share one quota. For separate quotas
//! make separate layers.
//!
//! # How it works
//!
//! The generic cell rate algorithm (ITU-T I.371, the "virtual scheduling" form; also known as the leaky
//! bucket as a meter). Other than with counters that are reset at the start of each period, there is no
//! edge at which twice the burst could pass. All state is one word, so an admission is one reading of
//! the clock and one compare-and-swap. Waiting is first come, first served. It takes a lock, and one
//! timer for the first in line.
//!
//! The arithmetic is our own and not the `governor` crate's: that one rounds its interval down, so it
//! admits more than the quota; its waiting goes by a timer of its own choice and wakes everybody at
//! about the same time, so who comes first is chance; and a heavy request can be overtaken for ever.
//!
//! ```
//! use std::num::NonZeroU32;
//! use futures::{StreamExt, stream};
//! use ziggurat_patterns::{StreamLayerExt, rate_limit::Quota, stream::RateLimitLayer};
//! use ziggurat_patterns::time::TestClock;
//!
//! let clock = TestClock::new();
//! let ten = Quota::per_second(NonZeroU32::new(10).unwrap());
//! let slow = stream::iter(0..30).layer(RateLimitLayer::new(ten).with_timer(clock.clone()));
//! assert_eq!(clock.block_on(slow.count()), 30);
//! assert_eq!(clock.elapsed().as_secs(), 2); // 10 at once, then 20 at 10 per second
//! ```

pub(crate) mod bucket;
mod error;
mod keyed;
mod limiter;
mod meter;
mod quota;
pub mod service;
pub mod sink;
pub mod stream;

pub use error::{RateLimitError, Rejected, TooLarge};
pub use keyed::KeyedRateLimiter;
pub use limiter::{Acquire, RateLimiter, Waiter};
pub use meter::{ByKey, Meter, Weighted};
pub use quota::{Quota, QuotaError};

/// What becomes of something that there is no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// It waits: traffic shaping.
    #[default]
    Shaping,
    /// It is rejected, with the time to wait: traffic policing.
    Enforcing,
}

/// Every item and request costs one cell.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unit;

/// What an item or a request costs, in cells: [`Unit`], or a closure `FnMut(&Item) -> u32`.
pub trait Cost<Item> {
    /// The cost of `item`. It is asked for once per item. No cells are admitted at once.
    fn cost(&mut self, item: &Item) -> u32;
}

impl<Item> Cost<Item> for Unit {
    #[inline]
    fn cost(&mut self, _: &Item) -> u32 {
        1
    }
}

impl<Item, F: FnMut(&Item) -> u32> Cost<Item> for F {
    #[inline]
    fn cost(&mut self, item: &Item) -> u32 {
        self(item)
    }
}
