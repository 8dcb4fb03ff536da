//! Model checks of who was woken: no wake is lost.

use std::sync::Arc as StdArc;

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
        if missing.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    }));
}

#[test]
fn wake_set_models() {
    // With the children that are woken, each on a thread, and the number of words to a group as a shift.
    let models: [(&str, &[usize], u32); 5] = [
        ("two wakes in a word", &[1, 2], 0),
        ("wakes in two words", &[1, 70], 0),
        ("wakes in two words of a group", &[1, 70], 1),
        ("wakes in two groups", &[70, 130], 1),
        ("two wakes in a word and one in another of its group", &[1, 2, 70], 1),
    ];
    for (name, children, shift) in models {
        model(name, 5 - children.len(), move || {
            let shared = StdArc::new(Shared::with_groups(192, shift));
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
