//! The latest items of several streams, whenever one of them has another.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

/// Combines a tuple of 2 to 8 streams: each item is a tuple of the latest item of each of them.
///
/// The first tuple comes when each stream has had an item, and then there is another one for each item
/// of any of them. Known as `combineLatest` from ReactiveX, with one difference: a stream that has an
/// item is not asked for another one while the first tuple waits for those of other streams. So every
/// item is in some tuple, and none is passed over.
///
/// The streams take turns. It ends when all have ended, or one has without an item.
///
/// ```
/// use futures::{StreamExt, executor::block_on, stream};
/// use ziggurat_patterns::stream::CombineTuple;
///
/// let widths = stream::iter([1, 2]);
/// let heights = stream::iter([10, 20, 30]);
/// let sizes: Vec<_> = block_on((widths, heights).combine_latest().collect());
/// assert_eq!(sizes, [(1, 10), (2, 10), (2, 20), (2, 30)]);
/// ```
pub trait CombineTuple: Sized {
    /// The combined stream.
    type Combined;

    /// Tuples of the latest item of each.
    fn combine_latest(self) -> Self::Combined;
}

macro_rules! combine_tuple {
    ($name:ident, $count:literal: $($stream:ident $field:ident $held:ident $index:literal),+) => {
        pin_project! {
            #[doc = concat!("The latest items of ", $count, " streams. Made by [`CombineTuple`].")]
            ///
            /// It holds the latest item of each stream, of which each tuple has a clone. A stream that
            /// has ended is dropped at once.
            #[must_use = "streams do nothing unless polled"]
            pub struct $name<$($stream: Stream),+> {
                $(#[pin] $field: Option<$stream>, $held: Option<$stream::Item>,)+
                next: u8,
                state: State,
            }
        }

        impl<$($stream: Stream),+> $name<$($stream),+> {
            /// The streams that have not ended, and the latest items, which were not in any tuple if
            /// there has not been one.
            pub fn into_parts(self) -> (($(Option<$stream>,)+), ($(Option<$stream::Item>,)+)) {
                (($(self.$field,)+), ($(self.$held,)+))
            }
        }

        impl<$($stream: Stream<Item: Clone>),+> CombineTuple for ($($stream,)+) {
            type Combined = $name<$($stream),+>;

            fn combine_latest(self) -> Self::Combined {
                let ($($field,)+) = self;
                $name { $($field: Some($field), $held: None,)+ next: 0, state: State::Fills }
            }
        }

        impl<$($stream: Stream<Item: Clone>),+> $name<$($stream),+> {
            /// Whether each stream has had an item.
            fn poll_fill(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
                let mut this = self.as_mut().project();
                let mut waits = false;
                $(if let (None, Some(stream)) = (&this.$held, this.$field.as_mut().as_pin_mut()) {
                    match stream.poll_next(cx) {
                        Poll::Ready(Some(item)) => *this.$held = Some(item),
                        Poll::Ready(None) => return Poll::Ready(false),
                        Poll::Pending => waits = true,
                    }
                })+
                if waits { Poll::Pending } else { Poll::Ready(true) }
            }

            /// Whether a stream has had another item, or all have ended.
            fn poll_update(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
                let mut this = self.as_mut().project();
                let mut waits = false;
                let mut index = *this.next;
                for _ in 0..$count {
                    match index {
                        $($index => if let Some(stream) = this.$field.as_mut().as_pin_mut() {
                            match stream.poll_next(cx) {
                                Poll::Ready(Some(item)) => {
                                    let old = this.$held.replace(item);
                                    *this.next = ($index + 1) % $count;
                                    // The old one's drop may panic: the tuple comes all the same.
                                    *this.state = State::Owes;
                                    drop(old);
                                    return Poll::Ready(true);
                                }
                                Poll::Ready(None) => this.$field.set(None),
                                Poll::Pending => waits = true,
                            }
                        },)+
                        _ => {}
                    }
                    index = if index + 1 == $count { 0 } else { index + 1 };
                }
                if waits { Poll::Pending } else { Poll::Ready(false) }
            }
        }

        impl<$($stream: Stream<Item: Clone>),+> Stream for $name<$($stream),+> {
            type Item = ($($stream::Item,)+);

            fn poll_next(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<Option<Self::Item>> {
                let changed = match self.state {
                    State::Fills => self.as_mut().poll_fill(cx),
                    State::Updates => self.as_mut().poll_update(cx),
                    State::Owes => Poll::Ready(true),
                    State::Done => Poll::Ready(false),
                };
                let this = self.project();
                match changed {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(true) => *this.state = State::Owes,
                    Poll::Ready(false) => {
                        *this.state = State::Done;
                        return Poll::Ready(None);
                    }
                }
                match ($(this.$held.clone(),)+) {
                    ($(Some($field),)+) => {
                        *this.state = State::Updates;
                        Poll::Ready(Some(($($field,)+)))
                    }
                    _ => unreachable!("all were filled before"),
                }
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                let mut hint = Hint::new();
                $(hint.add(self.$field.as_ref().map(Stream::size_hint), self.$held.is_some());)+
                hint.of(self.state)
            }
        }

        impl<$($stream: Stream<Item: Clone>),+> FusedStream for $name<$($stream),+> {
            fn is_terminated(&self) -> bool {
                self.state == State::Done
            }
        }

        impl<$($stream: Stream + fmt::Debug),+> fmt::Debug for $name<$($stream),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name))$(.field(&self.$field))+.finish()
            }
        }
    };
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Not every stream has had an item.
    Fills,
    Updates,
    /// A stream has had an item, and its tuple has not come: a drop or a clone has panicked.
    Owes,
    Done,
}

/// How many tuples are to come: one for each item, but those of streams that have had none yet go into
/// the first one together.
struct Hint {
    lower: usize,
    upper: Option<usize>,
    missing: usize,
    /// All streams without an item are sure to have one, and none of them is sure to have none.
    sure: bool,
    never: bool,
}

impl Hint {
    fn new() -> Self {
        Hint { lower: 0, upper: Some(0), missing: 0, sure: true, never: false }
    }

    /// Adds the hint of a stream that has not ended, and whether it has had an item.
    fn add(&mut self, hint: Option<(usize, Option<usize>)>, held: bool) {
        let (lower, upper) = hint.unwrap_or((0, Some(0)));
        self.lower = self.lower.saturating_add(lower);
        self.upper = self.upper.zip(upper).and_then(|(a, b)| a.checked_add(b));
        if !held {
            self.missing += 1;
            self.sure &= lower > 0;
            self.never |= upper == Some(0);
        }
    }

    fn of(mut self, state: State) -> (usize, Option<usize>) {
        if state == State::Owes {
            self.lower = self.lower.saturating_add(1);
            self.upper = self.upper.and_then(|upper| upper.checked_add(1));
        }
        if state == State::Done || self.never {
            return (0, Some(0));
        }
        let together = self.missing.saturating_sub(1);
        let lower = if self.sure { self.lower.saturating_sub(together) } else { 0 };
        (lower, self.upper.map(|upper| upper.saturating_sub(together)))
    }
}

combine_tuple!(Combine2, 2: A a held_a 0, B b held_b 1);
combine_tuple!(Combine3, 3: A a held_a 0, B b held_b 1, C c held_c 2);
combine_tuple!(Combine4, 4: A a held_a 0, B b held_b 1, C c held_c 2, D d held_d 3);
combine_tuple!(Combine5, 5: A a held_a 0, B b held_b 1, C c held_c 2, D d held_d 3, E e held_e 4);
combine_tuple!(
    Combine6, 6: A a held_a 0, B b held_b 1, C c held_c 2, D d held_d 3, E e held_e 4, F f held_f 5
);
combine_tuple!(
    Combine7, 7: A a held_a 0, B b held_b 1, C c held_c 2, D d held_d 3, E e held_e 4, F f held_f 5,
    G g held_g 6
);
combine_tuple!(
    Combine8, 8: A a held_a 0, B b held_b 1, C c held_c 2, D d held_d 3, E e held_e 4, F f held_f 5,
    G g held_g 6, H h held_h 7
);
