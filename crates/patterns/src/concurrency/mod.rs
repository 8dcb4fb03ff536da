//! Concurrency limits: so many calls at once (a bulkhead).
