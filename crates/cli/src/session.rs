//! The watch over one run: it writes the metrics, shows progress, and carries signals and the time limit
//! to the engine.

use crate::console::Console;
use crate::metrics::MetricsFiles;
use crate::progress::Progress;
use crate::signals::{Interruption, Signals};
use ironlearn::Error;
use ironlearn::train::{Control, EpochReport, Start, Watch};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Why the session asked the engine to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Signal(Interruption),
    MaxTime,
}

/// Watches one run.
pub struct Session {
    directory: PathBuf,
    signals: Signals,
    console: Console,
    max_time: Option<Duration>,
    progress: Progress,
    began: Instant,
    metrics: Option<MetricsFiles>,
    /// Why the run was stopped, if it was.
    pub stop: Option<Stop>,
    /// The first write that failed. Training goes on: its weights are worth more than a row.
    pub failure: Option<Error>,
}

impl Session {
    pub fn new(directory: &Path, max_time: Option<Duration>, signals: Signals, console: &Console) -> Self {
        Self {
            directory: directory.into(),
            signals,
            console: console.clone(),
            max_time,
            progress: Progress::new(console),
            began: Instant::now(),
            metrics: None,
            stop: None,
            failure: None,
        }
    }

    /// Ends the line of progress.
    pub fn end(&mut self) {
        self.progress.end();
    }

    fn note<T>(&mut self, result: Result<T, Error>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.failure.get_or_insert(error);
                None
            }
        }
    }

    fn control(&mut self, now: Instant) -> Control {
        let is_over = self.max_time.is_some_and(|time| now.duration_since(self.began) >= time);
        let interruption = self.signals.interruption().map(Stop::Signal);
        self.stop = self.stop.or(interruption).or(is_over.then_some(Stop::MaxTime));
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
    fn begin(&mut self, start: &Start) {
        self.began = Instant::now();
        self.progress.begin(start);
        let files = MetricsFiles::open(&self.directory, start.step);
        self.metrics = self.note(files);
    }

    fn warn(&mut self, warning: &str) {
        self.progress.end();
        self.console.warn(warning);
    }

    fn after_step(&mut self, step: u64) -> Control {
        let now = Instant::now();
        self.progress.step(step, now);
        self.control(now)
    }

    fn after_epoch(&mut self, report: &EpochReport) -> Control {
        let now = Instant::now();
        let elapsed = now.duration_since(self.began);
        if let Some(files) = &mut self.metrics {
            let written = files.append(report, elapsed);
            self.note(written);
        }
        self.progress.report(report, now);
        self.control(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(directory: &Path, max_time: Option<Duration>) -> (Session, Signals) {
        let signals = Signals::default();
        let console = Console::new(false, true);
        (Session::new(directory, max_time, signals.clone(), &console), signals)
    }

    const START: Start = Start { step: 0, last_step: 10, last_epoch: 10 };

    #[test]
    fn signals_reach_the_engine_between_steps() {
        let directory = tempfile::tempdir().unwrap();
        let (mut session, signals) = session(directory.path(), None);
        session.begin(&START);
        assert_eq!(session.after_step(1), Control::Continue);
        signals.raise_for_test(false);
        assert_eq!([session.after_step(2), session.after_step(3)], [Control::Save, Control::Continue]);
        signals.raise_for_test(true);
        assert_eq!(session.after_step(4), Control::Stop);
        assert_eq!(session.stop, Some(Stop::Signal(Interruption::Terminated)));
    }

    #[test]
    fn the_time_limit_stops_the_run() {
        let directory = tempfile::tempdir().unwrap();
        let (mut session, _) = session(directory.path(), Some(Duration::from_nanos(1)));
        session.begin(&START);
        std::thread::sleep(Duration::from_millis(1));
        assert_eq!((session.after_step(1), session.stop), (Control::Stop, Some(Stop::MaxTime)));
    }

    #[test]
    fn a_failed_write_does_not_stop_the_run_but_is_remembered() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("metrics.csv")).unwrap();
        let (mut session, _) = session(directory.path(), None);
        session.begin(&START);
        assert_eq!(session.after_step(1), Control::Continue);
        assert_eq!(session.failure.map(|error| error.exit_code()), Some(5));
    }
}
