//! Model checks of the host's waker. They run with `RUSTFLAGS="--cfg ziggurat_loom"`.
//!
//! In each model the other side makes something happen and then wakes; the task registers, looks, and
//! sleeps until it is woken. A wake-up that is lost is a task that sleeps forever, which loom reports as
//! a deadlock. What happened is published with relaxed stores only, so that the models also check that
//! a wake carries it along.
#![cfg(ziggurat_loom)]

use std::sync::atomic::{AtomicUsize as StdAtomicUsize, Ordering as StdOrdering};
use std::task::{Context, Wake, Waker};

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;
use ziggurat_zig_ffi::HostWaker;
use ziggurat_zig_ffi::abi::WakerHandle;

/// The handle as the other side keeps it: with a reference of its own.
struct Held(*const WakerHandle);

// SAFETY: a waker's functions may be called from any thread.
unsafe impl Send for Held {}

impl Held {
    fn new(host: &HostWaker) -> Self {
        let handle = host.handle();
        // SAFETY: `host` is alive, and its table is complete.
        unsafe { (*(*handle).vtable).retain.unwrap()(handle) };
        Held(handle)
    }

    fn wake(&self) {
        // SAFETY: we hold a reference.
        unsafe { (*(*self.0).vtable).wake.unwrap()(self.0) }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: our reference, given up here.
        unsafe { (*(*self.0).vtable).release.unwrap()(self.0) }
    }
}

/// A task that polls until it has seen `wanted` events, asleep in between.
fn sees(host: &mut HostWaker, events: &AtomicUsize, wanted: usize) {
    let (task, waker) = task();
    loop {
        host.register(&mut Context::from_waker(&waker));
        if events.load(Ordering::Relaxed) == wanted {
            return;
        }
        task.0.wait();
        // A registration that meets a wake half-way wakes its own task: let the other thread go on.
        thread::yield_now();
    }
}

fn makes(host: &HostWaker, events: &Arc<AtomicUsize>, count: usize) -> thread::JoinHandle<()> {
    let (held, events) = (Held::new(host), events.clone());
    thread::spawn(move || {
        for _ in 0..count {
            events.fetch_add(1, Ordering::Relaxed);
            held.wake();
        }
    })
}

/// Runs a model and prints how many executions were explored. `preemptions` bounds how often a thread
/// is interrupted where it would not wait by itself; `None` explores everything.
fn model(name: &str, preemptions: Option<usize>, f: impl Fn() + Sync + Send + 'static) {
    static EXECUTIONS: StdAtomicUsize = StdAtomicUsize::new(0);
    EXECUTIONS.store(0, StdOrdering::Relaxed);
    let mut builder = loom::model::Builder::new();
    // What LOOM_MAX_PREEMPTIONS says may raise the bound.
    let asked = builder.preemption_bound.unwrap_or(0);
    builder.preemption_bound = preemptions.map(|bound| bound.max(asked));
    builder.check(move || {
        EXECUTIONS.fetch_add(1, StdOrdering::Relaxed);
        f();
    });
    println!("loom: {name}: {} executions", EXECUTIONS.load(StdOrdering::Relaxed));
}

/// A task of its own: asleep until it is notified.
struct Task(Notify);

impl Wake for Task {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.notify();
    }
}

fn task() -> (std::sync::Arc<Task>, Waker) {
    let task = std::sync::Arc::new(Task(Notify::new()));
    (task.clone(), Waker::from(task))
}

/// One test, so that the models' counts are not mixed by parallel runs.
#[test]
fn host_waker_models() {
    model("one wake", None, || {
        let (mut host, events) = (HostWaker::new(), Arc::new(AtomicUsize::new(0)));
        let maker = makes(&host, &events, 1);
        sees(&mut host, &events, 1);
        maker.join().unwrap();
    });

    model("two wakes by one thread, polls in between skip the registration", Some(3), || {
        let (mut host, events) = (HostWaker::new(), Arc::new(AtomicUsize::new(0)));
        let maker = makes(&host, &events, 2);
        sees(&mut host, &events, 2);
        maker.join().unwrap();
    });

    model("two wakers", Some(3), || {
        let (mut host, events) = (HostWaker::new(), Arc::new(AtomicUsize::new(0)));
        let makers = [makes(&host, &events, 1), makes(&host, &events, 1)];
        sees(&mut host, &events, 2);
        makers.into_iter().for_each(|maker| maker.join().unwrap());
    });

    model("the stream moves to another task", Some(3), || {
        let (mut host, events) = (HostWaker::new(), Arc::new(AtomicUsize::new(0)));
        let ((_first, first_waker), (second, second_waker)) = (task(), task());
        let maker = makes(&host, &events, 2);
        // The first task polls once and gives the stream away.
        host.register(&mut Context::from_waker(&first_waker));
        // The second polls until all is there; each poll but the first may skip the registration.
        loop {
            host.register(&mut Context::from_waker(&second_waker));
            if events.load(Ordering::Relaxed) == 2 {
                break;
            }
            second.0.wait();
            thread::yield_now();
        }
        maker.join().unwrap();
    });

    model("a wake after the drop", None, || {
        let (mut host, events) = (HostWaker::new(), Arc::new(AtomicUsize::new(0)));
        let maker = makes(&host, &events, 1);
        let (_task, waker) = task();
        host.register(&mut Context::from_waker(&waker));
        drop(host);
        maker.join().unwrap();
    });
}
