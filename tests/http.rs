//! Code that nobody here wrote: std's HTTP client and server, as coroutines and on threads.
#![cfg(unix)]

#[path = "support/server.rs"]
mod server;
mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;

use bytes::Bytes;
use futures::future::{join_all, try_join_all};
use futures::{StreamExt, TryStreamExt};
use server::{Axum, Then, payload, read_head, script};
use support::Executor;
use ziggurat::stream::host::TokioHost;
use ziggurat::{ZigByteStream, ZigError};
use ziggurat_tests_zig::http as zig;

async fn all_of(stream: ZigByteStream) -> Result<Vec<u8>, ZigError> {
    let chunks: Vec<Bytes> = stream.try_collect().await?;
    Ok(chunks.concat())
}

/// The head of an answer, and `rest`.
fn answer(head: &str, rest: &[u8]) -> Vec<u8> {
    [format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n").as_bytes(), rest].concat()
}

on_every_executor! {
    async fn a_body_arrives_by_either_encoding(_executor: Executor) {
        let server = Axum::start();
        for size in [0, 1, 4095, 70_000, 3_000_000] {
            for encoding in ["length", "chunked"] {
                let url = server.url(&format!("/{encoding}/7/{size}"));
                let expected = payload(7, size);
                let coroutine = all_of(zig::get(&url).open().unwrap()).await.unwrap();
                assert!(coroutine == expected, "{encoding} {size}");
                let thread = all_of(zig::get(&url).on_thread().open().unwrap()).await.unwrap();
                assert!(thread == expected, "{encoding} {size}, on a thread");
            }
        }
    }

    async fn a_client_keeps_its_connection(_executor: Executor) {
        let server = Axum::start();
        for (i, encoding) in ["length", "chunked"].into_iter().enumerate() {
            let url = server.url(&format!("/{encoding}/5/100000"));
            let bytes = all_of(zig::get_again(&url, 20).open().unwrap()).await.unwrap();
            assert!(bytes == payload(5, 100_000).repeat(20));
            assert_eq!(server.accepted(), i + 1);
        }
    }

    async fn two_hundred_clients_at_once(_executor: Executor) {
        let server = Axum::start();
        let gets = (0..200).map(|seed| {
            let encoding = if seed % 2 == 0 { "length" } else { "chunked" };
            let url = server.url(&format!("/{encoding}/{seed}/200000"));
            async move {
                let stream = zig::get(&url).block_size(16 * 1024).open().unwrap();
                let bytes = all_of(stream).await.unwrap();
                assert!(bytes == payload(seed, 200_000), "{seed}");
            }
        });
        join_all(gets).await;
        assert_eq!(server.accepted(), 200);
    }

    async fn one_client_asks_for_fifty_at_once(_executor: Executor) {
        let server = Axum::start();
        let url = server.url("/chunked/1/123456");
        let sizes: Vec<u64> = zig::get_together(&url, 50).open().unwrap().try_collect().await.unwrap();
        assert_eq!(sizes, [123_456; 50]);
        let threads = zig::get_together(&url, 5).on_thread().open().unwrap();
        assert_eq!(threads.try_collect::<Vec<u64>>().await.unwrap(), [123_456; 5]);
    }

    async fn an_answer_that_trickles_in_is_whole(_executor: Executor) {
        let whole = answer("content-length: 300", &payload(3, 300));
        let chunks = answer("transfer-encoding: chunked", b"5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\n\r\n");
        let single = |bytes: Vec<u8>| bytes.into_iter().map(|byte| vec![byte]).collect();
        let (url, thread) = script(single(whole), Then::Close);
        assert!(all_of(zig::get(&url).open().unwrap()).await.unwrap() == payload(3, 300));
        thread.join().unwrap();
        let (url, thread) = script(single(chunks), Then::Close);
        assert_eq!(all_of(zig::get(&url).open().unwrap()).await.unwrap(), b"hello, world");
        thread.join().unwrap();
    }

    async fn a_body_that_breaks_off_is_an_error_after_what_came(_executor: Executor) {
        let cases = [
            (answer("content-length: 1000", &[7; 10]), Then::Close, "HttpBodyTruncated"),
            (answer("content-length: 1000", &[7; 10]), Then::Reset, "ConnectionResetByPeer"),
            (answer("transfer-encoding: chunked", b"5\r\nhello\r\n5\r\nhe"), Then::Close, "HttpChunkTruncated"),
            (answer("transfer-encoding: chunked", b"5\rhello\r\n"), Then::Close, "HttpChunkInvalid"),
            (b"HTTP/1.1 200 OK\r\ncontent-le".to_vec(), Then::Close, "HttpRequestTruncated"),
            (b"I speak no HTTP, sorry.\r\n\r\n".to_vec(), Then::Close, "HttpHeadersInvalid"),
            (b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec(), Then::Close, "HttpStatus"),
        ];
        for on_thread in [false, true] {
            for (bytes, then, name) in &cases {
                let (url, thread) = script(vec![bytes.clone()], *then);
                let get = zig::get(&url);
                let get = if on_thread { get.on_thread() } else { get };
                let mut stream = get.open().unwrap();
                let mut arrived = 0;
                let error = loop {
                    match stream.next().await.expect("an error comes before the end") {
                        Ok(chunk) => arrived += chunk.len(),
                        Err(error) => break error,
                    }
                };
                assert_eq!(error.name(), Some(*name), "after {arrived} bytes: {error}");
                assert!(stream.next().await.is_none());
                thread.join().unwrap();
            }
        }
    }

    async fn nobody_listens(_executor: Executor) {
        // Bound and not listening: nobody else gets the port meanwhile.
        let socket = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://127.0.0.1:{}/", socket.local_addr().unwrap().port());
        let error = all_of(zig::get(&url).open().unwrap()).await.unwrap_err();
        assert_eq!(error.name(), Some("ConnectionRefused"));
    }

    async fn a_server_in_zig_answers_who_asks(_executor: Executor) {
        const CLIENTS: usize = 20;
        let mut server = zig::serve(CLIENTS as u32).open().unwrap();
        let port = server.next().await.unwrap().unwrap() as u16;
        let clients: Vec<_> = (0..CLIENTS)
            .map(|i| std::thread::spawn(move || ask(port, i)))
            .collect();
        let answered: Vec<u64> = server.try_collect().await.unwrap();
        assert_eq!(answered.len(), CLIENTS * 4);
        // Each connection was kept for all four.
        assert_eq!(answered.iter().filter(|number| **number == 3).count(), CLIENTS);
        clients.into_iter().for_each(|client| client.join().unwrap());
    }

    async fn hyper_and_curl_are_answered_by_a_server_in_zig(_executor: Executor) {
        let curl = Command::new("curl").arg("--version").output().is_ok();
        let mut server = zig::serve(1 + u32::from(curl)).open().unwrap();
        let port = server.next().await.unwrap().unwrap() as u16;
        let hyper = std::thread::spawn(move || ask_by_hyper(port));
        let curl = curl.then(|| std::thread::spawn(move || ask_by_curl(port)));
        let answered: Vec<u64> = server.try_collect().await.unwrap();
        hyper.join().unwrap();
        assert_eq!(answered.len(), 3 + if curl.is_some() { 3 } else { 0 });
        if let Some(curl) = curl {
            curl.join().unwrap();
        }
    }

    async fn zig_asks_zig(_executor: Executor) {
        let mut server = zig::serve(3).open().unwrap();
        let port = server.next().await.unwrap().unwrap();
        let url = format!("http://127.0.0.1:{port}/chunked/500000");
        let gets = try_join_all((0..3).map(|_| all_of(zig::get_again(&url, 2).open().unwrap())));
        let (answered, bodies) = futures::join!(server.count(), gets);
        assert_eq!(answered, 6);
        for bytes in bodies.unwrap() {
            assert!(bytes == served(500_000).repeat(2));
        }
    }

    async fn a_server_that_is_dropped_hangs_up(_executor: Executor) {
        let mut server = zig::serve(2).open().unwrap();
        let port = server.next().await.unwrap().unwrap() as u16;
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        client.write_all(b"GET /length/5 HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert_eq!(server.next().await.unwrap().unwrap(), 0);
        drop(server);
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert!(all.ends_with(&served(5)));
        let refused = TcpStream::connect(("127.0.0.1", port)).unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}

/// With tokio's reactor, timers and threads in place of those that work under any executor.
#[test]
fn tokio_serves_both_sides_by_its_own_means() {
    use tokio::runtime::Builder;
    for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        let host = TokioHost::new(runtime.handle().clone());
        let server = runtime.spawn({
            let mut server = zig::serve(50).host(host.clone()).open().unwrap();
            let (said, port) = futures::channel::oneshot::channel();
            let serving = async move {
                said.send(server.next().await.unwrap().unwrap()).unwrap();
                server.count().await
            };
            let gets = async move {
                let url = format!("http://127.0.0.1:{}/chunked/100000", port.await.unwrap());
                let gets = (0..50).map(|_| {
                    let get = zig::get_again(&url, 3).host(host.clone()).open().unwrap();
                    tokio::spawn(all_of(get))
                });
                join_all(gets).await
            };
            async { futures::join!(serving, gets) }
        });
        let (answered, bodies) = runtime.block_on(server).unwrap();
        assert_eq!(answered, 150);
        for bytes in bodies {
            assert!(bytes.unwrap().unwrap() == served(100_000).repeat(3));
        }
    }
}

/// What the Zig server sends for a size.
fn served(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// Four requests over one connection, by hand.
fn ask(port: u16, i: usize) {
    let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let size = 10_000 * i + 1;
    write!(client, "GET /length/{size} HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let head = read_head(&mut client);
    assert!(head.contains(&format!("content-length: {size}\r\n")), "{head}");
    let mut bytes = vec![0; size];
    client.read_exact(&mut bytes).unwrap();
    assert!(bytes == served(size));
    write!(client, "GET /nothing HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert!(read_head(&mut client).starts_with("HTTP/1.1 404 "));
    client.read_exact(&mut [0; "no such thing\n".len()]).unwrap();
    write!(client, "POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n").unwrap();
    client.write_all(b"hello").unwrap();
    read_head(&mut client);
    let mut echo = [0; 5];
    client.read_exact(&mut echo).unwrap();
    assert_eq!(&echo, b"hello");
    write!(client, "GET /chunked/1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    assert!(read_head(&mut client).contains("transfer-encoding: chunked"));
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"00000001\r\n\0\r\n0\r\n\r\n");
}

/// Three requests over one connection.
fn ask_by_hyper(port: u16) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let stream = hyper_util::rt::TokioIo::new(stream);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
        let connection = tokio::spawn(connection);
        for (path, sent, expected) in [
            ("/length/300000", "", served(300_000)),
            ("/chunked/300000", "", served(300_000)),
            ("/echo", "what was sent", b"what was sent".to_vec()),
        ] {
            let method = if sent.is_empty() { "GET" } else { "POST" };
            let request = hyper::Request::builder().method(method).uri(path).header("host", "x");
            let request = request.body(axum::body::Body::from(sent)).unwrap();
            let answer = sender.send_request(request).await.unwrap();
            assert_eq!(answer.status(), 200);
            let answer = axum::body::Body::new(answer.into_body());
            let bytes = axum::body::to_bytes(answer, usize::MAX).await.unwrap();
            assert!(bytes == expected, "{path}");
        }
        drop(sender);
        connection.await.unwrap().unwrap();
    });
}

/// Three requests over one connection, which curl keeps for URLs of one call.
fn ask_by_curl(port: u16) {
    let url = |path| format!("http://127.0.0.1:{port}{path}");
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--fail", "--max-time", "60", "--noproxy", "*"])
        .args([url("/length/70000"), url("/chunked/70000"), url("/length/3")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.stdout == [served(70_000), served(70_000), served(3)].concat());
}
