//! Who is next: the policies by which many streams become one.

mod priority;
mod random;
mod rotation;
mod weighted;

pub use priority::{Class, Priority};
pub use random::Random;
pub use rotation::{Biased, RoundRobin};
pub use weighted::{Weight, Weighted};

use crate::wake_set::Bits;

/// Who of the streams that may have an item is asked first. The policies are [`RoundRobin`],
/// [`Biased`], [`Weighted`], [`Priority`] and [`Random`]; no others can be made.
///
/// A policy decides among the streams that are *ready*: those that have delivered and have not said
/// `Pending` since, those that were woken, and those that are new.
pub trait Policy: sealed::Sealed {
    /// What is said of each stream when it is added: its [`Weight`], its [`Class`], or nothing.
    type Share: Copy + Default;

    #[doc(hidden)]
    type State: State<Self::Share>;

    #[doc(hidden)]
    fn into_state(self) -> Self::State;
}

/// What a policy knows while it is at work.
#[doc(hidden)]
pub trait State<Share> {
    /// A child takes its place, or has its share changed.
    fn admit(&mut self, _child: usize, _share: Share) {}

    /// Who of those that are ready is next; `None` only if nobody is ready.
    fn pick(&mut self, ready: &Bits) -> Option<usize>;

    /// As `pick`, or `None` if that takes longer than a few instructions.
    #[inline]
    fn pick_near(&mut self, ready: &Bits) -> Option<usize> {
        self.pick(ready)
    }

    /// The child that was picked has delivered an item.
    fn delivered(&mut self, child: usize);
}

/// Policies that a fixed number of streams can have: [`RoundRobin`] and [`Biased`].
pub trait TuplePolicy: Policy {
    #[doc(hidden)]
    const ROTATES: bool;
}

mod sealed {
    pub trait Sealed {}

    impl Sealed for super::RoundRobin {}
    impl Sealed for super::Biased {}
    impl Sealed for super::Weighted {}
    impl Sealed for super::Priority {}
    impl Sealed for super::Random {}
}
