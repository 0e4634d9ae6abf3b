//! [`EventFile`]: curves and pictures of a run in the form that TensorBoard reads.
//!
//! An event file is a row of records, each with its length and checksums, and each record holds one message of a
//! protocol buffer (TensorFlow's `event.proto` and `summary.proto`).
//!
//! ```
//! use ironlearn::io::events::EventFile;
//!
//! let folder = tempfile::tempdir().unwrap();
//! let mut file = EventFile::create(folder.path(), 0)?;
//! for step in 1..=3 {
//!     file.scalars(step, &[("loss/training", 1.0 / step as f64)])?;
//! }
//! file.sync()?;
//! # Ok::<(), ironlearn::Error>(())
//! ```

use super::crc32c::masked;
use super::onnx::wire::{Field, Message, message};
use super::onnx::{Reader, Refusal};
use crate::Error;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How the names of event files begin.
pub const PREFIX: &str = "events.out.tfevents.";

/// What the first event of a file says: which version of the format follows.
const VERSION: &str = "brain.Event:2";

/// The status of a session that begins: what other files say of its step and of later ones is over.
const START: i64 = 1;

message! {
    /// What is known of a moment.
    Event {
        /// Seconds since 1970.
        wall_time: Option<f64> = 1,
        /// Steps completed.
        step: Option<i64> = 2,
        /// The version of the format, in the first event of a file.
        file_version: String = 3,
        /// Values.
        summary: Option<Summary> = 5,
        /// The beginning of a session.
        session_log: Option<SessionLog> = 7,
    }
}

message! {
    /// Values.
    Summary {
        /// Each with its name.
        value: Vec<Entry> = 1,
    }
}

message! {
    /// A value.
    Entry {
        /// Its name; what stands before the first `/` is its group.
        tag: String = 1,
        /// A number.
        simple_value: Option<f32> = 2,
        /// A picture.
        image: Option<Image> = 4,
    }
}

message! {
    /// A picture.
    Image {
        /// Pixels from top to bottom.
        height: Option<i64> = 1,
        /// Pixels from left to right.
        width: Option<i64> = 2,
        /// Values of a pixel.
        colorspace: Option<i64> = 3,
        /// The picture as a PNG file.
        encoded_image_string: Vec<u8> = 4,
    }
}

message! {
    /// What happened to a session.
    SessionLog {
        /// What it was.
        status: Option<i64> = 1,
    }
}

/// An event file that is being written. Records are written whole: after a kill the file ends with one that is cut off
/// at worst, which readers pass over.
pub struct EventFile {
    path: PathBuf,
    file: File,
    /// Its length, without what a write that failed may have left.
    length: u64,
    /// Records that are still to be written: those of the beginning, and those that could not be.
    pending: Vec<u8>,
    /// Why records may never get to stable storage, after a sync that failed.
    lost: Option<String>,
}

impl EventFile {
    /// Makes a file in the folder of a run, behind those that are there. Where there are some, it says that the run goes
    /// on from `step`: what they say of that step and of later ones is over, and TensorBoard leaves it out. The file stays
    /// empty until something is added.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn create(folder: &Path, step: u64) -> Result<EventFile, Error> {
        let time = seconds();
        let last = last_number(folder)?;
        // Files are read in the order of their names.
        let number = last.map_or(time as u64, |last| (time as u64).max(last + 1));
        let path = folder.join(format!("{PREFIX}{number:010}.{}.{}", host(), std::process::id()));
        let file = OpenOptions::new().create_new(true).append(true).open(&path);
        let file = file.map_err(Error::io(&path, "create"))?;
        let mut pending = Vec::new();
        let version = Event { file_version: VERSION.into(), ..Event::default() };
        record(&Event { wall_time: Some(time), ..version }, &mut pending);
        if last.is_some() {
            let session_log = Some(SessionLog { status: Some(START) });
            let start =
                Event { wall_time: Some(time), step: Some(step as i64), session_log, ..Event::default() };
            record(&start, &mut pending);
        }
        Ok(EventFile { path, file, length: 0, pending, lost: None })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds numbers by name; what stands before the first `/` of a name is its group. They become `f32`.
    ///
    /// # Errors
    /// [`Error::Io`]: what could not be written is written with what is added next.
    pub fn scalars(&mut self, step: u64, values: &[(&str, f64)]) -> Result<(), Error> {
        let number = |&(tag, value): &(&str, f64)| Entry {
            tag: tag.into(),
            simple_value: Some(value as f32),
            ..Entry::default()
        };
        self.add(step, values.iter().map(number).collect())
    }

    /// Adds a picture, given as a PNG file; of what is none, nothing is added.
    ///
    /// # Errors
    /// As [`EventFile::scalars`].
    pub fn picture(&mut self, step: u64, tag: &str, png: Vec<u8>) -> Result<(), Error> {
        let Some((width, height, colorspace)) = header_of_png(&png) else { return Ok(()) };
        let image = Image {
            height: Some(height),
            width: Some(width),
            colorspace: Some(colorspace),
            encoded_image_string: png,
        };
        self.add(step, vec![Entry { tag: tag.into(), image: Some(image), ..Entry::default() }])
    }

    fn add(&mut self, step: u64, value: Vec<Entry>) -> Result<(), Error> {
        let event = Event {
            wall_time: Some(seconds()),
            step: Some(step as i64),
            summary: Some(Summary { value }),
            ..Event::default()
        };
        record(&event, &mut self.pending);
        self.write()
    }

    fn write(&mut self) -> Result<(), Error> {
        if let Err(error) = self.file.write_all(&self.pending) {
            // Half a record would hide those after it.
            let _ = self.file.set_len(self.length);
            return Err(Error::io(&self.path, "write")(error));
        }
        self.length += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    /// Writes what could not be written before, and brings all to stable storage.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn sync(&mut self) -> Result<(), Error> {
        if self.length > 0 {
            self.write()?;
        }
        // The system may drop what a sync could not write, and say of the next that all is well.
        if let Err(error) = self.file.sync_data() {
            self.lost.get_or_insert(error.to_string());
        }
        match &self.lost {
            Some(problem) => Err(Error::io(&self.path, "sync")(std::io::Error::other(problem.clone()))),
            None => Ok(()),
        }
    }
}

/// Adds a message with its length and the checksums of both.
fn record(event: &Event, to: &mut Vec<u8>) {
    let bytes = event.bytes();
    let length = (bytes.len() as u64).to_le_bytes();
    to.extend_from_slice(&length);
    to.extend_from_slice(&masked(&length).to_le_bytes());
    to.extend_from_slice(&bytes);
    to.extend_from_slice(&masked(&bytes).to_le_bytes());
}

/// The largest number in the names of the event files of a folder; none where there are no event files.
fn last_number(folder: &Path) -> Result<Option<u64>, Error> {
    let mut last = None;
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries.map_err(Error::io(folder, "list"))?,
    };
    for entry in entries {
        let name = entry.map_err(Error::io(folder, "list"))?.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.split('.').next()?.parse().ok());
        last = last.max(number);
    }
    Ok(last)
}

/// Width, height and values of a pixel.
fn header_of_png(png: &[u8]) -> Option<(i64, i64, i64)> {
    let header = png.strip_prefix(b"\x89PNG\r\n\x1a\n")?.get(8..18)?;
    let number = |at: usize| header.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes).map(i64::from);
    let channels = match header[9] {
        0 | 3 => 1,
        4 => 2,
        2 => 3,
        _ => 4,
    };
    Some((number(0)?, number(4)?, channels))
}

/// Since 1970.
fn seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// The name of this machine, as far as it can stand in the name of a file.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").or(std::env::var("COMPUTERNAME")).ok());
    let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '-';
    let name: String = name.unwrap_or_default().chars().filter(plain).take(64).collect();
    if name.is_empty() { "localhost".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::super::onnx::Parts;
    use super::*;
    use crate::picture::Picture;

    /// The events of a file, whose checksums have to be right; what is cut off at its end is passed over.
    fn events(bytes: &[u8]) -> Vec<Event> {
        let mut rest = bytes;
        let mut found = Vec::new();
        while let Some((head, after)) = rest.split_at_checked(12) {
            let n = u64::from_le_bytes(head[..8].try_into().unwrap()) as usize;
            assert_eq!(masked(&head[..8]).to_le_bytes(), head[8..]);
            let Some((body, after)) = after.split_at_checked(n + 4) else { break };
            assert_eq!(masked(&body[..n]).to_le_bytes(), body[n..]);
            found.push(Event::read(Reader::new(&body[..n], &Parts::new(1 << 20))).unwrap());
            rest = after;
        }
        found
    }

    #[test]
    fn a_record_has_the_bytes_that_tensorflow_gives_it() {
        // tf.io.TFRecordWriter writes the event of version 2 so, at the time 1.5.
        let mut bytes = Vec::new();
        record(&Event { wall_time: Some(1.5), file_version: VERSION.into(), ..Event::default() }, &mut bytes);
        let body = b"\x09\x00\x00\x00\x00\x00\x00\xf8\x3f\x1a\x0dbrain.Event:2";
        assert_eq!(bytes[..8], 24u64.to_le_bytes());
        // The checksum of this length is that at the head of every event file.
        assert_eq!(bytes[8..12], [0xa3, 0x7f, 0x4b, 0x22]);
        assert_eq!(&bytes[12..36], body);
    }

    #[test]
    fn numbers_and_pictures_stand_in_it_with_their_steps() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path(), 0).unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().len(), 0);
        file.sync().unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().len(), 0, "still nothing to tell");
        file.scalars(10, &[("loss/training", 0.5), ("metric/psnr", f64::NAN)]).unwrap();
        let png = Picture::new(3, 2, 3, vec![7; 18]).unwrap().to_png().unwrap();
        file.picture(10, "picture", png.clone()).unwrap();
        file.picture(10, "picture", b"no picture".to_vec()).unwrap();
        let found = events(&fs::read(file.path()).unwrap());
        assert_eq!(found.len(), 3);
        assert_eq!(found[0].file_version, VERSION);
        assert!(found.iter().all(|event| event.wall_time > Some(1.7e9)));
        let values = &found[1].summary.as_ref().unwrap().value;
        assert_eq!((found[1].step, values.len()), (Some(10), 2));
        assert_eq!((values[0].tag.as_str(), values[0].simple_value), ("loss/training", Some(0.5)));
        assert!(values[1].simple_value.is_some_and(f32::is_nan));
        let image = found[2].summary.as_ref().unwrap().value[0].image.as_ref().unwrap();
        assert_eq!((image.width, image.height, image.colorspace), (Some(3), Some(2), Some(3)));
        assert_eq!(image.encoded_image_string, png);
    }

    #[test]
    fn a_run_that_goes_on_has_a_file_behind_the_first_that_says_from_where() {
        let folder = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for step in [0, 21, 41] {
            let mut file = EventFile::create(folder.path(), step).unwrap();
            file.scalars(step + 5, &[("loss/training", 1.0)]).unwrap();
            let found = events(&fs::read(file.path()).unwrap());
            let start = found.iter().find(|event| event.session_log.is_some());
            assert_eq!(start.and_then(|event| event.step), (step > 0).then_some(step as i64));
            paths.push(file.path().to_owned());
        }
        // Made within a second, they are still in order.
        assert!(paths.is_sorted(), "{paths:?}");
    }

    #[test]
    fn what_could_not_be_written_is_written_later_and_nothing_half() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = EventFile::create(folder.path(), 0).unwrap();
        file.scalars(1, &[("loss/training", 1.0)]).unwrap();
        // Open for reading only, a file that cannot be written.
        let good = std::mem::replace(&mut file.file, File::open(&file.path).unwrap());
        assert_eq!(file.scalars(2, &[("loss/training", 2.0)]).unwrap_err().exit_code(), 5);
        file.file = good;
        file.scalars(3, &[("loss/training", 3.0)]).unwrap();
        let bytes = fs::read(file.path()).unwrap();
        let steps = |bytes: &[u8]| events(bytes).iter().filter_map(|event| event.step).collect::<Vec<_>>();
        assert_eq!(steps(&bytes), [1, 2, 3]);
        assert_eq!(steps(&bytes[..bytes.len() - 1]), [1, 2], "a record that a kill has cut off");
    }
}
