//! Model checks of the semaphore's word and queue.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ziggurat_patterns::model::Permits;

use super::model;

fn wait_for_permit(permits: &Permits) {
    let mut ticket = None;
    block_on(poll_fn(|cx| {
        if ticket.is_none() && permits.try_take(1).is_ok() {
            return Poll::Ready(());
        }
        permits.poll_take(&mut ticket, 1, usize::MAX, cx.waker()).map(|taken| taken.unwrap())
    }));
}

#[test]
fn semaphore_models() {
    model("two share a permit", 2, || {
        let permits = Arc::new(Permits::new(1));
        let inside = Arc::new(AtomicUsize::new(0));
        let work = |permits: &Permits, inside: &AtomicUsize| {
            wait_for_permit(permits);
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            inside.fetch_sub(1, Ordering::SeqCst);
            permits.give(1);
        };
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (permits, inside) = (permits.clone(), inside.clone());
                thread::spawn(move || work(&permits, &inside))
            })
            .collect();
        work(&permits, &inside);
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(permits.available(), 1);
    });
    model("a free permit is not missed while another is refused", 2, || {
        let permits = Arc::new(Permits::new(1));
        let other = permits.clone();
        // More than there are, and it may not wait for them.
        let refused = thread::spawn(move || {
            assert!(other.poll_take(&mut None, 2, 0, Waker::noop()).is_ready());
        });
        assert!(permits.try_take_now(1).is_ok());
        refused.join().unwrap();
        assert_eq!(permits.available(), 0);
    });
    model("who waits when it is closed is not admitted", 2, || {
        let permits = Arc::new(Permits::new(1));
        permits.try_take(1).unwrap();
        let mut ticket = None;
        assert!(permits.poll_take(&mut ticket, 1, usize::MAX, Waker::noop()).is_pending());
        permits.close();
        let giver = permits.clone();
        let giver = thread::spawn(move || giver.give(1));
        let polled = permits.poll_take(&mut ticket, 1, usize::MAX, Waker::noop());
        assert!(matches!(polled, Poll::Ready(Err(_))));
        giver.join().unwrap();
        assert_eq!(permits.available(), 1);
    });
    model("who gives up passes his permit on", 2, || {
        let permits = Arc::new(Permits::new(1));
        permits.try_take(1).unwrap();
        let mut first = None;
        let polled = permits.poll_take(&mut first, 1, usize::MAX, Waker::noop());
        assert!(polled.is_pending());
        let second = thread::spawn({
            let permits = permits.clone();
            move || wait_for_permit(&permits)
        });
        let giver = thread::spawn({
            let permits = permits.clone();
            move || permits.give(1)
        });
        // It may or may not have got the permit.
        permits.leave(first.unwrap());
        second.join().unwrap();
        giver.join().unwrap();
        assert_eq!(permits.available(), 0);
        permits.give(1);
        permits.try_take(1).unwrap();
    });
    model("the limit shrinks while a permit comes back", 2, || {
        let permits = Arc::new(Permits::new(2));
        permits.try_take(2).unwrap();
        let giver = thread::spawn({
            let permits = permits.clone();
            move || permits.give(2)
        });
        permits.forget(1);
        wait_for_permit(&permits);
        giver.join().unwrap();
        assert_eq!(permits.available(), 0);
    });
}
