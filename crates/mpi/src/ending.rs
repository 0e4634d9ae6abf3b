//! The end of all ranks.

use mpi::topology::SimpleCommunicator;
use mpi::traits::Communicator;
use std::io::Write;

/// Exit code of all ranks where one of them is lost.
pub const LOST: u8 = 8;

/// Tells the problem and ends all ranks. Only the thread that has initialised MPI may call it.
pub(crate) fn end_all(problem: &str) -> ! {
    let text = format!(
        "error: {problem}; all ranks end\n  \
         help: see whether its process and host still run, and have memory; `ironlearn resume` goes on from the last \
         save\n"
    );
    // One write: several ranks may tell theirs at once.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
    SimpleCommunicator::world().abort(LOST.into())
}
