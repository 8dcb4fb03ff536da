//! Bridges in one call: a Zig stream into a channel, a channel into a Zig sink, under every executor.

mod support;

use support::{Executor, slot_for};
use ziggurat::ZigError;
use ziggurat::channel::{ForwardError, RecvError, bounded, spsc};
use ziggurat_tests_zig as zig;

on_every_executor! {
    async fn from_zig_through_a_channel_to_zig(executor: Executor) {
        let mut numbers = zig::numbers(10_000, slot_for(1, executor)).open().unwrap();
        let mut sum = zig::sum(slot_for(2, executor)).open().unwrap();
        let ((mut s, mut r), (mut into, mut out)) = (bounded(16), spsc::bounded(16));
        let source = async move { s.forward_from(&mut numbers).await };
        let relay = async move { r.forward_into(&mut into).await };
        let (source, relay, sink) = futures::join!(source, relay, out.forward_into(&mut sum));
        assert_eq!((source, relay, sink), (Ok(()), Ok(()), Ok(())));
        assert_eq!(sum.take_result(), Some(49_995_000));
    }

    async fn an_error_of_the_stream_comes_after_its_items(_executor: Executor) {
        let mut fails = zig::fails(3, "enough").open().unwrap();
        let (mut s, r) = bounded(16);
        let Err(ForwardError::Stream(error)) = s.forward_from(&mut fails).await else {
            panic!("the stream fails")
        };
        assert!(error.to_string().contains("enough"), "{error}");
        drop(s);
        assert_eq!(r.len(), 3);
    }

    async fn a_sink_that_has_had_enough_leaves_the_rest_where_it_is(_executor: Executor) {
        let mut take = zig::take(10).capacity(4).batch(4).open().unwrap();
        let (s, mut r) = bounded(100);
        (0..100).for_each(|_| s.try_send(1).unwrap());
        drop(s);
        assert_eq!(r.forward_into(&mut take).await, Err(ZigError::Closed));
        assert_eq!(take.close().await, Ok(10));
        // Up to four were in Zig's input and went with it, by the function's choice.
        let kept = r.len() + take.unsent().len();
        assert!((86..=90).contains(&kept), "{kept} are left of 100");
        while r.recv().await.is_ok() {}
        assert_eq!(r.recv().await, Err(RecvError));
    }
}
