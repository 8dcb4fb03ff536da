//! A fixed number of streams of different types but with the same items, as one stream.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;

use super::children::add_hints;
use super::policy::{Biased, RoundRobin, TuplePolicy};

/// Merges a tuple of 2 to 8 streams, which may be of different types, but all have the same items.
///
/// Nothing is boxed, the streams need not be `Unpin`, and they get the task's own waker: a poll asks one
/// stream after the other until one has an item. For many streams, or ones that are dear to poll,
/// [`merge`](crate::stream::merge) asks only those that were woken.
///
/// Where items differ, map them to a common type first: `(a.map(Event::A), b.map(Event::B)).merge()`.
///
/// ```
/// use futures::{StreamExt, executor::block_on, stream};
/// use ziggurat_patterns::stream::MergeTuple;
///
/// let numbers = stream::iter([1, 2]);
/// let one = stream::once(async { 10 });
/// let items: Vec<_> = block_on((numbers, one, stream::repeat(5).take(1)).merge().collect());
/// assert_eq!(items, [1, 10, 5, 2]);
/// ```
pub trait MergeTuple: Sized {
    /// The merged stream.
    type Merged<P: TuplePolicy>;

    /// The items of all, as they come. The streams take turns, as [`RoundRobin`] says.
    fn merge(self) -> Self::Merged<RoundRobin> {
        self.merge_with_policy(RoundRobin)
    }

    /// The items of all, as they come. The first in order that has one delivers it, as [`Biased`] says.
    fn merge_biased(self) -> Self::Merged<Biased> {
        self.merge_with_policy(Biased)
    }

    /// The items of all, as they come, by a policy that is given.
    fn merge_with_policy<P: TuplePolicy>(self, policy: P) -> Self::Merged<P>;
}

macro_rules! merge_tuple {
    ($name:ident, $count:literal: $($stream:ident $field:ident $index:literal),+) => {
        pin_project! {
            #[doc = concat!("The items of ", $count, " streams. Made by [`MergeTuple`].")]
            ///
            /// A stream that has ended is dropped at once. No item is held here.
            #[must_use = "streams do nothing unless polled"]
            pub struct $name<$($stream,)+ P = RoundRobin> {
                $(#[pin] $field: Option<$stream>,)+
                next: u8,
                policy: PhantomData<P>,
            }
        }

        impl<$($stream,)+ P> $name<$($stream,)+ P> {
            /// The streams that have not ended.
            pub fn into_parts(self) -> ($(Option<$stream>,)+) {
                ($(self.$field,)+)
            }
        }

        impl<Item, $($stream: Stream<Item = Item>),+> MergeTuple for ($($stream,)+) {
            type Merged<P: TuplePolicy> = $name<$($stream,)+ P>;

            fn merge_with_policy<P: TuplePolicy>(self, _policy: P) -> Self::Merged<P> {
                let ($($field,)+) = self;
                $name { $($field: Some($field),)+ next: 0, policy: PhantomData }
            }
        }

        impl<Item, $($stream,)+ P> Stream for $name<$($stream,)+ P>
        where
            $($stream: Stream<Item = Item>,)+
            P: TuplePolicy,
        {
            type Item = Item;

            #[inline]
            fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
                let mut this = self.project();
                let mut waits = false;
                let mut index = if P::ROTATES { *this.next } else { 0 };
                for _ in 0..$count {
                    match index {
                        $($index => if let Some(stream) = this.$field.as_mut().as_pin_mut() {
                            match stream.poll_next(cx) {
                                Poll::Ready(Some(item)) => {
                                    *this.next = ($index + 1) % $count;
                                    return Poll::Ready(Some(item));
                                }
                                Poll::Ready(None) => this.$field.set(None),
                                Poll::Pending => waits = true,
                            }
                        },)+
                        _ => {}
                    }
                    index = if index + 1 == $count { 0 } else { index + 1 };
                }
                if waits { Poll::Pending } else { Poll::Ready(None) }
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                let mut hint = (0, Some(0));
                $(if let Some(stream) = &self.$field {
                    hint = add_hints(hint, stream.size_hint());
                })+
                hint
            }
        }

        impl<Item, $($stream,)+ P> FusedStream for $name<$($stream,)+ P>
        where
            $($stream: Stream<Item = Item>,)+
            P: TuplePolicy,
        {
            fn is_terminated(&self) -> bool {
                $(self.$field.is_none())&&+
            }
        }

        impl<$($stream: fmt::Debug,)+ P> fmt::Debug for $name<$($stream,)+ P> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($name))$(.field(&self.$field))+.finish()
            }
        }
    };
}

merge_tuple!(Merge2, 2: A a 0, B b 1);
merge_tuple!(Merge3, 3: A a 0, B b 1, C c 2);
merge_tuple!(Merge4, 4: A a 0, B b 1, C c 2, D d 3);
merge_tuple!(Merge5, 5: A a 0, B b 1, C c 2, D d 3, E e 4);
merge_tuple!(Merge6, 6: A a 0, B b 1, C c 2, D d 3, E e 4, F f 5);
merge_tuple!(Merge7, 7: A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6);
merge_tuple!(Merge8, 8: A a 0, B b 1, C c 2, D d 3, E e 4, F f 5, G g 6, H h 7);
