//! The watch over one run: it writes the metrics, shows progress, and carries signals and the time limit
//! to the engine.

use crate::console::Console;
use crate::events::Events;
use crate::metrics::MetricsFiles;
use crate::progress::Progress;
use crate::signals::{Interruption, Signals};
use ironlearn::Error;
use ironlearn::train::{Control, EpochReport, Save, Start, Watch};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long an interrupted run may still measure and draw once its state is saved.
const GRACE: Duration = Duration::from_secs(3);

/// Why the session asked the engine to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Signal(Interruption),
    MaxTime,
    MaxSteps,
}

/// When a run stops and saves, to be resumed, before it has come to its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// Time of this call of the program.
    pub time: Option<Duration>,
    /// Steps completed, those before a resume included.
    pub steps: Option<u64>,
}

/// Watches one run.
pub struct Session {
    directory: PathBuf,
    signals: Signals,
    console: Console,
    limits: Limits,
    progress: Progress,
    began: Instant,
    /// The step that ends the run.
    last_step: u64,
    metrics: Option<MetricsFiles>,
    /// Whether events are written for TensorBoard, and where.
    tensorboard: bool,
    events: Option<Events>,
    /// Why the run was stopped, if it was.
    pub stop: Option<Stop>,
    /// Why metrics are missing. Training goes on: its weights are worth more than a row.
    pub failure: Option<Error>,
}

impl Session {
    pub fn new(directory: &Path, limits: Limits, signals: Signals, console: &Console) -> Self {
        Self {
            directory: directory.into(),
            signals,
            console: console.clone(),
            limits,
            progress: Progress::new(console),
            began: Instant::now(),
            last_step: u64::MAX,
            metrics: None,
            tensorboard: false,
            events: None,
            stop: None,
            failure: None,
        }
    }

    /// The same with events for TensorBoard, where these are asked for.
    pub fn tensorboard(self, tensorboard: bool) -> Self {
        Self { tensorboard, ..self }
    }

    /// The run is over. Where it was interrupted while it measured, or by the wish of another rank, nobody has asked this
    /// session whether it should go on.
    pub fn settle(&mut self, interrupted: bool) {
        if interrupted {
            let signal = self.signals.interruption().unwrap_or(Interruption::Interrupted);
            self.stop = self.stop.or(Some(Stop::Signal(signal)));
        }
    }

    /// Ends the line of progress.
    pub fn end(&mut self) {
        self.progress.end();
    }

    /// Remembers whether the metrics are written: rows that could not be are tried again with the next ones.
    fn note(&mut self, result: Result<(), Error>) {
        if let (Err(error), None) = (&result, &self.failure) {
            self.progress.end();
            self.console.warn(&format!("training goes on, but rows of its metrics are missing: {error}"));
        }
        self.failure = result.err();
    }

    fn control(&mut self, step: u64, now: Instant) -> Control {
        let out_of_time = self.limits.time.is_some_and(|time| now.duration_since(self.began) >= time);
        let out_of_steps = self.limits.steps.is_some_and(|steps| step >= steps);
        let limit = out_of_time.then_some(Stop::MaxTime).or(out_of_steps.then_some(Stop::MaxSteps));
        // Who has done all steps is not stopped by a limit.
        let limit = limit.filter(|_| step < self.last_step);
        self.stop = self.stop.or(self.signals.interruption().map(Stop::Signal)).or(limit);
        if self.stop.is_some() {
            Control::Stop
        } else if self.signals.take_save() {
            Control::Save
        } else {
            Control::Continue
        }
    }
}

impl Watch for Session {
    fn describe(&mut self, plan: &str) {
        self.console.note(plan);
    }

    fn begin(&mut self, start: &Start) -> Result<(), Error> {
        self.began = Instant::now();
        self.last_step = start.last_step;
        self.progress.begin(start);
        let metrics = MetricsFiles::open(&self.directory, start.epoch)?;
        if self.tensorboard {
            self.events = Some(Events::open(&self.directory, start, metrics.last_step())?);
        }
        self.metrics = Some(metrics);
        self.signals.wait_for_steps();
        Ok(())
    }

    fn warn(&mut self, warning: &str) {
        self.progress.end();
        self.console.warn(warning);
    }

    fn after_step(&mut self, step: u64) -> Control {
        let now = Instant::now();
        self.progress.step(step, now);
        self.control(step, now)
    }

    fn last_step(&self) -> Option<u64> {
        self.limits.steps
    }

    fn is_stopping(&self) -> bool {
        self.signals.interruption().is_some()
    }

    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        let now = Instant::now();
        let elapsed = now.duration_since(self.began);
        if let Some(files) = &mut self.metrics {
            let rows = files.append(report, elapsed);
            let events = self.events.as_mut().map_or(Ok(()), |events| events.append(report, now));
            self.note(rows.and(events));
        }
        self.progress.report(report, now);
        self.control(report.step, now)
    }

    fn before_save(&mut self, _which: Save) {
        if let Some(files) = &mut self.metrics {
            let rows = files.sync();
            let events = self.events.as_mut().map_or(Ok(()), Events::sync);
            self.note(rows.and(events));
        }
    }

    fn saved(&mut self, which: Save) {
        // A signal that came while the network was measured has stopped the run without a question to `control`.
        let stop = self.stop.or(self.signals.interruption().map(Stop::Signal));
        if let (Save::Last, Some(Stop::Signal(interruption))) = (which, stop) {
            end_soon(interruption, self.console.clone());
        }
    }
}

/// Ends the program if it has not ended by itself before long: what is still done is of less worth than an end in
/// time, and each file is there whole or not at all.
fn end_soon(interruption: Interruption, console: Console) {
    std::thread::spawn(move || {
        std::thread::sleep(GRACE);
        console.note("saved; measures and pictures were left out, `ironlearn resume` makes them");
        std::process::exit(i32::from(interruption.exit_code()));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(directory: &Path, limits: Limits) -> (Session, Signals) {
        let signals = Signals::default();
        let console = Console::new(false, true);
        (Session::new(directory, limits, signals.clone(), &console), signals)
    }

    const START: Start = Start { step: 0, epoch: 0, last_step: 10, last_epoch: 10, rows: 4 };

    #[test]
    fn signals_reach_the_engine_between_steps() {
        let directory = tempfile::tempdir().unwrap();
        let (mut session, signals) = session(directory.path(), Limits::default());
        session.begin(&START).unwrap();
        assert_eq!(session.after_step(1), Control::Continue);
        signals.raise_for_test(false);
        assert_eq!([session.after_step(2), session.after_step(3)], [Control::Save, Control::Continue]);
        signals.raise_for_test(true);
        assert_eq!(session.after_step(4), Control::Stop);
        assert_eq!(session.stop, Some(Stop::Signal(Interruption::Terminated)));
    }

    #[test]
    fn who_was_interrupted_without_being_asked_is_interrupted() {
        let directory = tempfile::tempdir().unwrap();
        let (mut session, signals) = session(directory.path(), Limits::default());
        session.settle(false);
        assert_eq!(session.stop, None);
        signals.raise_for_test(true);
        session.settle(true);
        assert_eq!(session.stop, Some(Stop::Signal(Interruption::Terminated)));
    }

    #[test]
    fn the_time_limit_stops_the_run() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { time: Some(Duration::from_nanos(1)), steps: None };
        let (mut session, _) = session(directory.path(), limits);
        session.begin(&START).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!((session.after_step(1), session.stop), (Control::Stop, Some(Stop::MaxTime)));
    }

    #[test]
    fn the_limit_on_steps_stops_the_run() {
        let directory = tempfile::tempdir().unwrap();
        let (mut session, _) = session(directory.path(), Limits { steps: Some(2), time: None });
        session.begin(&START).unwrap();
        assert_eq!([session.after_step(1), session.after_step(2)], [Control::Continue, Control::Stop]);
        assert_eq!(session.stop, Some(Stop::MaxSteps));
    }

    #[test]
    fn a_limit_that_all_steps_are_within_stops_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits { steps: Some(START.last_step), time: Some(Duration::from_nanos(1)) };
        let (mut session, _) = session(directory.path(), limits);
        session.begin(&START).unwrap();
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!((session.after_step(START.last_step), session.stop), (Control::Continue, None));
    }

    #[test]
    fn metrics_that_cannot_be_written_at_all_end_the_run_before_it_begins() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("metrics.csv")).unwrap();
        let (mut session, _) = session(directory.path(), Limits::default());
        assert_eq!(session.begin(&START).unwrap_err().exit_code(), 5);
    }
}
