//! The C face of a host, over a provider that is moved by hand.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use crate::HostWaker;
use crate::abi::{
    CLOCK_AWAKE, CLOCK_BOOT, CLOCK_REAL, ERROR, INTEREST_READABLE, INTEREST_WRITABLE, PENDING,
    READY,
};
use crate::host::{Clock, Host, HostRef, Interest, Job, Orphan};
use crate::testing::{HostUser, Lent, Task};

/// What the tests see of a [`Manual`] host.
#[derive(Default)]
pub(super) struct Seen {
    now: AtomicI64,
    timers: AtomicUsize,
    resets: AtomicUsize,
    descriptors: AtomicUsize,
    /// What was registered last: the number of the provider's own descriptor.
    registered: Mutex<Option<i32>>,
    ready: Mutex<Vec<Interest>>,
    wakers: Mutex<Vec<Waker>>,
    pub(super) fails: Mutex<bool>,
    panics: Mutex<bool>,
    pub(super) kept: Mutex<Vec<Job>>,
    /// It keeps what it is handed, and gives back what it was handed before.
    pub(super) swaps: Mutex<bool>,
    pub(super) orphan: Mutex<Option<Orphan>>,
}

impl Seen {
    fn may_panic(&self) {
        let panics = *self.panics.lock().unwrap();
        assert!(!panics, "a provider that panics");
    }
}

#[derive(Clone, Default)]
struct Manual(Arc<Seen>);

struct Counted(Arc<Seen>, i64);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.timers.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Registered(Arc<Seen>, #[expect(dead_code, reason = "closed by its drop")] OwnedFd);

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.descriptors.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Host for Manual {
    type Timer = Counted;
    type Descriptor = Registered;

    fn now(&self, clock: Clock) -> i64 {
        self.0.may_panic();
        let offset = match clock {
            Clock::Real => 1000,
            Clock::Awake => 0,
            Clock::Boot => 2000,
        };
        self.0.now.load(Ordering::SeqCst) + offset
    }

    fn timer(&self, at: i64) -> Counted {
        self.0.timers.fetch_add(1, Ordering::SeqCst);
        Counted(self.0.clone(), at)
    }

    fn reset_timer(&self, mut timer: Pin<&mut Counted>, at: i64) {
        self.0.resets.fetch_add(1, Ordering::SeqCst);
        timer.1 = at;
    }

    fn poll_timer(&self, timer: Pin<&mut Counted>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.may_panic();
        if self.0.now.load(Ordering::SeqCst) >= timer.1 {
            return Poll::Ready(());
        }
        self.0.wakers.lock().unwrap().push(cx.waker().clone());
        Poll::Pending
    }

    fn register(&self, fd: OwnedFd) -> io::Result<Registered> {
        self.0.may_panic();
        if *self.0.fails.lock().unwrap() {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        *self.0.registered.lock().unwrap() = Some(fd.as_raw_fd());
        self.0.descriptors.fetch_add(1, Ordering::SeqCst);
        Ok(Registered(self.0.clone(), fd))
    }

    fn poll_ready(
        &self,
        _: &mut Registered,
        interest: Interest,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.may_panic();
        if *self.0.fails.lock().unwrap() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let mut ready = self.0.ready.lock().unwrap();
        if let Some(at) = ready.iter().position(|&r| r == interest) {
            ready.remove(at);
            return Poll::Ready(Ok(()));
        }
        self.0.wakers.lock().unwrap().push(cx.waker().clone());
        Poll::Pending
    }

    fn offload(&self, job: Job) -> Result<(), Job> {
        self.0.may_panic();
        if *self.0.fails.lock().unwrap() {
            return Err(job);
        }
        if *self.0.swaps.lock().unwrap() {
            return Err(std::mem::replace(&mut self.0.kept.lock().unwrap()[0], job));
        }
        self.0.kept.lock().unwrap().push(job);
        Ok(())
    }

    fn drive(&self, orphan: Orphan) -> Result<(), Orphan> {
        self.0.may_panic();
        if *self.0.fails.lock().unwrap() {
            return Err(orphan);
        }
        let before = self.0.orphan.lock().unwrap().replace(orphan);
        match before {
            Some(before) if *self.0.swaps.lock().unwrap() => Err(before),
            _ => Ok(()),
        }
    }
}

/// Orphans are counted per process: whoever counts them is alone.
pub(super) static COUNTED: Mutex<()> = Mutex::new(());

pub(super) fn manual() -> (Arc<Seen>, HostRef, HostUser) {
    let manual = Manual::default();
    let seen = manual.0.clone();
    let host = HostRef::new(manual);
    let user = HostUser::new(&host);
    (seen, host, user)
}

fn registered(task: &Arc<Task>) -> HostWaker {
    let mut waker = HostWaker::new();
    waker.register(&mut Context::from_waker(&task.waker()));
    waker
}

fn pair() -> (UnixStream, UnixStream) {
    UnixStream::pair().unwrap()
}

const BOTH: u32 = INTEREST_READABLE | INTEREST_WRITABLE;

#[test]
fn a_host_lives_as_long_as_its_references() {
    let (seen, host, user) = manual();
    let copies: Vec<_> = (0..3).map(|_| host.clone()).collect();
    assert!(copies.iter().all(|copy| copy.as_raw() == host.as_raw()));
    drop((host, copies));
    assert_eq!(user.now(CLOCK_AWAKE), 0);
    drop(user);
    assert_eq!(Arc::strong_count(&seen), 1);
}

#[test]
fn a_host_is_made_of_a_provider_or_is_one_already() {
    fn host(host: impl Into<HostRef>) -> HostRef {
        host.into()
    }
    let made = host(Manual::default());
    assert_eq!(host(made.clone()).as_raw(), made.as_raw());
    assert!(!format!("{made:?}").is_empty());
}

#[test]
fn clocks_are_told_apart_and_unknown_ones_are_said_so() {
    let (seen, _host, user) = manual();
    seen.now.store(5, Ordering::SeqCst);
    assert_eq!([CLOCK_AWAKE, CLOCK_REAL, CLOCK_BOOT].map(|c| user.now(c)), [5, 1005, 2005]);
    assert_eq!([3, 4, u32::MAX].map(|c| user.now(c)), [i64::MIN; 3]);
}

#[test]
fn a_timer_is_made_once_moved_and_ended() {
    let (seen, _host, user) = manual();
    let task = Task::new();
    let waker = registered(&task);
    let mut timer = user.timer();
    assert_eq!(timer.poll(10, Lent::new(&waker)), PENDING);
    assert_eq!((seen.timers.load(Ordering::SeqCst), timer.has_ticket()), (1, true));
    // Earlier: moved at once. Later: left alone until it goes off.
    assert_eq!(timer.poll(5, Lent::new(&waker)), PENDING);
    assert_eq!(seen.resets.load(Ordering::SeqCst), 1);
    assert_eq!(timer.poll(20, Lent::new(&waker)), PENDING);
    assert_eq!(seen.resets.load(Ordering::SeqCst), 1);
    seen.now.store(6, Ordering::SeqCst);
    assert_eq!(timer.poll(20, Lent::new(&waker)), PENDING);
    assert_eq!(seen.resets.load(Ordering::SeqCst), 2);
    seen.now.store(20, Ordering::SeqCst);
    assert_eq!(timer.poll(20, Lent::new(&waker)), READY);
    assert_eq!(timer.poll(20, Lent::new(&waker)), READY, "and again");
    assert_eq!(timer.poll(i64::MIN, Lent::new(&waker)), READY);
    assert_eq!(timer.poll(21, Lent::new(&waker)), PENDING, "and it can be used again");
    assert_eq!(seen.timers.load(Ordering::SeqCst), 1);
    drop(timer);
    assert_eq!(seen.timers.load(Ordering::SeqCst), 0);
}

#[test]
fn a_ticket_outlives_its_user_s_reference_to_the_host() {
    let (seen, host, user) = manual();
    let waker = registered(&Task::new());
    let table = host.as_raw();
    let mut ticket = std::ptr::null_mut();
    // SAFETY: everything is alive and writable.
    let (poll, drop_timer) =
        unsafe { ((*(*table).vtable).poll_timer, (*(*table).vtable).drop_timer) };
    // SAFETY: as above.
    let status = unsafe { poll.unwrap()(table, &raw mut ticket, 9, waker.handle()) };
    assert_eq!(status, PENDING);
    drop((host, user));
    assert_eq!(seen.timers.load(Ordering::SeqCst), 1);
    // SAFETY: what `poll_timer` left, once.
    unsafe { drop_timer.unwrap()(ticket) };
    assert_eq!((seen.timers.load(Ordering::SeqCst), Arc::strong_count(&seen)), (0, 1));
}

#[test]
fn the_waker_is_the_task_s_own_without_a_copy_per_poll() {
    let (seen, _host, user) = manual();
    let task = Task::new();
    let waker = registered(&task);
    let mut timer = user.timer();
    for _ in 0..3 {
        assert_eq!(timer.poll(10, Lent::new(&waker)), PENDING);
    }
    // What the provider kept are references to the one handle.
    assert_eq!(waker.references(), 1 + 3);
    let mut kept = std::mem::take(&mut *seen.wakers.lock().unwrap());
    assert!(kept.iter().all(|other| other.will_wake(&kept[0])));
    kept.pop().unwrap().wake();
    assert_eq!(task.wakes(), 1);
    kept[0].wake_by_ref();
    assert_eq!(task.wakes(), 1, "once per registration");
    drop(kept);
    assert_eq!(waker.references(), 1);
}

#[test]
fn a_descriptor_is_duplicated_registered_once_and_ended() {
    let (seen, _host, user) = manual();
    let task = Task::new();
    let waker = registered(&task);
    let (reader, _writer) = pair();
    let number = reader.as_raw_fd();
    let mut fd = user.fd();
    assert_eq!(fd.poll(number, INTEREST_READABLE, Lent::new(&waker)), PENDING);
    let own = seen.registered.lock().unwrap().unwrap();
    assert_ne!(own, number);
    // Both directions have one ticket, and are told apart.
    seen.ready.lock().unwrap().push(Interest::Writable);
    assert_eq!(fd.poll(number, INTEREST_READABLE, Lent::new(&waker)), PENDING);
    assert_eq!(fd.poll(number, INTEREST_WRITABLE, Lent::new(&waker)), READY);
    assert_eq!(fd.poll(number, INTEREST_WRITABLE, Lent::new(&waker)), PENDING, "used up");
    seen.ready.lock().unwrap().push(Interest::Readable);
    assert_eq!(fd.poll(number, BOTH, Lent::new(&waker)), READY);
    assert_eq!(seen.descriptors.load(Ordering::SeqCst), 1);
    drop(fd);
    assert_eq!(seen.descriptors.load(Ordering::SeqCst), 0);
}

#[test]
fn what_cannot_be_waited_for_is_an_error_and_leaves_no_ticket() {
    let (seen, _host, user) = manual();
    let waker = registered(&Task::new());
    let (reader, _writer) = pair();
    let number = reader.as_raw_fd();
    let mut fd = user.fd();
    for negative in [-1, -100, i32::MIN] {
        assert_eq!(fd.poll(negative, INTEREST_READABLE, Lent::new(&waker)), ERROR);
    }
    assert_eq!(fd.poll(i32::MAX, INTEREST_READABLE, Lent::new(&waker)), ERROR, "not open");
    for bits in [0, 4, 8 | INTEREST_READABLE, u32::MAX] {
        assert_eq!(fd.poll(number, bits, Lent::new(&waker)), ERROR);
    }
    assert_eq!(fd.poll(number, INTEREST_READABLE, Lent::NULL), ERROR);
    *seen.fails.lock().unwrap() = true;
    assert_eq!(fd.poll(number, INTEREST_READABLE, Lent::new(&waker)), ERROR);
    assert!(!fd.has_ticket());
    *seen.fails.lock().unwrap() = false;
    assert_eq!(fd.poll(number, INTEREST_READABLE, Lent::new(&waker)), PENDING);
    assert_eq!((seen.descriptors.load(Ordering::SeqCst), fd.has_ticket()), (1, true));
}

#[test]
fn a_ticket_belongs_to_its_descriptor_and_ends_with_an_error() {
    let (seen, _host, user) = manual();
    let waker = registered(&Task::new());
    let (reader, writer) = pair();
    let (mine, other) = (reader.as_raw_fd(), writer.as_raw_fd());
    let mut fd = user.fd();
    assert_eq!(fd.poll(mine, INTEREST_READABLE, Lent::new(&waker)), PENDING);
    assert_eq!(fd.poll(other, INTEREST_WRITABLE, Lent::new(&waker)), ERROR);
    // That one is as it was.
    assert_eq!(fd.poll(mine, INTEREST_READABLE, Lent::new(&waker)), PENDING);
    *seen.fails.lock().unwrap() = true;
    assert_eq!(fd.poll(mine, INTEREST_READABLE, Lent::new(&waker)), ERROR);
    *seen.fails.lock().unwrap() = false;
    // The provider is not polled again.
    seen.ready.lock().unwrap().push(Interest::Readable);
    assert_eq!(fd.poll(mine, INTEREST_READABLE, Lent::new(&waker)), ERROR);
    drop(fd);
    assert_eq!(seen.descriptors.load(Ordering::SeqCst), 0);
}

#[test]
fn null_pointers_are_errors() {
    let (_seen, host, user) = manual();
    let waker = registered(&Task::new());
    let (raw, lent) = (host.as_raw(), waker.handle());
    // SAFETY: the host is alive.
    let table = unsafe { &*(*raw).vtable };
    let (null, nothing) = (std::ptr::null(), std::ptr::null_mut());
    let mut ticket = std::ptr::null_mut();
    unsafe extern "C" fn job(_: *mut std::ffi::c_void) {}
    // SAFETY: null is allowed everywhere; the rest is alive and writable.
    unsafe {
        assert_eq!(table.now.unwrap()(null, CLOCK_AWAKE), i64::MIN);
        assert_eq!(table.poll_timer.unwrap()(null, &raw mut ticket, 1, lent), ERROR);
        assert_eq!(table.poll_timer.unwrap()(raw, std::ptr::null_mut(), 1, lent), ERROR);
        assert_eq!(table.poll_fd.unwrap()(null, &raw mut ticket, 0, 1, lent), ERROR);
        assert_eq!(table.poll_fd.unwrap()(raw, std::ptr::null_mut(), 0, 1, lent), ERROR);
        assert_eq!(table.offload.unwrap()(raw, None, nothing), ERROR);
        assert_eq!(table.offload.unwrap()(null, Some(job), nothing), ERROR);
        assert_eq!(table.drive.unwrap()(raw, None, nothing), ERROR);
        table.drop_timer.unwrap()(nothing);
        table.drop_fd.unwrap()(nothing);
    }
    assert!(ticket.is_null());
    let mut timer = user.timer();
    assert_eq!(timer.poll(1, Lent::NULL), ERROR);
    assert!(!timer.has_ticket());
}

#[test]
fn a_job_runs_once_and_also_when_it_is_dropped() {
    let (seen, _host, user) = manual();
    let (sender, runs): (Sender<ThreadId>, Receiver<ThreadId>) = mpsc::channel();
    let job = || {
        let sender = sender.clone();
        move || sender.send(thread::current().id()).unwrap()
    };
    assert_eq!(user.offload(job()), READY);
    assert!(runs.try_recv().is_err(), "not on the caller's thread");
    seen.kept.lock().unwrap().pop().unwrap().run();
    assert_eq!(runs.recv(), Ok(thread::current().id()));
    assert_eq!(user.offload(job()), READY);
    seen.kept.lock().unwrap().clear();
    assert_ne!(runs.recv(), Ok(thread::current().id()), "on a thread of its own");
    *seen.fails.lock().unwrap() = true;
    assert_eq!(user.offload(job()), ERROR);
    drop(sender);
    assert!(runs.recv().is_err(), "a job that was refused does not run");
}

#[test]
fn a_provider_that_panics_is_an_error() {
    let _alone = COUNTED.lock().unwrap();
    let (seen, _host, user) = manual();
    let waker = registered(&Task::new());
    let (reader, _writer) = pair();
    let mut timer = user.timer();
    let mut fd = user.fd();
    *seen.panics.lock().unwrap() = true;
    assert_eq!(user.now(CLOCK_AWAKE), i64::MIN);
    assert_eq!(timer.poll(1, Lent::new(&waker)), ERROR);
    assert_eq!(fd.poll(reader.as_raw_fd(), INTEREST_READABLE, Lent::new(&waker)), ERROR);
    // What was handed over is done nevertheless.
    let (sender, ends) = mpsc::channel();
    let also = sender.clone();
    assert_eq!(user.offload(move || sender.send("job").unwrap()), READY);
    assert_eq!(ends.recv(), Ok("job"));
    let drive = user.drive(move |_| {
        also.send("orphan").unwrap();
        crate::abi::DONE
    });
    assert_eq!((drive, ends.recv()), (READY, Ok("orphan")));
    assert!(ends.recv().is_err());
    *seen.panics.lock().unwrap() = false;
    assert_eq!(timer.poll(0, Lent::new(&waker)), READY);
}
