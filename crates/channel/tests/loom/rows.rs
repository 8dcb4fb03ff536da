//! Rows whose first ring has room for one item, and whose second has room for two: growing against
//! sending, receiving, closing and parking.

use std::collections::VecDeque;

use loom::future::block_on;
use loom::thread;
use ziggurat_channel::{TryRecvError, growable_with_capacity};

use super::{Wait, model};

pub fn rows() {
    model("a row, two senders that grow at once", 2, || {
        let (s, r) = growable_with_capacity(1);
        s.try_send(1).unwrap();
        let other = s.clone();
        let a = thread::spawn(move || other.try_send(2).unwrap());
        s.try_send(4).unwrap();
        a.join().unwrap();
        assert_eq!((r.len(), r.try_recv()), (3, Ok(1)));
        assert_eq!(r.try_recv().unwrap() + r.try_recv().unwrap(), 6);
        assert_eq!(r.try_recv(), Err(TryRecvError::Empty));
    });
    model("a row, growing against a receiver that parks", 2, || {
        let (s, r) = growable_with_capacity(1);
        let a = thread::spawn(move || (1..=3).for_each(|i| s.try_send(i).unwrap()));
        for i in 1..=3 {
            assert_eq!(block_on(r.recv()), Ok(i));
        }
        assert!(block_on(r.recv()).is_err());
        a.join().unwrap();
    });
    model("a row, growing against two receivers that have parked", 2, || {
        let (s, r) = growable_with_capacity(1);
        let mut waits = [Box::pin(r.recv()), Box::pin(r.recv())].map(Wait::new);
        waits.iter_mut().for_each(Wait::poll);
        let other = s.clone();
        let a = thread::spawn(move || other.try_send(1).unwrap());
        s.try_send(2).unwrap();
        waits.iter_mut().for_each(Wait::poll_if_woken);
        a.join().unwrap();
        (0..3).for_each(|_| waits.iter_mut().for_each(Wait::poll_if_woken));
        let received: u32 = waits.iter().map(|wait| wait.output.unwrap().unwrap()).sum();
        assert_eq!(received, 3);
    });
    model("a row, growing against close", 3, || {
        let (s, r) = growable_with_capacity(1);
        s.try_send(Box::new(0)).unwrap();
        let a = thread::spawn(move || (s.try_send(Box::new(1)).is_ok(), s));
        assert!(r.close());
        let mut received = 0;
        while r.try_recv().is_ok() {
            received += 1;
        }
        let (sent, _s) = a.join().unwrap();
        assert_eq!(received, 1 + usize::from(sent));
        assert_eq!(r.try_recv(), Err(TryRecvError::Closed));
    });
    model("a row, nothing is sent after any close has returned", 3, || {
        let (s, r) = growable_with_capacity(1);
        let other = r.clone();
        let a = thread::spawn(move || (s.try_send(1).is_ok(), s));
        let b = thread::spawn(move || other.close());
        let mine = r.close();
        let received = r.try_recv();
        assert_ne!(received, Err(TryRecvError::Empty));
        let (sent, _s) = a.join().unwrap();
        assert_eq!(sent, received.is_ok());
        assert!(mine != b.join().unwrap());
    });
    model("a row, whoever was told that it is closed finds the end", 3, || {
        let (s, r) = growable_with_capacity(1);
        let other = r.clone();
        let a = thread::spawn(move || other.close());
        if r.is_closed() || s.try_send(1).is_err() {
            assert_eq!((r.try_recv(), r.is_closed()), (Err(TryRecvError::Closed), true));
        }
        a.join().unwrap();
    });
    model("a row, close wakes a receiver that parks while others grow", 1, || {
        let (s, r) = growable_with_capacity(1);
        s.try_send(1).unwrap();
        let other = s.clone();
        let a = thread::spawn(move || other.try_send(2).is_ok());
        let b = thread::spawn(move || {
            let mut received = 0;
            while block_on(r.recv()).is_ok() {
                received += 1;
            }
            received
        });
        s.close();
        assert_eq!(b.join().unwrap(), 1 + u32::from(a.join().unwrap()));
    });
    model("a row, two receivers that leave a ring", 2, || {
        let (s, r) = growable_with_capacity(1);
        (1..=3).for_each(|i| s.try_send(i).unwrap());
        let other = r.clone();
        let a = thread::spawn(move || other.try_recv().unwrap() + other.try_recv().unwrap());
        let mine = r.try_recv().unwrap();
        assert_eq!(a.join().unwrap() + mine, 6);
        assert_eq!((r.len(), r.try_recv()), (0, Err(TryRecvError::Empty)));
    });
    model("a row, a batch that grows against a batch", 1, || {
        let (s, r) = growable_with_capacity(1);
        let a = thread::spawn(move || {
            let mut items: VecDeque<_> = [1, 2, 3].into();
            s.try_send_many(&mut items).unwrap()
        });
        let mut received = Vec::new();
        while block_on(r.recv_many(&mut received, 2)).is_ok() {}
        assert_eq!(received, [1, 2, 3]);
        assert_eq!(a.join().unwrap(), 3);
    });
    model("a row, dropped amid growing", 2, || {
        let (s, r) = growable_with_capacity(1);
        s.try_send(Box::new(0)).unwrap();
        let a = thread::spawn(move || {
            let _ = s.try_send(Box::new(1));
            let _ = s.try_send(Box::new(2));
        });
        drop(r);
        a.join().unwrap();
    });
}
