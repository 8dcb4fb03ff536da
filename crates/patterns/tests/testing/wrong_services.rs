//! Service layers that each break one law, and are found out.

use std::future::Future;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures::FutureExt;
use tower::{Service, ServiceExt};
use ziggurat_patterns::testing::laws::{self, Inner};
use ziggurat_patterns::testing::{Fault, Ledger, Token};
use ziggurat_patterns::time::Timer;

/// What a layer does in its two methods.
trait Layered: Clone {
    fn ready(inner: &mut Inner, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        inner.poll_ready(cx)
    }

    fn call(inner: &mut Inner, token: Token) -> Answer {
        inner.call(token).boxed()
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Token, Fault>> + Send>>;

#[derive(Clone)]
struct Wrapped<L>(Inner, PhantomData<L>);

impl<L: Layered> Service<Token> for Wrapped<L> {
    type Response = Token;
    type Error = Fault;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        L::ready(&mut self.0, cx)
    }

    fn call(&mut self, token: Token) -> Answer {
        L::call(&mut self.0, token)
    }
}

fn check<L: Layered>(name: &str) {
    laws::service(name, |inner, _| Wrapped::<L>(inner, PhantomData))
        .faults(|fault| Some(*fault))
        .clones()
        .check();
}

#[derive(Clone)]
struct Plain;
impl Layered for Plain {}

#[test]
fn is_right() {
    check::<Plain>("plain");
}

#[test]
#[should_panic(expected = "called without `Ready` from `poll_ready` of this clone")]
fn does_not_ask() {
    #[derive(Clone)]
    struct Hasty;
    impl Layered for Hasty {
        fn ready(_: &mut Inner, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
            Poll::Ready(Ok(()))
        }
    }
    check::<Hasty>("hasty");
}

/// The trap that `mem::replace` is the way out of.
#[test]
#[should_panic(expected = "called without `Ready` from `poll_ready` of this clone")]
fn calls_a_fresh_clone() {
    #[derive(Clone)]
    struct Cloner;
    impl Layered for Cloner {
        fn call(inner: &mut Inner, token: Token) -> Answer {
            let mut fresh = inner.clone();
            async move { fresh.call(token).await }.boxed()
        }
    }
    check::<Cloner>("cloner");
}

#[test]
#[should_panic(expected = "every `Pending` is followed by a wake")]
fn forgets_the_waker() {
    #[derive(Clone)]
    struct Deaf;
    impl Layered for Deaf {
        fn ready(inner: &mut Inner, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
            inner.poll_ready(&mut Context::from_waker(Waker::noop()))
        }
    }
    check::<Deaf>("deaf");
}

#[test]
#[should_panic(expected = "calls go on after their future is dropped")]
fn does_not_cancel() {
    #[derive(Clone)]
    struct Stubborn;
    impl Layered for Stubborn {
        fn call(inner: &mut Inner, token: Token) -> Answer {
            let mut answer = ManuallyDrop::new(Box::pin(inner.call(token)));
            async move { answer.as_mut().await }.boxed()
        }
    }
    check::<Stubborn>("stubborn");
}

#[test]
#[should_panic(expected = "readiness that is not used is given back")]
fn keeps_readiness() {
    /// Never lets go of its service.
    #[derive(Clone)]
    struct Greedy(ManuallyDrop<Inner>);
    impl Service<Token> for Greedy {
        type Response = Token;
        type Error = Fault;
        type Future = Answer;
        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
            self.0.poll_ready(cx)
        }
        fn call(&mut self, token: Token) -> Answer {
            self.0.call(token).boxed()
        }
    }
    laws::service("greedy", |inner, _| Greedy(ManuallyDrop::new(inner))).clones().check();
}

#[test]
#[should_panic(
    expected = "an answer comes through, at once if it comes at once: an error came in its place"
)]
fn answers_with_an_error() {
    #[derive(Clone)]
    struct Gloomy;
    impl Layered for Gloomy {
        fn call(inner: &mut Inner, token: Token) -> Answer {
            inner.call(token).map(|_| Err(Fault(1))).boxed()
        }
    }
    check::<Gloomy>("gloomy");
}

#[test]
#[should_panic(expected = "errors come through: Some(Fault(0)) came for Fault(1)")]
fn changes_errors() {
    #[derive(Clone)]
    struct Vague;
    impl Layered for Vague {
        fn call(inner: &mut Inner, token: Token) -> Answer {
            inner.call(token).map(|result| result.map_err(|_| Fault(0))).boxed()
        }
    }
    check::<Vague>("vague");
}

#[test]
#[should_panic(expected = "errors come through: an answer came")]
fn hides_errors() {
    #[derive(Clone)]
    struct Bright;
    impl Layered for Bright {
        fn call(inner: &mut Inner, token: Token) -> Answer {
            let spare = token.clone();
            inner.call(token).map(|result| result.or(Ok(spare))).boxed()
        }
    }
    check::<Bright>("bright");
}

#[test]
#[should_panic(expected = "at once if it comes at once: the answer to 0 holds [99]")]
fn answers_otherwise_when_it_takes_time() {
    #[derive(Clone)]
    struct Forgetful;
    impl Layered for Forgetful {
        fn call(inner: &mut Inner, token: Token) -> Answer {
            let mut answer = inner.call(token);
            async move {
                match std::future::poll_fn(|cx| Poll::Ready(answer.poll_unpin(cx))).await {
                    Poll::Ready(answer) => answer,
                    Poll::Pending => answer.await.map(|_| Ledger::new().token(99)),
                }
            }
            .boxed()
        }
    }
    check::<Forgetful>("forgetful");
}

/// Its clones share what they remember of a call.
#[test]
#[should_panic(expected = "clones are independent: the answer to 0 holds [1]")]
fn mixes_up_its_clones() {
    #[derive(Clone)]
    struct Crossed(Inner, Arc<Mutex<Option<Token>>>);
    impl Service<Token> for Crossed {
        type Response = Token;
        type Error = Fault;
        type Future = Answer;
        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
            self.0.poll_ready(cx)
        }
        fn call(&mut self, token: Token) -> Answer {
            let last = Arc::clone(&self.1);
            *last.lock().unwrap() = Some(token.clone());
            let answer = move |answer| last.lock().unwrap().clone().unwrap_or(answer);
            self.0.call(token).map(|result| result.map(answer)).boxed()
        }
    }
    laws::service("crossed", |inner, _| Crossed(inner, Arc::default())).clones().check();
}

#[test]
#[should_panic(expected = "construction arms no timer and polls nothing")]
fn gets_ready_at_construction() {
    laws::service("eager", |mut inner, _| {
        let _ = inner.poll_ready(&mut Context::from_waker(Waker::noop()));
        inner
    })
    .check();
}

#[test]
#[should_panic(
    expected = "a drop at any time leaves no call, no item and no timer behind: 1 timers"
)]
fn leaves_a_timer_behind() {
    laws::service("litterer", |inner, clock| {
        let clock = clock.clone();
        inner.map_request(move |token: Token| {
            let mut sleep = Box::pin(clock.sleep(Duration::from_secs(9)));
            assert!(sleep.as_mut().now_or_never().is_none());
            std::mem::forget(sleep);
            token
        })
    })
    .check();
}

#[test]
#[should_panic(expected = "one poll calls a service that fails at once only so often")]
fn tries_again_without_a_pause() {
    #[derive(Clone)]
    struct Insistent;
    impl Layered for Insistent {
        fn call(inner: &mut Inner, token: Token) -> Answer {
            let (first, mut again) = (inner.call(token.clone()), inner.clone());
            async move {
                let mut answer = first.await;
                for _ in 0..200 {
                    if answer.is_err() {
                        answer = again.ready().await?.call(token.clone()).await;
                    }
                }
                answer
            }
            .boxed()
        }
    }
    check::<Insistent>("insistent");
}

/// Two ways to answer the second of two questions for readiness.
struct Asked<T> {
    inner: Inner,
    timer: T,
    ready: bool,
    /// Pays for each question with a second of the next caller's time; else it is not ready any more.
    pays: bool,
    questions: u64,
    sleep: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl<T: Timer<Sleep: 'static>> Asked<T> {
    fn new(inner: Inner, timer: T, pays: bool) -> Self {
        Asked { inner, timer, ready: false, pays, questions: 0, sleep: None }
    }
}

impl<T: Timer<Sleep: 'static>> Service<Token> for Asked<T> {
    type Response = Token;
    type Error = Fault;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        if self.ready && !self.pays {
            self.ready = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(sleep) = &mut self.sleep {
            ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        ready!(self.inner.poll_ready(cx))?;
        self.questions += 1;
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, token: Token) -> Answer {
        self.ready = false;
        let debt = Duration::from_secs(std::mem::take(&mut self.questions));
        self.sleep = Some(Box::pin(self.timer.sleep(debt)));
        self.inner.call(token).boxed()
    }
}

#[test]
#[should_panic(expected = "to ask for it again takes nothing more: it was ready, and then not")]
fn is_ready_only_once() {
    laws::service("fickle", |inner, clock| Asked::new(inner, clock.clone(), false)).check();
}

#[test]
#[should_panic(
    expected = "to ask for it again takes nothing more: with one question each: (2s, 3)"
)]
fn takes_a_token_per_question() {
    laws::service("taker", |inner, clock| Asked::new(inner, clock.clone(), true)).check();
}
