//! What a timeout says.

use std::fmt;
use std::time::Duration;

/// Which timeout it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TimeoutKind {
    /// A call took too long.
    Call,
    /// A service or sink took too long to become ready.
    Ready,
    /// The first item took too long.
    Initial,
    /// An item took too long.
    Idle,
    /// The whole took too long.
    Completion,
    /// The deadline has passed.
    Deadline,
    /// The consumer took too long to ask for more.
    Backpressure,
    /// A sink took too long to flush.
    Flush,
    /// A sink took too long to close.
    Close,
}

/// Time ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub struct Elapsed {
    /// Which timeout it was.
    pub kind: TimeoutKind,
    /// How long it was; `None` for a deadline.
    pub after: Option<Duration>,
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            TimeoutKind::Call => "the call was not answered",
            TimeoutKind::Ready => "it was not ready",
            TimeoutKind::Initial => "no first item came",
            TimeoutKind::Idle => "no item came",
            TimeoutKind::Completion => "the stream did not end",
            TimeoutKind::Deadline => return f.write_str("the deadline has passed"),
            TimeoutKind::Backpressure => "the consumer did not ask for more",
            TimeoutKind::Flush => "the sink did not flush",
            TimeoutKind::Close => "the sink did not close",
        };
        match self.after {
            Some(after) => write!(f, "{what} within {after:?}"),
            None => f.write_str(what),
        }
    }
}

/// Time ran out, or whatever is inside failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeoutError<E> {
    /// Time ran out.
    #[error(transparent)]
    Elapsed(Elapsed),
    /// The error of the stream, service or sink inside.
    #[error(transparent)]
    Inner(E),
}

impl<E> TimeoutError<E> {
    /// Whether time ran out.
    pub fn is_elapsed(&self) -> bool {
        matches!(self, TimeoutError::Elapsed(_))
    }

    /// What ran out, if time did.
    pub fn elapsed(&self) -> Option<&Elapsed> {
        match self {
            TimeoutError::Elapsed(elapsed) => Some(elapsed),
            TimeoutError::Inner(_) => None,
        }
    }

    /// The error from inside, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            TimeoutError::Elapsed(_) => None,
            TimeoutError::Inner(error) => Some(error),
        }
    }
}
