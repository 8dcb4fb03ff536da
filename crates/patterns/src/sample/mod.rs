//! Sampling: of the items of each period, the latest is passed on.
//!
//! The others are *superseded*: they are dropped, and [counted](stream::Sample::superseded). The periods
//! follow each other from the first item on, and one without items brings nothing. In place of periods a
//! second stream can say when: [`SampleByLayer`](stream::SampleByLayer).
//!
//! When the source ends, its last item comes at once, in the middle of a period.
//!
//! ```
//! use std::time::Duration;
//! use futures::StreamExt;
//! use ziggurat_patterns::{StreamLayerExt, stream::SampleLayer, testing::Script, time::TestClock};
//!
//! let (clock, ms) = (TestClock::new(), Duration::from_millis);
//! let ticks = Script::new(&clock).items([1, 2]).wait(ms(60)).item(3).wait(ms(60)).items([4, 5]);
//! let layer = SampleLayer::new(ms(100)).with_timer(clock.clone());
//! let samples = ticks.build().0.layer(layer).collect::<Vec<_>>();
//! assert_eq!(clock.block_on(samples), [3, 5]);
//! ```

pub mod stream;

mod by;
