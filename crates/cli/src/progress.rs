//! The progress of a run: a line that is drawn over and over on a terminal, now and then a plain line
//! elsewhere.

use crate::console::Console;
use ironlearn::train::{EpochReport, Start};
use std::io::Write;
use std::time::{Duration, Instant};

/// Time between two drawings of the line on a terminal.
const REDRAW: Duration = Duration::from_millis(100);
/// Time between two plain lines.
const PLAIN: Duration = Duration::from_secs(5);
/// Steps after which the rate is measured from anew, so that it follows changes of speed.
const WINDOW: Duration = Duration::from_secs(10);
const BAR: usize = 20;
/// The line never wraps on a terminal of 80 columns.
const WIDTH: usize = 79;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Silent,
    Plain,
    Line,
}

/// Shows how far a run is.
pub struct Progress {
    style: Style,
    start: Start,
    step: u64,
    report: Option<EpochReport>,
    shown: Option<Instant>,
    /// Step and time from which the rate is measured.
    mark: (u64, Instant),
    rate: f64,
}

impl Progress {
    pub fn new(console: &Console) -> Self {
        let style = match (console.is_quiet(), console.is_terminal()) {
            (true, _) => Style::Silent,
            (false, true) => Style::Line,
            (false, false) => Style::Plain,
        };
        let start = Start { step: 0, epoch: 0, last_step: 0, last_epoch: 0, rows: 0 };
        Self { style, start, step: 0, report: None, shown: None, mark: (0, Instant::now()), rate: 0.0 }
    }

    pub fn begin(&mut self, start: &Start) {
        self.start = *start;
        self.step = start.step;
        self.mark = (start.step, Instant::now());
    }

    /// After a step: draws the line on a terminal if it is old.
    pub fn step(&mut self, step: u64, now: Instant) {
        self.step = step;
        if self.style == Style::Line && self.is_due(now, REDRAW) {
            self.show(now);
        }
    }

    /// After an evaluation: draws the line, or writes a plain one if the last is old.
    pub fn report(&mut self, report: &EpochReport, now: Instant) {
        self.step = report.step;
        self.report = Some(report.clone());
        let is_last = report.step == self.start.last_step;
        if is_last || self.is_due(now, if self.style == Style::Line { REDRAW } else { PLAIN }) {
            self.show(now);
        }
    }

    /// Leaves the line on a terminal, so that what follows stands below it.
    pub fn end(&mut self) {
        if self.style == Style::Line && self.shown.is_some() {
            let _ = writeln!(std::io::stderr().lock());
        }
    }

    fn is_due(&self, now: Instant, interval: Duration) -> bool {
        self.shown.is_none_or(|shown| now.duration_since(shown) >= interval)
    }

    fn show(&mut self, now: Instant) {
        self.measure(now);
        self.shown = Some(now);
        let text = self.text();
        // Progress that cannot be shown is no reason to stop training.
        let _ = match self.style {
            Style::Silent => Ok(()),
            Style::Plain => writeln!(std::io::stderr().lock(), "{text}"),
            Style::Line => {
                let text: String = format!("{} {text}", self.bar()).chars().take(WIDTH).collect();
                let mut stderr = std::io::stderr().lock();
                // Back to the first column, the line, and the rest of the old line erased.
                write!(stderr, "\r{text}\x1b[K").and_then(|()| stderr.flush())
            }
        };
    }

    fn measure(&mut self, now: Instant) {
        let elapsed = now.duration_since(self.mark.1);
        if !elapsed.is_zero() {
            self.rate = (self.step - self.mark.0) as f64 / elapsed.as_secs_f64();
        }
        if elapsed > WINDOW {
            self.mark = (self.step, now);
        }
    }

    fn bar(&self) -> String {
        let done = self.step as f64 / self.start.last_step.max(1) as f64;
        let full = ((done * BAR as f64) as usize).min(BAR);
        format!("[{}{}]", "#".repeat(full), "-".repeat(BAR - full))
    }

    /// `epoch 37/100 loss 1.234e-3 psnr 31.20 | 5120 steps/s, 0:12 left`.
    fn text(&self) -> String {
        let epoch = self.report.as_ref().map_or(0, |report| report.epoch);
        let mut text = format!("epoch {epoch}/{}", self.start.last_epoch);
        if let Some(report) = &self.report {
            text.push_str(&format!(" loss {}", short(report.loss)));
            if let Some(loss) = report.validation_loss {
                text.push_str(&format!(" val {}", short(loss)));
            }
            if let Some((name, value)) = report.metrics.first() {
                text.push_str(&format!(" {name} {}", short(*value)));
            }
            if let Some((_, skipped)) = report.metrics.iter().find(|m| m.0 == "skipped" && m.1 > 0.0) {
                text.push_str(&format!(", {skipped} steps skipped"));
            }
        }
        if self.rate > 0.0 {
            let left = self.start.last_step.saturating_sub(self.step) as f64 / self.rate;
            text.push_str(&format!(" | {} steps/s, {} left", short(self.rate), clock(left)));
        }
        text
    }
}

/// Four significant digits.
pub fn short(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || !value.is_finite() {
        format!("{value}")
    } else if !(1e-3..1e6).contains(&size) {
        format!("{value:.3e}")
    } else {
        // Digits before the point: 1 for 1 to 9.99, 0 and less below 1.
        let before = size.log10().floor() as i32 + 1;
        format!("{value:.*}", (4 - before).max(0) as usize)
    }
}

/// `0:07`, `12:34` or `3:00:00`.
pub fn clock(seconds: f64) -> String {
    let seconds = seconds.min(1e9).round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_four_digits() {
        for (value, text) in [
            (0.0, "0"),
            (1.0, "1.000"),
            (28.0612, "28.06"),
            (1234.5678, "1235"),
            (0.0123456, "0.01235"),
            (1.5e-7, "1.500e-7"),
            (-2.5e9, "-2.500e9"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(short(value), text);
        }
    }

    #[test]
    fn clocks() {
        for (seconds, text) in [(7.2, "0:07"), (754.0, "12:34"), (10_800.0, "3:00:00")] {
            assert_eq!(clock(seconds), text);
        }
        assert!(clock(f64::INFINITY).len() < 20);
    }

    #[test]
    fn the_line_says_where_the_run_stands() {
        let mut progress = Progress::new(&Console::new(false, true));
        progress.begin(&Start { step: 100, epoch: 10, last_step: 1100, last_epoch: 110, rows: 10 });
        let now = progress.mark.1 + Duration::from_secs(2);
        let report = EpochReport {
            epoch: 60,
            step: 600,
            loss: 0.25,
            validation_loss: Some(0.5),
            learning_rate: 0.1,
            metrics: vec![("psnr".into(), 31.0), ("mse".into(), 0.1)],
        };
        progress.report(&report, now);
        assert_eq!(
            progress.text(),
            "epoch 60/110 loss 0.2500 val 0.5000 psnr 31.00 | 250.0 steps/s, 0:02 left"
        );
        assert_eq!(progress.bar(), "[##########----------]");
    }
}
