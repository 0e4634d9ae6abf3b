//! Lists of numbers in JSON, where `null` stands for what was NaN.

use crate::error::{Error, FileError, Place};
use ironlearn_ir::{Array, Refused};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

/// A list of numbers as it stands in a file: kept, or (`usize`) counted alone, so that a file with a mistake is
/// refused before its numbers take memory.
#[derive(Default)]
pub struct Numbers<V = Vec<f64>> {
    values: V,
    first_null: Option<usize>,
    /// Why the values are not all there. The parser's own errors are about what it reads.
    refused: Option<Refused>,
}

/// What becomes of numbers that are read.
pub trait Values: Default {
    fn push(&mut self, x: f64) -> Result<(), Refused>;
    fn count(&self) -> usize;
}

impl Values for Vec<f64> {
    fn push(&mut self, x: f64) -> Result<(), Refused> {
        if self.len() == self.capacity() {
            let grown = (2 * self.len()).max(4);
            self.try_reserve(1).map_err(|_| Refused::elements::<f64>(grown, "a list of numbers"))?;
        }
        self.push(x);
        Ok(())
    }
    fn count(&self) -> usize {
        self.len()
    }
}

impl Values for usize {
    fn push(&mut self, _: f64) -> Result<(), Refused> {
        *self += 1;
        Ok(())
    }
    fn count(&self) -> usize {
        *self
    }
}

impl<'de, V: Values> Deserialize<'de> for Numbers<V> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Numbers<V>, D::Error> {
        struct List<V>(PhantomData<V>);
        impl<'de, V: Values> Visitor<'de> for List<V> {
            type Value = Numbers<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of numbers")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Numbers<V>, A::Error> {
                let mut numbers = Numbers::<V>::default();
                while let Some(x) = list.next_element::<Option<f64>>()? {
                    if x.is_none() && numbers.first_null.is_none() {
                        numbers.first_null = Some(numbers.values.count());
                    }
                    if numbers.refused.is_none() {
                        numbers.refused = numbers.values.push(x.unwrap_or(f64::NAN)).err();
                    }
                }
                Ok(numbers)
            }
        }
        d.deserialize_seq(List(PhantomData))
    }
}

impl<V: Values> Numbers<V> {
    pub fn is_empty(&self) -> bool {
        self.values.count() == 0 && self.refused.is_none()
    }

    /// Checks that these are the numbers of an array of this shape. `key` is where they stand, `owner` whose they
    /// are.
    pub fn check(&self, shape: &[usize], path: &Path, key: &str, owner: &str) -> Result<(), Error> {
        let expected = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
        let length = self.values.count();
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
        Ok(())
    }
}

impl Numbers {
    /// The numbers, which have been checked, as an `f64` array of this shape.
    pub fn into_array(self, shape: &[usize], path: &Path, key: &str) -> Result<Array, Error> {
        if let Some(refused) = self.refused {
            let what = format!("{} `{key}` of {}", refused.what, path.display());
            return Err(Refused { what, ..refused }.into());
        }
        Array::of(shape, self.values).map_err(|problem| {
            FileError::new(path, problem).at(Place::Key(key.into())).hint("correct the sizes").into()
        })
    }
}
