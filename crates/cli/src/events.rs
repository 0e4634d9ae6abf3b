//! The events of a run for TensorBoard: at each evaluation what `metrics.csv` has, the speed, and a frame where one was
//! drawn.

use ironlearn::Error;
use ironlearn::io::events::EventFile;
use ironlearn::io::read::exists;
use ironlearn::task::frame_path;
use ironlearn::train::{EpochReport, Start};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The event file of this call of the program.
pub struct Events {
    directory: PathBuf,
    file: EventFile,
    /// Rows of a step, on average.
    rows: f64,
    /// Steps and time of the last evaluation.
    mark: (u64, Instant),
}

impl Events {
    /// Makes a file in `directory`; `last` are the steps up to the last evaluation that still counts.
    pub fn open(directory: &Path, start: &Start, last: u64) -> Result<Self, Error> {
        let all = (start.rows as f64) * start.last_epoch as f64;
        Ok(Self {
            directory: directory.into(),
            file: EventFile::create(directory, last + 1)?,
            rows: all / start.last_step.max(1) as f64,
            mark: (start.step, Instant::now()),
        })
    }

    /// Adds an evaluation.
    pub fn append(&mut self, report: &EpochReport, now: Instant) -> Result<(), Error> {
        let names: Vec<_> = report.metrics.iter().map(|(name, _)| format!("metric/{name}")).collect();
        let mut values = vec![("loss/training", report.loss)];
        values.extend(report.validation_loss.map(|loss| ("loss/validation", loss)));
        values.extend(names.iter().zip(&report.metrics).map(|(name, metric)| (name.as_str(), metric.1)));
        values.push(("progress/learning_rate", report.learning_rate));
        values.push(("progress/epoch", report.epoch as f64));
        let seconds = now.duration_since(self.mark.1).as_secs_f64();
        let steps = report.step.saturating_sub(self.mark.0);
        if seconds > 0.0 && steps > 0 {
            values.push(("progress/samples_per_second", steps as f64 * self.rows / seconds));
        }
        self.mark = (report.step, now);
        self.file.scalars(report.step, &values)?;
        let frame = frame_path(&self.directory, report.epoch);
        if exists(&frame)? {
            let png = fs::read(&frame).map_err(Error::io(&frame, "read"))?;
            self.file.picture(report.step, "picture", png)?;
        }
        Ok(())
    }

    /// Brings all to stable storage.
    pub fn sync(&mut self) -> Result<(), Error> {
        self.file.sync()
    }
}
