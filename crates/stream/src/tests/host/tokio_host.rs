//! What is particular to tokio.

use super::*;
use crate::host::NoRuntime;
use ziggurat_zig_ffi::abi::{CLOCK_AWAKE, CLOCK_BOOT, CLOCK_REAL};

const SECOND: i64 = 1_000_000_000;

#[test]
fn outside_a_runtime_there_is_no_current_one() {
    let error = TokioHost::current().map(drop).unwrap_err();
    assert_eq!(error, NoRuntime);
    assert_eq!(error.to_string(), "there is no tokio runtime here");
    assert!(single().block_on(async { TokioHost::current().is_ok() }));
}

#[test]
fn paused_time_is_obeyed_by_clocks_and_timers() {
    let paused = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    paused.block_on(async {
        let host = HostRef::new(TokioHost::current().unwrap());
        let user = HostUser::new(&host);
        let clocks = [CLOCK_AWAKE, CLOCK_REAL, CLOCK_BOOT];
        let before = clocks.map(|clock| user.now(clock));
        let (at, mut timer) = (before[0] + 3600 * SECOND, user.timer());
        let asleep = stream(move |waker, _: &mut Vec<u8>| match timer.poll(at, waker) {
            READY => DONE,
            other => other,
        });
        assert_eq!(all(asleep).await, []);
        for (clock, before) in clocks.into_iter().zip(before) {
            let passed = user.now(clock) - before;
            assert!((3599 * SECOND..3700 * SECOND).contains(&passed), "{clock}: {passed}");
        }
        // Also for whoever polls from outside.
        let there = std::thread::spawn(move || user.now(CLOCK_AWAKE)).join().unwrap();
        assert!(there >= at);
    });
}

#[test]
fn waits_go_on_when_their_runtime_is_gone() {
    let runtime = single();
    let host = HostRef::new(TokioHost::new(runtime.handle().clone()));
    let user = HostUser::new(&host);
    let (near, mut far) = pair();
    let near = Arc::new(near);
    let (mut idle, mut timer) = (Idle::new(), user.timer());
    let (mut waiting, mut other) = (Waiting::new(&host, &near), Waiting::new(&host, &near));
    let at = user.now(CLOCK_AWAKE) + SECOND / 100;
    assert_eq!(timer.poll(at, idle.register()), PENDING);
    assert_eq!(waiting.poll(INTEREST_READABLE, idle.register()), PENDING);
    drop(runtime);
    idle.wait(0);
    assert_eq!(waiting.poll(INTEREST_READABLE, idle.register()), PENDING);
    far.write_all(b"x").unwrap();
    assert_eq!(idle.run(|waker| waiting.poll(INTEREST_READABLE, waker)), READY);
    assert_eq!(idle.run(|waker| timer.poll(at, waker)), READY);
    assert!(user.now(CLOCK_AWAKE) >= at);
    // And those that begin only now.
    assert_eq!(idle.run(|waker| other.poll(INTEREST_READABLE, waker)), READY);
    let (later, mut timer) = (user.now(CLOCK_AWAKE) + SECOND / 1000, user.timer());
    assert_eq!(idle.run(|waker| timer.poll(later, waker)), READY);
}

#[test]
fn timers_notice_first_that_their_runtime_is_gone() {
    let runtime = single();
    let host = HostRef::new(TokioHost::new(runtime.handle().clone()));
    let user = HostUser::new(&host);
    let (mut idle, mut old, mut new) = (Idle::new(), user.timer(), user.timer());
    let at = user.now(CLOCK_AWAKE) + SECOND / 100;
    assert_eq!(old.poll(at, idle.register()), PENDING);
    drop(runtime);
    assert_eq!(idle.run(|waker| new.poll(at, waker)), READY);
    assert_eq!(idle.run(|waker| old.poll(at, waker)), READY);
    assert_eq!(old.poll(i64::MAX, idle.register()), PENDING);
}

#[test]
fn a_runtime_without_time_and_io_is_replaced_where_it_lacks_something() {
    let bare = tokio::runtime::Builder::new_current_thread().build().unwrap();
    bare.block_on(async {
        let host = HostRef::new(TokioHost::current().unwrap());
        let user = HostUser::new(&host);
        let (near, mut far) = pair();
        far.write_all(b"bytes").unwrap();
        drop(far);
        assert_eq!(all(bytes(&host, &Arc::new(near))).await, b"bytes");
        let (at, mut timer) = (user.now(CLOCK_AWAKE) + SECOND / 1000, user.timer());
        assert_eq!(Idle::new().run(|waker| timer.poll(at, waker)), READY);
    });
}

#[test]
fn a_runtime_without_io_keeps_its_paused_time() {
    let paused = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    paused.block_on(async {
        let host = HostRef::new(TokioHost::current().unwrap());
        let user = HostUser::new(&host);
        let (near, mut far) = pair();
        let mut waiting = Waiting::new(&host, &Arc::new(near));
        let mut idle = Idle::new();
        assert_eq!(waiting.poll(INTEREST_READABLE, idle.register()), PENDING);
        far.write_all(b"x").unwrap();
        assert_eq!(idle.run(|waker| waiting.poll(INTEREST_READABLE, waker)), READY);
        let (at, mut timer) = (user.now(CLOCK_AWAKE) + 3600 * SECOND, user.timer());
        let asleep = stream(move |waker, _: &mut Vec<u8>| match timer.poll(at, waker) {
            READY => DONE,
            other => other,
        });
        assert_eq!(all(asleep).await, []);
        assert!(user.now(CLOCK_AWAKE) >= at);
    });
}
