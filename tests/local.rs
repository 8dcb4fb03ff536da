//! Zig code that is bound to its thread, in executors' local tasks.

mod support;

use std::rc::Rc;

use futures::{SinkExt, TryStreamExt, stream};
use support::{Executor, slot_for, wait_for_slot};
use ziggurat::{LocalZigFuture, LocalZigSink, LocalZigStream, LocalZigTransform, ZigError};
use ziggurat_tests_zig::{self as zig, transforms};

/// Runs a future that is not `Send` by each kind of local executor.
fn on_every_local_executor<F: Future<Output = ()> + 'static>(make: impl Fn() -> F) {
    futures::executor::block_on(make());
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(executor.spawn(make())));
    async_std::task::block_on(make());
    for runtime in [
        tokio::runtime::Builder::new_current_thread().enable_all().build(),
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build(),
    ] {
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime.unwrap(), async {
            tokio::task::spawn_local(make()).await.expect("no panic");
        });
    }
}

#[test]
fn it_stays_on_its_thread_while_others_run() {
    on_every_local_executor(|| async {
        let streams = (0..8).map(|_| async {
            let mut seen = zig::bound(50).batch(1).open_local().unwrap();
            let mut expected = 50;
            while let Some(batch) = seen.next_batch().await {
                for &left in batch.unwrap() {
                    assert_eq!(left, expected);
                    expected -= 1;
                }
                // As whatever else is bound to a thread.
                drop(Rc::new(expected));
            }
            assert_eq!(expected, 0);
        });
        // One after the other: they share the thread, and with it the thread-local.
        for stream in streams {
            stream.await;
        }
    });
}

#[test]
fn all_kinds_are_what_they_are_elsewhere() {
    let number = slot_for(5, Executor::BlockOn);
    on_every_local_executor(|| async move {
        let numbers: LocalZigStream<u64> = zig::numbers(100, number).open_local().unwrap();
        let numbers: Vec<u64> = numbers.try_collect().await.unwrap();
        let mut sum: LocalZigSink<u64, u64> = zig::sum(number).open_local().unwrap();
        sum.send_all(&mut stream::iter(numbers.into_iter().map(Ok))).await.unwrap();
        assert_eq!(sum.close().await, Ok(4950));
        let mut twice: LocalZigTransform<u64, u64> =
            transforms::doubled(0, number).open_local().unwrap();
        twice.send(4).await.unwrap();
        assert_eq!(twice.try_next().await, Ok(Some(8)));
        assert_eq!(twice.cancel().await, Err(ZigError::Canceled));
        let future: LocalZigFuture<u64> = zig::futures::added(1, 2, number).open_local().unwrap();
        assert_eq!(future.await, Ok(3));
    });
}

#[test]
fn what_waits_in_a_defer_is_waited_for_here_or_done_in_the_background() {
    let number = slot_for(6, Executor::BlockOn);
    on_every_local_executor(|| async move {
        let mut stream = zig::stubborn(number).open_local().unwrap();
        stream.try_next().await.unwrap();
        assert_eq!(stream.cancel().await, Ok(()));
        let mut stream = zig::stubborn(number).open_local().unwrap();
        stream.try_next().await.unwrap();
    });
    wait_for_slot(number, "all have ended", |s| (s.deferred, s.sent) == (10, 0));
}
