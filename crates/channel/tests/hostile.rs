//! A peer that writes into the shared memory what no honest end writes: it is found out, the channel is
//! closed with a typed error, and nothing is lost that was sound.

use std::sync::atomic::{AtomicU64, Ordering};

use ziggurat_channel::layout::{Header, VTable};
use ziggurat_channel::{
    ProtocolError, Receiver, Sender, TryRecvError, TrySendError, bounded, growable_with_capacity,
    spsc,
};

const TAIL: usize = 128;
const HEAD: usize = 256;
const SLOTS: usize = 48;
const STRIDE: usize = 56;
/// The distance between positions.
const ONE: u64 = 1 << 16;

/// The word at an offset of the header, as the layout's table says.
fn word(header: *const Header, offset: usize) -> &'static AtomicU64 {
    // SAFETY: the tests keep the channel alive, and the offset is one of a `u64`.
    unsafe { &*header.cast::<u8>().add(offset).cast::<AtomicU64>() }
}

/// The stamp of a slot.
fn stamp(header: *const Header, index: usize) -> &'static AtomicU64 {
    let slots = word(header, SLOTS).load(Ordering::Relaxed) as usize;
    let stride = word(header, STRIDE).load(Ordering::Relaxed) as usize;
    // SAFETY: as above; a stamp is a slot's first field.
    unsafe { &*std::ptr::with_exposed_provenance::<AtomicU64>(slots + index * stride) }
}

/// A row whose first ring has room for one item, with `count` items in it. Ends of it have crossed.
fn row(count: u32) -> (Sender<u32>, Receiver<u32>) {
    let (s, r) = growable_with_capacity(1);
    drop(s.clone().into_raw_end());
    (0..count).for_each(|i| s.try_send(i).unwrap());
    (s, r)
}

/// What the table says about a ring.
fn ask(header: *const Header, number: u64, make: u32) -> *const std::ffi::c_void {
    // SAFETY: an end has crossed, so that there is a table; the tests keep the channel alive.
    unsafe {
        let table = &**header.byte_add(88).cast::<*const VTable>();
        (table.ring)(header, number, make)
    }
}

/// A word of a ring of a row: `tail` is at 0 and `head` at 128, and behind them there are the slots.
fn ring_word(header: *const Header, number: u64, offset: usize) -> &'static AtomicU64 {
    let ring = ask(header, number, 0);
    assert!(!ring.is_null());
    // SAFETY: a ring stays where it is, and its offsets are those of a `u64`.
    unsafe { &*ring.byte_add(offset).cast::<AtomicU64>() }
}

#[test]
fn a_row_is_what_is_in_memory() {
    let (s, r) = row(4);
    let at = |offset| word(s.header(), offset).load(Ordering::Relaxed);
    assert_eq!((at(16) as u32, at(24), at(32), at(40), at(SLOTS)), (4, 0, 0, 0, 0));
    assert_eq!((at(STRIDE), at(64)), (16, 8));
    // One item, two, and the third ring.
    assert_eq!((at(TAIL), at(HEAD)), (2 * ONE, 0));
    assert_eq!((0..3).map(|_| r.try_recv().unwrap()).sum::<u32>(), 3);
    assert_eq!((at(TAIL), at(HEAD)), (2 * ONE, ONE));
    s.close();
    assert_eq!(at(TAIL), 2 * ONE + 1);
    let ring = |number, offset| ring_word(s.header(), number, offset).load(Ordering::Relaxed);
    assert_eq!([0, 1, 2].map(|k| ring(k, 0)), [ONE + 1, 2 * ONE + 1, ONE + 1]);
    assert_eq!([0, 1, 2].map(|k| ring(k, 128)), [ONE, 2 * ONE, 0]);
    assert_eq!([0, 16, 32].map(|slot| ring(2, 256 + slot)), [1, ONE, 2 * ONE]);
    assert_eq!(ring(2, 256 + 8) as u32, 3);
}

#[test]
fn rings_that_are_not_there_are_found_out() {
    for number in [3, 39, 40, 64, 1 << 32, (1 << 48) - 1] {
        let (s, r) = row(7);
        word(s.header(), TAIL).store(number * ONE, Ordering::SeqCst);
        assert_eq!(s.try_send(7), Err(TrySendError::Closed(7)), "ring {number}");
        assert_eq!((s.fault(), s.is_closed()), (Some(ProtocolError::Position), true));
        assert!(!s.close());
        // What was sound before is received.
        let received: Vec<_> = std::iter::from_fn(|| r.try_recv().ok()).collect();
        assert_eq!(received, (0..7).collect::<Vec<_>>(), "ring {number}");
        assert_eq!(r.try_recv(), Err(TryRecvError::Closed));

        // By a receiver, too, when it finds nothing.
        let (s, r) = row(0);
        word(s.header(), TAIL).store(number * ONE, Ordering::SeqCst);
        assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
        assert_eq!((r.fault(), s.is_closed()), (Some(ProtocolError::Position), true));

        let (s, r) = row(7);
        word(s.header(), HEAD).store(number * ONE, Ordering::SeqCst);
        assert_eq!(r.try_recv(), Err(TryRecvError::Closed), "ring {number}");
        assert_eq!(r.try_recv_many(&mut Vec::new(), 9), Err(TryRecvError::Closed));
        assert_eq!((r.fault(), s.is_closed()), (Some(ProtocolError::Position), true));
        assert_eq!((s.len(), s.try_send(7)), (0, Err(TrySendError::Closed(7))));
    }
}

#[test]
fn numbers_that_were_set_back_or_forth_are_found_out_or_do_no_harm() {
    // A receiver that is ahead of the senders.
    let (s, r) = row(7);
    word(s.header(), TAIL).store(ONE, Ordering::SeqCst);
    word(s.header(), HEAD).store(2 * ONE, Ordering::SeqCst);
    for i in 3..7 {
        assert_eq!(r.try_recv(), Ok(i));
    }
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(r.fault(), Some(ProtocolError::Position));
    // A newest ring though the one before it has not ended.
    let (s, r) = row(2);
    (0..2).for_each(|i| assert_eq!(r.try_recv(), Ok(i)));
    assert!(!ask(s.header(), 2, 1).is_null());
    word(s.header(), TAIL).store(2 * ONE, Ordering::SeqCst);
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(r.fault(), Some(ProtocolError::Position));
    // Senders that are sent back find the way by themselves.
    let (s, r) = row(7);
    word(s.header(), TAIL).store(0, Ordering::SeqCst);
    (7..9).for_each(|i| s.try_send(i).unwrap());
    assert_eq!(
        (0..9).map(|_| r.try_recv().unwrap()).collect::<Vec<_>>(),
        [0, 1, 2, 3, 4, 5, 6, 7, 8]
    );
    assert_eq!((r.try_recv(), r.fault()), (Err(TryRecvError::Empty), None));
    // Rings that are skipped, and one that is opened again when all have left it: their items are
    // dropped along with the channel.
    let item = std::sync::Arc::new(());
    let (s, r) = growable_with_capacity(1);
    (0..7).for_each(|_| s.try_send(item.clone()).unwrap());
    word(s.header(), HEAD).store(2 * ONE, Ordering::SeqCst);
    assert!(r.try_recv().is_ok());
    assert_eq!((r.len(), std::sync::Arc::strong_count(&item)), (3, 7));
    drop((s, r));
    assert_eq!(std::sync::Arc::strong_count(&item), 1);
}

#[test]
fn words_of_a_ring_that_jumped_are_found_out() {
    // `tail` and `head` of the ring that is received from.
    for (offset, jump) in [(0, 1000 * ONE), (128, 99 * ONE)] {
        let (s, r) = row(3);
        assert_eq!(r.try_recv(), Ok(0));
        let word = ring_word(s.header(), 1, offset);
        word.fetch_add(jump, Ordering::SeqCst);
        let received = std::iter::from_fn(|| r.try_recv().ok()).count();
        assert!(received <= 2);
        assert_eq!((r.try_recv(), s.is_closed()), (Err(TryRecvError::Closed), true));
        assert!(r.fault().is_some());
    }
    // Stamps, for both sides.
    let (s, r) = row(2);
    ring_word(s.header(), 1, 256 + 16).store(400 * ONE + 1, Ordering::SeqCst);
    assert_eq!(s.try_send(2), Err(TrySendError::Closed(2)));
    assert_eq!(s.fault(), Some(ProtocolError::Stamp));
    assert_eq!((r.try_recv(), r.try_recv()), (Ok(0), Ok(1)));
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
}

#[test]
fn a_receiver_that_never_finishes_does_not_hold_the_senders_up() {
    let (s, r) = row(1);
    // Claimed, and nothing more: its slot is never free again.
    ring_word(s.header(), 0, 128).fetch_add(ONE, Ordering::SeqCst);
    (1..4).for_each(|i| s.try_send(i).unwrap());
    assert_eq!((0..3).map(|_| r.try_recv().unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!((r.try_recv(), r.fault()), (Err(TryRecvError::Empty), None));
}

#[test]
fn rings_are_made_in_turn() {
    let (s, _r) = row(1);
    let header = s.header();
    for number in [2, 39, 40, 1 << 32, u64::MAX] {
        assert!(ask(header, number, 1).is_null(), "ring {number}");
    }
    assert!(ask(header, 1, 0).is_null() && !ask(header, 0, 0).is_null());
    let second = ask(header, 1, 1);
    assert!(!second.is_null() && second.cast::<u128>().is_aligned());
    assert_eq!((ask(header, 1, 1), ask(header, 1, 0)), (second, second));
    assert!(ask(header, 3, 1).is_null() && !ask(header, 2, 1).is_null());
    // Other kinds have none.
    let (s, _r) = bounded::<u32>(1);
    drop(s.clone().into_raw_end());
    assert!(ask(s.header(), 0, 1).is_null());
}

#[test]
fn the_table_is_what_is_in_memory() {
    let (s, _r) = bounded::<u32>(3);
    let header = s.header();
    let at = |offset| word(header, offset).load(Ordering::Relaxed);
    assert_eq!(at(0).to_le_bytes(), *b"ZGCHAN\x01\x00");
    assert_eq!(at(8), 640 | 1 << 32 | 1 << 48);
    assert_eq!(at(16) as u32, 1);
    assert_eq!(at(24), 3);
    assert_eq!((at(32), at(40) % (3 * ONE)), (0, 0));
    assert_eq!((at(STRIDE), at(64)), (16, 8));
    assert_eq!((at(72) >> 32, at(80)), (4, 4));
    s.try_send(7).unwrap();
    assert_eq!((at(TAIL), at(HEAD)), (ONE, 0));
    let permit = s.try_reserve().unwrap();
    assert_eq!(at(TAIL), ONE + 2);
    drop(permit);
    s.close();
    assert_eq!(at(TAIL), ONE + 1);
    assert_eq!(stamp(header, 0).load(Ordering::Relaxed), 1);
    assert_eq!(stamp(header, 1).load(Ordering::Relaxed), ONE);
}

#[test]
fn a_tail_that_jumped_is_found_out() {
    let (s, r) = bounded::<u32>(4);
    s.try_send(1).unwrap();
    word(s.header(), TAIL).store(1000 * ONE, Ordering::SeqCst);
    assert_eq!(r.try_recv(), Ok(1));
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(r.fault(), Some(ProtocolError::Position));
    assert_eq!(s.try_send(2), Err(TrySendError::Closed(2)));
}

#[test]
fn a_stamp_from_the_future_is_found_out_by_both_sides() {
    let (s, r) = bounded::<u32>(4);
    stamp(s.header(), 0).store(400 * ONE + 1, Ordering::SeqCst);
    assert_eq!(s.try_send(1), Err(TrySendError::Closed(1)));
    assert_eq!(s.fault(), Some(ProtocolError::Stamp));
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));

    let (s, r) = bounded::<u32>(4);
    s.try_send(1).unwrap();
    stamp(s.header(), 0).store(400 * ONE + 1, Ordering::SeqCst);
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(r.fault(), Some(ProtocolError::Stamp));
}

#[test]
fn a_parked_future_is_told() {
    let (s, r) = bounded::<u32>(4);
    stamp(s.header(), 0).store(u64::MAX, Ordering::SeqCst);
    let receiver = std::thread::spawn(move || r.recv_blocking().is_err());
    assert!(s.send_blocking(1).is_err());
    assert!(receiver.join().unwrap());
}

#[test]
fn one_to_one_positions_are_checked() {
    let (mut s, mut r) = spsc::bounded::<u32>(4);
    s.try_send(1).unwrap();
    assert_eq!(r.try_recv(), Ok(1));
    word(r.header(), TAIL).store(1000 * ONE, Ordering::SeqCst);
    assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    assert_eq!(r.fault(), Some(ProtocolError::Position));

    let (mut s, _r) = spsc::bounded::<u32>(2);
    (0..2).for_each(|i| s.try_send(i).unwrap());
    word(s.header(), HEAD).store(99 * ONE, Ordering::SeqCst);
    assert_eq!(s.try_send(3), Err(TrySendError::Closed(3)));
    assert_eq!(s.fault(), Some(ProtocolError::Position));
}
