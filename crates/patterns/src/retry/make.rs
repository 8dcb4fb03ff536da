//! What makes a stream, again and again.

use std::fmt;
use std::future::{Future, Ready, ready};

use futures_core::TryStream;

/// Makes a stream, and makes it again when it has failed.
///
/// [`restart_with_backoff`](crate::stream::restart_with_backoff) and its kin wrap closures in one. A type
/// of yours that implements it can be given to
/// [`Restart::from_maker`](crate::stream::Restart::from_maker).
///
/// ```
/// use std::{future, io};
/// use futures::stream::{self, Iter};
/// use ziggurat_patterns::retry::MakeStream;
///
/// /// Goes on after the lines that it has been told of.
/// struct Lines { seen: usize, lines: Vec<&'static str> }
///
/// impl MakeStream for Lines {
///     type Ok = &'static str;
///     type Error = io::Error;
///     type Stream = Iter<std::vec::IntoIter<io::Result<&'static str>>>;
///     type Future = future::Ready<io::Result<Self::Stream>>;
///
///     fn make(&mut self) -> Self::Future {
///         let rest: Vec<_> = self.lines[self.seen..].iter().copied().map(Ok).collect();
///         future::ready(Ok(stream::iter(rest)))
///     }
///
///     fn delivered(&mut self, _: &&'static str) {
///         self.seen += 1;
///     }
/// }
/// # let _ = Lines { seen: 0, lines: vec![] };
/// ```
pub trait MakeStream {
    /// The stream's items, when they are no errors.
    type Ok;

    /// Why the stream failed, or could not be made.
    type Error;

    /// The stream.
    type Stream: TryStream<Ok = Self::Ok, Error = Self::Error>;

    /// What makes it.
    type Future: Future<Output = Result<Self::Stream, Self::Error>>;

    /// Begins to make it.
    fn make(&mut self) -> Self::Future;

    /// Sees each item at the moment that it is handed out.
    #[inline]
    fn delivered(&mut self, item: &Self::Ok) {
        let _ = item;
    }
}

/// A [`MakeStream`] of a closure that returns a stream.
#[derive(Clone, Copy)]
pub struct Make<F>(pub(crate) F);

impl<F, S> MakeStream for Make<F>
where
    F: FnMut() -> S,
    S: TryStream,
{
    type Ok = S::Ok;
    type Error = S::Error;
    type Stream = S;
    type Future = Ready<Result<S, S::Error>>;

    fn make(&mut self) -> Self::Future {
        ready(Ok((self.0)()))
    }
}

/// A [`MakeStream`] of a closure that returns a future of a stream.
#[derive(Clone, Copy)]
pub struct Connect<F>(pub(crate) F);

impl<F, R, S> MakeStream for Connect<F>
where
    F: FnMut() -> R,
    R: Future<Output = Result<S, S::Error>>,
    S: TryStream,
{
    type Ok = S::Ok;
    type Error = S::Error;
    type Stream = S;
    type Future = R;

    fn make(&mut self) -> R {
        (self.0)()
    }
}

/// A [`MakeStream`] that remembers where it is. `F` is one of [`Make`] and [`Connect`], over a closure
/// that takes the position.
#[derive(Clone, Copy)]
pub struct Positioned<P, F, A> {
    pub(crate) position: P,
    pub(crate) make: F,
    pub(crate) after: A,
}

impl<P, F, A, S> MakeStream for Positioned<P, Make<F>, A>
where
    P: Clone,
    F: FnMut(P) -> S,
    A: FnMut(&S::Ok) -> P,
    S: TryStream,
{
    type Ok = S::Ok;
    type Error = S::Error;
    type Stream = S;
    type Future = Ready<Result<S, S::Error>>;

    fn make(&mut self) -> Self::Future {
        ready(Ok((self.make.0)(self.position.clone())))
    }

    #[inline]
    fn delivered(&mut self, item: &S::Ok) {
        self.position = (self.after)(item);
    }
}

impl<P, F, A, R, S> MakeStream for Positioned<P, Connect<F>, A>
where
    P: Clone,
    F: FnMut(P) -> R,
    A: FnMut(&S::Ok) -> P,
    R: Future<Output = Result<S, S::Error>>,
    S: TryStream,
{
    type Ok = S::Ok;
    type Error = S::Error;
    type Stream = S;
    type Future = R;

    fn make(&mut self) -> R {
        (self.make.0)(self.position.clone())
    }

    #[inline]
    fn delivered(&mut self, item: &S::Ok) {
        self.position = (self.after)(item);
    }
}

impl<F> fmt::Debug for Make<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Make").finish_non_exhaustive()
    }
}

impl<F> fmt::Debug for Connect<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").finish_non_exhaustive()
    }
}

impl<P: fmt::Debug, F, A> fmt::Debug for Positioned<P, F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Positioned").field("position", &self.position).finish_non_exhaustive()
    }
}
