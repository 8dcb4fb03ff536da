//! A peer that writes into the shared memory what no honest end writes: it is found out, the channel is
//! closed with a typed error, and nothing is lost that was sound.

use std::sync::atomic::{AtomicU64, Ordering};

use ziggurat_channel::layout::Header;
use ziggurat_channel::{ProtocolError, TryRecvError, TrySendError, bounded, spsc};

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

#[test]
fn the_table_is_what_is_in_memory() {
    let (s, _r) = bounded::<u32>(3);
    let header = s.header();
    let at = |offset| word(header, offset).load(Ordering::Relaxed);
    assert_eq!(at(0).to_le_bytes(), *b"ZGCHAN\x01\x00");
    assert_eq!(at(8), 640 | 1 << 32);
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
