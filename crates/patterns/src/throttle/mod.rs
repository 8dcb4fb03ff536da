//! Throttles: a least distance in time between items. Nothing is dropped.
//!
//! The first item comes at once, each later one no sooner than the distance after the one before it. The
//! source is not polled meanwhile, so that it is held back. For a limit with bursts see
//! [`rate_limit`](crate::rate_limit); to drop what comes too fast see [`sample`](crate::sample) and
//! [`debounce`](crate::debounce).
//!
//! ```
//! use std::time::Duration;
//! use futures::{StreamExt, stream};
//! use ziggurat_patterns::{StreamLayerExt, stream::ThrottleLayer, time::TestClock};
//!
//! let clock = TestClock::new();
//! let layer = ThrottleLayer::new(Duration::from_secs(1)).with_timer(clock.clone());
//! let items = clock.block_on(stream::iter(1..=10).layer(layer).take(4).collect::<Vec<_>>());
//! assert_eq!(items, [1, 2, 3, 4]);
//! assert_eq!(clock.elapsed(), Duration::from_secs(3));
//! ```

pub mod stream;
