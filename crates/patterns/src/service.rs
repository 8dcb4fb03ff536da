//! Layers over services, and the services that they make.

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
pub use crate::map_err::service::{MapErrInto, MapErrIntoFuture, MapErrIntoLayer};

// rate_limit

// retry

// sample

// select
pub use crate::select::{FirstOk, FirstOkFuture, Steer, SteerFuture};

// shutdown

// throttle

// through

// timeout
pub use crate::timeout::service::{Deadline, DeadlineLayer, Timeout, TimeoutFuture, TimeoutLayer};

// window
