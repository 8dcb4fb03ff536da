//! Linearizability: what threads saw of a channel while all used it at once must be what they could have seen
//! one after the other.
//!
//! proptest makes the programs, with every operation there is, futures that are dropped when they were polled
//! once or twice, and ends that go; each is run some times. A batch is as many steps as it has items: it is not
//! atomic, but in order. Each model is tried on wrong histories, too.

mod broadcast;
mod checker;
mod oneshot;
mod queue;
mod spsc;
#[path = "../support/mod.rs"]
mod support;
mod watch;

use proptest::prelude::ProptestConfig;

/// Runs per program.
const RUNS: usize = 8;

/// 300 programs for each object, or as many as `HISTORIES` says.
fn config() -> ProptestConfig {
    let chosen = std::env::var("HISTORIES").ok().and_then(|cases| cases.parse().ok());
    // A program that failed need not fail when it is run again.
    ProptestConfig {
        cases: chosen.unwrap_or(300),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
