//! What is tried again.

use std::fmt;
use std::time::Duration;

/// What a [`Policy`] thinks of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The result stands.
    Stop,
    /// Another attempt, when the backoff says.
    Retry,
    /// Another attempt, so long from now, in place of the backoff's delay, unless its delays have come
    /// to an end. `Retry-After` of HTTP is meant by this. If the limits have no room for such a wait,
    /// there is no further attempt.
    RetryAfter(Duration),
}

/// Decides which calls of a service are made again.
///
/// A policy is cloned for each call, so what it keeps is about one call; share the rest in an `Arc`.
///
/// ```
/// use std::time::Duration;
/// use ziggurat_patterns::retry::{Decision, Policy};
///
/// #[derive(Clone)]
/// struct Http;
///
/// impl<E> Policy<String, u16, E> for Http {
///     fn decide(&mut self, _: &mut String, result: Result<&u16, &E>) -> Decision {
///         match result {
///             Ok(503) => Decision::RetryAfter(Duration::from_secs(1)),
///             Ok(429 | 502 | 504) | Err(_) => Decision::Retry,
///             Ok(_) => Decision::Stop,
///         }
///     }
///
///     fn clone_request(&mut self, request: &String) -> Option<String> {
///         request.starts_with("GET").then(|| request.clone())
///     }
/// }
/// # let _ = Http;
/// ```
pub trait Policy<Request, Response, Error> {
    /// Looks at an answer. It may change the request that is sent next. Not asked when the request was
    /// not cloned.
    fn decide(&mut self, request: &mut Request, result: Result<&Response, &Error>) -> Decision;

    /// A copy to send again; `None`, if this request must not be sent twice.
    fn clone_request(&mut self, request: &Request) -> Option<Request>;
}

/// Retries every error, of requests that are `Clone`.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnyError;

impl<Request: Clone, Response, Error> Policy<Request, Response, Error> for AnyError {
    #[inline]
    fn decide(&mut self, _: &mut Request, result: Result<&Response, &Error>) -> Decision {
        if result.is_err() { Decision::Retry } else { Decision::Stop }
    }

    #[inline]
    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}

impl<Error> ErrorPolicy<Error> for AnyError {
    #[inline]
    fn decide(&mut self, _: &Error) -> Decision {
        Decision::Retry
    }
}

/// Retries the errors for which a predicate holds, of requests that are `Clone`.
#[derive(Clone, Copy)]
pub struct When<F>(pub F);

impl<F> fmt::Debug for When<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("When").finish_non_exhaustive()
    }
}

impl<Request, Response, Error, F> Policy<Request, Response, Error> for When<F>
where
    Request: Clone,
    F: FnMut(&Error) -> bool,
{
    #[inline]
    fn decide(&mut self, _: &mut Request, result: Result<&Response, &Error>) -> Decision {
        result.err().map_or(Decision::Stop, |error| ErrorPolicy::decide(self, error))
    }

    #[inline]
    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        Some(request.clone())
    }
}

impl<Error, F: FnMut(&Error) -> bool> ErrorPolicy<Error> for When<F> {
    #[inline]
    fn decide(&mut self, error: &Error) -> Decision {
        if (self.0)(error) { Decision::Retry } else { Decision::Stop }
    }
}

/// As another policy, with waits that the errors ask for.
#[derive(Clone, Copy)]
pub struct Hinted<P, F> {
    policy: P,
    hint: F,
}

impl<P: fmt::Debug, F> fmt::Debug for Hinted<P, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hinted").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl<P, F> Hinted<P, F> {
    /// `hint` finds how long an error wants us to wait. It is asked only about what is retried.
    pub fn new(policy: P, hint: F) -> Self {
        Hinted { policy, hint }
    }

    fn apply<Error>(&mut self, decision: Decision, error: Option<&Error>) -> Decision
    where
        F: FnMut(&Error) -> Option<Duration>,
    {
        match (decision, error) {
            (Decision::Retry, Some(error)) => {
                (self.hint)(error).map_or(Decision::Retry, Decision::RetryAfter)
            }
            (decision, _) => decision,
        }
    }
}

impl<Request, Response, Error, P, F> Policy<Request, Response, Error> for Hinted<P, F>
where
    P: Policy<Request, Response, Error>,
    F: FnMut(&Error) -> Option<Duration>,
{
    #[inline]
    fn decide(&mut self, request: &mut Request, result: Result<&Response, &Error>) -> Decision {
        let decision = self.policy.decide(request, result);
        self.apply(decision, result.err())
    }

    #[inline]
    fn clone_request(&mut self, request: &Request) -> Option<Request> {
        self.policy.clone_request(request)
    }
}

impl<Error, P, F> ErrorPolicy<Error> for Hinted<P, F>
where
    P: ErrorPolicy<Error>,
    F: FnMut(&Error) -> Option<Duration>,
{
    fn decide(&mut self, error: &Error) -> Decision {
        let decision = self.policy.decide(error);
        self.apply(decision, Some(error))
    }
}

/// Decides after which errors a stream is made again. [`AnyError`], [`When`] and [`Hinted`] are such.
pub trait ErrorPolicy<Error> {
    /// Looks at an error.
    fn decide(&mut self, error: &Error) -> Decision;
}
