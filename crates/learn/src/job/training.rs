//! `[train]`: how long, in which portions, from which seed.

use super::section::section;
use super::setting::{Check, Reader, Setting, check, choice};
use super::tree::{Node, Value};
use std::time::Duration;

const CHUNKS: Check<usize> =
    Check::new(|chunks| *chunks == 0 || chunks.is_power_of_two(), "0, or a power of two");
const FOLDS: Check<usize> = Check::new(|folds| *folds != 1, "0, or at least 2");
const SEED: Check<u64> = Check::new(|seed| *seed <= i64::MAX as u64, "below 2^63");

section! {
    /// How long training goes on, in which portions, and from which seed.
    Training {
        /// Number of passes over the training part.
        epochs: u64 = 100, check::COUNT;
        /// Rows of a step: a number, or "full" for all of them.
        batch: Batch = Batch::Full;
        /// Portions in which the gradient of a step is computed, to save memory.
        accumulate: usize = 1, check::AT_LEAST_1;
        /// Parts of a batch whose gradients are computed one by one, and added along a fixed tree: a power of two. So many ranks
        /// under MPI, or fewer, give the same bits, as one process does. 0: 1, and under MPI 8, or more where there are
        /// more ranks.
        chunks: usize = 0, CHUNKS;
        /// Ranks under MPI divide the moments of the optimizer among themselves, each its own elements: the same
        /// bits, with less memory, for half as much again on the network.
        divide_optimizer: bool = false;
        /// Seed of everything random: first weights, order of rows, dropout. The same seed gives the
        /// same bits.
        seed: u64 = 0, SEED;
        /// What it is computed with.
        arithmetic: Arithmetic = Arithmetic::Float;
        /// Type of weights and arithmetic in floats.
        dtype: Dtype = Dtype::F32;
        /// Precision of matrix products.
        precision: Precision = Precision::Full;
        /// Share of the rows that is set apart for validation; 0 leaves it at the test part of the data,
        /// where they have one.
        validation: f64 = 0.0, check::BELOW_1;
        /// Parts into which the rows are cut for cross-validation, in place of a share; one of them, train.fold, is set
        /// apart. 0: none.
        folds: usize = 0, FOLDS;
        /// Which of train.folds is set apart for validation, from 1.
        fold: usize = 1, check::AT_LEAST_1;
        /// Sets the same share of each class apart, where the targets are classes.
        stratified: bool = false;
        /// So many batches of the training part are all that is learned and judged by: a network that cannot learn a few
        /// rows by heart has a mistake. 0: all rows.
        overfit_batches: usize = 0;
        /// Epochs between evaluations, each a row of the metrics file.
        evaluate_every: u64 = 1, check::COUNT;
        /// Evaluations without improvement after which training ends early and takes the best weights;
        /// 0: never.
        patience: u64 = 0;
        /// Decrease of the loss that counts as an improvement.
        min_improvement: f64 = 0.0, check::NOT_NEGATIVE;
        /// What is done about a step whose loss, gradients or new weights are not finite; it never moves a weight.
        not_finite: NotFinite = NotFinite::Stop;
        /// Ends the run at the first thing that looks like a mistake, where it would go on with a warning.
        strict: bool = false;
        /// Looks for rows of the validation part that stand in the training part as well.
        find_duplicates: bool = false;
        /// So many checkpoints are kept in the folder best, those of the evaluations with the smallest losses; 0: none but
        /// best.safetensors.
        keep_best: usize = 0;
        /// Epochs between saves; 0: at the end only. A run that is interrupted saves in any case.
        save_every: u64 = 0;
        /// Time between saves while a run goes on; more where a save takes more than a thirtieth of it.
        save_interval: Duration = Duration::from_secs(60);
        /// Time after which training stops, saves and can be resumed, counted anew by each call of the
        /// program. Unset: none.
        max_time: Option<Duration> = None;
    }
}

choice! {
    /// What training is computed with.
    Arithmetic {
        /// Floating-point numbers.
        Float = "float",
        /// Whole numbers alone, from the first weights to the last step: the same bits on every machine. For
        /// classes (loss.kind = "cross_entropy") by networks of linear, relu, conv, max_pool, flatten and embedding
        /// layers, with optimizer.kind = "sgd".
        Integer = "integer",
    }
}

choice! {
    /// Type of weights and arithmetic in floats.
    Dtype {
        /// 32-bit floating point.
        F32 = "f32",
        /// 64-bit floating point.
        F64 = "f64",
    }
}

choice! {
    /// Precision of matrix products.
    Precision {
        /// As `dtype` says.
        Full = "full",
        /// Operands of `f32` products rounded to bf16, summed in `f32`; weights stay `f32`.
        Bf16 = "bf16",
        /// On a CUDA GPU: operands of `f32` products rounded to 10 bits, summed in `f32`; weights stay `f32`.
        Tf32 = "tf32",
    }
}

choice! {
    /// What is done about a step whose numbers are not finite.
    NotFinite {
        /// The run ends and names the operation.
        Stop = "stop",
        /// The step is left out and counted; after 20 in a row the run ends.
        Skip = "skip",
        /// As skip, and the learning rate is halved for good.
        LowerRate = "lower-rate",
    }
}

/// Rows of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Batch {
    /// All rows of the training part.
    Full,
    /// So many; the last step of an epoch takes what is left.
    Rows(usize),
}

impl Setting for Batch {
    fn kind() -> String {
        "a whole number from 1 or \"full\"".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(word) if word == "full" => Some(Self::Full),
            Value::Integer(rows) => usize::try_from(*rows).ok().filter(|rows| *rows > 0).map(Self::Rows),
            _ => None,
        }
        .or_else(|| reader.mismatch(node, path, &Self::kind()))
    }
    fn write(&self) -> Option<Value> {
        match self {
            Self::Full => Some(Value::Text("full".into())),
            Self::Rows(rows) => rows.write(),
        }
    }
}
