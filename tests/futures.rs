//! Zig futures under every executor, as coroutines and on threads: results, errors, cancellation, memory.

mod support;

use bytes::Bytes;
use futures::future::{self, FusedFuture, FutureExt};
use futures::poll;
use support::{Executor, slot_for, wait_for_slot};
use ziggurat::{ZigError, channel};
use ziggurat_tests_zig::{futures as zig, slot};

/// The same function by both runners.
macro_rules! both {
    ($builder:expr) => {
        [$builder, $builder.on_thread()].map(|builder| builder.open().unwrap())
    };
}

on_every_executor! {
    async fn a_future_is_what_the_function_returns(executor: Executor) {
        let number = slot_for(43, executor);
        for future in both!(zig::added(2, 3, number)) {
            assert_eq!(future.await.unwrap(), 5);
        }
        let sums = (0..200).map(|i| zig::added(i, 1, number).open().unwrap());
        let sums = future::try_join_all(sums).await.unwrap();
        assert!(sums.into_iter().eq(1..=200));
        assert_eq!((slot(number).started, slot(number).deferred, slot(number).canceled), (202, 202, 0));
    }

    async fn bytes_are_the_functions_own(_executor: Executor) {
        for count in [0, 1, 100, 1 << 20] {
            for future in both!(zig::filled(count, 7)) {
                let bytes: Bytes = future.await.unwrap();
                assert_eq!(bytes.len() as u64, count);
                assert!(bytes.iter().all(|&byte| byte == 7));
                // Each of its parts keeps it.
                let half = bytes.slice(bytes.len() / 2..);
                drop(bytes);
                assert!(half.iter().all(|&byte| byte == 7));
            }
        }
    }

    async fn an_end_of_a_channel_comes_back(_executor: Executor) {
        for on_thread in [false, true] {
            let (sender, receiver) = channel::bounded(4);
            let passed = zig::passed(receiver);
            let passed = if on_thread { passed.on_thread() } else { passed };
            let receiver = passed.open().unwrap().await.unwrap();
            sender.send(5).await.unwrap();
            assert_eq!(receiver.recv().await, Ok(5));

            // One that nobody takes over closes its channel.
            let passed = zig::passed(receiver);
            let passed = if on_thread { passed.on_thread() } else { passed };
            drop(passed.open().unwrap());
            support::wait_for("the channel is closed", || sender.is_closed().then_some(()));
        }
    }

    async fn an_error_has_its_name_and_comes_once(_executor: Executor) {
        for mut future in both!(zig::failing("it broke")) {
            assert!(!future.is_terminated());
            let error = (&mut future).await.unwrap_err();
            assert_eq!(error.name(), Some("OnPurpose"));
            assert!(future.is_terminated());
            assert_eq!((&mut future).await, Err(ZigError::Closed));
        }
    }

    async fn dropping_cancels_wherever_it_waits(executor: Executor) {
        let number = slot_for(44, executor);
        for polls in 0..4 {
            for mut future in both!(zig::napped(number)) {
                for _ in 0..polls {
                    assert!(poll!(&mut future).is_pending());
                }
            }
        }
        let seen = wait_for_slot(number, "all have ended", |s| s.deferred == 6);
        assert_eq!((seen.started, seen.canceled), (6, 6));

        let number = slot_for(45, executor);
        for polls in 0..10 {
            for mut future in both!(zig::added(1, 2, number)) {
                for _ in 0..polls {
                    if let std::task::Poll::Ready(sum) = poll!(&mut future) {
                        assert_eq!(sum, Ok(3));
                        break;
                    }
                }
            }
        }
        wait_for_slot(number, "all have ended", |s| s.started == s.deferred && s.started >= 9);
    }

    async fn asked_to_end_it_says_so(executor: Executor) {
        let number = slot_for(46, executor);
        for mut future in both!(zig::napped(number)) {
            assert!(poll!(&mut future).is_pending());
            future.request_cancel();
            future.request_cancel();
            assert_eq!(future.await, Err(ZigError::Canceled));
        }
        // Before it has started, it never does.
        for future in both!(zig::napped(number)) {
            future.request_cancel();
            assert_eq!(future.await, Err(ZigError::Canceled));
        }
        assert_eq!(slot(number).started, 2);
    }
}

/// A future like any other: it may be spawned, and chosen among others.
fn _is_a_future() -> impl FusedFuture<Output = Result<u64, ZigError>> + Send + Sync + Unpin {
    zig::added(1, 2, 0).open().unwrap()
}

#[test]
fn a_mismatch_is_a_typed_error_that_names_both_sides() {
    use zig::mismatched::{added, napped, sum};
    let text = added(1, 2, 3).open().unwrap_err().to_string();
    assert_eq!(text, "the result is u64 in Zig, not f64");
    let text = sum(1).open().unwrap_err().to_string();
    assert!(text.starts_with("no future named `sum`; the library has: "));
    let text = napped(1).open().unwrap_err().to_string();
    assert!(text.starts_with("no sink named `napped`; the library has: "));
}

#[test]
fn what_a_select_leaves_goes_on() {
    futures::executor::block_on(async {
        let mut nap = zig::napped(slot_for(47, Executor::BlockOn)).open().unwrap();
        let mut sum = zig::added(1, 2, slot_for(47, Executor::Smol)).open().unwrap();
        futures::select! {
            sum = sum => assert_eq!(sum, Ok(3)),
            _ = nap => panic!("an hour is longer"),
        }
        assert!(nap.now_or_never().is_none());
    });
}
