//! Coroutines that wait for sockets, by each executor's own means, against a server made of threads.
#![cfg(unix)]

mod support;

use std::io::{Read, Write};
use std::net::TcpListener;

use bytes::Bytes;
use futures::future::{Either, join_all, select};
use futures::{StreamExt, TryStreamExt, poll};
use support::Executor;
use ziggurat_tests_zig as zig;

on_every_executor! {
    async fn many_connections_wait_at_once(_executor: Executor) {
        const CLIENTS: usize = 20;
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = u32::from(listener.local_addr().unwrap().port());
        let server = std::thread::spawn(move || {
            let clients: Vec<_> = (0..CLIENTS)
                .map(|_| {
                    let (mut client, _) = listener.accept().unwrap();
                    std::thread::spawn(move || {
                        let mut name = Vec::new();
                        client.read_to_end(&mut name).unwrap();
                        // More than the system's buffers hold.
                        for _ in 0..100_000 {
                            client.write_all(&name).unwrap();
                        }
                    })
                })
                .collect();
            clients.into_iter().for_each(|client| client.join().unwrap());
        });
        let fetched = |i| async move {
            let name = format!("client {i:02}");
            let stream = zig::fetched(port, &name).block_size(16 * 1024).open().unwrap();
            let chunks: Vec<Bytes> = stream.try_collect().await.unwrap();
            assert!(chunks.concat() == name.repeat(100_000).into_bytes());
        };
        join_all((0..CLIENTS).map(fetched)).await;
        server.join().unwrap();
    }

    async fn a_connection_that_says_nothing_is_dropped(_executor: Executor) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = u32::from(listener.local_addr().unwrap().port());
        let mut stream = zig::fetched(port, "nobody").open().unwrap();
        assert!(poll!(stream.next()).is_pending());
        let (mut client, _) = listener.accept().unwrap();
        let (said, heard) = futures::channel::oneshot::channel();
        std::thread::spawn(move || {
            let mut name = String::new();
            client.read_to_string(&mut name).unwrap();
            said.send((client, name)).unwrap();
        });
        // The name is said by a child of a function that waits for an answer.
        let Either::Right((heard, _)) = select(stream.next(), heard).await else {
            panic!("an answer that nobody gave");
        };
        let (mut client, name) = heard.unwrap();
        assert_eq!(name, "nobody");
        drop(stream);
        // The function's `defer` has closed its end, and the system says so to who writes on.
        while client.write(&[0; 1024]).is_ok() {}
    }
}
