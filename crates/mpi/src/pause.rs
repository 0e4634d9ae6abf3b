//! [`Pause`]: how long to wait between two looks at what arrives.

use std::thread;
use std::time::{Duration, Instant};

/// So long nothing else is done: most answers come sooner than a sleeping thread wakes up.
const SPIN: Duration = Duration::from_micros(50);
/// So long others may have the core at once.
const YIELD: Duration = Duration::from_micros(300);
/// The longest sleep while nothing moves, and while a message is being moved: MPI moves it only when it is looked at.
const LONG: Duration = Duration::from_millis(1);
const SHORT: Duration = Duration::from_micros(50);

/// Waits longer, the longer nothing has come.
pub(crate) struct Pause {
    since: Instant,
    sleep: Duration,
}

impl Pause {
    pub(crate) fn new() -> Pause {
        Pause { since: Instant::now(), sleep: SHORT }
    }

    /// After something has come.
    pub(crate) fn restart(&mut self) {
        *self = Pause::new();
    }

    /// Waits, where `is_moving` says that a message is being moved not for long.
    pub(crate) fn wait(&mut self, now: Instant, is_moving: impl FnOnce() -> bool) {
        let waited = now.duration_since(self.since);
        if waited < SPIN {
            std::hint::spin_loop();
        } else if waited < YIELD {
            thread::yield_now();
        } else if is_moving() {
            thread::sleep(SHORT);
        } else {
            thread::sleep(self.sleep);
            self.sleep = (self.sleep * 5 / 4).min(LONG);
        }
    }
}
