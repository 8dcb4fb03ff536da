//! A stream that goes through a Zig function.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::{FusedStream, Stream};
use pin_project_lite::pin_project;
use ziggurat_zig_ffi::ZigError;

use super::item::{InputHalf, OutputHalf};
use super::{TransformItem, ZigTransform};

/// Items that are pulled in a row before this yields to the executor once: a function may take much
/// and give nothing.
const BUDGET: usize = 4096;

/// How far the input is.
#[derive(Debug)]
pub(super) enum Feed {
    /// There may be more.
    Open {
        /// Items that may still be pulled before this yields.
        budget: usize,
    },
    /// There is no more, and the function is told so.
    Ended,
    /// The pull has said so, and what it brought before that is consumed.
    Stopped,
    /// The function takes no more.
    Refused,
}

impl Feed {
    pub(super) const OPEN: Feed = Feed::Open { budget: BUDGET };
}

/// What a pump finds when it asks for input.
pub(super) enum Pull<I> {
    Item(I),
    End,
    /// There is no more, and the function is not to be told. It may be asked again.
    Stop,
}

impl<T: ?Sized + TransformItem, U: ?Sized + TransformItem> ZigTransform<T, U> {
    /// Delivers what comes out, and brings what `pull` finds when the function asks for it.
    pub(super) fn poll_pump(
        &mut self,
        cx: &mut Context<'_>,
        feed: &mut Feed,
        mut pull: impl FnMut(&mut Context<'_>) -> Poll<Pull<T::Item>>,
    ) -> Poll<Option<Result<U::Item, ZigError>>> {
        loop {
            // First what there is; so the function is ahead of its reader by nothing.
            if let Poll::Ready(item) = self.poll_output(cx) {
                return Poll::Ready(item);
            }
            match feed {
                Feed::Refused | Feed::Stopped => return Poll::Pending,
                Feed::Ended => {
                    let finished = ready!(self.sink.outbox().poll_finish(cx));
                    *feed = Feed::Refused;
                    if let Some(broken) = self.is_broken(finished) {
                        return Poll::Ready(Some(Err(broken)));
                    }
                }
                Feed::Open { budget } => {
                    if *budget == 0 {
                        *budget = BUDGET;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    let Poll::Ready(wanted) = self.sink.outbox().poll_wanted(cx) else {
                        *budget = BUDGET;
                        return Poll::Pending;
                    };
                    if wanted.is_err() {
                        *feed = Feed::Refused;
                        let Some(broken) = self.is_broken(wanted) else { continue };
                        return Poll::Ready(Some(Err(broken)));
                    }
                    let room = self.sink.outbox().room().min(*budget);
                    let (pulled, then) = self.gather(cx, room, &mut pull);
                    *budget -= pulled;
                    match then {
                        Poll::Pending if pulled == 0 => {
                            *budget = BUDGET;
                            return Poll::Pending;
                        }
                        Poll::Ready(Pull::Stop) if pulled == 0 => {
                            *feed = Feed::Stopped;
                            return Poll::Pending;
                        }
                        Poll::Pending | Poll::Ready(Pull::Item(()) | Pull::Stop) => {}
                        Poll::Ready(Pull::End) => *feed = Feed::Ended,
                    }
                    // The stream is polled next, whatever comes of this.
                    self.stream.forget_waker();
                    let handed_over = self.sink.outbox().poll_hand_over(cx);
                    if let Poll::Ready(ended @ Err(_)) = handed_over {
                        *feed = Feed::Refused;
                        if let Some(broken) = self.is_broken(ended) {
                            return Poll::Ready(Some(Err(broken)));
                        }
                    }
                }
            }
        }
    }

    /// How the function has ended is for the stream to say, unless the other side broke the protocol:
    /// then nothing more is heard of it.
    fn is_broken(&mut self, ended: Result<(), ZigError>) -> Option<ZigError> {
        let Err(broken @ ZigError::Protocol(_)) = ended else { return None };
        self.stream.abort();
        Some(broken)
    }

    /// Pulls up to `room` items that are there, and says how many and why not more.
    fn gather(
        &mut self,
        cx: &mut Context<'_>,
        room: usize,
        pull: &mut impl FnMut(&mut Context<'_>) -> Poll<Pull<T::Item>>,
    ) -> (usize, Poll<Pull<()>>) {
        for pulled in 0..room {
            match pull(cx) {
                Poll::Ready(Pull::Item(item)) => self.sink.outbox().accept(item.into()),
                Poll::Ready(Pull::End) => return (pulled, Poll::Ready(Pull::End)),
                Poll::Ready(Pull::Stop) => return (pulled, Poll::Ready(Pull::Stop)),
                Poll::Pending => return (pulled, Poll::Pending),
            }
        }
        (room, Poll::Ready(Pull::Item(())))
    }
}

pin_project! {
    /// The stream of [`through_zig`](super::ThroughZigExt::through_zig).
    #[must_use = "streams do nothing unless polled"]
    pub struct Through<S, T, U>
    where
        T: TransformItem,
        T: ?Sized,
        U: TransformItem,
        U: ?Sized,
    {
        #[pin]
        input: S,
        transform: ZigTransform<T, U>,
        feed: Feed,
    }
}

impl<S, T: ?Sized + TransformItem, U: ?Sized + TransformItem> Through<S, T, U> {
    pub(super) fn new(input: S, transform: ZigTransform<T, U>) -> Self {
        Through { input, transform, feed: Feed::OPEN }
    }

    /// The stream that goes in.
    pub fn get_ref(&self) -> &S {
        &self.input
    }

    /// The stream that goes in, with what it has not delivered, and the transform, whose
    /// [`unsent`](ZigTransform::unsent) is what it has delivered and the function has not consumed.
    ///
    /// After the end (of a function that has returned early, say) they together have all of the
    /// input that is left, in order: `unsent` first. Bytes that the function's reader had taken
    /// over and nobody read are among it. Before the end, the transform goes on where it is when it
    /// is polled.
    pub fn into_parts(self) -> (S, ZigTransform<T, U>) {
        (self.input, self.transform)
    }
}

impl<S, T, U> Stream for Through<S, T, U>
where
    S: Stream<Item = T::Item>,
    T: ?Sized + TransformItem,
    U: ?Sized + TransformItem,
{
    type Item = Result<U::Item, ZigError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        this.transform.poll_pump(cx, this.feed, |cx| {
            Poll::Ready(match ready!(this.input.as_mut().poll_next(cx)) {
                Some(item) => Pull::Item(item),
                None => Pull::End,
            })
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.transform.size_hint()
    }
}

impl<S, T, U> FusedStream for Through<S, T, U>
where
    S: Stream<Item = T::Item>,
    T: ?Sized + TransformItem,
    U: ?Sized + TransformItem,
{
    fn is_terminated(&self) -> bool {
        self.transform.is_terminated()
    }
}

impl<S: fmt::Debug, T, U> fmt::Debug for Through<S, T, U>
where
    T: ?Sized + TransformItem,
    U: ?Sized + TransformItem,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Through")
            .field("input", &self.input)
            .field("transform", &self.transform)
            .field("feed", &self.feed)
            .finish()
    }
}
