//! Stream layers that are wrong about their end, or take too much of what never ends.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{FusedStream, Stream, StreamExt};
use ziggurat_patterns::testing::Token;
use ziggurat_patterns::testing::laws::{self, Source, TrySource, TryToken};

use crate::layered::Layered;

/// What passes its source on, but for what it says of itself.
struct Says<const ENDED: bool>(Source);

impl<const ENDED: bool> Stream for Says<ENDED> {
    type Item = Token;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
        if self.0.is_terminated() { Poll::Ready(None) } else { self.0.poll_next_unpin(cx) }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(!ENDED && self.0.is_terminated()), None)
    }
}

impl<const ENDED: bool> FusedStream for Says<ENDED> {
    fn is_terminated(&self) -> bool {
        self.0.is_terminated() || ENDED && self.0.size_hint().0 == 0
    }
}

#[test]
#[should_panic(expected = "`size_hint` is true: after `None`, 1 items are to come")]
fn promises_something_after_the_end() {
    laws::stream("hopeful", |source, _| Says::<false>(source)).check();
}

#[test]
#[should_panic(expected = "it was pending while `is_terminated` was true")]
fn says_it_has_ended_while_it_waits() {
    laws::stream("tired", |source, _| Says::<true>(source)).check();
}

#[test]
#[should_panic(expected = "one poll polled the source more than 128 times [script: the same item")]
fn skips_repetitions_for_ever() {
    laws::stream("new ones", |source, _| {
        Layered::new(source, |source, last: &mut Option<u64>, cx| {
            loop {
                let item = source.poll_next_unpin(cx);
                let id = match &item {
                    Poll::Ready(Some(token)) => Some(token.id()),
                    _ => return item,
                };
                if std::mem::replace(last, id) != id {
                    return item;
                }
            }
        })
    })
    .check();
}

#[test]
#[should_panic(
    expected = "one poll polled the source more than 128 times [script: errors for ever"
)]
fn skips_errors_for_ever() {
    struct Undaunted(TrySource);
    impl Stream for Undaunted {
        type Item = TryToken;
        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TryToken>> {
            while !self.0.is_terminated() {
                match self.0.poll_next_unpin(cx) {
                    Poll::Ready(Some(Err(_))) => {}
                    other => return other,
                }
            }
            Poll::Ready(None)
        }
    }
    impl FusedStream for Undaunted {
        fn is_terminated(&self) -> bool {
            self.0.is_terminated()
        }
    }
    laws::try_stream("undaunted", |source, _| Undaunted(source)).check();
}
