//! Classes, of which the lower ones have a share that is certain.

use std::num::NonZeroU32;

use super::{Policy, State};
use crate::wake_set::Bits;

/// A class of [`Priority`]: 0, which is the default, comes first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u8);

/// Streams of a lower [`Class`] number come first; those of the others have a minimum share.
///
/// The items of the first class that has a stream which is ready are delivered, and within a class the
/// streams take turns. A class that was passed over `patience` times, while a stream of it was ready, is
/// next; of several such classes, the one that was passed over most often.
///
/// **The share**: between two items of a class that is ready all the while, there are at most
/// `patience + classes - 1` items of other classes, where `classes` is the number of classes in use. So
/// it has at least 1 of every `patience + classes` items. With two classes it is exactly 1 of every
/// `patience + 1` when both are always ready.
///
/// Choosing takes time in proportion to the number of classes in use.
///
/// ```
/// use std::num::NonZeroU32;
/// use futures::{StreamExt, stream};
/// use ziggurat_patterns::{select::{Class, Priority}, stream::Merge};
///
/// let patience = NonZeroU32::new(3).unwrap();
/// let mut merged = Merge::new().with_policy(Priority::new(patience));
/// merged.push_with(stream::repeat('-'), Class(7));
/// merged.push_with(stream::repeat('!'), Class(0));
/// let items: String = futures::executor::block_on(merged.take(8).collect());
/// assert_eq!(items, "!!!-!!!-");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Priority {
    patience: u32,
}

impl Priority {
    /// How many items may pass a class that is ready before it is its turn.
    pub fn new(patience: NonZeroU32) -> Self {
        Priority { patience: patience.get() }
    }
}

impl Policy for Priority {
    type Share = Class;
    type State = Classes;

    fn into_state(self) -> Classes {
        Classes { patience: self.patience, classes: Vec::new(), class_of: Vec::new() }
    }
}

#[doc(hidden)]
#[derive(Debug)]
pub struct Classes {
    patience: u32,
    /// In their order.
    classes: Vec<Members>,
    class_of: Vec<Option<Class>>,
}

#[derive(Debug)]
struct Members {
    class: Class,
    members: Bits,
    /// Who of them is next.
    next: usize,
    /// Items of others since its last one, counted while it was ready.
    passed: u32,
    /// Somebody was ready when the last pick was made.
    waits: bool,
}

impl Classes {
    fn find(&self, class: Class) -> Result<usize, usize> {
        self.classes.binary_search_by_key(&class, |members| members.class)
    }

    fn leave(&mut self, child: usize) {
        let class = self.class_of.get_mut(child).and_then(Option::take);
        if let Some(Ok(at)) = class.map(|class| self.find(class)) {
            self.classes[at].members.remove(child);
            // Shares may change for ever: there are no more classes than places.
            if self.classes[at].members.is_empty() {
                self.classes.remove(at);
            }
        }
    }
}

impl State<Class> for Classes {
    fn admit(&mut self, child: usize, class: Class) {
        self.leave(child);
        if self.class_of.len() <= child {
            self.class_of.resize(child + 1, None);
        }
        self.class_of[child] = Some(class);
        let at = self.find(class).unwrap_or_else(|at| {
            let members = Bits::new(child + 1);
            self.classes.insert(at, Members { class, members, next: 0, passed: 0, waits: false });
            at
        });
        self.classes[at].members.grow(child + 1);
        self.classes[at].members.insert(child);
    }

    fn pick(&mut self, ready: &Bits) -> Option<usize> {
        // The first of those that wait, unless another one has run out of patience.
        let mut best: Option<(u32, usize)> = None;
        for class in &mut self.classes {
            let child = ready.next_around_in(&class.members, class.next);
            class.waits = child.is_some();
            let Some(child) = child else { continue };
            let urgency = if class.passed >= self.patience { class.passed } else { 0 };
            if best.is_none_or(|(most, _)| urgency > most) {
                best = Some((urgency, child));
            }
        }
        best.map(|(_, child)| child)
    }

    fn delivered(&mut self, child: usize) {
        let of = self.class_of[child];
        for class in &mut self.classes {
            if Some(class.class) == of {
                class.passed = 0;
                class.next = child + 1;
            } else if class.waits {
                class.passed = class.passed.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::{Policy, State};
    use super::{Class, Priority};

    #[test]
    fn a_class_that_nobody_has_is_forgotten() {
        let mut state = Priority::new(NonZeroU32::MIN).into_state();
        for n in 0..1000 {
            state.admit(n % 3, Class(n as u8));
            assert!(state.classes.len() <= 3);
        }
    }
}
