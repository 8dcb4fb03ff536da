//! Layers that are known to be right keep the laws.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::stream::{FusedStream, Stream, StreamExt, TryStreamExt, select, select_all};
use futures::{SinkExt, future};
use tower::ServiceExt;
use ziggurat_patterns::testing::laws::{self, Drain, Source, TryToken};
use ziggurat_patterns::testing::{Fault, Token};
use ziggurat_patterns::time::{Alarm, TestClock};

#[test]
fn streams() {
    // What passes polls on is not fused by that.
    laws::stream("fuse", |source, _| source.fuse()).conserves(|_| Vec::new()).check();
    laws::stream("chunks", |source, _| source.chunks(3)).check();
    laws::stream("ready_chunks", |source, _| source.ready_chunks(5)).check();
    laws::stream("enumerate", |source, _| source.enumerate().fuse())
        .check_with(|(_, token)| vec![token.id()]);
    let faults = |item: &TryToken| item.as_ref().err().copied();
    laws::try_stream("fuse", |source, _| source.fuse()).faults(faults).check();
    laws::try_stream("map_err", |source, _| source.map_err(|fault| fault.to_string()).fuse())
        .check();
    // What it leaves out it may leave out for ever; but not this one.
    laws::stream("even", |source, _| {
        source.filter(|token| future::ready(token.id() % 2 == 0)).fuse()
    })
    .lossy()
    .check();
    laws::streams("select", 2, |mut sources, _| {
        let (b, a) = (sources.pop(), sources.pop());
        select(a.expect("two"), b.expect("two"))
    })
    .check();
    laws::try_streams("select_all", 3, |sources, _| select_all(sources)).faults(faults).check();
}

/// Pairs items, and gives a lone one out after a second. Holds one item.
struct Pairs {
    source: Source,
    held: Option<Token>,
    alarm: Pin<Box<Alarm<TestClock>>>,
}

impl Stream for Pairs {
    type Item = Vec<Token>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<Token>>> {
        let this = &mut *self;
        while !this.source.is_terminated() {
            match this.source.poll_next_unpin(cx) {
                Poll::Ready(Some(token)) => match this.held.take() {
                    Some(first) => {
                        this.alarm.as_mut().clear();
                        return Poll::Ready(Some(vec![first, token]));
                    }
                    None => {
                        this.held = Some(token);
                        this.alarm.as_mut().set_after(Duration::from_secs(1));
                    }
                },
                Poll::Ready(None) => break,
                Poll::Pending => {
                    let due = this.held.is_some() && this.alarm.as_mut().poll(cx).is_ready();
                    let lone = if due { this.held.take() } else { None };
                    return lone.map_or(Poll::Pending, |token| Poll::Ready(Some(vec![token])));
                }
            }
        }
        Poll::Ready(this.held.take().map(|token| vec![token]))
    }
}

impl FusedStream for Pairs {
    fn is_terminated(&self) -> bool {
        self.source.is_terminated() && self.held.is_none()
    }
}

#[test]
fn a_layer_that_holds_items_and_arms_timers() {
    laws::stream("pairs", |source, clock| {
        let alarm = Box::pin(Alarm::new(clock.clone()));
        Pairs { source, held: None, alarm }
    })
    .conserves(|pairs| pairs.held.into_iter().collect())
    .check();
}

#[test]
fn services() {
    laws::service("the service itself", |inner, _| inner)
        .faults(|fault| Some(*fault))
        .clones()
        .check();
    laws::service("boxed", |inner, _| inner.boxed_clone())
        .faults(|fault| Some(*fault))
        .clones()
        .check();
    laws::service("concurrency limit", |inner, _| tower::limit::ConcurrencyLimit::new(inner, 2))
        .faults(|fault| Some(*fault))
        .clones()
        .check();
    laws::service("load shed", |inner, _| tower::load_shed::LoadShed::new(inner))
        .faults(|error| error.downcast_ref::<Fault>().copied())
        .clones()
        .refuses()
        .check();
}

#[test]
fn sinks() {
    laws::sink("the sink itself", |sink, _| sink)
        .faults(|fault| Some(*fault))
        .conserves(|_| Vec::new())
        .check();
    laws::sink("buffer", |sink, _| sink.buffer(3)).faults(|fault| Some(*fault)).check();
    laws::sink_of("singletons", |sink: Drain<Vec<Token>>, _| {
        sink.with(|token: Token| future::ok::<_, Fault>(vec![token]))
    })
    .check();
}
