//! `ironlearn resume`.

use super::train::{Run, carry_out, machine};
use crate::args::ResumeOptions;
use crate::console::Console;
use crate::device::Machine;
use crate::engine::Engine;
use crate::ranks;
use crate::run_dir::RunDir;
use crate::signals::Signals;
use ironlearn::Error;
use std::time::Instant;

pub fn run(options: &ResumeOptions, console: &Console, engine: &dyn Engine) -> Result<u8, Error> {
    let began = Instant::now();
    let signals = Signals::install()?;
    let team = ranks::join()?;
    let asked = options.run.machine.of(team.as_ref());
    if let Some(team) = team.as_ref().filter(|team| !team.is_first()) {
        return team.follow(asked.device, asked.threads(), signals, engine);
    }
    let machine = Machine { profile: options.run.profile, ..machine(&asked, console)? };
    let overrides = options.run.overrides();
    let (dir, mut job) = match &options.run.out {
        None => RunDir::open(&options.run_dir, &overrides)?,
        Some(out) => {
            let (run, _) = RunDir::open(&options.run_dir, &[])?;
            let copy = run.copy_to(out)?;
            drop(run);
            RunDir::open(&copy, &overrides)?
        }
    };
    team.iter().for_each(|team| team.cut(&mut job));
    let machine = machine.for_job(&job, asked.device)?;
    let limits = options.run.limits(&job)?;
    let resume = dir.has_checkpoint()?;
    let team = team.as_ref();
    let run = Run { job: &job, dir: &dir, resume, dry: false, machine: &machine, team, limits, began };
    carry_out(&run, signals, console, engine)
}
