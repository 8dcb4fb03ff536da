//! The latest value: senders replace it, receivers see that it has changed and what it is now.
//!
//! Values that no receiver has looked at in time are gone: that is what it is for.
//!
//! ```
//! # futures_lite::future::block_on(async {
//! let (s, mut r) = ziggurat_channel::watch::channel(1);
//! assert_eq!(*r.borrow(), 1);
//! s.send(2).unwrap();
//! s.send(3).unwrap();
//! assert_eq!(r.changed().await, Ok(()));
//! assert_eq!(*r.borrow_and_update(), 3);
//! drop(s);
//! assert!(r.changed().await.is_err());
//! # });
//! ```

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::SendError;
use crate::error::Closed;
use crate::sync::{Arc, AtomicU64, AtomicUsize, Ordering, RwLock, RwLockReadGuard};
use crate::wait::{Key, Queue};

/// In the version: all senders are gone.
const CLOSED: u64 = 1;
/// The distance between versions.
const NEXT: u64 = 2;

struct Shared<T> {
    value: RwLock<T>,
    /// Changes under the lock of `value`.
    version: AtomicU64,
    /// Receivers that wait for a change.
    changed: Queue,
    /// Senders that wait for the last receiver to go.
    abandoned: Queue,
    senders: AtomicUsize,
    receivers: AtomicUsize,
}

/// A channel that holds one value, `initial` at first, which counts as seen.
pub fn channel<T>(initial: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        value: RwLock::new(initial),
        version: AtomicU64::new(0),
        changed: Queue::new(),
        abandoned: Queue::new(),
        senders: AtomicUsize::new(1),
        receivers: AtomicUsize::new(1),
    });
    (Sender { shared: shared.clone() }, Receiver { shared, seen: 0 })
}

/// The value, borrowed. While one is alive, senders wait: keep it short, and never across an await.
pub struct Ref<'a, T>(RwLockReadGuard<'a, T>);

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Ref<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> Shared<T> {
    fn read(&self) -> Ref<'_, T> {
        Ref(self.value.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Changes the value, and says so if `change` says that it has.
    fn write<R>(&self, change: impl FnOnce(&mut T) -> (bool, R)) -> R {
        let mut value = self.value.write().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (changed, result) = change(&mut value);
        if changed {
            // Release: whoever sees the version waits for the lock, and sees the value.
            self.version.fetch_add(NEXT, Ordering::Release);
        }
        drop(value);
        if changed {
            self.changed.wake(usize::MAX);
        }
        result
    }
}

/// The sending end. When the last clone is dropped, receivers see the end.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Replaces the value.
    ///
    /// # Errors
    ///
    /// When there is no receiver. The error gives the new value back, and the old one stays.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        if self.is_closed() {
            return Err(SendError(value));
        }
        drop(self.send_replace(value));
        Ok(())
    }

    /// Replaces the value, even if there is no receiver, and returns the old one.
    pub fn send_replace(&self, value: T) -> T {
        self.shared.write(|old| (true, std::mem::replace(old, value)))
    }

    /// Changes the value in place, under the lock. A panic in `change` leaves what it has done so far,
    /// and receivers are not told.
    pub fn send_modify(&self, change: impl FnOnce(&mut T)) {
        self.shared.write(|value| (true, change(value)));
    }

    /// Changes the value in place, under the lock; `change` returns whether it has, and so does this.
    pub fn send_if_modified(&self, change: impl FnOnce(&mut T) -> bool) -> bool {
        self.shared.write(|value| {
            let changed = change(value);
            (changed, changed)
        })
    }

    /// The value as it is.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.read()
    }

    /// Another receiver, for which the present value counts as seen.
    pub fn subscribe(&self) -> Receiver<T> {
        // Relaxed: a count gives access to nothing.
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        let seen = self.shared.version.load(Ordering::Acquire) & !CLOSED;
        Receiver { shared: self.shared.clone(), seen }
    }

    /// The number of receivers.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.load(Ordering::Acquire)
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Completes when there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn closed(&self) {
        Until { queue: &self.shared.abandoned, key: None, done: || self.is_closed().then_some(()) }
            .await;
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Sender { shared: self.shared.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // AcqRel: what the other senders did comes before the end.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.version.fetch_or(CLOSED, Ordering::Release);
            self.shared.changed.wake(usize::MAX);
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// The receiving end.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The version that was seen last.
    seen: u64,
}

impl<T> Receiver<T> {
    /// The value as it is. It does not count as seen by this.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.read()
    }

    /// The value as it is, which counts as seen.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.read();
        // Under the lock, so that it is this value's version.
        self.seen = self.shared.version.load(Ordering::Acquire) & !CLOSED;
        value
    }

    /// Whether there is a value that has not been seen.
    ///
    /// # Errors
    ///
    /// When all senders are gone and there is none.
    pub fn has_changed(&self) -> Result<bool, Closed> {
        match self.shared.version.load(Ordering::Acquire) {
            version if version & !CLOSED != self.seen => Ok(true),
            version if version & CLOSED != 0 => Err(Closed),
            _ => Ok(false),
        }
    }

    /// Waits for a value that has not been seen, which then counts as seen.
    ///
    /// # Errors
    ///
    /// When all senders are gone and the last value has been seen.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        let changed = || match self.has_changed() {
            Ok(false) => None,
            Ok(true) => Some(Ok(())),
            Err(closed) => Some(Err(closed)),
        };
        let result = Until { queue: &self.shared.changed, key: None, done: changed }.await;
        if result.is_ok() {
            self.seen = self.shared.version.load(Ordering::Acquire) & !CLOSED;
        }
        result
    }

    /// Waits until the value fulfils a condition. That value counts as seen; it may have been replaced
    /// again by the time that this completes.
    ///
    /// # Errors
    ///
    /// When all senders are gone and the last value does not.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped; values that did not fulfil it count as seen.
    pub async fn wait_for(&mut self, mut condition: impl FnMut(&T) -> bool) -> Result<(), Closed> {
        while !condition(&self.borrow_and_update()) {
            self.changed().await?;
        }
        Ok(())
    }
}

impl<T> Clone for Receiver<T> {
    /// The clone has seen what this one has seen.
    fn clone(&self) -> Self {
        self.shared.receivers.fetch_add(1, Ordering::Relaxed);
        Receiver { shared: self.shared.clone(), seen: self.seen }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.shared.receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.abandoned.wake(usize::MAX);
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

/// Waits in a queue until `done` says something.
struct Until<'a, F> {
    queue: &'a Queue,
    key: Option<Key>,
    done: F,
}

impl<F> Unpin for Until<'_, F> {}

impl<R, F: FnMut() -> Option<R>> Future for Until<'_, F> {
    type Output = R;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<R> {
        let Until { queue, key, done } = self.get_mut();
        if let Some(result) = done() {
            return Poll::Ready(result);
        }
        queue.park(key, cx.waker());
        done().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<F> Drop for Until<'_, F> {
    fn drop(&mut self) {
        // Everybody is woken at once, so that there is nothing to pass on.
        self.queue.unpark(&mut self.key, true);
    }
}
