//! What buffers say.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

/// The buffer was full, or what is behind it failed.
///
/// Of a stream only the first happens: `E` is [`Infallible`] there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BufferError<T, E = Infallible> {
    /// The buffer was full. Here is the item back.
    #[error("the buffer is full")]
    Overflow {
        /// The item that found no room.
        item: T,
    },
    /// The error of the sink inside.
    #[error(transparent)]
    Inner(E),
}

impl<T, E> BufferError<T, E> {
    /// Whether the buffer was full.
    pub fn is_overflow(&self) -> bool {
        matches!(self, BufferError::Overflow { .. })
    }

    /// The item that found no room, if that is what happened.
    pub fn into_item(self) -> Option<T> {
        match self {
            BufferError::Overflow { item } => Some(item),
            BufferError::Inner(_) => None,
        }
    }

    /// The error from inside, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            BufferError::Overflow { .. } => None,
            BufferError::Inner(error) => Some(error),
        }
    }
}

/// The worker of a service's buffer is gone: it was dropped, and the service with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error("the worker of the buffer is gone")]
pub struct Closed;

/// The `poll_ready` of the buffered service failed. All callers get the same error, now and later.
#[derive(Debug)]
pub struct ServiceError<E> {
    inner: Arc<E>,
}

impl<E> ServiceError<E> {
    pub(super) fn new(error: E) -> Self {
        ServiceError { inner: Arc::new(error) }
    }

    /// The error of the service.
    pub fn get_ref(&self) -> &E {
        &self.inner
    }
}

impl<E> Clone for ServiceError<E> {
    fn clone(&self) -> Self {
        ServiceError { inner: Arc::clone(&self.inner) }
    }
}

impl<E> fmt::Display for ServiceError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the buffered service failed")
    }
}

impl<E: std::error::Error + 'static> std::error::Error for ServiceError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.inner)
    }
}

/// A call of a buffered service failed, or could not be made.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError<E> {
    /// The service failed before it could take the call.
    #[error(transparent)]
    Service(ServiceError<E>),
    /// The worker is gone, and with it the service.
    #[error(transparent)]
    Closed(Closed),
    /// The error of the call itself.
    #[error(transparent)]
    Inner(E),
}

impl<E> CallError<E> {
    /// Whether the service failed before it could take the call.
    pub fn is_service(&self) -> bool {
        matches!(self, CallError::Service(_))
    }

    /// Whether the worker is gone.
    pub fn is_closed(&self) -> bool {
        matches!(self, CallError::Closed(_))
    }

    /// The error of the call itself, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            CallError::Inner(error) => Some(error),
            _ => None,
        }
    }
}
