//! Zig sinks under every executor: results, backpressure, early ends, errors, no copies.

mod support;

use bytes::Bytes;
use futures::{AsyncWriteExt, FutureExt, SinkExt, StreamExt, poll, stream};
use support::{Executor, slot_for, wait_for, wait_for_slot};
use tokio::io::AsyncWriteExt as _;
use tokio_util::compat::FuturesAsyncWriteCompatExt;
use ziggurat::{Buffer, BufferPool, ZigError};
use ziggurat_tests_zig::{self as zig, Checksum, slot};

on_every_executor! {
    async fn a_million_items_go_in_and_the_result_comes_out(executor: Executor) {
        let mut sink = zig::sum(slot_for(20, executor)).open().unwrap();
        let mut items = stream::iter((0..1_000_000).map(Ok));
        sink.send_all(&mut items).await.unwrap();
        assert_eq!(sink.close().await.unwrap(), 499_999_500_000);
        assert_eq!(sink.close().await.unwrap_err(), ZigError::Closed);
    }

    async fn forward_closes_and_the_result_stays(executor: Executor) {
        let mut sink = zig::sum(slot_for(21, executor)).open().unwrap();
        stream::iter((0..1000).map(Ok)).forward(&mut sink).await.unwrap();
        assert_eq!(sink.take_result(), Some(499_500));
        assert_eq!(sink.take_result(), None);
    }

    async fn closing_an_unused_sink_runs_its_function(executor: Executor) {
        let number = slot_for(22, executor);
        let mut sink = zig::sum(number).open().unwrap();
        assert_eq!(sink.close().await.unwrap(), 0);
        assert_eq!(slot(number).started, 1);
    }

    async fn a_full_sink_waits_and_is_woken(executor: Executor) {
        let number = slot_for(23, executor);
        let mut sink = zig::hold(number).capacity(2).batch(1).open().unwrap();
        for _ in 0..2 {
            sink.send(Bytes::from_static(b"chunk")).await.unwrap();
        }
        // One waits here; the function takes none.
        sink.feed(Bytes::from_static(b"held")).await.unwrap();
        assert!(poll!(sink.feed(Bytes::from_static(b"one too many"))).is_pending());
        assert_eq!(sink.unsent().len(), 1);
        assert_eq!(&*sink.into_unsent()[0], b"held");
        wait_for_slot(number, "the function's defer ran", |s| s.deferred == 1);

        let mut sink = zig::sum(slot_for(24, executor)).capacity(1).batch(1).open().unwrap();
        for i in 0..1000 {
            sink.send(i).await.unwrap();
        }
        assert_eq!(sink.close().await.unwrap(), 499_500);
    }

    async fn a_writer_whose_blocks_all_are_in_the_sink_goes_on(_executor: Executor) {
        for builder in [zig::slowly(), zig::slowly().on_thread()] {
            let pool = BufferPool::builder(8).blocks(2).build().unwrap();
            let mut writer = builder.open().unwrap().into_async_write(pool);
            writer.write_all(&[7; 80]).await.unwrap();
            writer.close().await.unwrap();
            assert_eq!(writer.take_result(), Some(80));
        }
    }

    async fn a_flush_gives_a_function_a_turn_and_does_not_wait_for_it(executor: Executor) {
        let number = slot_for(27, executor);
        let builders = [zig::drowsy(number), zig::drowsy(number).on_thread()];
        for (i, builder) in builders.into_iter().enumerate() {
            let mut sink = builder.open().unwrap();
            sink.send(1).await.unwrap();
            wait_for("nothing but flushes lets it go on", || {
                assert_eq!(sink.flush().now_or_never(), Some(Ok(())));
                (slot(number).sent == i as u64 + 1).then_some(())
            });
            sink.close().await.unwrap();
        }
    }

    async fn a_function_that_returns_early_leaves_the_rest_here(_executor: Executor) {
        let mut sink = zig::take(10).capacity(4).batch(4).open().unwrap();
        let mut sent = 0;
        let error = loop {
            match sink.send(1).await {
                Ok(()) => sent += 1,
                Err(error) => break error,
            }
            assert!(sent < 1000, "it takes ten and what fits in between");
        };
        assert!(error.is_closed());
        assert!(!sink.unsent().is_empty());
        assert_eq!(sink.close().await.unwrap(), 10);
    }

    async fn a_function_that_fails_says_why(_executor: Executor) {
        let mut sink = zig::refuse(3).capacity(1).batch(1).open().unwrap();
        let error = loop {
            if let Err(error) = sink.send(1).await {
                break error;
            }
        };
        assert_eq!(error.to_string(), "after 3: Refused");
        assert!(sink.close().await.unwrap_err().is_closed());

        let mut sink = zig::refuse(0).open().unwrap();
        assert_eq!(sink.close().await.unwrap_err().name(), Some("Refused"));
    }

    async fn dropping_an_open_sink_cancels_its_function(executor: Executor) {
        let number = slot_for(25, executor);
        let mut sink = zig::hold(number).open().unwrap();
        sink.send(Bytes::from_static(b"lost by choice")).await.unwrap();
        drop(sink);
        wait_for_slot(number, "the function's defer ran", |s| s.deferred == 1);
    }

    async fn bytes_go_in_without_a_copy(_executor: Executor) {
        let chunks: Vec<Bytes> = (0..100).map(|i| Bytes::from(vec![i; 1000])).collect();
        let expected: u64 =
            chunks.iter().fold(0, |sum, chunk| sum.wrapping_add(chunk.as_ptr() as u64));
        let mut sink = zig::addresses().open().unwrap();
        for chunk in &chunks {
            sink.feed(chunk.clone()).await.unwrap();
        }
        assert_eq!(sink.close().await.unwrap(), expected);
        // Zig has let go of all of them.
        assert!(chunks.into_iter().all(|chunk| chunk.try_into_mut().is_ok()));
    }

    async fn buffers_and_struct_results_cross(_executor: Executor) {
        let mut sink = zig::checksum().open().unwrap();
        for _ in 0..10 {
            sink.send_buffer(Buffer::from(vec![2; 50])).await.unwrap();
        }
        sink.send(Bytes::new()).await.unwrap();
        let expected = Checksum { sum: 1000, bytes: 500, chunks: 11 };
        assert_eq!(sink.close().await.unwrap(), expected);
    }

    async fn every_way_to_read_may_be_mixed(_executor: Executor) {
        let mut sink = zig::mixed().open().unwrap();
        let (mut bytes, mut sum) = (0, 0);
        for i in 0..200_usize {
            let chunk = vec![i as u8; (i * 997) % 100_000];
            bytes += chunk.len() as u64;
            sum += chunk.iter().map(|&b| u64::from(b)).sum::<u64>();
            sink.feed(Bytes::from(chunk)).await.unwrap();
        }
        let result = sink.close().await.unwrap();
        assert_eq!((result.bytes, result.sum), (bytes, sum));
    }

    async fn leftovers_are_released_where_thread_locals_live(executor: Executor) {
        thread_local! {
            static LOCAL: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
        }
        struct Owner(std::sync::Arc<std::sync::atomic::AtomicUsize>);
        impl AsRef<[u8]> for Owner {
            fn as_ref(&self) -> &[u8] {
                b"owned"
            }
        }
        impl Drop for Owner {
            fn drop(&mut self) {
                // Panics, and so aborts, on a thread that has lost its thread-locals.
                LOCAL.with(|local| local.borrow_mut().push(1));
                self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            }
        }
        let number = slot_for(26, executor);
        let released = std::sync::Arc::default();
        for turn in 1..=10 {
            let mut sink = zig::sip(number).open().unwrap();
            for _ in 0..10 {
                let owner = Owner(std::sync::Arc::clone(&released));
                sink.send(Bytes::from_owner(owner)).await.unwrap();
            }
            wait_for_slot(number, "it has had enough", |s| s.started == turn);
            drop(sink);
            wait_for("all were released", || {
                let all = released.load(std::sync::atomic::Ordering::SeqCst) == 10 * turn as usize;
                all.then_some(())
            });
        }
    }

    async fn async_write_gathers_and_closes(_executor: Executor) {
        let pool = BufferPool::builder(1000).blocks(2).build().unwrap();
        let mut writer = zig::read_lines().open().unwrap().into_async_write(pool.clone());
        for i in 0..10_000 {
            futures::AsyncWriteExt::write_all(&mut writer, format!("{i}\n").as_bytes()).await.unwrap();
            if i % 777 == 0 {
                futures::AsyncWriteExt::flush(&mut writer).await.unwrap();
            }
        }
        AsyncWriteExt::close(&mut writer).await.unwrap();
        assert_eq!(writer.take_result(), Some(49_995_000));

        // tokio's traits, on any executor.
        let writer = zig::read_lines().open().unwrap().into_async_write(pool);
        let mut writer = writer.compat_write();
        for i in 0..100 {
            writer.write_all(format!("{i}\n").as_bytes()).await.unwrap();
        }
        writer.shutdown().await.unwrap();
        assert_eq!(writer.get_mut().take_result(), Some(4950));
    }

    async fn a_zig_stream_flows_into_a_zig_sink(executor: Executor) {
        let numbers = zig::numbers(100_000, slot_for(20, executor)).open().unwrap();
        let mut sum = zig::sum(slot_for(20, executor)).open().unwrap();
        numbers.forward(&mut sum).await.unwrap();
        assert_eq!(sum.take_result(), Some(4_999_950_000));
    }
}
