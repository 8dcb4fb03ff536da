//! Calls on tasks of their own, on an executor that is passed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use crate::sync::{Mutex, MutexGuard, lock};

/// What starts tasks. Every `Fn(SpawnTask<F>)` is one: `|task| { tokio::spawn(task); }`.
pub trait Spawn<F> {
    /// Runs `task` to its end, apart from the caller.
    fn spawn(&self, task: F);
}

impl<F, S: Fn(F)> Spawn<F> for S {
    fn spawn(&self, task: F) {
        self(task);
    }
}

/// The task was dropped by its executor, or panicked; or the service failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError<E> {
    /// The task was dropped, or panicked.
    #[error("the call's task ended without an answer")]
    Lost,
    /// The error of the service inside.
    #[error(transparent)]
    Inner(E),
}

impl<E> SpawnError<E> {
    /// Whether the task was lost.
    pub fn is_lost(&self) -> bool {
        matches!(self, SpawnError::Lost)
    }

    /// The error from inside, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            SpawnError::Lost => None,
            SpawnError::Inner(error) => Some(error),
        }
    }
}

/// Wraps services so that each call runs on a task of its own, on the executor that is passed.
///
/// The calls go on while nobody polls their futures. Dropping the future of a call cancels the call:
/// its task is woken, and drops it at its next turn.
///
/// ```
/// use ziggurat_patterns::{ServiceLayerExt, Service, service::SpawnLayer};
///
/// # smol::block_on(async {
/// let echo = tower::service_fn(|n: u32| async move { Ok::<_, std::fmt::Error>(n) });
/// let mut service = echo.layer(SpawnLayer::new(|task| smol::spawn(task).detach()));
/// assert_eq!(service.call(1).await, Ok(1));
/// # });
/// ```
#[derive(Clone, Copy)]
#[must_use = "layers do nothing unless applied"]
pub struct SpawnLayer<X> {
    executor: X,
}

impl<X> SpawnLayer<X> {
    /// Starts the tasks with `executor`.
    pub fn new(executor: X) -> Self {
        SpawnLayer { executor }
    }
}

impl<X> fmt::Debug for SpawnLayer<X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnLayer").finish_non_exhaustive()
    }
}

impl<S, X: Clone> Layer<S> for SpawnLayer<X> {
    type Service = Spawned<S, X>;

    fn layer(&self, inner: S) -> Spawned<S, X> {
        Spawned { inner, executor: self.executor.clone() }
    }
}

/// A service whose calls run on tasks of their own. Made by [`SpawnLayer`].
#[derive(Clone, Copy)]
pub struct Spawned<S, X> {
    inner: S,
    executor: X,
}

impl<S, X> Spawned<S, X> {
    /// The service inside.
    pub fn into_inner(self) -> S {
        self.inner
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }
}

impl<S: fmt::Debug, X> fmt::Debug for Spawned<S, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spawned").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, X, Request> Service<Request> for Spawned<S, X>
where
    S: Service<Request>,
    X: Spawn<SpawnTask<S::Future, Result<S::Response, S::Error>>>,
{
    type Response = S::Response;
    type Error = SpawnError<S::Error>;
    type Future = SpawnFuture<Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(SpawnError::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let link = Arc::new(Link { state: Mutex::new(State::default()) });
        let answer = Answer { link: Arc::clone(&link) };
        self.executor.spawn(SpawnTask { call: Some(self.inner.call(request)), answer });
        SpawnFuture { link }
    }
}

/// Between a call's task and the future that waits for it.
struct Link<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    answer: Option<T>,
    /// The task is gone; the answer, if there is one, is there.
    ended: bool,
    /// The future is gone.
    cancelled: bool,
    task: Option<Waker>,
    future: Option<Waker>,
}

impl<T> Default for State<T> {
    fn default() -> Self {
        State { answer: None, ended: false, cancelled: false, task: None, future: None }
    }
}

impl<T> Link<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        lock(&self.state)
    }
}

/// The task's end of the link. However it goes, the other end hears of it.
struct Answer<T> {
    link: Arc<Link<T>>,
}

impl<T> Answer<T> {
    /// Leaves the task's waker; false if the future is gone.
    fn is_wanted(&self, cx: &Context<'_>) -> bool {
        let waker = cx.waker().clone();
        let mut state = self.link.state();
        let old = state.task.replace(waker);
        let wanted = !state.cancelled;
        drop(state);
        drop(old);
        wanted
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        let mut state = self.link.state();
        state.ended = true;
        let (task, future) = (state.task.take(), state.future.take());
        drop(state);
        drop(task);
        future.into_iter().for_each(Waker::wake);
    }
}

pin_project! {
    /// The task of a call, for the executor.
    #[must_use = "tasks do nothing unless spawned"]
    pub struct SpawnTask<F, T> {
        // Dropped before the other end hears of it.
        #[pin]
        call: Option<F>,
        answer: Answer<T>,
    }
}

impl<F: Future> Future for SpawnTask<F, F::Output> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let wanted = this.answer.is_wanted(cx);
        let Some(call) = this.call.as_mut().as_pin_mut().filter(|_| wanted) else {
            this.call.set(None);
            return Poll::Ready(());
        };
        let Poll::Ready(answer) = call.poll(cx) else { return Poll::Pending };
        // Before the drop of the call. If that panics, the answer comes when the task is dropped.
        this.answer.link.state().answer = Some(answer);
        this.call.set(None);
        let mut state = this.answer.link.state();
        state.ended = true;
        let future = state.future.take();
        drop(state);
        future.into_iter().for_each(Waker::wake);
        Poll::Ready(())
    }
}

impl<F, T> fmt::Debug for SpawnTask<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnTask").finish_non_exhaustive()
    }
}

/// The future of [`Spawned`]. Dropping it cancels the call.
#[must_use = "dropping it cancels the call"]
pub struct SpawnFuture<T> {
    link: Arc<Link<T>>,
}

impl<T, E> Future for SpawnFuture<Result<T, E>> {
    type Output = Result<T, SpawnError<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let waker = cx.waker().clone();
        let mut state = self.link.state();
        if state.ended {
            let answer = state.answer.take();
            drop(state);
            return Poll::Ready(match answer {
                Some(answer) => answer.map_err(SpawnError::Inner),
                None => Err(SpawnError::Lost),
            });
        }
        let old = state.future.replace(waker);
        drop(state);
        drop(old);
        Poll::Pending
    }
}

impl<T> Drop for SpawnFuture<T> {
    fn drop(&mut self) {
        let mut state = self.link.state();
        state.cancelled = true;
        let (answer, task, future) = (state.answer.take(), state.task.take(), state.future.take());
        drop(state);
        task.into_iter().for_each(Waker::wake);
        drop((answer, future));
    }
}

impl<T> fmt::Debug for SpawnFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpawnFuture").finish_non_exhaustive()
    }
}
