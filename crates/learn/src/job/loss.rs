//! `[loss]`: what training makes small.

use super::section::kinds;
use super::setting::{Check, Reader, Setting, check};
use super::tree::{Node, Value};

const WEIGHTS: Check<Option<ClassWeights>> = Check::new(
    |weights| match weights {
        Some(ClassWeights::Each(list)) => !list.is_empty() && list.iter().all(|w| *w > 0.0),
        _ => true,
    },
    "not empty, each greater than 0",
);
const WEIGHT: Check<PositiveWeight> =
    Check::new(|weight| !matches!(weight, PositiveWeight::By(w) if *w <= 0.0), "greater than 0");

kinds! {
    /// What training makes small: a mean over rows and outputs.
    Loss = Mse {
        /// Mean squared error.
        Mse = "mse",
        /// Mean absolute error.
        Mae = "mae",
        /// Squared error near 0, absolute error beyond (Huber 1964).
        Huber = "huber" {
            /// Error at which the one becomes the other.
            delta: f64 = 1.0, check::POSITIVE;
        },
        /// Binary cross-entropy; the network gives logits, so it ends without sigmoid.
        Bce = "bce" {
            /// Weight of the rows whose target is 1; others weigh 1. "balanced": as many times more as there are
            /// fewer of them in the training part.
            positive_weight: PositiveWeight = PositiveWeight::By(1.0), WEIGHT;
        },
        /// Cross-entropy over classes; the network gives logits, so it ends without softmax.
        CrossEntropy = "cross_entropy" {
            /// Share of the target that is spread evenly over all classes.
            label_smoothing: f64 = 0.0, check::BELOW_1;
            /// Weight of each class. "balanced": rows / (classes x rows of the class) in the training part, 1 where
            /// a class has none. Unset: 1 each.
            class_weights: Option<ClassWeights> = None, WEIGHTS;
        },
        /// Kullback-Leibler divergence of the network's distribution from the targets', from logits.
        Kl = "kl",
        /// Hinge loss max(0, 1 - t y) of targets 0 and 1, read as t = -1 and 1.
        Hinge = "hinge",
    }
}

const BALANCED: &str = "balanced";

/// The weights of classes.
#[derive(Clone, Debug, PartialEq)]
pub enum ClassWeights {
    /// The rarer the heavier.
    Balanced,
    /// These.
    Each(Vec<f64>),
}

impl Setting for ClassWeights {
    fn kind() -> String {
        format!("{BALANCED:?} or {}", Vec::<f64>::kind())
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(word) if word == BALANCED => Some(Self::Balanced),
            Value::List(_) => Vec::read(node, path, reader).map(Self::Each),
            _ => reader.mismatch(node, path, &Self::kind()),
        }
    }
    fn write(&self) -> Option<Value> {
        match self {
            Self::Balanced => Some(Value::Text(BALANCED.into())),
            Self::Each(weights) => weights.write(),
        }
    }
}

/// The weight of rows whose target is 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PositiveWeight {
    /// That of all rows whose target is 0.
    Balanced,
    /// This.
    By(f64),
}

impl Setting for PositiveWeight {
    fn kind() -> String {
        format!("{} or {BALANCED:?}", f64::kind())
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(word) if word == BALANCED => Some(Self::Balanced),
            Value::Float(_) | Value::Integer(_) => f64::read(node, path, reader).map(Self::By),
            _ => reader.mismatch(node, path, &Self::kind()),
        }
    }
    fn write(&self) -> Option<Value> {
        match self {
            Self::Balanced => Some(Value::Text(BALANCED.into())),
            Self::By(weight) => weight.write(),
        }
    }
}
