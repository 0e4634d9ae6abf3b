//! [`refusing`]: the allocator of [`crate::alloc`] refuses one large request, so that a test can show that each of them
//! may be refused.
//!
//! Requests of other threads count, too: such a test stands alone in its process. What a library asks for that
//! cannot say that memory was refused ([`ironlearn_ir::memory::for_library`]) is neither counted nor refused.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Requests of so many bytes are large.
static LARGE: AtomicUsize = AtomicUsize::new(usize::MAX);
/// Large requests since the beginning, those of libraries, and the number of the one to refuse.
static SEEN: AtomicU64 = AtomicU64::new(0);
static OF_LIBRARIES: AtomicU64 = AtomicU64::new(0);
static REFUSED: AtomicU64 = AtomicU64::new(u64::MAX);
/// Whether to show where the refused request was made.
static SHOWN: AtomicBool = AtomicBool::new(false);

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Requests {
    /// Large requests.
    pub own: u64,
    /// Large requests of libraries.
    pub of_libraries: u64,
}

/// Whether a request is the one to refuse.
pub(crate) fn refuses(bytes: usize) -> bool {
    if bytes < LARGE.load(Relaxed) {
        return false;
    }
    if ironlearn_ir::memory::is_in_library() {
        OF_LIBRARIES.fetch_add(1, Relaxed);
        return false;
    }
    let refuses = SEEN.fetch_add(1, Relaxed) == REFUSED.load(Relaxed);
    if refuses && SHOWN.load(Relaxed) {
        let large = LARGE.swap(usize::MAX, Relaxed);
        eprintln!("{bytes} bytes are refused at\n{}", std::backtrace::Backtrace::force_capture());
        LARGE.store(large, Relaxed);
    }
    refuses
}

/// Runs `f` while request `number` of those of at least `large` bytes, counted from 0, is refused; none where no
/// number is given. Also gives what was asked for. With `shown` it is said where the refused request was made.
pub fn refusing<R>(large: usize, number: Option<u64>, shown: bool, f: impl FnOnce() -> R) -> (R, Requests) {
    SEEN.store(0, Relaxed);
    OF_LIBRARIES.store(0, Relaxed);
    REFUSED.store(number.unwrap_or(u64::MAX), Relaxed);
    SHOWN.store(shown, Relaxed);
    LARGE.store(large, Relaxed);
    let result = f();
    LARGE.store(usize::MAX, Relaxed);
    (result, Requests { own: SEEN.load(Relaxed), of_libraries: OF_LIBRARIES.load(Relaxed) })
}
