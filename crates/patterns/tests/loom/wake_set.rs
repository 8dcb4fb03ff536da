//! Model checks of who was woken: no wake is lost.

use std::sync::Arc as StdArc;
use std::task::Poll;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use ziggurat_patterns::model::Shared;

use super::model;

/// A task that takes bits until it has seen each of `children` once, sleeping in between as a combinator
/// would: it leaves its waker, looks once more, and waits.
fn take_all(shared: StdArc<Shared>, children: &[usize]) {
    let mut missing: Vec<_> = children.to_vec();
    loom::future::block_on(std::future::poll_fn(move |cx| {
        let take = |missing: &mut Vec<usize>| {
            shared.take(|word, bits| {
                missing.retain(|child| child / 64 != word || bits & 1 << (child % 64) == 0);
            });
        };
        take(&mut missing);
        if !missing.is_empty() {
            shared.register(cx.waker());
            take(&mut missing);
        }
        if missing.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }));
}

#[test]
fn wake_set_models() {
    // With the children that are woken, each on a thread.
    let models: [(&str, &[usize]); 4] = [
        ("two wakes in a word", &[1, 2]),
        ("wakes in two words", &[1, 70]),
        ("wakes in three words", &[1, 70, 130]),
        ("two wakes in a word and one in another", &[1, 2, 70]),
    ];
    for (name, children) in models {
        model(name, 4 - children.len(), move || {
            let shared = StdArc::new(Shared::new(192));
            let threads: Vec<_> = children
                .iter()
                .map(|&child| {
                    let waker = shared.waker(child);
                    thread::spawn(move || waker.wake())
                })
                .collect();
            take_all(shared, children);
            threads.into_iter().for_each(|t| t.join().unwrap());
        });
    }
}

/// What was done before a wake is seen after the bit is taken, however often a child is woken: also when
/// its word goes back on the list while the others on the list are still being taken.
#[test]
fn wake_set_children_are_woken_again() {
    model("a child is woken twice, and another one", 2, || {
        let shared = StdArc::new(Shared::new(128));
        let done: StdArc<[_; 2]> = StdArc::new(std::array::from_fn(|_| AtomicUsize::new(0)));
        let threads = [(0, 1, 2), (1, 70, 1)].map(|(index, child, times)| {
            let (waker, done) = (shared.waker(child), StdArc::clone(&done));
            thread::spawn(move || {
                for _ in 0..times {
                    // Relaxed: the wake publishes it.
                    done[index].fetch_add(1, Ordering::Relaxed);
                    waker.wake_by_ref();
                }
            })
        });
        let mut seen = [0, 0];
        loom::future::block_on(std::future::poll_fn(move |cx| {
            let mut take = || {
                shared.take(|word, _| seen[word] = done[word].load(Ordering::Relaxed));
                seen == [2, 1]
            };
            if take() {
                return Poll::Ready(());
            }
            shared.register(cx.waker());
            if take() { Poll::Ready(()) } else { Poll::Pending }
        }));
        threads.into_iter().for_each(|t| t.join().unwrap());
    });
}
