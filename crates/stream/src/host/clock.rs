//! Instants as nanoseconds, and the system's other clocks.
//!
//! Rust's `Instant` has no number. It is given one by reading it once together with the system's
//! monotonic clock, so that Zig code sees the numbers that it would see on a thread, from every
//! host alike.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ziggurat_core::time::FAR_FUTURE;
use ziggurat_zig_ffi::host::Clock;

/// An instant and its number.
struct Origin {
    instant: Instant,
    nanos: i64,
}

fn origin() -> &'static Origin {
    static ORIGIN: OnceLock<Origin> = OnceLock::new();
    ORIGIN.get_or_init(|| Origin { instant: Instant::now(), nanos: system::monotonic() })
}

/// From `earlier` to `later`; negative if it is the other way round.
pub(super) fn between(earlier: Instant, later: Instant) -> i64 {
    match later.checked_duration_since(earlier) {
        Some(ahead) => nanos(ahead),
        None => -nanos(earlier.saturating_duration_since(later)),
    }
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}

/// The number of an instant, in nanoseconds of [`Clock::Awake`].
pub(super) fn of_instant(instant: Instant) -> i64 {
    let origin = origin();
    origin.nanos.saturating_add(between(origin.instant, instant))
}

/// The instant with a number: exactly, from long ago to the far future, and the nearest there is beyond.
pub(super) fn to_instant(at: i64) -> Instant {
    let origin = origin();
    let ahead = Duration::from_nanos(at.saturating_sub(origin.nanos).unsigned_abs());
    if at >= origin.nanos {
        return origin.instant + ahead.min(FAR_FUTURE);
    }
    origin.instant.checked_sub(ahead).unwrap_or(origin.instant)
}

/// What the system's clock says.
pub(super) fn system(clock: Clock) -> i64 {
    match clock {
        Clock::Real => match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => nanos(since),
            Err(before) => -nanos(before.duration()),
        },
        Clock::Awake => of_instant(Instant::now()),
        Clock::Boot => system::boot(),
    }
}

#[cfg(unix)]
mod system {
    use rustix::time::{ClockId, clock_gettime};

    fn read(clock: ClockId) -> i64 {
        let time = clock_gettime(clock);
        // Where the fields are narrower than on most systems, this widens them.
        #[allow(clippy::useless_conversion)]
        let (seconds, nanos) = (i64::from(time.tv_sec), i64::from(time.tv_nsec));
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    }

    pub(super) fn monotonic() -> i64 {
        read(ClockId::Monotonic)
    }

    pub(super) fn boot() -> i64 {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        return read(ClockId::Boottime);
        #[cfg(not(any(target_os = "linux", target_os = "android")))]
        return monotonic();
    }
}

#[cfg(not(unix))]
mod system {
    use std::time::Instant;

    /// There is no clock with a number of its own: it begins when it is first asked for.
    pub(super) fn monotonic() -> i64 {
        0
    }

    pub(super) fn boot() -> i64 {
        super::of_instant(Instant::now())
    }
}

#[cfg(all(test, not(ziggurat_loom)))]
mod tests {
    use super::*;

    #[test]
    fn instants_and_numbers_are_the_same() {
        let now = Instant::now();
        for offset in [0, 1, 999_999_999, 3_600_000_000_000] {
            let later = now + Duration::from_nanos(offset);
            assert_eq!(of_instant(later) - of_instant(now), offset as i64);
            assert_eq!(to_instant(of_instant(later)), later);
        }
        let earlier = now.checked_sub(Duration::from_nanos(5));
        assert!(earlier.is_none_or(|earlier| to_instant(of_instant(earlier)) == earlier));
    }

    #[test]
    fn impossible_numbers_are_far_away() {
        let now = Instant::now();
        assert!(to_instant(i64::MAX) > now + Duration::from_secs(86_400 * 365 * 29));
        assert!(to_instant(i64::MIN) <= now);
        assert!(to_instant(0) <= now);
        assert_eq!(between(now, now + Duration::from_nanos(3)), 3);
        assert_eq!(between(now + Duration::from_nanos(3), now), -3);
    }

    #[test]
    fn the_numbers_are_the_system_s() {
        let (before, ours, after) =
            (system::monotonic(), system(Clock::Awake), system::monotonic());
        // The two readings of the origin lie some nanoseconds apart.
        let apart = 1_000_000_000;
        assert!(before - apart <= ours && ours <= after + apart, "{before} {ours} {after}");
        assert!(system(Clock::Boot) >= before - apart);
        assert!(system(Clock::Real) > 1_500_000_000_000_000_000);
    }
}
