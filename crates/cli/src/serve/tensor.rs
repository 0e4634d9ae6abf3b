//! [`Datatype`]s of the protocol and [`Values`]: tensors as JSON and as bytes, all numbers as `f64`.

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Whole numbers from here on are not all different in `f64`.
const EXACT: f64 = (1u64 << 53) as f64;

macro_rules! datatypes {
    ($($variant:ident $name:literal $type:ident)*) => {
        /// What the elements of a tensor are.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Datatype { $(#[doc = $name] $variant,)* /** Texts. */ Bytes }

        impl Datatype {
            /// The datatype of this name.
            pub fn named(name: &str) -> Result<Datatype, String> {
                match name {
                    $($name => Ok(Datatype::$variant),)*
                    "BYTES" => Ok(Datatype::Bytes),
                    _ => Err(format!(
                        "the datatype {name:?} is not taken: send {}BYTES", concat!($($name, ", "),*)
                    )),
                }
            }

            pub fn name(self) -> &'static str {
                match self { $(Datatype::$variant => $name,)* Datatype::Bytes => "BYTES" }
            }

            /// Bytes of a number; none for texts, which have any length.
            pub fn size(self) -> Option<usize> {
                match self { $(Datatype::$variant => Some(size_of::<$type>()),)* Datatype::Bytes => None }
            }

            /// Little-endian numbers.
            fn numbers(self, bytes: &[u8]) -> Vec<f64> {
                match self {
                    $(Datatype::$variant => {
                        let (numbers, _) = bytes.as_chunks::<{ size_of::<$type>() }>();
                        numbers.iter().map(|bytes| $type::from_le_bytes(*bytes) as f64).collect()
                    })*
                    Datatype::Bytes => Vec::new(),
                }
            }

            /// The least and the largest number.
            fn range(self) -> [f64; 2] {
                if self == Datatype::Bool {
                    return [0.0, 1.0];
                }
                match self {
                    $(Datatype::$variant => [$type::MIN as f64, $type::MAX as f64],)*
                    Datatype::Bytes => [0.0, 0.0],
                }
            }
        }
    };
}

datatypes! {
    Bool "BOOL" u8
    Uint8 "UINT8" u8
    Uint16 "UINT16" u16
    Uint32 "UINT32" u32
    Uint64 "UINT64" u64
    Int8 "INT8" i8
    Int16 "INT16" i16
    Int32 "INT32" i32
    Int64 "INT64" i64
    Fp32 "FP32" f32
    Fp64 "FP64" f64
}

impl Datatype {
    /// Checks that numbers are of this datatype, and gives those of `FP32` its digits, so that JSON and bytes say the
    /// same.
    pub fn check(self, numbers: &mut [f64]) -> Result<(), String> {
        let [least, most] = self.range();
        let wrong = |(i, x): (usize, f64)| Err(format!("element {i}, {x}, is no {}", self.name()));
        match self {
            Datatype::Fp64 | Datatype::Bytes => Ok(()),
            Datatype::Fp32 => {
                for (i, x) in numbers.iter_mut().enumerate() {
                    let rounded = f64::from(*x as f32);
                    if x.is_finite() && !rounded.is_finite() {
                        return wrong((i, *x));
                    }
                    *x = rounded;
                }
                Ok(())
            }
            _ => {
                let fits = |x: f64| x.fract() == 0.0 && (least..=most).contains(&x) && x.abs() < EXACT;
                match numbers.iter().position(|&x| !fits(x)) {
                    Some(i) if numbers[i].fract() == 0.0 && numbers[i].abs() >= EXACT => {
                        Err(format!("element {i}, {}, is beyond the whole numbers below 2^53", numbers[i]))
                    }
                    Some(i) => wrong((i, numbers[i])),
                    None => Ok(()),
                }
            }
        }
    }
}

/// The elements of a tensor, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    Numbers(Vec<f64>),
    Words(Vec<String>),
}

impl Values {
    pub fn len(&self) -> usize {
        match self {
            Values::Numbers(numbers) => numbers.len(),
            Values::Words(words) => words.len(),
        }
    }

    /// So many elements from the bytes of a tensor: little-endian numbers, or texts with their length in 4 bytes
    /// before each.
    pub fn from_bytes(datatype: Datatype, bytes: &[u8], elements: usize) -> Result<Values, String> {
        let Some(size) = datatype.size() else { return words(bytes, elements).map(Values::Words) };
        if elements.checked_mul(size) != Some(bytes.len()) {
            let name = datatype.name();
            return Err(format!(
                "{} bytes for {elements} elements of {name}, {size} bytes each",
                bytes.len()
            ));
        }
        let mut numbers = datatype.numbers(bytes);
        datatype.check(&mut numbers)?;
        Ok(Values::Numbers(numbers))
    }
}

fn words(mut bytes: &[u8], elements: usize) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = u32::from_le_bytes(*length) as usize;
        let word = rest.get(..length).ok_or_else(|| {
            format!("text {} is to have {length} bytes, and {} follow", words.len(), rest.len())
        })?;
        let word = std::str::from_utf8(word).map_err(|_| format!("text {} is not UTF-8", words.len()))?;
        words.push(word.to_owned());
        bytes = &rest[length..];
    }
    match bytes.len() {
        0 if words.len() == elements => Ok(words),
        0 => Err(format!("{} texts for {elements} elements", words.len())),
        n => Err(format!("{n} bytes after the last text")),
    }
}

/// The elements that an output has.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answers<'a> {
    Numbers(&'a [f64]),
    Words(Vec<&'a str>),
}

impl Answers<'_> {
    /// As [`Values::from_bytes`] takes them.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Answers::Numbers(numbers) => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Answers::Words(words) => {
                let length = |word: &str| u32::try_from(word.len()).unwrap_or(u32::MAX).to_le_bytes();
                words.iter().flat_map(|word| [&length(word)[..], word.as_bytes()].concat()).collect()
            }
        }
    }
}

/// Elements as JSON: flat, or nested by the axes of the tensor. `null` is a number that is not there, or no text.
#[derive(Debug, Default)]
pub struct JsonValues {
    numbers: Vec<f64>,
    words: Vec<String>,
    nulls: bool,
}

impl JsonValues {
    /// The elements, where they are of one kind.
    pub fn values(self, datatype: Datatype) -> Result<Values, String> {
        let JsonValues { mut numbers, words, nulls } = self;
        match (datatype, numbers.is_empty(), words.is_empty()) {
            (Datatype::Bytes, true, _) => Ok(Values::Words(words)),
            (Datatype::Bytes, false, _) if nulls => Err("null among texts: write \"\" for no text".into()),
            (Datatype::Bytes, false, _) => Err("numbers, and BYTES are texts".into()),
            (_, _, false) => Err(format!("texts, and {} are numbers", datatype.name())),
            (_, _, true) => {
                datatype.check(&mut numbers)?;
                Ok(Values::Numbers(numbers))
            }
        }
    }
}

impl<'de> Deserialize<'de> for JsonValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<JsonValues, D::Error> {
        let mut found = JsonValues::default();
        deserializer.deserialize_seq(Flattening(&mut found))?;
        Ok(found)
    }
}

/// Adds what it meets, at any depth: a value of JSON for each number would take many times the memory.
struct Flattening<'a>(&'a mut JsonValues);

impl<'de> DeserializeSeed<'de> for Flattening<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Flattening<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers or of texts, or of such arrays")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(Flattening(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_f64<E: Error>(self, x: f64) -> Result<(), E> {
        self.0.numbers.push(x);
        Ok(())
    }

    fn visit_u64<E: Error>(self, x: u64) -> Result<(), E> {
        self.visit_f64(x as f64)
    }

    fn visit_i64<E: Error>(self, x: i64) -> Result<(), E> {
        self.visit_f64(x as f64)
    }

    fn visit_bool<E: Error>(self, x: bool) -> Result<(), E> {
        self.visit_f64(f64::from(u8::from(x)))
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.0.nulls = true;
        self.visit_f64(f64::NAN)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.0.words.push(text.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_json(text: &str, datatype: &str) -> Result<Values, String> {
        let values: JsonValues = serde_json::from_str(text).map_err(|e| e.to_string())?;
        values.values(Datatype::named(datatype)?)
    }

    #[test]
    fn json_is_flat_or_nested() {
        let numbers = |all: &[f64]| Ok(Values::Numbers(all.to_vec()));
        assert_eq!(of_json("[1, -2.5, [3e2, []], true]", "FP64"), numbers(&[1.0, -2.5, 300.0, 1.0]));
        assert_eq!(of_json("[0.1]", "FP32"), numbers(&[f64::from(0.1f32)]));
        assert_eq!(of_json("[9007199254740991, 3.0]", "INT64"), numbers(&[9007199254740991.0, 3.0]));
        assert_eq!(of_json("[[\"a\"], \"b\"]", "BYTES"), Ok(Values::Words(vec!["a".into(), "b".into()])));
        assert!(matches!(of_json("[null]", "FP32"), Ok(Values::Numbers(x)) if x[0].is_nan()));
    }

    #[test]
    fn what_a_datatype_does_not_hold_is_refused() {
        for (text, datatype, part) in [
            ("[1e39]", "FP32", "element 0, 1000000000000000000000000000000000000000, is no FP32"),
            ("[0, 256]", "UINT8", "element 1, 256, is no UINT8"),
            ("[-1]", "UINT64", "no UINT64"),
            ("[0.5]", "INT32", "no INT32"),
            ("[null]", "INT32", "no INT32"),
            ("[2]", "BOOL", "no BOOL"),
            ("[9007199254740993]", "INT64", "below 2^53"),
            ("[\"a\"]", "FP32", "texts, and FP32 are numbers"),
            ("[1, \"a\"]", "BYTES", "numbers, and BYTES are texts"),
            ("[null]", "BYTES", "no text"),
            ("[1]", "FP16", "is not taken: send BOOL, UINT8"),
            ("[{}]", "FP32", "expected an array of numbers"),
            ("3", "FP32", "expected an array of numbers"),
        ] {
            let error = of_json(text, datatype).unwrap_err();
            assert!(error.contains(part), "{text} {datatype}: {error}");
        }
    }

    #[test]
    fn bytes_are_little_endian() {
        let of = |datatype, bytes: &[u8], n| Values::from_bytes(datatype, bytes, n);
        assert_eq!(of(Datatype::Int16, &[1, 0, 255, 255], 2), Ok(Values::Numbers(vec![1.0, -1.0])));
        assert_eq!(of(Datatype::Fp32, &1.5f32.to_le_bytes(), 1), Ok(Values::Numbers(vec![1.5])));
        assert!(of(Datatype::Fp32, &[0; 7], 2).unwrap_err().contains("7 bytes for 2 elements of FP32"));
        assert!(of(Datatype::Uint64, &u64::MAX.to_le_bytes(), 1).unwrap_err().contains("2^53"));
        assert!(of(Datatype::Fp64, &[0; 8], usize::MAX).is_err());
        let words = Answers::Words(vec!["", "é"]).bytes();
        assert_eq!(of(Datatype::Bytes, &words, 2), Ok(Values::Words(vec![String::new(), "é".into()])));
        for (bytes, n, part) in [
            (&words[..], 3, "2 texts for 3"),
            (&words[..7], 2, "bytes after the last text"),
            (&[9, 0, 0, 0, 65][..], 1, "is to have 9 bytes, and 1 follow"),
            (&[255; 4], 1, "4294967295 bytes"),
            (&[1, 0, 0, 0, 200], 1, "not UTF-8"),
        ] {
            let error = of(Datatype::Bytes, bytes, n).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
        let numbers = Answers::Numbers(&[0.1, -2.0]);
        assert_eq!(of(Datatype::Fp64, &numbers.bytes(), 2), Ok(Values::Numbers(vec![0.1, -2.0])));
    }
}
