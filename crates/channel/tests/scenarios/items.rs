//! What ends say and do on one thread.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use futures::stream::FusedStream;
use futures::{SinkExt, StreamExt};
use futures_lite::future::block_on;
use futures_lite::stream::block_on as iterate;
use ziggurat_channel::{
    RecvError, SendError, SendTimeoutError, TryRecvError, TrySendError, bounded, unbounded,
};
use ziggurat_core::time::TestClock;

use crate::KINDS;
use crate::support::{Bounded, Growable, Unbounded, make};

#[test]
fn an_item_goes_through_each_way() {
    for kind in KINDS {
        let (s, r) = make(kind);
        s.try_send(1).unwrap();
        assert_eq!(r.try_recv(), Ok(1));
        s.send_blocking(2).unwrap();
        assert_eq!(r.recv_blocking(), Ok(2));
        block_on(s.send(3)).unwrap();
        assert_eq!(block_on(r.recv()), Ok(3));
        s.clone().try_send(4).unwrap();
        assert_eq!(r.clone().try_recv(), Ok(4));
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
        drop(s);
        assert_eq!(r.recv_blocking(), Err(RecvError));
        let (s, r) = make(kind);
        drop(r);
        assert_eq!(s.send_blocking(5), Err(SendError(5)));
    }
}

#[test]
fn both_ends_tell_the_same_about_the_channel() {
    for kind in KINDS {
        let (s, r) = make(kind);
        assert_eq!((s.capacity(), r.capacity()), (kind.capacity(), kind.capacity()));
        let most = kind.capacity().unwrap_or(500);
        let check = |len: usize| {
            assert_eq!((s.len(), r.len()), (len, len));
            assert_eq!((s.is_empty(), r.is_empty()), (len == 0, len == 0));
            let full = kind == Bounded(len);
            assert_eq!((s.is_full(), r.is_full()), (full, full));
        };
        for len in 0..most {
            check(len);
            s.try_send(()).unwrap();
        }
        for len in (0..most).rev() {
            check(len + 1);
            r.try_recv().unwrap();
        }
        check(0);
    }
}

#[test]
fn try_recv_tells_nothing_yet_from_nothing_any_more() {
    for kind in KINDS {
        let (s, r) = make(kind);
        for i in 0..3 {
            assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
            s.try_send(i).unwrap();
            assert_eq!(r.try_recv(), Ok(i));
        }
        let other = s.clone();
        other.try_send(9).unwrap();
        drop((s, other));
        assert_eq!(r.try_recv(), Ok(9));
        assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
        assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    }
}

#[test]
fn try_send_gives_the_item_back() {
    for capacity in 1..6 {
        let (s, r) = bounded(capacity);
        (0..capacity).for_each(|i| s.try_send(i).unwrap());
        assert_eq!(s.try_send(77), Err(TrySendError::Full(77)));
        assert_eq!(r.try_recv(), Ok(0));
        assert_eq!(s.try_send(78), Ok(()));
        drop(r);
        assert_eq!(s.try_send(79), Err(TrySendError::Closed(79)));
    }
    let (s, r) = unbounded();
    (0..1000).for_each(|i| s.try_send(i).unwrap());
    drop(r);
    assert_eq!(s.try_send(1000), Err(TrySendError::Closed(1000)));
}

#[test]
fn without_receivers_each_send_gives_its_item_back() {
    for kind in KINDS {
        let (s, r) = make(kind);
        let other = r.clone();
        drop(r);
        s.try_send(1).unwrap();
        drop(other);
        let clock = TestClock::new();
        let limit = Duration::from_secs(1);
        assert_eq!(s.send_blocking(4), Err(SendError(4)));
        assert_eq!(block_on(s.send(5)), Err(SendError(5)));
        assert_eq!(s.try_send(6), Err(TrySendError::Closed(6)));
        assert_eq!(s.force_send(7), Err(SendError(7)));
        let timed = s.send_timeout_with(8, limit, clock.clone());
        assert_eq!(clock.block_on(timed), Err(SendTimeoutError::Closed(8)));
        let mut items = VecDeque::from([9, 10]);
        assert!(s.try_send_many(&mut items).is_err());
        assert!(block_on(s.send_many(&mut items)).is_err());
        assert_eq!(items, [9, 10]);
        assert!(s.try_reserve().is_err());
    }
}

#[test]
fn what_was_sent_before_the_end_is_received() {
    for kind in [Bounded(3), Bounded(100), Unbounded, Growable(1)] {
        let (s, r) = make(kind);
        let other = s.clone();
        (1..=2).for_each(|i| s.try_send(i).unwrap());
        drop(s);
        other.try_send(3).unwrap();
        drop(other);
        for i in 1..=3 {
            assert_eq!(r.recv_blocking(), Ok(i));
        }
        assert_eq!(r.recv_blocking(), Err(RecvError));
        assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    }
}

#[test]
fn all_that_there_is_as_an_iterator() {
    let sum = (0..1000).sum::<u32>();
    let (s, r) = unbounded();
    (0..1000).for_each(|i| s.try_send(i).unwrap());
    assert_eq!(std::iter::from_fn(|| r.try_recv().ok()).sum::<u32>(), sum);
    (0..1000).for_each(|i| s.try_send(i).unwrap());
    let mut all = Vec::new();
    while r.try_recv_many(&mut all, usize::MAX).is_ok() {}
    assert!(all.into_iter().eq(0..1000));

    // Broken off, and gone on with.
    (0..6).for_each(|i| s.try_send(i).unwrap());
    let mut items = iterate(r.clone());
    assert_eq!((&mut items).take(3).sum::<u32>(), 3);
    assert_eq!(items.next(), Some(3));
    drop(items);
    assert_eq!(r.len(), 2);
    // A thread for each item, and the end.
    thread::scope(|scope| {
        for i in 0..100 {
            let s = s.clone();
            scope.spawn(move || s.send_blocking(i).unwrap());
        }
        drop(s);
        assert_eq!(iterate(r).sum::<u32>(), (0..100).sum::<u32>() + 4 + 5);
    });
}

#[test]
fn errors_are_errors_whatever_the_item() {
    struct Mute;
    fn is_error(error: impl std::error::Error + 'static) -> String {
        let error: Box<dyn std::error::Error> = Box::new(error);
        error.to_string()
    }
    let clock = TestClock::new();
    let limit = Duration::from_secs(1);
    let (s, r) = bounded::<Mute>(1);
    assert!(s.try_send(Mute).is_ok());
    assert_eq!(is_error(s.try_send(Mute).unwrap_err()), "sending into a full channel");
    let timed = clock.block_on(s.send_timeout_with(Mute, limit, clock.clone()));
    assert_eq!(is_error(timed.unwrap_err()), "sending timed out");
    s.close();
    assert_eq!(is_error(s.send_blocking(Mute).unwrap_err()), "sending into a closed channel");
    assert!(r.try_recv().is_ok());
    let ended = "receiving from an empty and closed channel";
    assert_eq!(r.recv_blocking().err().map(is_error).as_deref(), Some(ended));
    assert_eq!(r.try_recv().err().map(is_error).as_deref(), Some(ended));
    let timed = clock.block_on(r.recv_timeout_with(limit, clock.clone()));
    assert_eq!(timed.err().map(is_error).as_deref(), Some(ended));
}

#[test]
fn a_weak_end_keeps_nothing_open() {
    for kind in KINDS {
        let (s, r) = make(kind);
        let (weak, weak_r) = (s.downgrade(), r.downgrade());
        let again = weak.upgrade().unwrap();
        drop(s);
        assert!(!r.is_closed());
        again.try_send(1).unwrap();
        let other = weak_r.upgrade().unwrap();
        drop(r);
        assert_eq!(other.try_recv(), Ok(1));
        drop(again);
        assert!(other.is_closed() && weak.upgrade().is_none() && weak_r.upgrade().is_none());
        assert_eq!(other.try_recv(), Err(TryRecvError::Closed));
    }
}

#[test]
fn ends_know_their_channel() {
    let ((s, r), (t, q)) = (bounded::<u8>(1), bounded::<u8>(1));
    assert!(s.same_channel(&s.clone()) && !s.same_channel(&t));
    assert!(r.same_channel(&r.clone()) && !r.same_channel(&q));
    // Used as a sink and as a stream they are still themselves.
    let (mut sink, mut stream) = (s.clone(), r.clone());
    block_on(SinkExt::send(&mut sink, 1)).unwrap();
    assert!(sink.same_channel(&s) && sink.is_full() && sink.capacity() == Some(1));
    assert_eq!(block_on(stream.next()), Some(1));
    assert!(stream.same_channel(&r) && stream.is_empty() && !stream.is_closed());
}

/// As async-channel does it. (In kanal they are dropped.)
#[test]
fn close_keeps_what_is_in_the_channel() {
    for kind in KINDS {
        for by_sender in [true, false] {
            let (s, r) = make(kind);
            s.try_send(Box::new(1)).unwrap();
            assert!(if by_sender { s.close() } else { r.close() });
            assert!(!s.close() && !r.close());
            assert_eq!(s.try_send(Box::new(2)), Err(TrySendError::Closed(Box::new(2))));
            assert_eq!(block_on(s.send(Box::new(3))), Err(SendError(Box::new(3))));
            assert_eq!(r.recv_blocking(), Ok(Box::new(1)));
            assert_eq!(r.recv_blocking(), Err(RecvError));
            assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
        }
    }
}

#[test]
fn a_stream_is_terminated_when_nothing_can_come() {
    for kind in KINDS {
        let (s, mut r) = make(kind);
        s.try_send(1).unwrap();
        assert!(!r.is_terminated());
        drop(s);
        assert!(!r.is_terminated());
        assert_eq!(block_on(r.next()), Some(1));
        assert!(r.is_terminated());
        assert_eq!(block_on(r.next()), None);
        assert_eq!(block_on(r.next()), None);
    }
}
