//! Layers over streams, and the streams that they make.

// batch

// broadcast

// buffer

// circuit_breaker

// concurrency

// debounce

// dedupe

// group_by

// hedge

// instrument

// load_shed

// map_err
pub use crate::map_err::stream::MapErrInto;

// rate_limit

// retry

// sample

// select

// shutdown

// throttle

// through

// timeout
pub use crate::timeout::stream::{Timeout, TimeoutLayer};

// window
