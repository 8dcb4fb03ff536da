//! Throttling: a least distance between items, and nothing lost.
