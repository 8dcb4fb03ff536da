//! Tower-style layers for streams, sinks and services, on any executor.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod batch;
pub mod broadcast;
pub mod buffer;
pub mod circuit_breaker;
pub mod concurrency;
pub mod debounce;
pub mod dedupe;
pub mod group_by;
pub mod hedge;
pub mod instrument;
pub mod load_shed;
pub mod map_err;
pub mod rate_limit;
pub mod retry;
pub mod sample;
pub mod select;
pub mod shutdown;
pub mod throttle;
pub mod through;
pub mod timeout;
pub mod window;

mod ext;
mod hashed;
pub mod service;
pub mod sink;
pub mod stream;
mod sync;
pub mod testing;
mod wake_set;

pub use ext::{ServiceLayerExt, SinkLayerExt, StreamLayerExt};
pub use tower_layer::{Layer, Stack};
pub use tower_service::Service;
#[doc(inline)]
pub use ziggurat_core::time;

/// Any error, for those who box.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[cfg(ziggurat_loom)]
#[doc(hidden)]
pub mod model {
    //! What the model checks in `tests/loom` reach into.
    pub use crate::circuit_breaker::Core;
    pub use crate::concurrency::permits::Permits;
    pub use crate::rate_limit::bucket::{Bucket, Turn};
    pub use crate::retry::Tokens;
    pub use crate::shutdown::state::{State, Watch};
    pub use crate::wake_set::Shared;
}
