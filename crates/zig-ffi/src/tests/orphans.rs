//! What a host is handed to finish, and what it makes of it.

use std::pin::Pin;
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Waker};
use std::thread;

use super::host::{COUNTED, manual};
use crate::abi::{ERROR, PENDING, READY};
use crate::host::orphans;
use crate::testing::{Lent, Task};

/// An orphan that is pending `polls` times and leaves its waker each time.
fn orphan(
    polls: usize,
    wakers: &Sender<Waker>,
    ended: &Sender<()>,
) -> impl FnMut(Lent<'_>) -> i32 + use<> {
    let (wakers, ended) = (wakers.clone(), ended.clone());
    let mut left = polls;
    move |waker| {
        if left == 0 {
            ended.send(()).unwrap();
            return crate::abi::CANCELLED;
        }
        left -= 1;
        wakers.send(waker.to_waker()).unwrap();
        PENDING
    }
}

#[test]
fn an_orphan_that_is_not_taken_is_never_polled() {
    let _alone = COUNTED.lock().unwrap();
    let (seen, _host, user) = manual();
    *seen.fails.lock().unwrap() = true;
    let (ended, ends) = mpsc::channel::<()>();
    let before = orphans();
    assert_eq!(user.drive(move |_| ended.send(()).map_or(ERROR, |()| READY)), ERROR);
    assert_eq!((orphans(), ends.recv().is_err()), (before, true));
}

#[test]
fn an_orphan_is_finished_by_the_provider_s_polls() {
    let _alone = COUNTED.lock().unwrap();
    let (seen, _host, user) = manual();
    let ((wakers, woken), (ended, ends)) = (mpsc::channel(), mpsc::channel());
    let before = orphans();
    assert_eq!(user.drive(orphan(1, &wakers, &ended)), READY);
    assert_eq!(orphans(), before + 1);
    let mut taken = seen.orphan.lock().unwrap().take().unwrap();
    let task = Task::new();
    let waker = task.waker();
    let mut cx = Context::from_waker(&waker);
    assert!(Pin::new(&mut taken).poll(&mut cx).is_pending());
    woken.recv().unwrap().wake();
    assert_eq!(task.wakes(), 1);
    assert!(Pin::new(&mut taken).poll(&mut cx).is_ready());
    assert!(Pin::new(&mut taken).poll(&mut cx).is_ready(), "and is not called again");
    assert_eq!((orphans(), ends.try_recv()), (before, Ok(())));
}

#[test]
fn an_orphan_that_is_dropped_is_finished_by_the_reaper() {
    let _alone = COUNTED.lock().unwrap();
    let (seen, _host, user) = manual();
    let ((wakers, woken), (ended, ends)) = (mpsc::channel(), mpsc::channel());
    let before = orphans();
    for _ in 0..100 {
        assert_eq!(user.drive(orphan(3, &wakers, &ended)), READY);
        drop(seen.orphan.lock().unwrap().take());
    }
    assert!(orphans() > before);
    for _ in 0..300 {
        woken.recv().unwrap().wake();
    }
    for _ in 0..100 {
        ends.recv().unwrap();
    }
    while orphans() != before {
        thread::yield_now();
    }
}

#[test]
fn a_provider_that_gives_back_another_job_or_orphan_has_taken_the_new_one() {
    let _alone = COUNTED.lock().unwrap();
    let (seen, _host, user) = manual();
    let (sender, runs) = mpsc::channel();
    let job = |name: &'static str| {
        let sender = sender.clone();
        move || sender.send(name).unwrap()
    };
    assert_eq!(user.offload(job("first")), READY);
    *seen.swaps.lock().unwrap() = true;
    assert_eq!(user.offload(job("second")), READY, "the provider has it");
    assert_eq!(runs.recv(), Ok("first"), "and what it gave back is done");
    seen.kept.lock().unwrap().pop().unwrap().run();
    assert_eq!(runs.recv(), Ok("second"));

    let before = orphans();
    let ((wakers, _woken), (ended, ends)) = (mpsc::channel(), mpsc::channel());
    for _ in 0..2 {
        assert_eq!(user.drive(orphan(0, &wakers, &ended)), READY);
    }
    ends.recv().unwrap();
    drop(seen.orphan.lock().unwrap().take());
    ends.recv().unwrap();
    while orphans() != before {
        thread::yield_now();
    }
}
