//! Deposits and withdrawals that are forgotten after a while, on atomics alone.

use crate::sync::{AtomicI64, AtomicU64, Ordering};

/// A balance, and the slots that say when which part of it is forgotten.
///
/// The balance is what withdrawals are decided on, by compare-and-swap: it is never taken below zero
/// by one. A slot is the sum of what happened in one tick, with the tick's number in the same word, so
/// that it is taken out of the balance exactly once, by whoever replaces it. When nobody is in the
/// middle of something, the balance is the reserve plus the slots.
#[derive(Debug)]
pub struct Tokens {
    balance: AtomicI64,
    slots: Box<[AtomicU64]>,
    reserve: i64,
}

/// A tick in the upper half, an amount in the lower.
#[derive(Clone, Copy)]
struct Slot(u64);

impl Slot {
    fn new(tick: u32, amount: i32) -> Self {
        Slot(u64::from(tick) << 32 | u64::from(amount as u32))
    }

    fn tick(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn amount(self) -> i32 {
        self.0 as u32 as i32
    }
}

// Orderings: each word carries all that is decided on it, and nothing else is published through it. So
// relaxed is enough everywhere; what has to be exact is the read-modify-write itself.
impl Tokens {
    /// `slots` ticks are remembered, the current one among them.
    pub fn new(slots: usize, reserve: i64) -> Self {
        let slots = (0..slots).map(|_| AtomicU64::new(0)).collect();
        Tokens { balance: AtomicI64::new(reserve), slots, reserve }
    }

    pub(super) fn reserve(&self) -> i64 {
        self.reserve
    }

    /// Adds `amount`, until it is forgotten. What a slot has no room for is not added.
    pub fn deposit(&self, tick: u32, amount: i32) {
        let added = self.note(tick, amount);
        self.balance.fetch_add(i64::from(added), Ordering::Relaxed);
    }

    /// Takes `amount`, until that is forgotten; or nothing, if there is not as much.
    pub fn withdraw(&self, tick: u32, amount: i32) -> bool {
        self.forget(tick);
        let cost = i64::from(amount);
        let take = |balance: i64| (balance >= cost).then(|| balance - cost);
        if self.balance.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
            return false;
        }
        let noted = self.note(tick, -amount);
        if noted != -amount {
            // A slot's worth of withdrawals, millions of them: not one more before the next tick. What
            // the slot took stays charged, which is less than one withdrawal.
            self.balance.fetch_add(cost + i64::from(noted), Ordering::Relaxed);
            return false;
        }
        true
    }

    /// What there is.
    pub fn balance(&self, tick: u32) -> i64 {
        self.forget(tick);
        self.balance.load(Ordering::Relaxed)
    }

    /// Adds to the slot of `tick`, in place of what was there before its time. Returns what it had room
    /// for.
    fn note(&self, tick: u32, amount: i32) -> i32 {
        let slot = &self.slots[tick as usize % self.slots.len()];
        let mut old = Slot(slot.load(Ordering::Relaxed));
        loop {
            // A tick that is later than ours: another thread's clock was read after ours. Its slot will
            // do.
            let expired = is_before(old.tick(), tick);
            let (at, sum) = if expired { (tick, 0) } else { (old.tick(), old.amount()) };
            let new = Slot::new(at, sum.saturating_add(amount));
            match slot.compare_exchange_weak(old.0, new.0, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => {
                    if expired {
                        self.balance.fetch_sub(i64::from(old.amount()), Ordering::Relaxed);
                    }
                    return new.amount() - sum;
                }
                Err(now) => old = Slot(now),
            }
        }
    }

    /// Takes out of the balance what is too old.
    fn forget(&self, tick: u32) {
        for slot in &self.slots {
            let old = Slot(slot.load(Ordering::Relaxed));
            let age = tick.wrapping_sub(old.tick());
            let expired = age as usize >= self.slots.len() && is_before(old.tick(), tick);
            if !expired || old.amount() == 0 {
                continue;
            }
            // The same tick with nothing in it. If it fails, somebody else has seen to it.
            let new = Slot::new(old.tick(), 0);
            let (success, failure) = (Ordering::Relaxed, Ordering::Relaxed);
            if slot.compare_exchange(old.0, new.0, success, failure).is_ok() {
                self.balance.fetch_sub(i64::from(old.amount()), Ordering::Relaxed);
            }
        }
    }
}

/// Ticks wrap.
fn is_before(a: u32, b: u32) -> bool {
    (b.wrapping_sub(a) as i32) > 0
}
