//! The same test under each executor: bare `block_on`, smol, async-std, and both kinds of tokio.

#![allow(dead_code)] // each test uses one of them

use std::future::Future;
use std::pin::Pin;

/// Runs what `make` makes, as a task where that is what the executor is for. Returns what comes of each.
pub fn on_every_executor<T, F>(make: impl Fn() -> F) -> [T; 5]
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let current = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    [
        futures::executor::block_on(make()),
        smol::block_on(smol::spawn(make())),
        async_std::task::block_on(async_std::task::spawn(make())),
        current.block_on(async { tokio::spawn(make()).await.unwrap() }),
        multi.block_on(async { tokio::spawn(make()).await.unwrap() }),
    ]
}

/// A task for [`with_every_spawner`].
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs `crowd` under each executor, with what starts tasks there; under bare `block_on`, a thread each.
pub fn with_every_spawner<F: Future<Output = ()>>(crowd: impl Fn(fn(Task)) -> F) {
    futures::executor::block_on(crowd(|task| {
        std::thread::spawn(|| futures::executor::block_on(task));
    }));
    smol::block_on(crowd(|task| smol::spawn(task).detach()));
    async_std::task::block_on(crowd(|task| drop(async_std::task::spawn(task))));
    let current = tokio::runtime::Builder::new_current_thread().build().unwrap();
    current.block_on(crowd(|task| drop(tokio::spawn(task))));
    let multi = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    multi.block_on(crowd(|task| drop(tokio::spawn(task))));
}

/// Starts a task with what [`with_every_spawner`] gives, and waits for what comes of it.
pub fn join<F>(spawn: fn(Task), future: F) -> impl Future<Output = F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    let (sender, receiver) = futures::channel::oneshot::channel();
    spawn(Box::pin(async move { drop(sender.send(future.await)) }));
    async { receiver.await.expect("the task ends") }
}
