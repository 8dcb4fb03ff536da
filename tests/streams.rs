//! Zig streams under every executor: order, completeness, backpressure, errors, cancellation.

mod support;

use futures::{StreamExt, TryStreamExt, future, poll};
use support::{Executor, slot_for, wait_for_slot};
use ziggurat::ZigError;
use ziggurat_tests_zig::{self as zig, Pair, slot};

on_every_executor! {
    async fn a_million_items_arrive_in_order(executor: Executor) {
        let stream = zig::numbers(1_000_000, slot_for(0, executor)).open().unwrap();
        let next = stream
            .try_fold(0, |expected, item| {
                assert_eq!(item, expected);
                future::ok(expected + 1)
            })
            .await
            .unwrap();
        assert_eq!(next, 1_000_000);
    }

    async fn a_million_items_of_a_state_machine_arrive_in_batches(executor: Executor) {
        let number = slot_for(1, executor);
        let mut stream = zig::machine(1_000_000, number).batch(64).open().unwrap();
        let (mut expected, mut batches) = (0, 0);
        while let Some(batch) = stream.next_batch().await {
            for &item in batch.unwrap() {
                assert_eq!(item, expected);
                expected += 1;
            }
            batches += 1;
        }
        assert_eq!((expected, batches), (1_000_000, 15_625));
        drop(stream);
        // It had ended: no cancel. It is gone: one deinit.
        assert_eq!((slot(number).deferred, slot(number).canceled), (1, 0));
    }

    async fn a_wake_from_a_foreign_thread_arrives(_executor: Executor) {
        let items: Vec<u64> = zig::late_machine(200).open().unwrap().try_collect().await.unwrap();
        assert!(items.into_iter().eq(0..200));
    }

    async fn a_slow_consumer_bounds_the_producer(executor: Executor) {
        let number = slot_for(2, executor);
        let (capacity, batch) = (10, 4);
        let mut stream =
            zig::numbers(10_000, number).capacity(capacity).batch(batch).on_thread().open().unwrap();
        for taken in 1..=50_u64 {
            stream.next().await.unwrap().unwrap();
            let buffered = stream.delivered().len() as u64;
            // It fills everything up, and then it stays there.
            let full = taken + buffered + capacity as u64;
            wait_for_slot(number, "the producer has filled up", |s| s.sent >= full);
            for _ in 0..100 {
                std::thread::yield_now();
            }
            assert_eq!(slot(number).sent, full);
        }
    }

    async fn a_coroutine_is_never_ahead_of_its_polls(executor: Executor) {
        let number = slot_for(28, executor);
        let mut stream = zig::numbers(10_000, number).capacity(10).batch(4).open().unwrap();
        for taken in 1..=50_u64 {
            stream.next().await.unwrap().unwrap();
            // It stopped in the `send` that filled the batch.
            assert_eq!(slot(number).sent + 1, taken + stream.delivered().len() as u64);
        }
    }

    async fn structs_cross_whole(_executor: Executor) {
        let pairs: Vec<Pair> = zig::pairs(1000, 0.5).open().unwrap().try_collect().await.unwrap();
        assert_eq!(pairs.len(), 1000);
        for (i, pair) in pairs.iter().enumerate() {
            assert_eq!(*pair, Pair { a: i as u64, b: i as f32 * 0.5, c: *b"pair" });
        }
    }

    async fn items_come_before_the_error_and_nothing_after(_executor: Executor) {
        let mut stream = zig::fails(300, "it broke").open().unwrap();
        for i in 0..300 {
            assert_eq!(stream.next().await.unwrap().unwrap(), i);
        }
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!(error.name(), Some("OnPurpose"));
        assert_eq!(error.to_string(), "it broke after 300: OnPurpose");
        assert!(stream.next().await.is_none());
        assert!(stream.next().await.is_none());

        let error = zig::fails(0, "").open().unwrap().next().await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), "OnPurpose");
    }

    async fn dropping_ends_a_function_wherever_it_waits(executor: Executor) {
        // In a sleep.
        let number = slot_for(3, executor);
        let mut stream = zig::sleeper(number).open().unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        drop(stream);
        wait_for_slot(number, "the sleeper's defer ran", |s| s.deferred == 1 && s.canceled == 1);

        // In a system call.
        let number = slot_for(4, executor);
        let (reader, _writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        let mut stream = zig::pipe_reader(fd, number).open().unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), 1);
        drop(stream);
        wait_for_slot(number, "the reader's defer ran", |s| s.deferred == 1 && s.canceled == 1);

        // In `send`, and in between.
        let number = slot_for(5, executor);
        for turn in 1..=20 {
            let mut stream = zig::spinner(number).capacity(1).open().unwrap();
            stream.next().await.unwrap().unwrap();
            drop(stream);
            wait_for_slot(number, "the spinner's defer ran", |s| s.deferred == turn);
        }

        // With children, which are cancelled as well.
        let number = slot_for(6, executor);
        let mut stream = zig::children(number).open().unwrap();
        stream.next().await.unwrap().unwrap();
        drop(stream);
        wait_for_slot(number, "the child was cancelled", |s| s.deferred == 1 && s.canceled == 1);
    }

    async fn a_function_ends_although_its_child_is_the_one_that_sends(executor: Executor) {
        let number = slot_for(14, executor);
        for turn in 1..=10 {
            let mut stream = zig::child_sends(number).capacity(1).batch(1).open().unwrap();
            stream.next().await.unwrap().unwrap();
            std::thread::yield_now();
            drop(stream);
            wait_for_slot(number, "both have been told", |s| {
                (s.deferred, s.canceled, s.sent) == (turn, turn, turn)
            });
        }
    }

    async fn a_function_may_ask_to_be_cancelled_again(executor: Executor) {
        let number = slot_for(15, executor);
        for turn in 1..=10 {
            let mut stream = zig::recancels(number).capacity(1).batch(1).open().unwrap();
            stream.next().await.unwrap().unwrap();
            if turn % 2 == 0 {
                // The function is parked by now, or not yet: both are to work.
                std::thread::yield_now();
            }
            drop(stream);
            let seen = wait_for_slot(number, "it has ended", |s| s.deferred == turn);
            assert_eq!((seen.canceled, seen.sent), (turn, 0));
        }
    }

    async fn a_cancelation_is_delivered_once(executor: Executor) {
        let number = slot_for(7, executor);
        for turn in 1..=50 {
            let mut stream = zig::stubborn(number).capacity(1).open().unwrap();
            stream.next().await.unwrap().unwrap();
            drop(stream);
            let seen = wait_for_slot(number, "the defer ran", |s| s.deferred == turn);
            // `sent` counts sleeps in the `defer` that were interrupted by a second delivery.
            assert_eq!((seen.canceled, seen.sent), (turn, 0));
        }
    }

    async fn cancel_delivers_what_is_under_way_and_then_says_so(executor: Executor) {
        let number = slot_for(8, executor);
        let mut stream = zig::numbers(u64::MAX, number).capacity(16).open().unwrap();
        for i in 0..100 {
            assert_eq!(stream.next().await.unwrap().unwrap(), i);
        }
        stream.request_cancel();
        stream.request_cancel();
        let mut expected = 100;
        let error = loop {
            match stream.next().await.unwrap() {
                Ok(item) => {
                    assert_eq!(item, expected);
                    expected += 1;
                }
                Err(error) => break error,
            }
        };
        assert!(error.is_canceled());
        assert_eq!(slot(number).sent, expected);
        assert!(stream.next().await.is_none());
    }

    async fn cancelled_before_the_first_poll_it_never_runs(executor: Executor) {
        let number = slot_for(13, executor);
        let mut stream = zig::numbers(10, number).open().unwrap();
        stream.request_cancel();
        assert!(stream.next().await.unwrap().unwrap_err().is_canceled());
        assert!(stream.next().await.is_none());
        let mut sink = zig::sum(number).open().unwrap();
        sink.request_cancel();
        assert!(sink.close().await.unwrap_err().is_canceled());
        assert_eq!(slot(number).started, 0);
    }

    async fn dropping_at_every_poll_leaves_nothing_running(executor: Executor) {
        let number = slot_for(9, executor);
        for polls in 0..40 {
            let mut stream = zig::numbers(64, number).capacity(3).batch(2).open().unwrap();
            for _ in 0..polls {
                let _ = poll!(stream.next());
            }
        }
        wait_for_slot(number, "all functions have ended", |s| s.started == s.deferred);
    }

    async fn two_streams_take_turns(executor: Executor) {
        let one = zig::numbers(5_000, slot_for(10, executor)).open().unwrap();
        let two = zig::numbers(5_000, slot_for(10, executor)).open().unwrap();
        let sums: Vec<u64> = one
            .zip(two)
            .map(|(a, b)| Ok::<_, ZigError>(a? + b?))
            .try_collect()
            .await
            .unwrap();
        assert!(sums.into_iter().eq((0..5_000).map(|i| 2 * i)));
    }
}

#[test]
fn opening_starts_nothing() {
    let number = slot_for(11, Executor::BlockOn);
    drop(zig::numbers(10, number).open().unwrap());
    assert_eq!(slot(number).started, 0);
}

#[test]
fn a_state_machine_fails_as_it_says() {
    use futures::executor::block_on;
    let error = zig::broken_machine(0).open().unwrap_err();
    assert_eq!(error.to_string(), "the Zig side could not open it");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(source, "BrokenOnPurpose");
    let end = |how| block_on(zig::broken_machine(how).open().unwrap().next()).unwrap().unwrap_err();
    assert_eq!(end(1).to_string(), "BrokenOnPurpose");
    assert_eq!(end(2).to_string(), "how=2: BrokenOnPurpose");
    assert!(end(3).is_canceled());
    assert!(matches!(end(4), ZigError::Protocol(_)));
}

#[test]
fn a_mismatch_is_a_typed_error_that_names_both_sides() {
    use zig::mismatched::{fails, machine, missing, numbers, sum};
    use ziggurat::OpenError;
    let text = |error: OpenError| error.to_string();
    assert_eq!(text(numbers(1).open().unwrap_err()), "`numbers` takes 2 arguments, not 1");
    assert_eq!(
        text(machine(1, 2).open().unwrap_err()),
        "argument 1 of `machine` is u32 in Zig, not u64"
    );
    assert_eq!(text(fails(1, "").open().unwrap_err()), "the items are u64 in Zig, not i64");
    assert!(
        text(missing().open().unwrap_err())
            .starts_with("no stream named `missing`; the library has: numbers, ")
    );
    assert!(text(sum(1).open().unwrap_err()).starts_with("no stream named `sum`"));
    assert!(matches!(zig::machine(1, 0).batch(0).open(), Err(OpenError::Zero("batch"))));
    assert!(matches!(zig::machine(1, 0).capacity(0).open(), Err(OpenError::Zero("capacity"))));
}

#[test]
fn impossible_stacks_and_capacities_are_typed_errors() {
    use futures::executor::block_on;
    use ziggurat::OpenError;
    let on_thread = || zig::numbers(10, 120).on_thread();
    let as_coroutine = || zig::numbers(10, 120);
    // A tiny stack is made large enough to run on.
    assert_eq!(block_on(on_thread().stack_size(1).open().unwrap().count()), 10);
    assert_eq!(block_on(as_coroutine().stack_size(1).open().unwrap().count()), 10);
    for (what, builder) in [
        ("thread for `numbers`: Thread", on_thread()),
        ("stack for `numbers`: Stack", as_coroutine()),
    ] {
        let mut stream = builder.stack_size(usize::MAX).open().unwrap();
        let Some(Err(ZigError::Failed(failure))) = block_on(stream.next()) else {
            panic!("no machine has that much");
        };
        assert!(failure.is_runtime());
        assert_eq!(failure.to_string(), format!("the system has no {what}Unavailable"));
        assert!(block_on(stream.next()).is_none());
    }
    assert!(matches!(
        zig::numbers(10, 120).batch(usize::MAX).open(),
        Err(OpenError::BatchTooLarge { items: usize::MAX })
    ));
    for capacity in [usize::MAX, usize::MAX / 64] {
        let error = zig::numbers(10, 120).capacity(capacity).open().unwrap_err();
        assert!(matches!(error, OpenError::Failed(_)), "{error:?}");
    }
}

#[test]
#[cfg(unix)]
fn a_blocked_signal_does_not_keep_a_system_call_going() {
    // What a thread of a daemon often does; function threads inherit it.
    std::thread::spawn(|| {
        // SAFETY: blocks all signals of this thread, which ends with the test.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
        }
        let number = slot_for(16, Executor::BlockOn);
        let (reader, _writer) = std::os::unix::net::UnixStream::pair().unwrap();
        let fd = std::os::fd::AsRawFd::as_raw_fd(&reader);
        let mut stream = zig::pipe_reader(fd, number).open().unwrap();
        futures::executor::block_on(stream.next()).unwrap().unwrap();
        drop(stream);
        wait_for_slot(number, "the reader's defer ran", |s| s.deferred == 1);
    })
    .join()
    .unwrap();
}

#[test]
fn many_can_be_dropped_at_once() {
    let number = slot_for(12, Executor::BlockOn);
    let streams: Vec<_> = (0..20)
        .map(|_| {
            let mut stream = zig::sleeper(number).open().unwrap();
            futures::executor::block_on(stream.next()).unwrap().unwrap();
            stream
        })
        .collect();
    drop(streams);
    wait_for_slot(number, "every sleeper has ended", |s| s.deferred == 20);
}
