//! [`Counting`]: a global allocator that counts, so that a test can show that nothing is allocated, or how much is
//! held at most.
//!
//! ```ignore
//! #[global_allocator]
//! static ALLOCATOR: Counting = Counting;
//! ```
//!
//! All threads are counted, those of an executor and those of other tests: such a test stands alone in its
//! file, which is a process of its own.

use crate::refusing::refuses;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
/// What is held now, and the most that was since [`peak`] began.
static HELD: AtomicU64 = AtomicU64::new(0);
static PEAK: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, counting; and refusing what [`crate::refusing`] says.
pub struct Counting;

/// What has been allocated, whether or not it has been freed since.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allocated {
    /// Requests for memory, those to grow included.
    pub requests: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Counts a request; true where it is to be refused.
fn note(bytes: usize) -> bool {
    if refuses(bytes) {
        return true;
    }
    ALLOCATIONS.fetch_add(1, Relaxed);
    BYTES.fetch_add(bytes as u64, Relaxed);
    let held = HELD.fetch_add(bytes as u64, Relaxed) + bytes as u64;
    PEAK.fetch_max(held, Relaxed);
    false
}

/// What is no longer held: `old`, or what was asked for where it was refused.
fn settle(memory: *mut u8, asked: usize, old: usize) -> *mut u8 {
    HELD.fetch_sub(if memory.is_null() { asked } else { old } as u64, Relaxed);
    memory
}

// SAFETY: every request goes to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if note(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        settle(unsafe { System.alloc(layout) }, layout.size(), 0)
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if note(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        settle(unsafe { System.alloc_zeroed(layout) }, layout.size(), 0)
    }
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if note(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        settle(unsafe { System.realloc(memory, layout, size) }, size, layout.size())
    }
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size() as u64, Relaxed);
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Runs `f` and counts what all threads allocate meanwhile.
pub fn count<R>(f: impl FnOnce() -> R) -> (R, Allocated) {
    let now = || (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed));
    let before = now();
    let result = f();
    let after = now();
    (result, Allocated { requests: after.0 - before.0, bytes: after.1 - before.1 })
}

/// Runs `f` and says how many bytes all threads held at most beyond what they held before. Memory that grows is
/// counted with its old and its new size at once. A request that is refused counts as well: what matters is what
/// was asked for.
pub fn peak<R>(f: impl FnOnce() -> R) -> (R, u64) {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = f();
    (result, PEAK.load(Relaxed) - before)
}
