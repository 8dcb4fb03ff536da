//! What is different in a channel without a bound that both languages hold an end of. (What is not, is in
//! `channels.rs`.)

mod support;

use support::Executor;
use ziggurat::channel::{RecvError, growable, growable_with_capacity};
use ziggurat_tests_zig::channels as zig;

const COUNT: u64 = 10_000;

on_every_executor! {
    async fn nobody_waits_for_room_without_a_bound(_executor: Executor) {
        for batch in [1, 64] {
            // As a coroutine it sends all of them in one poll, and returns.
            let (s, r) = growable();
            let mut producer = zig::count_into(s, COUNT, 0, batch).open().unwrap();
            assert_eq!(producer.close().await, Ok(COUNT));
            assert_eq!((r.len(), r.is_closed(), r.capacity()), (COUNT as usize, true, None));
            for i in 0..COUNT {
                assert_eq!(r.recv().await, Ok(i));
            }
            assert_eq!(r.recv().await, Err(RecvError));
            // The rings that Rust has made are those that Zig goes on in, and the other way round.
            let (s, r) = growable_with_capacity(1);
            for round in 0..4 {
                (0..100).for_each(|i| s.try_send(i).unwrap());
                let mut half = zig::count_into(s.clone(), 100, 0, batch).open().unwrap();
                assert_eq!(half.close().await, Ok(100));
                let mut half = zig::give_back_receiver(r.clone(), 90 + round).open().unwrap();
                drop(half.close().await.unwrap());
            }
            assert_eq!(r.len(), 4 * 200 - (90 + 91 + 92 + 93));
            assert_eq!(r.fault(), None);
        }
    }

    async fn a_sender_without_a_bound_sees_that_its_receiver_is_gone(_executor: Executor) {
        for batch in [1, 64] {
            let (s, r) = growable();
            let count = 3_000_000;
            let mut producer = zig::count_into(s, count, 0, batch).on_thread().open().unwrap();
            let consumer = async move {
                for i in 0..100 {
                    assert_eq!(r.recv().await, Ok(i));
                }
                assert!(r.close());
                // All that it was told is sent is there.
                let mut received = 100;
                while r.recv().await.is_ok() {
                    received += 1;
                }
                received
            };
            let (sent, received) = futures::join!(producer.close(), consumer);
            assert_eq!(sent, Ok(received));
        }
    }
}
