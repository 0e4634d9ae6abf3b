//! The end of all ranks.

use mpi::topology::SimpleCommunicator;
use mpi::traits::Communicator;
use std::io::Write;

/// Exit code of all ranks where one of them is lost.
pub const LOST: u8 = 8;

/// What to do about a rank that is not heard of.
pub(crate) const SILENT: &str = "see whether its process and host still run and have memory";

/// Tells the problem and what to do about it, and ends all ranks. Only the thread that has initialised MPI may call it.
pub(crate) fn end_all(problem: &str, help: &str) -> ! {
    let text = format!(
        "error: {problem}; all ranks end\n  help: {help}; `ironlearn resume` goes on from the last save\n"
    );
    // One write: several ranks may tell theirs at once.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    SimpleCommunicator::world().abort(LOST.into())
}
