//! Model checks of the rings and of what is built on them. They run with `RUSTFLAGS="--cfg
//! ziggurat_loom"`; `LOOM_PREEMPTIONS` is added to their bounds, `LOOM_MODEL` runs those whose name has
//! the word, and `LOOM_LARGE` adds those that take minutes.
#![cfg(ziggurat_loom)]

#[path = "loom/histories.rs"]
mod histories;
#[path = "loom/homes.rs"]
mod homes;
/// For `homes`.
mod layout {
    pub(crate) use ziggurat_channel::layout::SETTLED;
}
#[path = "loom/rows.rs"]
mod rows;
#[path = "../src/sync.rs"]
#[allow(dead_code, unused_imports, reason = "for `homes`")]
mod sync;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};
use std::task::{Context, Poll};

use futures::task::ArcWake;
use loom::future::block_on;
use loom::thread;
use ziggurat_channel::broadcast::{self, Lag};
use ziggurat_channel::{TryRecvError, bounded, oneshot, spsc, unbounded, watch};

#[derive(Default)]
struct Woken(AtomicBool);
impl ArcWake for Woken {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.store(true, StdOrdering::SeqCst);
    }
}

/// A future that is polled by hand, and whether it has been woken.
struct Wait<F: Future> {
    future: Pin<Box<F>>,
    woken: Arc<Woken>,
    output: Option<F::Output>,
}

impl<F: Future> Wait<F> {
    fn new(future: Pin<Box<F>>) -> Self {
        Wait { future, woken: Arc::default(), output: None }
    }

    fn poll(&mut self) {
        let waker = futures::task::waker(self.woken.clone());
        if let Poll::Ready(output) = self.future.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.output = Some(output);
        }
    }

    fn poll_if_woken(&mut self) {
        if self.woken.0.swap(false, StdOrdering::SeqCst) && self.output.is_none() {
            self.poll();
        }
    }
}

/// Runs a model with a bound on preemptions, and prints how many executions were explored.
fn model(name: &str, preemptions: usize, f: impl Fn() + Sync + Send + 'static) {
    if std::env::var("LOOM_MODEL").is_ok_and(|word| !name.contains(&word)) {
        return;
    }
    static EXECUTIONS: StdAtomicUsize = StdAtomicUsize::new(0);
    EXECUTIONS.store(0, StdOrdering::Relaxed);
    let mut builder = loom::model::Builder::new();
    let more = std::env::var("LOOM_PREEMPTIONS").ok().and_then(|n| n.parse().ok());
    builder.preemption_bound = Some(preemptions + more.unwrap_or(0));
    builder.max_branches = 100_000;
    builder.max_duration = None;
    builder.check(move || {
        EXECUTIONS.fetch_add(1, StdOrdering::Relaxed);
        f();
    });
    println!("loom: {name}: {} executions", EXECUTIONS.load(StdOrdering::Relaxed));
}

/// One test, so that the models' counts are not mixed by parallel runs.
#[test]
fn models() {
    many_to_many();
    rows::rows();
    one_to_one();
    homes_of_publishers();
    made_of_locks();
    let is_large = std::env::var_os("LOOM_LARGE").is_some();
    histories::histories(is_large);
    if is_large {
        large();
    }
}

fn many_to_many() {
    model("two senders through one slot", 1, || {
        let (s, r) = bounded(1);
        let other = s.clone();
        let a = thread::spawn(move || block_on(s.send(1)).unwrap());
        let b = thread::spawn(move || block_on(other.send(2)).unwrap());
        let sum = block_on(r.recv()).unwrap() + block_on(r.recv()).unwrap();
        assert_eq!(sum, 3);
        assert!(block_on(r.recv()).is_err());
        a.join().unwrap();
        b.join().unwrap();
    });
    model(
        "two parked receivers, two senders, of which the first may be the last to finish",
        3,
        || {
            let (s, r) = bounded(2);
            let mut waits = [Box::pin(r.recv()), Box::pin(r.recv())].map(Wait::new);
            waits.iter_mut().for_each(Wait::poll);
            let other = s.clone();
            let a = thread::spawn(move || other.try_send(1).unwrap());
            s.try_send(2).unwrap();
            // Only those who were woken are polled, once before the other sender is done and then again.
            waits.iter_mut().for_each(Wait::poll_if_woken);
            a.join().unwrap();
            (0..3).for_each(|_| waits.iter_mut().for_each(Wait::poll_if_woken));
            let received: u32 = waits.iter().map(|wait| wait.output.unwrap().unwrap()).sum();
            assert_eq!(received, 3);
        },
    );
    model("a send that races with close", 3, || {
        let (s, r) = bounded(1);
        let a = thread::spawn(move || s.try_send(1).is_ok());
        r.close();
        let received = block_on(r.recv()).is_ok();
        assert_eq!(a.join().unwrap(), received);
        assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    });
    model("close wakes a parked sender and a parked receiver", 2, || {
        let (s, r) = bounded(1);
        s.try_send(1).unwrap();
        let (empty_s, empty_r) = bounded::<u8>(1);
        let a = thread::spawn(move || block_on(s.send(2)).is_err());
        let b = thread::spawn(move || block_on(empty_r.recv()).is_err());
        r.close();
        drop(empty_s);
        assert!(a.join().unwrap());
        assert!(b.join().unwrap());
    });
    model("a woken receiver that leaves passes the wake on", 1, || {
        let (s, r) = bounded(1);
        let other = r.clone();
        let a = thread::spawn(move || {
            // Polled once and dropped, woken or not.
            let mut recv = Box::pin(other.recv());
            let waker = futures::task::noop_waker();
            let mut cx = std::task::Context::from_waker(&waker);
            match std::future::Future::poll(recv.as_mut(), &mut cx) {
                std::task::Poll::Ready(item) => item.ok(),
                std::task::Poll::Pending => None,
            }
        });
        let b = thread::spawn(move || block_on(r.recv()).ok());
        s.try_send(1).unwrap();
        let early = a.join().unwrap();
        drop(s);
        assert_eq!(early.or(b.join().unwrap()), Some(1));
    });
    model("a batch against a batch", 2, || {
        let (s, r) = bounded(2);
        let a = thread::spawn(move || {
            let mut items: VecDeque<_> = [1, 2, 3].into();
            block_on(s.send_many(&mut items)).unwrap()
        });
        let mut received = Vec::new();
        while block_on(r.recv_many(&mut received, 2)).is_ok() {}
        assert_eq!(received, [1, 2, 3]);
        assert_eq!(a.join().unwrap(), 3);
    });
    model(
        "a batch finds the room that a receive has made, beside another that is not done",
        3,
        || {
            let (s, r) = bounded(2);
            (1..=2).for_each(|i| s.try_send(i).unwrap());
            let other = r.clone();
            let a = thread::spawn(move || other.try_recv().unwrap());
            let mut sum = r.try_recv().unwrap();
            let mut items: VecDeque<_> = [3].into();
            assert_eq!(s.try_send_many(&mut items), Ok(1));
            sum += a.join().unwrap();
            assert_eq!(sum + r.try_recv().unwrap(), 6);
        },
    );
    model("a reservation beside a send", 2, || {
        let (s, r) = bounded(1);
        let other = s.clone();
        let a = thread::spawn(move || block_on(s.reserve()).unwrap().send(1).unwrap());
        let sent = other.try_send(2).is_ok();
        let sum = block_on(r.recv()).unwrap() + if sent { block_on(r.recv()).unwrap() } else { 0 };
        assert_eq!(sum, if sent { 3 } else { 1 });
        a.join().unwrap();
    });
    model("force_send against a receiver", 2, || {
        let (s, r) = bounded(1);
        s.try_send(1).unwrap();
        let a = thread::spawn(move || s.force_send(2).unwrap());
        let first = block_on(r.recv()).unwrap();
        let second = block_on(r.recv()).ok();
        match a.join().unwrap() {
            Some(displaced) => assert_eq!((displaced, first, second), (1, 2, None)),
            None => assert_eq!((first, second), (1, Some(2))),
        }
    });
    model("whoever sees what another has taken sees that it was sent", 3, || {
        let (s, r) = bounded(2);
        let other = r.clone();
        let a = thread::spawn(move || s.try_send(1).map(|()| s));
        let b = thread::spawn(move || other.try_recv().map(|_| other));
        let _ = r.try_recv();
        assert_eq!((r.fault(), r.is_closed()), (None, false));
        let _ends = (a.join().unwrap(), b.join().unwrap());
    });
    model("unbounded, across a segment's end", 1, || {
        let (s, r) = unbounded();
        s.try_send(0).unwrap();
        s.try_send(0).unwrap();
        let other = s.clone();
        let a = thread::spawn(move || s.try_send(1).unwrap());
        let b = thread::spawn(move || other.try_send(2).unwrap());
        let mut sum = 0;
        while let Ok(item) = block_on(r.recv()) {
            sum += item;
        }
        assert_eq!(sum, 3);
        a.join().unwrap();
        b.join().unwrap();
    });
    model("unbounded, a send that races with close", 3, || {
        let (s, r) = unbounded();
        let a = thread::spawn(move || s.try_send(1).is_ok());
        r.close();
        let received = block_on(r.recv()).is_ok();
        assert_eq!(a.join().unwrap(), received);
    });
}

fn one_to_one() {
    model("one-to-one, three items through two slots", 2, || {
        let (mut s, mut r) = spsc::bounded(2);
        let a = thread::spawn(move || (1..=3).for_each(|i| block_on(s.send(i)).unwrap()));
        for i in 1..=3 {
            assert_eq!(block_on(r.recv()), Ok(i));
        }
        assert!(block_on(r.recv()).is_err());
        a.join().unwrap();
    });
    model("one-to-one, a send that races with the receiver's close", 3, || {
        let (mut s, mut r) = spsc::bounded(2);
        let a = thread::spawn(move || {
            let sent = [s.try_send(Box::new(1)).is_ok(), s.try_send(Box::new(2)).is_ok()];
            sent.into_iter().filter(|sent| *sent).count()
        });
        r.close();
        let mut received = 0;
        while r.try_recv().is_ok() {
            received += 1;
        }
        assert_eq!(a.join().unwrap(), received);
    });
    model("one-to-one, a batch that races with the receiver's end", 3, || {
        let (mut s, r) = spsc::bounded(2);
        let a = thread::spawn(move || {
            let mut items: VecDeque<_> = [Box::new(1), Box::new(2)].into();
            let _ = s.try_send_many(&mut items);
        });
        drop(r);
        a.join().unwrap();
    });
    model("one-to-one, the end wakes a parked sender", 2, || {
        let (mut s, r) = spsc::bounded(1);
        s.try_send(1).unwrap();
        let a = thread::spawn(move || block_on(s.send(2)).is_err());
        drop(r);
        assert!(a.join().unwrap());
    });
}

fn homes_of_publishers() {
    model("a publisher moves away from a parker's thread", 3, || homes::moves_away(false));
    model("a publisher moves away from a parker's thread and settles", 3, || {
        homes::moves_away(true);
    });
}

fn made_of_locks() {
    model("oneshot, send against receive", 3, || {
        let (s, r) = oneshot::channel();
        let a = thread::spawn(move || s.send(1).unwrap());
        assert_eq!(block_on(r), Ok(1));
        a.join().unwrap();
    });
    model("oneshot, send against the receiver's end", 3, || {
        let (s, r) = oneshot::channel();
        let a = thread::spawn(move || s.send(Box::new(1)).is_ok());
        drop(r);
        a.join().unwrap();
    });
    model("oneshot, send against close: received, or handed back", 3, || {
        let (s, mut r) = oneshot::channel();
        let a = thread::spawn(move || s.send(1).is_ok());
        r.close();
        let received = r.try_recv().is_ok();
        // An item that came between the two is still there.
        assert_eq!(a.join().unwrap(), received || r.try_recv().is_ok());
    });
    model("oneshot, the receiver's end wakes a sender that waits for it", 3, || {
        let (mut s, r) = oneshot::channel::<u8>();
        let a = thread::spawn(move || block_on(s.closed()));
        drop(r);
        a.join().unwrap();
    });
    model("watch, the last receiver's end wakes a sender, unless another comes", 2, || {
        let (s, r) = watch::channel(0);
        let a = thread::spawn(move || {
            let late = r.clone();
            drop(r);
            drop(late);
        });
        block_on(s.closed());
        assert!(s.is_closed());
        a.join().unwrap();
    });
    model("watch, a value that was waited for is the one that is seen", 2, || {
        let (s, mut r) = watch::channel(0);
        let a =
            thread::spawn(move || (1..=3).for_each(|value| assert!(s.send_replace(value) < value)));
        let seen = block_on(r.wait_for(|value| *value >= 2)).map(|value| *value).unwrap();
        let latest = *r.borrow_and_update();
        assert!(2 <= seen && seen <= latest);
        a.join().unwrap();
        assert_eq!(block_on(r.wait_for(|value| *value == 3)).map(|value| *value), Ok(3));
    });
    model("broadcast, a woken sender that leaves passes the wake on", 2, || {
        let (s, mut r) = broadcast::bounded(1, Lag::Wait);
        s.try_send(1).unwrap();
        let (one, two) = (s.clone(), s);
        // Polled once and dropped, woken or not.
        let a = thread::spawn(move || {
            let mut send = Box::pin(one.send(2));
            let waker = futures::task::noop_waker();
            send.as_mut().poll(&mut Context::from_waker(&waker)).is_ready()
        });
        let b = thread::spawn(move || block_on(two.send(3)).unwrap());
        let mut received = 0;
        while let Ok(item) = block_on(r.recv()) {
            received += item;
        }
        assert_eq!(received, if a.join().unwrap() { 6 } else { 4 });
        b.join().unwrap();
    });
    model("broadcast, the last receiver's end wakes who waits for room and for the end", 2, || {
        let (s, r) = broadcast::bounded(1, Lag::Wait);
        s.try_send(1).unwrap();
        let other = s.clone();
        let a = thread::spawn(move || assert!(block_on(s.send(2)).is_err()));
        let b = thread::spawn(move || block_on(other.closed()));
        drop(r);
        a.join().unwrap();
        b.join().unwrap();
    });
    model("watch, the last value is seen", 2, || {
        let (s, mut r) = watch::channel(0);
        let a = thread::spawn(move || {
            s.send_replace(1);
            s.send_replace(2);
        });
        let mut last = 0;
        while block_on(r.changed()).is_ok() {
            let value = *r.borrow_and_update();
            assert!(value >= last);
            last = value;
        }
        assert_eq!(last, 2);
        a.join().unwrap();
    });
    model("broadcast, the sender waits for the slowest", 1, || {
        let (s, mut a) = broadcast::bounded(1, Lag::Wait);
        let mut b = s.subscribe();
        let sender = thread::spawn(move || (1..=2).for_each(|i| block_on(s.send(i)).unwrap()));
        let other = thread::spawn(move || {
            assert_eq!(block_on(b.recv()), Ok(1));
        });
        assert_eq!(block_on(a.recv()), Ok(1));
        assert_eq!(block_on(a.recv()), Ok(2));
        assert!(block_on(a.recv()).is_err());
        other.join().unwrap();
        sender.join().unwrap();
    });
}

/// A wake that comes to a waiter after it has found what it waited for is another one's.
fn large() {
    model("a parked sender that finds room by itself, and one behind it", 1, || {
        let (s, r) = bounded(1);
        s.try_send(0).unwrap();
        let parked = s.clone();
        let mut wait = Wait::new(Box::pin(async move { parked.send(9).await }));
        wait.poll();
        r.try_recv().unwrap();
        s.try_send(1).unwrap();
        (0..2).for_each(|_| wait.poll());
        let a = thread::spawn(move || block_on(wait.future).unwrap());
        let b = thread::spawn(move || block_on(s.send(2)).unwrap());
        let sum: u32 = (0..3).map(|_| block_on(r.recv()).unwrap()).sum();
        assert_eq!(sum, 12);
        a.join().unwrap();
        b.join().unwrap();
    });
}
