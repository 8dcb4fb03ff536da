//! How long to wait before each retry.

use std::num::NonZeroU64;
use std::time::Duration;

use fastrand::Rng;

/// Makes the delays of one series of retries, for as many series as there are.
///
/// [`Backoff`] is one; so is every `Fn() -> impl Iterator<Item = Duration>`, which is how backoffs from
/// elsewhere are plugged in. A series that ends stops the retries.
///
/// ```
/// use std::time::Duration;
/// use backon::{BackoffBuilder, FibonacciBuilder};
/// use ziggurat_patterns::retry::MakeBackoff;
///
/// let fibonacci = FibonacciBuilder::default().with_max_times(4);
/// let backoff = move || fibonacci.build();
/// assert_eq!(backoff.delays().map(|delay| delay.as_secs()).collect::<Vec<_>>(), [1, 1, 2, 3]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no backoff",
    label = "wanted: a `Backoff`, or a closure that returns an iterator of delays",
    note = "wrap a builder of another crate in a closure: `move || builder.build()`"
)]
pub trait MakeBackoff {
    /// The delays of one series, in their order.
    type Delays: Iterator<Item = Duration>;

    /// A series from its start.
    fn delays(&self) -> Self::Delays;
}

impl<F, I> MakeBackoff for F
where
    F: Fn() -> I,
    I: Iterator<Item = Duration>,
{
    type Delays = I;

    fn delays(&self) -> I {
        self()
    }
}

impl MakeBackoff for Backoff {
    type Delays = Delays;

    fn delays(&self) -> Delays {
        let rng = self.seed.map_or_else(Rng::new, |seed| Rng::with_seed(seed.get()));
        Delays { backoff: *self, next: self.shape.first(), step: 0, rng }
    }
}

/// Retries at once, as [`Backoff::none`] does, and takes no room in each call.
///
/// ```
/// use ziggurat_patterns::retry::{Backoff, MakeBackoff, NoBackoff};
///
/// assert!(NoBackoff.delays().take(3).eq(Backoff::none().delays().take(3)));
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoBackoff;

impl MakeBackoff for NoBackoff {
    type Delays = std::iter::Repeat<Duration>;

    fn delays(&self) -> Self::Delays {
        std::iter::repeat(Duration::ZERO)
    }
}

/// How the delays between retries grow, and how they are spread.
///
/// Delays are counted in nanoseconds, and saturate at `u64::MAX` of them (584 years). They do not end:
/// how often and how long to retry is up to whoever takes them.
///
/// | shape | delays |
/// |---|---|
/// | [`constant`](Self::constant) | `d, d, d, d, …` |
/// | [`linear`](Self::linear) | `d, d + s, d + 2s, …` |
/// | [`exponential`](Self::exponential) | `d, d·f, d·f², …`, where `f` is 2 unless it is set |
/// | [`fibonacci`](Self::fibonacci) | `d, d, 2d, 3d, 5d, …` |
/// | [`decorrelated`](Self::decorrelated) | random between `d` and 3 times the previous one |
///
/// The jitters are those of Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog,
/// 2015), where full jitter is shown to do the least work for a crowd of clients that compete.
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::retry::{Backoff, MakeBackoff};
///
/// let ms = Duration::from_millis;
/// let backoff = Backoff::exponential(ms(50)).with_max(ms(300));
/// assert!(backoff.delays().take(5).eq([ms(50), ms(100), ms(200), ms(300), ms(300)]));
///
/// // Spread over the whole of each delay, the same way in each run of a test.
/// let jittered = backoff.with_full_jitter().with_seed(7);
/// assert!(jittered.delays().take(9).eq(jittered.delays().take(9)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a backoff does nothing by itself"]
pub struct Backoff {
    shape: Shape,
    jitter: Jitter,
    max: u64,
    /// 0 stands for `u64::MAX`. A backoff is copied for each call, so it is small.
    seed: Option<NonZeroU64>,
}

/// Times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shape {
    Linear { first: u64, step: u64 },
    Exponential { first: u64, factor: f64 },
    Fibonacci { unit: u64 },
    Decorrelated { base: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Jitter {
    None,
    Full,
    Equal,
}

/// A factor by which delays cannot grow.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("a backoff cannot grow by the factor {factor}: it must be finite and at least 1")]
pub struct InvalidFactor {
    /// The factor.
    pub factor: f64,
}

impl Backoff {
    /// The same delay each time.
    pub fn constant(delay: Duration) -> Self {
        Self::linear(delay, Duration::ZERO)
    }

    /// No delay.
    pub fn none() -> Self {
        Self::constant(Duration::ZERO)
    }

    /// Delays that grow by `step`.
    pub fn linear(first: Duration, step: Duration) -> Self {
        Self::new(Shape::Linear { first: nanos(first), step: nanos(step) })
    }

    /// Delays that double.
    pub fn exponential(first: Duration) -> Self {
        Self::new(Shape::Exponential { first: nanos(first), factor: 2.0 })
    }

    /// Delays that grow by `factor`.
    ///
    /// # Errors
    ///
    /// [`InvalidFactor`], when it is less than 1 or not finite.
    pub fn exponential_by(first: Duration, factor: f64) -> Result<Self, InvalidFactor> {
        if factor.is_finite() && factor >= 1.0 {
            Ok(Self::new(Shape::Exponential { first: nanos(first), factor }))
        } else {
            Err(InvalidFactor { factor })
        }
    }

    /// Delays that are the sum of the two before: slower than doubling (by 1.618).
    pub fn fibonacci(unit: Duration) -> Self {
        Self::new(Shape::Fibonacci { unit: nanos(unit) })
    }

    /// Decorrelated jitter: each delay is random between `base` and 3 times the previous one.
    pub fn decorrelated(base: Duration) -> Self {
        Self::new(Shape::Decorrelated { base: nanos(base) })
    }

    /// No delay is longer than `max`, jitter included.
    pub fn with_max(mut self, max: Duration) -> Self {
        self.max = nanos(max);
        self
    }

    /// Spreads each delay `d` over `0..=d`.
    pub fn with_full_jitter(mut self) -> Self {
        self.jitter = Jitter::Full;
        self
    }

    /// Spreads each delay `d` over `d/2..=d`.
    pub fn with_equal_jitter(mut self) -> Self {
        self.jitter = Jitter::Equal;
        self
    }

    /// Makes what is random the same in every series. This is for tests: calls that share a seed retry at
    /// the same moments, which is what jitter is there to prevent.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(NonZeroU64::new(seed).unwrap_or(NonZeroU64::MAX));
        self
    }

    fn new(shape: Shape) -> Self {
        Backoff { shape, jitter: Jitter::None, max: u64::MAX, seed: None }
    }
}

impl Shape {
    fn first(self) -> u64 {
        match self {
            Shape::Linear { first, .. } | Shape::Exponential { first, .. } => first,
            Shape::Fibonacci { unit } => unit,
            Shape::Decorrelated { base } => base,
        }
    }
}

/// The delays of a [`Backoff`], without end.
#[derive(Debug, Clone)]
pub struct Delays {
    backoff: Backoff,
    /// The delay that comes next, before jitter; for a decorrelated one, the one that came last.
    next: u64,
    /// Of a Fibonacci sequence: the one before `next`.
    step: u64,
    rng: Rng,
}

impl Iterator for Delays {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let Backoff { shape, jitter, max, .. } = self.backoff;
        let delay = self.next;
        match shape {
            Shape::Linear { step, .. } => self.next = delay.saturating_add(step),
            // Casts of floats saturate.
            Shape::Exponential { factor, .. } => self.next = (delay as f64 * factor).round() as u64,
            Shape::Fibonacci { .. } => {
                self.next = delay.saturating_add(self.step);
                self.step = delay;
            }
            Shape::Decorrelated { base } => {
                self.next = self.rng.u64(base..=delay.saturating_mul(3)).min(max.max(base));
            }
        }
        let delay = if matches!(shape, Shape::Decorrelated { .. }) { self.next } else { delay };
        let delay = delay.min(max);
        let delay = match jitter {
            Jitter::None => delay,
            Jitter::Full => self.rng.u64(0..=delay),
            Jitter::Equal => self.rng.u64(delay / 2..=delay),
        };
        Some(Duration::from_nanos(delay))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
