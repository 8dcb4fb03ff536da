//! The ends of the queue channels, by every way to send and to receive.

use std::cell::RefCell;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::{FutureExt, SinkExt, StreamExt, stream};
use ziggurat_channel::{Receiver, Sender, TryRecvError, TrySendError, spsc};
use ziggurat_core::time::TestClock;

use crate::support::{Bounded, Item, Tally, make};
use crate::{COUNT, KINDS, Taken, Told, all, at_every_poll, drop_after};

type Sends<S> = fn(S, Tally, Told) -> LocalBoxFuture<'static, ()>;
type Receives<R> = fn(R, Told) -> LocalBoxFuture<'static, ()>;

/// Senders that are dropped: what they were told is sent is received, in order, and nothing else.
fn check_senders<S, R>(
    what: &str,
    make: impl Fn() -> (S, R),
    sends: Sends<S>,
    try_recv: impl Fn(&mut R) -> Result<Item, TryRecvError>,
) {
    at_every_poll(what, |polls| {
        let ((s, mut r), tally, told) = (make(), Tally::default(), Told::default());
        let mut received = Vec::new();
        let mut turn = 0;
        let done = drop_after(sends(s, tally.clone(), told.clone()), polls, || {
            turn += 1;
            if turn % 2 == 0 {
                received.extend(try_recv(&mut r).ok().map(|item| item.number));
            }
        });
        let end = loop {
            match try_recv(&mut r) {
                Ok(item) => received.push(item.number),
                Err(end) => break end,
            }
        };
        assert_eq!(end, TryRecvError::Closed, "{what}: the sender is gone");
        assert_eq!(received, told.take(), "{what}, {polls} polls");
        drop(r);
        assert_eq!(tally.live(), 0, "{what}, {polls} polls");
        done
    });
}

/// Receivers that are dropped: what they were told they have, and what is left, is what was sent.
fn check_receivers<S, R>(
    what: &str,
    make: impl Fn() -> (S, R),
    receives: Receives<R>,
    try_send: impl Fn(&mut S, Item) -> Result<(), TrySendError<Item>>,
    left: impl Fn(&S) -> Box<dyn FnMut() -> Option<Item>>,
) {
    at_every_poll(what, |polls| {
        let ((s, r), tally, told) = (make(), Tally::default(), Told::default());
        let mut rest = left(&s);
        let (mut sender, mut sent) = (Some(s), 0);
        let done = drop_after(receives(r, told.clone()), polls, || {
            // One in two polls; then the end.
            let Some(s) = &mut sender else { return };
            if sent < COUNT {
                sent += u64::from(try_send(s, tally.item(sent)).is_ok());
            } else {
                sender = None;
            }
        });
        let mut received = told.take();
        let taken = received.len() as u64;
        received.extend(std::iter::from_fn(&mut *rest).map(|item| item.number));
        assert!(received.iter().copied().eq(0..received.len() as u64), "{what}, {polls} polls");
        // Without another receiver, those that were left are dropped.
        assert!(received.len() as u64 == sent || received.len() as u64 == taken, "{what}");
        drop((sender, rest));
        assert_eq!(tally.live(), 0, "{what}, {polls} polls");
        done
    });
}

/// The ways to send through an end that may be used by reference or not.
macro_rules! ways_to_send {
    ($sender:ty) => {
        [
            ("send", |mut s: $sender, tally, told| {
                let task = async move {
                    let _ = &mut s;
                    for i in 0..COUNT {
                        if s.send(tally.item(i)).await.is_ok() {
                            told.done(i);
                        }
                    }
                };
                task.boxed_local()
            }),
            ("sink", |mut s: $sender, tally, told| {
                let task = async move {
                    for i in 0..COUNT {
                        if SinkExt::feed(&mut s, tally.item(i)).await.is_ok() {
                            told.done(i);
                        }
                    }
                    SinkExt::close(&mut s).await.unwrap();
                };
                task.boxed_local()
            }),
            ("forward_from", |mut s: $sender, tally, told| {
                let mut batch = all(&tally, told);
                let task = async move {
                    let items = &mut batch.items;
                    let mut items = stream::poll_fn(|_| Poll::Ready(items.pop_front().map(Ok)));
                    let _: Result<(), _> = s.forward_from::<_, ()>(&mut items).await;
                };
                task.boxed_local()
            }),
        ] as [(&str, Sends<$sender>); 3]
    };
}

macro_rules! ways_to_receive {
    ($receiver:ty) => {
        [
            ("recv", |mut r: $receiver, told| {
                let task = async move {
                    let _ = &mut r;
                    while let Ok(item) = r.recv().await {
                        told.done(item.number);
                    }
                };
                task.boxed_local()
            }),
            ("stream", |mut r: $receiver, told| {
                let task = async move {
                    while let Some(item) = r.next().await {
                        told.done(item.number);
                    }
                };
                task.boxed_local()
            }),
            ("recv_many", |mut r: $receiver, told| {
                let task = async move {
                    let _ = &mut r;
                    let mut into = Taken { items: Vec::new(), told };
                    while r.recv_many(&mut into.items, 3).await.is_ok() {}
                };
                task.boxed_local()
            }),
            ("forward_into", |mut r: $receiver, told| {
                let task = async move {
                    let mut sink = Box::pin(futures::sink::unfold((), |(), item: Item| {
                        told.done(item.number);
                        futures::future::ready(Ok::<_, ()>(()))
                    }));
                    r.forward_into(&mut sink).await.unwrap();
                };
                task.boxed_local()
            }),
        ] as [(&str, Receives<$receiver>); 4]
    };
}

#[test]
fn senders_of_many() {
    let more: [(&str, Sends<Sender<Item>>); 5] = [
        ("send_many", |s, tally, told| {
            let mut batch = all(&tally, told);
            let task = async move {
                assert_eq!(s.send_many(&mut batch.items).await, Ok(COUNT as usize));
            };
            task.boxed_local()
        }),
        ("reserve", |s, tally, told| {
            let task = async move {
                for i in 0..COUNT {
                    let permit = s.reserve().await.unwrap();
                    futures_lite::future::yield_now().await;
                    // Every third is not used.
                    if i % 3 > 0 && permit.send(tally.item(i)).is_ok() {
                        told.done(i);
                    }
                }
            };
            task.boxed_local()
        }),
        ("reserve_owned", |mut s, tally, told| {
            let task = async move {
                for i in 0..COUNT {
                    let permit = s.reserve_owned().await.unwrap();
                    futures_lite::future::yield_now().await;
                    s = permit.send(tally.item(i)).unwrap();
                    told.done(i);
                }
            };
            task.boxed_local()
        }),
        ("send_timeout", |s, tally, told| {
            let (clock, limit) = (TestClock::new(), Duration::from_secs(9));
            let task = async move {
                for i in 0..COUNT {
                    let sent = s.send_timeout_with(tally.item(i), limit, clock.clone());
                    if sent.await.is_ok() {
                        told.done(i);
                    }
                }
            };
            task.boxed_local()
        }),
        ("clones", |s, tally, told| {
            let task = async move {
                let sends = (0..COUNT).map(|i| {
                    let (s, told, item) = (s.clone(), told.clone(), tally.item(i));
                    async move {
                        if s.send(item).await.is_ok() {
                            told.done(i);
                        }
                    }
                });
                futures::future::join_all(sends).await;
            };
            task.boxed_local()
        }),
    ];
    for capacity in [Bounded(1), Bounded(2), Bounded(5)] {
        for (what, sends) in ways_to_send!(Sender<Item>).into_iter().chain(more) {
            check_senders(what, || make(capacity), sends, |r: &mut Receiver<Item>| r.try_recv());
        }
    }
}

#[test]
fn receivers_of_many() {
    let more: [(&str, Receives<Receiver<Item>>); 1] = [("recv_timeout", |r, told| {
        let (clock, limit) = (TestClock::new(), Duration::from_secs(9));
        let task = async move {
            while let Ok(item) = r.recv_timeout_with(limit, clock.clone()).await {
                told.done(item.number);
            }
        };
        task.boxed_local()
    })];
    for capacity in KINDS {
        for (what, receives) in ways_to_receive!(Receiver<Item>).into_iter().chain(more) {
            // Another receiver finds what is left.
            let others = Rc::new(RefCell::new(None));
            let make = || {
                let (s, r) = make(capacity);
                *others.borrow_mut() = Some(r.clone());
                (s, r)
            };
            let left = |_: &Sender<Item>| -> Box<dyn FnMut() -> Option<Item>> {
                let other: Receiver<Item> = others.borrow_mut().take().unwrap();
                Box::new(move || other.try_recv().ok())
            };
            check_receivers(what, make, receives, |s, item| s.try_send(item), left);
            // Without one, the sender is told.
            let make = || crate::support::make(capacity);
            let left = |_: &Sender<Item>| -> Box<dyn FnMut() -> Option<Item>> { Box::new(|| None) };
            check_receivers(what, make, receives, |s, item| s.try_send(item), left);
        }
    }
}

#[test]
fn ends_of_one_to_one() {
    for capacity in [1, 2, 5] {
        for (what, sends) in ways_to_send!(spsc::Sender<Item>) {
            check_senders(what, || spsc::bounded(capacity), sends, |r| r.try_recv());
        }
        for (what, receives) in ways_to_receive!(spsc::Receiver<Item>) {
            let left =
                |_: &spsc::Sender<Item>| -> Box<dyn FnMut() -> Option<Item>> { Box::new(|| None) };
            let make = || spsc::bounded(capacity);
            check_receivers(what, make, receives, |s, item| s.try_send(item), left);
        }
    }
}
