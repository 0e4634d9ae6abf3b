//! [`Measured`]: what the shared tasks of a step cost, where a program is profiled.

use crate::pool::Pool;
use ironlearn_ir::profile::SharedWork;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Nanoseconds of the shared work of the step that runs.
#[derive(Default)]
pub struct Measured {
    wall: AtomicU64,
    work: AtomicU64,
    longest: AtomicU64,
}

impl Measured {
    /// Shares tasks as [`Run::each`](super::Run::each) does, with clock readings around each.
    pub fn each(&self, pool: &Pool, tasks: usize, f: &(impl Fn(usize, usize) + Sync)) {
        let longest = AtomicU64::new(0);
        let begin = Instant::now();
        pool.run(tasks, &|task, worker| {
            let begin = Instant::now();
            f(task, worker);
            let time = nanoseconds(begin.elapsed());
            self.work.fetch_add(time, Relaxed);
            longest.fetch_max(time, Relaxed);
        });
        self.wall.fetch_add(nanoseconds(begin.elapsed()), Relaxed);
        self.longest.fetch_add(longest.into_inner(), Relaxed);
    }

    /// Adds what was measured since the last call.
    pub fn take(&self, to: &mut SharedWork) {
        let seconds = |x: &AtomicU64| x.swap(0, Relaxed) as f64 * 1e-9;
        to.wall += seconds(&self.wall);
        to.work += seconds(&self.work);
        to.longest += seconds(&self.longest);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    time.as_nanos() as u64
}
