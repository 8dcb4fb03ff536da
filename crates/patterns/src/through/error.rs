//! Whose error it was.

/// An error of the source or of the service. Of [`try_through`](crate::StreamLayerExt::try_through).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ThroughError<E, SE> {
    /// The source's; it took the place of a request.
    #[error(transparent)]
    Source(E),
    /// The service's.
    #[error(transparent)]
    Service(SE),
}

impl<E, SE> ThroughError<E, SE> {
    /// Whether it is the source's.
    pub fn is_source(&self) -> bool {
        matches!(self, ThroughError::Source(_))
    }

    /// Whether it is the service's.
    pub fn is_service(&self) -> bool {
        matches!(self, ThroughError::Service(_))
    }

    /// The source's error, if it is one.
    pub fn into_source(self) -> Option<E> {
        match self {
            ThroughError::Source(error) => Some(error),
            ThroughError::Service(_) => None,
        }
    }

    /// The service's error, if it is one.
    pub fn into_service(self) -> Option<SE> {
        match self {
            ThroughError::Source(_) => None,
            ThroughError::Service(error) => Some(error),
        }
    }
}
