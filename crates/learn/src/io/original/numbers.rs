//! Lists of numbers in JSON, where `null` stands for what was NaN.

use crate::error::{Error, FileError, Place};
use ironlearn_ir::Array;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use std::fmt;
use std::path::Path;

/// A list of numbers as it stands in a file.
#[derive(Default)]
pub struct Numbers {
    values: Vec<f64>,
    first_null: Option<usize>,
}

impl<'de> Deserialize<'de> for Numbers {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Numbers, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Numbers;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of numbers")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Numbers, A::Error> {
                let mut numbers = Numbers::default();
                while let Some(x) = list.next_element::<Option<f64>>()? {
                    if x.is_none() && numbers.first_null.is_none() {
                        numbers.first_null = Some(numbers.values.len());
                    }
                    numbers.values.push(x.unwrap_or(f64::NAN));
                }
                Ok(numbers)
            }
        }
        d.deserialize_seq(List)
    }
}

impl Numbers {
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The numbers as an `f64` array of this shape. `key` is where they stand, `owner` whose they are.
    pub fn into_array(self, shape: &[usize], path: &Path, key: &str, owner: &str) -> Result<Array, Error> {
        let expected = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let length = self.values.len();
        if expected != Some(length) {
            return Err(FileError::new(
                path,
                format!("{owner}: the number of values does not fit the shape"),
            )
            .at(Place::Key(key.into()))
            .found(format!("{length} values for the shape {shape:?}"))
            .hint("give as many values as the sizes in the file say, or correct the sizes")
            .into());
        }
        if let Some(i) = self.first_null {
            return Err(FileError::new(path, format!("{owner}: value {i} is null"))
                .at(Place::Key(format!("{key}[{i}]")))
                .found("null, as which the original program wrote NaN")
                .hint("the numbers are lost: use a file from before training diverged")
                .into());
        }
        Array::of(shape, self.values)
            .map_err(|problem| FileError::new(path, problem).at(Place::Key(key.into())).into())
    }
}
