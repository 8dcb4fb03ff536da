//! The C layout of a channel, byte by byte, and what each side may do with it.
//!
//! A channel is one [`Header`] and an array of slots, or several. Rust and Zig work on them directly,
//! with atomics; a function of the [`VTable`] is called only to park, to wake, to close, to come and go,
//! and once per array and end. All numbers are in the machine's byte order; the layout is for 64-bit
//! machines, and its offsets are asserted here at compile time.
//!
//! # The header
//!
//! | offset | bytes | field | written by |
//! |---|---|---|---|
//! | 0 | 8 | `magic` | maker |
//! | 8 | 4 | `struct_size` | maker |
//! | 12 | 2 | `abi_major` | maker |
//! | 14 | 2 | `abi_minor` | maker |
//! | 16 | 4 | `kind`: many-to-many bounded 1, unbounded 2, growable 4; one-to-one bounded 3 | maker |
//! | 20 | 4 | `flags`: bit 0 one-to-one, the fence is asymmetric | maker |
//! | 24 | 8 | `capacity`, in items, exact; 0 unbounded | maker |
//! | 32 | 8 | `mask`: `slots - 1` when the number of slots is a power of two, else 0 | maker |
//! | 40 | 8 | `wrap`: the position word that counts as 0 again; 0: 2⁶⁴ | maker |
//! | 48 | 8 | `slots`; null in kinds 2 and 4 | maker |
//! | 56 | 8 | `stride`, in bytes, from slot to slot | maker |
//! | 64 | 8 | `value`, the offset of the item in its slot, in bytes | maker |
//! | 72 | 4 | `item_kind`: one of zig-ffi's `TypeDesc`; all ones: opaque | maker, before an end crosses |
//! | 76 | 4 | `item_align`, in bytes | maker |
//! | 80 | 8 | `item_size`, in bytes | maker |
//! | 88 | 8 | `vtable` | maker, before an end crosses |
//! | 96 | 4 | `fault`: 0, or why the channel was closed by force | any |
//! | 104 | 8 | `maker`: an address that only the library that made the channel has | maker |
//! | 128 | 8 | `tail`: the senders' word; of kind 4: `last` | senders, closers |
//! | 136 | 8 | `tail_ptr`: unbounded, the segment that `tail` is in | senders |
//! | 256 | 8 | `head`: the receivers' word; of kind 4: `first` | receivers |
//! | 264 | 8 | `head_ptr`: unbounded, the segment that `head` is in | receivers |
//! | 384 | 4 | `receivers`: a [`parked`](PARKED) word, read by senders | parkers |
//! | 512 | 4 | `senders`: a parked word, read by receivers | parkers |
//! | 520 | 8 | `last`: one-to-one, where a closed ring ends; all ones while open | either side |
//!
//! Everything else is reserved, and 0. Each group has a line of 128 bytes to itself: processors of this
//! size fetch pairs of 64-byte lines.
//!
//! # Position words
//!
//! A position counts items since the channel was made. A position word has the position in its upper 48
//! bits; [`ONE`] is the distance between neighbours. `tail` has in its lower bits how many slots are
//! reserved ([`RESERVED`], 15 bits) and whether the channel is closed ([`CLOSED`]); so one
//! compare-and-swap that claims a slot also makes sure that neither has changed, and a send that races
//! with `close` either fails or is received. `head` has 0 there. After `wrap - ONE` comes 0: with a
//! power of two of slots the words wrap by themselves, otherwise `wrap` is a multiple of the capacity.
//! A position's slot is `position & mask`, or `position % capacity` when `mask` is 0.
//!
//! # Many-to-many, bounded (kind 1)
//!
//! The algorithm is Dmitry Vyukov's bounded MPMC queue (1024cores.net, 2010): a slot starts with a
//! *stamp* that says whose turn it is. For the slot of the position word `p`:
//!
//! | stamp | meaning |
//! |---|---|
//! | `p` | free: for the sender that claims `p` |
//! | `p + 1` ([`FULL`]) | holds the item of `p`: for the receiver that claims `p` |
//! | `p + capacity` | free again, one lap later |
//!
//! *Send*: read `tail`; if closed, fail. With `r` reserved slots look at the stamp of the slot of `p + r`
//! (acquire): it must be free. Swap `tail` from what was read to the next position (sequentially
//! consistent, for the sake of those who park; the stamps carry the order of the items). Write the item,
//! store the stamp `p + 1` (release). Then look at `receivers`, and at `senders` (see below).
//! *Receive*: the same with `head`, the stamp `p + 1`, and `p + capacity` in the end; then look at
//! `senders`, and at `receivers`. A batch checks a run of stamps, claims it by one swap, and looks once.
//! *Reserve*: as for sending, but swap `tail` to one more reserved slot and leave the position. The slots
//! from `p` to `p + r` are free from then on, whoever is first, so whoever holds the reservation later
//! swaps `tail` to one position more and one reservation less, with no check at all.
//! *Closed and drained* is `CLOSED` in `tail` and `head` at the same position.
//!
//! A slot that is claimed but not finished (its claimer was interrupted) makes those behind it wait,
//! though they are finished. Whoever finishes an operation and sees others of its own side parked looks
//! at the next slot, too, and wakes one of them if that one is ready: so the finished ones behind it are
//! not forgotten.
//!
//! # One-to-one, bounded (kind 3)
//!
//! Lamport's ring (1983): `tail` is stored by the sender and `head` by the receiver (release); slots
//! are bare items without a stamp, a power of two of them, of which `capacity` are used at a time. Each
//! side keeps a copy of the other's word in its own handle and reads the real one only when the copy
//! says full or empty (Lee, Bu, Chandranmenon, 2009). There is no `CLOSED` in `tail`, which its sender
//! stores; instead, `last` says at which position word the ring ends. It is all ones while the ring is
//! open and is exchanged once:
//!
//! * The sender closes by exchanging its own `tail` in, and then setting [`ENDED`] in `receivers`. It
//!   publishes nothing after that: a receiver that has not seen the end would take what is refused.
//! * The receiver closes by setting `ENDED` in `receivers`, calling `membarrier(2)` (if bit 0 of
//!   `flags` is set) and passing a full fence, and then exchanging in the `tail` that it sees. It never
//!   looks beyond `last`.
//! * A sender that does not see `ENDED` when it looks at `receivers` after a publication has published
//!   before that barrier, so that `last` is behind its items. One that sees it exchanges its own `tail`
//!   in. Whoever is first decides; items that are not before `last` are refused, and the sender takes
//!   them back.
//!
//! # Many-to-many, unbounded (kind 2)
//!
//! A segment is a pointer to the next segment (8 bytes), a count of emptied slots (8 bytes), and 63
//! slots like those of kind 1. A position modulo 64 is a slot's index; 63 means that the next segment
//! is being linked. A stamp is 0 or [`FULL`]. *Send*: swap `tail` to the next position (sequentially
//! consistent); whoever claims
//! index 62 then stores the new segment to `tail_ptr`, adds another [`ONE`] to `tail`, and stores the
//! segment's link. Write, store the stamp, look at `receivers`. *Receive*: compare `head` with
//! `tail` (bit 0 in `head` says that they are in different segments, so that `tail` need not be read),
//! swap `head`; whoever claims index 62 waits for the link and stores `head_ptr` and `head`. Wait for
//! the stamp, read, add to the count; who makes it 63 recycles the segment. This kind is for both ends
//! in Rust: positions of a hostile peer are not checked.
//!
//! # Many-to-many, growable (kind 4)
//!
//! A row of rings of kind 1, each twice as large as the one before. The first has `mask + 1` slots.
//!
//! | offset | bytes | in a ring |
//! |---|---|---|
//! | 0 | 8 | `tail` |
//! | 128 | 8 | `head` |
//! | 256, or the slots' alignment if that is more | `stride` each | the slots |
//!
//! Rings have numbers, from 0 on, at most [`ROW_MOST`], and no address is in the shared memory: Rust has
//! them by itself, and the other language asks [`VTable::ring`] once per ring and end. A ring stays
//! where it is for as long as the channel. The header's `tail` is *last* here, the newest ring's number
//! in the place of a position, and [`CLOSED`]; its `head` is *first*, the number of the ring that is
//! received from. The parked words are the header's. In a ring's `tail`, `CLOSED` *seals* it. A sealed
//! ring is never opened again, and no end comes back to one that it has left, so that a number that is
//! out of date does no harm.
//!
//! *Send*: read `last` (acquire); if closed, seal that ring, and fail. Send into the ring as in kind 1.
//! If it is full, or sealed: get the next ring, seal this one, swap `last` to the next one (sequentially
//! consistent, all), and begin anew. Whoever sealed it may not be running, so whoever finds it sealed
//! does the rest. A slot that a receiver has claimed and not emptied is waited for no longer than a few
//! microseconds; then the ring counts as full.
//! *Receive*: read `first` (acquire); receive from that ring as in kind 1. If it is sealed and drained,
//! read `last` (sequentially consistent): if that is another ring, swap `first` to the next one, and
//! begin anew. If it is this one the channel is empty, and closed if `last` is: if it is not, somebody
//! is growing, and nothing is in the next ring before `last` has its number.
//! *Close*: set `CLOSED` in `last`, and then seal the ring that it names. Every closer does both, and so
//! does each sender that fails: nothing is sent after any of them has returned. *Closed* is both.
//! *Drained* rings are left before anything is taken from the next one, so that the items are in the
//! order of their claims, across rings, too.
//!
//! # Parked words
//!
//! | bit | meaning |
//! |---|---|
//! | 0 [`PARKED`] | somebody of that side is in the waiting list: call `wake` after a publication |
//! | 1 [`STRICT`] | one-to-one: publishers pass a barrier |
//! | 2 [`ENDED`] | one-to-one, in `receivers`: closed |
//! | 3 [`SETTLED`] | one-to-one: the publisher itself wants to see where it is, see `home.rs` |
//!
//! This is Dekker's problem. A publisher publishes, and then reads the other side's parked word; a parker
//! sets `PARKED`, passes a full fence, and then looks for what it waits for. One of them has to see the
//! other.
//!
//! *Kinds 1 and 2.* What is published here is the claim: the swap that moves `tail` (or `head`, or gives
//! a reservation back). It, and the load of the parked word that follows the stamp, are sequentially
//! consistent. If the parker's look misses the claim, then its fence comes before the claim in the one
//! order of all that is sequentially consistent; the claim comes before the load; so the load comes
//! after the fence, and sees `PARKED`. No side needs a barrier more than that: a swap is one anyway, and
//! the load is a plain one on x86. If the look does see the claim, but not yet the stamp, this says
//! nothing: the claimer may have read the word already while its stamp is still on its way. The slot is
//! in use then, neither full nor empty, and nobody sleeps over that: the parker looks again until the
//! slot is settled. It stays in the list meanwhile. (In Rust the task is polled again. After a tenth of a
//! millisecond, which only a claimer takes that does not run or never finishes, it calls `membarrier(2)`,
//! where there is one, and looks once more: now either the stamp is visible, or the claimer's load is
//! still to come and will see `PARKED`; and so it may sleep.)
//!
//! *Kind 4.* The same, though the parker may look at a ring that senders have left. A claim in ring
//! `k + 1` comes after the swap of `last`, and that after the seal of ring `k`. So if the parker's look
//! finds ring `k` empty and not sealed, its fence comes before the seal, and hence before the claim; and
//! if it finds it sealed and drained with `k` in `last`, its fence comes before the swap. Either way the
//! claimer's load sees `PARKED`.
//!
//! *Kind 3.* What is published is `tail` or `head`, by a store (release), with no more than a compiler
//! fence before the load of the word. If the word is 0, that was all. If not, the publisher passes a full
//! fence and loads it again. The parker's barrier is `membarrier(2)` as long as the word is not `STRICT`,
//! and its fence alone when it is. A side that parks often makes its word strict, by way of one
//! `membarrier`, and so shares the cost; it becomes lenient again, under the list's lock and with nobody
//! else in the list, when there was a long run without parking. Without bit 0 in `flags` a word is always
//! strict. A publisher in Rust that takes turns with the parker on one thread makes both barriers
//! unnecessary: it sets [`SETTLED`] for itself, and looks after each publication whether it is still on
//! that thread (`home.rs`). An end leaves its thread, and clears the bit, before it crosses.
//!
//! With `PARKED`, call [`VTable::wake`].

use std::ffi::c_void;
#[cfg(all(target_pointer_width = "64", not(ziggurat_loom)))]
use std::mem::offset_of;

use crate::sync::{AtomicPtr, AtomicU32, AtomicU64};
use crate::waiters::Side;

/// `ZGCHAN`, and the layout's number.
pub const MAGIC: u64 = 0x0001_4e41_4843_475a;
/// Tables of another major version are refused.
pub const ABI_MAJOR: u16 = 1;
/// Counts the additions at the tables' ends.
pub const ABI_MINOR: u16 = 1;

/// `Header::kind`: a bounded ring for many senders and many receivers.
pub const KIND_BOUNDED: u32 = 1;
/// `Header::kind`: linked segments for many senders and many receivers.
pub const KIND_UNBOUNDED: u32 = 2;
/// `Header::kind`: a bounded ring for one sender and one receiver.
pub const KIND_SPSC: u32 = 3;
/// `Header::kind`: a row of bounded rings, of any length, for many senders and many receivers.
pub const KIND_GROWABLE: u32 = 4;

/// Rings in a row at most. With the usual first one no machine has the memory for so many.
pub const ROW_MOST: usize = 40;

/// `Header::flags`: parkers call `membarrier(2)`; publishers need no barrier.
pub const ASYMMETRIC: u32 = 1;

/// `Header::item_kind`: items that mean nothing to another language.
pub const ITEM_OPAQUE: u32 = u32::MAX;

/// The distance between neighbouring positions in a position word.
pub const ONE: u64 = 1 << 16;
/// The position in a position word.
pub const POSITION: u64 = !(ONE - 1);
/// In `tail`: the channel is closed.
pub const CLOSED: u64 = 1;
/// In `tail`: one reserved slot.
pub const RESERVATION: u64 = 2;
/// In `tail`: the number of reserved slots, times [`RESERVATION`].
pub const RESERVED: u64 = (ONE - 1) & !CLOSED;
/// In a stamp: the slot holds an item.
pub const FULL: u64 = 1;

/// What [`Header`]s made by this copy of the crate have in `maker`: another copy may have other types
/// behind the header.
pub(crate) fn maker() -> *const u8 {
    // Not constant memory, which may be merged with that of others.
    static MAKER: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
    MAKER.as_ptr()
}

/// In a parked word: somebody is in the waiting list.
pub const PARKED: u32 = 1;
/// In a parked word: publishers use a full barrier.
pub const STRICT: u32 = 2;
/// In a parked word of a one-to-one ring: it is closed.
pub const ENDED: u32 = 4;

/// In a parked word of a one-to-one ring: its publisher looks after each publication where it is.
pub const SETTLED: u32 = 8;

/// `Header::fault`: none.
pub const FAULT_NONE: u32 = 0;
/// `Header::fault`: a position that cannot have come about: more items than there is room for.
pub const FAULT_POSITION: u32 = 1;
/// `Header::fault`: a slot's stamp from the future, or from nowhere.
pub const FAULT_STAMP: u32 = 2;
/// `Header::fault`: an item that cannot be: a buffer whose description is impossible.
pub const FAULT_ITEM: u32 = 3;

/// What both sides see of a channel. The module's documentation says who may do what with it.
#[repr(C, align(128))]
pub struct Header {
    pub(crate) magic: u64,
    pub(crate) struct_size: u32,
    pub(crate) abi_major: u16,
    pub(crate) abi_minor: u16,
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) capacity: u64,
    pub(crate) mask: u64,
    pub(crate) wrap: u64,
    pub(crate) slots: *mut u8,
    pub(crate) stride: u64,
    pub(crate) value: u64,
    pub(crate) item_kind: AtomicU32,
    pub(crate) item_align: u32,
    pub(crate) item_size: u64,
    pub(crate) vtable: AtomicPtr<VTable>,
    pub(crate) fault: AtomicU32,
    pub(crate) maker: *const u8,
    pub(crate) senders_line: SendersLine,
    pub(crate) receivers_line: ReceiversLine,
    pub(crate) receivers: ParkedLine,
    pub(crate) senders: ParkedLine,
}

/// What senders write for every item.
#[repr(C, align(128))]
pub(crate) struct SendersLine {
    pub(crate) tail: AtomicU64,
    pub(crate) tail_ptr: AtomicPtr<u8>,
}

impl SendersLine {
    pub(crate) fn new() -> Self {
        let tail_ptr = AtomicPtr::new(std::ptr::null_mut());
        SendersLine { tail: AtomicU64::new(0), tail_ptr }
    }
}

/// What receivers write for every item.
#[repr(C, align(128))]
pub(crate) struct ReceiversLine {
    pub(crate) head: AtomicU64,
    pub(crate) head_ptr: AtomicPtr<u8>,
}

impl ReceiversLine {
    pub(crate) fn new() -> Self {
        let head_ptr = AtomicPtr::new(std::ptr::null_mut());
        ReceiversLine { head: AtomicU64::new(0), head_ptr }
    }
}

/// What is read for every item and written when somebody parks.
#[repr(C, align(128))]
pub(crate) struct ParkedLine {
    pub(crate) word: AtomicU32,
    pub(crate) reserved: u32,
    /// Of the senders' line only.
    pub(crate) last: AtomicU64,
}

/// The slow paths, for a side that is not written in Rust. Null in a channel whose ends are all in Rust.
///
/// Each may be called from any thread that holds an end. None unwinds; none is called with a lock held.
#[repr(C)]
#[derive(Debug)]
pub struct VTable {
    /// Bytes in this table.
    pub struct_size: u32,
    /// [`ABI_MAJOR`] of the side that made it.
    pub abi_major: u16,
    /// [`ABI_MINOR`] of the side that made it.
    pub abi_minor: u16,
    /// Wakes up to `count` of the parked receivers (`side` 0) or senders (`side` 1), after a publication
    /// that saw `PARKED`.
    pub wake: unsafe extern "C" fn(channel: *const Header, side: u32, count: u64),
    /// Puts a waker into the waiting list of receivers (`side` 0) or senders (`side` 1) and performs
    /// the parker's barrier: the caller then looks once more for what it waits for. The waker is a
    /// `WakerHandle` of zig-ffi and is retained. `*ticket` is 0 at first and belongs to the waiter; a
    /// ticket that was woken is registered anew, in front of the others.
    pub park: unsafe extern "C" fn(
        channel: *const Header,
        side: u32,
        ticket: *mut u64,
        waker: *const c_void,
    ),
    /// Ends a ticket. `used` is 0 when the waiter gives up, and when it found what it waited for by the
    /// look that followed its last `park`: a wake that came after that goes to the next one then.
    pub unpark:
        unsafe extern "C" fn(channel: *const Header, side: u32, ticket: *mut u64, used: u32),
    /// Closes the channel, with a `FAULT_` or 0. Either side may, and nobody needs to do more.
    pub close: unsafe extern "C" fn(channel: *const Header, fault: u32),
    /// Adds a sender (`side` 1) or a receiver (`side` 0). Not for a one-to-one ring.
    pub clone_end: unsafe extern "C" fn(channel: *const Header, side: u32),
    /// Drops a sender or a receiver. The last of a side closes the channel; the last of all frees it.
    pub drop_end: unsafe extern "C" fn(channel: *const Header, side: u32),
    /// The ring of a number, of a row. If it is not there but the one before it is, it is made, if `make`
    /// is not 0. Null: there is none. It stays where it is for as long as the channel.
    pub ring: unsafe extern "C" fn(channel: *const Header, number: u64, make: u32) -> *const c_void,
}

// SAFETY: the pointers are to memory and code that live as long as the channel; what changes is atomic.
unsafe impl Send for Header {}
// SAFETY: as above.
unsafe impl Sync for Header {}

impl std::fmt::Debug for Header {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Header")
            .field("kind", &self.kind)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

/// The offsets of the header's fields, in order, for a test that compares them with Zig's.
#[doc(hidden)]
#[cfg(not(ziggurat_loom))]
pub const OFFSETS: [usize; 25] = {
    use std::mem::offset_of as at;
    let (tail, head) = (at!(Header, senders_line), at!(Header, receivers_line));
    [
        at!(Header, magic),
        at!(Header, struct_size),
        at!(Header, abi_major),
        at!(Header, abi_minor),
        at!(Header, kind),
        at!(Header, flags),
        at!(Header, capacity),
        at!(Header, mask),
        at!(Header, wrap),
        at!(Header, slots),
        at!(Header, stride),
        at!(Header, value),
        at!(Header, item_kind),
        at!(Header, item_align),
        at!(Header, item_size),
        at!(Header, vtable),
        at!(Header, fault),
        at!(Header, maker),
        tail + at!(SendersLine, tail),
        tail + at!(SendersLine, tail_ptr),
        head + at!(ReceiversLine, head),
        head + at!(ReceiversLine, head_ptr),
        at!(Header, receivers) + at!(ParkedLine, word),
        at!(Header, senders) + at!(ParkedLine, word),
        at!(Header, senders) + at!(ParkedLine, last),
    ]
};

/// The layout on a 64-bit machine, spelled out: a change here is a change of the ABI. (Loom's atomics are
/// larger.)
#[cfg(all(target_pointer_width = "64", not(ziggurat_loom)))]
const _: () = {
    assert!(size_of::<Header>() == 640 && align_of::<Header>() == 128);
    assert!(offset_of!(Header, magic) == 0);
    assert!(offset_of!(Header, struct_size) == 8);
    assert!(offset_of!(Header, abi_major) == 12);
    assert!(offset_of!(Header, abi_minor) == 14);
    assert!(offset_of!(Header, kind) == 16);
    assert!(offset_of!(Header, flags) == 20);
    assert!(offset_of!(Header, capacity) == 24);
    assert!(offset_of!(Header, mask) == 32);
    assert!(offset_of!(Header, wrap) == 40);
    assert!(offset_of!(Header, slots) == 48);
    assert!(offset_of!(Header, stride) == 56);
    assert!(offset_of!(Header, value) == 64);
    assert!(offset_of!(Header, item_kind) == 72);
    assert!(offset_of!(Header, item_align) == 76);
    assert!(offset_of!(Header, item_size) == 80);
    assert!(offset_of!(Header, vtable) == 88);
    assert!(offset_of!(Header, fault) == 96);
    assert!(offset_of!(Header, maker) == 104);
    assert!(offset_of!(Header, senders_line) == 128);
    assert!(offset_of!(SendersLine, tail_ptr) == 8);
    assert!(offset_of!(Header, receivers_line) == 256);
    assert!(offset_of!(ReceiversLine, head_ptr) == 8);
    assert!(offset_of!(Header, receivers) == 384);
    assert!(offset_of!(Header, senders) == 512);
    assert!(offset_of!(ParkedLine, last) == 8);
    assert!(size_of::<VTable>() == 64);
};

impl Header {
    /// A header for slots of `T` at `slots`; `value` and `stride` in bytes.
    pub(crate) fn new<T>(
        kind: u32,
        capacity: u64,
        slots: *mut u8,
        stride: usize,
        value: usize,
    ) -> Self {
        let power = capacity.is_power_of_two();
        let asymmetric = kind == KIND_SPSC && crate::fence::is_asymmetric();
        let strict = kind == KIND_SPSC && !asymmetric;
        let parked = || ParkedLine {
            word: AtomicU32::new(if strict { STRICT } else { 0 }),
            reserved: 0,
            last: AtomicU64::new(u64::MAX),
        };
        Header {
            magic: MAGIC,
            struct_size: size_of::<Header>() as u32,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            kind,
            flags: if asymmetric { ASYMMETRIC } else { 0 },
            capacity,
            mask: if power { capacity - 1 } else { 0 },
            wrap: if power || capacity == 0 { 0 } else { ((1 << 47) / capacity * capacity) * ONE },
            slots,
            stride: stride as u64,
            value: value as u64,
            item_kind: AtomicU32::new(ITEM_OPAQUE),
            item_align: align_of::<T>() as u32,
            item_size: size_of::<T>() as u64,
            vtable: AtomicPtr::new(std::ptr::null_mut()),
            fault: AtomicU32::new(FAULT_NONE),
            maker: maker(),
            senders_line: SendersLine::new(),
            receivers_line: ReceiversLine::new(),
            receivers: parked(),
            senders: parked(),
        }
    }

    /// What the other side of a bounded channel writes for every item.
    pub(crate) fn progress(&self, side: Side) -> &AtomicU64 {
        match side {
            Side::Receivers => &self.senders_line.tail,
            Side::Senders => &self.receivers_line.head,
        }
    }
}
