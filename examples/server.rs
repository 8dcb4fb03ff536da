//! An axum server that sheds load, limits and times out, and shuts down gracefully.
//!
//! ```text
//! cargo run --release --example server
//! ```
//!
//! It asks itself a few questions, and ends.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::error_handling::HandleErrorLayer;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceBuilder;
use ziggurat::patterns::concurrency::BulkheadError;
use ziggurat::patterns::rate_limit::{Quota, RateLimitError};
use ziggurat::patterns::service::{BulkheadLayer, RateLimitLayer, ShutdownLayer, TimeoutLayer};
use ziggurat::patterns::shutdown::{Shutdown, ShutdownError};
use ziggurat::patterns::timeout::TimeoutError;

/// The error of the layers nests as they do.
type Error = ShutdownError<RateLimitError<BulkheadError<TimeoutError<Infallible>>>>;

/// What each layer's own error means to a client.
async fn status(error: Error) -> (StatusCode, String) {
    let status = match &error {
        ShutdownError::Inner(RateLimitError::Rejected { .. }) => StatusCode::TOO_MANY_REQUESTS,
        ShutdownError::Inner(RateLimitError::Inner(BulkheadError::Inner(error)))
            if error.is_elapsed() =>
        {
            StatusCode::GATEWAY_TIMEOUT
        }
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, error.to_string())
}

fn router(shutdown: &Shutdown) -> Router {
    let twenty = Quota::per_minute(NonZeroU32::new(20).expect("not zero"));
    let four = NonZeroUsize::new(4).expect("not zero");
    let layers = ServiceBuilder::new()
        .layer(HandleErrorLayer::new(status))
        .layer(ShutdownLayer::new(shutdown.signal()))
        .layer(RateLimitLayer::new(twenty).enforcing())
        .layer(BulkheadLayer::new(four, 4))
        .layer(TimeoutLayer::new(Duration::from_millis(500)));
    Router::new()
        .route("/answer", get(|| async { "42" }))
        .route("/sleep/{ms}", get(sleep))
        .layer(layers)
}

async fn sleep(Path(ms): Path<u64>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    "rested"
}

/// The status and the body of the answer to a GET.
async fn ask(server: SocketAddr, path: &str) -> anyhow::Result<(u16, String)> {
    let mut connection = TcpStream::connect(server).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of the head")?;
    let code = head.split(' ').nth(1).context("no status")?.parse()?;
    println!("GET {path:12} {code} {body}");
    Ok((code, body.to_owned()))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let shutdown = Shutdown::new();
    let server = tokio::spawn(axum::serve(listener, router(&shutdown)).into_future());

    assert_eq!(ask(address, "/answer").await?, (200, "42".to_owned()));
    assert_eq!(ask(address, "/sleep/60000").await?.0, 504);
    // More than the bulkhead has room for.
    let many = (0..12).map(|_| ask(address, "/sleep/200"));
    let codes: Vec<_> =
        futures::future::try_join_all(many).await?.into_iter().map(|a| a.0).collect();
    assert!(codes.contains(&200) && codes.contains(&503), "{codes:?}");
    for _ in 0..5 {
        ask(address, "/answer").await?;
    }
    // The last one that the quota has room for; it is still under way when the server shuts down.
    let last = tokio::spawn(async move { ask(address, "/sleep/200").await });
    while shutdown.in_flight() == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(address, "/answer").await?.0, 429);
    shutdown.drain(Duration::from_secs(60)).await?;
    assert_eq!(last.await??, (200, "rested".to_owned()));
    assert_eq!(ask(address, "/answer").await?.0, 503, "refused after the shutdown has begun");
    server.abort();
    Ok(())
}
