//! What every timer promises, and what the test clock adds.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{join, pending};
use ziggurat_core::time::{
    Alarm, Deadlock, DefaultTimer, ErasedTimer, FromHyper, Sleep, TestClock, Timer, ToHyper,
    TokioTimer,
};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// The promises of `Timer` and `Sleep`, for waits that are short enough to be real.
async fn conformance(timer: impl Timer) {
    let start = timer.now();
    timer.sleep_until(start).await;
    if let Some(past) = start.checked_sub(HOUR) {
        timer.sleep_until(past).await;
    }

    let nanos = timer.nanos();
    let deadline = timer.deadline(5 * MS);
    let mut sleep = pin!(timer.sleep_until(deadline));
    sleep.as_mut().await;
    assert!(timer.now() >= deadline);
    assert!(timer.nanos() > nanos);
    assert!(sleep.as_mut().now_or_never().is_some(), "completes again until it is reset");

    sleep.as_mut().reset(timer.deadline(HOUR));
    assert!(sleep.as_mut().now_or_never().is_none());
    // Earlier, while it is waited for.
    let deadline = timer.deadline(5 * MS);
    sleep.as_mut().reset(deadline);
    sleep.as_mut().await;
    assert!(timer.now() >= deadline);

    // Never, as far as a machine lives, and no overflow.
    assert!(timer.sleep(Duration::MAX).now_or_never().is_none());
}

#[test]
fn default_timer_under_a_bare_block_on() {
    futures::executor::block_on(conformance(DefaultTimer));
}

#[test]
fn default_timer_inside_tokio() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(conformance(DefaultTimer));
}

#[test]
fn erased_timer() {
    futures::executor::block_on(conformance(ErasedTimer::new(DefaultTimer)));
    let clock = TestClock::new();
    clock.block_on(conformance(ErasedTimer::new(clock.clone())));
}

#[test]
fn test_clock() {
    let clock = TestClock::new();
    clock.block_on(conformance(clock.clone()));
    assert_eq!(clock.elapsed(), 10 * MS);
    assert_eq!(clock.armed(), 0);
}

#[test]
fn tokio_timer_in_real_time() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(conformance(TokioTimer));
}

#[test]
fn tokio_timer_obeys_a_paused_clock() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        conformance(TokioTimer).await;
        let start = TokioTimer.now();
        TokioTimer.sleep(HOUR).await;
        assert!(TokioTimer.now() - start >= HOUR);
    });
}

#[test]
fn there_and_back_through_hyper() {
    futures::executor::block_on(conformance(FromHyper::new(ToHyper::new(DefaultTimer))));
    let clock = TestClock::new();
    clock.block_on(conformance(FromHyper::new(ToHyper::new(clock.clone()))));
}

#[test]
fn hyper_resets_our_sleeps_in_place_and_replaces_others() {
    use hyper::rt::Timer as _;
    let clock = TestClock::new();
    let timer = ToHyper::new(clock.clone());
    let mut ours = timer.sleep(HOUR);
    timer.reset(&mut ours, clock.deadline(MS));
    clock.block_on(ours);
    assert_eq!(clock.elapsed(), MS);

    let mut foreign = ToHyper::new(DefaultTimer).sleep(HOUR);
    timer.reset(&mut foreign, clock.deadline(MS));
    clock.block_on(foreign);
    assert_eq!(clock.elapsed(), 2 * MS);
}

/// A timer of hyper's with the least that one has to have: `reset` makes a new sleep.
#[derive(Clone)]
struct Least(ToHyper<TestClock>);

impl hyper::rt::Timer for Least {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        hyper::rt::Timer::sleep(&self.0, duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        hyper::rt::Timer::sleep_until(&self.0, deadline)
    }

    fn now(&self) -> Instant {
        hyper::rt::Timer::now(&self.0)
    }
}

#[test]
fn a_sleep_that_hyper_replaces_still_wakes_who_waits() {
    for (reset_to, woken_at_once) in [(MS, false), (Duration::ZERO, true)] {
        let clock = TestClock::new();
        let mut sleep = Box::pin(FromHyper::new(Least(ToHyper::new(clock.clone()))).sleep(HOUR));
        let woken = Arc::new(CountWakes::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        assert!(sleep.as_mut().poll(&mut cx).is_pending());
        sleep.as_mut().reset(clock.deadline(reset_to));
        assert_eq!(woken.0.load(Ordering::Relaxed) > 0, woken_at_once);
        clock.advance(MS);
        assert!(woken.0.load(Ordering::Relaxed) > 0);
        assert!(sleep.as_mut().poll(&mut cx).is_ready());
    }
}

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn making_a_sleep_arms_nothing() {
    let clock = TestClock::new();
    let sleep = clock.sleep(HOUR);
    assert_eq!(clock.armed(), 0);
    let mut sleep = Box::pin(sleep);
    assert!(sleep.as_mut().now_or_never().is_none());
    assert_eq!((clock.armed(), clock.next_deadline()), (1, Some(HOUR)));
    drop(sleep);
    assert_eq!(clock.armed(), 0);
    // Outside any runtime, too.
    drop(TokioTimer.sleep(HOUR));
}

#[test]
fn sleeps_end_in_the_order_of_their_deadlines() {
    let clock = TestClock::new();
    let order = std::cell::RefCell::new(Vec::new());
    let nap = |name: &'static str, ms: u32| {
        let (clock, order) = (clock.clone(), &order);
        async move {
            clock.sleep(ms * MS).await;
            order.borrow_mut().push((name, clock.elapsed()));
        }
    };
    clock.block_on(join(join(nap("c", 30), nap("a", 10)), join(nap("b", 20), nap("b'", 20))));
    assert_eq!(*order.borrow(), [("a", 10 * MS), ("b", 20 * MS), ("b'", 20 * MS), ("c", 30 * MS)]);
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_endless_advance_ends() {
    let clock = TestClock::new();
    clock.advance(HOUR);
    let mut sleep = pin!(clock.sleep(Duration::MAX));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(sleep.as_mut().poll(&mut cx).is_pending());
    clock.advance(Duration::MAX);
    assert_eq!(clock.nanos(), u64::MAX);
    assert!(clock.now() > clock.now() - HOUR);
    clock.advance(Duration::MAX);
    assert_eq!(clock.elapsed(), Duration::from_nanos(u64::MAX));
    assert!(sleep.as_mut().poll(&mut cx).is_ready());
}

#[test]
fn advance_wakes_what_is_due_and_nothing_else() {
    let clock = TestClock::new();
    let count = Arc::new(Count::default());
    let waker = Waker::from(count.clone());
    let mut cx = Context::from_waker(&waker);
    let mut sleeps: Vec<_> = (1..=4).map(|i| Box::pin(clock.sleep(i * MS))).collect();
    assert!(sleeps.iter_mut().all(|sleep| sleep.as_mut().poll(&mut cx).is_pending()));
    clock.advance(2 * MS);
    assert_eq!((count.0.load(Ordering::SeqCst), clock.armed()), (2, 2));
    let done: Vec<_> = sleeps.iter_mut().map(|s| s.as_mut().poll(&mut cx).is_ready()).collect();
    assert_eq!(done, [true, true, false, false]);
    clock.advance(HOUR);
    assert_eq!(clock.elapsed(), HOUR + 2 * MS);
    assert_eq!(clock.armed(), 0);
}

#[test]
fn waiting_for_nothing_is_a_deadlock_and_not_a_hang() {
    let clock = TestClock::new();
    clock.advance(HOUR);
    assert_eq!(clock.try_block_on(pending::<()>()), Err(Deadlock { elapsed: HOUR }));
}

#[test]
#[should_panic(expected = "deadlock at 1ms of virtual time")]
fn a_deadlock_is_loud() {
    let clock = TestClock::new();
    clock.block_on(async {
        clock.sleep(MS).await;
        pending::<()>().await;
    });
}

#[test]
fn a_future_that_wakes_itself_goes_on_without_time_passing() {
    let clock = TestClock::new();
    let mut turns = 0;
    clock.block_on(poll_fn(|cx| {
        turns += 1;
        if turns == 100 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }));
    assert_eq!(clock.elapsed(), Duration::ZERO);
}

#[test]
fn auto_works_under_other_executors() {
    let clock = TestClock::new();
    let day = async {
        for _ in 0..24 {
            clock.sleep(HOUR).await;
        }
    };
    futures_lite::future::block_on(clock.auto(day));
    assert_eq!(clock.elapsed(), 24 * HOUR);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let other = clock.clone();
    let task = async move { other.auto(other.sleep(HOUR)).await };
    runtime.block_on(async { tokio::spawn(task).await.unwrap() });
    assert_eq!(clock.elapsed(), 25 * HOUR);
}

#[test]
fn an_alarm_that_moves_later_leaves_its_sleep_alone() {
    let clock = TestClock::new();
    let mut alarm = Box::pin(Alarm::new(clock.clone()));
    let waker = Waker::noop();
    let mut poll = |after: Option<Duration>| {
        if let Some(after) = after {
            alarm.as_mut().set_after(after);
        }
        alarm.as_mut().poll(&mut Context::from_waker(waker))
    };
    assert!(poll(None).is_pending());
    assert_eq!(clock.armed(), 0, "it was never set");
    assert!(poll(Some(10 * MS)).is_pending());
    assert_eq!(clock.next_deadline(), Some(10 * MS));
    clock.advance(5 * MS);
    assert!(poll(Some(10 * MS)).is_pending());
    assert_eq!(clock.next_deadline(), Some(10 * MS), "left where it was");
    clock.advance(5 * MS);
    assert!(poll(None).is_pending(), "too early, and set anew");
    assert_eq!(clock.next_deadline(), Some(15 * MS));
    assert!(poll(Some(MS)).is_pending());
    assert_eq!(clock.next_deadline(), Some(11 * MS), "earlier, so moved");
    assert_eq!(clock.advance_to_next(), Some(MS));
    assert!(poll(None).is_ready());
    assert!(poll(None).is_pending(), "it went off once");
}
