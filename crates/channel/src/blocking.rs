//! Waiting for a future on a thread of one's own.

use std::cell::RefCell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

/// Wakes a thread that is parked for a future.
struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: pairs with the acquire of the parked thread. A second wake needs no system call.
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

/// Polls a future to its end, parking the thread in between.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static CACHE: RefCell<Option<(Arc<Unpark>, Waker)>> = const { RefCell::new(None) };
    }
    // Taken out, so that a future that blocks, too, gets another.
    let cached = CACHE.try_with(|cache| cache.borrow_mut().take()).ok().flatten();
    let (unpark, waker) = cached.unwrap_or_else(|| {
        let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
        let waker = Waker::from(unpark.clone());
        (unpark, waker)
    });
    let mut future = pin!(future);
    let output = loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            break output;
        }
        while !unpark.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    };
    // A wake that is still on its way makes a later poll look once more in vain.
    let _ = CACHE.try_with(|cache| *cache.borrow_mut() = Some((unpark, waker)));
    output
}
