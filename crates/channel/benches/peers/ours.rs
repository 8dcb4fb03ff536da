//! This crate's own channels.

use std::future::Future;

use super::{Item, Peer, Received};

pub struct Ours;
impl<T: Item> Peer<T> for Ours {
    type Tx = ziggurat_channel::Sender<T>;
    type Rx = ziggurat_channel::Receiver<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        Some(match capacity {
            Some(n) => ziggurat_channel::bounded(n),
            None => ziggurat_channel::unbounded(),
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
    async fn send_many(tx: &mut Self::Tx, items: &[T]) {
        let _ = tx.send_many(&mut items.to_vec().into()).await;
    }
    async fn recv_many(rx: &mut Self::Rx, into: &mut Vec<T>, most: usize) {
        let _ = rx.recv_many(into, most).await;
    }
}

/// For one sender and one receiver.
pub struct OursSpsc;
impl<T: Item> Peer<T> for OursSpsc {
    type Tx = ziggurat_channel::spsc::Sender<T>;
    type Rx = ziggurat_channel::spsc::Receiver<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        capacity.map(ziggurat_channel::spsc::bounded)
    }
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
    async fn send_many(tx: &mut Self::Tx, mut items: &[T]) {
        while !items.is_empty() && tx.ready().await.is_ok() {
            items = &items[tx.try_send_slice(items).unwrap_or(0)..];
        }
    }
    async fn recv_many(rx: &mut Self::Rx, into: &mut Vec<T>, most: usize) {
        let _ = rx.recv_many(into, most).await;
    }
}

/// Ours, used as [`Rtrb`](super::Rtrb) is: it spins.
pub struct OursSpinning;
impl<T: Item> Peer<T> for OursSpinning {
    type Tx = ziggurat_channel::spsc::Sender<T>;
    type Rx = ziggurat_channel::spsc::Receiver<T>;
    fn make(capacity: Option<usize>) -> Option<(Self::Tx, Self::Rx)> {
        capacity.map(ziggurat_channel::spsc::bounded)
    }
    fn send(tx: &mut Self::Tx, item: T) -> impl Future<Output = impl Sized> + Send {
        async move {
            while let Err(ziggurat_channel::TrySendError::Full(_)) = tx.try_send(item) {
                std::hint::spin_loop();
            }
        }
    }
    fn recv(rx: &mut Self::Rx) -> impl Future<Output = impl Received<T>> + Send {
        async move {
            loop {
                match rx.try_recv() {
                    Ok(item) => return Some(item),
                    Err(ziggurat_channel::TryRecvError::Closed) => return None,
                    Err(ziggurat_channel::TryRecvError::Empty) => std::hint::spin_loop(),
                }
            }
        }
    }
    fn try_send(tx: &mut Self::Tx, item: T) -> bool {
        tx.try_send(item).is_ok()
    }
    fn try_recv(rx: &mut Self::Rx) -> Option<T> {
        rx.try_recv().ok()
    }
}
