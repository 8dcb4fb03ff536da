//! A scripted other side, for tests on machines without a Zig compiler.
//!
//! [`FakeSource`] and [`FakeSink`] stand behind the real C tables. A script says what they answer at
//! each crossing, impossible answers included; they count their calls, and note every call that the
//! ABI forbids: after the end, by two threads at once, or of a state that was released. [`Buffers`]
//! does the same for memory that crosses, [`Task`] for wakers. [`HostUser`] asks a host as the other side
//! does, and a [`coroutine`] is a source that is a closure.
//!
//! ```
//! use std::task::Context;
//! use ziggurat_zig_ffi::testing::{Crossing, FakeSource, Task};
//!
//! let fake = FakeSource::new([Crossing::ready([1_u64, 2]), Crossing::done()]);
//! let mut source = fake.open();
//! let task = Task::new();
//! let (items, _) = fake.poll(&mut source, &mut Context::from_waker(&task.waker()), 8);
//! assert_eq!(items, [1, 2]);
//! drop(source);
//! fake.assert_released();
//! ```

mod buffers;
mod exports;
mod host;
mod sink;
mod source;
mod state;
mod task;

pub use buffers::Buffers;
pub use exports::{Opened, export, exports, sink_export, text, when_opened};
pub use host::{Body, FdUser, HostUser, Lent, TimerUser, coroutine};
pub use sink::{Closing, FakeSink, Taking};
pub use source::{Crossing, FakeSource};
pub use state::{Calls, HeldWaker};
pub use task::Task;
