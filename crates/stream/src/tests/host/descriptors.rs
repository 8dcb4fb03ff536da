//! Waiting for descriptors.

use super::*;
use futures::future::{join, join3};
use std::fs::File;

const BOTH: u32 = INTEREST_READABLE | INTEREST_WRITABLE;

#[test]
fn bytes_go_both_ways_through_one_socket() {
    everywhere(|host| {
        Box::pin(async move {
            let (near, far) = pair();
            let (near, far) = (Arc::new(near), Arc::new(far));
            let data = pattern(1 << 20);
            // Two tasks share the near socket, one for each direction.
            let there = writes(&host, &near, data.clone());
            let back = bytes(&host, &near);
            let (sent, received) = (data.clone(), data);
            let echo = async {
                let stream = bytes(&host, &far);
                let mut read = stream.take(sent.len());
                let mut got = Vec::new();
                while let Some(byte) = read.next().await {
                    got.push(byte.unwrap());
                }
                assert!(got == sent);
                drop(read);
                all(writes(&host, &far, got)).await;
                far.shutdown(std::net::Shutdown::Write).unwrap();
            };
            let ((), written, got) = join3(echo, all(there), all(back)).await;
            assert_eq!(written.iter().sum::<u64>(), received.len() as u64);
            assert!(got == received);
        })
    });
}

/// Sends back what it reads, over one ticket, waiting for both directions at once if it must.
fn echo(host: &HostRef, socket: &Arc<UnixStream>) -> ZigStream<u8> {
    let mut waiting = Waiting::new(host, socket);
    let (mut held, mut ended) = (std::collections::VecDeque::new(), false);
    stream(move |waker, _| {
        loop {
            let mut moved = false;
            let mut chunk = [0; 512];
            if !ended && held.len() < 4096 {
                match waiting.until_done(INTEREST_READABLE, waker, |mut s| s.read(&mut chunk)) {
                    Some(Ok(0)) => (ended, moved) = (true, true),
                    Some(Ok(n)) => {
                        held.extend(&chunk[..n]);
                        moved = true;
                    }
                    Some(Err(e)) => panic!("{e}"),
                    None => {}
                }
            }
            if !held.is_empty() {
                let first = held.as_slices().0.to_vec();
                match waiting.until_done(INTEREST_WRITABLE, waker, |mut s| s.write(&first)) {
                    Some(Ok(n)) => {
                        held.drain(..n);
                        moved = true;
                    }
                    Some(Err(e)) => panic!("{e}"),
                    None => {}
                }
            }
            if ended && held.is_empty() {
                waiting.socket.shutdown(std::net::Shutdown::Write).unwrap();
                return DONE;
            }
            if !moved {
                return PENDING;
            }
        }
    })
}

#[test]
fn one_ticket_serves_both_directions_at_once() {
    everywhere(|host| {
        Box::pin(async move {
            let (near, far) = pair();
            let (near, far) = (Arc::new(near), Arc::new(far));
            let data = pattern(1 << 18);
            let write = async {
                all(writes(&host, &near, data.clone())).await;
                near.shutdown(std::net::Shutdown::Write).unwrap();
            };
            let echo = all(echo(&host, &far));
            let ((), got, _) = join3(write, all(bytes(&host, &near)), echo).await;
            assert!(got == data);
        })
    });
}

#[test]
fn no_wake_is_lost_between_two_that_answer_each_other() {
    everywhere(|host| {
        Box::pin(async move {
            let (near, far) = pair();
            let mut sides = Vec::new();
            for (socket, begins) in [(near, true), (far, false)] {
                let mut waiting = Waiting::new(&host, &Arc::new(socket));
                let (mut rounds, mut mine) = (2000, begins);
                sides.push(all(stream(move |waker, _: &mut Vec<u8>| {
                    while rounds > 0 {
                        if mine {
                            (&*waiting.socket).write_all(b"x").unwrap();
                        } else {
                            let mut byte = [0];
                            let read = waiting
                                .until_done(INTEREST_READABLE, waker, |mut s| s.read(&mut byte));
                            match read {
                                None => return PENDING,
                                Some(read) => assert_eq!(read.unwrap(), 1),
                            }
                        }
                        (mine, rounds) = (!mine, rounds - 1);
                    }
                    DONE
                })));
            }
            futures::future::join_all(sides).await;
        })
    });
}

#[test]
fn tickets_come_and_go() {
    with_each_host(|host| {
        let (near, _far) = pair();
        let (near, mut idle) = (Arc::new(near), Idle::new());
        // More than a process may have open.
        for _ in 0..20_000 {
            let mut waiting = Waiting::new(&host, &near);
            assert_eq!(waiting.poll(INTEREST_READABLE, idle.register()), PENDING);
        }
        assert_eq!(idle.waker.references(), 1);
        assert_eq!(Arc::strong_count(&near), 1);
    });
}

#[test]
fn two_tasks_wait_for_one_descriptor_in_one_direction() {
    everywhere(|host| {
        Box::pin(async move {
            let (near, mut far) = pair();
            let near = Arc::new(near);
            let both = join(all(bytes(&host, &near)), all(bytes(&host, &near)));
            let write = async move {
                for _ in 0..100 {
                    far.write_all(b"1234567890").unwrap();
                    smol::future::yield_now().await;
                }
            };
            let ((one, other), ()) = join(both, write).await;
            assert_eq!(one.len() + other.len(), 1000);
        })
    });
}

#[test]
fn two_waits_of_one_task_have_a_wake_each() {
    with_each_host(|host| {
        let (near, mut far) = pair();
        let near = Arc::new(near);
        let mut idle = Idle::new();
        let (mut first, mut second) = (Waiting::new(&host, &near), Waiting::new(&host, &near));
        assert_eq!(first.poll(INTEREST_READABLE, idle.register()), PENDING);
        assert_eq!(second.poll(INTEREST_READABLE, idle.register()), PENDING);
        far.write_all(b"x").unwrap();
        assert_eq!(idle.run(|waker| first.poll(INTEREST_READABLE, waker)), READY);
        assert_eq!(idle.run(|waker| second.poll(INTEREST_READABLE, waker)), READY);
    });
}

#[test]
fn a_task_is_woken_when_there_is_something_and_not_before() {
    with_each_host(|host| {
        let (near, mut far) = pair();
        let near = Arc::new(near);
        let mut idle = Idle::new();
        let mut waiting = Waiting::new(&host, &near);
        for round in 0..50 {
            let mut byte = [0];
            let read = (&*near).read(&mut byte);
            assert_eq!(read.unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(waiting.poll(INTEREST_READABLE, idle.register()), PENDING);
            let seen = idle.task.wakes();
            assert_eq!(seen, round, "once for each");
            far.write_all(b"x").unwrap();
            idle.wait(seen);
            assert_eq!(waiting.poll(INTEREST_READABLE, idle.register()), READY);
            assert_eq!((&*near).read(&mut byte).unwrap(), 1);
        }
    });
}

#[test]
fn what_is_ready_already_is_seen_at_the_first_wait() {
    with_each_host(|host| {
        let (near, mut far) = pair();
        far.write_all(b"x").unwrap();
        let near = Arc::new(near);
        for _ in 0..50 {
            let mut idle = Idle::new();
            let mut waiting = Waiting::new(&host, &near);
            assert_eq!(idle.run(|waker| waiting.poll(INTEREST_READABLE, waker)), READY);
            assert_eq!(idle.run(|waker| waiting.poll(INTEREST_WRITABLE, waker)), READY);
        }
        let mut waiting = Waiting::new(&host, &near);
        assert_eq!(Idle::new().run(|waker| waiting.poll(BOTH, waker)), READY);
    });
}

#[test]
fn the_end_of_the_other_side_is_something() {
    with_each_host(|host| {
        let (near, far) = pair();
        let near = Arc::new(near);
        let mut idle = Idle::new();
        let mut waiting = Waiting::new(&host, &near);
        assert_eq!(waiting.poll(INTEREST_READABLE, idle.register()), PENDING);
        drop(far);
        assert_eq!(idle.run(|waker| waiting.poll(INTEREST_READABLE, waker)), READY);
        assert_eq!((&*near).read(&mut [0]).unwrap(), 0);
    });
}

#[test]
fn pipes_are_waited_for() {
    with_each_host(|host| {
        let user = HostUser::new(&host);
        let mut idle = Idle::new();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        let mut wait = user.fd();
        let fd = reader.as_raw_fd();
        assert_eq!(wait.poll(fd, INTEREST_READABLE, idle.register()), PENDING);
        rustix::io::write(&writer, b"x").unwrap();
        assert_eq!(idle.run(|waker| wait.poll(fd, INTEREST_READABLE, waker)), READY);
    });
}

#[test]
fn a_full_pipe_is_waited_for_and_its_reader_s_end_is_something() {
    with_each_host(|host| {
        let user = HostUser::new(&host);
        let mut idle = Idle::new();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let fill = || loop {
            match rustix::io::write(&writer, &[0; 4096]) {
                Ok(_) => {}
                Err(error) => return error,
            }
        };
        let (mut wait, fd) = (user.fd(), writer.as_raw_fd());
        assert_eq!(fill(), rustix::io::Errno::AGAIN);
        for _ in 0..3 {
            // It may be ready too often.
            while wait.poll(fd, INTEREST_WRITABLE, idle.register()) == READY {}
            assert_eq!(rustix::io::read(&reader, &mut [0; 65536]).unwrap(), 65536);
            assert_eq!(idle.run(|waker| wait.poll(fd, INTEREST_WRITABLE, waker)), READY);
            assert_eq!(fill(), rustix::io::Errno::AGAIN);
        }
        drop(reader);
        assert_eq!(idle.run(|waker| wait.poll(fd, INTEREST_WRITABLE, waker)), READY);
        assert_eq!(fill(), rustix::io::Errno::PIPE);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn event_counters_are_waited_for() {
    use rustix::event::{EventfdFlags, eventfd};

    with_each_host(|host| {
        let user = HostUser::new(&host);
        let mut idle = Idle::new();
        let counter = eventfd(0, EventfdFlags::NONBLOCK).unwrap();
        let mut wait = user.fd();
        let fd = counter.as_raw_fd();
        assert_eq!(idle.run(|waker| wait.poll(fd, INTEREST_WRITABLE, waker)), READY);
        let mut wait = user.fd();
        assert_eq!(wait.poll(fd, INTEREST_READABLE, idle.register()), PENDING);
        rustix::io::write(&counter, &1_u64.to_ne_bytes()).unwrap();
        assert_eq!(idle.run(|waker| wait.poll(fd, INTEREST_READABLE, waker)), READY);
    });
}

#[test]
fn a_regular_file_is_not_waited_for() {
    with_each_host(|host| {
        let idle = &mut Idle::new();
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("file")).unwrap();
        let folder = File::open(folder.path()).unwrap();
        for file in [file, folder] {
            let mut wait = HostUser::new(&host).fd();
            for interest in [INTEREST_READABLE, INTEREST_WRITABLE, BOTH] {
                assert_eq!(wait.poll(file.as_raw_fd(), interest, idle.register()), ERROR);
            }
            assert!(!wait.has_ticket());
        }
        // The host is as good as before.
        let (near, _far) = pair();
        let mut waiting = Waiting::new(&host, &Arc::new(near));
        assert_eq!(idle.run(|waker| waiting.poll(INTEREST_WRITABLE, waker)), READY);
    });
}

#[test]
fn numbers_that_are_no_descriptors_are_errors() {
    with_each_host(|host| {
        let mut idle = Idle::new();
        let mut wait = HostUser::new(&host).fd();
        for fd in [-1, i32::MIN, i32::MAX] {
            assert_eq!(wait.poll(fd, INTEREST_READABLE, idle.register()), ERROR);
        }
        assert!(!wait.has_ticket());
    });
}

#[test]
fn the_coroutine_s_descriptor_keeps_its_flags() {
    with_each_host(|host| {
        let (near, _far) = UnixStream::pair().unwrap();
        let near = Arc::new(near);
        let mut waiting = Waiting::new(&host, &near);
        let mut idle = Idle::new();
        assert_eq!(waiting.poll(INTEREST_READABLE, idle.register()), PENDING);
        let flags = rustix::fs::fcntl_getfl(&near).unwrap();
        assert!(!flags.contains(rustix::fs::OFlags::NONBLOCK), "{flags:?}");
    });
}

#[test]
fn a_stream_that_is_dropped_leaves_no_descriptor_and_no_waker() {
    everywhere(|host| {
        Box::pin(async move {
            let (near, far) = pair();
            let near = Arc::new(near);
            let mut streams: Vec<_> = (0..20).map(|_| bytes(&host, &near)).collect();
            for stream in &mut streams {
                assert!(futures::poll!(stream.next()).is_pending());
            }
            drop(streams);
            // The last owners of the socket have gone, if no duplicate is left.
            drop(near);
            assert_eq!((&far).read(&mut [0]).unwrap(), 0);
        })
    });
}

#[test]
fn a_task_that_waits_no_more_is_forgotten() {
    with_each_host(|host| {
        let (near, _far) = pair();
        let near = Arc::new(near);
        let mut idle = Idle::new();
        let mut waiting = Waiting::new(&host, &near);
        assert_eq!(waiting.poll(INTEREST_READABLE, idle.register()), PENDING);
        assert!(idle.waker.references() > 1);
        drop(waiting);
        assert_eq!(idle.waker.references(), 1);
    });
}

#[test]
fn a_wait_goes_from_thread_to_thread() {
    with_each_host(|host| {
        let (near, mut far) = pair();
        let near = Arc::new(near);
        let mut waiting = Waiting::new(&host, &near);
        for _ in 0..20 {
            let there = std::thread::spawn(move || {
                let mut idle = Idle::new();
                assert_eq!(waiting.poll(INTEREST_READABLE, idle.register()), PENDING);
                (waiting, idle)
            });
            let mut idle;
            (waiting, idle) = there.join().unwrap();
            far.write_all(b"x").unwrap();
            assert_eq!(idle.run(|waker| waiting.poll(INTEREST_READABLE, waker)), READY);
            assert_eq!((&*near).read(&mut [0; 2]).unwrap(), 1);
        }
    });
}

#[test]
fn a_new_waker_takes_the_place_of_the_old_one() {
    with_each_host(|host| {
        let (near, mut far) = pair();
        let near = Arc::new(near);
        let mut waiting = Waiting::new(&host, &near);
        let (mut old, mut new) = (Idle::new(), Idle::new());
        assert_eq!(waiting.poll(INTEREST_READABLE, old.register()), PENDING);
        assert_eq!(waiting.poll(INTEREST_READABLE, new.register()), PENDING);
        let seen = new.task.wakes();
        far.write_all(b"x").unwrap();
        new.wait(seen);
        assert_eq!(new.run(|waker| waiting.poll(INTEREST_READABLE, waker)), READY);
    });
}
