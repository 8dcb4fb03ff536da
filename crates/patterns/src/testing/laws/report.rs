//! How a broken law is told.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A law that a layer broke, and how.
#[derive(Debug)]
pub(super) struct Broken {
    pub law: &'static str,
    pub what: String,
}

/// The outcome of a law on one script.
pub(super) type Verdict = Result<(), Broken>;

/// `Ok` if `holds`.
pub(super) fn require(holds: bool, law: &'static str, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Broken { law, what: what() }) }
}

/// Collects what is broken, at most one script per law, so that one mistake is one line.
#[derive(Debug)]
pub(super) struct Report {
    name: String,
    seen: Vec<&'static str>,
    lines: Vec<String>,
}

thread_local! {
    /// The poll that is under way, for a panic that unwinds through it.
    static POLL: Cell<usize> = const { Cell::new(0) };
}

/// Notes that poll number `number` begins.
pub(super) fn note_poll(number: usize) {
    POLL.set(number);
}

impl Report {
    pub(super) fn new(name: &str) -> Self {
        Report { name: name.to_owned(), seen: Vec::new(), lines: Vec::new() }
    }

    /// Runs `law`; a panic within it breaks the law `panics`.
    pub(super) fn run(
        &mut self,
        script: &str,
        panics: &'static str,
        law: impl FnOnce() -> Verdict,
    ) {
        POLL.set(0);
        let verdict = catch_unwind(AssertUnwindSafe(law)).unwrap_or_else(|payload| {
            let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| payload.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "a panic without a message".to_owned());
            Err(Broken { law: panics, what: format!("it panicked: {text}") })
        });
        let Err(Broken { law, what }) = verdict else { return };
        if !self.seen.contains(&law) {
            self.seen.push(law);
            self.lines.push(format!("{law}: {what} [script: {script}; poll {}]", POLL.get()));
        }
    }

    /// # Panics
    ///
    /// When a law was broken.
    #[track_caller]
    pub(super) fn finish(self) {
        let count = self.lines.len();
        assert!(
            count == 0,
            "`{}` breaks {count} {}:\n  {}",
            self.name,
            if count == 1 { "law" } else { "laws" },
            self.lines.join("\n  ")
        );
    }
}
