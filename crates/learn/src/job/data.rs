//! `[data]`: what is learned.

use super::files::{self, Files};
use super::section::kinds;
use super::setting::{Check, check, choice};
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
        /// A table: a CSV file of numbers and words with the names of its columns in the first line, or a Parquet file
        /// (.parquet), which a program reads that was built with the feature parquet. A column of words gives the network
        /// an input for each of its words (one-hot).
        Table = "table" {
            /// File of the table.
            path: PathBuf = PathBuf::new(), check::FILE;
            /// Name of the column that is learned. Networks need one; other models (model.kind) are judged by it.
            target: String = String::new();
            /// File of the validation part, with columns of the same names.
            test: PathBuf = PathBuf::new();
            /// Names of the columns that are inputs. Unset: all others.
            columns: Option<Vec<String>> = None;
            /// Names of columns that are left out.
            ignore: Vec<String> = Vec::new();
            /// Names of columns of numbers that are taken for words, such as postal codes.
            words: Vec<String> = Vec::new();
            /// What becomes of cells that hold nothing: empty ones, NA, N/A, NaN, null, None and ?.
            missing: Missing = Missing::Refuse;
            /// What becomes of words that the training part does not have.
            unseen: Unseen = Unseen::Refuse;
            /// How the inputs are prepared; those of words are 0 and 1 in any case.
            inputs: Inputs = Inputs::Standardised;
            /// How the targets are prepared.
            targets: Targets = Targets::Raw;
            /// What the target is, which decides the metrics.
            task: Task = Task::Regression;
        },
        /// Pictures in folders: each class has a folder of its name, with PNG, JPEG and WebP files. The network gets
        /// their channels, height and width as axes, levels from 0 to 1 before preparation.
        Images = "images" {
            /// The folder with the folders of the classes.
            path: PathBuf = PathBuf::new(), check::FILE;
            /// The folder with the folders of the classes of the validation part.
            test: PathBuf = PathBuf::new();
            /// Width and height to which all pictures are scaled. Unset: that of the first, which all must have.
            size: Option<[usize; 2]> = None, check::SIZE;
            /// Which channels are learned.
            colour: Colour = Colour::Auto;
            /// How the inputs are prepared.
            inputs: Inputs = Inputs::StandardisedAsOne;
        },
        /// A text, of which the network learns what follows: from rows of tokens, { embedding = … } first, to
        /// { linear = "targets" }, either for each token or for the last one of a row ("flatten" before it).
        Text = "text" {
            /// File of the text, in UTF-8. train.validation sets its end apart.
            path: PathBuf = PathBuf::new(), check::FILE;
            /// What a token is.
            tokens: Tokens = Tokens::Characters;
            /// File of a tokenizer of Hugging Face, tokenizer.json, which a program reads that was built with the feature
            /// tokenizers: what a token is follows from it, not from `tokens`. Empty: none.
            tokenizer: PathBuf = PathBuf::new();
            /// How many tokens the network sees.
            context: usize = 64, check::AT_LEAST_1;
            /// Each line is a text of its own, such as a name: nothing before it is seen, and train.validation sets
            /// lines apart that the seed picks. For networks that learn what follows the last token.
            lines: bool = false;
        },
        /// Arrays in files, whose first axis counts the rows: NumPy's .npy and .npz, .csv, or IDX as MNIST has
        /// it, compressed (.gz) or not. Further axes of the inputs are the columns of a row, or what `shape` says.
        Arrays = "arrays" {
            /// File of the inputs, or a list of files, such as ["x-0.npy", "x-1.npy"], whose rows follow one another: so,
            /// too, the targets and those of the validation part. An .npz file holds several arrays, with
            /// numpy.savez_compressed or without: those whose files the job does not name are taken from there, by their
            /// names.
            x: Files = Files::new(), files::ANY;
            /// File of the targets, one number a row.
            y: Files = Files::new(), files::NAMED;
            /// File of the inputs of the validation part.
            x_test: Files = Files::new(), files::NAMED;
            /// File of the targets of the validation part.
            y_test: Files = Files::new(), files::NAMED;
            /// Names of the arrays of an .npz file: inputs and targets, or both and those of the validation part, such as
            /// ["x_train", "y_train", "x_test", "y_test"]. Unset: x and y, and x_test and y_test where it has them.
            names: Option<Vec<String>> = None, NAMES;
            /// Axes of a row as the network gets it, such as [1, 28, 28] for pictures: channels, height, width.
            /// Unset: one axis.
            shape: Option<Vec<usize>> = None, SHAPE;
            /// For data larger than memory: MiB of rows that are in memory at a time. The rows stay in their files, which
            /// are .npy, and are read while training needs them: blocks of neighbouring rows in an order of their own for
            /// each epoch, the rows of all blocks in memory shuffled. train.validation sets blocks apart, so shuffle a
            /// file that is sorted; without a validation part there are no metrics beside the loss. 0: all rows are in
            /// memory.
            memory: usize = 0;
            /// How the inputs are prepared.
            inputs: Inputs = Inputs::Standardised;
            /// How the targets are prepared.
            targets: Targets = Targets::Raw;
            /// What the targets are, which decides the metrics.
            task: Task = Task::Regression;
        },
    }
}

const NAMES: Check<Option<Vec<String>>> = Check::new(
    |names| {
        names
            .as_ref()
            .is_none_or(|names| matches!(names.len(), 2 | 4) && names.iter().all(|name| !name.is_empty()))
    },
    "two names, or four",
);
const SHAPE: Check<Option<Vec<usize>>> = Check::new(
    |shape| shape.as_ref().is_none_or(|axes| (1..=4).contains(&axes.len()) && !axes.contains(&0)),
    "one to four lengths of at least 1",
);

choice! {
    /// Tokens of a text.
    Tokens {
        /// Unicode characters.
        Characters = "characters",
        /// What readers take for one letter: Unicode's extended grapheme clusters.
        Graphemes = "graphemes",
    }
}

choice! {
    /// Cells that hold nothing.
    Missing {
        /// They are an error.
        Refuse = "refuse",
        /// Rows with such cells are left out; in rows to be answered they are an error.
        Drop = "drop",
        /// A number is the mean of its column in the training part, a word the most frequent one.
        Mean = "mean",
        /// A number is the median of its column in the training part, a word the most frequent one.
        Median = "median",
    }
}

choice! {
    /// Words that the training part does not have.
    Unseen {
        /// They are an error.
        Refuse = "refuse",
        /// They count as none of the known ones: all inputs of their column are 0.
        Zeros = "zeros",
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
        /// Less the mean of all columns, divided by the standard deviation of all: for columns of one kind, such as
        /// pixels.
        StandardisedAsOne = "standardised_as_one",
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
        /// 0 or 1: accuracy, precision, recall, F1, areas under ROC and under precision and recall, confusion matrix.
        Binary = "binary",
        /// Classes, numbers from 0 or words: accuracy, and precision, recall and F1 of each.
        Classes = "classes",
    }
}

impl Data {
    /// Whether what is learned can be drawn as a picture.
    pub fn is_picture(&self) -> bool {
        matches!(self, Self::Picture { .. }) || self.preparation().0 == Inputs::Coordinates
    }

    /// How inputs and targets are prepared; those of a picture are so already.
    pub fn preparation(&self) -> (Inputs, Targets) {
        match self {
            Self::Picture { .. } | Self::Text { .. } => (Inputs::Raw, Targets::Raw),
            Self::Images { inputs, .. } => (*inputs, Targets::Raw),
            Self::Original { inputs, targets, .. }
            | Self::Arrays { inputs, targets, .. }
            | Self::Table { inputs, targets, .. } => (*inputs, *targets),
        }
    }

    /// The axes of a row, where the job says them.
    pub fn shape(&self) -> Option<&[usize]> {
        match self {
            Self::Arrays { shape, .. } => shape.as_deref(),
            _ => None,
        }
    }

    /// Bytes of rows that are in memory at a time, where rows stay in their files.
    pub fn memory(&self) -> Option<usize> {
        match *self {
            Self::Arrays { memory: mib @ 1.., .. } => Some(mib.saturating_mul(1 << 20)),
            _ => None,
        }
    }

    /// What the arrays of an archive are called, where the job says it.
    pub fn array_names(&self) -> Option<&[String]> {
        match self {
            Self::Arrays { names, .. } => names.as_deref(),
            _ => None,
        }
    }

    /// What the targets are.
    pub fn task(&self) -> Task {
        match self {
            Self::Picture { .. } => Task::Regression,
            Self::Images { .. } | Self::Text { .. } => Task::Classes,
            Self::Original { task, .. } | Self::Arrays { task, .. } | Self::Table { task, .. } => *task,
        }
    }
}
