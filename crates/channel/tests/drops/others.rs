//! The ends of oneshot, broadcast and watch.

use std::cell::Cell;
use std::rc::Rc;

use futures::FutureExt;
use ziggurat_channel::broadcast::{self, Lag};
use ziggurat_channel::{TryRecvError, oneshot, watch};

use crate::support::{Item, Tally};
use crate::{COUNT, Told, at_every_poll, drop_after};

#[test]
fn ends_of_a_oneshot() {
    at_every_poll("a receiver", |polls| {
        let (tally, (s, r)) = (Tally::default(), oneshot::channel());
        let (told, mut sender, mut turn) = (Told::default(), Some(s), 0);
        let seen = told.clone();
        let receive = async move {
            seen.done(r.await.map_or(1, |item: Item| item.number));
        };
        let done = drop_after(receive.boxed_local(), polls, || {
            turn += 1;
            if turn == 3 {
                sender.take().unwrap().send(tally.item(0)).unwrap();
            }
        });
        let refused = sender.map(|s| s.send(tally.item(0)));
        assert!(refused.is_none_or(|sent| sent.is_err()));
        assert_eq!((told.take().len(), tally.live()), (usize::from(done), 0));
        done
    });
    at_every_poll("a sender", |polls| {
        let (mut s, r) = oneshot::channel::<Item>();
        let (mut receiver, mut turn) = (Some(r), 0);
        let send = async move { s.closed().await };
        let done = drop_after(send.boxed_local(), polls, || {
            turn += 1;
            if turn == 3 {
                receiver = None;
            }
        });
        let received = receiver.map(|mut r| r.try_recv().map(drop));
        assert!(received.is_none_or(|received| received == Err(TryRecvError::Closed)));
        done
    });
}

/// A receiver that goes takes nothing from the others, and what only it had not seen is dropped.
#[test]
fn ends_of_a_broadcast() {
    type Shared = std::sync::Arc<Item>;
    for lag in [Lag::Wait, Lag::Report, Lag::Skip] {
        at_every_poll("a receiver", |polls| {
            let tally = Tally::default();
            let (s, mut r) = broadcast::bounded::<Shared>(2, lag);
            let mut other = r.clone();
            let receive = async move {
                while !matches!(r.recv().await, Err(broadcast::RecvError::Closed)) {}
            };
            let (mut sender, mut sent, mut seen) = (Some(s), 0, Vec::new());
            let done = drop_after(receive.boxed_local(), polls, || {
                let Some(s) = &sender else { return };
                if sent < COUNT {
                    sent += u64::from(s.try_send(tally.item(sent).into()).is_ok());
                    seen.extend(other.try_recv().ok().map(|item| item.number));
                } else {
                    sender = None;
                }
            });
            seen.extend(std::iter::from_fn(|| other.try_recv().ok()).map(|item| item.number));
            assert!(seen.into_iter().eq(0..sent));
            assert_eq!(tally.live(), 0, "all have seen all");
            done
        });
    }
    at_every_poll("a sender", |polls| {
        let (tally, told) = (Tally::default(), Told::default());
        let (s, mut r) = broadcast::bounded::<Shared>(2, Lag::Wait);
        let (items, seen) = (tally.clone(), told.clone());
        let send = async move {
            for i in 0..COUNT {
                if s.send(items.item(i).into()).await.is_ok() {
                    seen.done(i);
                }
            }
        };
        let mut received = Vec::new();
        let done = drop_after(send.boxed_local(), polls, || {
            received.extend(r.try_recv().ok().map(|item| item.number));
        });
        received.extend(std::iter::from_fn(|| r.try_recv().ok()).map(|item| item.number));
        assert_eq!((received, tally.live()), (told.take(), 0));
        done
    });
}

#[test]
fn ends_of_a_watch() {
    at_every_poll("a receiver", |polls| {
        let tally = Tally::default();
        let (s, mut r) = watch::channel(tally.item(0));
        let last = Rc::new(Cell::new(0));
        let seen = last.clone();
        let receive = async move {
            while r.changed().await.is_ok() {
                seen.set(r.borrow_and_update().number);
            }
        };
        let (mut sender, mut sent) = (Some(s), 0);
        let done = drop_after(receive.boxed_local(), polls, || {
            let Some(s) = &sender else { return };
            if sent < COUNT {
                sent += 1;
                s.send(tally.item(sent)).unwrap();
                assert_eq!(tally.live(), 1, "the one before is dropped");
            } else {
                sender = None;
            }
        });
        if done {
            assert_eq!(last.get(), COUNT);
        }
        drop(sender);
        assert_eq!(tally.live(), 0);
        done
    });
}
