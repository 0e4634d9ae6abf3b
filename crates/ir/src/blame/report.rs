//! What is said of a step that was not finite.

use crate::Phase;
use std::fmt;

/// Rows that are listed; of more the number is given.
const LISTED: usize = 8;

/// The operation that made the first value that is not finite.
#[derive(Clone, Debug, PartialEq)]
pub struct Blame {
    /// The operation's name.
    pub operation: String,
    /// Its layer path; empty outside of layers.
    pub layer: String,
    /// The user's line, `file:line:column`; empty where no line is of use.
    pub location: String,
    /// Forward, backward or update.
    pub phase: Phase,
    /// Optimizer steps done before this one.
    pub step: i64,
    /// Flat index of the first element that is not finite.
    pub element: usize,
    /// Rows of the batch, of the first input, that elements which are not finite belong to, in order; empty where
    /// the value is not one by row, as the gradient of a parameter.
    pub rows: Vec<usize>,
    /// Where the operation is in the body of a loop: the element of the sequences, of the outermost loop first.
    pub times: Vec<usize>,
    /// Smallest and largest value of each input.
    pub ranges: Vec<(f64, f64)>,
}

impl Blame {
    /// What usually helps.
    pub fn advice(&self) -> &'static str {
        match (self.phase, self.operation.as_str()) {
            (_, "input") => "the data are not finite: clean these rows, or leave them out",
            (_, "constant" | "pad") => "the model itself holds a number that is not finite: take another one",
            (Phase::Update, _) => "lower the learning rate, or bound the gradients with clip_norm",
            (Phase::Backward, _) => {
                "the derivative has a pole near these operands (as of sqrt, log, norms and divisions at 0): keep \
                 them away from 0 by a small constant, bound the gradients with clip_norm, or lower the learning rate"
            }
            (_, "log" | "log1p") => {
                "the logarithm of 0 or less: use a loss that takes logits, or add a small constant before it"
            }
            (_, "exp") => {
                "exp of more than 88 in f32, 709 in f64: subtract the largest first, as softmax does"
            }
            (_, "div" | "recip") => "a division by 0: add a small constant to the divisor",
            (_, "sqrt" | "pow") => "a root or power of less than 0, or too large: bound the operand",
            _ => {
                "values grew beyond their type: lower the learning rate, bound the gradients with clip_norm, scale \
                 the inputs, or use f64"
            }
        }
    }
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = format!("{:?}", self.phase).to_lowercase();
        write!(f, "not finite at step {}: `{}` in the {phase} part", self.step, self.operation)?;
        if !self.layer.is_empty() {
            write!(f, ", layer `{}`", self.layer)?;
        }
        for time in &self.times {
            write!(f, ", time {time} of the loop")?;
        }
        write!(f, ", element {}", self.element)?;
        if !self.rows.is_empty() {
            write!(f, ", {} of the batch", listed("row", &self.rows))?;
        }
        if !self.location.is_empty() {
            write!(f, "\n  --> {}", self.location)?;
        }
        for (i, (low, high)) in self.ranges.iter().enumerate() {
            write!(f, "\n  operand {i} was in {low:e} ..= {high:e}")?;
        }
        Ok(())
    }
}

/// Numbers as in `rows 1, 5 and 7`, or `rows 1, 2, 3, 4, 5, 6, 7, 8 and 92 more`.
pub fn listed(noun: &str, numbers: &[usize]) -> String {
    let words: Vec<String> = numbers.iter().take(LISTED).map(usize::to_string).collect();
    match (&words[..], numbers.len() - words.len()) {
        ([one], 0) => format!("{noun} {one}"),
        ([all @ .., last], 0) => format!("{noun}s {} and {last}", all.join(", ")),
        (words, more) => format!("{noun}s {} and {more} more", words.join(", ")),
    }
}

/// Values that were not finite in a step, where no second run of the step shows how they were made.
#[derive(Clone, Debug, PartialEq)]
pub struct Unexplained {
    /// Optimizer steps done before this one.
    pub step: i64,
    /// Which values.
    pub values: Vec<String>,
    /// Each attempt to find the operation, and what came of it.
    pub attempts: Vec<String>,
}

impl fmt::Display for Unexplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not finite at step {}: {}", self.step, self.values.join(", "))?;
        write!(f, "\n  which operation made it so is not known")?;
        self.attempts.iter().try_for_each(|attempt| write!(f, "\n  {attempt}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_listed_up_to_a_number() {
        assert_eq!(listed("row", &[7]), "row 7");
        assert_eq!(listed("row", &[1, 5, 7]), "rows 1, 5 and 7");
        assert_eq!(listed("row", &[0, 1, 2, 3, 4, 5, 6, 7]), "rows 0, 1, 2, 3, 4, 5, 6 and 7");
        let many: Vec<usize> = (0..100).collect();
        assert_eq!(listed("row", &many), "rows 0, 1, 2, 3, 4, 5, 6, 7 and 92 more");
    }
}
