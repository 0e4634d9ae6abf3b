//! [`Tokenizer`]: a tokenizer of Hugging Face, as its file `tokenizer.json` describes it.
//!
//! It travels inside of model files, compressed and as Base64, so that a model needs no other file. Without the feature
//! `tokenizers` such a model can be looked at, but not be given a text.

use crate::error::{Error, FileError, beginning};
use crate::io::base64;
use crate::io::read;
use flate2::Compression;
use flate2::read::{ZlibDecoder, ZlibEncoder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// The largest file that is read.
const MAX_BYTES: u64 = 64 << 20;
/// The most tokens.
const MAX_TOKENS: usize = 1 << 22;

/// A tokenizer of Hugging Face.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "Packed", into = "Packed")]
pub struct Tokenizer {
    json: Arc<str>,
    /// One more than the largest number of a token.
    size: usize,
    engine: Engine,
}

/// How it stands in a model file.
#[derive(Clone, Serialize, Deserialize)]
struct Packed {
    /// The file, compressed by zlib, as Base64.
    tokenizer: String,
    size: usize,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Usage`] without the feature `tokenizers`; [`Error::File`] where the file describes no tokenizer, or one
    /// that is random; [`Error::Io`].
    pub fn read(path: &Path) -> Result<Tokenizer, Error> {
        let bytes = read::whole(path, MAX_BYTES)?;
        let wrong = |problem: String| {
            FileError::new(path, "the file describes no tokenizer that is read")
                .found(beginning(&problem))
                .hint("give a tokenizer.json, as Tokenizer.save or save_pretrained of Hugging Face writes it")
        };
        let json = String::from_utf8(bytes).map_err(|_| wrong("what is not UTF-8".into()))?;
        let engine = Engine::of(&json).map_err(wrong)?;
        let size = engine.size()?;
        Ok(Tokenizer { json: json.into(), size, engine })
    }

    /// The number of tokens, with those that are left out between others.
    pub fn len(&self) -> usize {
        self.size
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.size == 0
    }

    /// The numbers of a text's tokens, without any that mark beginning or end.
    ///
    /// # Errors
    /// [`Error::Usage`] where the text cannot be encoded, and without the feature `tokenizers`.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        self.engine.encode(text)
    }

    /// The text of tokens; bytes that are no character yet become U+FFFD.
    ///
    /// # Errors
    /// As [`Tokenizer::encode`].
    pub fn decode(&self, tokens: &[u32]) -> Result<String, Error> {
        self.engine.decode(tokens)
    }
}

impl PartialEq for Tokenizer {
    fn eq(&self, other: &Tokenizer) -> bool {
        self.json == other.json
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer of {} tokens", self.size)
    }
}

impl From<Tokenizer> for Packed {
    fn from(tokenizer: Tokenizer) -> Packed {
        let mut packed = Vec::new();
        // Reading from memory into memory cannot fail.
        let read =
            ZlibEncoder::new(tokenizer.json.as_bytes(), Compression::default()).read_to_end(&mut packed);
        debug_assert!(read.is_ok(), "compression in memory cannot fail");
        Packed { tokenizer: base64::encode(&packed), size: tokenizer.size }
    }
}

impl TryFrom<Packed> for Tokenizer {
    type Error = String;

    fn try_from(packed: Packed) -> Result<Tokenizer, String> {
        let bytes = base64::decode(&packed.tokenizer).ok_or("the tokenizer is no Base64")?;
        let mut json = String::new();
        let read = ZlibDecoder::new(&bytes[..]).take(MAX_BYTES).read_to_string(&mut json);
        read.map_err(|e| format!("the tokenizer cannot be unpacked: {e}"))?;
        if !(1..=MAX_TOKENS).contains(&packed.size) {
            return Err(format!("a tokenizer of {} tokens", packed.size));
        }
        let engine = Engine::of(&json)?;
        if engine.size().is_ok_and(|size| size != packed.size) {
            return Err(format!(
                "a tokenizer that does not have the {} tokens it is said to have",
                packed.size
            ));
        }
        Ok(Tokenizer { json: json.into(), size: packed.size, engine })
    }
}

#[cfg(feature = "tokenizers")]
use with::Engine;
#[cfg(not(feature = "tokenizers"))]
use without::Engine;

#[cfg(feature = "tokenizers")]
mod with {
    use super::{Error, MAX_TOKENS};
    use serde_json::Value;
    use std::sync::Arc;

    /// What encodes and decodes.
    #[derive(Clone)]
    pub struct Engine(Arc<tokenizers::Tokenizer>);

    impl Engine {
        pub fn of(json: &str) -> Result<Engine, String> {
            let value: Value = serde_json::from_str(json).map_err(|e| e.to_string())?;
            // A text would have other tokens each time.
            if value["model"]["dropout"].as_f64().is_some_and(|share| share > 0.0) {
                return Err("model.dropout, by which tokens are drawn at random".into());
            }
            let mut engine = tokenizers::Tokenizer::from_bytes(json.as_bytes()).map_err(|e| e.to_string())?;
            engine.with_truncation(None).map_err(|e| e.to_string())?;
            engine.with_padding(None);
            Ok(Engine(Arc::new(engine)))
        }

        pub fn size(&self) -> Result<usize, Error> {
            let last = self.0.get_vocab(true).into_values().max();
            let size = last.map_or(0, |last| last as usize + 1);
            if !(1..=MAX_TOKENS).contains(&size) {
                let problem = format!("a tokenizer of {size} tokens");
                return Err(Error::usage(problem, format!("use one that has some, at most {MAX_TOKENS}")));
            }
            Ok(size)
        }

        pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
            let encoded = self.0.encode_fast(text, false);
            Ok(encoded.map_err(|e| refused("encoded", &*e))?.get_ids().to_vec())
        }

        pub fn decode(&self, tokens: &[u32]) -> Result<String, Error> {
            self.0.decode(tokens, false).map_err(|e| refused("decoded", &*e))
        }
    }

    fn refused(what: &str, e: &dyn std::error::Error) -> Error {
        Error::usage(format!("the text cannot be {what} by the tokenizer: {e}"), "use another tokenizer.json")
    }
}

#[cfg(not(feature = "tokenizers"))]
mod without {
    use super::Error;

    /// Nothing: neither encodes nor decodes.
    #[derive(Clone)]
    pub struct Engine;

    impl Engine {
        pub fn of(_: &str) -> Result<Engine, String> {
            Ok(Engine)
        }

        pub fn size(&self) -> Result<usize, Error> {
            Err(missing())
        }

        pub fn encode(&self, _: &str) -> Result<Vec<u32>, Error> {
            Err(missing())
        }

        pub fn decode(&self, _: &[u32]) -> Result<String, Error> {
            Err(missing())
        }
    }

    fn missing() -> Error {
        Error::usage(
            "this program was built without what applies a tokenizer.json",
            "build it with `cargo build --release -p ironlearn-cli --features tokenizers`",
        )
    }
}
