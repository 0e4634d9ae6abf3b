//! Ranks: what becomes of `train` and `resume` where a launcher of MPI has started several of them.
//!
//! The first rank reads the job, makes or opens the run directory, and tells the others; it alone writes files and talks.
//! Whoever fails tells why and ends its process, upon which the launcher ends the others.

use crate::console::Console;
use crate::device::{Device, Machine};
use crate::engine::{Engine, TrainRequest};
use crate::gpu::Gpu;
use crate::machine;
use crate::session::Limits;
use crate::signals::Signals;
use ironlearn::Error;
use ironlearn::job::Job;
use ironlearn::ranks::Ranks;
use ironlearn::train::{Control, Start, Watch};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// How long a rank that is not the first keeps its error to itself: mostly the first has the same, and tells it.
const DISCRETION: Duration = Duration::from_secs(1);

/// The ranks of this process, if there are any. They outlive everything else: who ends without [`Team::leave`] ends all.
static RANKS: OnceLock<Arc<dyn Ranks>> = OnceLock::new();

/// The processes that carry out one job, as one of them sees them.
pub struct Team {
    ranks: Arc<dyn Ranks>,
    /// Threads that do not get in the way of other ranks on the same cores.
    threads: usize,
    /// Which of the ranks on this host this is.
    place: usize,
    hosts: usize,
}

/// What the first rank tells the others.
#[derive(Serialize, Deserialize)]
struct Work {
    /// The resolved job.
    job: String,
    resume_from: Option<PathBuf>,
    /// Steps after which all stop.
    steps: Option<u64>,
}

/// The ranks that a launcher has started; none where there was no launcher.
///
/// # Errors
/// [`Error::Usage`] where this program knows nothing of MPI, [`Error::Device`] where the ranks do not find each other.
pub fn join() -> Result<Option<Team>, Error> {
    if !ironlearn_mpi::is_launched() {
        return Ok(None);
    }
    let ranks = start()?;
    let own = format!("{}\n{}", machine::host(), machine::core_list());
    let all = ranks.gather(own.clone().into_bytes()).map_err(Error::device)?;
    let beside = all.iter().filter(|theirs| theirs[..] == *own.as_bytes()).count();
    let mut hosts: Vec<&[u8]> =
        all.iter().filter_map(|theirs| theirs.split(|&byte| byte == b'\n').next()).collect();
    let place = place(&hosts, ranks.rank());
    hosts.sort_unstable();
    hosts.dedup();
    let (threads, hosts) = ((machine::cores() / beside.max(1)).max(1), hosts.len());
    Ok(Some(Team { ranks: RANKS.get_or_init(|| ranks).clone(), threads, place, hosts }))
}

/// Which of the ranks on its host a rank is, where these are the hosts of all.
fn place(hosts: &[&[u8]], rank: usize) -> usize {
    hosts.iter().take(rank).filter(|host| Some(*host) == hosts.get(rank)).count()
}

/// The device of a rank that is so many-th on its host, where the driver sees so many GPUs. Ranks take the GPUs of their host
/// in turn. A GPU has to be asked for: all ranks need one of the same kind.
fn own(device: Device, place: usize, gpus: impl Fn() -> usize) -> Device {
    match device {
        Device::Auto => Device::Cpu,
        Device::Gpu => Device::Cuda(place % gpus().max(1)),
        Device::Cpu | Device::Cuda(_) => device,
    }
}

#[cfg(feature = "mpi")]
fn start() -> Result<Arc<dyn Ranks>, Error> {
    let group = ironlearn_mpi::start().map_err(Error::device)?;
    Ok(Arc::new(group))
}

#[cfg(not(feature = "mpi"))]
fn start() -> Result<Arc<dyn Ranks>, Error> {
    let problem = "a launcher of MPI has started this program, which was built without MPI: every process would train alone";
    Err(Error::usage(problem, "build it with `--features mpi`, or start it without the launcher"))
}

/// Ends a process with an error: where it is a rank, it takes the others along.
pub fn fail(error: &Error, console: &Console) -> u8 {
    let Some(ranks) = RANKS.get() else {
        console.error(error);
        return error.exit_code();
    };
    if ranks.rank() > 0 {
        std::thread::sleep(DISCRETION);
        console.warn(&format!("the next message is of rank {} on {}", ranks.rank(), machine::host()));
    }
    console.error(error);
    std::process::exit(i32::from(error.exit_code()))
}

impl Team {
    /// Whether this rank reads the job, writes files and talks.
    pub fn is_first(&self) -> bool {
        self.ranks.rank() == 0
    }

    pub fn ranks(&self) -> Arc<dyn Ranks> {
        self.ranks.clone()
    }

    /// Cuts the batches of a network into as many chunks as the job says, or as is usual among ranks.
    pub fn cut(&self, job: &mut Job) {
        if job.model.is_network() {
            job.train.chunks = ironlearn::task::ranks::chunks(job, self.ranks.count());
        }
    }

    /// The device and the number of threads where the options leave them open.
    pub fn machine(&self, device: Device, threads: Option<usize>) -> (Device, Option<usize>) {
        (own(device, self.place, Gpu::count), threads.or(Some(self.threads)))
    }

    /// What people are told of it.
    pub fn text(&self, job: &Job) -> String {
        let (count, hosts) = (self.ranks.count(), self.hosts);
        let on = if hosts == 1 { "one host".to_string() } else { format!("{hosts} hosts") };
        let cut = match job.train.chunks {
            0 | 1 => String::new(),
            chunks => format!(
                "; batches in {chunks} chunks: any number of ranks up to {chunks} gives the same bits"
            ),
        };
        format!("ranks: {count} on {on}{cut}")
    }

    /// Tells the others what is to be done.
    pub fn tell(&self, job: &Job, resume_from: Option<&Path>, limits: Limits) -> Result<(), Error> {
        let resume_from = resume_from.map(|path| std::path::absolute(path).unwrap_or(path.to_owned()));
        let work = Work { job: job.to_toml(), resume_from, steps: limits.steps };
        let text = serde_json::to_vec(&work).map_err(|e| Error::device(e.to_string()))?;
        self.ranks.gather(text).map(drop).map_err(Error::device)
    }

    /// How ranks on GPUs exchange what they add up, for people. All ranks ask together.
    pub fn links(&self, machine: &Machine) -> Result<Option<String>, Error> {
        machine.gpu.as_ref().map(|gpu| gpu.links(&self.ranks)).transpose()
    }

    /// Does what the first rank tells, and writes nothing.
    pub fn follow(
        &self,
        device: Device,
        threads: Option<usize>,
        signals: Signals,
        engine: &dyn Engine,
    ) -> Result<u8, Error> {
        let told = self.ranks.gather(Vec::new()).map_err(Error::device)?;
        let work: Work = serde_json::from_slice(&told[0]).map_err(|e| Error::device(e.to_string()))?;
        let job = Job::parse(&work.job, &[] as &[&str]).map_err(|e| {
            Error::usage(format!("the job of the first rank: {e:?}"), "install one version everywhere")
        })?;
        let (device, threads) = self.machine(device, threads);
        let machine = Machine::find(device, threads, &Console::new(false, true))?.for_job(&job, device)?;
        self.links(&machine)?;
        let nowhere = std::env::temp_dir();
        let request = TrainRequest {
            job: &job,
            machine: &machine,
            ranks: Some(self.ranks()),
            resume_from: work.resume_from.as_deref(),
            last: nowhere.join("last.safetensors"),
            best: nowhere.join("best.safetensors"),
            directory: &nowhere,
        };
        let outcome =
            engine.train(&request, &mut Follower { signals, steps: work.steps, last_step: u64::MAX })?;
        drop(outcome);
        self.leave()?;
        Ok(0)
    }

    /// Waits for the others, and takes leave of them.
    pub fn leave(&self) -> Result<(), Error> {
        self.ranks.gather(Vec::new()).map_err(Error::device)?;
        self.ranks.end();
        Ok(())
    }
}

/// Watches the part of a rank that writes nothing.
struct Follower {
    signals: Signals,
    steps: Option<u64>,
    /// The step that ends the run.
    last_step: u64,
}

impl Watch for Follower {
    fn begin(&mut self, start: &Start) -> Result<(), Error> {
        self.last_step = start.last_step;
        self.signals.wait_for_steps();
        Ok(())
    }

    fn after_step(&mut self, step: u64) -> Control {
        // As the first rank has it: who has done all steps is not stopped by a limit.
        let is_enough = step < self.last_step && self.steps.is_some_and(|steps| step >= steps);
        if is_enough || self.signals.interruption().is_some() { Control::Stop } else { Control::Continue }
    }

    fn last_step(&self) -> Option<u64> {
        self.steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_take_the_gpus_of_their_host_in_turn() {
        let hosts: [&[u8]; 6] = [b"one", b"two", b"one", b"two", b"one", b"three"];
        let places: Vec<usize> = (0..hosts.len()).map(|rank| place(&hosts, rank)).collect();
        assert_eq!(places, [0, 0, 1, 1, 2, 0]);
        let of = |place, gpus| own(Device::Gpu, place, || gpus);
        assert_eq!([0, 1, 2].map(|place| of(place, 2)), [0, 1, 0].map(Device::Cuda));
        // There is none: opening it says so.
        assert_eq!(of(3, 0), Device::Cuda(0));
    }

    #[test]
    fn a_device_that_was_named_is_that_of_all_ranks() {
        for device in [Device::Cpu, Device::Cuda(5)] {
            assert_eq!(own(device, 1, || 2), device);
        }
        assert_eq!(own(Device::Auto, 1, || 2), Device::Cpu);
    }
}
