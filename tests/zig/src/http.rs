//! std's HTTP client and server.

use ziggurat_stream::{ZigByteStream, ZigStream};

ziggurat_stream::bind! {
    library "http";

    /// The body at `url`.
    pub fn get(url: &str) -> ZigByteStream;
    /// The same `count` times, by one client.
    pub fn get_again(url: &str, count: u32) -> ZigByteStream;
    /// The sizes of `count` bodies at once, by one client.
    pub fn get_together(url: &str, count: u32) -> ZigStream<u64>;
    /// Its port, then an item for each request, until it has had `connections`.
    pub fn serve(connections: u32) -> ZigStream<u64>;
}
