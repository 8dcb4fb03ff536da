//! What a whole job costs: unpacking a gzip file, and HTTP requests, by Zig's std as coroutines and by
//! what Rust has for the same.
//!
//! The limit of the first is the decompressor's own loop; flate2's is shown without any stream around it.
//! That of the second is a connection over loopback and the server's answer, which both sides wait for.

mod support;

use std::io::{Read, Write};
use std::net::SocketAddr;

use async_compression::futures::bufread::GzipDecoder;
use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use futures::executor::block_on;
use futures::future::try_join_all;
use futures::io::{AsyncReadExt, Cursor};
use futures::{TryStreamExt, stream};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use support::{Unit, case, compare};
use tokio::net::TcpStream;
use ziggurat::ThroughZigExt;
use ziggurat::stream::TransformBuilder;
use ziggurat::stream::host::TokioHost;
use ziggurat_examples_zig::{fetch, gunzip};
use ziggurat_tests_zig::formats::unchecked;

const CHUNK: usize = 64 * 1024;

/// 16 MiB that are about as repetitive as source code, since they are.
fn text() -> Vec<u8> {
    let source =
        concat!(include_str!("shapes.rs"), include_str!("bytes.rs"), include_str!("../Cargo.lock"));
    let mut text = Vec::with_capacity(16 << 20);
    // A counter between the lines, so that no window has seen it all before.
    for (i, line) in source.lines().cycle().enumerate() {
        if text.len() >= 16 << 20 {
            return text;
        }
        writeln!(text, "{:x} {line}", i.wrapping_mul(0x9e37_79b9)).expect("a vector grows");
    }
    unreachable!("the lines repeat for ever")
}

fn gzip(text: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).expect("a vector grows");
    encoder.finish().expect("a vector grows").into()
}

fn by_zig(packed: &Bytes, builder: TransformBuilder<[u8], [u8]>) -> u64 {
    let transform = builder.open().expect("it opens");
    let chunks: Vec<Bytes> = (0..packed.len())
        .step_by(CHUNK)
        .map(|at| packed.slice(at..packed.len().min(at + CHUNK)))
        .collect();
    let unpacked = stream::iter(chunks).through_zig(transform);
    let length = unpacked.try_fold(0, |n, bytes| async move { Ok(n + bytes.len() as u64) });
    block_on(length).expect("it is a gzip file")
}

fn by_async_compression(packed: &Bytes) -> u64 {
    let mut decoder = GzipDecoder::new(Cursor::new(packed));
    let mut buffer = vec![0; CHUNK];
    let mut length = 0;
    block_on(async {
        loop {
            match decoder.read(&mut buffer).await.expect("it is a gzip file") {
                0 => return length,
                n => length += n as u64,
            }
        }
    })
}

fn by_flate2(packed: &Bytes) -> u64 {
    let mut decoder = flate2::read::GzDecoder::new(packed.as_ref());
    let mut buffer = vec![0; CHUNK];
    let mut length = 0;
    loop {
        match decoder.read(&mut buffer).expect("it is a gzip file") {
            0 => return length,
            n => length += n as u64,
        }
    }
}

/// A server on a thread of its own, until the process ends.
fn serve() -> SocketAddr {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime");
            let router = Router::new().route("/", get(async || [b'x'; 1024]));
            axum::serve(listener, router).await
        })
    });
    address
}

async fn by_hyper(address: SocketAddr) -> Result<usize, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = hyper::Request::get("/").header("host", address.to_string());
    let answer = async {
        let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
        Ok::<_, Box<dyn std::error::Error>>(response.into_body().collect().await?.to_bytes().len())
    };
    tokio::select! {
        length = answer => length,
        result = connection => result.map(|()| 0).map_err(Into::into),
    }
}

/// So many requests, `at_once` of them at a time, each over a connection of its own.
fn requests<F: Future<Output = usize>>(at_once: usize, request: impl Fn() -> F) -> u64 {
    const ALL: usize = 256;
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        for _ in 0..ALL / at_once {
            let lengths =
                try_join_all((0..at_once).map(|_| async { Ok::<_, ()>(request().await) }));
            assert!(lengths.await.expect("no error").iter().all(|length| *length == 1024));
        }
    });
    ALL as u64
}

fn main() {
    let text = text();
    let packed = gzip(&text);
    for builder in [gunzip(), unchecked::gunzip()] {
        assert_eq!(by_zig(&packed, builder), text.len() as u64);
    }
    println!("{} bytes packed in {}", text.len(), packed.len());
    compare(
        "gunzip, per byte that comes out",
        Unit::Throughput,
        15,
        vec![
            case("async-compression (flate2)", || by_async_compression(&packed)),
            case("Zig's std.compress.flate as a transform", || by_zig(&packed, gunzip())),
            case("the same on a thread", || by_zig(&packed, gunzip().on_thread())),
            case("the same, without Zig's safety checks", || by_zig(&packed, unchecked::gunzip())),
            case("flate2, no stream", || by_flate2(&packed)),
        ],
    );

    let address = serve();
    let url = &*format!("http://{address}/");
    let zig = || async { fetch(url).open().expect("it opens").await.expect("it is served").len() };
    let zig_by_tokio = || async {
        let host = TokioHost::current().expect("a runtime");
        fetch(url).host(host).open().expect("it opens").await.expect("it is served").len()
    };
    let hyper = || async { by_hyper(address).await.expect("it is served") };
    for at_once in [1, 64] {
        compare(
            &format!(
                "GET over a connection of its own, {at_once} at a time, tokio's current thread"
            ),
            Unit::Nanoseconds,
            15,
            vec![
                case("hyper", || requests(at_once, hyper)),
                case("Zig's std.http.Client, DefaultHost", || requests(at_once, zig)),
                case("Zig's std.http.Client, TokioHost", || requests(at_once, zig_by_tokio)),
            ],
        );
    }
}
