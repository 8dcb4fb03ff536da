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

mod stream;

use std::fmt;
use std::ops::Deref;

pub use self::stream::WatchStream;
use crate::SendError;
use crate::error::Closed;
use crate::sync::{Arc, AtomicU64, AtomicUsize, Ordering, RwLock, RwLockReadGuard};
use crate::wait::{Queue, Until};

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
    let sender = Sender::new(initial);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// The value, borrowed. While one is alive, senders wait: keep it short, and never across an await.
///
/// A thread that holds one must neither send into the channel nor borrow from it again: the first waits
/// for itself, the second may wait for a sender that waits for it.
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

    /// The version as receivers count it.
    fn version(&self) -> u64 {
        // Acquire: pairs with the release of whoever changed it.
        self.version.load(Ordering::Acquire) & !CLOSED
    }

    fn has_changed(&self, seen: u64) -> Result<bool, Closed> {
        // Acquire: as above.
        match self.version.load(Ordering::Acquire) {
            version if version & !CLOSED != seen => Ok(true),
            version if version & CLOSED != 0 => Err(Closed),
            _ => Ok(false),
        }
    }

    async fn changed(&self, seen: &mut u64) -> Result<(), Closed> {
        let changed = || match self.has_changed(*seen) {
            Ok(false) => None,
            Ok(true) => Some(Ok(())),
            Err(closed) => Some(Err(closed)),
        };
        Until::new(&self.changed, changed).await?;
        *seen = self.version();
        Ok(())
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
    /// A sender without receivers, which [`subscribe`](Self::subscribe) makes.
    ///
    /// ```
    /// let s = ziggurat_channel::watch::Sender::new(1);
    /// assert!(s.is_closed());
    /// assert_eq!(s.send_replace(2), 1);
    /// assert_eq!(*s.subscribe().borrow(), 2);
    /// ```
    pub fn new(initial: T) -> Self {
        let shared = Shared {
            value: RwLock::new(initial),
            version: AtomicU64::new(0),
            changed: Queue::new(),
            abandoned: Queue::new(),
            senders: AtomicUsize::new(1),
            receivers: AtomicUsize::new(0),
        };
        Sender { shared: Arc::new(shared) }
    }

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
        Receiver { shared: self.shared.clone(), seen: self.shared.version() }
    }

    /// The number of receivers.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.load(Ordering::Acquire)
    }

    /// The number of senders.
    pub fn sender_count(&self) -> usize {
        self.shared.senders.load(Ordering::Acquire)
    }

    /// Whether both send into the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
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
        Until::new(&self.shared.abandoned, || self.is_closed().then_some(())).await;
    }
}

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Sender::new(T::default())
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
        self.seen = self.shared.version();
        value
    }

    /// Whether there is a value that has not been seen.
    ///
    /// # Errors
    ///
    /// When all senders are gone and there is none.
    pub fn has_changed(&self) -> Result<bool, Closed> {
        self.shared.has_changed(self.seen)
    }

    /// Makes the present value count as not seen.
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (_s, mut r) = ziggurat_channel::watch::channel(1);
    /// r.mark_changed();
    /// assert_eq!(r.changed().await, Ok(())); // at once
    /// # });
    /// ```
    pub fn mark_changed(&mut self) {
        self.seen = self.seen.wrapping_sub(NEXT);
    }

    /// Makes the present value count as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = self.shared.version();
    }

    /// Whether both receive from the same channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
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
        self.shared.changed(&mut self.seen).await
    }

    /// Waits until the value fulfils a condition, and returns that value, which counts as seen. A value
    /// that fulfils it at once counts, too, even if it has been seen.
    ///
    /// # Errors
    ///
    /// When all senders are gone and the last value does not.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped; values that did not fulfil it count as seen.
    ///
    /// # Examples
    ///
    /// ```
    /// # futures_lite::future::block_on(async {
    /// let (s, mut r) = ziggurat_channel::watch::channel(1);
    /// s.send(5).unwrap();
    /// assert_eq!(*r.wait_for(|value| *value > 3).await.unwrap(), 5);
    /// # });
    /// ```
    pub async fn wait_for(
        &mut self,
        mut condition: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, Closed> {
        let Receiver { shared, seen } = self;
        loop {
            {
                let value = shared.read();
                // Under the lock, as above.
                *seen = shared.version();
                if condition(&value) {
                    return Ok(value);
                }
            }
            shared.changed(seen).await?;
        }
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
