//! Errors. Those of a failed send give the item back.
//!
//! The first four are async-channel's, to the letter: they derive the same traits and print the same
//! words.

use std::fmt;

/// The channel is closed. It gives the item back.
#[derive(PartialEq, Eq, Clone, Copy)]
pub struct SendError<T>(pub T);

impl<T> SendError<T> {
    /// The item that could not be sent.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::error::Error for SendError<T> {}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SendError(..)")
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sending into a closed channel")
    }
}

/// Why [`try_send`](crate::Sender::try_send) sent nothing. It gives the item back.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum TrySendError<T> {
    /// The channel is full, but not closed.
    Full(T),
    /// The channel is closed.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The item that could not be sent.
    pub fn into_inner(self) -> T {
        match self {
            TrySendError::Full(item) | TrySendError::Closed(item) => item,
        }
    }

    /// Whether the channel is full, but not closed.
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full(_))
    }

    /// Whether the channel is closed.
    pub fn is_closed(&self) -> bool {
        matches!(self, TrySendError::Closed(_))
    }
}

impl<T> std::error::Error for TrySendError<T> {}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySendError::Full(_) => write!(f, "Full(..)"),
            TrySendError::Closed(_) => write!(f, "Closed(..)"),
        }
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TrySendError::Full(_) => write!(f, "sending into a full channel"),
            TrySendError::Closed(_) => write!(f, "sending into a closed channel"),
        }
    }
}

/// The channel is closed and empty.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub struct RecvError;

impl std::error::Error for RecvError {}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "receiving from an empty and closed channel")
    }
}

/// Why [`try_recv`](crate::Receiver::try_recv) received nothing.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum TryRecvError {
    /// The channel is empty, but not closed.
    Empty,
    /// The channel is closed and empty.
    Closed,
}

impl TryRecvError {
    /// Whether the channel is empty, but not closed.
    pub fn is_empty(&self) -> bool {
        matches!(self, TryRecvError::Empty)
    }

    /// Whether the channel is closed and empty.
    pub fn is_closed(&self) -> bool {
        matches!(self, TryRecvError::Closed)
    }
}

impl std::error::Error for TryRecvError {}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TryRecvError::Empty => write!(f, "receiving from an empty channel"),
            TryRecvError::Closed => write!(f, "receiving from an empty and closed channel"),
        }
    }
}

/// Why a channel cannot be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CapacityError {
    /// A capacity of 0. A channel without room is a different thing, which this crate does not have.
    #[error("capacity is zero")]
    Zero,
    /// More than the memory can hold, or than positions can count.
    #[error("capacity of {0} items is too large")]
    TooLarge(usize),
}

/// Why [`try_reserve`](crate::Sender::try_reserve) reserved nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryReserveError {
    /// No slot is free.
    #[error("reserving in a full channel")]
    Full,
    /// The channel is closed.
    #[error("reserving in a closed channel")]
    Closed,
}

/// The channel is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel is closed")]
pub struct Closed;

/// Why a channel was closed by force: somebody wrote into the shared memory what no honest end writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A position that would mean more items than there is room for.
    #[error("a position in the shared ring is not within a capacity of the other")]
    Position,
    /// A slot whose stamp is from the future, or from nowhere.
    #[error("a slot of the shared ring has a stamp that cannot have come about")]
    Stamp,
    /// An item that cannot be: a buffer whose description is impossible.
    #[error("an item of the shared ring is impossible")]
    Item,
    /// A fault with a number that this version does not know.
    #[error("the shared ring was closed with fault {0}")]
    Other(u32),
}

impl ProtocolError {
    pub(crate) fn from_fault(fault: u32) -> Option<Self> {
        match fault {
            crate::layout::FAULT_NONE => None,
            crate::layout::FAULT_POSITION => Some(ProtocolError::Position),
            crate::layout::FAULT_STAMP => Some(ProtocolError::Stamp),
            crate::layout::FAULT_ITEM => Some(ProtocolError::Item),
            other => Some(ProtocolError::Other(other)),
        }
    }
}
