//! A parker that leaves out the heavy barrier because the publisher has settled on its thread.

#[path = "../../src/home.rs"]
#[allow(dead_code, reason = "the other side's uses are not modelled")]
mod home;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use loom::thread;

use ziggurat_channel::layout::{PARKED, SETTLED};

use self::home::{Home, Settled};

#[derive(Default)]
struct Side {
    position: AtomicU64,
    /// With `SETTLED` in it for the publisher's eyes, and `PARKED`.
    word: AtomicU32,
}

impl Side {
    /// As a publisher of a ring that is not strict: no barrier between the store and the load. Whether it
    /// has seen that somebody is parked.
    fn publish(&self, position: u64, settled: &mut Settled, home: &Home) -> bool {
        self.position.store(position, Ordering::Release);
        let word = self.word.load(Ordering::Relaxed);
        if word & SETTLED == 0 || settled.is_here() {
            return word & PARKED != 0;
        }
        settled.leave(home, &self.word);
        fence(Ordering::SeqCst);
        self.word.load(Ordering::Relaxed) & PARKED != 0
    }
}

/// The publisher settles where the parker is, and goes elsewhere while the parker parks; `settles`: to
/// settle there.
pub fn moves_away(settles: bool) {
    let (side, home) = (Arc::new(Side::default()), Arc::new(Home::new()));
    let mut settled = Settled::default();
    settled.settle(&home, &side.word);
    assert!(!side.publish(1, &mut settled, &home));
    let publisher = thread::spawn({
        let (side, home) = (side.clone(), home.clone());
        move || {
            let mut saw = side.publish(2, &mut settled, &home);
            if settles {
                settled.settle(&home, &side.word);
                saw |= side.publish(3, &mut settled, &home);
            }
            saw
        }
    });
    side.word.fetch_or(PARKED, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    let here = home.is_here();
    let seen = side.position.load(Ordering::Acquire);
    let saw = publisher.join().unwrap();
    // Otherwise there was a heavy barrier.
    if here {
        assert!(saw || seen == if settles { 3 } else { 2 });
    }
}
