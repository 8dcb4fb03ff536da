//! Whether what threads did at the same time is what they could have done one after the other.
//!
//! The algorithm is Wing's and Gong's ("Testing and verifying concurrent objects", 1993) with the memory of
//! Lowe's ("Testing for linearizability", 2017): what has been tried is tried once.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::Hash;
use std::hint;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

/// What one thread saw happen, at some moment between a call and its return.
#[derive(Debug, Clone)]
pub struct Event<S> {
    pub thread: usize,
    pub called: u64,
    pub returned: u64,
    pub step: S,
}

/// An object as it would be with one thread.
pub trait Model: Clone + Eq + Hash {
    type Step: Debug;

    /// What the object is after a step. `None`: it cannot be seen to happen now.
    fn after(&self, step: &Self::Step) -> Option<Self>;
}

/// Whether there is an order of all events, in which none comes before one that had returned when it was
/// called, or before an earlier one of its thread, and the model allows each.
pub fn is_explained<M: Model>(start: &M, events: &[Event<M::Step>]) -> bool {
    assert!(events.len() <= 128, "one bit for each");
    let mut tried = HashSet::new();
    let mut open = vec![(0_u128, start.clone())];
    while let Some((done, state)) = open.pop() {
        if done.count_ones() as usize == events.len() {
            return true;
        }
        if tried.contains(&(done, state.clone())) {
            continue;
        }
        let left = |i: &usize| done & (1 << i) == 0;
        let returned = (0..events.len()).filter(left).map(|i| events[i].returned).min();
        for i in (0..events.len()).filter(left) {
            let later = events[i].called > returned.unwrap_or(u64::MAX);
            let waits = (0..i).filter(left).any(|j| events[j].thread == events[i].thread);
            if !later && !waits {
                open.extend(state.after(&events[i].step).map(|next| (done | 1 << i, next)));
            }
        }
        tried.insert((done, state));
    }
    false
}

/// The diary of one thread.
pub struct Log<'a, S> {
    clock: &'a AtomicU64,
    thread: usize,
    events: Vec<Event<S>>,
}

impl<S> Log<'_, S> {
    /// Calls something, and notes the steps that it was seen to take, in their order.
    pub fn call<R>(&mut self, call: impl FnOnce() -> R, steps: impl FnOnce(R) -> Vec<S>) {
        // SeqCst: if one call returns before another begins, the numbers say so.
        let called = self.clock.fetch_add(1, Ordering::SeqCst);
        let result = call();
        let returned = self.clock.fetch_add(1, Ordering::SeqCst);
        let thread = self.thread;
        let event = |step| Event { thread, called, returned, step };
        self.events.extend(steps(result).into_iter().map(event));
    }
}

/// Runs each part on a thread of its own, all at once, and returns what they noted.
pub fn record<S: Send, F>(parts: Vec<F>) -> Vec<Event<S>>
where
    F: FnOnce(&mut Log<'_, S>) + Send,
{
    let (clock, ready, count) = (&AtomicU64::new(0), &AtomicUsize::new(0), parts.len());
    thread::scope(|scope| {
        let start = |(thread, part): (usize, F)| {
            scope.spawn(move || {
                let mut log = Log { clock, thread, events: Vec::new() };
                ready.fetch_add(1, Ordering::SeqCst);
                while ready.load(Ordering::SeqCst) < count {
                    thread::yield_now();
                }
                part(&mut log);
                log.events
            })
        };
        let running: Vec<_> = parts.into_iter().enumerate().map(start).collect();
        running.into_iter().flat_map(|part| part.join().expect("no panic")).collect()
    })
}

/// Lets others in between.
pub fn pause(length: u8) {
    match length {
        0 => {}
        1..6 => (0..1 << (length * 2)).for_each(|_| hint::spin_loop()),
        _ => thread::yield_now(),
    }
}

/// A history, written down by hand: thread, call, return, step.
pub fn history<S>(events: Vec<(usize, u64, u64, S)>) -> Vec<Event<S>> {
    let event = |(thread, called, returned, step)| Event { thread, called, returned, step };
    events.into_iter().map(event).collect()
}
