//! HTTP servers on loopback: axum's, and one that behaves as badly as it is told to.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use axum::Router;
use axum::body::Body;
use axum::extract::Path;
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use tokio::sync::oneshot;

/// The body of `size` bytes that a server sends for `seed`.
pub fn payload(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// axum on a thread of its own: `/length/SEED/SIZE` and `/chunked/SEED/SIZE`. It ends when it is dropped.
pub struct Axum {
    port: u16,
    accepted: Arc<AtomicUsize>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Axum {
    pub fn start() -> Axum {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&accepted);
        let (stop, stopped) = oneshot::channel();
        let serve = async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            // Relaxed: a count, looked at after its connection has answered.
            let listener = listener.tap_io(move |_| _ = counter.fetch_add(1, Ordering::Relaxed));
            let router = Router::new()
                .route("/length/{seed}/{size}", get(whole))
                .route("/chunked/{seed}/{size}", get(chunked));
            tokio::select! {
                result = axum::serve(listener, router) => result.unwrap(),
                _ = stopped => {}
            }
        };
        let thread = thread::spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(serve);
        });
        Axum { port, accepted, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Connections that it has had.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }
}

impl Drop for Axum {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().expect("it is dropped once").join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

async fn whole(Path((seed, size)): Path<(u64, usize)>) -> Vec<u8> {
    payload(seed, size)
}

/// In pieces of many sizes, each of which becomes a chunk of the encoding.
async fn chunked(Path((seed, size)): Path<(u64, usize)>) -> Body {
    let mut rest = Bytes::from(payload(seed, size));
    let sizes = [1, 2, 1000, 15, 16, 17, 70_000, 4095].into_iter().cycle();
    let pieces = sizes.map_while(move |n: usize| {
        let piece = rest.split_to(n.min(rest.len()));
        (!piece.is_empty()).then_some(Ok::<_, Infallible>(piece))
    });
    Body::from_stream(futures::stream::iter(pieces))
}

/// What comes after the last byte of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The end of the stream.
    Close,
    /// A reset.
    Reset,
}

/// Answers one request with `pieces`, each in a call of its own, whatever they mean. Returns the URL.
pub fn script(pieces: Vec<Vec<u8>>, then: Then) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let thread = thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        client.set_nodelay(true).unwrap();
        read_head(&mut client);
        for piece in pieces {
            client.write_all(&piece).unwrap();
        }
        if then == Then::Reset {
            reset(client);
        }
    });
    (url, thread)
}

/// Up to the empty line.
pub fn read_head(client: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(client.read(&mut byte).unwrap(), 1, "a head that is cut short");
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Closes with a reset in place of an end.
fn reset(client: TcpStream) {
    use std::os::fd::AsRawFd;
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    // SAFETY: the option's own struct, of its size, for a socket that is open.
    let result = unsafe {
        libc::setsockopt(
            client.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&raw const linger).cast(),
            size_of_val(&linger) as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
}
