//! The asymmetric fence: it costs a side that moves items nothing, and the side that parks a system call.
//! One-to-one rings are built on it.
//!
//! Waiting is Dekker's problem. One side publishes an item and then looks whether anybody is parked;
//! the other says that it is parked and then looks whether there is an item. One of them has to see the
//! other, for which each needs a full barrier between its store and its load. The first side does this
//! for every item and the second one rarely, so the second pays for both: `heavy` makes every running
//! thread of the process pass a full barrier, wherever it is (`membarrier(2)`, `PRIVATE_EXPEDITED`), so
//! that `light` need only keep the compiler from moving the load before the store.
//!
//! Why that suffices: at the moment of `heavy`, the first side's thread either has the load still ahead
//! of it, and then it sees what was stored before `heavy`; or the load is behind it, and then the store
//! that comes before it in the program is visible to whatever follows `heavy`. A thread that does not
//! run has passed a barrier when it was switched out. (Dice, Huang, Yang, "Asymmetric Dekker
//! synchronization", 2001; Linux, `membarrier(2)`; the same pair is
//! `folly::asymmetric_thread_fence_light/heavy` and C++'s P1202.)
//!
//! Where the system has none, both are a sequentially consistent fence. Which it is, is found out once
//! per process and written into each ring's header, so that both languages do the same. Loom knows
//! neither compiler fences nor system calls: there, both are sequentially consistent fences. The models
//! so check the protocol around the fences; that the pair is as strong as two such fences is the
//! argument above.

#[cfg(all(target_os = "linux", not(miri), not(ziggurat_loom)))]
mod system {
    use std::sync::OnceLock;

    const QUERY: i32 = 0;
    const PRIVATE_EXPEDITED: i32 = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: i32 = 1 << 4;

    fn membarrier(command: i32) -> i64 {
        // SAFETY: the call takes three integers and touches no memory of ours.
        unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) as i64 }
    }

    /// Whether this process may use the system call; registers it the first time.
    pub(super) fn available() -> bool {
        static AVAILABLE: OnceLock<bool> = OnceLock::new();
        *AVAILABLE.get_or_init(|| {
            let commands = membarrier(QUERY);
            let both = i64::from(PRIVATE_EXPEDITED | REGISTER_PRIVATE_EXPEDITED);
            commands > 0 && commands & both == both && membarrier(REGISTER_PRIVATE_EXPEDITED) == 0
        })
    }

    pub(super) fn barrier() {
        if membarrier(PRIVATE_EXPEDITED) != 0 {
            // A sandbox that came later forbids what it allowed before. Others rely on it already, so
            // there is no way on in which no wake is lost.
            eprintln!("ziggurat-channel: membarrier(2) was available and now fails");
            std::process::abort();
        }
    }
}

#[cfg(not(all(target_os = "linux", not(miri), not(ziggurat_loom))))]
mod system {
    pub(super) fn available() -> bool {
        false
    }

    pub(super) fn barrier() {}
}

/// Whether this process has the asymmetric fence.
pub(crate) fn is_asymmetric() -> bool {
    system::available()
}

/// The mover's half, when the ring is asymmetric: keeps the compiler, and only it, from exchanging the
/// store before it with the load after it.
#[inline(always)]
pub(crate) fn light() {
    std::sync::atomic::compiler_fence(std::sync::atomic::Ordering::SeqCst);
}

/// A publisher's half where the publication is a sequentially consistent exchange already, before this.
///
/// Such an exchange and sequentially consistent loads after it are in one order with the parker's fence,
/// on every processor: nothing more is needed. Loom takes these accesses for acquire and release only.
#[inline(always)]
pub(crate) fn after_exchange() {
    if cfg!(ziggurat_loom) {
        crate::sync::fence(crate::sync::Ordering::SeqCst);
    }
}

/// A full fence right behind a sequentially consistent read-modify-write, which on x86 is one already.
#[inline(always)]
pub(crate) fn behind_exchange() {
    if cfg!(all(target_arch = "x86_64", not(any(miri, ziggurat_loom)))) {
        light();
    } else {
        crate::sync::fence(crate::sync::Ordering::SeqCst);
    }
}

/// The parker's half, when the ring is asymmetric.
#[cold]
pub(crate) fn heavy() {
    system::barrier();
}
