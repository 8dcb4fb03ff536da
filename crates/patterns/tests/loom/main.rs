//! Model checks of what this crate does with atomics and locks. They run with
//! `RUSTFLAGS="--cfg ziggurat_loom"`.
#![cfg(ziggurat_loom)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

mod broadcast;
mod buffer;
mod concurrency;
mod rate_limit;
mod retry;
mod shutdown;
mod wake_set;

/// Runs a model and prints how many executions were explored. Bounded, because the full number of
/// interleavings is in the millions: so many preemptions unless `LOOM_MAX_PREEMPTIONS` says otherwise.
fn model(name: &str, preemptions: usize, f: impl Fn() + Send + Sync + 'static) {
    let executions = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&executions);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.check(move || {
        counter.fetch_add(1, Ordering::Relaxed);
        f();
    });
    println!("loom: {name}: {} executions", executions.load(Ordering::Relaxed));
}
