//! Every execution of small programs is what one thread could have done.
//!
//! Twice: with a clock, so that the order must respect which call returned before which
//! (linearizability); and without, so that nothing but the channel itself orders the threads' memory
//! (sequential consistency).

#[path = "../histories/checker.rs"]
#[allow(dead_code, reason = "its threads are not loom's")]
mod checker;
#[path = "../histories/queue_model.rs"]
#[allow(dead_code, reason = "not all of the operations are used here")]
mod queue_model;

use std::fmt::Write;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use ziggurat_channel::{
    Receiver, Sender, TryRecvError, TrySendError, bounded, growable_with_capacity, spsc, unbounded,
};

use self::checker::{Event, is_explained};
use self::queue_model::{Queue, Step};

/// What a thread does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Send,
    Recv,
    Force,
    Close,
}

use Act::{Close, Force, Recv, Send};

/// What each of two threads does.
type Program = [[Act; 2]; 2];

/// Those with which something has to be decided: who is first, and what the other sees.
const SMALL: [Program; 8] = [
    [[Send, Recv], [Recv, Recv]],
    [[Send, Send], [Recv, Recv]],
    [[Send, Recv], [Send, Recv]],
    [[Send, Close], [Recv, Recv]],
    [[Send, Close], [Send, Recv]],
    [[Close, Recv], [Send, Recv]],
    [[Force, Force], [Recv, Recv]],
    [[Force, Close], [Send, Recv]],
];

/// All there are, without those that are the same with the threads exchanged.
fn large() -> Vec<Program> {
    const ACTS: [Act; 4] = [Send, Recv, Force, Close];
    let pairs: Vec<_> = ACTS.into_iter().flat_map(|a| ACTS.map(|b| [a, b])).collect();
    let programs = (0..pairs.len()).flat_map(|i| (0..=i).map(move |j| (i, j)));
    programs.map(|(i, j)| [pairs[i], pairs[j]]).collect()
}

/// The diary of a thread.
struct Log {
    clock: Option<Arc<AtomicU64>>,
    thread: usize,
    events: Vec<Event<Step>>,
}

impl Log {
    fn now(&self, otherwise: u64) -> u64 {
        self.clock.as_ref().map_or(otherwise, |clock| clock.fetch_add(1, Ordering::SeqCst))
    }

    fn call(&mut self, call: impl FnOnce() -> Vec<Step>) {
        let called = self.now(0);
        let steps = call();
        let returned = self.now(u64::MAX);
        let thread = self.thread;
        self.events.extend(steps.into_iter().map(|step| Event { thread, called, returned, step }));
    }
}

fn sent(item: u64, sent: Result<(), TrySendError<u64>>) -> Step {
    match sent {
        Ok(()) => Step::Sent(item),
        Err(TrySendError::Full(_)) => Step::Full,
        Err(TrySendError::Closed(_)) => Step::SendClosed,
    }
}

fn received(received: Result<u64, TryRecvError>) -> Step {
    match received {
        Ok(item) => Step::Received(item),
        Err(TryRecvError::Empty) => Step::Empty,
        Err(TryRecvError::Closed) => Step::RecvClosed,
    }
}

fn play(acts: [Act; 2], s: &Sender<u64>, r: &Receiver<u64>, log: &mut Log) {
    for (act, item) in acts.into_iter().zip(log.thread as u64 * 10..) {
        log.call(|| match act {
            Send => vec![sent(item, s.try_send(item))],
            Recv => vec![received(r.try_recv())],
            Force => match s.force_send(item) {
                Ok(displaced) => vec![Step::Forcing(item), Step::Displaced(displaced)],
                Err(_) => vec![Step::SendClosed],
            },
            Close => vec![Step::Closed(s.close())],
        });
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Bounded(usize),
    Unbounded,
    /// A row whose first ring has room for one.
    Growable,
}

/// One execution.
fn check(kind: Kind, programs: Program, timed: bool) {
    let ((s, r), capacity) = match kind {
        Kind::Bounded(capacity) => (bounded(capacity), Some(capacity)),
        Kind::Unbounded => (unbounded(), None),
        Kind::Growable => (growable_with_capacity(1), None),
    };
    let clock = timed.then(|| Arc::new(AtomicU64::new(0)));
    let log = |thread| Log { clock: clock.clone(), thread, events: Vec::new() };
    let (mut log, mut others) = (log(0), log(1));
    let (other_s, other_r) = (s.clone(), r.clone());
    let other = thread::spawn(move || {
        play(programs[1], &other_s, &other_r, &mut others);
        (others.events, other_s, other_r)
    });
    play(programs[0], &s, &r, &mut log);
    let (events, _s, _r) = other.join().unwrap();
    log.events.extend(events);
    // The ends go when all is done.
    explain(&Queue::new(capacity, 2, 2), &log.events);
}

/// One execution, with the threads at the two ends.
fn check_one_to_one(capacity: usize, programs: Program, timed: bool) {
    let (mut s, mut r) = spsc::bounded(capacity);
    let clock = timed.then(|| Arc::new(AtomicU64::new(0)));
    let log = |thread| Log { clock: clock.clone(), thread, events: Vec::new() };
    let (mut log, mut others) = (log(0), log(1));
    let other = thread::spawn(move || {
        for act in programs[1] {
            others.call(|| match act {
                Close => vec![Step::Closed(r.close())],
                _ => vec![received(r.try_recv())],
            });
        }
        (others.events, r)
    });
    for (act, item) in programs[0].into_iter().zip(0..) {
        log.call(|| match act {
            Close => vec![Step::Closed(s.close())],
            _ => vec![sent(item, s.try_send(item))],
        });
    }
    let (events, _r) = other.join().unwrap();
    log.events.extend(events);
    explain(&Queue::one_to_one(capacity), &log.events);
}

fn explain(model: &Queue, events: &[Event<Step>]) {
    let explained = is_explained(model, events);
    assert!(explained, "no order explains {events:#?}");
}

fn name(kind: &str, programs: Program) -> String {
    let mut name = format!("histories of {kind}:");
    for acts in programs {
        let _ = write!(name, " {:?}+{:?}", acts[0], acts[1]);
    }
    name
}

/// The few, or all of them.
pub fn histories(all: bool) {
    let programs = if all { large() } else { SMALL.to_vec() };
    for timed in [true, false] {
        let how = if timed { "a queue" } else { "a queue, without a clock" };
        for &program in &programs {
            for kind in [Kind::Bounded(1), Kind::Bounded(2), Kind::Unbounded, Kind::Growable] {
                let name = name(&format!("{how}, {kind:?}"), program);
                super::model(&name, 2, move || check(kind, program, timed));
            }
        }
        for program in [[[Send, Send], [Recv, Recv]], [[Send, Close], [Recv, Recv]]]
            .into_iter()
            .chain([[[Send, Send], [Recv, Close]], [[Send, Close], [Close, Recv]]])
            .chain([[[Close, Send], [Recv, Recv]], [[Close, Send], [Recv, Close]]])
        {
            for capacity in [1, 2] {
                let name = name(&format!("{how}, one to one, room for {capacity}"), program);
                super::model(&name, 3, move || check_one_to_one(capacity, program, timed));
            }
        }
    }
}
