//! Sink layers that each break one law, and are found out.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures::{Sink, SinkExt};
use ziggurat_patterns::testing::laws::{self, Drain};
use ziggurat_patterns::testing::{Fault, Token};

/// What a layer does in its methods. It has a queue of items.
trait Layered {
    fn ready(
        inner: &mut Drain,
        _: &mut VecDeque<Token>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        inner.poll_ready_unpin(cx)
    }

    fn send(inner: &mut Drain, _: &mut VecDeque<Token>, token: Token) -> Result<(), Fault> {
        inner.start_send_unpin(token)
    }

    fn flush(
        inner: &mut Drain,
        _: &mut VecDeque<Token>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        inner.poll_flush_unpin(cx)
    }

    fn close(
        inner: &mut Drain,
        queue: &mut VecDeque<Token>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        ready!(Self::flush(inner, queue, cx))?;
        inner.poll_close_unpin(cx)
    }
}

struct Wrapped<L>(Drain, VecDeque<Token>, PhantomData<fn(L)>);

impl<L: Layered> Sink<Token> for Wrapped<L> {
    type Error = Fault;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let this = &mut *self;
        L::ready(&mut this.0, &mut this.1, cx)
    }

    fn start_send(mut self: Pin<&mut Self>, token: Token) -> Result<(), Fault> {
        let this = &mut *self;
        L::send(&mut this.0, &mut this.1, token)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let this = &mut *self;
        L::flush(&mut this.0, &mut this.1, cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        let this = &mut *self;
        L::close(&mut this.0, &mut this.1, cx)
    }
}

fn wrap<L: Layered>(inner: Drain) -> Wrapped<L> {
    Wrapped(inner, VecDeque::new(), PhantomData)
}

fn check<L: Layered>(name: &str) {
    laws::sink(name, |inner, _| wrap::<L>(inner)).faults(|fault| Some(*fault)).check();
}

#[test]
fn is_right() {
    struct Plain;
    impl Layered for Plain {}
    check::<Plain>("plain");
}

#[test]
#[should_panic(expected = "sent an item without `Ready` from `poll_ready`")]
fn does_not_ask() {
    struct Hasty;
    impl Layered for Hasty {
        fn ready(
            _: &mut Drain,
            _: &mut VecDeque<Token>,
            _: &mut Context<'_>,
        ) -> Poll<Result<(), Fault>> {
            Poll::Ready(Ok(()))
        }
    }
    check::<Hasty>("hasty");
}

#[test]
#[should_panic(expected = "every `Pending` is followed by a wake")]
fn forgets_the_waker() {
    struct Deaf;
    impl Layered for Deaf {
        fn ready(
            inner: &mut Drain,
            _: &mut VecDeque<Token>,
            _: &mut Context<'_>,
        ) -> Poll<Result<(), Fault>> {
            inner.poll_ready_unpin(&mut Context::from_waker(Waker::noop()))
        }
    }
    check::<Deaf>("deaf");
}

/// Sends one item late.
struct Lagging;

impl Layered for Lagging {
    fn send(inner: &mut Drain, queue: &mut VecDeque<Token>, token: Token) -> Result<(), Fault> {
        queue.push_back(token);
        match queue.len() {
            1 => Ok(()),
            _ => queue.pop_front().map_or(Ok(()), |token| inner.start_send_unpin(token)),
        }
    }

    fn flush(
        inner: &mut Drain,
        queue: &mut VecDeque<Token>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        while !queue.is_empty() {
            ready!(inner.poll_ready_unpin(cx))?;
            queue.pop_front().map_or(Ok(()), |token| inner.start_send_unpin(token))?;
        }
        inner.poll_flush_unpin(cx)
    }
}

#[test]
fn lags_and_tells() {
    laws::sink("lagging", |inner, _| wrap::<Lagging>(inner))
        .conserves(|sink| sink.1.into())
        .check();
}

#[test]
#[should_panic(expected = "no accepted item is lost")]
fn lags_and_forgets() {
    laws::sink("lagging", |inner, _| wrap::<Lagging>(inner)).conserves(|_| Vec::new()).check();
}

#[test]
#[should_panic(
    expected = "items arrive once and in order, at the latest with a flush or a close: \
                           of 0..12 there arrived [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10] by Flush"
)]
fn flushes_nothing() {
    struct Idle;
    impl Layered for Idle {
        fn send(inner: &mut Drain, queue: &mut VecDeque<Token>, token: Token) -> Result<(), Fault> {
            Lagging::send(inner, queue, token)
        }
    }
    check::<Idle>("idle");
}

#[test]
#[should_panic(expected = "Flush did not reach the inner sink")]
fn stops_a_flush() {
    struct Dam;
    impl Layered for Dam {
        fn flush(
            _: &mut Drain,
            _: &mut VecDeque<Token>,
            _: &mut Context<'_>,
        ) -> Poll<Result<(), Fault>> {
            Poll::Ready(Ok(()))
        }
    }
    check::<Dam>("dam");
}

#[test]
#[should_panic(expected = "errors come through: no error was seen by the close")]
fn hides_errors() {
    struct Bright;
    impl Layered for Bright {
        fn flush(
            inner: &mut Drain,
            _: &mut VecDeque<Token>,
            cx: &mut Context<'_>,
        ) -> Poll<Result<(), Fault>> {
            inner.poll_flush_unpin(cx).map(|_| Ok(()))
        }
    }
    check::<Bright>("bright");
}

#[test]
#[should_panic(expected = "a drop at any time leaves no item and no timer behind: 1 items")]
fn leaves_an_item_behind() {
    struct Hoarder;
    impl Layered for Hoarder {
        fn send(inner: &mut Drain, _: &mut VecDeque<Token>, token: Token) -> Result<(), Fault> {
            if token.id() == 3 {
                std::mem::forget(token.clone());
            }
            inner.start_send_unpin(token)
        }
    }
    check::<Hoarder>("hoarder");
}

#[test]
#[should_panic(expected = "construction arms no timer and polls nothing")]
fn gets_ready_at_construction() {
    laws::sink("eager", |mut inner, _| {
        let _ = inner.poll_ready_unpin(&mut Context::from_waker(Waker::noop()));
        inner
    })
    .check();
}

/// Refuses every third item.
struct Refuses<const LIES: bool>(Drain);

#[derive(Debug, PartialEq)]
enum Refusal {
    Refused,
    Inner(Fault),
}

impl<const LIES: bool> Sink<Token> for Refuses<LIES> {
    type Error = Refusal;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.0.poll_ready_unpin(cx).map_err(Refusal::Inner)
    }

    fn start_send(mut self: Pin<&mut Self>, token: Token) -> Result<(), Refusal> {
        if token.id() % 3 > 0 {
            return self.0.start_send_unpin(token).map_err(Refusal::Inner);
        }
        if LIES {
            self.0.start_send_unpin(token).map_err(Refusal::Inner)?;
        }
        Err(Refusal::Refused)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.0.poll_flush_unpin(cx).map_err(Refusal::Inner)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Refusal>> {
        self.0.poll_close_unpin(cx).map_err(Refusal::Inner)
    }
}

fn inner(refusal: &Refusal) -> Option<Fault> {
    match refusal {
        Refusal::Refused => None,
        Refusal::Inner(fault) => Some(*fault),
    }
}

#[test]
fn may_refuse_if_it_says_so() {
    laws::sink("strict", |sink, _| Refuses::<false>(sink)).faults(inner).refuses().check();
}

#[test]
#[should_panic(expected = "there was an error")]
fn refuses_without_saying_so() {
    laws::sink("strict", |sink, _| Refuses::<false>(sink)).faults(inner).check();
}

#[test]
#[should_panic(expected = "of 0..12 but [0, 3, 6, 9] there arrived [0, 1, 2, 3")]
fn delivers_what_it_refuses() {
    laws::sink("liar", |sink, _| Refuses::<true>(sink)).faults(inner).refuses().check();
}

#[test]
#[should_panic(expected = "of 0..12 but [0, 3, 6, 9] there arrived [0, 1, 2, 3")]
fn delivers_what_it_refuses_though_it_may_lose_items() {
    laws::sink("liar", |sink, _| Refuses::<true>(sink)).faults(inner).refuses().lossy().check();
}
