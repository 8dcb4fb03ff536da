//! Timeouts: per call, for the first item, between items, for the whole, until a deadline.
