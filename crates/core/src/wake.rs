//! Wakers by number: 64 of them in one allocation.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::sync::Arc;
use std::task::{RawWaker, RawWakerVTable, Waker};

/// What is woken by number.
pub trait WakeByNumber: Send + Sync + 'static {
    /// A waker with this number, which is less than [`WakerBlock::WAKERS`], was woken. Any thread may
    /// call this, and it must not panic.
    fn wake(&self, number: usize);
}

/// 64 wakers of one target, which differ by their numbers.
///
/// As [`Wake`](std::task::Wake), for who has many children and tells them apart. A waker of each child's own
/// is an allocation of its own, and a cache line that every wake has to fetch. Here 64 children share
/// both: a waker is the address of the block plus its number.
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::sync::Arc;
/// use ziggurat_core::wake::{WakeByNumber, WakerBlock};
///
/// struct Woken(Arc<AtomicU64>);
///
/// impl WakeByNumber for Woken {
///     fn wake(&self, number: usize) {
///         self.0.fetch_or(1 << number, Ordering::AcqRel);
///     }
/// }
///
/// let woken = Arc::new(AtomicU64::new(0));
/// let block = WakerBlock::new(Woken(woken.clone()));
/// let seven = block.waker(7).clone(); // outlives the block, and then has what it needs
/// drop(block);
/// seven.wake();
/// assert_eq!(woken.load(Ordering::Acquire), 1 << 7);
/// ```
pub struct WakerBlock<T> {
    block: Arc<Block<T>>,
}

/// At least as large as it is aligned, so the address of each of its first bytes is an address within it,
/// and leads back to its start.
#[repr(C, align(64))]
struct Block<T> {
    target: T,
    /// The table of each of its wakers. A constant's address may be another one in each unit that the
    /// compiler makes, and [`Waker::will_wake`] compares it.
    vtable: &'static RawWakerVTable,
}

impl<T: WakeByNumber> WakerBlock<T> {
    /// How many wakers there are in a block.
    pub const WAKERS: usize = 64;

    const VTABLE: RawWakerVTable =
        RawWakerVTable::new(raw::clone::<T>, raw::wake::<T>, raw::wake_by_ref::<T>, raw::drop::<T>);

    /// The wakers that wake `target`.
    pub fn new(target: T) -> Self {
        WakerBlock { block: Arc::new(Block { target, vtable: &Self::VTABLE }) }
    }

    /// The waker with this number. Nothing is counted or allocated before it is cloned, and what is
    /// made of the same number is the same waker ([`Waker::will_wake`]).
    ///
    /// # Panics
    ///
    /// When there is no such number.
    #[inline]
    pub fn waker(&self, number: usize) -> WakerRef<'_> {
        assert!(number < Self::WAKERS, "a block has no waker with the number {number}");
        let data = Arc::as_ptr(&self.block).cast::<()>().wrapping_byte_add(number);
        // SAFETY: the table's functions are called with `data`: an address among the first 64 bytes of a
        // `Block<T>` in an `Arc`, as they demand. They work from any thread, because `T` is `Send +
        // Sync`. The count that this waker would own is the one of `self`, which outlives it; it is
        // never dropped, and its clones have counts of their own.
        let waker = unsafe { Waker::from_raw(RawWaker::new(data, self.block.vtable)) };
        WakerRef { waker: ManuallyDrop::new(waker), block: PhantomData }
    }

    /// What is woken.
    #[inline]
    pub fn target(&self) -> &T {
        &self.block.target
    }
}

impl<T: WakeByNumber + Default> Default for WakerBlock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> fmt::Debug for WakerBlock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WakerBlock").finish_non_exhaustive()
    }
}

/// A waker that is borrowed from its [`WakerBlock`]. Its clones are not.
#[derive(Debug)]
pub struct WakerRef<'a> {
    waker: ManuallyDrop<Waker>,
    block: PhantomData<&'a ()>,
}

impl Deref for WakerRef<'_> {
    type Target = Waker;

    #[inline]
    fn deref(&self) -> &Waker {
        &self.waker
    }
}

/// The functions of the table. `data` is the address of one of the first 64 bytes of a `Block<T>`, with
/// the provenance of `Arc::as_ptr`, which is also what `Arc::into_raw` returns. Those that take a waker
/// over take a count of the `Arc` over with it.
mod raw {
    use super::{Arc, Block, RawWaker, WakeByNumber};

    fn start<T>(data: *const ()) -> *const Block<T> {
        data.map_addr(|address| address & !(align_of::<Block<T>>() - 1)).cast()
    }

    fn number<T>(data: *const ()) -> usize {
        data.addr() % align_of::<Block<T>>()
    }

    pub(super) unsafe fn clone<T: WakeByNumber>(data: *const ()) -> RawWaker {
        // SAFETY: the waker that is cloned stands for a count, so there is one; the new one is the
        // clone's.
        unsafe { Arc::increment_strong_count(start::<T>(data)) };
        // SAFETY: as above.
        let vtable = unsafe { (*start::<T>(data)).vtable };
        RawWaker::new(data, vtable)
    }

    pub(super) unsafe fn wake<T: WakeByNumber>(data: *const ()) {
        // SAFETY: the waker's count is taken over.
        let block = unsafe { Arc::from_raw(start::<T>(data)) };
        block.target.wake(number::<T>(data));
    }

    pub(super) unsafe fn wake_by_ref<T: WakeByNumber>(data: *const ()) {
        // SAFETY: the waker's count keeps the block alive until this returns.
        let block = unsafe { &*start::<T>(data) };
        block.target.wake(number::<T>(data));
    }

    pub(super) unsafe fn drop<T: WakeByNumber>(data: *const ()) {
        // SAFETY: the waker's count is given up.
        unsafe { Arc::decrement_strong_count(start::<T>(data)) };
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread;

    use super::{WakeByNumber, WakerBlock};

    /// Says which were woken, and whether it is gone.
    #[derive(Default)]
    struct Log {
        woken: Mutex<Vec<usize>>,
        drops: AtomicUsize,
    }

    struct Target<P>(Arc<Log>, P);

    impl<P: Send + Sync + 'static> WakeByNumber for Target<P> {
        fn wake(&self, number: usize) {
            self.0.woken.lock().unwrap().push(number);
        }
    }

    impl<P> Drop for Target<P> {
        fn drop(&mut self) {
            self.0.drops.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn each_is_itself<P: Send + Sync + 'static>(pad: P) {
        let log = Arc::new(Log::default());
        let block = WakerBlock::new(Target(Arc::clone(&log), pad));
        for number in 0..64 {
            block.waker(number).wake_by_ref();
            let owned = block.waker(number).clone();
            owned.wake();
            assert!(block.waker(number).will_wake(&block.waker(number).clone()));
            assert!(!block.waker(number).will_wake(&block.waker((number + 1) % 64)));
        }
        let expected: Vec<_> = (0..64).flat_map(|number| [number, number]).collect();
        assert_eq!(*log.woken.lock().unwrap(), expected);
        drop(block);
        assert_eq!(log.drops.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn each_waker_is_itself_whatever_the_targets_size() {
        each_is_itself(());
        each_is_itself([0_u8; 47]);
        each_is_itself([0_u64; 100]);
    }

    struct Nothing;

    impl WakeByNumber for Nothing {
        fn wake(&self, number: usize) {
            assert_eq!(number, 63);
        }
    }

    #[test]
    fn a_target_may_have_no_size() {
        let waker = WakerBlock::new(Nothing).waker(63).clone();
        waker.wake_by_ref();
        waker.wake();
    }

    #[test]
    #[should_panic(expected = "a block has no waker with the number 64")]
    fn there_is_no_sixty_fifth() {
        let _ = WakerBlock::new(Nothing).waker(64);
    }

    #[test]
    fn the_last_of_all_frees_the_target_on_any_thread() {
        let log = Arc::new(Log::default());
        let block = WakerBlock::new(Target(Arc::clone(&log), ()));
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let wakers: Vec<_> =
                    (0..16).map(|n| block.waker(16 * thread + n).clone()).collect();
                thread::spawn(move || {
                    for waker in wakers {
                        let clone = waker.clone();
                        clone.wake();
                        waker.wake_by_ref();
                        drop(waker.clone());
                        waker.wake();
                    }
                })
            })
            .collect();
        drop(block);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let mut woken = std::mem::take(&mut *log.woken.lock().unwrap());
        woken.sort_unstable();
        assert!(woken.into_iter().eq((0..64).flat_map(|number| [number; 3])));
        assert_eq!(log.drops.load(Ordering::Relaxed), 1);
    }
}
