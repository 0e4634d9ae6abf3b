//! Ranks of Iron Learn that a launcher of MPI has started: `mpirun -n 4 ironlearn train JOB.toml`.
//!
//! - [`is_launched`] looks at the environment alone: a run that no launcher has started never initialises MPI.
//! - `start` gives the `Group` of this process and the others. MPI is initialised on its thread, which alone calls it.
//! - `Mpi` is the `Transport` below it: messages that do not block, polled; and signs of life.
//!
//! Without the feature `mpi` only [`is_launched`] is there, and neither MPI nor a C compiler is needed. With it, `mpicc`
//! and libclang are.
//!
//! # How ranks end
//!
//! - **All are done**: the groups are dropped, each waits for the others, MPI is finalised.
//! - **One has an error**: it tells it and ends its process with an exit code. The launcher sees a process that has not
//!   finalised MPI, ends the others, and has its exit code. Best it does so at once, by [`std::process::exit`]: where
//!   it drops its group before, it waits there until another one exchanges, and is let go without finalising.
//! - **One is killed**: the launcher ends the others, and names it.
//! - **One falls silent** (its process is stopped, its host hangs or is cut off), or the launcher does not end the others:
//!   whoever watches it tells its name and ends all with the exit code `LOST`, within ten seconds.
#![forbid(unsafe_code)]

#[cfg(feature = "mpi")]
mod ending;
#[cfg(feature = "mpi")]
mod hearing;
mod launch;
#[cfg(feature = "mpi")]
mod pause;
#[cfg(feature = "mpi")]
mod requests;
#[cfg(feature = "mpi")]
mod transport;
#[cfg(feature = "mpi")]
mod watch;

pub use launch::is_launched;

#[cfg(feature = "mpi")]
pub use {ending::LOST, transport::Mpi};

#[cfg(feature = "mpi")]
use ironlearn_ir::ranks::Group;

/// This process among those that the launcher has started. MPI is initialised, and finalised when the group is dropped; a
/// process does both at most once.
///
/// Where another rank falls silent, however long this one computes, all end with the exit code [`LOST`].
///
/// # Errors
/// What keeps the ranks from finding each other. Errors within MPI end all ranks with a message of MPI.
#[cfg(feature = "mpi")]
pub fn start() -> Result<Group, String> {
    Group::start(Mpi::new, |problem| ending::end_all(problem, ending::SILENT))
}
