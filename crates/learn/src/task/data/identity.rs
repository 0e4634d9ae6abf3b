//! [`Identity`]: what the data of a run are known by when it goes on, and among ranks.

use super::Data;
use crate::Dataset;
use crate::data::batch_of;
use crate::error::Error;
use crate::io::bytes::for_each_chunk;
use crate::io::checksum::Checksum;
use ironlearn_ir::Array;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Rows of data that stay in files that are looked at: so many of the first, and of the last.
const LOOKED_AT: usize = 64;

/// The rows that a network learns from, and those that it is judged by.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::task) struct Identity {
    train: Part,
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<Part>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Part {
    rows: usize,
    checksum: String,
}

impl Identity {
    /// Of all numbers that are in memory, and of the first and last rows of what stays in files.
    ///
    /// # Errors
    /// Those of reading the files.
    pub fn of(data: &Data) -> Result<Identity, Error> {
        let validation = data.validation.as_ref().map(Part::of).transpose()?;
        Ok(Identity { train: Part::of(&data.train)?, validation })
    }

    /// What the data were before, and what they are now; nothing where they are the same.
    pub fn change(&self, now: &Identity) -> Option<String> {
        let say = |what: &str, before: usize, now: usize| match before == now {
            true => format!("as many rows {what}, {now}, with other numbers"),
            false => format!("{now} rows {what}, not {before}"),
        };
        if self.train != now.train {
            return Some(say("to learn from", self.train.rows, now.train.rows));
        }
        let rows = |part: &Option<Part>| part.as_ref().map_or(0, |part| part.rows);
        (self.validation != now.validation)
            .then(|| say("for validation", rows(&self.validation), rows(&now.validation)))
    }
}

impl Part {
    fn of(data: &Dataset) -> Result<Part, Error> {
        let rows = data.rows();
        let mut sum = Checksum::new().numbers(&[rows]);
        if let Some((inputs, targets)) = data.arrays() {
            return Ok(Part { rows, checksum: added(added(sum, inputs), targets).finish() });
        }
        let some = rows.min(LOOKED_AT);
        for first in [0, rows - some] {
            let [mut x, mut y] = batch_of(&data.types(some))?;
            data.read(first, &mut x, &mut y)?;
            sum = added(added(sum, &x), &y);
        }
        Ok(Part { rows, checksum: sum.finish() })
    }
}

/// A checksum with all numbers of an array, their type and shape.
pub(in crate::task) fn added(sum: Checksum, array: &Array) -> Checksum {
    let mut sum = sum.text(array.dtype().name()).numbers(array.shape());
    // Nothing in it fails.
    let _ = for_each_chunk(array.data().view(), |bytes| {
        sum.add(bytes);
        Ok(())
    });
    sum
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rows, checksum {}", self.train.rows, self.train.checksum)?;
        self.validation.as_ref().map_or(Ok(()), |part| {
            write!(f, "; for validation {} rows, checksum {}", part.rows, part.checksum)
        })
    }
}
