//! Streams side by side: an item of each at a time.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

/// Pairs of the items of two streams. As `(a, b).zip()` of [`ZipTuple`].
///
/// ```
/// use futures::{StreamExt, executor::block_on, stream};
/// use ziggurat_patterns::stream::zip;
///
/// let pairs: Vec<_> = block_on(zip(stream::iter([1, 2, 3]), stream::iter(["a", "b"])).collect());
/// assert_eq!(pairs, [(1, "a"), (2, "b")]);
/// ```
pub fn zip<A: Stream, B: Stream>(a: A, b: B) -> Zip2<A, B> {
    (a, b).zip()
}

/// Zips a tuple of 2 to 8 streams: each item is a tuple of one item of each of them.
///
/// While a stream has no item, those of the others wait here, one of each at most. It ends as soon as one
/// stream ends; what waits then, and the streams, are had by `into_parts`. A stream is not asked once one
/// before it has ended.
///
/// ```
/// use futures::{StreamExt, executor::block_on, stream};
/// use ziggurat_patterns::stream::ZipTuple;
///
/// let mut rows = (stream::iter([1, 2]), stream::iter("ab".chars()), stream::iter([true])).zip();
/// assert_eq!(block_on(rows.next()), Some((1, 'a', true)));
/// assert_eq!(block_on(rows.next()), None);
/// let (_, held) = rows.into_parts();
/// assert_eq!(held, (Some(2), Some('b'), None));
/// ```
pub trait ZipTuple: Sized {
    /// The zipped stream.
    type Zipped;

    /// Tuples of one item of each.
    fn zip(self) -> Self::Zipped;
}

macro_rules! zip_tuple {
    ($name:ident, $count:literal: $($stream:ident $field:ident $held:ident),+) => {
        pin_project! {
            #[doc = concat!("The items of ", $count, " streams, side by side. Made by [`ZipTuple`].")]
            ///
            /// It holds at most one item of each stream.
            #[must_use = "streams do nothing unless polled"]
            pub struct $name<$($stream: Stream),+> {
                $(#[pin] $field: $stream, $held: Option<$stream::Item>,)+
                done: bool,
            }
        }

        impl<$($stream: Stream),+> $name<$($stream),+> {
            /// The streams, and the items that wait for those of the other streams.
            pub fn into_parts(self) -> (($($stream,)+), ($(Option<$stream::Item>,)+)) {
                (($(self.$field,)+), ($(self.$held,)+))
            }
        }

        impl<$($stream: Stream),+> ZipTuple for ($($stream,)+) {
            type Zipped = $name<$($stream),+>;

            fn zip(self) -> Self::Zipped {
                let ($($field,)+) = self;
                $name { $($field, $held: None,)+ done: false }
            }
        }

        impl<$($stream: Stream),+> Stream for $name<$($stream),+> {
            type Item = ($($stream::Item,)+);

            #[inline]
            fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
                let this = self.project();
                if *this.done {
                    return Poll::Ready(None);
                }
                let mut waits = false;
                $(if this.$held.is_none() {
                    match this.$field.poll_next(cx) {
                        Poll::Ready(Some(item)) => *this.$held = Some(item),
                        Poll::Ready(None) => {
                            *this.done = true;
                            return Poll::Ready(None);
                        }
                        Poll::Pending => waits = true,
                    }
                })+
                if waits {
                    return Poll::Pending;
                }
                match ($(this.$held.take(),)+) {
                    ($(Some($field),)+) => Poll::Ready(Some(($($field,)+))),
                    _ => unreachable!("all were filled above"),
                }
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                if self.done {
                    return (0, Some(0));
                }
                let mut hint = (usize::MAX, None);
                $(hint = shorter(hint, self.$field.size_hint(), self.$held.is_some());)+
                hint
            }
        }

        impl<$($stream: Stream),+> FusedStream for $name<$($stream),+> {
            fn is_terminated(&self) -> bool {
                self.done
            }
        }

        impl<$($stream: Stream + fmt::Debug),+> fmt::Debug for $name<$($stream),+> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name))$(.field(&self.$field))+.finish()
            }
        }
    };
}

/// The hint so far, and that of one more stream, of which an item may be held.
fn shorter(
    so_far: (usize, Option<usize>),
    (lower, upper): (usize, Option<usize>),
    held: bool,
) -> (usize, Option<usize>) {
    let held = usize::from(held);
    let upper = upper.and_then(|upper| upper.checked_add(held));
    let least = match (so_far.1, upper) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    };
    (so_far.0.min(lower.saturating_add(held)), least)
}

zip_tuple!(Zip2, 2: A a held_a, B b held_b);
zip_tuple!(Zip3, 3: A a held_a, B b held_b, C c held_c);
zip_tuple!(Zip4, 4: A a held_a, B b held_b, C c held_c, D d held_d);
zip_tuple!(Zip5, 5: A a held_a, B b held_b, C c held_c, D d held_d, E e held_e);
zip_tuple!(Zip6, 6: A a held_a, B b held_b, C c held_c, D d held_d, E e held_e, F f held_f);
zip_tuple!(
    Zip7, 7: A a held_a, B b held_b, C c held_c, D d held_d, E e held_e, F f held_f, G g held_g
);
zip_tuple!(
    Zip8, 8: A a held_a, B b held_b, C c held_c, D d held_d, E e held_e, F f held_f, G g held_g,
    H h held_h
);
