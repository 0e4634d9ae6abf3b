//! What the pool shares memory by: that of the standard library, or, where schedules are explored
//! (`--cfg shuttle`), stand-ins that let a test decide which thread takes the next step.

#[cfg(not(shuttle))]
mod chosen {
    pub use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
    pub use std::sync::{Condvar, Mutex, MutexGuard};
    pub use std::thread::{self, JoinHandle};
    pub use std::thread_local;
}

#[cfg(shuttle)]
mod chosen {
    pub use shuttle::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
    pub use shuttle::sync::{Condvar, Mutex, MutexGuard};
    pub use shuttle::thread::{self, JoinHandle};
    pub use shuttle::thread_local;
}

pub use chosen::*;

/// How long a thread polls: for a time with the core for itself, then four times as long offering it to others.
pub struct Patience {
    #[cfg(not(shuttle))]
    start: std::time::Instant,
    #[cfg(not(shuttle))]
    polling: std::time::Duration,
}

#[cfg(not(shuttle))]
impl Patience {
    pub fn new(polling: std::time::Duration) -> Patience {
        Patience { start: std::time::Instant::now(), polling }
    }

    /// Whether to go on; offers the core where its own time is over.
    pub fn lasts(&self) -> bool {
        let waited = self.start.elapsed();
        (waited >= self.polling).then(thread::yield_now);
        waited < 5 * self.polling
    }
}

/// A schedule must not depend on a clock: one look, then sleep.
#[cfg(shuttle)]
impl Patience {
    pub fn new(_polling: std::time::Duration) -> Patience {
        Patience {}
    }

    pub fn lasts(&self) -> bool {
        false
    }
}
