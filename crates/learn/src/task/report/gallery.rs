//! [`Gallery`]: the pictures of a run: frames while it goes on, drawings at its end.

use crate::error::Error;
use crate::io::read::exists;
use crate::job::Job;
use crate::picture::{Picture, Timelapse};
use crate::task::data::canvas::Canvas;
use crate::task::model::predictor::Predictor;
use std::fs;
use std::path::{Path, PathBuf};

/// The drawing at the size of the source.
pub const RECONSTRUCTION: &str = "reconstruction.png";
/// What was learned, as the network was given it.
pub const SOURCE: &str = "source.png";
/// Where the two differ.
pub const ERROR_MAP: &str = "error-map.png";
/// The drawing in the course of training.
pub const TIMELAPSE: &str = "timelapse.gif";

/// Frames are kept here until the run ends, so that a resumed run has them all.
const FRAMES: &str = "frames";
/// The longest side of a frame.
const FRAME_SIDE: usize = 512;
/// How long a frame is shown, in hundredths of a second.
const FRAME_TIME: u16 = 10;

/// Where the frame of an epoch stands in the directory of a run, if one was drawn.
pub fn frame_path(directory: &Path, epoch: u64) -> PathBuf {
    directory.join(FRAMES).join(format!("{epoch:012}.png"))
}

/// The pictures of one run.
pub(in crate::task) struct Gallery {
    directory: PathBuf,
    canvas: Canvas,
    /// Width and height of the frames.
    frame: [usize; 2],
    frames: u64,
    epochs: u64,
    /// Epochs from one chance for a frame to the next.
    every: u64,
}

impl Gallery {
    pub fn new(job: &Job, canvas: Canvas, directory: &Path) -> Gallery {
        let longest = canvas.width.max(canvas.height);
        let shrunk = |side: usize| match longest {
            0..=FRAME_SIDE => side,
            _ => (side * FRAME_SIDE / longest).max(1),
        };
        Gallery {
            directory: directory.to_owned(),
            canvas,
            frame: [shrunk(canvas.width), shrunk(canvas.height)],
            frames: job.picture.frames as u64,
            epochs: job.train.epochs,
            every: job.train.evaluate_every,
        }
    }

    /// Whether a frame is due after this epoch: depends on nothing else, so that a resumed run has the same.
    fn is_due(&self, epoch: u64) -> bool {
        let frame_of = |epoch: u64| u128::from(epoch) * u128::from(self.frames) / u128::from(self.epochs);
        self.frames > 0 && (epoch == 0 || frame_of(epoch) > frame_of(epoch.saturating_sub(self.every)))
    }

    /// Keeps a frame, where one is due; `drawn` is the drawing at the size of the source.
    pub fn frame(&self, epoch: u64, drawn: &Picture, predictor: &mut Predictor) -> Result<(), Error> {
        if !self.is_due(epoch) {
            return Ok(());
        }
        let folder = self.directory.join(FRAMES);
        fs::create_dir_all(&folder).map_err(Error::io(&folder, "create"))?;
        let path = frame_path(&self.directory, epoch);
        let [width, height] = self.frame;
        if (width, height) == (drawn.width(), drawn.height()) {
            return drawn.write_png(&path);
        }
        self.draw(width, height, predictor)?.write_png(&path)
    }

    fn draw(&self, width: usize, height: usize, predictor: &mut Predictor) -> Result<Picture, Error> {
        self.canvas.sized(width, height).picture(predictor.levels(width, height)?)
    }

    /// Writes the pictures of the end; gives the drawing as it stands in its file.
    pub fn finish(&self, job: &Job, source: &Picture, predictor: &mut Predictor) -> Result<Picture, Error> {
        let file = |name: &str| self.directory.join(name);
        self.draw(self.canvas.width, self.canvas.height, predictor)?.write_png(&file(RECONSTRUCTION))?;
        // What counts is the file, not what was meant to be written.
        let drawn = Picture::read(&file(RECONSTRUCTION))?.with_channels(self.canvas.channels)?;
        source.write_png(&file(SOURCE))?;
        if job.picture.error_map {
            drawn.error_map(source)?.write_png(&file(ERROR_MAP))?;
        }
        if let Some([width, height]) = job.picture.render {
            let picture = self.draw(width, height, predictor)?;
            picture.write_png(&file(&format!("render-{width}x{height}.png")))?;
        }
        self.write_timelapse(&drawn)?;
        Ok(drawn)
    }

    fn write_timelapse(&self, last: &Picture) -> Result<(), Error> {
        let folder = self.directory.join(FRAMES);
        if !exists(&folder)? {
            return Ok(());
        }
        let entries = fs::read_dir(&folder).map_err(Error::io(&folder, "list"))?;
        let entries = entries.map(|entry| entry.map(|entry| entry.path()));
        let mut frames = entries.collect::<Result<Vec<_>, _>>().map_err(Error::io(&folder, "list"))?;
        frames.retain(|path| path.extension().is_some_and(|extension| extension == "png"));
        frames.sort();
        let [width, height] = self.frame;
        let mut gif = Timelapse::create(&self.directory.join(TIMELAPSE), width, height, FRAME_TIME)?;
        let channels = self.canvas.channels;
        for path in &frames {
            gif.add(&Picture::read(path)?.with_channels(channels)?)?;
        }
        let same_size = (last.width(), last.height()) == (width, height);
        match frames.last() {
            Some(path) if !same_size => gif.finish(&Picture::read(path)?.with_channels(channels)?),
            _ => gif.finish(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::data::canvas::Style;

    #[test]
    fn frames_are_spread_over_the_epochs_and_fit_a_screen() {
        let job = |text: &str| Job::parse(text, &[] as &[&str]).unwrap();
        let canvas = Canvas { width: 2048, height: 1024, channels: 1, style: Style::Square };
        let due = |text: &str| {
            let gallery = Gallery::new(&job(text), canvas, Path::new("run"));
            assert_eq!(gallery.frame, [512, 256]);
            let every = gallery.every;
            (0..=gallery.epochs).filter(|e| e % every == 0 && gallery.is_due(*e)).collect::<Vec<_>>()
        };
        assert_eq!(due("[train]\nepochs = 8\n[picture]\nframes = 4"), [0, 2, 4, 6, 8]);
        assert_eq!(due("[train]\nepochs = 3\n[picture]\nframes = 40"), [0, 1, 2, 3]);
        assert_eq!(due("[train]\nepochs = 9\nevaluate_every = 3\n[picture]\nframes = 3"), [0, 3, 6, 9]);
        assert_eq!(due("[picture]\nframes = 0"), [0; 0]);
    }
}
