//! Which types are `Send`, `Sync` and `Unpin`, checked as this compiles. As futures' `auto_traits.rs`,
//! but for four parameters at a time: what is pinned is how a type's auto traits depend on its
//! parameter's.

#[macro_use]
mod table;
mod parts;
mod services;
mod streams;

use std::cell::Cell;
use std::future::Future;
use std::marker::{PhantomData, PhantomPinned};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::Stream;
use tower::ServiceBuilder;
use tower::util::{BoxCloneService, BoxCloneSyncService};
use ziggurat_patterns::rate_limit::Quota;
use ziggurat_patterns::retry::Backoff;
use ziggurat_patterns::time::{DefaultTimer, ErasedTimer, Sleep, Timer};
use ziggurat_patterns::{Service, service, shutdown, sink, stream};

type Outcome = Result<(), ()>;

/// A stream, service and future with the auto traits of `M`.
struct Of<M>(PhantomData<M>);

type All = Of<()>;
type NotSync = Of<Cell<()>>;
/// Nor `Sync`.
type NotSend = Of<*const ()>;
type NotUnpin = Of<PhantomPinned>;

impl<M> Future for Of<M> {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Pending
    }
}

impl<M> Stream for Of<M> {
    type Item = Outcome;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Outcome>> {
        Poll::Pending
    }
}

impl<M, R> Service<R> for Of<M> {
    type Response = ();
    type Error = ();
    type Future = Self;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Pending
    }

    fn call(&mut self, _: R) -> Self {
        Of(PhantomData)
    }
}

/// A stream with all the auto traits, whatever its items are.
struct Yields<I>(PhantomData<fn() -> I>);

impl<I> Stream for Yields<I> {
    type Item = I;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I>> {
        Poll::Pending
    }
}

type TryYields<I> = Yields<Result<I, ()>>;
type Fails<E> = Yields<Result<(), E>>;

/// A service with all the auto traits, whatever its futures are.
struct Serves<F>(PhantomData<fn() -> F>);

impl<F> Clone for Serves<F> {
    fn clone(&self) -> Self {
        Serves(PhantomData)
    }
}

impl<F: Future<Output = Outcome>, R> Service<R> for Serves<F> {
    type Response = ();
    type Error = ();
    type Future = F;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Outcome> {
        Poll::Pending
    }

    fn call(&mut self, _: R) -> F {
        unreachable!("nothing runs here")
    }
}

/// A timer with sleeps that have the auto traits of `M`.
struct Ticks<M>(PhantomData<fn() -> M>);

struct Tick<M>(PhantomData<M>);

impl<M> Clone for Ticks<M> {
    fn clone(&self) -> Self {
        Ticks(PhantomData)
    }
}

impl<M: Send + 'static> Timer for Ticks<M> {
    type Sleep = Tick<M>;

    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep_until(&self, _: Instant) -> Tick<M> {
        Tick(PhantomData)
    }
}

impl<M> Future for Tick<M> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl<M: Send> Sleep for Tick<M> {
    fn reset(self: Pin<&mut Self>, _: Instant) {}
}

/// A stack of all the service layers that fit upon one another, as a router wants it: `Clone`, `Send` and
/// `Sync`, with futures that need be no more than `Send`.
#[test]
fn stacks() {
    let timer = ErasedTimer::new(DefaultTimer);
    let quota = Quota::per_second(9.try_into().expect("not zero"));
    let one = std::num::NonZeroUsize::MIN;
    let stack = || {
        ServiceBuilder::new()
            .layer(service::InstrumentLayer::new("stack"))
            .layer(service::ShutdownLayer::new(shutdown::Shutdown::new().signal()))
            .layer(service::LoadShedLayer::new())
            .layer(service::BulkheadLayer::new(one, 1))
            .layer(service::RateLimitLayer::new(quota).with_timer(timer.clone()))
            .layer(service::ConcurrencyLimitLayer::new(one))
            .layer(service::RetryLayer::new(Backoff::none()))
            .layer(service::TimeoutLayer::new(std::time::Duration::MAX))
            .service(Serves::<NotSync>(PhantomData))
    };
    let _ = BoxCloneService::<(), _, _>::new(stack());
    let _ = BoxCloneSyncService::<(), _, _>::new(stack());
}

/// Layers can be printed whatever closures they hold.
#[test]
fn closures_do_not_hide_a_layer() {
    fn printed(layer: &dyn std::fmt::Debug) {
        assert!(!format!("{layer:?}").is_empty());
    }
    let one = std::num::NonZeroUsize::MIN;
    let quota = Quota::per_second(9.try_into().expect("not zero"));
    let weigh = |n: &u32| *n;
    printed(&stream::RateLimitLayer::new(quota).weighted(weigh));
    printed(&service::RateLimitLayer::new(quota).weighted(weigh));
    printed(&service::RateLimitLayer::new(quota).by_key::<_, u32>(weigh));
    printed(&sink::RateLimitLayer::new(quota).weighted(weigh));
    printed(&service::KeyedBulkheadLayer::new(weigh, one, 1));
    printed(&service::RetryLayer::new(Backoff::none()).when(|_: &u32| true));
    printed(&service::HedgeLayer::new(std::time::Duration::MAX).requests(|n: &u32| Some(*n)));
    printed(&service::InstrumentLayer::new("one").bytes(|_: &u32| 1));
    printed(&service::DeadlineLayer::new(|_: &u32| None::<Instant>));
    printed(&stream::BatchLayer::weight(1, |_: &u32| 1));
    printed(&sink::BatchLayer::<u32>::count(one).with_weight(1, |_: &u32| 1));
    printed(&stream::TryBatchLayer::new(stream::BatchLayer::weight(1, |_: &u32| 1)));
    printed(
        &stream::DedupeLayer::<ziggurat_patterns::dedupe::Recent<u32>>::recent(one).by_key(weigh),
    );
    printed(&stream::GroupByLayer::new(weigh, one, one));
    let batches = stream::BatchLayer::weight(1, |_: &u32| 1);
    printed(&service::ResponseStreamLayer::new(batches));
}
