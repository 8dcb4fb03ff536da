//! The halves of a buffer, and the handles and the worker of a service's, in all interleavings.

use std::future::Future;
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::future::{Ready, ready};
use futures::{FutureExt, StreamExt, stream};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use tower::{ServiceExt, service_fn};
use ziggurat_patterns::buffer::{Overflow, pair};
use ziggurat_patterns::service::Buffer;

use super::model;

/// A task that sleeps until it is woken, on what loom can follow. It never polls without a wake, so
/// that a lost one is a deadlock.
struct Task {
    woken: Mutex<bool>,
    wakes: Condvar,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        *self.woken.lock().unwrap() = true;
        self.wakes.notify_one();
    }
}

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let task = Arc::new(Task { woken: Mutex::new(false), wakes: Condvar::new() });
    let waker = Waker::from(Arc::clone(&task));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        let mut woken = task.woken.lock().unwrap();
        while !std::mem::take(&mut *woken) {
            woken = task.wakes.wait(woken).unwrap();
        }
    }
}

fn n(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

#[test]
fn all_items_arrive() {
    model("all items arrive", 3, || {
        let (driver, receiver) = pair(stream::iter(0..3), n(1), Overflow::Backpressure);
        let thread = thread::spawn(|| block_on(driver));
        assert_eq!(block_on(receiver.collect::<Vec<_>>()), [0, 1, 2]);
        assert!(thread.join().unwrap().is_empty());
    });
}

#[test]
fn what_the_receiver_leaves_goes_back() {
    model("what the receiver leaves goes back", 3, || {
        let source = stream::iter(0..2).chain(stream::pending());
        let (driver, mut receiver) = pair(source, n(2), Overflow::Backpressure);
        let thread = thread::spawn(|| Vec::from(block_on(driver)));
        let mut all = Vec::from_iter(receiver.next().now_or_never().flatten());
        drop(receiver);
        all.extend(thread.join().unwrap());
        assert!(all == [0, 1] || all == [0] || all.is_empty(), "{all:?}");
    });
}

#[test]
fn no_item_is_lost_between_the_halves() {
    model("no item is lost between the halves", 3, || {
        let given = Arc::new(AtomicUsize::new(0));
        let count = given.clone();
        let source = stream::iter(0..2).inspect(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
        });
        let (driver, receiver) = pair(source, n(2), Overflow::Backpressure);
        let thread = thread::spawn(|| block_on(driver));
        let mut all = receiver.into_items();
        all.extend(thread.join().unwrap());
        assert_eq!(Vec::from(all), Vec::from_iter(0..given.load(Ordering::Relaxed)));
    });
}

#[test]
fn the_end_of_the_driver_is_seen() {
    model("the end of the driver is seen", 3, || {
        let (driver, receiver) = pair(stream::pending::<u32>(), n(1), Overflow::Backpressure);
        let thread = thread::spawn(|| drop(driver));
        assert!(block_on(receiver.collect::<Vec<_>>()).is_empty());
        thread.join().unwrap();
    });
}

fn echo() -> impl tower::Service<u32, Response = u32, Error = std::io::Error, Future = Answer> {
    service_fn(|n: u32| ready(Ok(n)))
}

type Answer = Ready<Result<u32, std::io::Error>>;

#[test]
fn each_call_is_answered() {
    model("each call is answered", 3, || {
        let (service, worker) = Buffer::pair(echo(), n(1));
        let other = service.clone();
        let worker = thread::spawn(|| block_on(worker));
        let caller = thread::spawn(|| block_on(other.oneshot(1)).unwrap());
        assert_eq!(block_on(service.oneshot(2)).unwrap(), 2);
        assert_eq!(caller.join().unwrap(), 1);
        worker.join().unwrap();
    });
}

#[test]
fn a_cancelled_call_and_the_worker_agree() {
    model("a cancelled call and the worker agree", 3, || {
        let (service, worker) = Buffer::pair(echo(), n(1));
        let worker = thread::spawn(|| block_on(worker));
        drop(service.oneshot(1).now_or_never());
        worker.join().unwrap();
    });
}

#[test]
fn the_end_of_the_worker_is_seen() {
    model("the end of the worker is seen", 3, || {
        let (service, worker) = Buffer::pair(echo(), n(1));
        let worker = thread::spawn(|| drop(worker));
        assert!(block_on(service.oneshot(1)).unwrap_err().is_closed());
        worker.join().unwrap();
    });
}
