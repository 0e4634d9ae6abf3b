//! The pool under many schedules: which thread takes the next step is decided by a random number or by a bound on
//! changes of priority, so that rare interleavings come up that a processor hardly shows.
//!
//! `scripts/sanitize.sh shuttle`, or `RUSTFLAGS="--cfg shuttle" cargo test -p ironlearn-cpu --test schedules`
#![cfg(shuttle)]
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use ironlearn_cpu::pool::Pool;
use ironlearn_testkit::tier::{report, trials};
use shuttle::sync::Arc;
use shuttle::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use shuttle::thread;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a test under schedules of both kinds.
fn explore(what: &str, test: fn()) {
    let schedules = trials(3_000, 100_000);
    shuttle::check_random(test, schedules);
    shuttle::check_pct(test, schedules, 3);
    report("schedules", format!("{what}: {} explored", 2 * schedules));
}

/// Each task once, and nobody uses a worker's number twice at a time.
fn loops(pool: &Pool, loops: usize, tasks: usize) {
    for _ in 0..loops {
        let done: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        let busy: Vec<AtomicUsize> = (0..pool.threads()).map(|_| AtomicUsize::new(0)).collect();
        pool.run(tasks, &|task, worker| {
            assert_eq!(busy[worker].fetch_add(1, Relaxed), 0, "worker {worker} is two");
            done[task].fetch_add(1, Relaxed);
            busy[worker].fetch_sub(1, Relaxed);
        });
        assert!(done.iter().all(|n| n.load(Relaxed) == 1));
    }
}

#[test]
fn every_task_is_done_once_and_the_pool_ends() {
    explore("loops one after another", || loops(&Pool::new(3), 3, 3));
}

#[test]
fn loops_of_two_callers_take_turns() {
    explore("two callers", || {
        let pool = Arc::new(Pool::new(2));
        let other = pool.clone();
        let caller = thread::spawn(move || loops(&other, 2, 2));
        loops(&pool, 2, 2);
        caller.join().unwrap();
    });
}

#[test]
fn a_panic_comes_out_after_the_last_helper_has_left() {
    explore("panics", || {
        let pool = Pool::new(3);
        let done = AtomicUsize::new(0);
        let failed = catch_unwind(AssertUnwindSafe(|| {
            pool.run(3, &|task, _| {
                done.fetch_add(1, Relaxed);
                if task == 1 {
                    std::panic::resume_unwind(Box::new("planned"));
                }
            });
        }));
        assert!(failed.is_err());
        assert_eq!(done.load(Relaxed), 3);
        loops(&pool, 1, 2);
    });
}

#[test]
fn a_loop_within_a_loop_stays_on_its_thread() {
    explore("nested loops", || {
        let pool = Pool::new(2);
        let done = AtomicUsize::new(0);
        pool.run(2, &|_, outer| {
            pool.run(2, &|_, inner| {
                assert_eq!(inner, outer);
                done.fetch_add(1, Relaxed);
            });
        });
        assert_eq!(done.load(Relaxed), 4);
    });
}
