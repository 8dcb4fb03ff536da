//! A stream layer that is a closure, for layers that are wrong in one point.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::stream::{FusedStream, Stream};
use ziggurat_patterns::testing::Token;
use ziggurat_patterns::testing::laws::Source;

/// A layer around a function, which gets the source and a place for what it remembers.
pub struct Layered<M, P> {
    source: Source,
    pub memory: M,
    poll: P,
    ended: bool,
    pub hint: fn(usize) -> (usize, Option<usize>),
}

impl<M: Default, P> Layered<M, P>
where
    P: FnMut(&mut Source, &mut M, &mut Context<'_>) -> Poll<Option<Token>>,
{
    pub fn new(source: Source, poll: P) -> Self {
        let hint = |_| (0, None);
        Layered { source, memory: M::default(), poll, ended: false, hint }
    }
}

impl<M: Unpin, P: Unpin> Stream for Layered<M, P>
where
    P: FnMut(&mut Source, &mut M, &mut Context<'_>) -> Poll<Option<Token>>,
{
    type Item = Token;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Token>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        let result = (this.poll)(&mut this.source, &mut this.memory, cx);
        this.ended = matches!(result, Poll::Ready(None));
        result
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.hint)(self.source.size_hint().0)
    }
}

impl<M: Unpin, P: Unpin> FusedStream for Layered<M, P>
where
    P: FnMut(&mut Source, &mut M, &mut Context<'_>) -> Poll<Option<Token>>,
{
    fn is_terminated(&self) -> bool {
        self.ended
    }
}
