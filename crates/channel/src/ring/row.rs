//! The many-to-many queue without a bound that both languages can work on: a row of bounded rings, each
//! twice as large as the one before.
//!
//! The layout and the algorithm are described in [`layout`](crate::layout), kind 4. Rings have numbers
//! in the shared memory, and addresses only here, in [`Rings`], so that whatever a peer writes there,
//! nothing but a ring is ever looked at.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr;

use super::bounded::{Bounded, Claim, Shape};
use super::{Miss, Slot};
use crate::fence;
use crate::layout::{
    CLOSED, FAULT_POSITION, Header, KIND_GROWABLE, ONE, POSITION, ROW_MOST, ReceiversLine,
    SendersLine,
};
use crate::sync::{AtomicPtr, AtomicU64, Backoff, Mutex, Ordering, lock};

/// Slots of the largest ring: a quarter of the positions, as for one that is alone.
const LARGEST: u64 = 1 << 46;

/// A ring: its words, each on a line of its own, and its slots.
#[repr(C)]
struct Ring<T> {
    tail: SendersLine,
    head: ReceiversLine,
    slots: [Slot<T>; 0],
}

/// As the table in `layout` has it. (Loom's atomics are larger.)
#[cfg(all(target_pointer_width = "64", not(ziggurat_loom)))]
const _: () = {
    assert!(offset_of!(Ring<u64>, head) == 128);
    assert!(offset_of!(Ring<u64>, slots) == 256 && size_of::<Ring<u64>>() == 256);
};

impl<T> Ring<T> {
    /// What a ring with so many slots takes, if there can be such a ring.
    fn layout(capacity: u64) -> Option<Layout> {
        let slots = size_of::<Slot<T>>().checked_mul(usize::try_from(capacity).ok()?)?;
        let size = offset_of!(Ring<T>, slots).checked_add(slots)?;
        Layout::from_size_align(size, align_of::<Self>()).ok().filter(|_| capacity <= LARGEST)
    }

    /// An empty ring.
    fn make(capacity: u64, layout: Layout) -> *mut u8 {
        // SAFETY: a ring is not empty.
        let ring = unsafe { alloc(layout) };
        if ring.is_null() {
            handle_alloc_error(layout);
        }
        let (tail, head) = (SendersLine::new(), ReceiversLine::new());
        let this = ring.cast::<Self>();
        // SAFETY: allocated just now, with so many slots at its end.
        unsafe {
            (&raw mut (*this).tail).write(tail);
            (&raw mut (*this).head).write(head);
            let slots = (&raw mut (*this).slots).cast::<Slot<T>>();
            for i in 0..capacity {
                slots.add(i as usize).write(Slot::new(i * ONE));
            }
        }
        ring
    }
}

/// The addresses of a channel's rings, which no peer sees. Each is set once, and a ring stays where it is
/// for as long as the channel.
pub(crate) struct Rings {
    /// Slots of the first one: a power of two.
    first: u64,
    rings: [AtomicPtr<u8>; ROW_MOST],
    /// So that no ring is made twice: the larger ones are worth waiting for.
    making: Mutex<()>,
}

impl Rings {
    /// With the first ring, which has room for `capacity` items.
    pub(crate) fn new<T>(capacity: usize) -> Box<Self> {
        let first = (capacity as u64).checked_next_power_of_two().unwrap_or(u64::MAX);
        let rings = std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut()));
        let rings = Box::new(Rings { first, rings, making: Mutex::new(()) });
        assert!(!rings.make::<T>(0).is_null(), "capacity overflow");
        rings
    }

    /// Slots of a ring that is there.
    #[inline(always)]
    fn capacity(&self, number: u64) -> u64 {
        self.first << number
    }

    /// The ring of a number; null if there is none.
    #[inline(always)]
    pub(crate) fn get(&self, number: u64) -> *mut u8 {
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        // Acquire: pairs with the release in `make`.
        self.rings.get(number).map_or(ptr::null_mut(), |ring| ring.load(Ordering::Acquire))
    }

    /// As [`get`](Self::get), and makes the ring if the one before it is there.
    #[cold]
    pub(crate) fn make<T>(&self, number: u64) -> *mut u8 {
        let there = self.get(number);
        if !there.is_null() || number > 0 && self.get(number - 1).is_null() {
            return there;
        }
        let Some(place) = self.rings.get(number as usize) else { return ptr::null_mut() };
        let capacity = self.capacity(number);
        let Some(layout) = Ring::<T>::layout(capacity) else { return ptr::null_mut() };
        let _one = lock(&self.making);
        // Relaxed: the lock is what orders it after another's store.
        let there = place.load(Ordering::Relaxed);
        if !there.is_null() {
            return there;
        }
        let ring = Ring::<T>::make(capacity, layout);
        // Release: the ring is whole when its address is here.
        place.store(ring, Ordering::Release);
        ring
    }
}

/// A header for a row.
pub(crate) fn make<T>(rings: &Rings) -> Header {
    let (stride, value) = (size_of::<Slot<T>>(), offset_of!(Slot<T>, value));
    let mut header = Header::new::<T>(KIND_GROWABLE, 0, ptr::null_mut(), stride, value);
    header.mask = rings.first - 1;
    header
}

/// Frees the rings, whose items the caller has taken out.
///
/// # Safety
///
/// They have slots for items of type `T`, and are not used any more.
pub(crate) unsafe fn free<T>(rings: &Rings) {
    for (number, ring) in (0..).zip(&rings.rings) {
        let ring = ring.load(Ordering::Acquire);
        if ring.is_null() {
            return;
        }
        let capacity = rings.capacity(number);
        let Some(layout) = Ring::<T>::layout(capacity) else { return };
        let this = ring.cast::<Ring<T>>();
        // SAFETY: `Ring::make` has made it so. (Slots drop no items; loom's atomics are dropped here.)
        unsafe {
            let slots = (&raw mut (*this).slots).cast::<Slot<T>>();
            ptr::drop_in_place(ptr::slice_from_raw_parts_mut(slots, capacity as usize));
            ptr::drop_in_place(this);
            dealloc(ring, layout);
        }
    }
}

/// A view of a row. It is `Copy`: all that changes is behind it.
pub(crate) struct Row<'a, T> {
    header: &'a Header,
    rings: &'a Rings,
    _items: PhantomData<Slot<T>>,
}

impl<T> Clone for Row<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Row<'_, T> {}

impl<'a, T: 'a> Row<'a, T> {
    /// # Safety
    ///
    /// `header` was made by [`make`], and `rings` for it, for the same type.
    #[inline(always)]
    pub(crate) unsafe fn new(header: &'a Header, rings: &'a Rings) -> Self {
        Row { header, rings, _items: PhantomData }
    }

    /// The number of the newest ring, and whether the channel is closed.
    #[inline(always)]
    fn last(&self) -> &'a AtomicU64 {
        &self.header.senders_line.tail
    }

    /// The number of the ring that is received from.
    #[inline(always)]
    fn first(&self) -> &'a AtomicU64 {
        &self.header.receivers_line.head
    }

    /// The ring whose number is in a word that anybody may have written.
    #[inline(always)]
    fn ring(&self, word: u64) -> Result<Bounded<'a, T>, Miss> {
        let number = word / ONE;
        let ring = self.rings.get(number).cast::<Ring<T>>();
        if ring.is_null() {
            return Err(Miss::Corrupt(FAULT_POSITION));
        }
        // SAFETY: `Ring::make` has made it, with so many slots; it lives as long as `Rings`.
        Ok(unsafe {
            let slots = (&raw const (*ring).slots).cast();
            let (tail, head) = (&(*ring).tail.tail, &(*ring).head.head);
            Bounded::of(tail, head, slots, Shape::power(self.rings.capacity(number)))
        })
    }

    /// The ring that is sent into, unless the channel is closed.
    #[inline(always)]
    pub(crate) fn newest(self) -> Option<Bounded<'a, T>> {
        // Acquire: the ring is there.
        let last = self.last().load(Ordering::Acquire);
        if last & CLOSED == 0 { self.ring(last).ok() } else { None }
    }

    /// The ring that is received from.
    #[inline(always)]
    pub(crate) fn oldest(self) -> Option<Bounded<'a, T>> {
        // Acquire: as above.
        self.ring(self.first().load(Ordering::Acquire)).ok()
    }

    /// All there are, the oldest first.
    pub(crate) fn rings(self) -> impl Iterator<Item = Bounded<'a, T>> {
        (0..ROW_MOST as u64).map_while(move |number| self.ring(number * ONE).ok())
    }

    /// Claims between 1 and `most` positions for sending. It never says that there is no room.
    #[inline]
    pub(crate) fn claim_push(&self, most: u64) -> Result<(Bounded<'a, T>, Claim), Miss> {
        let mut backoff = Backoff::new();
        // Acquire, here and below: the ring is there.
        let mut last = self.last().load(Ordering::Acquire);
        loop {
            if last & CLOSED != 0 {
                // Whoever closes may not have come to it, and a receiver must not see it open any more.
                self.seal(last);
                return Err(Miss::Closed);
            }
            let ring = self.ring(last)?;
            let miss = match ring.claim_push(most) {
                Ok(claim) => return Ok((ring, claim)),
                Err(miss @ Miss::Corrupt(_)) => return Err(miss),
                Err(miss) => miss,
            };
            // A slot that is being emptied soon is; but nobody waits for a receiver that does not run.
            let soon = miss == Miss::Busy && backoff.is_patient();
            if soon {
                backoff.snooze();
            }
            let now = self.last().load(Ordering::Acquire);
            last = if soon || now != last { now } else { self.grow(last) };
        }
    }

    /// Ends the ring that `last` says, which is full or ended already, and returns what `last` is then.
    #[cold]
    fn grow(&self, last: u64) -> u64 {
        let next = (last & POSITION) + ONE;
        // First of all: whoever sees the end of a ring, or its number, finds the next one.
        assert!(!self.rings.make::<T>(next / ONE).is_null(), "capacity overflow");
        if let Ok(ring) = self.ring(last) {
            ring.seal();
        }
        // SeqCst: see "Parked words" in `layout`.
        let grown = self.last().compare_exchange(last, next, Ordering::SeqCst, Ordering::Acquire);
        fence::after_exchange();
        // `Err`: somebody else has, or the channel has been closed.
        grown.map_or_else(|now| now, |_| next)
    }

    /// Claims between 1 and `most` positions for receiving.
    #[inline]
    pub(crate) fn claim_pop(&self, most: u64) -> Result<(Bounded<'a, T>, Claim), Miss> {
        // Acquire: `last` is at least that.
        let mut first = self.first().load(Ordering::Acquire);
        loop {
            let ring = self.ring(first)?;
            match ring.claim_pop(most) {
                Ok(claim) => return Ok((ring, claim)),
                Err(Miss::Closed) => first = self.leave(first)?,
                Err(Miss::Blocked) => {
                    let last = self.last().load(Ordering::Acquire);
                    if first / ONE == last / ONE {
                        return Err(Miss::Blocked);
                    }
                    // It has ended since: a ring ends before `last` says another.
                    if first > last || !ring.is_sealed() {
                        return Err(Miss::Corrupt(FAULT_POSITION));
                    }
                }
                Err(miss) => return Err(miss),
            }
        }
    }

    /// Goes on from the ring that `first` says, which has ended and is empty. Returns what `first` is
    /// then.
    #[cold]
    fn leave(&self, first: u64) -> Result<u64, Miss> {
        // SeqCst: see "Parked words" in `layout`. Whoever parks looks here after its fence.
        let last = self.last().load(Ordering::SeqCst);
        if last / ONE < first / ONE {
            return Err(Miss::Corrupt(FAULT_POSITION));
        }
        if last / ONE == first / ONE {
            // Open: somebody is growing. Nothing is sent into the next ring before `last` says so.
            return Err(if last & CLOSED != 0 { Miss::Closed } else { Miss::Blocked });
        }
        let next = (first & POSITION) + ONE;
        // AcqRel: whoever sees the number sees that `last` is at least that.
        let left = self.first().compare_exchange(first, next, Ordering::AcqRel, Ordering::Acquire);
        Ok(left.map_or_else(|now| now, |_| next))
    }

    /// Ends the ring that a closed `last` says: nothing is sent after that. All of them, if a peer has
    /// made the number up.
    pub(crate) fn seal(&self, last: u64) {
        match self.ring(last) {
            Ok(ring) => ring.seal(),
            Err(_) => self.rings().for_each(|ring| ring.seal()),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        // SeqCst: as for one ring.
        let last = self.last().load(Ordering::SeqCst);
        last & CLOSED != 0 && self.ring(last).map_or(true, |ring| ring.is_sealed())
    }

    /// What senders write for every item.
    pub(crate) fn progress(&self) -> &'a AtomicU64 {
        self.ring(self.last().load(Ordering::Acquire)).map_or(self.last(), |ring| ring.tail())
    }

    /// As [`len`](Self::len), of the ring that is received from.
    pub(crate) fn len_of_oldest(&self) -> usize {
        self.oldest().map_or(0, |ring| ring.len())
    }

    /// Items that were claimed by senders and not yet by receivers.
    pub(crate) fn len(&self) -> usize {
        loop {
            // SeqCst: all belong to one moment, that at which `head` was read, when nothing has changed.
            let last = self.last().load(Ordering::SeqCst);
            let Ok(newest) = self.ring(last) else { return 0 };
            let tail = newest.tail().load(Ordering::SeqCst);
            let first = self.first().load(Ordering::SeqCst);
            let Ok(oldest) = self.ring(first) else { return 0 };
            let head = oldest.head().load(Ordering::SeqCst);
            if self.first().load(Ordering::SeqCst) == first
                && newest.tail().load(Ordering::SeqCst) & POSITION == tail & POSITION
                && self.last().load(Ordering::SeqCst) & POSITION == last & POSITION
            {
                // Those before the newest one have ended.
                let sent = (first / ONE..last / ONE)
                    .map_while(|number| self.ring(number * ONE).ok())
                    .map(|ring| ring.tail().load(Ordering::SeqCst) / ONE)
                    .fold(tail / ONE, u64::wrapping_add);
                return sent.wrapping_sub(head / ONE) as usize;
            }
        }
    }
}
