//! Panics of coroutines that are contained: each kind, alone and among many, under every executor.
#![cfg(target_os = "linux")]

mod support;

use futures::{SinkExt, StreamExt, TryStreamExt, future, poll, stream};
use support::{Executor, wait_for};
use ziggurat::stream::Panic;
use ziggurat::stream::host::orphans;
use ziggurat::{OpenError, PanicPolicy, ThroughZigExt, ZigError, ZigStream};
use ziggurat_tests_zig::panics::{debug, safe};
use ziggurat_tests_zig::{machine, numbers};

/// What the policy is named in each test.
const POISON: PanicPolicy = PanicPolicy::Poison;

/// All items, and the panic that they end with.
async fn until_panic(mut stream: ZigStream<u64>) -> (Vec<u64>, Panic) {
    let mut items = Vec::new();
    loop {
        match stream.next().await.expect("it ends with a panic") {
            Ok(item) => items.push(item),
            Err(ZigError::Panicked(panic)) => {
                assert!(stream.next().await.is_none());
                return (items, *panic);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// Polls all of them at once, each as a task of its own where the executor has tasks.
async fn all<F>(executor: Executor, futures: Vec<F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    match executor {
        Executor::BlockOn => future::join_all(futures).await,
        Executor::Smol => future::join_all(futures.into_iter().map(smol::spawn)).await,
        Executor::AsyncStd => {
            future::join_all(futures.into_iter().map(async_std::task::spawn)).await
        }
        Executor::TokioCurrent | Executor::TokioMulti => {
            let tasks = future::join_all(futures.into_iter().map(tokio::spawn)).await;
            tasks.into_iter().map(|task| task.expect("no panic in Rust")).collect()
        }
    }
}

/// The checks of `fails_check`, and what they say.
const CHECKS: &[&str] = &[
    "said so",
    "reached unreachable code",
    "index out of bounds: index 3, len 3",
    "integer overflow",
    "attempt to use null value",
    "attempt to unwrap error: OnPurpose",
    "integer does not fit in destination type",
    "division by zero",
    "access of union field 'b' while field 'a' is active",
    "invalid enum value",
    "shift amount is greater than the type size",
    "incorrect alignment",
    "start index 2 is larger than end index 1",
    "sentinel mismatch: expected 0, found 3",
    "for loop over objects with non-equal lengths",
    "@memcpy arguments alias",
    "reached unreachable code",
    "exact division produced remainder",
    "cast causes pointer to be null",
    "integer part of floating point value out of bounds",
    "formatted 0",
];

on_every_executor! {
    async fn of_a_thousand_that_run_one_ends(executor: Executor) {
        for (build, victim) in [(debug::one_of_many as fn(_, _) -> _, 617), (safe::one_of_many, 0)] {
            let streams = (0..1000).map(|number| {
                let stream = build(number, victim).on_panic(POISON).stack_size(64 << 10).open();
                async move {
                    let mut items = Vec::new();
                    let mut stream = stream.unwrap();
                    while let Some(item) = stream.next().await {
                        items.push(item);
                    }
                    items
                }
            });
            let ends = all(executor, streams.collect()).await;
            assert_eq!(ends.len(), 1000);
            for (number, mut items) in (0..).zip(ends) {
                let mut expected = number * 10..number * 10 + 10;
                if number == victim {
                    let Some(Err(ZigError::Panicked(panic))) = items.pop() else {
                        panic!("it has panicked: {items:?}");
                    };
                    assert_eq!(&*panic.message, format!("number {number}"));
                    assert_eq!(&*panic.function, "one_of_many");
                    expected.end -= 5;
                }
                assert!(items.into_iter().map(Result::unwrap).eq(expected), "number {number}");
            }
        }
    }

    async fn each_check_says_what_it_found(_executor: Executor) {
        for build in [debug::fails_check as fn(_, _) -> _, safe::fails_check] {
            for (check, &message) in (0..).zip(CHECKS) {
                for count in [0, 300] {
                    let stream = build(check, count).on_panic(POISON).open().unwrap();
                    let (items, panic) = until_panic(stream).await;
                    // What came before comes first.
                    assert!(items.into_iter().eq(0..count));
                    assert_eq!(&*panic.message, message, "check {check}");
                    assert_eq!(&*panic.function, "fails_check");
                    let text = format!("the Zig function `fails_check` panicked: {message}");
                    assert_eq!(ZigError::Panicked(Box::new(panic)).to_string(), text);
                }
            }
            // And what passes all checks is nothing special.
            let stream = build(1000, 3).on_panic(POISON).open().unwrap();
            assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap(), [0, 1, 2, 1000]);
        }
    }

    async fn a_stack_overflow_is_one_of_them(executor: Executor) {
        for build in [debug::goes_deep as fn(_, _) -> _, safe::goes_deep] {
            for in_child in [0, 1] {
                let streams = (0..8).map(|number| {
                    // There is room for one frame.
                    let depth = if number % 2 == 0 { 1 << 40 } else { 0 };
                    build(depth, in_child).on_panic(POISON).stack_size(256 << 10).open().unwrap()
                });
                let ends = all(executor, streams.map(StreamExt::collect::<Vec<_>>).collect()).await;
                for (number, items) in ends.into_iter().enumerate() {
                    assert_eq!(items.len(), 2);
                    assert_eq!(items[0].as_ref().unwrap(), &1);
                    match &items[1] {
                        Ok(_) => assert_eq!(number % 2, 1),
                        Err(ZigError::Panicked(panic)) => {
                            assert_eq!(number % 2, 0);
                            assert_eq!(&*panic.message, "stack overflow");
                            assert_eq!(&*panic.function, "goes_deep");
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    }

    async fn a_child_ends_all_of_its_function(_executor: Executor) {
        for build in [debug::child_fails as fn() -> _, safe::child_fails] {
            let (items, panic) = until_panic(build().on_panic(POISON).open().unwrap()).await;
            assert_eq!((&*items, &*panic.message), (&[1][..], "a child's"));
            assert_eq!(&*panic.function, "child_fails");
        }
    }

    async fn a_sink_ends_for_who_sends_and_for_who_closes(_executor: Executor) {
        for build in [debug::fails_at as fn(_) -> _, safe::fails_at] {
            let mut sink = build(3).on_panic(POISON).batch(1).open().unwrap();
            let error = loop {
                if let Err(error) = sink.send(3).await {
                    break error;
                }
            };
            assert!(matches!(&error, ZigError::Panicked(p) if &*p.message == "the limit"), "{error}");
            let mut sink = build(3).on_panic(POISON).open().unwrap();
            sink.send(1).await.unwrap();
            let error = sink.close().await.unwrap_err();
            assert!(matches!(&error, ZigError::Panicked(p) if &*p.message == "the end"), "{error}");
        }
    }

    async fn a_transform_names_its_function_and_gives_first_what_came_before(_executor: Executor) {
        for build in [debug::fails_between as fn(_) -> _, safe::fails_between] {
            for batch in [1, 64] {
                let transform = build(3).on_panic(POISON).batch(batch).open().unwrap();
                let mut items = stream::iter(0..10).through_zig(transform);
                for expected in 0..3 {
                    assert_eq!(items.next().await.unwrap().unwrap(), expected);
                }
                let Some(Err(ZigError::Panicked(panic))) = items.next().await else {
                    panic!("it has panicked");
                };
                assert_eq!((&*panic.function, &*panic.message), ("fails_between", "at 3"));
                assert!(items.next().await.is_none());
            }
        }
    }

    async fn blocks_go_back_to_their_pool(_executor: Executor) {
        let pool = ziggurat::BufferPool::builder(4096).blocks(2).build().unwrap();
        // More often than there are blocks.
        for build in [debug::fails_with_blocks as fn() -> _, safe::fails_with_blocks] {
            for _ in 0..5 {
                let mut stream = build().on_panic(POISON).pool(pool.clone()).open().unwrap();
                assert_eq!(&*stream.next().await.unwrap().unwrap(), b"sent");
                let error = stream.next().await.unwrap().unwrap_err();
                assert!(matches!(error, ZigError::Panicked(_)), "{error}");
            }
        }
    }

    async fn a_channel_is_closed_when_its_sender_panics(_executor: Executor) {
        for build in [debug::fails_with_sender as fn(_) -> _, safe::fails_with_sender] {
            let (sender, receiver) = ziggurat::channel::bounded(4);
            let (items, panic) = until_panic(build(sender).on_panic(POISON).open().unwrap()).await;
            assert_eq!((&*items, &*panic.message), (&[1][..], "with a sender"));
            assert_eq!(receiver.recv().await.unwrap(), 2);
            assert!(receiver.recv().await.is_err());
        }
    }

    async fn a_channel_wakes_no_one_who_is_gone(_executor: Executor) {
        for build in [debug::fails_beside_receiver as fn(_) -> _, safe::fails_beside_receiver] {
            let (sender, receiver) = ziggurat::channel::bounded(4);
            let mut stream = build(receiver.clone()).on_panic(POISON).batch(1).open().unwrap();
            for i in 0..3 {
                assert_eq!(stream.next().await.unwrap().unwrap(), i);
            }
            // Behind the child that waits already.
            let mut next = Box::pin(receiver.recv());
            assert!(poll!(&mut next).is_pending());
            let error = stream.next().await.unwrap().unwrap_err();
            assert!(matches!(error, ZigError::Panicked(_)), "{error}");
            sender.send(7).await.unwrap();
            assert_eq!(next.await.unwrap(), 7);
        }
    }

    async fn an_orphan_that_panics_is_over(_executor: Executor) {
        for build in [debug::fails_in_defer as fn(_) -> _, safe::fails_in_defer] {
            for waits in [0, 1] {
                let mut stream = build(waits).on_panic(POISON).open().unwrap();
                assert_eq!(stream.next().await.unwrap().unwrap(), 1);
                drop(stream);
                // Others may be ending just now.
                wait_for("the orphans have ended", || (orphans() == 0).then_some(()));
            }
        }
    }
}

#[test]
fn the_policy_is_refused_where_it_cannot_be_kept() {
    let refused = |name: &str| OpenError::PoisonUnsupported { name: name.into() };
    let on_thread = numbers(1, 0).on_panic(POISON).on_thread().open().map(drop);
    assert_eq!(on_thread, Err(refused("numbers")));
    let state_machine = machine(1, 0).on_panic(POISON).open().map(drop);
    assert_eq!(state_machine, Err(refused("machine")));
    assert_eq!(
        refused("machine").to_string(),
        "`machine` would not run as a coroutine, so that its panics cannot be contained"
    );
    assert!(machine(1, 0).on_panic(PanicPolicy::Abort).open().is_ok());
}
