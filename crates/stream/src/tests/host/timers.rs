//! Clocks and timers.

use super::*;
use ziggurat_core::time::{DefaultTimer, ErasedTimer, TestClock};
use ziggurat_zig_ffi::abi::{CLOCK_AWAKE, CLOCK_BOOT, CLOCK_REAL};
use ziggurat_zig_ffi::testing::TimerUser;

const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1000 * MILLISECOND;
const HOUR: i64 = 3600 * SECOND;

/// Sleeps `times` times for `period` nanoseconds, and says when it woke up.
fn sleeps(host: &HostRef, period: i64, times: usize) -> ZigStream<i64> {
    let user = HostUser::new(host);
    let mut timer = user.timer();
    let (mut at, mut left) = (None, times);
    stream(move |waker, out| {
        if left == 0 {
            return DONE;
        }
        let deadline = *at.get_or_insert_with(|| user.now(CLOCK_AWAKE) + period);
        match timer.poll(deadline, waker) {
            READY => {
                let now = user.now(CLOCK_AWAKE);
                assert!(now >= deadline, "woken {} ns early", deadline - now);
                out.push(now);
                (at, left) = (None, left - 1);
                READY
            }
            other => other,
        }
    })
}

#[test]
fn a_coroutine_sleeps_under_each_executor() {
    everywhere(|host| {
        Box::pin(async move {
            let times = all(sleeps(&host, MILLISECOND, 3)).await;
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= MILLISECOND), "{times:?}");
        })
    });
}

#[test]
fn many_sleep_at_once() {
    everywhere(|host| {
        Box::pin(async move {
            let many = (0..200).map(|i| all(sleeps(&host, MILLISECOND + i, 2)));
            let ended = futures::future::join_all(many).await;
            assert!(ended.iter().all(|times| times.len() == 2));
        })
    });
}

fn is_ready_at(timer: &mut TimerUser, at: i64, idle: &mut Idle) -> bool {
    match timer.poll(at, idle.register()) {
        READY => true,
        PENDING => false,
        other => panic!("{other}"),
    }
}

#[test]
fn a_time_that_has_passed_is_ready_and_one_that_never_comes_is_not() {
    with_each_host(|host| {
        let (user, mut idle) = (HostUser::new(&host), Idle::new());
        for past in [i64::MIN, -1, 0, user.now(CLOCK_AWAKE)] {
            assert!(is_ready_at(&mut user.timer(), past, &mut idle));
        }
        let mut timer = user.timer();
        assert!(!is_ready_at(&mut timer, i64::MAX, &mut idle));
        // It is moved back and forth.
        let soon = user.now(CLOCK_AWAKE) + MILLISECOND;
        assert_eq!(idle.run(|waker| timer.poll(soon, waker)), READY);
        assert!(is_ready_at(&mut timer, soon, &mut idle));
        assert!(!is_ready_at(&mut timer, i64::MAX, &mut idle));
        assert!(is_ready_at(&mut timer, soon, &mut idle));
    });
}

#[test]
fn a_timer_that_is_moved_wakes_at_the_new_time() {
    with_each_host(|host| {
        let (user, mut idle) = (HostUser::new(&host), Idle::new());
        let mut timer = user.timer();
        let now = user.now(CLOCK_AWAKE);
        assert!(!is_ready_at(&mut timer, now + HOUR, &mut idle));
        let soon = now + 2 * MILLISECOND;
        assert_eq!(idle.run(|waker| timer.poll(soon, waker)), READY);
        // Later than it was set to: it goes off early once, and not for the task's coroutine.
        let (early, late) = (user.now(CLOCK_AWAKE) + MILLISECOND, soon + 5 * MILLISECOND);
        assert_eq!(idle.run(|waker| timer.poll(early, waker)), READY);
        assert_eq!(idle.run(|waker| timer.poll(late, waker)), READY);
        assert!(user.now(CLOCK_AWAKE) >= late);
    });
}

#[test]
fn a_timer_that_is_dropped_forgets_its_task() {
    with_each_host(|host| {
        let (user, mut idle) = (HostUser::new(&host), Idle::new());
        let mut timers: Vec<_> = (0..100).map(|_| user.timer()).collect();
        for timer in &mut timers {
            assert!(!is_ready_at(timer, user.now(CLOCK_AWAKE) + HOUR, &mut idle));
        }
        drop(timers);
        // async-io forgets when its thread comes round, which a timer that goes off makes it do.
        let soon = user.now(CLOCK_AWAKE) + MILLISECOND;
        let mut timer = user.timer();
        assert_eq!(idle.run(|waker| timer.poll(soon, waker)), READY);
        drop(timer);
        wait_for("a timer keeps a task", || idle.waker.references() == 1);
    });
}

#[test]
fn the_clocks_are_the_system_s() {
    with_each_host(|host| {
        let user = HostUser::new(&host);
        let since_epoch = || {
            let now = std::time::SystemTime::now();
            now.duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as i64
        };
        let (before, real, after) = (since_epoch(), user.now(CLOCK_REAL), since_epoch());
        // tokio's is a sum of three readings.
        assert!(before - SECOND <= real && real <= after + SECOND);
        let awake = user.now(CLOCK_AWAKE);
        assert!(user.now(CLOCK_AWAKE) >= awake);
        assert!(user.now(CLOCK_BOOT) >= awake - SECOND);
        assert_eq!([3, u32::MAX].map(|clock| user.now(clock)), [i64::MIN; 2]);
    });
}

#[test]
fn hosts_agree_about_the_clock_that_timers_go_by() {
    let many = several();
    let hosts: [HostRef; 4] = [
        DefaultHost::new().into(),
        DefaultHost::with_timer(DefaultTimer).into(),
        DefaultHost::with_timer(ErasedTimer::new(DefaultTimer)).into(),
        TokioHost::new(many.handle().clone()).into(),
    ];
    let times: Vec<_> = hosts.iter().map(|h| HostUser::new(h).now(CLOCK_AWAKE)).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn a_day_passes_in_virtual_time() {
    let clock = TestClock::new();
    let host = HostRef::new(DefaultHost::with_timer(clock.clone()));
    let user = HostUser::new(&host);
    let clocks = [CLOCK_AWAKE, CLOCK_REAL, CLOCK_BOOT];
    let before = clocks.map(|c| user.now(c));
    let times = clock.block_on(all(sleeps(&host, HOUR, 24)));
    assert_eq!(times.len(), 24);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] == HOUR), "exactly");
    assert_eq!(clock.elapsed(), Duration::from_secs(86_400));
    let passed: Vec<_> = clocks.iter().zip(before).map(|(&c, t)| user.now(c) - t).collect();
    assert_eq!(passed, [24 * HOUR; 3]);
    assert_eq!(clock.armed(), 0);
}

#[test]
fn virtual_time_under_each_executor() {
    everywhere(|_| {
        Box::pin(async {
            let clock = TestClock::new();
            let host = HostRef::new(DefaultHost::with_timer(clock.clone()));
            let two =
                futures::future::join(all(sleeps(&host, HOUR, 3)), all(sleeps(&host, HOUR / 2, 4)));
            let (long, short) = clock.auto(two).await;
            assert_eq!((long.len(), short.len()), (3, 4));
            assert_eq!(clock.elapsed(), Duration::from_secs(3 * 3600));
        })
    });
}

#[test]
fn a_stream_that_is_dropped_leaves_no_timer() {
    let clock = TestClock::new();
    let host = HostRef::new(DefaultHost::with_timer(clock.clone()));
    let mut streams: Vec<_> = (0..50).map(|i| sleeps(&host, HOUR + i, 1)).collect();
    assert_eq!(clock.armed(), 0, "opening arms nothing");
    for stream in &mut streams {
        assert!(super::super::poll_once(&mut stream.next()).is_pending());
    }
    assert_eq!(clock.armed(), 50);
    streams.truncate(20);
    assert_eq!(clock.armed(), 20);
    drop(streams);
    assert_eq!(clock.armed(), 0);
}
