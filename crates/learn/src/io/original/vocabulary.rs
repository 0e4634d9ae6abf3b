//! Vocabularies of the n-gram models: `{vocab_size, stoi, itos, multiplier}`.

use super::parse_json;
use crate::error::{Error, FileError, Place};
use crate::io::read::whole;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The symbols of an n-gram model and its context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// The symbols by index.
    pub symbols: Vec<String>,
    /// How many symbols, one-hot side by side, the model takes.
    pub context: usize,
}

#[derive(Deserialize)]
struct Raw {
    vocab_size: usize,
    stoi: BTreeMap<String, usize>,
    itos: BTreeMap<usize, String>,
    multiplier: usize,
}

/// The largest file. Its tables take several times its size in memory.
const MAX_BYTES: u64 = 8 << 20;

impl Vocabulary {
    /// Reads and checks a vocabulary.
    ///
    /// # Errors
    /// [`Error::File`] with line and column where the file is no JSON or lacks a key, with the key where the
    /// two tables and the size disagree; [`Error::Io`].
    pub fn read(path: &Path) -> Result<Vocabulary, Error> {
        Vocabulary::parse(path, &whole(path, MAX_BYTES)?)
    }

    /// The same from the text of a file; `path` stands in the messages.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Vocabulary, Error> {
        check(path, parse_json(path, text)?)
    }
}

fn check(path: &Path, raw: Raw) -> Result<Vocabulary, Error> {
    let wrong = |key: String, found: String| {
        FileError::new(path, "the vocabulary contradicts itself")
            .at(Place::Key(key))
            .found(found)
            .hint("the file is damaged: use another copy of it")
    };
    for (key, length) in [("stoi", raw.stoi.len()), ("itos", raw.itos.len())] {
        if length != raw.vocab_size {
            return Err(wrong(key.into(), format!("{length} symbols, {} promised", raw.vocab_size)).into());
        }
    }
    for (expected, (index, symbol)) in raw.itos.iter().enumerate() {
        if *index != expected {
            return Err(
                wrong(format!("itos.{index}"), format!("index {index} in place of {expected}")).into()
            );
        }
        if raw.stoi.get(symbol) != Some(index) {
            let there = raw.stoi.get(symbol).map_or("nothing".into(), usize::to_string);
            let found = format!("{there} for `{symbol}`, {index} expected");
            return Err(wrong(format!("stoi.{symbol}"), found).into());
        }
    }
    if raw.multiplier == 0 {
        return Err(wrong("multiplier".into(), "a context of 0 symbols".into()).into());
    }
    Ok(Vocabulary { symbols: raw.itos.into_values().collect(), context: raw.multiplier })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::damage::damaged;

    const GOOD: &str = r#"{"vocab_size": 3, "stoi": {"b": 2, ".": 0, "a": 1},
        "itos": {"2": "b", "0": ".", "1": "a"}, "multiplier": 4}"#;

    #[test]
    fn symbols_stand_at_their_index() {
        let v = Vocabulary::parse(Path::new("v.json"), GOOD.as_bytes()).unwrap();
        assert_eq!((v.symbols.as_slice(), v.context), (&[".", "a", "b"].map(String::from)[..], 4));
    }

    #[test]
    fn contradictions_are_errors() {
        for (from, to, expected) in [
            ("\"b\": 2", "\"b\": 1", "stoi.b"),
            ("\"2\": \"b\"", "\"3\": \"b\"", "index 3 in place of 2"),
            ("\"vocab_size\": 3", "\"vocab_size\": 4", "3 symbols, 4 promised"),
            ("\"multiplier\": 4", "\"multiplier\": 0", "context of 0"),
        ] {
            let text = GOOD.replace(from, to);
            let e = Vocabulary::parse(Path::new("v.json"), text.as_bytes()).unwrap_err().to_string();
            assert!(e.contains(expected), "{e}");
        }
        for bad in damaged(GOOD.as_bytes(), 2_000) {
            let read = Vocabulary::parse(Path::new("v.json"), &bad);
            assert!(bad.len() == GOOD.len() || read.is_err());
        }
    }
}
