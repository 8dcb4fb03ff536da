//! Ending Zig functions and waiting for it, under every executor and by both runners.

mod support;

use ::futures::{SinkExt, StreamExt, poll};
use bytes::Bytes;
use support::{Executor, slot_for, wait_for_slot};
use ziggurat::ZigError;
use ziggurat_tests_zig::{self as zig, futures, slot, transforms};

/// The same function by both runners, opened.
macro_rules! both {
    ($builder:expr) => {
        [$builder, $builder.on_thread()].map(|builder| builder.open().unwrap())
    };
}

/// All that have started have ended, and were told.
#[track_caller]
fn assert_all_ended(number: u32, canceled: bool) {
    let seen = slot(number);
    assert_eq!(seen.started, seen.deferred);
    if canceled {
        assert_eq!(seen.started, seen.canceled);
    }
}

on_every_executor! {
    async fn a_stream_says_how_it_ended_and_its_defers_have_run(executor: Executor) {
        let number = slot_for(1, executor);
        for mut stream in both!(zig::sleeper(number)) {
            assert_eq!(stream.next().await.unwrap(), Ok(1));
            assert_eq!(stream.cancel().await, Err(ZigError::Canceled));
            assert_all_ended(number, true);
        }
        // Items that nobody took are dropped.
        for polls in 0..20 {
            for mut stream in both!(zig::numbers(u64::MAX, number).capacity(3).batch(2)) {
                for _ in 0..polls {
                    let _ = poll!(stream.next());
                }
                assert_eq!(stream.cancel().await, Err(ZigError::Canceled));
                assert_all_ended(number, false);
            }
        }
        // It is not impressed, and waits in its `defer`.
        for mut stream in both!(zig::stubborn(number)) {
            stream.next().await.unwrap().unwrap();
            assert_eq!(stream.cancel().await, Ok(()));
            assert_all_ended(number, false);
        }
        // It had ended, or failed, before.
        for mut stream in both!(zig::fails(1, "it broke")) {
            assert_eq!(stream.next().await.unwrap(), Ok(0));
            while stream.next().await.is_some() {}
            assert_eq!(stream.cancel().await, Ok(()));
        }
    }

    async fn a_byte_stream_gives_its_blocks_back(_executor: Executor) {
        let pool = ziggurat::BufferPool::builder(4096).blocks(4).build().unwrap();
        for mut stream in both!(zig::blobs(1_000).pool(pool.clone())) {
            stream.next().await.unwrap().unwrap();
            assert_eq!(stream.cancel().await, Err(ZigError::Canceled));
            support::wait_for("all blocks are home", || {
                let blocks: Vec<_> = (0..4).map_while(|_| pool.try_acquire()).collect();
                (blocks.len() == 4).then_some(())
            });
        }
    }

    async fn a_sink_returns_its_result_if_it_has_one(executor: Executor) {
        let number = slot_for(2, executor);
        for mut sink in both!(zig::tally(number)) {
            for i in 0..10 {
                sink.send(i).await.unwrap();
            }
            let total = sink.cancel().await.unwrap();
            assert!(total <= 45);
            assert_all_ended(number, false);
        }
        for mut sink in both!(zig::hold(number)) {
            sink.send(Bytes::from_static(b"chunk")).await.unwrap();
            assert_eq!(sink.cancel().await, Err(ZigError::Canceled));
            assert_all_ended(number, false);
        }
        for mut sink in both!(zig::tally(number)) {
            sink.close().await.unwrap();
            assert_eq!(sink.cancel().await, Err(ZigError::Closed));
        }
        // Before it has started, it never does.
        let started = slot(number).started;
        for sink in both!(zig::tally(number)) {
            assert_eq!(sink.cancel().await, Err(ZigError::Canceled));
        }
        assert_eq!(slot(number).started, started);
    }

    async fn transforms_and_futures_likewise(executor: Executor) {
        let number = slot_for(3, executor);
        for sends in 0..10 {
            for mut transform in both!(transforms::doubled(3, number).capacity(2).batch(2)) {
                for i in 0..sends {
                    let _ = poll!(transform.feed(i));
                    let _ = poll!(transform.next());
                }
                assert_eq!(transform.cancel().await, Err(ZigError::Canceled));
                assert_all_ended(number, true);
            }
        }
        for polls in 0..3 {
            for mut future in both!(futures::napped(number)) {
                for _ in 0..polls {
                    assert!(poll!(&mut future).is_pending());
                }
                assert_eq!(future.cancel().await, Err(ZigError::Canceled));
                assert_all_ended(number, true);
            }
        }
    }

    async fn whoever_stops_waiting_drops_it(executor: Executor) {
        let number = slot_for(4, executor);
        for mut stream in both!(zig::stubborn(number)) {
            stream.next().await.unwrap().unwrap();
            let mut cancel = Box::pin(stream.cancel());
            let _ = poll!(&mut cancel);
        }
        wait_for_slot(number, "both have ended in the background", |s| s.deferred == 2);
    }
}
