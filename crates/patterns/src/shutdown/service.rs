//! Shutdown of services.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::state::{ABORTED, BEGUN, Watch};
use super::{Refused, ShutdownError, Signal};

/// Wraps services in [`Shutdown`].
///
/// ```
/// use tower::{ServiceExt, service_fn};
/// use ziggurat_patterns::{ServiceLayerExt, service::ShutdownLayer, shutdown};
///
/// # futures::executor::block_on(async {
/// let shutdown = shutdown::Shutdown::new();
/// let stuck = service_fn(|_: u32| std::future::pending::<Result<(), std::io::Error>>());
/// let service = ServiceLayerExt::<u32>::layer(stuck, ShutdownLayer::new(shutdown.signal()));
/// let mut call = service.clone().oneshot(1);
/// assert!(futures::poll!(&mut call).is_pending());
/// shutdown.begin();
/// assert!(service.oneshot(2).await.unwrap_err().is_refused());
/// assert!(futures::poll!(&mut call).is_pending()); // goes on
/// shutdown.abort();
/// assert!(call.await.unwrap_err().is_aborted());
/// # });
/// ```
#[derive(Debug, Clone)]
#[must_use = "layers do nothing unless applied"]
pub struct ShutdownLayer {
    signal: Signal,
}

impl ShutdownLayer {
    /// Refuses calls when the shutdown has begun, and counts those under way.
    pub fn new(signal: Signal) -> Self {
        ShutdownLayer { signal }
    }
}

impl<S> Layer<S> for ShutdownLayer {
    type Service = Shutdown<S>;

    fn layer(&self, inner: S) -> Shutdown<S> {
        Shutdown { inner, signal: self.signal.clone(), watch: self.signal.watch(BEGUN) }
    }
}

/// A service that refuses calls when the shutdown has begun. Made by [`ShutdownLayer`].
///
/// A call is under way until its future completes or is dropped. From the beginning on the service is
/// always ready, to refuse; the service inside is not asked any more.
#[derive(Debug, Clone)]
pub struct Shutdown<S> {
    inner: S,
    signal: Signal,
    watch: Watch,
}

impl<S> Shutdown<S> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: Service<Request>, Request> Service<Request> for Shutdown<S> {
    type Response = S::Response;
    type Error = ShutdownError<S::Error>;
    type Future = ShutdownFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.watch.has(BEGUN) {
            return Poll::Ready(Ok(()));
        }
        let polled = self.inner.poll_ready(cx).map_err(ShutdownError::Inner);
        if polled.is_pending() {
            self.watch.register(cx.waker());
            if self.watch.has(BEGUN) {
                return Poll::Ready(Ok(()));
            }
        }
        polled
    }

    #[inline]
    fn call(&mut self, request: Request) -> Self::Future {
        let mut watch = self.signal.watch(ABORTED);
        let state = match watch.enter() {
            Ok(()) => State::Call { inner: self.inner.call(request), watch },
            Err(refused) => State::Refused { refused },
        };
        ShutdownFuture { state }
    }
}

pin_project! {
    /// The future of [`Shutdown`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ShutdownFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProj]
    #[derive(Debug)]
    enum State<F> {
        Refused { refused: Refused },
        // Dropped in this order: the call is over when it does not count any more.
        Call { #[pin] inner: F, watch: Watch },
        Done,
    }
}

impl<F, Response, Error> Future for ShutdownFuture<F>
where
    F: Future<Output = Result<Response, Error>>,
{
    type Output = Result<Response, ShutdownError<Error>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        let result = match state.as_mut().project() {
            StateProj::Refused { refused } => Err((*refused).into()),
            StateProj::Call { watch, .. } if watch.has(ABORTED) => Err(ShutdownError::Aborted),
            StateProj::Call { inner, watch, .. } => match inner.poll(cx) {
                Poll::Ready(result) => result.map_err(ShutdownError::Inner),
                Poll::Pending => {
                    watch.register(cx.waker());
                    if !watch.has(ABORTED) {
                        return Poll::Pending;
                    }
                    Err(ShutdownError::Aborted)
                }
            },
            StateProj::Done => panic!("the future was polled again after it had completed"),
        };
        state.set(State::Done);
        Poll::Ready(result)
    }
}
