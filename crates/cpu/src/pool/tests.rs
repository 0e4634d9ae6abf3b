//! The pool under load: every task once, sleeping and waking, panics.

use super::*;

/// Runs `tasks` tasks and checks that each ran once, no worker twice at a time.
fn check(pool: &Pool, tasks: usize) {
    let runs: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
    let busy: Vec<AtomicBool> = (0..pool.threads()).map(|_| AtomicBool::new(false)).collect();
    pool.run(tasks, &|task, worker| {
        assert!(!busy[worker].swap(true, AcqRel), "worker {worker} runs two tasks at once");
        runs[task].fetch_add(1, Relaxed);
        busy[worker].store(false, Release);
    });
    assert!(runs.iter().all(|n| n.load(Relaxed) == 1), "{tasks} tasks, {} threads", pool.threads());
}

#[test]
fn every_task_runs_once() {
    for threads in [0, 1, 2, 3, 7] {
        let pool = Pool::new(threads);
        assert_eq!(pool.threads(), threads.max(1));
        for tasks in [0, 1, 2, 3, 17, 1000] {
            check(&pool, tasks);
        }
    }
}

#[test]
fn many_small_loops() {
    // Miri takes a thousand times as long.
    let share = if cfg!(miri) { 1000 } else { 1 };
    for (threads, loops) in [(2, 100_000 / share), (7, 20_000 / share)] {
        let pool = Pool::new(threads);
        let sum = AtomicUsize::new(0);
        for i in 0..loops {
            pool.run(2 + i % 6, &|task, _| {
                sum.fetch_add(task + 1, Relaxed);
            });
        }
        // Six loops of 2..=7 tasks add 3 + 6 + 10 + 15 + 21 + 28.
        let rest: usize = (0..loops % 6).map(|i| (2 + i) * (3 + i) / 2).sum();
        assert_eq!(sum.into_inner(), loops / 6 * 83 + rest);
    }
}

#[test]
fn helpers_wake_from_sleep() {
    let pool = Pool::new(2);
    for _ in 0..5 {
        thread::sleep(Duration::from_millis(3));
        let both = std::sync::Barrier::new(2);
        // Ends only if two threads take part.
        pool.run(2, &|_, _| {
            both.wait();
        });
    }
}

#[test]
fn long_tasks_put_the_caller_to_sleep() {
    let pool = Pool::new(3);
    let done = AtomicUsize::new(0);
    pool.run(3, &|task, _| {
        thread::sleep(Duration::from_millis(4 * task as u64));
        done.fetch_add(1, Relaxed);
    });
    assert_eq!(done.into_inner(), 3);
}

#[test]
fn a_panic_reaches_the_caller_after_all_tasks() {
    for threads in [1, 2, 7] {
        let pool = Pool::new(threads);
        let done = AtomicUsize::new(0);
        let run = || {
            pool.run(50, &|task, _| {
                done.fetch_add(1, Relaxed);
                if task % 10 == 3 {
                    resume_unwind(Box::new(task));
                }
            })
        };
        let payload = catch_unwind(AssertUnwindSafe(run)).expect_err("the panic is lost");
        assert_eq!(payload.downcast_ref(), Some(&3usize));
        assert_eq!(done.into_inner(), 50);
        check(&pool, 20);
    }
}

#[test]
fn nested_loops_run_in_order_on_the_same_worker() {
    let (pool, other) = (Pool::new(3), Pool::new(2));
    let count = AtomicUsize::new(0);
    pool.run(8, &|_, worker| {
        let (here, last) = (thread::current().id(), AtomicUsize::new(0));
        pool.run(5, &|task, inner| {
            assert_eq!((thread::current().id(), inner), (here, worker));
            assert_eq!(last.fetch_add(1, Relaxed), task);
            count.fetch_add(1, Relaxed);
        });
        other.run(5, &|_, inner| assert_eq!((thread::current().id(), inner), (here, 0)));
    });
    assert_eq!(count.into_inner(), 40);
}

#[test]
fn callers_take_turns() {
    let pool = Pool::new(2);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..500).for_each(|_| check(&pool, 5)));
        }
    });
}

#[test]
fn dropping_ends_the_threads() {
    let shared = {
        let pool = Pool::new(7);
        check(&pool, 10);
        Arc::downgrade(&pool.shared)
    };
    assert!(shared.upgrade().is_none());
}
