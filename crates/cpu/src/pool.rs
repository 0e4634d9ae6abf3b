//! [`Pool`]: a fixed set of threads that share the tasks of one parallel loop after another.
//!
//! Who runs a task is left to chance (tasks are claimed from a counter), so a task's result must depend on
//! its number alone; then the results are the same for any number of threads.
//!
//! One word holds the state: a generation that every loop increments, whether the loop still accepts
//! helpers, and how many helpers are inside. A helper enters only while the loop is open, and the caller
//! waits only for those that entered: a thread that the system has not woken in time is never waited for.

use crate::denormal::FlushDenormals;
use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::*;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use sync::{AtomicBool, AtomicU64, AtomicUsize, Condvar, JoinHandle, Mutex, MutexGuard, Patience, thread};

/// A task: called with the number of the task and the number of the worker that runs it.
type Task<'a> = dyn Fn(usize, usize) + Sync + 'a;
/// What a panicking task leaves behind.
type Failure = Box<dyn Any + Send>;

/// How long an idle thread polls with the core for itself. Four times as long it then offers the core to others
/// between two looks, before it sleeps: longer than the serial part between two loops of a training step.
const POLLING: Duration = Duration::from_micros(15);
/// How often it looks at the state before it looks at the clock.
const LOOKS: usize = if cfg!(shuttle) { 1 } else { 32 };

/// Low bits of the state: helpers inside the loop.
const HELPERS: u64 = 0xffff;
/// The loop accepts helpers.
const OPEN: u64 = 1 << 16;
/// The caller sleeps until the last helper has left.
const CALLER_SLEEPS: u64 = 1 << 17;
/// The pool is being dropped.
const STOP: u64 = 1 << 18;
/// One step of the generation, which fills the high bits.
const GENERATION: u64 = 1 << 32;

sync::thread_local! {
    /// The pool (by address, 0 for none) whose shared loop this thread is in, and its number there.
    static INSIDE: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// A value on cache lines of its own (two: neighbouring lines are fetched in pairs).
#[repr(align(128))]
struct Line<T>(T);

/// The loop in progress.
struct Job {
    tasks: usize,
    f: *const Task<'static>,
}

struct Shared {
    state: Line<AtomicU64>,
    /// The next task to claim.
    next: Line<AtomicUsize>,
    /// Written by the caller while no helper is inside.
    job: UnsafeCell<Job>,
    /// The failure of the lowest-numbered task that panicked.
    failure: Mutex<Option<(usize, Failure)>>,
    /// Where the caller sleeps until the helpers have left.
    left: (Mutex<()>, Condvar),
    /// One flag per helper: it sleeps, or is about to.
    asleep: Box<[AtomicBool]>,
    polling: Duration,
}

// SAFETY: `job` is the only part that is not `Sync` (and holds a pointer). It is written only by the caller
// that holds `Pool::turn` while the loop is closed and no helper is inside, and read only by helpers inside;
// the acquire/release operations on `state` order the two. What it points to is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; nothing in it belongs to a particular thread.
unsafe impl Send for Shared {}

/// Threads that run parallel loops together with the thread that asks for them.
///
/// ```
/// use ironlearn_cpu::pool::Pool;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// let pool = Pool::new(2);
/// let sum = AtomicUsize::new(0);
/// pool.run(10, &|task, _worker| {
///     sum.fetch_add(task, Ordering::Relaxed);
/// });
/// assert_eq!(sum.into_inner(), 45);
/// ```
pub struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// Held by the caller whose loop is running.
    turn: Mutex<()>,
}

impl Pool {
    /// A pool of `threads` workers, the calling thread being one of them: `threads − 1` are started, and
    /// 0 counts as 1. Where the system refuses a thread the pool has fewer, as [`Pool::threads`] tells;
    /// results do not depend on their number.
    pub fn new(threads: usize) -> Pool {
        let wanted = threads.clamp(1, HELPERS as usize) - 1;
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let shared = Arc::new(Shared {
            state: Line(AtomicU64::new(0)),
            next: Line(AtomicUsize::new(0)),
            job: UnsafeCell::new(Job { tasks: 0, f: &|_, _| {} }),
            failure: Mutex::new(None),
            left: (Mutex::new(()), Condvar::new()),
            asleep: (0..wanted).map(|_| AtomicBool::new(false)).collect(),
            // With more threads than cores a polling thread takes the core from a working one.
            polling: if wanted < cores { POLLING } else { Duration::ZERO },
        });
        let mut helpers = Vec::with_capacity(wanted);
        for worker in 1..=wanted {
            let shared = Arc::clone(&shared);
            let builder = thread::Builder::new().name(format!("ironlearn-{worker}"));
            let Ok(handle) = builder.spawn(move || shared.help(worker)) else { break };
            helpers.push(handle);
        }
        Pool { shared, helpers, turn: Mutex::new(()) }
    }

    /// The number of workers, the caller of [`Pool::run`] included: at least 1.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Calls `f(task, worker)` once for every `task` in `0..tasks` and returns when all have finished.
    ///
    /// `worker` is below [`Pool::threads`], and no two calls of one loop run at the same time with the same
    /// `worker`: it selects scratch memory. Denormal numbers are flushed to zero in every task. Nothing is
    /// allocated.
    ///
    /// With one task or one thread, or from inside a task of a loop that is shared among threads, the tasks
    /// run in order on the calling thread (under the worker number it has in this pool, else 0). Loops of
    /// several callers take turns.
    ///
    /// # Panics
    /// When a task panics the others still run; then the panic of the lowest-numbered such task goes on here.
    pub fn run(&self, tasks: usize, f: &(dyn Fn(usize, usize) + Sync)) {
        let (pool, worker) = INSIDE.with(Cell::get);
        let failure = if tasks <= 1 || self.threads() == 1 || pool != 0 {
            let _flush = FlushDenormals::enter();
            let next = AtomicUsize::new(0);
            let worker = if pool == self.shared.address() { worker } else { 0 };
            let failure = Mutex::new(None);
            work(tasks, f, worker, &next, &failure);
            failure.into_inner().unwrap_or_else(PoisonError::into_inner)
        } else {
            self.run_shared(tasks, f)
        };
        if let Some((_, failure)) = failure {
            resume_unwind(failure);
        }
    }

    /// The loop with the helpers, from the first claim until the last helper has left.
    fn run_shared(&self, tasks: usize, f: &Task<'_>) -> Option<(usize, Failure)> {
        let _turn = lock(&self.turn);
        let _flush = FlushDenormals::enter();
        let shared = &*self.shared;
        // SAFETY: only the lifetime changes. Helpers use `f` while inside the loop, and this function returns
        // after the last one has left; tasks' panics do not unwind it.
        let f_static = unsafe { std::mem::transmute::<*const Task<'_>, *const Task<'static>>(f) };
        // SAFETY: this thread has the turn, the loop is closed and the last one's helpers have left, so
        // nobody reads the job.
        unsafe { *shared.job.get() = Job { tasks, f: f_static } };
        shared.next.0.store(0, Relaxed);
        let generation = (shared.state.0.load(Relaxed) & !(GENERATION - 1)).wrapping_add(GENERATION);
        shared.state.0.store(generation | OPEN, SeqCst);
        for (flag, helper) in shared.asleep.iter().zip(&self.helpers).take(tasks - 1) {
            if flag.load(SeqCst) && flag.swap(false, SeqCst) {
                helper.thread().unpark();
            }
        }
        INSIDE.with(|inside| inside.set((shared.address(), 0)));
        work(tasks, f, 0, &shared.next.0, &shared.failure);
        INSIDE.with(|inside| inside.set((0, 0)));
        if shared.state.0.fetch_and(!OPEN, AcqRel) & HELPERS != 0 {
            shared.wait_for_helpers();
        }
        lock(&shared.failure).take()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state.0.fetch_add(GENERATION | STOP, SeqCst);
        for helper in self.helpers.drain(..) {
            helper.thread().unpark();
            // A helper's own code does not panic, and there is nobody left to tell.
            let _ = helper.join();
        }
    }
}

impl Shared {
    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The life of helper `worker`.
    fn help(&self, worker: usize) {
        let _flush = FlushDenormals::enter();
        INSIDE.with(|inside| inside.set((self.address(), worker)));
        let mut generation = 0;
        loop {
            let state = self.wait_for_loop(generation, worker);
            if state & STOP != 0 {
                return;
            }
            generation = state / GENERATION;
            if !self.enter(generation) {
                continue;
            }
            // SAFETY: this helper is inside the loop: the caller neither writes the job nor ends the life of
            // what it points to before `leave`.
            let (tasks, f) = unsafe { ((*self.job.get()).tasks, &*(*self.job.get()).f) };
            work(tasks, f, worker, &self.next.0, &self.failure);
            self.leave();
        }
    }

    /// The state once its generation is another than `generation`: polls, then sleeps.
    fn wait_for_loop(&self, generation: u64, worker: usize) -> u64 {
        let changed = |state: u64| state / GENERATION != generation;
        if let Some(state) = self.poll(changed) {
            return state;
        }
        let asleep = &self.asleep[worker - 1];
        loop {
            // The caller writes the state and then reads the flag, this thread the reverse: one of the two
            // sees the other.
            asleep.store(true, SeqCst);
            let state = self.state.0.load(SeqCst);
            if changed(state) {
                asleep.store(false, Relaxed);
                return state;
            }
            thread::park();
        }
    }

    /// Polls the state until `ready`, for as long as polling is worth it.
    fn poll(&self, ready: impl Fn(u64) -> bool) -> Option<u64> {
        let patience = Patience::new(self.polling);
        loop {
            for _ in 0..LOOKS {
                let state = self.state.0.load(Acquire);
                if ready(state) {
                    return Some(state);
                }
                std::hint::spin_loop();
            }
            if !patience.lasts() {
                return None;
            }
        }
    }

    /// Enters the loop of `generation` unless it is closed or over.
    fn enter(&self, generation: u64) -> bool {
        let open = |state: u64| state / GENERATION == generation && state & OPEN != 0;
        self.state.0.fetch_update(AcqRel, Acquire, |state| open(state).then_some(state + 1)).is_ok()
    }

    /// Leaves the loop; the last helper wakes a sleeping caller.
    fn leave(&self) {
        let before = self.state.0.fetch_sub(1, AcqRel);
        if before & HELPERS == 1 && before & CALLER_SLEEPS != 0 {
            drop(lock(&self.left.0));
            self.left.1.notify_one();
        }
    }

    /// Returns when no helper is inside; the loop must be closed.
    fn wait_for_helpers(&self) {
        let empty = |state: u64| state & HELPERS == 0;
        if self.poll(empty).is_some() {
            return;
        }
        // A helper that leaves after this bit is set takes the lock before it notifies, so it cannot slip
        // between the test and the wait.
        self.state.0.fetch_or(CALLER_SLEEPS, AcqRel);
        let mut guard = lock(&self.left.0);
        while !empty(self.state.0.load(Acquire)) {
            guard = self.left.1.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Claims tasks and runs them until none is left, keeping the failure of the lowest-numbered one.
fn work(
    tasks: usize,
    f: &Task<'_>,
    worker: usize,
    next: &AtomicUsize,
    failure: &Mutex<Option<(usize, Failure)>>,
) {
    loop {
        let task = next.fetch_add(1, Relaxed);
        if task >= tasks {
            return;
        }
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| f(task, worker))) {
            let mut kept = lock(failure);
            if kept.as_ref().is_none_or(|(other, _)| task < *other) {
                *kept = Some((task, payload));
            }
        }
    }
}

/// The lock, whether or not a thread panicked while holding it: none guards data that could be half-written.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

mod sync;
#[cfg(all(test, not(shuttle)))]
mod tests;
