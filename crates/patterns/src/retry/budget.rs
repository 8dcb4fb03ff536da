//! A budget of retries: a share of the calls, so that retries cannot become a storm.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ziggurat_core::time::{DefaultTimer, Timer};

use super::tokens::Tokens;

/// What allows retries. [`RetryBudget`] is one; implement it for another.
pub trait Budget: Send + Sync {
    /// Notes a call, which may allow for retries later.
    fn deposit(&self);

    /// Whether there is enough for a retry, which is then taken.
    fn withdraw(&self) -> bool;
}

impl<B: Budget + ?Sized> Budget for Arc<B> {
    fn deposit(&self) {
        (**self).deposit();
    }

    fn withdraw(&self) -> bool {
        (**self).withdraw()
    }
}

/// The parts of its lifetime, one of which is forgotten at a time.
const SLOTS: u32 = 10;

/// What a retry costs; a call then deposits its percentage.
const RETRY: i32 = 100;

/// A share of the calls that may be retried, and so many retries per second in any case.
///
/// Each call deposits; each retry withdraws. Both are forgotten after `ttl`, in steps of a tenth of
/// it. This is the budget of Finagle and of tower (`TpsBudget`), where a limit of attempts alone would
/// multiply the load of a service that is in trouble. Clones share the budget.
///
/// A withdrawal is one compare-and-swap of the balance, so threads that withdraw together cannot take
/// more than there is; there is no lock and no background task.
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::retry::{Budget, RetryBudget};
///
/// // One retry for each five calls of the last ten seconds, and none beyond that.
/// let budget = RetryBudget::new(Duration::from_secs(10), 0, 20).unwrap();
/// (0..9).for_each(|_| budget.deposit());
/// assert!(budget.withdraw());
/// assert!(!budget.withdraw()); // 4 calls are left, which are not enough
/// ```
#[derive(Clone)]
pub struct RetryBudget<T = DefaultTimer> {
    tokens: Arc<Tokens>,
    slot_nanos: u64,
    deposit: i32,
    timer: T,
}

/// A budget that makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBudget {
    /// The lifetime of deposits is not between a second and an hour.
    #[error("the lifetime of deposits must be between 1 s and 1 h, not {0:?}")]
    Ttl(Duration),
    /// More than ten retries for each call.
    #[error("the share of retries must be at most 1000 percent, not {0}")]
    Percent(u32),
}

impl RetryBudget {
    /// Retries of `percent` of the calls of the last `ttl`, and `min_per_second` more.
    ///
    /// # Errors
    ///
    /// [`InvalidBudget`], when `ttl` is not between a second and an hour, or `percent` is over 1000.
    pub fn new(ttl: Duration, min_per_second: u32, percent: u32) -> Result<Self, InvalidBudget> {
        if !(Duration::from_secs(1)..=Duration::from_secs(3600)).contains(&ttl) {
            return Err(InvalidBudget::Ttl(ttl));
        }
        let deposit = match i32::try_from(percent) {
            Ok(deposit) if percent <= 1000 => deposit,
            _ => return Err(InvalidBudget::Percent(percent)),
        };
        let nanos = ttl.as_nanos() as u64;
        // At most 2^32 * 3,600 * 100, far from an overflow.
        let reserve =
            u128::from(min_per_second) * u128::from(nanos) * RETRY as u128 / 1_000_000_000;
        let tokens = Arc::new(Tokens::new(SLOTS as usize, reserve as i64));
        let slot_nanos = nanos / u64::from(SLOTS);
        Ok(RetryBudget { tokens, slot_nanos, deposit, timer: DefaultTimer })
    }
}

impl<T> RetryBudget<T> {
    /// Uses another timer, with the deposits so far forgotten.
    pub fn with_timer<U: Timer>(self, timer: U) -> RetryBudget<U> {
        let tokens = Arc::new(Tokens::new(SLOTS as usize, self.tokens.reserve()));
        RetryBudget { tokens, slot_nanos: self.slot_nanos, deposit: self.deposit, timer }
    }
}

impl<T: Timer> RetryBudget<T> {
    /// How many retries there are at the moment.
    pub fn balance(&self) -> u64 {
        let balance = self.tokens.balance(self.tick());
        u64::try_from(balance / i64::from(RETRY)).unwrap_or(0)
    }

    /// The number of the present slot. It wraps after years.
    fn tick(&self) -> u32 {
        (self.timer.nanos() / self.slot_nanos) as u32
    }
}

impl<T: Timer> Budget for RetryBudget<T> {
    fn deposit(&self) {
        self.tokens.deposit(self.tick(), self.deposit);
    }

    fn withdraw(&self) -> bool {
        self.tokens.withdraw(self.tick(), RETRY)
    }
}

impl<T: Timer> fmt::Debug for RetryBudget<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryBudget")
            .field("balance", &self.balance())
            .field("percent", &self.deposit)
            .finish_non_exhaustive()
    }
}
