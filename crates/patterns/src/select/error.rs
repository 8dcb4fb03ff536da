//! What can go wrong when one of several services is to answer.

/// There are no services to choose from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there are no services")]
pub struct NoServices;

/// No service has answered a request with success: of a [`FirstOk`](super::FirstOk) or a
/// [`Fallback`](super::Fallback).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstOkError<E> {
    /// The error of each service, in the order of the services: of its call, or of its readiness.
    pub errors: Vec<E>,
}

impl<E: std::fmt::Display> std::fmt::Display for FirstOkError<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "none of {} services succeeded", self.errors.len())?;
        match self.errors.last() {
            Some(last) => write!(f, ", the last with: {last}"),
            None => Ok(()),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for FirstOkError<E> {
    /// The last service's; [`errors`](FirstOkError::errors) has all of them.
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.errors.last().map(|error| error as _)
    }
}

/// The request could not be steered, or the service that it was steered to failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SteerError<E> {
    /// The picker named a service that does not exist. The request was dropped.
    #[error("the picker chose service {index} of {services}")]
    NoSuchService {
        /// What the picker said.
        index: usize,
        /// How many services there are.
        services: usize,
    },
    /// The error of the service.
    #[error(transparent)]
    Inner(E),
}

impl<E> SteerError<E> {
    /// Whether the picker named a service that does not exist.
    pub fn is_no_such_service(&self) -> bool {
        matches!(self, SteerError::NoSuchService { .. })
    }

    /// The error from inside, if it is one.
    pub fn into_inner(self) -> Option<E> {
        match self {
            SteerError::NoSuchService { .. } => None,
            SteerError::Inner(error) => Some(error),
        }
    }
}
