//! Load shedding: what is not ready refuses instead of waiting.
