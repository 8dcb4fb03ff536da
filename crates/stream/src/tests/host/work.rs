//! Blocking calls.

use super::*;
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::mpsc;
use std::thread;

/// Has `job` run elsewhere for each of `times` items, which are what it returns.
fn offloads(
    host: &HostRef,
    times: u64,
    job: impl Fn(u64) -> u64 + Send + Sync + 'static,
) -> ZigStream<u64> {
    let user = HostUser::new(host);
    let job = Arc::new(job);
    let answer: Arc<Mutex<Option<u64>>> = Arc::default();
    let (mut asked, mut done) = (false, 0);
    stream(move |waker, out| {
        if done == times {
            return DONE;
        }
        if !asked {
            let (job, answer, waker) = (job.clone(), answer.clone(), waker.to_waker());
            let status = user.offload(move || {
                let result = job(done);
                *answer.lock().unwrap() = Some(result);
                waker.wake();
            });
            assert_eq!(status, READY);
            asked = true;
        }
        let Some(result) = answer.lock().unwrap().take() else { return PENDING };
        (asked, done) = (false, done + 1);
        out.push(result);
        READY
    })
}

#[test]
fn a_blocking_call_runs_elsewhere_and_wakes_its_coroutine() {
    everywhere(|host| {
        Box::pin(async move {
            let threads: Arc<Mutex<HashSet<thread::ThreadId>>> = Arc::default();
            let seen = threads.clone();
            let doubled = offloads(&host, 100, move |n| {
                seen.lock().unwrap().insert(thread::current().id());
                2 * n
            });
            let caller = thread::current().id();
            let results = all(doubled).await;
            assert_eq!(results, (0..100).map(|n| 2 * n).collect::<Vec<_>>());
            if thread::current().id() == caller {
                assert!(!threads.lock().unwrap().contains(&caller));
            }
        })
    });
}

#[test]
fn calls_that_wait_for_each_other_all_run() {
    with_each_host(|host| {
        let user = HostUser::new(&host);
        let barrier = Arc::new(std::sync::Barrier::new(9));
        for _ in 0..8 {
            let barrier = barrier.clone();
            let wait = move || {
                barrier.wait();
            };
            assert_eq!(user.offload(wait), READY);
        }
        barrier.wait();
    });
}

#[test]
fn a_call_of_a_stream_that_is_dropped_runs_to_its_end() {
    with_each_host(|host| {
        let (start, started) = mpsc::channel();
        let (go, may_go) = mpsc::channel::<()>();
        let (end, ended) = mpsc::channel();
        let may_go = Mutex::new(may_go);
        let mut stream = offloads(&host, 1, move |n| {
            start.send(()).unwrap();
            may_go.lock().unwrap().recv().unwrap();
            end.send(()).unwrap();
            n
        });
        assert!(super::super::poll_once(&mut stream.next()).is_pending());
        started.recv().unwrap();
        drop(stream);
        go.send(()).unwrap();
        ended.recv().unwrap();
    });
}

#[test]
fn a_runtime_that_is_gone_loses_no_call() {
    let runtime = single();
    let host = HostRef::new(TokioHost::new(runtime.handle().clone()));
    drop(runtime);
    let results = futures::executor::block_on(all(offloads(&host, 10, |n| n + 1)));
    assert_eq!(results, (1..11).collect::<Vec<_>>());
}
