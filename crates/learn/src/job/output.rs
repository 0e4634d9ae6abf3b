//! `[picture]` and `[output]`: drawings and reports of a run.

use super::section::section;
use super::setting::check;

section! {
    /// What is drawn from a network that has learned a picture. Only for data that are a picture.
    Picture {
        /// Width and height of a further drawing, at any size. Unset: only that at the size of the
        /// source.
        render: Option<[usize; 2]> = None, check::SIZE;
        /// Draws where the picture differs from the source.
        error_map: bool = true;
        /// Pictures of the time-lapse GIF, evenly over the epochs, at most one an evaluation
        /// (train.evaluate_every); 0: no GIF.
        frames: usize = 40;
    }
}

section! {
    /// What a run leaves behind besides its model and its metrics.
    Output {
        /// Writes report.html: curves, network table and pictures in one file that needs no network.
        report: bool = true;
        /// Writes the curves and, of a picture, its time-lapse as event files, which TensorBoard shows.
        tensorboard: bool = false;
    }
}
