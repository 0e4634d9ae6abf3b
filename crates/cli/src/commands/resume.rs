//! `ironlearn resume`.

use super::train::{Run, carry_out, machine};
use crate::args::ResumeOptions;
use crate::console::Console;
use crate::device::Machine;
use crate::engine::Engine;
use crate::run_dir::RunDir;
use crate::signals::Signals;
use ironlearn::Error;
use std::time::Instant;

pub fn run(options: &ResumeOptions, console: &Console, engine: &dyn Engine) -> Result<u8, Error> {
    let began = Instant::now();
    let signals = Signals::install()?;
    let machine = Machine { profile: options.run.profile, ..machine(&options.run.machine, console)? };
    let overrides = options.run.overrides();
    let (dir, job) = match &options.run.out {
        None => RunDir::open(&options.run_dir, &overrides)?,
        Some(out) => {
            let (run, _) = RunDir::open(&options.run_dir, &[])?;
            let copy = run.copy_to(out)?;
            drop(run);
            RunDir::open(&copy, &overrides)?
        }
    };
    let machine = machine.for_job(&job, options.run.machine.device)?;
    let limits = options.run.limits(&job)?;
    let resume = dir.has_checkpoint()?;
    let run = Run { job: &job, dir: &dir, resume, dry: false, machine: &machine, limits, began };
    carry_out(&run, signals, console, engine)
}
