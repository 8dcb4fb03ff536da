//! std's decompressors, parsers and hashes.

use ziggurat_stream::{ZigByteSink, ZigTransform};

ziggurat_stream::bind! {
    library "formats";

    /// As `gunzip -c`.
    pub fn gunzip() -> ZigTransform<[u8], [u8]>;
    /// As `zstd -dc`.
    pub fn unzstd() -> ZigTransform<[u8], [u8]>;
    /// As `xz -dc`.
    pub fn unxz() -> ZigTransform<[u8], [u8]>;
    /// A line for each entry of an archive: its size and its name.
    pub fn tar_list() -> ZigTransform<[u8], [u8]>;
    /// Every string of a JSON text.
    pub fn json_strings() -> ZigTransform<[u8], [u8]>;
    /// What a JSON list of orders comes to.
    pub fn json_total() -> ZigByteSink<f64>;
    /// The hash of all bytes.
    pub fn sha256() -> ZigByteSink<[u8; 32]>;
}

/// For benches: compiled without Zig's safety checks.
pub mod unchecked {
    use ziggurat_stream::ZigTransform;

    ziggurat_stream::bind! {
        library "unchecked";

        /// As `gunzip -c`.
        pub fn gunzip() -> ZigTransform<[u8], [u8]>;
    }
}
