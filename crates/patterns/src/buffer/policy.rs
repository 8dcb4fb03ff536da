//! What happens to an item that finds the buffer full.

use std::fmt;

use super::BufferError;

/// What happens to an item that finds the buffer full. For an error in its place see [`Reject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Overflow {
    /// It doesn't come to that: while the buffer is full, nothing is taken from the producer.
    #[default]
    Backpressure,
    /// The oldest item in the buffer is dropped for it.
    DropOldest,
    /// It is dropped itself.
    DropNewest,
    /// It replaces the one before it. The capacity counts as 1, whatever it is.
    Latest,
}

/// An item that finds the buffer full comes back in an error, [`BufferError::Overflow`].
///
/// Of a stream it is an item in its place in the order; nothing more is read until it has been taken.
/// Of a sink it is the error of `start_send`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Reject;

/// An [`Overflow`], or [`Reject`]. It cannot be implemented elsewhere.
pub trait Policy: fmt::Debug + Copy + sealed::Sealed {
    /// What a stream yields for items of type `T`: the item, or with [`Reject`] a `Result`.
    type Item<T>;

    #[doc(hidden)]
    fn rule(self) -> Rule;

    #[doc(hidden)]
    fn item<T>(item: T, overflow: bool) -> Self::Item<T>;
}

/// All policies in one.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    Backpressure,
    DropOldest,
    DropNewest,
    Latest,
    Reject,
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Overflow {}
    impl Sealed for super::Reject {}
}

impl Policy for Overflow {
    type Item<T> = T;

    #[inline]
    fn rule(self) -> Rule {
        match self {
            Overflow::Backpressure => Rule::Backpressure,
            Overflow::DropOldest => Rule::DropOldest,
            Overflow::DropNewest => Rule::DropNewest,
            Overflow::Latest => Rule::Latest,
        }
    }

    #[inline]
    fn item<T>(item: T, _: bool) -> T {
        item
    }
}

impl Policy for Reject {
    type Item<T> = Result<T, BufferError<T>>;

    #[inline]
    fn rule(self) -> Rule {
        Rule::Reject
    }

    #[inline]
    fn item<T>(item: T, overflow: bool) -> Self::Item<T> {
        if overflow { Err(BufferError::Overflow { item }) } else { Ok(item) }
    }
}
