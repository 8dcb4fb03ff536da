//! Debouncing: of items that follow each other closely, one is passed on.
//!
//! Items that are no further apart than the quiet time are a burst. [`Edge`] says which of a burst is
//! passed on. The others are *superseded*: they are dropped, and
//! [counted](stream::Debounce::superseded). With a [`max_wait`](stream::DebounceLayer::max_wait) a burst
//! without end shows its latest item from time to time.
//!
//! ```
//! use std::time::Duration;
//! use futures::StreamExt;
//! use ziggurat_patterns::{StreamLayerExt, stream::DebounceLayer, testing::Script, time::TestClock};
//!
//! let (clock, ms) = (TestClock::new(), Duration::from_millis);
//! let keys = Script::new(&clock).item("z").wait(ms(50)).item("zi").wait(ms(500)).item("zig");
//! let layer = DebounceLayer::new(ms(200)).with_timer(clock.clone());
//! let searches = keys.build().0.layer(layer).collect::<Vec<_>>();
//! assert_eq!(clock.block_on(searches), ["zi", "zig"]);
//! ```

pub mod stream;

/// Which item of a burst is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Edge {
    /// The first, at once.
    Leading,
    /// The last, when the burst is over.
    #[default]
    Trailing,
    /// The first at once, and the last when the burst is over, if it is another.
    Both,
}
