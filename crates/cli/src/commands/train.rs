//! `ironlearn train` and what `resume` has in common with it.

use super::bench;
use crate::args::{MachineOptions, TrainOptions};
use crate::console::Console;
use crate::device::Machine;
use crate::engine::{Engine, TrainRequest};
use crate::profile;
use crate::ranks::{self, Team};
use crate::run_dir::RunDir;
use crate::session::{Limits, Session};
use crate::signals::Signals;
use crate::summary;
use ironlearn::Error;
use ironlearn::job::Job;
use std::time::Instant;

pub fn run(options: &TrainOptions, console: &Console, engine: &dyn Engine) -> Result<u8, Error> {
    let began = Instant::now();
    let signals = Signals::install()?;
    let team = ranks::join()?;
    let asked = options.run.machine.of(team.as_ref());
    if let Some(team) = team.as_ref().filter(|team| !team.is_first()) {
        return team.follow(asked.device, asked.threads(), signals, engine);
    }
    let machine = Machine { profile: options.run.profile, ..machine(&asked, console)? };
    let mut overrides = options.run.overrides();
    overrides.extend(options.overfit_batches.map(|count| format!("train.overfit_batches={count}")));
    let mut job = Job::load(&options.job, &overrides)?;
    team.iter().for_each(|team| team.cut(&mut job));
    let machine = machine.for_job(&job, asked.device)?;
    let limits = options.run.limits(&job)?;
    if let Some(steps) = options.dry_run {
        return try_out(&job, steps, &machine, team.as_ref(), signals, console, engine);
    }
    let dir = RunDir::create(options.run.out.as_deref(), &job)?;
    let team = team.as_ref();
    let run = Run { job: &job, dir: &dir, resume: false, dry: false, machine: &machine, team, limits, began };
    let result = carry_out(&run, signals, console, engine);
    if result.is_err() {
        dir.discard_if_nothing_came_of_it();
    }
    result
}

/// Trains some steps in a directory that is then removed.
fn try_out(
    job: &Job,
    steps: u64,
    machine: &Machine,
    team: Option<&Team>,
    signals: Signals,
    console: &Console,
    engine: &dyn Engine,
) -> Result<u8, Error> {
    let path = std::env::temp_dir().join(format!("ironlearn-dry-run-{}", std::process::id()));
    let dir = RunDir::create(Some(&path), job)?;
    // What learns all at once has no steps to count.
    let limits = Limits { steps: job.model.is_network().then_some(steps), ..Limits::default() };
    let began = Instant::now();
    let run = Run { job, dir: &dir, resume: false, dry: true, machine, team, limits, began };
    let result = carry_out(&run, signals, console, engine);
    // What cannot be removed is the system's to remove.
    let _ = std::fs::remove_dir_all(&path);
    console.note("a dry run: nothing was kept");
    result
}

/// The machine that the options name; a device that is not there is an error.
pub fn machine(options: &MachineOptions, console: &Console) -> Result<Machine, Error> {
    Machine::find(options.device, options.threads.map(|threads| threads.get()), console)
}

/// A run that is about to begin or to go on.
pub struct Run<'a> {
    pub job: &'a Job,
    pub dir: &'a RunDir,
    /// From the last checkpoint, not from the beginning.
    pub resume: bool,
    /// Nothing is kept of it.
    pub dry: bool,
    pub machine: &'a Machine,
    /// The ranks that carry it out together with this process, which is the first.
    pub team: Option<&'a Team>,
    /// When it stops before its end.
    pub limits: Limits,
    /// When the program began.
    pub began: Instant,
}

/// Trains in a run directory; returns the exit code.
pub fn carry_out(
    run: &Run<'_>,
    signals: Signals,
    console: &Console,
    engine: &dyn Engine,
) -> Result<u8, Error> {
    let path = run.dir.path();
    let device = run.machine.name();
    console.note(&format!("device: {device}"));
    if !run.dry {
        console.note(&format!("run directory: {}", path.display()));
    }
    let last = run.dir.last();
    let resume_from = run.resume.then_some(last.as_path());
    if let Some(team) = run.team {
        console.note(&team.text(run.job));
        team.tell(run.job, resume_from, run.limits)?;
        if let Some(text) = team.links(run.machine)? {
            console.note(&text);
        }
    }
    let request = TrainRequest {
        job: run.job,
        machine: run.machine,
        ranks: run.team.map(Team::ranks),
        resume_from,
        last: last.clone(),
        best: run.dir.best(),
        directory: path,
    };
    let session = Session::new(path, run.limits, signals, console);
    let mut session = session.tensorboard(run.job.output.tensorboard);
    let outcome = engine.train(&request, &mut session);
    session.end();
    let outcome = outcome?;
    session.settle(outcome.interrupted);
    console.say(&summary::text(&outcome, (!run.dry).then_some(path), session.stop));
    if run.machine.profile {
        let limits = match run.machine.gpu {
            Some(_) => None,
            None => Some(bench::limits(run.machine.threads, run.job.train.dtype)?),
        };
        console.say(&profile::table(&outcome.profile, limits));
    }
    outcome.warnings.iter().for_each(|warning| console.warn(warning));
    let failures = [outcome.save_failure.clone(), session.failure.as_ref().map(Error::to_string)];
    for failure in failures.iter().flatten() {
        console.failure(&format!("not everything was written: {failure}"));
    }
    console.object(&summary::object(&outcome, &device, run.began.elapsed(), path, session.stop.is_none()));
    run.team.map_or(Ok(()), Team::leave)?;
    Ok(summary::exit_code(&outcome, &session))
}

#[cfg(test)]
mod tests;
