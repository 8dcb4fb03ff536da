//! The border without Zig: ends there and back, headers that lie, and the table that Zig calls.

#![cfg(feature = "zig")]

use std::ffi::c_void;
use std::mem::MaybeUninit;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Waker};

use bytes::Bytes;
use futures::task::{ArcWake, waker};
use ziggurat_channel::layout::{
    FAULT_STAMP, Header, KIND_BOUNDED, KIND_SPSC, KIND_UNBOUNDED, VTable,
};
use ziggurat_channel::zig::EndError;
use ziggurat_channel::{
    ProtocolError, Receiver, Sender, TryRecvError, TrySendError, bounded, growable,
    growable_with_capacity, spsc, unbounded,
};
use ziggurat_core::Buffer;
use ziggurat_zig_ffi::abi::TypeDesc;
use ziggurat_zig_ffi::{Args, Argument, HostWaker, Outcome, ProtocolError as AbiError};

const RECEIVERS: u32 = 0;
const SENDERS: u32 = 1;

/// The table in a header.
fn table(header: *const Header) -> &'static VTable {
    // SAFETY: an end has crossed, so that there is one; it is static.
    unsafe { &**header.byte_add(88).cast::<*const VTable>() }
}

/// Takes an end back.
fn back<E: Outcome<Value = E, Raw = *const c_void>>(raw: *const c_void) -> Result<E, EndError> {
    // SAFETY: each caller gives up an end, or gives what is no end at all and is refused.
    unsafe { E::from_raw(raw) }.map_err(|error| match error {
        AbiError::End(error) => error,
        other => panic!("{other}"),
    })
}

#[test]
fn ends_go_there_and_back_and_are_counted() {
    let (s, r) = bounded::<u64>(4);
    let twin = s.clone();
    let raw = s.into_raw_end();
    assert_eq!(raw.ty(), TypeDesc::sender_of::<u64>());
    assert_eq!((r.sender_count(), raw.as_ptr()), (2, r.header().cast()));
    drop(twin);
    let s: Sender<u64> = back(raw.into_ptr()).unwrap();
    s.try_send(1).unwrap();
    assert_eq!((r.sender_count(), r.receiver_count()), (1, 1));
    // One that is dropped on the way closes the channel.
    drop(s.into_raw_end());
    assert_eq!((r.sender_count(), r.is_closed()), (0, true));
    let r: Receiver<u64> = back(r.into_raw_end().into_ptr()).unwrap();
    assert_eq!((r.try_recv(), r.try_recv()), (Ok(1), Err(TryRecvError::Closed)));
}

#[test]
fn one_to_one_ends_go_on_where_they_were() {
    let (mut s, mut r) = spsc::bounded::<u64>(4);
    for lap in 0..10 {
        (0..3).for_each(|i| s.try_send(4 * lap + i).unwrap());
        s = back(s.into_raw_end().into_ptr()).unwrap();
        s.try_send(4 * lap + 3).unwrap();
        assert_eq!(s.try_send(100), Err(TrySendError::Full(100)));
        assert_eq!(r.try_recv(), Ok(4 * lap));
        r = back(r.into_raw_end().into_ptr()).unwrap();
        (1..4).for_each(|i| assert_eq!(r.try_recv(), Ok(4 * lap + i)));
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    }
    s.try_send(7).unwrap();
    drop(s.into_raw_end());
    // What was closed meanwhile is closed, behind what was sent.
    r = back(r.into_raw_end().into_ptr()).unwrap();
    assert_eq!((r.try_recv(), r.try_recv()), (Ok(7), Err(TryRecvError::Closed)));

    // A receiver that is dropped on the way drops what is in there.
    let dropped = Arc::new(AtomicUsize::new(0));
    let (mut s, r) = spsc::bounded(4);
    s.try_send(counted(&dropped)).unwrap();
    drop(r.into_raw_end());
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    let refused = s.try_send(counted(&dropped)).unwrap_err();
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    drop(refused);
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
}

#[test]
fn positions_that_lie_are_found_out_when_an_end_comes_back() {
    let tail = |header: *const Header| {
        // SAFETY: the channel is alive; `tail` is at 128.
        unsafe { &*header.byte_add(128).cast::<std::sync::atomic::AtomicU64>() }
    };
    let (s, mut r) = spsc::bounded::<u64>(4);
    let raw = s.into_raw_end();
    tail(r.header()).store(99 << 16, Ordering::SeqCst);
    let mut s: spsc::Sender<u64> = back(raw.into_ptr()).unwrap();
    assert_eq!(s.try_send(1), Err(TrySendError::Closed(1)));
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(s.fault(), Some(ProtocolError::Position));

    let (s, r) = spsc::bounded::<u64>(4);
    let raw = r.into_raw_end();
    tail(s.header()).store(99 << 16, Ordering::SeqCst);
    drop(s.into_raw_end());
    let mut r: spsc::Receiver<u64> = back(raw.into_ptr()).unwrap();
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(r.fault(), Some(ProtocolError::Position));
}

/// A copy of a channel's header that can be changed.
#[repr(C, align(128))]
struct Fake([MaybeUninit<u8>; size_of::<Header>()]);

impl Fake {
    fn of(header: *const Header) -> Self {
        // SAFETY: a header is readable; its padding need not be initialised here.
        Fake(unsafe { header.cast::<[MaybeUninit<u8>; size_of::<Header>()]>().read() })
    }

    fn with(header: *const Header, offset: usize, bytes: &[u8]) -> Self {
        let mut fake = Fake::of(header);
        for (to, from) in fake.0[offset..].iter_mut().zip(bytes) {
            to.write(*from);
        }
        fake
    }

    fn accepted(&self) -> Result<Sender<u64>, EndError> {
        back(ptr::from_ref(self).cast())
    }
}

#[test]
fn headers_are_looked_at_before_they_are_believed() {
    let (s, r) = bounded::<u64>(5);
    drop(s.clone().into_raw_end());
    let header = r.header();
    let with = |offset, bytes: &[u8]| Fake::with(header, offset, bytes).accepted().unwrap_err();
    assert_eq!(back::<Sender<u64>>(ptr::null()).unwrap_err(), EndError::Null);
    let crooked = header.cast::<c_void>().wrapping_byte_add(8);
    assert_eq!(back::<Sender<u64>>(crooked).unwrap_err(), EndError::Misaligned);
    assert_eq!(with(0, b"X"), EndError::Magic);
    assert_eq!(with(12, &[9, 0, 3, 0]), EndError::Version { found_major: 9, found_minor: 3 });
    assert_eq!(with(8, &639_u32.to_ne_bytes()), EndError::Size { found: 639, needed: 640 });
    assert_eq!(with(104, &[1; 8]), EndError::Maker);
    let kind = |found| EndError::Kind { found, needed: KIND_BOUNDED };
    assert_eq!(with(16, &KIND_SPSC.to_ne_bytes()), kind(KIND_SPSC));
    assert_eq!(with(16, &77_u32.to_ne_bytes()), kind(77));
    for capacity in [0, 1 << 47] {
        assert_eq!(with(24, &u64::to_ne_bytes(capacity)), EndError::Capacity(capacity));
    }
    assert_eq!(with(72, &1_u32.to_ne_bytes()), EndError::Item);
    assert!(matches!(with(76, &4_u32.to_ne_bytes()), EndError::Item));
    assert!(matches!(with(80, &4_u64.to_ne_bytes()), EndError::Item));

    // Ends of other channels, as they are.
    let as_u64 = |raw: ziggurat_zig_ffi::RawEnd| back::<Sender<u64>>(raw.as_ptr()).unwrap_err();
    assert_eq!(as_u64(bounded::<f64>(4).0.into_raw_end()), EndError::Item);
    assert_eq!(as_u64(bounded::<Buffer>(4).0.into_raw_end()), EndError::Item);
    assert_eq!(as_u64(unbounded::<u64>().0.into_raw_end()), kind(KIND_UNBOUNDED));
    assert_eq!(as_u64(spsc::bounded::<u64>(4).0.into_raw_end()), kind(KIND_SPSC));
    // One whose items have never crossed is opaque.
    assert!(matches!(Fake::of(bounded::<u64>(4).0.header()).accepted(), Err(EndError::Item)));
    assert_eq!(EndError::Item.to_string(), "the channel's items are of another type");
}

#[test]
fn growable_ends_go_there_and_back() {
    let (s, r) = growable::<u64>();
    (0..100).for_each(|i| s.try_send(i).unwrap());
    let s: Sender<u64> = back(s.into_raw_end().into_ptr()).unwrap();
    let r: Receiver<u64> = back(r.into_raw_end().into_ptr()).unwrap();
    (100..300).for_each(|i| s.try_send(i).unwrap());
    assert_eq!((s.sender_count(), r.receiver_count(), r.len()), (1, 1, 300));
    // Without a bound there is no capacity.
    let lie = Fake::with(r.header(), 24, &u64::to_ne_bytes(4));
    assert_eq!(lie.accepted().unwrap_err(), EndError::Capacity(4));
    drop(s.into_raw_end());
    (0..300).for_each(|i| assert_eq!(r.try_recv(), Ok(i)));
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));

    // Buffers in several rings, of which none is received.
    let dropped = Arc::new(AtomicUsize::new(0));
    let (s, r) = growable_with_capacity(1);
    (0..20).for_each(|_| s.try_send(counted(&dropped)).unwrap());
    let (s, r) = (s.into_raw_end(), r.into_raw_end());
    drop(r);
    assert_eq!(dropped.load(Ordering::SeqCst), 0);
    drop(s);
    assert_eq!(dropped.load(Ordering::SeqCst), 20);
}

#[test]
fn arguments_own_their_ends_until_they_are_opened() {
    let (s, r) = bounded::<Buffer>(4);
    let mut args = Args::new();
    s.clone().push_to(&mut args);
    (&s).push_to(&mut args);
    (&r).push_to(&mut args);
    assert_eq!((args.len(), s.sender_count(), s.receiver_count()), (3, 3, 2));
    drop(args);
    assert_eq!((s.sender_count(), s.receiver_count()), (1, 1));
}

struct Count(AtomicUsize);
impl ArcWake for Count {
    fn wake_by_ref(this: &Arc<Self>) {
        this.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waiter of the other language's.
struct Waiter {
    host: HostWaker,
    wakes: Arc<Count>,
    waker: Waker,
    ticket: u64,
}

impl Waiter {
    fn new() -> Self {
        let wakes = Arc::new(Count(AtomicUsize::new(0)));
        let waker = waker(wakes.clone());
        Waiter { host: HostWaker::new(), wakes, waker, ticket: 0 }
    }

    fn park(&mut self, header: *const Header, side: u32) {
        let handle = self.host.register(&mut Context::from_waker(&self.waker)).waker;
        // SAFETY: the channel and the handle are alive.
        unsafe { (table(header).park)(header, side, &raw mut self.ticket, handle.cast()) }
    }

    fn unpark(&mut self, header: *const Header, side: u32, used: u32) {
        // SAFETY: as above.
        unsafe { (table(header).unpark)(header, side, &raw mut self.ticket, used) }
        assert_eq!((self.ticket, self.host.references()), (0, 1));
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }
}

#[test]
fn foreign_waiters_are_woken_in_turn_and_pass_on_what_they_do_not_use() {
    let (s, r) = bounded::<u64>(4);
    let header = s.header();
    drop(s.clone().into_raw_end());
    let (mut first, mut second) = (Waiter::new(), Waiter::new());
    first.park(header, RECEIVERS);
    second.park(header, RECEIVERS);
    let ticket = first.ticket;
    first.park(header, RECEIVERS);
    assert_eq!((first.ticket, first.host.references()), (ticket, 2));
    s.try_send(1).unwrap();
    assert_eq!((first.wakes(), second.wakes()), (1, 0));
    first.unpark(header, RECEIVERS, 0);
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
    assert_eq!(r.try_recv(), Ok(1));
    second.unpark(header, RECEIVERS, 1);

    // Both sides, and whoever gives up before it is woken.
    (0..4).for_each(|i| s.try_send(i).unwrap());
    first.park(header, SENDERS);
    second.park(header, SENDERS);
    first.unpark(header, SENDERS, 0);
    assert_eq!(r.try_recv(), Ok(0));
    assert_eq!((first.wakes(), second.wakes()), (1, 2));
    second.unpark(header, SENDERS, 1);

    // A close wakes all; sides and tickets that mean nothing do nothing.
    first.park(header, SENDERS);
    second.park(header, RECEIVERS);
    // SAFETY: the channel is alive.
    unsafe {
        (table(header).wake)(header, 7, 1);
        (table(header).park)(header, 7, &raw mut second.ticket, second.host.handle().cast());
        (table(header).park)(header, SENDERS, &raw mut first.ticket, ptr::null());
        (table(header).unpark)(header, SENDERS, &mut (77 << 32 | 5), 0);
        (table(header).close)(header, FAULT_STAMP);
    }
    assert_eq!((first.wakes(), second.wakes()), (2, 3));
    assert_eq!((s.fault(), s.is_closed()), (Some(ProtocolError::Stamp), true));
    first.unpark(header, SENDERS, 1);
    second.unpark(header, RECEIVERS, 1);
}

#[test]
fn foreign_ends_come_and_go() {
    let (s, r) = bounded::<u64>(4);
    let header = r.header();
    let raw = s.into_raw_end();
    // SAFETY: the channel is alive, and each end that is dropped is one that was added.
    unsafe {
        (table(header).clone_end)(header, SENDERS);
        (table(header).clone_end)(header, RECEIVERS);
        assert_eq!((r.sender_count(), r.receiver_count()), (2, 2));
        (table(header).drop_end)(header, RECEIVERS);
        (table(header).drop_end)(header, SENDERS);
    }
    assert_eq!((r.sender_count(), r.receiver_count(), r.is_closed()), (1, 1, false));
    drop(raw);
    assert!(r.is_closed());

    for side in [RECEIVERS, SENDERS] {
        let (s, mut r) = spsc::bounded::<u64>(4);
        let header = s.header();
        if side == SENDERS {
            let raw = s.into_raw_end();
            // SAFETY: the channel is alive.
            unsafe { (table(header).close)(header, 0) };
            assert_eq!((r.try_recv(), r.fault()), (Err(TryRecvError::Closed), None));
            drop(raw);
        } else {
            let mut s = s;
            s.try_send(5).unwrap();
            let raw = r.into_raw_end();
            // SAFETY: as above.
            unsafe { (table(header).close)(header, 0) };
            assert_eq!(s.try_send(1), Err(TrySendError::Closed(1)));
            let mut r: spsc::Receiver<u64> = back(raw.into_ptr()).unwrap();
            assert_eq!((r.try_recv(), r.try_recv()), (Ok(5), Err(TryRecvError::Closed)));
        }
    }
}

/// A buffer that counts its releases.
fn counted(dropped: &Arc<AtomicUsize>) -> Buffer {
    struct Counted(Arc<AtomicUsize>);
    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            b"bytes"
        }
    }
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    Buffer::from(Bytes::from_owner(Counted(dropped.clone())))
}

#[test]
fn buffers_are_dropped_once_whatever_becomes_of_the_ends() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let (s, r) = bounded(4);
    (0..3).for_each(|_| s.try_send(counted(&dropped)).unwrap());
    let (s, r) = (s.into_raw_end(), r.into_raw_end());
    drop(s);
    let r: Receiver<Buffer> = back(r.into_ptr()).unwrap();
    assert_eq!(&*r.try_recv().unwrap(), b"bytes");
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    drop(r.into_raw_end());
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
}
