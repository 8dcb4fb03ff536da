//! Model checks of the count and the signal of a shutdown.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use loom::future::block_on;
use loom::thread;
use ziggurat_patterns::model::{State, Watch};

use super::model;

#[test]
fn shutdown_models() {
    const BEGIN: u64 = 1;
    const DRAINED: u64 = 4;
    model("the last one wakes the drain", 2, || {
        let state = Arc::new(State::new());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let state = state.clone();
                thread::spawn(move || {
                    if state.enter().is_ok() {
                        state.exit();
                    }
                })
            })
            .collect();
        state.set(BEGIN);
        let mut watch = Watch::new(state.clone(), DRAINED);
        block_on(poll_fn(|cx| {
            if state.in_flight() != 0 {
                watch.register(cx.waker());
                if state.in_flight() != 0 {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        }));
        // Nobody has come in since.
        assert_eq!(state.in_flight(), 0);
        assert!(state.enter().is_err());
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    });
    model("the beginning wakes who waits for it", 2, || {
        let state = Arc::new(State::new());
        let beginner = thread::spawn({
            let state = state.clone();
            move || state.set(BEGIN)
        });
        let mut watch = Watch::new(state.clone(), BEGIN);
        block_on(poll_fn(|cx| {
            if state.has(BEGIN) {
                return Poll::Ready(());
            }
            watch.register(cx.waker());
            if state.has(BEGIN) { Poll::Ready(()) } else { Poll::Pending }
        }));
        beginner.join().unwrap();
    });
}
