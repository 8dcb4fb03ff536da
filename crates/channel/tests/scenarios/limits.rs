//! Waits that end, by a clock that the test moves.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ziggurat_channel::{RecvTimeoutError, SendTimeoutError, bounded, unbounded};
use ziggurat_core::time::TestClock;

use crate::KINDS;
use crate::support::make;

#[test]
fn receiving_within_a_limit() {
    let limit = Duration::from_millis(350);
    for kind in KINDS {
        let (clock, (s, r)) = (TestClock::new(), make(kind));
        let recv = || clock.block_on(r.recv_timeout_with(limit, clock.clone()));
        assert_eq!(recv(), Err(RecvTimeoutError::Timeout));
        assert_eq!(clock.elapsed(), limit);
        s.try_send(42).unwrap();
        assert_eq!(recv(), Ok(42));
        // It comes too late for this one, and is there for the next.
        assert_eq!(recv(), Err(RecvTimeoutError::Timeout));
        s.clone().try_send(43).unwrap();
        assert_eq!(r.recv_blocking(), Ok(43));
        assert_eq!(clock.elapsed(), limit * 2);
        drop(s);
        assert_eq!(recv(), Err(RecvTimeoutError::Closed));
        assert_eq!(clock.elapsed(), limit * 2);
    }
}

#[test]
fn sending_within_a_limit() {
    let limit = Duration::from_millis(350);
    let (clock, (s, r)) = (TestClock::new(), bounded(2));
    let send = |item| clock.block_on(s.send_timeout_with(item, limit, clock.clone()));
    assert_eq!((send(1), send(2)), (Ok(()), Ok(())));
    assert_eq!(clock.elapsed(), Duration::ZERO);
    assert_eq!(send(3), Err(SendTimeoutError::Timeout(3)));
    assert_eq!(clock.elapsed(), limit);
    assert_eq!(r.try_recv(), Ok(1));
    assert_eq!(send(4), Ok(()));
    drop(r);
    assert_eq!(send(5), Err(SendTimeoutError::Closed(5)));
    assert_eq!(clock.elapsed(), limit);

    let (s, r) = unbounded();
    let send = |item| clock.block_on(s.send_timeout_with(item, Duration::ZERO, clock.clone()));
    (0..1000).for_each(|i| assert_eq!(send(i), Ok(())));
    drop(r);
    assert_eq!(send(1000), Err(SendTimeoutError::Closed(1000)));
}

/// Each wait ends at once, as nothing else moves the clock.
#[test]
fn those_who_give_up_and_come_again_lose_nothing() {
    const COUNT: usize = 2_000;
    for kind in KINDS {
        let (s, r) = make(kind);
        let limit = Duration::from_millis(10);
        let received = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                let (r, received) = (r.clone(), &received);
                scope.spawn(move || {
                    let clock = TestClock::new();
                    loop {
                        match clock.block_on(r.recv_timeout_with(limit, clock.clone())) {
                            Ok(item) => _ = received.fetch_add(item, Ordering::SeqCst),
                            Err(RecvTimeoutError::Timeout) => thread::yield_now(),
                            Err(RecvTimeoutError::Closed) => return,
                        }
                    }
                });
            }
            for _ in 0..2 {
                let s = s.clone();
                scope.spawn(move || {
                    let clock = TestClock::new();
                    for i in 0..COUNT {
                        let mut item = i;
                        loop {
                            let sent = s.send_timeout_with(item, limit, clock.clone());
                            match clock.block_on(sent) {
                                Ok(()) => break,
                                Err(error) => item = error.into_inner(),
                            }
                            thread::yield_now();
                        }
                    }
                });
            }
            drop(s);
        });
        assert_eq!(received.into_inner(), COUNT * (COUNT - 1));
    }
}
