//! `[data]`: what is learned.

use super::section::kinds;
use super::setting::{check, choice};
use std::path::PathBuf;

kinds! {
    /// What is learned: a picture, or the rows of a data set.
    Data = Picture {
        /// A picture, learned as a function from coordinates to colours: one row a pixel, inputs
        /// (x, y) in [-1, 1] with the corners of the picture at the corners of the square, targets
        /// its channels in [0, 1].
        Picture = "picture" {
            /// File of the picture: PNG, JPEG or WebP. Empty: the built-in grey picture, 200 x 200.
            picture: PathBuf = PathBuf::new();
            /// Width and height to which the picture is scaled before it is learned. Unset: as it is.
            resize: Option<[usize; 2]> = None, check::SIZE;
            /// Which channels are learned.
            colour: Colour = Colour::Auto;
        },
        /// A data set of the original Iron Learn program: a JSON file with the sizes m and n, the rows
        /// x and the targets y, and a test part, which is the validation part.
        Original = "original" {
            /// File of the data set.
            path: PathBuf = PathBuf::new(), check::FILE;
            /// How the inputs are prepared.
            inputs: Inputs = Inputs::Standardised;
            /// How the targets are prepared.
            targets: Targets = Targets::Raw;
            /// What the targets are, which decides the metrics.
            task: Task = Task::Regression;
        },
    }
}

choice! {
    /// Channels of a picture.
    Colour {
        /// Grey if the file is grey, else red, green and blue.
        Auto = "auto",
        /// One channel; a colour picture is converted.
        Grey = "grey",
        /// Three channels; a grey picture is repeated.
        Rgb = "rgb",
    }
}

choice! {
    /// Preparation of inputs. What is computed from data is computed from the training part alone and
    /// travels inside the model file.
    Inputs {
        /// Each column less its mean, divided by its standard deviation.
        Standardised = "standardised",
        /// As they are in the file.
        Raw = "raw",
        /// The two columns are pixel positions (x, y); the network sees [1, x/(w-1), y/(h-1)], as in
        /// the original program, and what it learns can be drawn.
        Coordinates = "coordinates",
    }
}

choice! {
    /// Preparation of targets.
    Targets {
        /// As they are in the file.
        Raw = "raw",
        /// Less their mean, divided by their standard deviation; predictions are turned back.
        Standardised = "standardised",
    }
}

choice! {
    /// What the targets of a data set are.
    Task {
        /// Numbers: mean squared and absolute error, R squared.
        Regression = "regression",
        /// 0 or 1: accuracy, precision, recall, F1, AUC, the confusion matrix.
        Binary = "binary",
        /// Class numbers from 0: accuracy, precision and recall of each class.
        Classes = "classes",
    }
}

impl Data {
    /// Whether what is learned can be drawn as a picture.
    pub fn is_picture(&self) -> bool {
        matches!(self, Self::Picture { .. } | Self::Original { inputs: Inputs::Coordinates, .. })
    }
}
