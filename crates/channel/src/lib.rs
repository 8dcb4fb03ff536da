//! Async channels for any executor or none, on a ring with a C layout that two languages can work on.
//!
//! * [`bounded`] and [`unbounded`]: many senders, many receivers; a drop-in superset of async-channel
//!   2.5.
//! * [`growable`]: as `unbounded`, in memory that two languages can work on.
//! * [`spsc`]: one sender, one receiver; no atomic read-modify-write per item.
//! * [`oneshot`], [`watch`], [`broadcast`]: one item; the latest value; every item to everybody.
//!
//! # What holds
//!
//! * **Nothing is lost.** A send that fails gives the item back. A send that races with `close` either
//!   fails or its item can be received. Dropping a pending future loses no item that was in a channel;
//!   a wake that it was given goes to the next one.
//! * **Capacities are exact**, for any number, not only powers of two.
//! * **First come, first woken.** A waiter that was woken and found that another was faster keeps its
//!   place in front. It can be overtaken by those who do not wait; it is not starved by those who do.
//! * **No executor, no threads, no timers** (but those that `recv_timeout` is given).
//!
//! # What does not
//!
//! * A task that finds nothing may wake itself a few times before it parks, to look again. It does so
//!   only on channels where that has paid off.
//! * Items that are left when the last receiver of a many-to-many channel goes are dropped along with
//!   the channel's last end of any kind, weak ones too, as async-channel does it.
//!
//! # How it works
//!
//! [`layout`] describes the memory and the protocol. The engines in the private module `ring` move
//! items; the `unsafe` code is theirs, the memory's that they work on, and the fence's. The waiting
//! lists are behind a short lock that is touched only when somebody parks or is woken, and wakes happen
//! outside of it. Waiters look on for a moment before they park, for as long as the channel's history
//! says that it is worth while.
//!
//! Engines were chosen by measurement: `concurrent-queue` with `event-listener`, which async-channel is
//! made of, costs three to four times as much per item without contention, and more with it.
#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod blocking;
pub mod broadcast;
mod channel;
pub mod error;
mod fence;
mod forward;
mod futures;
mod home;
mod inspect;
pub mod layout;
mod many;
pub mod oneshot;
mod owned_permit;
mod patience;
mod permit;
mod receiver;
mod ring;
mod sender;
pub mod spsc;
mod sync;
#[cfg(feature = "time")]
mod timeout;
mod wait;
mod waiters;
pub mod watch;
#[cfg(feature = "zig")]
#[cfg_attr(docsrs, doc(cfg(feature = "zig")))]
pub mod zig;

pub use error::{
    CapacityError, ProtocolError, RecvError, SendError, TryRecvError, TryReserveError, TrySendError,
};
pub use forward::ForwardError;
pub use futures::{Closed, Recv, Send};
pub use many::{RecvMany, SendMany};
pub use owned_permit::{OwnedPermit, ReserveOwned};
pub use permit::{Permit, Reserve};
pub use receiver::{Receiver, WeakReceiver};
pub use sender::{Sender, WeakSender};
#[cfg(feature = "time")]
#[cfg_attr(docsrs, doc(cfg(feature = "time")))]
pub use timeout::{RecvTimeout, RecvTimeoutError, SendTimeout, SendTimeoutError};

use std::num::NonZeroUsize;

use channel::Channel;
use sync::Arc;

/// A channel for many senders and receivers with room for `cap` items.
///
/// # Panics
///
/// When `cap` is 0. See [`try_bounded`] for a capacity that is checked.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use ziggurat_channel::{TryRecvError, TrySendError, bounded};
///
/// let (s, r) = bounded(1);
/// assert_eq!(s.send(10).await, Ok(()));
/// assert_eq!(s.try_send(20), Err(TrySendError::Full(20)));
/// assert_eq!(r.recv().await, Ok(10));
/// assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
/// # });
/// ```
pub fn bounded<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    assert!(cap > 0, "capacity cannot be zero");
    ends(Channel::bounded(cap))
}

/// A channel for many senders and receivers with room for any number of items.
///
/// Senders never wait, so that nothing keeps a fast one from filling the memory.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use ziggurat_channel::unbounded;
///
/// let (s, r) = unbounded();
/// assert_eq!(s.send(10).await, Ok(()));
/// assert_eq!(s.send(20).await, Ok(()));
/// assert_eq!(r.recv().await, Ok(10));
/// # });
/// ```
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    ends(Channel::unbounded())
}

/// A channel for many senders and receivers with room for any number of items, whose ends can cross to
/// Zig.
///
/// It has the ends of [`unbounded`] and does the same: senders never wait. Only the memory is another.
/// Items are in a ring, and when that is full, senders go on in a new one of twice its size. It is the
/// *growable ring buffer* that std's `VecDeque` is, hence the name; but items stay where they are, and a
/// ring is not given back before the channel goes. So rings can have numbers, and neither language needs
/// to believe an address, or a count of readers, that the other one has written.
///
/// | | memory |
/// |---|---|
/// | `unbounded` | for the items that are there, in segments of 63 |
/// | `growable` | for up to four times the most items that were there at a time; for 64 at least |
///
/// A receiver that is interrupted while it takes an item out is not waited for: when the senders come to
/// its slot again, they go on in the next ring, as if the ring were full.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use ziggurat_channel::growable;
///
/// let (s, r) = growable();
/// for i in 0..1000 {
///     assert_eq!(s.try_send(i), Ok(()));
/// }
/// assert_eq!((s.len(), s.capacity()), (1000, None));
/// assert_eq!(r.recv().await, Ok(0));
/// # });
/// ```
pub fn growable<T>() -> (Sender<T>, Receiver<T>) {
    growable_with_capacity(64)
}

/// As [`growable`], with a first ring for at least `cap` items: so many are sent without an allocation.
///
/// # Panics
///
/// When the capacity is larger than the address space can hold, or than positions can count.
pub fn growable_with_capacity<T>(cap: usize) -> (Sender<T>, Receiver<T>) {
    ends(Channel::growable(cap))
}

/// Whether a channel with room for `cap` items can be made.
pub(crate) fn check_capacity<T>(cap: usize) -> Result<(), CapacityError> {
    // The largest slot has a stamp beside the item; a power of two of slots is at most twice the
    // capacity.
    let slot = size_of::<T>().saturating_add(16).saturating_mul(2);
    // A quarter of the positions, so that those of a lap and of the next are never taken for each other.
    let positions = 1 << 46;
    match cap {
        0 => Err(CapacityError::Zero),
        cap if cap > isize::MAX as usize / slot || cap as u64 > positions => {
            Err(CapacityError::TooLarge(cap))
        }
        _ => Ok(()),
    }
}

/// As [`bounded`], with the capacity checked.
///
/// # Errors
///
/// When the capacity is larger than the address space can hold, or than positions can count. (Whether
/// there is so much memory cannot be known: as elsewhere, running out of it aborts the process.)
///
/// # Examples
///
/// ```
/// use std::num::NonZeroUsize;
///
/// let (s, _r) = ziggurat_channel::try_bounded::<u8>(NonZeroUsize::new(3).unwrap()).unwrap();
/// assert_eq!(s.capacity(), Some(3));
/// assert!(ziggurat_channel::try_bounded::<u8>(NonZeroUsize::MAX).is_err());
/// ```
pub fn try_bounded<T>(cap: NonZeroUsize) -> Result<(Sender<T>, Receiver<T>), CapacityError> {
    check_capacity::<T>(cap.get())?;
    Ok(bounded(cap.get()))
}

fn ends<T>(channel: Channel<T>) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(channel);
    (Sender::new(channel.clone()), Receiver::new(channel))
}
