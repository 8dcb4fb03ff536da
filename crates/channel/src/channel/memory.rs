//! What a channel is made of and how it goes: the memory of each kind.

use std::marker::PhantomData;

use super::Channel;
use crate::inspect;
use crate::layout::Header;
use crate::ring::{Rings, bounded, row, unbounded};
use crate::sync::{AtomicPtr, AtomicUsize};
use crate::wait::Queue;
use crate::waiters::Waiters;

/// What a channel has of its items' type. An end's type stays as it is, lifetimes included: otherwise a
/// sender of `&'static str` could be used as one of `&'a str`, and its receiver would take what it
/// receives for `&'static str`.
///
/// ```compile_fail
/// use ziggurat_channel::Sender;
/// fn shorten<'a>(long: Sender<&'static str>, _: &'a str) -> Sender<&'a str> {
///     long
/// }
/// ```
/// ```compile_fail
/// use ziggurat_channel::WeakSender;
/// fn shorten<'a>(long: WeakSender<&'static str>, _: &'a str) -> WeakSender<&'a str> {
///     long
/// }
/// ```
/// ```compile_fail
/// use ziggurat_channel::Receiver;
/// fn shorten<'a>(long: Receiver<&'static str>, _: &'a str) -> Receiver<&'a str> {
///     long
/// }
/// ```
/// ```compile_fail
/// use ziggurat_channel::WeakReceiver;
/// fn shorten<'a>(long: WeakReceiver<&'static str>, _: &'a str) -> WeakReceiver<&'a str> {
///     long
/// }
/// ```
/// ```compile_fail
/// use ziggurat_channel::spsc::Sender;
/// fn shorten<'a>(long: Sender<&'static str>, _: &'a str) -> Sender<&'a str> {
///     long
/// }
/// ```
/// ```compile_fail
/// use ziggurat_channel::spsc::Receiver;
/// fn shorten<'a>(long: Receiver<&'static str>, _: &'a str) -> Receiver<&'a str> {
///     long
/// }
/// ```
pub(crate) type Items<T> = PhantomData<(T, fn(T) -> T)>;

/// The memory of the slots, which is freed even if an item's drop panics.
#[repr(C)]
pub(super) struct Memory<T> {
    pub(super) own: Own,
    free: unsafe fn(&Header, &Own),
    _items: Items<T>,
}

/// What an engine keeps to itself, and no peer sees.
#[derive(Default)]
pub(super) struct Own {
    /// Of linked segments: an empty one, or null.
    pub(super) spare: AtomicPtr<u8>,
    /// Of a row.
    pub(super) rings: Option<Box<Rings>>,
}

impl<T> Channel<T> {
    pub(crate) fn bounded(capacity: usize) -> Self {
        Self::new(bounded::make::<T>(capacity), Own::default(), |header, _| {
            // SAFETY: called once, with the header made here.
            unsafe { bounded::free::<T>(header) }
        })
    }

    /// A bounded channel that has moved `laps` times its capacity already.
    #[cfg(all(test, not(ziggurat_loom)))]
    pub(crate) fn bounded_at(capacity: usize, laps: u64) -> Self {
        Self::new(bounded::make_at::<T>(capacity, laps), Own::default(), |header, _| {
            // SAFETY: as above.
            unsafe { bounded::free::<T>(header) }
        })
    }

    pub(crate) fn unbounded() -> Self {
        Self::new(unbounded::make::<T>(), Own::default(), |header, own| {
            // SAFETY: as above.
            unsafe { unbounded::free::<T>(header, &own.spare) }
        })
    }

    pub(crate) fn growable(capacity: usize) -> Self {
        let rings = Rings::new::<T>(capacity);
        let header = row::make::<T>(&rings);
        let own = Own { rings: Some(rings), ..Own::default() };
        Self::new(header, own, |_, own| {
            let Some(rings) = &own.rings else { return };
            // SAFETY: as above.
            unsafe { row::free::<T>(rings) }
        })
    }

    fn new(header: Header, own: Own, free: unsafe fn(&Header, &Own)) -> Self {
        Channel {
            header,
            waiters: Waiters::new(),
            closed: Queue::new(),
            sender_count: AtomicUsize::new(1),
            receiver_count: AtomicUsize::new(1),
            memory: Memory { own, free, _items: PhantomData },
        }
    }

    /// The ring of a number, of a row; null if there is none. With `make` it may be the next one to come.
    #[cfg(feature = "zig")]
    pub(crate) fn ring_of(&self, number: u64, make: bool) -> *mut u8 {
        let Some(rings) = &self.memory.own.rings else { return std::ptr::null_mut() };
        if make { rings.make::<T>(number) } else { rings.get(number) }
    }

    /// Drops what is left. An item whose drop panics does not keep the others.
    fn drop_items(&self) {
        struct Rest<'a, T>(&'a Channel<T>);
        impl<T> Drop for Rest<'_, T> {
            fn drop(&mut self) {
                self.0.drop_items();
            }
        }
        let drop_one = |item| {
            let rest = Rest(self);
            drop(item);
            std::mem::forget(rest);
        };
        let Some(row) = self.row() else {
            while let Ok(item) = self.pop() {
                drop_one(item);
            }
            return;
        };
        // Those, too, that a peer has made receivers skip.
        for ring in row.rings() {
            while let Ok(claim) = ring.claim_pop(1) {
                let item = ring.drain_one(claim);
                if inspect::passes(&self.header, &item) {
                    drop_one(item);
                } else {
                    std::mem::forget(item);
                }
            }
        }
    }
}

impl<T> Drop for Channel<T> {
    fn drop(&mut self) {
        struct Free<'a, T>(&'a Channel<T>);
        impl<T> Drop for Free<'_, T> {
            fn drop(&mut self) {
                let memory = &self.0.memory;
                // SAFETY: the last use of the header that was made along with this function.
                unsafe { (memory.free)(&self.0.header, &memory.own) }
            }
        }
        let _free = Free(self);
        self.drop_items();
    }
}
