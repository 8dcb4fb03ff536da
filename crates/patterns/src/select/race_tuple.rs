//! The first of a fixed number of streams of different types that has an item.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

use super::children::add_hints;

/// Lets 2 to 8 streams race, which may be of different types, but all have the same items: the stream
/// that is first with an item; the others are dropped then.
///
/// If several are ready at once, the first in order wins. A stream that ends without an item is out of
/// the race; when all have, the race ends without one.
///
/// Nothing is boxed, and the streams need not be `Unpin`. [`race`](super::race) is for any number of
/// streams of one type. A future takes part as `stream::once(future)`.
///
/// ```
/// use futures::{StreamExt, executor::block_on, stream};
/// use ziggurat_patterns::stream::RaceTuple;
///
/// let slow = stream::once(std::future::pending());
/// let race = (stream::empty(), slow, stream::iter([1, 2]));
/// assert_eq!(block_on(race.race().collect::<Vec<_>>()), [1, 2]);
/// ```
pub trait RaceTuple {
    /// The stream that is first.
    type Raced;

    /// The stream that is first with an item.
    fn race(self) -> Self::Raced;
}

/// Without a winner: a stream that is empty loses to one that is not, so that there is a minimum only if
/// all have items.
fn widen(
    hint: Option<(usize, Option<usize>)>,
    (lower, upper): (usize, Option<usize>),
) -> Option<(usize, Option<usize>)> {
    let Some((least, most)) = hint else { return Some((lower, upper)) };
    Some((least.min(lower), most.zip(upper).map(|(a, b)| a.max(b))))
}

macro_rules! race_tuple {
    ($name:ident, $count:literal, $one:ident: $($stream:ident $field:ident $index:literal),+) => {
        pin_project! {
            #[doc = concat!("The first of ", $count, " streams. Made by [`RaceTuple`].")]
            ///
            /// A stream that has ended is dropped at once. No item is held here, but the first one when a
            /// loser's drop has panicked: it comes with the next poll.
            #[must_use = "streams do nothing unless polled"]
            pub struct $name<$($stream: Stream),+> {
                $(#[pin] $field: Option<$stream>,)+
                first: Option<$one::Item>,
                winner: Option<u8>,
                keeps: bool,
            }
        }

        impl<$($stream: Stream),+> $name<$($stream),+> {
            /// Keeps the losers, for [`into_parts`](Self::into_parts). They are not polled any more.
            pub fn keep_losers(mut self) -> Self {
                self.keeps = true;
                self
            }

            /// Which stream has won, if one has: its place in the tuple, from 0 on.
            pub fn winner(&self) -> Option<usize> {
                self.winner.map(usize::from)
            }

            /// The streams that have not ended: those that are still in the race before there is a
            /// winner; after that the winner, and the losers that were kept.
            pub fn into_parts(self) -> ($(Option<$stream>,)+) {
                ($(self.$field,)+)
            }
        }

        impl<Item, $($stream: Stream<Item = Item>),+> RaceTuple for ($($stream,)+) {
            type Raced = $name<$($stream),+>;

            fn race(self) -> Self::Raced {
                let ($($field,)+) = self;
                $name { $($field: Some($field),)+ first: None, winner: None, keeps: false }
            }
        }

        impl<Item, $($stream: Stream<Item = Item>),+> Stream for $name<$($stream),+> {
            type Item = Item;

            #[inline]
            fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
                let mut this = self.project();
                if let Some(winner) = *this.winner {
                    if let Some(first) = this.first.take() {
                        return Poll::Ready(Some(first));
                    }
                    return match winner {
                        $($index => match this.$field.as_mut().as_pin_mut() {
                            None => Poll::Ready(None),
                            Some(stream) => {
                                let polled = stream.poll_next(cx);
                                if let Poll::Ready(None) = polled {
                                    this.$field.set(None);
                                }
                                polled
                            }
                        },)+
                        _ => unreachable!("one of those above has won"),
                    };
                }
                let mut waits = false;
                let won = 'race: {
                    $(if let Some(stream) = this.$field.as_mut().as_pin_mut() {
                        match stream.poll_next(cx) {
                            Poll::Ready(Some(item)) => break 'race Some(($index, item)),
                            Poll::Ready(None) => this.$field.set(None),
                            Poll::Pending => waits = true,
                        }
                    })+
                    None
                };
                let Some((winner, item)) = won else {
                    return if waits { Poll::Pending } else { Poll::Ready(None) };
                };
                *this.winner = Some(winner);
                // The losers' drops may panic.
                *this.first = Some(item);
                if !*this.keeps {
                    $(if winner != $index {
                        this.$field.set(None);
                    })+
                }
                Poll::Ready(this.first.take())
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                let mut hint = None;
                $(if let Some(stream) = &self.$field {
                    let runs = self.winner.is_none_or(|winner| winner == $index);
                    hint = if runs { widen(hint, stream.size_hint()) } else { hint };
                })+
                let first = usize::from(self.first.is_some());
                add_hints(hint.unwrap_or((0, Some(0))), (first, Some(first)))
            }
        }

        impl<Item, $($stream: Stream<Item = Item>),+> FusedStream for $name<$($stream),+> {
            fn is_terminated(&self) -> bool {
                let out = |index| self.winner.is_some_and(|winner| winner != index);
                self.first.is_none() && $((self.$field.is_none() || out($index)))&&+
            }
        }

        impl<$($stream: Stream + fmt::Debug),+> fmt::Debug for $name<$($stream),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($field), &self.$field))+
                    .field("winner", &self.winner)
                    .finish_non_exhaustive()
            }
        }
    };
}

race_tuple!(Race2, 2, A: A a 0, B b 1);
race_tuple!(Race3, 3, A: A a 0, B b 1, C c 2);
race_tuple!(Race4, 4, A: A a 0, B b 1, C c 2, D d 3);
race_tuple!(Race5, 5, A: A a 0, B b 1, C c 2, D d 3, E e 4);
race_tuple!(Race6, 6, A: A a 0, B b 1, C c 2, D d 3, E e 4, F f 5);
race_tuple!(Race7, 7, A: A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6);
race_tuple!(Race8, 8, A: A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7);
