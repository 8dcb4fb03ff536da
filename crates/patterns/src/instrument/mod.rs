//! Instrumentation: a span and counters per stage.
