//! Model checks of a source that several consumers poll in turn: no wake is lost, whoever goes away.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures_core::Stream;
use loom::future::block_on;
use loom::sync::{Arc, Mutex};
use loom::thread;
use ziggurat_patterns::StreamLayerExt;

use super::model;

/// One item, which another thread brings.
#[derive(Clone, Default)]
struct Channel(Arc<Mutex<Slot>>);

#[derive(Default)]
struct Slot {
    sent: bool,
    taken: bool,
    waker: Option<Waker>,
}

impl Channel {
    fn send(&self) {
        let mut slot = self.0.lock().unwrap();
        slot.sent = true;
        let waker = slot.waker.take();
        drop(slot);
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Stream for Channel {
    type Item = u32;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        let mut slot = self.0.lock().unwrap();
        if slot.taken {
            return Poll::Ready(None);
        }
        if slot.sent {
            slot.taken = true;
            return Poll::Ready(Some(7));
        }
        slot.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    block_on(std::future::poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)))
}

/// Polls once and looks elsewhere, perhaps as the one whose turn it is. It goes away when the stream that
/// is returned is dropped.
fn look<S: Stream + Unpin>(mut stream: S) -> S {
    let mut cx = Context::from_waker(Waker::noop());
    let _ = Pin::new(&mut stream).poll_next(&mut cx);
    stream
}

#[test]
fn broadcast_models() {
    let room = NonZeroUsize::MIN;
    model("both consumers get the item", 2, move || {
        let channel = Channel::default();
        let (mut left, mut right) = channel.clone().tee(room);
        let sender = thread::spawn(move || channel.send());
        let other = thread::spawn(move || assert_eq!(next(&mut right), Some(7)));
        assert_eq!(next(&mut left), Some(7));
        sender.join().unwrap();
        other.join().unwrap();
    });
    model("one goes away while the other waits", 2, move || {
        let channel = Channel::default();
        let (mut left, right) = channel.clone().tee(room);
        let sender = thread::spawn(move || channel.send());
        let other = thread::spawn(move || drop(look(right)));
        assert_eq!(next(&mut left), Some(7));
        assert_eq!(next(&mut left), None);
        sender.join().unwrap();
        other.join().unwrap();
    });
    model("one looks elsewhere while the other waits", 2, move || {
        let channel = Channel::default();
        let (mut left, right) = channel.clone().tee(room);
        let sender = thread::spawn(move || channel.send());
        let other = thread::spawn(move || look(right));
        assert_eq!(next(&mut left), Some(7));
        sender.join().unwrap();
        drop(other.join().unwrap());
    });
}

#[test]
fn partition_models() {
    let room = NonZeroUsize::MIN;
    model("the other half finds the item", 2, move || {
        let channel = Channel::default();
        let (mut sevens, others) = channel.clone().partition(|item| *item == 7, room);
        let sender = thread::spawn(move || channel.send());
        let other = thread::spawn(move || drop(look(others)));
        assert_eq!(next(&mut sevens), Some(7));
        assert_eq!(next(&mut sevens), None);
        sender.join().unwrap();
        other.join().unwrap();
    });
    model("the other half looks elsewhere", 2, move || {
        let channel = Channel::default();
        let (mut sevens, others) = channel.clone().partition(|item| *item == 7, room);
        let sender = thread::spawn(move || channel.send());
        let other = thread::spawn(move || look(others));
        assert_eq!(next(&mut sevens), Some(7));
        sender.join().unwrap();
        drop(other.join().unwrap());
    });
}
