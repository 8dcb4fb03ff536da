//! Stream layers that each break one law, and are found out.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures::stream::{FusedStream, Stream, StreamExt};
use ziggurat_patterns::testing::Token;
use ziggurat_patterns::testing::laws::{self, Source};
use ziggurat_patterns::time::{TestClock, TestSleep, Timer};

use crate::layered::Layered;

#[test]
#[should_panic(expected = "polled again after it had returned `None`")]
fn polls_after_the_end() {
    laws::stream("greedy", |source, _| {
        Layered::new(source, |source, (): &mut (), cx| match source.poll_next_unpin(cx) {
            Poll::Ready(None) => source.poll_next_unpin(cx),
            other => other,
        })
    })
    .check();
}

#[test]
#[should_panic(expected = "`is_terminated` is false after `None`")]
fn is_not_fused() {
    struct Forgetful(Source);
    impl Stream for Forgetful {
        type Item = Token;
        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
            if self.0.is_terminated() { Poll::Ready(None) } else { self.0.poll_next_unpin(cx) }
        }
    }
    impl FusedStream for Forgetful {
        fn is_terminated(&self) -> bool {
            false
        }
    }
    laws::stream("forgetful", |source, _| Forgetful(source)).check();
}

#[test]
#[should_panic(expected = "something other than `None` came after `None`")]
fn goes_on_after_the_end() {
    struct Zombie(Source);
    impl Stream for Zombie {
        type Item = Token;
        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
            if self.0.is_terminated() {
                return Poll::Pending;
            }
            self.0.poll_next_unpin(cx)
        }
    }
    impl FusedStream for Zombie {
        fn is_terminated(&self) -> bool {
            self.0.is_terminated()
        }
    }
    laws::stream("zombie", |source, _| Zombie(source)).check();
}

#[test]
#[should_panic(expected = "an item came while `is_terminated` was true")]
fn ends_too_early() {
    struct Hasty(Source);
    impl Stream for Hasty {
        type Item = Token;
        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
            if self.0.is_terminated() { Poll::Ready(None) } else { self.0.poll_next_unpin(cx) }
        }
    }
    impl FusedStream for Hasty {
        fn is_terminated(&self) -> bool {
            self.0.size_hint().0 <= 1
        }
    }
    laws::stream("hasty", |source, _| Hasty(source)).check();
}

#[test]
#[should_panic(expected = "`size_hint` is true: before poll 1 it was (1, None), and 0 items came \
                           [script: empty; poll 1]")]
fn lies_in_its_lower_bound() {
    laws::stream("boaster", |source, _| {
        let mut layer = Layered::new(source, |source, (): &mut (), cx| source.poll_next_unpin(cx));
        layer.hint = |lower| (lower + 1, None);
        layer
    })
    .check();
}

#[test]
#[should_panic(
    expected = "`size_hint` is true: before poll 1 it was (0, Some(0)), and 1 items came"
)]
fn lies_in_its_upper_bound() {
    laws::stream("modest", |source, _| {
        let mut layer = Layered::new(source, |source, (): &mut (), cx| source.poll_next_unpin(cx));
        layer.hint = |lower| (0, Some(lower.saturating_sub(1)));
        layer
    })
    .check();
}

type Held = VecDeque<Token>;
type PollAhead = fn(&mut Source, &mut Held, &mut Context<'_>) -> Poll<Option<Token>>;

/// Reads one item ahead.
fn ahead(source: Source) -> Layered<Held, PollAhead> {
    Layered::new(source, |source, held, cx| {
        while held.len() < 2 && !source.is_terminated() {
            match source.poll_next_unpin(cx) {
                Poll::Ready(token) => held.extend(token),
                Poll::Pending if held.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(held.pop_front())
    })
}

#[test]
fn reads_ahead_and_tells() {
    laws::stream("ahead", |source, _| ahead(source)).conserves(|s| s.memory.into()).check();
}

#[test]
#[should_panic(
    expected = "no item is lost, doubled or out of order: 1 tokens (1 delivered and the \
                           rest held) for 2 of the source"
)]
fn loses_what_it_holds() {
    laws::stream("ahead", |source, _| ahead(source)).conserves(|_| Vec::new()).check();
}

#[test]
#[should_panic(expected = "no item is lost, doubled or out of order")]
fn loses_an_item_at_a_pause() {
    laws::stream("leaky", |source, _| {
        Layered::new(source, |source, held: &mut Option<Token>, cx| {
            match source.poll_next_unpin(cx) {
                Poll::Ready(Some(token)) => Poll::Ready(Some(token)),
                // The next item is asked for twice, and kept once.
                Poll::Pending => match source.poll_next_unpin(cx) {
                    Poll::Ready(token) => {
                        *held = token;
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    }
                    Poll::Pending => Poll::Pending,
                },
                Poll::Ready(None) => Poll::Ready(None),
            }
        })
    })
    .check();
}

#[test]
#[should_panic(expected = "no item is lost, doubled or out of order")]
fn doubles_an_item() {
    laws::stream("stutter", |source, _| {
        Layered::new(source, |source, again: &mut Option<Token>, cx| {
            if let Some(token) = again.take() {
                return Poll::Ready(Some(token));
            }
            source.poll_next_unpin(cx).map(|token| {
                *again = token.clone().filter(|token| token.id() == 2);
                token
            })
        })
    })
    .lossy()
    .unordered()
    .check();
}

/// Gives pairs of items out in reverse.
fn stack(source: Source) -> Layered<Vec<Token>, PollStack> {
    Layered::new(source, |source, held, cx| {
        while held.len() < 2 && !source.is_terminated() {
            match source.poll_next_unpin(cx) {
                Poll::Ready(token) => held.extend(token),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(held.pop())
    })
}

type PollStack = fn(&mut Source, &mut Vec<Token>, &mut Context<'_>) -> Poll<Option<Token>>;

#[test]
#[should_panic(expected = "no item is lost, doubled or out of order")]
fn changes_the_order() {
    laws::stream("stack", |source, _| stack(source)).check();
}

#[test]
fn changes_the_order_and_tells() {
    let laws = laws::stream("stack", |source, _| stack(source)).unordered();
    laws.conserves(|stack| stack.memory).check();
}

#[test]
#[should_panic(
    expected = "every `Pending` is followed by a wake: it returned `Pending`, and there \
                           is neither a wake nor a timer"
)]
fn forgets_its_waker() {
    laws::stream("deaf", |source, _| {
        Layered::new(source, |source, (): &mut (), _| {
            source.poll_next_unpin(&mut Context::from_waker(Waker::noop()))
        })
    })
    .check();
}

#[test]
#[should_panic(expected = "the waker of the last poll is the one that is woken: an earlier waker \
                           was woken in its place")]
fn keeps_its_first_waker() {
    laws::stream("loyal", |source, _| {
        Layered::new(source, |source, first: &mut Option<Waker>, cx| {
            let first = first.get_or_insert_with(|| cx.waker().clone());
            source.poll_next_unpin(&mut Context::from_waker(first))
        })
    })
    .check();
}

#[test]
#[should_panic(expected = "a poll without a wake changes nothing")]
fn counts_polls() {
    laws::stream("impatient", |source, _| {
        Layered::new(source, |source, polls: &mut usize, cx| {
            let result = source.poll_next_unpin(cx);
            *polls += usize::from(result.is_pending());
            // Gives up after the third pause.
            if *polls > 3 { Poll::Ready(None) } else { result }
        })
    })
    .check();
}

/// Holds a sleep, and does not wait for it.
struct Sleeper(Source, #[expect(dead_code)] Pin<Box<TestSleep>>);

impl Stream for Sleeper {
    type Item = Token;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
        if self.0.is_terminated() { Poll::Ready(None) } else { self.0.poll_next_unpin(cx) }
    }
}

impl FusedStream for Sleeper {
    fn is_terminated(&self) -> bool {
        self.0.is_terminated()
    }
}

/// A sleep that is armed.
fn armed(clock: &TestClock) -> Pin<Box<TestSleep>> {
    let mut sleep = Box::pin(clock.sleep(Duration::from_secs(1)));
    assert!(sleep.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    sleep
}

#[test]
#[should_panic(expected = "construction arms no timer and polls nothing: 1 timers are armed")]
fn arms_a_timer_at_construction() {
    laws::stream("eager", |source, clock| Sleeper(source, armed(clock))).check();
}

#[test]
#[should_panic(
    expected = "construction arms no timer and polls nothing: the source was polled 1 times"
)]
fn polls_at_construction() {
    laws::stream("eager", |mut source, _| {
        let _ = source.poll_next_unpin(&mut Context::from_waker(Waker::noop()));
        source
    })
    .lossy()
    .check();
}

#[test]
#[should_panic(expected = "a drop at any time leaves no item and no timer behind: 1 timers")]
fn leaves_a_timer_behind() {
    laws::stream("litterer", |source, clock| {
        let clock = clock.clone();
        Layered::new(source, move |source, (): &mut (), cx| {
            std::mem::forget(armed(&clock));
            source.poll_next_unpin(cx)
        })
    })
    .check();
}

#[test]
#[should_panic(expected = "a drop at any time leaves no item and no timer behind: 1 items")]
fn leaves_an_item_behind() {
    laws::stream("hoarder", |source, _| {
        Layered::new(source, |source, (): &mut (), cx| {
            let result = source.poll_next_unpin(cx);
            if let Poll::Ready(Some(token)) = &result {
                std::mem::forget(token.clone());
            }
            result
        })
    })
    .check();
}

#[test]
#[should_panic(expected = "one poll polled the source more than 128 times")]
fn is_a_hog() {
    laws::stream("hog", |source, _| {
        Layered::new(source, |source, last: &mut VecDeque<Token>, cx| {
            while !source.is_terminated() {
                match source.poll_next_unpin(cx) {
                    Poll::Ready(token) => last.extend(token),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(last.pop_front())
        })
    })
    .check();
}

#[test]
#[should_panic(expected = "one poll polled the source more than 128 times")]
fn takes_much_at_once() {
    laws::stream("thousands", |source, _| source.chunks(1000)).check();
}

#[test]
fn takes_much_at_once_and_tells() {
    laws::stream("thousands", |source, _| source.chunks(1000)).bound(1000).check();
}

#[test]
#[should_panic(expected = "errors come through: the source gave [Fault(3)], and [] came")]
fn swallows_errors() {
    laws::try_stream("calm", |source, _| source.filter(|item| std::future::ready(item.is_ok())))
        .faults(|item| item.as_ref().err().copied())
        .check();
}

#[test]
#[should_panic(expected = "`panicky` breaks 1 law")]
fn panics() {
    laws::stream("panicky", |source, _| {
        Layered::new(source, |source, (): &mut (), cx| {
            let result = source.poll_next_unpin(cx);
            assert!(!matches!(&result, Poll::Ready(Some(token)) if token.id() == 999));
            result
        })
    })
    .check();
}

/// A merge that stops when its first source does.
#[test]
#[should_panic(expected = "every `Pending` is followed by a wake")]
fn goes_silent_with_one_source() {
    struct Silent(Vec<Source>);
    impl Stream for Silent {
        type Item = Token;
        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
            let mut live = false;
            for source in self.0.iter_mut().filter(|source| !source.is_terminated()) {
                live = true;
                match source.poll_next_unpin(cx) {
                    Poll::Ready(Some(token)) => return Poll::Ready(Some(token)),
                    Poll::Ready(None) => return Poll::Pending,
                    Poll::Pending => {}
                }
            }
            if live { Poll::Pending } else { Poll::Ready(None) }
        }
    }
    impl FusedStream for Silent {
        fn is_terminated(&self) -> bool {
            self.0.iter().all(FusedStream::is_terminated)
        }
    }
    laws::streams("silent", 2, |sources, _| Silent(sources)).check();
}
