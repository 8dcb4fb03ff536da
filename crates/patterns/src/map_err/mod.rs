//! Errors made into other errors: `.map_err_into::<BoxError>()` for those who box.
//!
//! Each layer has an error type of its own, so that a pipeline's error nests as its layers do. Where that
//! is too much to name, one conversion at the end makes it whatever implements `From`.
//!
//! ```
//! use std::time::Duration;
//! use futures::{TryStreamExt, stream};
//! use ziggurat_patterns::{BoxError, StreamLayerExt};
//!
//! # futures::executor::block_on(async {
//! let lines = stream::iter([Ok("a line"), Err(std::io::Error::other("unplugged"))]);
//! let mut lines = lines.timeout(Duration::from_secs(1)).map_err_into::<BoxError>();
//! assert_eq!(lines.try_next().await?, Some("a line"));
//! assert_eq!(lines.try_next().await.unwrap_err().to_string(), "unplugged");
//! # Ok::<(), BoxError>(())
//! # }).unwrap();
//! ```

pub mod service;
pub mod stream;
