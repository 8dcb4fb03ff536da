//! An end that is dropped at any point, with the other in Zig: nothing that was sent is lost silently,
//! and every buffer is released by the side that made it, once.
//!
//! A task in Rust is dropped after its first poll, its second, and so on until it is done; then the
//! function in Zig ends by itself, and says what it has seen. Then the other way round: the function is
//! dropped.

mod support;

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures::FutureExt;
use futures::executor::block_on;
use futures::future::BoxFuture;
use support::wait_for;
use ziggurat::ffi::Outcome;
use ziggurat::stream::SinkBuilder;
use ziggurat::{Buffer, ZigSink};
use ziggurat_tests_zig::channels as zig;

/// Buffers per run.
const COUNT: usize = 12;

/// Buffers that Rust has made: how many, and how many were released.
#[derive(Clone, Default)]
struct Tally(Arc<(AtomicUsize, AtomicUsize)>);

struct Counted([u8; 16], Tally);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.1.0.1.fetch_add(1, Ordering::SeqCst);
    }
}

impl Tally {
    fn buffer(&self) -> Buffer {
        self.0.0.fetch_add(1, Ordering::SeqCst);
        Buffer::from(Bytes::from_owner(Counted([7; 16], self.clone())))
    }

    fn made(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    fn released(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

/// How a function runs.
#[derive(Debug, Clone, Copy)]
enum Way {
    Coroutine,
    Thread,
}

impl Way {
    fn open<R: Outcome<Value = R>>(self, call: SinkBuilder<u8, R>) -> ZigSink<u8, R> {
        match self {
            Way::Coroutine => call.open(),
            Way::Thread => call.on_thread().open(),
        }
        .unwrap()
    }
}

/// Polls two futures in turn, the first `polls` times at most. Whether each was done.
fn poll_both<A: Future, B: Future>(
    polls: usize,
    a: A,
    b: B,
) -> (Option<A::Output>, Option<B::Output>) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut first, mut second) = (None, None);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if second.is_none() {
            if let Poll::Ready(output) = b.as_mut().poll(&mut cx) {
                second = Some(output);
            }
        }
        if let Poll::Ready(output) = a.as_mut().poll(&mut cx) {
            first = Some(output);
            break;
        }
        // A thread may have something to do.
        std::thread::yield_now();
    }
    (first, second)
}

/// One poll more from run to run, until the task is done; and some more, as a thread is now faster and
/// now slower.
fn at_every_poll(mut run: impl FnMut(usize) -> bool) {
    let mut done = false;
    for polls in 0..100_000 {
        done |= run(polls);
        if done && polls >= 30 {
            return;
        }
    }
    panic!("it never ends");
}

/// One run at a time where Zig counts its buffers: they are counted for the whole process.
static LIVE: Mutex<()> = Mutex::new(());

macro_rules! over {
    ($kind:ident: $bounded:path, $sender:path, $zig:path, $bound:expr) => {
        // The methods of one-to-one ends want `&mut self`.
        #[allow(unused_mut)]
        mod $kind {
            use super::*;
            use $bounded as channel;
            use $sender as Sender;
            use $zig as functions;

            /// Sends, and notes the address of each buffer that it was told is sent.
            fn send(
                mut s: Sender<Buffer>,
                tally: Tally,
                told: Arc<Mutex<u64>>,
            ) -> BoxFuture<'static, ()> {
                let task = async move {
                    for _ in 0..COUNT {
                        let buffer = tally.buffer();
                        let address = buffer.as_ptr() as u64;
                        if s.send(buffer).await.is_ok() {
                            let mut sum = told.lock().unwrap();
                            *sum = sum.wrapping_add(address);
                        }
                    }
                };
                task.boxed()
            }

            #[test]
            fn a_sender_in_rust_that_is_dropped() {
                for (capacity, way) in [(1, Way::Coroutine), (3, Way::Coroutine), (3, Way::Thread)]
                {
                    at_every_poll(|polls| {
                        let ((s, r), tally, told) =
                            (channel(capacity), Tally::default(), Arc::default());
                        let mut taker = way.open(functions::take_buffers(r));
                        let task = send(s, tally.clone(), Arc::clone(&told));
                        let mut closing = Box::pin(taker.close());
                        let (done, taken) = poll_both(polls, task, closing.as_mut());
                        // It has seen what the sender was told is sent, and the end.
                        let taken = taken.unwrap_or_else(|| block_on(closing));
                        assert_eq!(taken, Ok(*told.lock().unwrap()), "{polls} polls");
                        assert_eq!(tally.released(), tally.made(), "{polls} polls");
                        done.is_some()
                    });
                }
            }

            #[test]
            fn a_receiver_in_zig_that_is_dropped() {
                for (capacity, way) in [(1, Way::Coroutine), (3, Way::Coroutine), (3, Way::Thread)]
                {
                    for polls in 0..40 {
                        let ((s, r), tally, told) =
                            (channel(capacity), Tally::default(), Arc::default());
                        let mut taker = way.open(functions::take_buffers(r));
                        let task = send(s, tally.clone(), Arc::clone(&told));
                        let mut task = pin!(task);
                        let mut closing = Box::pin(taker.close());
                        let (_, sent) = poll_both(polls, closing.as_mut(), task.as_mut());
                        drop(closing);
                        drop(taker);
                        // The sender sees the end, and has each buffer given back.
                        if sent.is_none() {
                            block_on(task);
                        }
                        assert_eq!(tally.made(), COUNT);
                        let released = || (tally.released() == COUNT).then_some(());
                        wait_for("all are released", released);
                    }
                }
            }

            #[test]
            fn a_receiver_in_rust_that_is_dropped() {
                let _one = LIVE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                for (capacity, way) in [(1, Way::Coroutine), (3, Way::Coroutine), (3, Way::Thread)]
                {
                    at_every_poll(|polls| {
                        let (s, mut r) = channel::<Buffer>(capacity);
                        let mut maker = way.open(functions::make_buffers(s, COUNT as u64, 100));
                        let received = Arc::new(AtomicUsize::new(0));
                        let count = received.clone();
                        let task = async move {
                            while let Ok(buffer) = r.recv().await {
                                let address = u64::from_le_bytes(buffer[..8].try_into().unwrap());
                                assert_eq!(address, buffer.as_ptr() as u64);
                                count.fetch_add(1, Ordering::SeqCst);
                            }
                        };
                        let mut closing = Box::pin(maker.close());
                        let (done, made) = poll_both(polls, task, closing.as_mut());
                        let made = made.unwrap_or_else(|| block_on(closing)).unwrap() as usize;
                        let received = received.load(Ordering::SeqCst);
                        let most = received + $bound(capacity);
                        assert!(received <= made && made <= most, "{polls} polls");
                        assert!(done.is_none() || received == COUNT);
                        wait_for("all are home", || (zig::live() == 0).then_some(()));
                        done.is_some()
                    });
                }
            }

            #[test]
            fn a_sender_in_zig_that_is_dropped() {
                let _one = LIVE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                for (capacity, way) in [(1, Way::Coroutine), (3, Way::Coroutine), (3, Way::Thread)]
                {
                    for polls in 0..40 {
                        let (s, mut r) = channel::<u64>(capacity);
                        let mut counter = way.open(functions::count_into(s, COUNT as u64, 0, 1));
                        let task = async move {
                            let mut received = Vec::new();
                            while let Ok(number) = r.recv().await {
                                received.push(number);
                            }
                            received
                        };
                        let mut task = pin!(task);
                        let mut closing = Box::pin(counter.close());
                        let (sent, received) = poll_both(polls, closing.as_mut(), task.as_mut());
                        drop(closing);
                        drop(counter);
                        // All that it sent, and the end; whatever it held goes with it.
                        let received = received.unwrap_or_else(|| block_on(task));
                        assert!(received.iter().copied().eq(0..received.len() as u64));
                        assert!(sent.is_none_or(|sent| sent == Ok(received.len() as u64)));

                        let (s, mut r) = channel::<Buffer>(capacity);
                        let mut maker = way.open(functions::make_buffers(s, COUNT as u64, 100));
                        let task = async move { while r.recv().await.is_ok() {} };
                        let mut task = pin!(task);
                        let mut closing = Box::pin(maker.close());
                        let (_, received) = poll_both(polls, closing.as_mut(), task.as_mut());
                        drop(closing);
                        drop(maker);
                        received.unwrap_or_else(|| block_on(task));
                        wait_for("all are home", || (zig::live() == 0).then_some(()));
                    }
                }
            }
        }
    };
}

over!(
    many_to_many: ziggurat::channel::bounded,
    ziggurat::channel::Sender,
    ziggurat_tests_zig::channels,
    |capacity| capacity
);
over!(
    one_to_one: ziggurat::channel::spsc::bounded,
    ziggurat::channel::spsc::Sender,
    ziggurat_tests_zig::channels::spsc,
    |capacity| capacity
);
over!(
    growable: ziggurat::channel::growable_with_capacity,
    ziggurat::channel::Sender,
    ziggurat_tests_zig::channels,
    |_| COUNT
);
