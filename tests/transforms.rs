//! Zig transforms under every executor, as coroutines and on threads: order, bounds, errors, early ends.

mod support;

use std::collections::VecDeque;
use std::convert::Infallible;

use bytes::Bytes;
use futures::{FutureExt, Sink, SinkExt, Stream, StreamExt, TryStreamExt, future, poll, stream};
use support::{Executor, slot_for, wait_for_slot};
use ziggurat::{ThroughZigExt, TransformError, TransformItem, ZigError, ZigTransform};
use ziggurat_tests_zig::{slot, transforms as zig};

/// The same function by both runners.
macro_rules! both {
    ($builder:expr) => {
        [$builder, $builder.on_thread()].map(|builder| builder.open().unwrap())
    };
}

/// A stream that counts what is taken from it.
fn counted(end: u64) -> (impl Stream<Item = u64> + Send + Unpin, impl Fn() -> u64) {
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let (order, counter) = (std::sync::atomic::Ordering::SeqCst, taken.clone());
    let items = stream::iter(0..end).inspect(move |_| _ = counter.fetch_add(1, order));
    (items, move || taken.load(order))
}

on_every_executor! {
    async fn what_goes_in_comes_out_in_order(executor: Executor) {
        let number = slot_for(30, executor);
        let builders = || [
            zig::doubled(0, number),
            zig::doubled(100, number),
            zig::doubled(0, number).capacity(1).batch(1),
            zig::doubled(7, number).capacity(3).batch(5),
        ];
        for (i, builder) in builders().into_iter().chain(builders().map(|b| b.on_thread())).enumerate() {
            let count = if i % 4 == 0 { 100_000 } else { 2_000 };
            let doubled = stream::iter(0..count).through_zig(builder.open().unwrap());
            let items: Vec<u64> = doubled.try_collect().await.unwrap();
            assert!(items.into_iter().eq((0..count).map(|i| 2 * i)));
        }
        wait_for_slot(number, "all have ended by themselves", |s| s.started == s.deferred);
        assert_eq!(slot(number).canceled, 0);
    }

    async fn much_may_come_of_little_and_little_of_much(_executor: Executor) {
        for transform in both!(zig::repeated()) {
            let repeated = stream::iter([3_u32, 0, 100_000, 1]).through_zig(transform);
            let items: Vec<u64> = repeated.try_collect().await.unwrap();
            assert_eq!(items.len(), 100_004);
            assert_eq!((items[2], items[3], items[100_003]), (3, 100_000, 1));
        }
        for transform in both!(zig::sieved(50_000)) {
            let sieved = stream::iter(0..200_000).through_zig(transform);
            let items: Vec<u64> = sieved.try_collect().await.unwrap();
            assert_eq!(items, [0, 50_000, 100_000, 150_000]);
        }
    }

    async fn a_function_that_only_takes_lets_other_tasks_run(_executor: Executor) {
        // Its input is always there, and nothing comes out.
        let mut sieved = stream::repeat(1).through_zig(zig::sieved(2).open().unwrap());
        let mut turns = 0;
        future::poll_fn(|cx| {
            assert!(sieved.poll_next_unpin(cx).is_pending());
            turns += 1;
            if turns == 10 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }

    async fn bytes_and_items_go_both_ways(_executor: Executor) {
        let text = "some words\nand\n\nmore of them, on lines of their own\n";
        let chunks = || stream::iter(text.as_bytes().chunks(7).map(Bytes::from_static));
        for transform in both!(zig::shouted()) {
            let shouted: Vec<Bytes> = chunks().through_zig(transform).try_collect().await.unwrap();
            assert_eq!(shouted.len(), text.len().div_ceil(7));
            assert_eq!(shouted.concat(), text.to_uppercase().into_bytes());
        }
        for transform in both!(zig::line_lengths()) {
            let lengths: Vec<u32> = chunks().through_zig(transform).try_collect().await.unwrap();
            assert_eq!(lengths, [10, 3, 0, 35]);
        }
        for transform in both!(zig::rendered()) {
            let chunks = stream::iter(0..50_000).through_zig(transform);
            let text: Vec<Bytes> = chunks.try_collect().await.unwrap();
            let text = String::from_utf8(text.concat()).unwrap();
            assert!(text.lines().map(|line| line.parse::<u64>().unwrap()).eq(0..50_000));
        }
    }

    async fn transforms_follow_each_other(executor: Executor) {
        let number = slot_for(31, executor);
        let doubled = stream::iter(0..10_000).through_zig(zig::doubled(0, number).open().unwrap());
        let text = doubled.try_through_zig(zig::rendered().on_thread().open().unwrap());
        let lengths = text.try_through_zig(zig::line_lengths().open().unwrap());
        let sum = lengths.try_fold(0, |sum, n| future::ok(sum + u64::from(n))).await.unwrap();
        assert_eq!(sum, (0..10_000).map(|i| (2 * i).to_string().len() as u64).sum());
    }

    async fn nothing_is_pulled_before_it_is_asked_for(executor: Executor) {
        let number = slot_for(32, executor);
        let (items, taken) = counted(1_000_000);
        let transform = zig::doubled(0, number).batch(4).capacity(4).open().unwrap();
        let mut doubled = items.through_zig(transform);
        assert_eq!(taken(), 0);
        for i in 0..100 {
            assert_eq!(doubled.next().await.unwrap().unwrap(), 2 * i);
            // A batch is asked for at once, and the next one when it was delivered.
            assert!(taken() <= (i / 4 + 1) * 4, "{} of {i}", taken());
        }
        assert_eq!(slot(number).started, 1);

        // On a thread, both rings and both batches may be full, and no more.
        let (items, taken) = counted(1_000_000);
        let transform = zig::doubled(0, number).batch(4).capacity(4).on_thread().open().unwrap();
        let mut doubled = items.through_zig(transform);
        for i in 0..100 {
            assert_eq!(doubled.next().await.unwrap().unwrap(), 2 * i);
            assert!(taken() <= i + 1 + 4 * 4 + 1, "{} of {i}", taken());
        }
    }

    async fn a_function_that_returns_early_gives_the_rest_back(_executor: Executor) {
        for count in [0, 1, 10, 500] {
            for transform in both!(zig::first_of(count).batch(16).capacity(8)) {
                let (items, taken) = counted(1_000);
                let mut first = items.through_zig(transform);
                let got: Vec<u64> = first.by_ref().try_collect().await.unwrap();
                assert!(got.iter().copied().eq(0..count));
                assert!(first.next().await.is_none());
                let taken = taken();
                let (rest, mut transform) = first.into_parts();
                let unsent = transform.unsent().to_vec();
                assert!(unsent.iter().copied().eq(count..taken), "{unsent:?}");
                assert!(rest.collect::<Vec<u64>>().await.into_iter().eq(taken..1_000));
                assert_eq!(transform.into_unsent(), unsent);
            }
        }
    }

    async fn bytes_that_nobody_read_come_back(_executor: Executor) {
        let text = b"first: 1\nsecond: 2\n\nthe body, which is\nnot the header's\n";
        for size in [1, 3, 20, 100] {
            for transform in both!(zig::header()) {
                let chunks = stream::iter(text.chunks(size).map(Bytes::from_static));
                let mut lines = chunks.through_zig(transform);
                let header: Vec<Bytes> = lines.by_ref().try_collect().await.unwrap();
                assert_eq!(header, ["first: 1", "second: 2"]);
                let (rest, transform) = lines.into_parts();
                let mut body: Vec<u8> =
                    transform.into_unsent().iter().flat_map(|b| b.to_vec()).collect();
                body.extend(rest.collect::<Vec<_>>().await.concat());
                assert_eq!(body, b"the body, which is\nnot the header's\n");
            }
        }
    }

    async fn items_come_before_the_error_and_nothing_after(_executor: Executor) {
        for after in [0, 1, 300] {
            for transform in both!(zig::breaks(after, "it broke")) {
                let mut broken = stream::iter(0..1_000).through_zig(transform);
                for i in 0..after {
                    assert_eq!(broken.next().await.unwrap().unwrap(), i);
                }
                let error = broken.next().await.unwrap().unwrap_err();
                assert_eq!(error.name(), Some("OnPurpose"));
                assert_eq!(error.to_string(), format!("it broke after {after}: OnPurpose"));
                assert!(broken.next().await.is_none());
                assert!(broken.next().await.is_none());
            }
        }
    }

    async fn an_error_of_the_inputs_comes_out_and_cancels(executor: Executor) {
        let number = slot_for(33, executor);
        for good in [0, 1, 7, 200] {
            let items = (0..good).map(Ok).chain([Err("no more"), Ok(99)]);
            let transform = zig::doubled(0, number).batch(5).open().unwrap();
            let mut doubled = stream::iter(items).try_through_zig(transform);
            // What the function makes of the items before the error comes before it.
            for i in 0..good {
                assert_eq!(doubled.next().await.unwrap().unwrap(), 2 * i);
            }
            let error = doubled.next().await.unwrap().unwrap_err();
            assert_eq!(error, TransformError::Input("no more"));
            // It was cancelled, and has ended.
            let seen = slot(number);
            assert_eq!((seen.deferred, seen.canceled), (seen.started, seen.started));
            assert!(doubled.next().await.is_none());
            let (rest, _, _) = doubled.into_parts();
            assert_eq!(rest.collect::<Vec<_>>().await, [Ok(99)]);
        }
        let on_thread = zig::doubled(0, number).on_thread().open().unwrap();
        let items = stream::iter((0..100).map(Ok).chain([Err("no more")]));
        let ends: Vec<_> = items.try_through_zig(on_thread).collect().await;
        let (last, before) = ends.split_last().unwrap();
        assert_eq!(*last, Err(TransformError::Input("no more")));
        assert!(before.iter().enumerate().all(|(i, item)| *item == Ok(2 * i as u64)));
    }

    async fn an_error_of_the_functions_is_told_from_the_inputs(_executor: Executor) {
        let items = stream::iter((0..10).map(Ok::<u64, Infallible>));
        let broken = items.try_through_zig(zig::breaks(3, "it").open().unwrap());
        let ends: Vec<_> = broken.collect().await;
        assert_eq!(ends.len(), 4);
        let Err(TransformError::Zig(ZigError::Failed(failure))) = &ends[3] else {
            panic!("{ends:?}");
        };
        assert_eq!(failure.to_string(), "it after 3: OnPurpose");
    }

    async fn the_halves_go_to_different_tasks(executor: Executor) {
        let number = slot_for(34, executor);
        for builder in [
            zig::relayed(number),
            zig::relayed(number).capacity(1).batch(1),
            zig::relayed(number).on_thread(),
            zig::relayed(number).capacity(1).batch(1).on_thread(),
        ] {
            let (mut sink, stream) = builder.open().unwrap().into_split();
            let sender = std::thread::spawn(move || {
                futures::executor::block_on(async {
                    sink.send_all(&mut stream::iter((0..3_000).map(Ok))).await.unwrap();
                    sink.close().await.unwrap();
                });
            });
            let items: Vec<u64> = stream.try_collect().await.unwrap();
            assert!(items.into_iter().eq(0..3_000));
            sender.join().unwrap();
        }
        assert_eq!(slot(number).deferred, 4);
    }

    async fn the_halves_of_one_task_wake_it(executor: Executor) {
        let number = slot_for(35, executor);
        for transform in both!(zig::doubled(13, number).capacity(2).batch(2)) {
            let (sink, stream) = transform.into_split();
            let sent = stream::iter((0..2_000).map(Ok)).forward(sink);
            let (sent, items) = future::join(sent, stream.try_collect::<Vec<u64>>()).await;
            sent.unwrap();
            assert!(items.unwrap().into_iter().eq((0..2_000).map(|i| 2 * i)));
        }
        // And as one value that is both, split by somebody else.
        for transform in both!(zig::doubled(13, number).capacity(2).batch(2)) {
            let (sink, stream) = transform.split();
            let sent = stream::iter((0..2_000).map(Ok)).forward(sink);
            let (sent, items) = future::join(sent, stream.try_collect::<Vec<u64>>()).await;
            sent.unwrap();
            assert!(items.unwrap().into_iter().eq((0..2_000).map(|i| 2 * i)));
        }
    }

    async fn a_transform_is_a_sink_and_a_stream(executor: Executor) {
        let number = slot_for(36, executor);
        for mut transform in both!(zig::doubled(0, number)) {
            for i in 0..100 {
                transform.send(i).await.unwrap();
                assert_eq!(transform.next().await.unwrap().unwrap(), 2 * i);
            }
            // Its end is told, and it may have more to say.
            transform.send(100).await.unwrap();
            SinkExt::close(&mut transform).await.unwrap();
            assert_eq!(transform.next().await.unwrap().unwrap(), 200);
            assert!(transform.next().await.is_none());
        }
    }

    async fn whoever_does_not_read_is_waited_for_and_may_be_dropped(executor: Executor) {
        let number = slot_for(37, executor);
        let transforms = both!(zig::doubled(0, number).capacity(3).batch(1));
        for (i, transform) in transforms.into_iter().enumerate() {
            let (mut sink, stream) = transform.into_split();
            let mut sent = 0;
            while sent < 100 && sink.send(sent).now_or_never().is_some_and(|sent| sent.is_ok()) {
                sent += 1;
                std::thread::yield_now();
            }
            // The queues, and what each of both sides has in its hands.
            assert!(sent <= 3 + 3 + 2, "{sent}");
            drop(stream);
            let error = loop {
                if let Err(error) = sink.send(7).await {
                    break error;
                }
            };
            assert!(error.is_canceled() || error.is_closed(), "{error:?}");
            let all = i as u64 + 1;
            wait_for_slot(number, "its defer ran", |s| (s.deferred, s.canceled) == (all, all));
        }
    }

    async fn dropping_the_sink_unclosed_is_no_end(executor: Executor) {
        let number = slot_for(38, executor);
        for transform in both!(zig::doubled(0, number)) {
            let (mut sink, mut stream) = transform.into_split();
            sink.send(1).await.unwrap();
            drop(sink);
            let error = loop {
                if let Err(error) = stream.next().await.unwrap() {
                    break error;
                }
            };
            assert!(error.is_canceled());
            assert!(stream.next().await.is_none());
        }
        wait_for_slot(number, "both were cancelled", |s| (s.deferred, s.canceled) == (2, 2));
    }

    async fn dropping_at_every_poll_leaves_nothing_running(executor: Executor) {
        let number = slot_for(39, executor);
        for polls in 0..30 {
            for transform in both!(zig::doubled(3, number).capacity(2).batch(2)) {
                let mut doubled = stream::iter(0..20).through_zig(transform);
                for _ in 0..polls {
                    let _ = poll!(doubled.next());
                }
            }
        }
        wait_for_slot(number, "all functions have ended", |s| s.started == s.deferred);
    }

    async fn cancel_ends_it_wherever_it_is(executor: Executor) {
        let number = slot_for(40, executor);
        for (i, transform) in both!(zig::held(number)).into_iter().enumerate() {
            let (mut sink, mut stream) = transform.into_split();
            sink.send(1).await.unwrap();
            wait_for_slot(number, "it runs", |s| s.started == i as u64 + 1);
            sink.request_cancel();
            assert!(stream.next().await.unwrap().unwrap_err().is_canceled());
            assert!(sink.close().await.unwrap_err().is_canceled());
            // It never took it.
            assert_eq!(sink.unsent(), [1]);
        }
    }
}

/// Opening and typing go by the values' types alone.
fn _generic<T: ?Sized + TransformItem, U: ?Sized + TransformItem>(
    transform: ZigTransform<T, U>,
) -> (impl Sink<T::Item, Error = ZigError>, impl Stream<Item = Result<U::Item, ZigError>>) {
    transform.into_split()
}

#[test]
fn a_mismatch_is_a_typed_error_that_names_both_sides() {
    use zig::mismatched::{line_lengths, numbers, rendered, repeated};
    let text = repeated().open().unwrap_err().to_string();
    assert_eq!(text, "what goes in is u32 in Zig, not u64");
    let text = line_lengths().open().unwrap_err().to_string();
    assert_eq!(text, "the items are u32 in Zig, not bytes");
    let text = rendered().open().unwrap_err().to_string();
    assert!(text.starts_with("no stream named `rendered`; the library has: "));
    let text = numbers(1, 1).open().unwrap_err().to_string();
    assert!(text.starts_with("no transform named `numbers`; the library has: "));
}

#[test]
fn opening_starts_nothing() {
    let number = slot_for(41, Executor::BlockOn);
    for transform in both!(zig::doubled(0, number)) {
        drop(transform);
        assert_eq!(slot(number).started, 0);
    }
}

#[test]
fn input_that_is_slow_is_waited_for() {
    /// Ready every other time.
    struct Slow(VecDeque<u64>, bool);
    impl Stream for Slow {
        type Item = u64;
        fn poll_next(
            mut self: std::pin::Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<u64>> {
            self.1 = !self.1;
            if self.1 {
                cx.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            std::task::Poll::Ready(self.0.pop_front())
        }
    }
    for transform in both!(zig::doubled(5, slot_for(42, Executor::BlockOn))) {
        let slow = Slow((0..100).collect(), false).through_zig(transform);
        let items: Vec<u64> = futures::executor::block_on(slow.try_collect()).unwrap();
        assert!(items.into_iter().eq((0..100).map(|i| 2 * i)));
    }
}
