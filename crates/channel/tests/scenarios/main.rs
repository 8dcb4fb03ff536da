//! Counterparts of the scenarios in the test suites of flume and kanal, in our own words and over our
//! own API.
//!
//! Nothing here looks at a clock. Theirs sleep until another thread is likely to be parked; here
//! tasks run on an executor that knows when all are parked ([`support::Tasks`]), and threads race.
#![doc = include_str!("flume.md")]
#![doc = include_str!("kanal.md")]

mod items;
mod limits;
#[path = "../support/mod.rs"]
mod support;

use support::{Bounded, Growable, Kind, Unbounded};
mod tasks;
mod threads;
mod waiting;

/// Capacities.
const KINDS: [Kind; 7] =
    [Bounded(1), Bounded(2), Bounded(3), Bounded(100), Unbounded, Growable(1), Growable(64)];
/// Schedules per scenario.
const SEEDS: u64 = 50;

/// Each row of the tables names a test that there is, and each test has a row.
#[test]
fn the_tables_name_what_there_is() {
    let sources = [
        include_str!("items.rs"),
        include_str!("limits.rs"),
        include_str!("tasks.rs"),
        include_str!("threads.rs"),
        include_str!("waiting.rs"),
    ];
    let name = |test: &'static str| test.split('(').next();
    let tests: Vec<_> = sources
        .into_iter()
        .flat_map(|source| source.split("#[test]\nfn ").skip(1).filter_map(name))
        .collect();
    let tables = [include_str!("flume.md"), include_str!("kanal.md")].concat();
    let rows = tables.lines().filter_map(|line| line.split(" | ").nth(1));
    let named: Vec<_> = rows
        .filter(|row| row.starts_with('`'))
        .flat_map(|row| row.split([':', '(']).next().unwrap_or(row).split('`').skip(1).step_by(2))
        .filter(|name| name.contains('_'))
        .collect();
    for test in &tests {
        assert!(named.contains(test), "{test} has no row");
    }
    for name in named {
        assert!(tests.contains(&name), "there is no {name}");
    }
}
