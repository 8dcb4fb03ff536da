//! Sampling: the latest item, at most once per period.
