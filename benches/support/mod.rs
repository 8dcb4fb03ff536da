//! Runs the cases of a comparison interleaved in one process, and prints medians and their ratios.
//!
//! Machines are noisy, so a single figure says little; a ratio of medians of interleaved runs says
//! what is faster. `ROUNDS` sets how many rounds there are; `CASES` picks the cases whose title and name,
//! as in `title: name`, contain it, for a profiler.

use std::hint::black_box;
use std::time::Instant;

/// One way to do the work. It returns how many units it did.
pub struct Case<'a> {
    name: &'a str,
    run: Box<dyn FnMut() -> u64 + 'a>,
}

/// A named case.
pub fn case<'a>(name: &'a str, run: impl FnMut() -> u64 + 'a) -> Case<'a> {
    Case { name, run: Box::new(run) }
}

/// How a comparison is shown.
#[allow(dead_code)] // each bench uses one of them
#[derive(Clone, Copy)]
pub enum Unit {
    /// Nanoseconds per unit: lower is better.
    Nanoseconds,
    /// Gigabytes per second, where a unit is a byte: higher is better.
    Throughput,
}

/// Runs all cases in turn, `rounds` times, and prints one line each: the median, and how many times
/// the first case's cost it is.
pub fn compare(title: &str, unit: Unit, rounds: usize, mut cases: Vec<Case<'_>>) {
    if let Ok(wanted) = std::env::var("CASES") {
        cases.retain(|case| format!("{title}: {}", case.name).contains(&wanted));
        if cases.is_empty() {
            return;
        }
    }
    let rounds = std::env::var("ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(rounds);
    let mut costs = vec![Vec::with_capacity(rounds); cases.len()];
    for round in 0..=rounds {
        for i in 0..cases.len() {
            // A different case first each round; the first round is for warming up.
            let i = (i + round) % cases.len();
            let start = Instant::now();
            let units = black_box((cases[i].run)());
            let cost = start.elapsed().as_nanos() as f64 / units as f64;
            if round > 0 {
                costs[i].push(cost);
            }
        }
    }
    println!("\n{title} (medians of {rounds} interleaved rounds)");
    let width = cases.iter().map(|c| c.name.len()).max().unwrap_or(0);
    let medians: Vec<f64> = costs.iter_mut().map(|c| median(c)).collect();
    for (case, median) in cases.iter().zip(&medians) {
        let figure = match unit {
            Unit::Nanoseconds => format!("{median:9.2} ns"),
            Unit::Throughput => format!("{:9.2} GB/s", 1.0 / median),
        };
        let ratio = match unit {
            Unit::Nanoseconds => median / medians[0],
            Unit::Throughput => medians[0] / median,
        };
        println!("  {:width$}  {figure}  {ratio:6.2}x", case.name);
    }
}

fn median(costs: &mut [f64]) -> f64 {
    costs.sort_unstable_by(f64::total_cmp);
    costs[costs.len() / 2]
}
