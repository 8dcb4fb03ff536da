//! Time as a value: timers that a layer is given, so that none is wired to a runtime.
//!
//! * [`Timer`] and [`Sleep`] are the contract. A timer is cheap to clone and works anywhere.
//! * [`DefaultTimer`] needs no executor: it works under a bare `block_on` and inside any runtime.
//! * [`TestClock`] is virtual time, for tests that neither sleep nor depend on the machine.
//! * `TokioTimer` (feature `tokio`) obeys tokio's paused clock; `FromHyper` and `ToHyper` (feature
//!   `hyper`) go between this contract and hyper's.
//! * [`ErasedTimer`] is any of them, chosen at run time.
//! * [`Alarm`] is the part that layers are made of: a deadline that costs nothing until something waits
//!   for it.
//!
//! ```
//! use std::time::Duration;
//! use ziggurat_core::time::{TestClock, Timer};
//!
//! async fn lunch(timer: impl Timer) -> &'static str {
//!     timer.sleep(Duration::from_secs(3600)).await;
//!     "fed"
//! }
//!
//! let clock = TestClock::new();
//! assert_eq!(clock.block_on(lunch(clock.clone())), "fed");
//! assert_eq!(clock.elapsed(), Duration::from_secs(3600));
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

mod alarm;
mod default;
mod erased;
#[cfg(feature = "hyper")]
mod hyper;
mod test_clock;
#[cfg(feature = "tokio")]
mod tokio;

pub use alarm::Alarm;
pub use default::{DefaultSleep, DefaultTimer};
pub use erased::{ErasedSleep, ErasedTimer};
#[cfg(feature = "hyper")]
pub use hyper::{FromHyper, FromHyperSleep, ToHyper, ToHyperSleep};
pub use test_clock::{Auto, Deadlock, TestClock, TestSleep};
#[cfg(feature = "tokio")]
pub use tokio::{TokioSleep, TokioTimer};

/// The farthest that a deadline lies ahead: about 30 years. Operating systems' timers and
/// [`Instant`]'s arithmetic take it; [`Duration::MAX`] they don't.
pub const FAR_FUTURE: Duration = Duration::from_secs(86_400 * 365 * 30);

/// A source of time and of sleeps.
///
/// Clones tell the same time. Making a sleep does nothing yet: it is armed by its first poll, and works
/// wherever that happens to be, unless the timer's documentation wants a particular runtime there.
pub trait Timer: Clone + Send + Sync + 'static {
    /// What waits.
    type Sleep: Sleep;

    /// The present, as this timer's sleeps see it: after a sleep until `t` has ended, `now() >= t`.
    fn now(&self) -> Instant;

    /// A future that completes at `deadline`, or at its first poll when that has passed.
    fn sleep_until(&self, deadline: Instant) -> Self::Sleep;

    /// A future that completes after `duration`, counted from this call.
    fn sleep(&self, duration: Duration) -> Self::Sleep {
        self.sleep_until(self.deadline(duration))
    }

    /// The instant `duration` from now; at most [`FAR_FUTURE`] from now, so that it never overflows.
    fn deadline(&self, duration: Duration) -> Instant {
        self.now() + duration.min(FAR_FUTURE)
    }

    /// Nanoseconds since some instant that is fixed for this timer and its clones.
    ///
    /// It measures intervals, as cheaply as the timer can: it never goes back, but it may drift against
    /// [`now`](Self::now) as two crystals do, and should not be converted to an [`Instant`].
    fn nanos(&self) -> u64 {
        static ORIGIN: OnceLock<Instant> = OnceLock::new();
        let now = self.now();
        let origin = *ORIGIN.get_or_init(|| now);
        // Before another timer's origin it stands still at 0, for the first moments of a process.
        u64::try_from(now.saturating_duration_since(origin).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// A future that completes at an instant, and can be set to another.
///
/// Once it has completed, a poll completes again, until it is reset. Dropping it disarms it.
pub trait Sleep: Future<Output = ()> + Send {
    /// Makes it complete at `deadline` instead, whether it has completed or not. Who polled it last is
    /// woken then; a sleep that nobody has polled yet is not armed by this.
    fn reset(self: Pin<&mut Self>, deadline: Instant);
}
