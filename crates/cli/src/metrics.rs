//! `metrics.csv`, `metrics.jsonl` and `times.csv`: a row for each evaluation of a run.
//!
//! The first two hold nothing that depends on a clock, so that equal runs leave equal files. A run that
//! is resumed takes back the rows that lie after its checkpoint and then goes on.

use ironlearn::train::EpochReport;
use ironlearn::{Error, FileError};
use serde_json::{Map, Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

const TIMES_HEADER: &str = "epoch,step,seconds";

/// The files of a run, open for appending.
pub struct MetricsFiles {
    csv: Table,
    jsonl: Table,
    times: Table,
    /// Training time before this call.
    earlier: Duration,
}

impl MetricsFiles {
    /// Opens the files in `directory` and removes rows of epochs after `epoch`, that of the checkpoint
    /// from which the run goes on (0 for a new run).
    pub fn open(directory: &Path, epoch: u64) -> Result<Self, Error> {
        let csv = Table::open(directory.join("metrics.csv"), true, epoch_of_csv, epoch)?;
        let jsonl = Table::open(directory.join("metrics.jsonl"), false, epoch_of_json, epoch)?;
        let times = Table::open(directory.join("times.csv"), true, epoch_of_csv, epoch)?;
        let seconds = times.last.as_deref().and_then(|line| line.rsplit(',').next()?.parse().ok());
        let earlier = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or_default();
        Ok(Self { csv, jsonl, times, earlier })
    }

    /// Steps up to the last evaluation that was kept when the files were opened; 0 where there was none.
    pub fn last_step(&self) -> u64 {
        let last = self.times.last.as_deref();
        last.and_then(|line| line.split(',').nth(1)?.parse().ok()).unwrap_or(0)
    }

    /// Appends a row to each file; `elapsed` is the time since this call of the program began to train.
    pub fn append(&mut self, report: &EpochReport, elapsed: Duration) -> Result<(), Error> {
        let mut header = String::from("epoch,step,loss,validation_loss,learning_rate");
        let validation = report.validation_loss.map_or(String::new(), number);
        let rate = number(report.learning_rate);
        let mut row = format!("{},{},{},{validation},{rate}", report.epoch, report.step, number(report.loss));
        let mut metrics = Map::new();
        for (name, value) in &report.metrics {
            header.push_str(&format!(",{name}"));
            row.push_str(&format!(",{}", number(*value)));
            metrics.insert(name.clone(), json!(value));
        }
        let object = json!({
            "epoch": report.epoch,
            "step": report.step,
            "loss": report.loss,
            "validation_loss": report.validation_loss,
            "learning_rate": report.learning_rate,
            "metrics": Value::Object(metrics),
        });
        let seconds = (self.earlier + elapsed).as_secs_f64();
        let time = format!("{},{},{seconds:.3}", report.epoch, report.step);
        let rows = [
            self.csv.append(Some(&header), &row),
            self.jsonl.append(None, &object.to_string()),
            self.times.append(Some(TIMES_HEADER), &time),
        ];
        rows.into_iter().collect()
    }

    /// Writes what could not be written before, and brings all rows to stable storage.
    pub fn sync(&mut self) -> Result<(), Error> {
        [self.csv.sync(), self.jsonl.sync(), self.times.sync()].into_iter().collect()
    }
}

/// The evaluations of a run so far, as its `metrics.jsonl` tells them; rows that cannot be read are left out.
pub fn history(directory: &Path) -> Result<Vec<EpochReport>, Error> {
    let path = directory.join("metrics.jsonl");
    let bytes = fs::read(&path).map_err(Error::io(&path, "read"))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter_map(|line| report_of(&serde_json::from_str(line).ok()?)).collect())
}

/// Seconds of training up to the last evaluation of a run, as its `times.csv` tells them.
pub fn seconds(directory: &Path) -> Result<Option<f64>, Error> {
    let path = directory.join("times.csv");
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(Error::io(&path, "read"))?,
    };
    Ok(text.lines().next_back().and_then(|line| line.rsplit(',').next()?.parse().ok()))
}

fn report_of(row: &Value) -> Option<EpochReport> {
    // What is no number was written as null.
    let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
    let metrics = row["metrics"].as_object()?;
    Some(EpochReport {
        epoch: row["epoch"].as_u64()?,
        step: row["step"].as_u64()?,
        loss: number(&row["loss"]),
        validation_loss: row["validation_loss"].as_f64(),
        learning_rate: number(&row["learning_rate"]),
        metrics: metrics.iter().map(|(name, value)| (name.clone(), number(value))).collect(),
    })
}

/// The shortest digits that read back to the same number.
fn number(value: f64) -> String {
    format!("{value:?}")
}

fn epoch_of_csv(line: &str) -> Option<u64> {
    line.split(',').next()?.parse().ok()
}

fn epoch_of_json(line: &str) -> Option<u64> {
    serde_json::from_str::<Value>(line).ok()?.get("epoch")?.as_u64()
}

/// A text file of one row a line, some with a header line first.
struct Table {
    path: PathBuf,
    file: File,
    /// Its length, without what a write that failed may have left.
    length: u64,
    /// Rows that are still to be written: the last write failed.
    pending: String,
    /// All rows are on stable storage.
    synced: bool,
    /// Why rows may never get there: after a sync that failed, the system may have dropped what it did not write, and
    /// say of the next that all is well.
    lost: Option<String>,
    header: Option<String>,
    /// The last row that was kept when the file was opened.
    last: Option<String>,
}

impl Table {
    /// Opens or makes the file; cuts it off before the first row that is incomplete or of a later epoch.
    fn open(
        path: PathBuf,
        has_header: bool,
        epoch_of: impl Fn(&str) -> Option<u64>,
        epoch: u64,
    ) -> Result<Self, Error> {
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::io(&path, "read")(error)),
        };
        // What is no text was not written by a run, and is cut off with the rows after it.
        let text = bytes.utf8_chunks().next().map_or("", |chunk| chunk.valid());
        let (mut kept, mut header, mut last) = (0, None, None);
        for line in text.split_inclusive('\n') {
            let Some(row) = line.strip_suffix('\n') else { break };
            if has_header && header.is_none() {
                header = Some(row.to_owned());
            } else if epoch_of(row).is_some_and(|found| found <= epoch) {
                last = Some(row.to_owned());
            } else {
                break;
            }
            kept += line.len();
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(Error::io(&path, "open"))?;
        let length = kept as u64;
        if bytes.len() as u64 != length {
            file.set_len(length).map_err(Error::io(&path, "write"))?;
        }
        Ok(Self { path, file, length, pending: String::new(), synced: false, lost: None, header, last })
    }

    /// Appends a row in one piece, after the header if there is none yet. Where that fails, the file stays as it is
    /// and the row is kept for the next time.
    fn append(&mut self, header: Option<&str>, row: &str) -> Result<(), Error> {
        if let Some(header) = header {
            match &self.header {
                Some(old) if old == header => {}
                Some(old) => {
                    let problem = "the columns are not those of the rows to be added";
                    let error = FileError::new(&self.path, problem).found(format!("{old}, not {header}"));
                    return Err(error.hint("start a new run, or remove the file").into());
                }
                None => {
                    self.pending = format!("{header}\n");
                    self.header = Some(header.to_owned());
                }
            }
        }
        self.pending.push_str(row);
        self.pending.push('\n');
        self.write()
    }

    fn write(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.synced = false;
        if let Err(error) = self.file.write_all(self.pending.as_bytes()) {
            // Half a row may have been written. Where that cannot be taken back, a run that is resumed does it.
            let _ = self.file.set_len(self.length);
            return Err(Error::io(&self.path, "write")(error));
        }
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.write()?;
        if let (false, Err(error)) = (self.synced, self.file.sync_data()) {
            self.lost.get_or_insert(error.to_string());
        }
        self.synced = true;
        match &self.lost {
            Some(problem) => Err(Error::io(&self.path, "sync")(std::io::Error::other(problem.clone()))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(epoch: u64) -> EpochReport {
        EpochReport {
            epoch,
            step: epoch * 10,
            loss: 1.0 / epoch as f64,
            validation_loss: (epoch > 1).then_some(1e-9),
            learning_rate: 0.001,
            metrics: vec![("psnr".into(), 28.06), ("mse".into(), f64::NAN)],
        }
    }

    fn read(directory: &Path, name: &str) -> String {
        fs::read_to_string(directory.join(name)).unwrap()
    }

    #[test]
    fn rows_are_written_as_they_come() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = MetricsFiles::open(directory.path(), 0).unwrap();
        files.append(&report(1), Duration::from_millis(1500)).unwrap();
        files.append(&report(2), Duration::from_secs(3)).unwrap();
        assert_eq!(
            read(directory.path(), "metrics.csv"),
            "epoch,step,loss,validation_loss,learning_rate,psnr,mse\n\
             1,10,1.0,,0.001,28.06,NaN\n2,20,0.5,1e-9,0.001,28.06,NaN\n"
        );
        assert_eq!(
            read(directory.path(), "metrics.jsonl").lines().next().unwrap(),
            r#"{"epoch":1,"step":10,"loss":1.0,"validation_loss":null,"learning_rate":0.001,"metrics":{"psnr":28.06,"mse":null}}"#
        );
        let history = history(directory.path()).unwrap();
        assert_eq!((history.len(), &history[1].validation_loss), (2, &Some(1e-9)));
        assert!(history[0].metrics[0] == ("psnr".into(), 28.06) && history[0].metrics[1].1.is_nan());
        assert_eq!(read(directory.path(), "times.csv"), "epoch,step,seconds\n1,10,1.500\n2,20,3.000\n");
    }

    #[test]
    fn a_resumed_run_leaves_the_files_of_one_that_was_not_interrupted() {
        let whole = tempfile::tempdir().unwrap();
        let mut files = MetricsFiles::open(whole.path(), 0).unwrap();
        (1..=5).for_each(|epoch| files.append(&report(epoch), Duration::ZERO).unwrap());

        let broken = tempfile::tempdir().unwrap();
        let mut files = MetricsFiles::open(broken.path(), 0).unwrap();
        (1..=4).for_each(|epoch| files.append(&report(epoch), Duration::from_secs(epoch)).unwrap());
        // Killed in the midst of a row; the last checkpoint was that of epoch 2.
        for name in ["metrics.csv", "metrics.jsonl"] {
            let path = broken.path().join(name);
            OpenOptions::new().append(true).open(path).unwrap().write_all(b"5,5").unwrap();
        }
        let mut files = MetricsFiles::open(broken.path(), 2).unwrap();
        assert_eq!(files.earlier, Duration::from_secs(2));
        (3..=5).for_each(|epoch| files.append(&report(epoch), Duration::ZERO).unwrap());
        for name in ["metrics.csv", "metrics.jsonl"] {
            assert_eq!(read(broken.path(), name), read(whole.path(), name), "{name}");
        }
    }

    #[test]
    fn rows_that_could_not_be_written_are_written_with_the_next_ones() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = MetricsFiles::open(directory.path(), 0).unwrap();
        files.append(&report(1), Duration::ZERO).unwrap();
        let path = directory.path().join("metrics.csv");
        // Open for reading only, a file that cannot be written.
        let good = std::mem::replace(&mut files.csv.file, File::open(&path).unwrap());
        assert_eq!(files.append(&report(2), Duration::ZERO).unwrap_err().exit_code(), 5);
        assert!(files.sync().is_err());
        files.csv.file = good;
        files.append(&report(3), Duration::ZERO).unwrap();
        for name in ["metrics.csv", "metrics.jsonl", "times.csv"] {
            let text = read(directory.path(), name);
            let epochs: Vec<_> = text.lines().filter_map(|l| epoch_of_csv(l).or(epoch_of_json(l))).collect();
            assert_eq!(epochs, [1, 2, 3], "{name}: {text}");
        }
    }

    #[test]
    fn other_columns_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let mut files = MetricsFiles::open(directory.path(), 0).unwrap();
        files.append(&report(1), Duration::ZERO).unwrap();
        let other = EpochReport { metrics: Vec::new(), ..report(2) };
        let error = files.append(&other, Duration::ZERO).unwrap_err();
        assert_eq!(error.exit_code(), 3, "{error}");
    }
}
