//! Handles against a scripted other side that keeps no promise which a receiver can check.

#[cfg(unix)]
mod host;
mod library;
#[cfg(unix)]
mod orphans;
mod pool;
mod records;
mod sink;
mod source;
mod tables;
mod transform;
mod wakes;

/// Statuses that no function may return.
const UNKNOWN: [i32; 5] = [-1, 6, 255, i32::MIN, i32::MAX];
