//! The channels that are compared, behind one trait.

#![allow(
    clippy::manual_async_fn,
    reason = "as the trait has them: a future whose output is what it is"
)]

use std::future::Future;

/// What is sent.
pub trait Item: Copy + Default + Send + Sync + Unpin + 'static {
    fn of(i: u64) -> Self;
    fn number(&self) -> u64;
}

impl Item for u64 {
    #[inline(always)]
    fn of(i: u64) -> Self {
        i
    }
    #[inline(always)]
    fn number(&self) -> u64 {
        *self
    }
}

impl Item for [u64; 4] {
    #[inline(always)]
    fn of(i: u64) -> Self {
        [i; 4]
    }
    #[inline(always)]
    fn number(&self) -> u64 {
        self[3]
    }
}

/// What receiving yields; no item at the end.
pub trait Received<T>: Send {
    fn item(self) -> Option<T>;
}

impl<T: Send> Received<T> for Option<T> {
    #[inline(always)]
    fn item(self) -> Option<T> {
        self
    }
}

impl<T: Send, E: Send> Received<T> for Result<T, E> {
    #[inline(always)]
    fn item(self) -> Option<T> {
        self.ok()
    }
}

/// A kind of channel. `capacity: None` is unbounded.
pub trait Peer<T: Item>: 'static {
    type Tx: Send + 'static;
    type Rx: Send + 'static;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)>;
    fn more_tx(_: &Self::Tx) -> Option<Self::Tx> {
        None
    }
    fn more_rx(_: &Self::Rx) -> Option<Self::Rx> {
        None
    }
    /// The channel's own future: one around it would cost as much as some of the channels.
    fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send;
    /// As for [`send`](Self::send).
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send;
    fn try_send(tx: &mut Self::Tx, item: T) -> bool;
    fn try_recv(rx: &mut Self::Rx) -> Option<T>;
    /// Sends all of `items`; one by one unless the channel knows better.
    fn send_many(tx: &mut Self::Tx, items: &[T]) -> impl Future<Output = ()> + Send {
        async move {
            for &item in items {
                Self::send(tx, item).await;
            }
        }
    }
    /// Receives up to `most` items into the empty `into`; none at the end. One await, then what is there,
    /// unless the channel knows better.
    fn recv_many(
        rx: &mut Self::Rx,
        into: &mut Vec<T>,
        most: usize,
    ) -> impl Future<Output = ()> + Send {
        async move {
            into.extend(Self::recv(rx).await.item());
            while !into.is_empty() && into.len() < most {
                match Self::try_recv(rx) {
                    Some(item) => into.push(item),
                    None => return,
                }
            }
        }
    }
}

macro_rules! cloneable {
    (tx) => {
        fn more_tx(tx: &Self::Tx) -> Option<Self::Tx> {
            Some(tx.clone())
        }
    };
    (both) => {
        cloneable!(tx);
        fn more_rx(rx: &Self::Rx) -> Option<Self::Rx> {
            Some(rx.clone())
        }
    };
}

mod ours;
pub use ours::*;

pub struct AsyncChannel;
impl<T: Item> Peer<T> for AsyncChannel {
    type Tx = async_channel::Sender<T>;
    type Rx = async_channel::Receiver<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        Some(match capacity {
            Some(n) => async_channel::bounded(n),
            None => async_channel::unbounded(),
        })
    }
    cloneable!(both);
    fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send {
        tx.send(item)
    }
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
        rx.recv()
    }
    fn try_send(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item).is_ok()
    }
    fn try_recv(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv().ok()
    }
}

pub struct Flume;
impl<T: Item> Peer<T> for Flume {
    type Tx = flume::Sender<T>;
    type Rx = flume::Receiver<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        Some(match capacity {
            Some(n) => flume::bounded(n),
            None => flume::unbounded(),
        })
    }
    cloneable!(both);
    fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send {
        tx.send_async(item)
    }
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
        rx.recv_async()
    }
    fn try_send(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item).is_ok()
    }
    fn try_recv(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv().ok()
    }
}

pub struct Kanal;
impl<T: Item> Peer<T> for Kanal {
    type Tx = kanal::AsyncSender<T>;
    type Rx = kanal::AsyncReceiver<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        Some(match capacity {
            Some(n) => kanal::bounded_async(n),
            None => kanal::unbounded_async(),
        })
    }
    cloneable!(both);
    fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send {
        tx.send(item)
    }
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
        rx.recv()
    }
    fn try_send(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item).is_ok_and(|sent| sent)
    }
    fn try_recv(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv().ok().flatten()
    }
    async fn recv_many(rx: &mut Self::Rx, into: &mut Vec<T>, _most: usize) {
        into.extend(rx.recv().await.ok());
        if !into.is_empty() {
            let _ = rx.drain_into(into);
        }
    }
}

pub struct Tokio;
impl<T: Item> Peer<T> for Tokio {
    type Tx = tokio::sync::mpsc::Sender<T>;
    type Rx = tokio::sync::mpsc::Receiver<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        capacity.map(tokio::sync::mpsc::channel)
    }
    cloneable!(tx);
    fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send {
        tx.send(item)
    }
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
        rx.recv()
    }
    fn try_send(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item).is_ok()
    }
    fn try_recv(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv().ok()
    }
    async fn recv_many(rx: &mut Self::Rx, into: &mut Vec<T>, most: usize) {
        rx.recv_many(into, most).await;
    }
}

pub struct TokioUnbounded;
impl<T: Item> Peer<T> for TokioUnbounded {
    type Tx = tokio::sync::mpsc::UnboundedSender<T>;
    type Rx = tokio::sync::mpsc::UnboundedReceiver<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        capacity.is_none().then(tokio::sync::mpsc::unbounded_channel)
    }
    cloneable!(tx);
    fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send {
        async move {
            let _ = tx.send(item);
        }
    }
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
        rx.recv()
    }
    fn try_send(tx: &mut Self::Tx, item: T) -> bool {
        tx.send(item).is_ok()
    }
    fn try_recv(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv().ok()
    }
}

macro_rules! crossfire {
    ($name:ident, $flavour:ident, $tx:ident, $rx:ident, $($clone:ident)?) => {
        pub struct $name;
        impl<T: Item> Peer<T> for $name {
            type Tx = crossfire::$tx<crossfire::$flavour::Array<T>>;
            type Rx = crossfire::$rx<crossfire::$flavour::Array<T>>;
            fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
                capacity.map(crossfire::$flavour::bounded_async::<T>)
            }
            $(cloneable!($clone);)?
            fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send {
                tx.send(item)
            }
            fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
                rx.recv()
            }
            fn try_send(tx: &mut Self::Tx, item: T) -> bool {
                tx.try_send(item).is_ok()
            }
            fn try_recv(rx: &mut Self::Rx) -> Option<T> {
                rx.try_recv().ok()
            }
        }
    };
}
crossfire!(CrossfireSpsc, spsc, AsyncTx, AsyncRx,);
crossfire!(CrossfireMpsc, mpsc, MAsyncTx, AsyncRx, tx);
crossfire!(CrossfireMpmc, mpmc, MAsyncTx, MAsyncRx, both);

macro_rules! unbounded {
    (
        $name:ident, $tx:ty, $rx:ty, $make:path, $clone:ident,
        |$t:ident, $i:ident| $send:expr, |$r:ident| $recv:expr
    ) => {
        pub struct $name;
        impl<T: Item> Peer<T> for $name {
            type Tx = $tx;
            type Rx = $rx;
            fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
                capacity.is_none().then($make)
            }
            cloneable!($clone);
            fn send($t: &mut Self::Tx, $i: T) -> impl Future<Output = impl Sized> + Send {
                async move {
                    let _ = $send;
                }
            }
            fn recv($r: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
                async move { $recv }
            }
            fn try_send($t: &mut Self::Tx, $i: T) -> bool {
                $send.is_ok()
            }
            fn try_recv(rx: &mut Self::Rx) -> Option<T> {
                rx.try_recv().ok()
            }
        }
    };
}
unbounded!(
    CrossfireUnbounded,
    crossfire::MTx<crossfire::mpmc::List<T>>,
    crossfire::MAsyncRx<crossfire::mpmc::List<T>>,
    crossfire::mpmc::unbounded_async,
    both,
    |tx, item| tx.send(item),
    |rx| rx.recv().await.ok()
);
unbounded!(
    FuturesUnbounded,
    futures::channel::mpsc::UnboundedSender<T>,
    futures::channel::mpsc::UnboundedReceiver<T>,
    futures::channel::mpsc::unbounded,
    tx,
    |tx, item| tx.unbounded_send(item),
    |rx| futures::StreamExt::next(rx).await
);

pub struct Thingbuf;
impl<T: Item> Peer<T> for Thingbuf {
    type Tx = thingbuf::mpsc::Sender<T>;
    type Rx = thingbuf::mpsc::Receiver<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        capacity.map(thingbuf::mpsc::channel)
    }
    cloneable!(tx);
    fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send {
        tx.send(item)
    }
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
        rx.recv()
    }
    fn try_send(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item).is_ok()
    }
    fn try_recv(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv().ok()
    }
}

pub struct Futures;
impl<T: Item> Peer<T> for Futures {
    type Tx = futures::channel::mpsc::Sender<T>;
    type Rx = futures::channel::mpsc::Receiver<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        capacity.map(|n| futures::channel::mpsc::channel(n - 1))
    }
    cloneable!(tx);
    fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send {
        futures::SinkExt::send(tx, item)
    }
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
        futures::StreamExt::next(rx)
    }
    fn try_send(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item).is_ok()
    }
    fn try_recv(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv().ok()
    }
}

/// It blocks the thread: only where each end has a thread of its own.
pub struct Crossbeam;
impl<T: Item> Peer<T> for Crossbeam {
    type Tx = crossbeam_channel::Sender<T>;
    type Rx = crossbeam_channel::Receiver<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        Some(match capacity {
            Some(n) => crossbeam_channel::bounded(n),
            None => crossbeam_channel::unbounded(),
        })
    }
    cloneable!(both);
    fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send {
        async move {
            let _ = tx.send(item);
        }
    }
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
        async move { rx.recv().ok() }
    }
    fn try_send(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item).is_ok()
    }
    fn try_recv(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv().ok()
    }
}

/// It never waits but spins: the limit for one sender and one receiver with a core each.
pub struct Rtrb;
impl<T: Item> Peer<T> for Rtrb {
    type Tx = rtrb::Producer<T>;
    type Rx = rtrb::Consumer<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        capacity.map(rtrb::RingBuffer::new)
    }
    fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send {
        async move {
            while tx.push(item).is_err() {
                std::hint::spin_loop();
            }
        }
    }
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
        async move {
            loop {
                match rx.pop() {
                    Ok(item) => return Some(item),
                    Err(_) if rx.is_abandoned() => return rx.pop().ok(),
                    Err(_) => std::hint::spin_loop(),
                }
            }
        }
    }
    fn try_send(tx: &mut Self::Tx, item: T) -> bool {
        tx.push(item).is_ok()
    }
    fn try_recv(rx: &mut Self::Rx) -> Option<T> {
        rx.pop().ok()
    }
}
