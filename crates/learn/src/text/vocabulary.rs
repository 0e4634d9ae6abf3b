//! [`Vocabulary`]: the tokens of a text and their numbers.

use super::Tokenizer;
use crate::Error;
use crate::io::read;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use unicode_segmentation::UnicodeSegmentation;

/// Characters that a message lists of those that a model knows.
const ALPHABET: usize = 60;

/// What a token of a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A Unicode scalar value.
    Character,
    /// An extended grapheme cluster (Unicode Standard Annex 29): what a reader takes for one letter.
    Grapheme,
}

impl Unit {
    /// The tokens of a text, one after the other.
    pub fn split<'t>(self, text: &'t str) -> Box<dyn Iterator<Item = &'t str> + 't> {
        match self {
            Unit::Character => Box::new(text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()])),
            Unit::Grapheme => Box::new(text.graphemes(true)),
        }
    }
}

/// The tokens of texts and their numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Vocabulary(Kind);

/// What the tokens are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Kind {
    /// The different units of a text, in the order of their code points; the place of one is its number.
    Units {
        unit: Unit,
        tokens: Vec<String>,
    },
    Tokenizer(Tokenizer),
}

impl Vocabulary {
    /// The tokens of a text.
    pub fn of(text: &str, unit: Unit) -> Vocabulary {
        let tokens: BTreeSet<&str> = unit.split(text).collect();
        Vocabulary(Kind::Units { unit, tokens: tokens.into_iter().map(str::to_owned).collect() })
    }

    /// The tokens of a tokenizer of Hugging Face, a file `tokenizer.json`.
    ///
    /// # Errors
    /// As [`Tokenizer::read`].
    pub fn of_tokenizer(path: &Path) -> Result<Vocabulary, Error> {
        Ok(Vocabulary(Kind::Tokenizer(Tokenizer::read(path)?)))
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        match &self.0 {
            Kind::Units { tokens, .. } => tokens.len(),
            Kind::Tokenizer(tokenizer) => tokenizer.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of the token that is this text.
    pub fn number(&self, text: &str) -> Option<usize> {
        match &self.0 {
            Kind::Units { tokens, .. } => tokens.iter().position(|other| other == text),
            Kind::Tokenizer(tokenizer) => match tokenizer.encode(text).ok()?[..] {
                [token] => Some(token as usize),
                _ => None,
            },
        }
    }

    /// How many tokens a text has.
    ///
    /// # Errors
    /// As [`Vocabulary::encode`], but for tokens that are not known.
    pub fn count(&self, text: &str) -> Result<usize, Error> {
        match &self.0 {
            Kind::Units { unit, .. } => Ok(unit.split(text).count()),
            Kind::Tokenizer(tokenizer) => Ok(tokenizer.encode(text)?.len()),
        }
    }

    /// The text of tokens; nothing for numbers that no token has.
    ///
    /// # Errors
    /// [`Error::Usage`] where a tokenizer cannot decode them, and without the feature `tokenizers`.
    pub fn decode(&self, numbers: &[u32]) -> Result<String, Error> {
        match &self.0 {
            Kind::Units { tokens, .. } => {
                Ok(numbers.iter().filter_map(|&n| tokens.get(n as usize)).map(String::as_str).collect())
            }
            Kind::Tokenizer(tokenizer) => tokenizer.decode(numbers),
        }
    }

    /// The numbers of a text's tokens.
    ///
    /// # Errors
    /// [`Error::Usage`] with the first token that is not known, or where a tokenizer cannot encode the text;
    /// [`Error::Memory`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let (unit, tokens) = match &self.0 {
            Kind::Units { unit, tokens } => (unit, tokens),
            Kind::Tokenizer(tokenizer) => return tokenizer.encode(text),
        };
        let numbers: HashMap<&str, u32> = (0..).zip(tokens).map(|(i, token)| (token.as_str(), i)).collect();
        let mut encoded = Vec::new();
        read::reserve(&mut encoded, unit.split(text).count() as u64, "the text as numbers")?;
        for (at, token) in unit.split(text).enumerate() {
            let number = numbers.get(token).copied().ok_or_else(|| {
                let known: Vec<char> = tokens.concat().trim().chars().collect();
                let more = match known.len().saturating_sub(ALPHABET) {
                    0 => String::new(),
                    more => format!(" and {more} more"),
                };
                let known: String = known.into_iter().take(ALPHABET).collect();
                Error::usage(
                    format!("{token:?}, character {at} of the text, is none that the model has learned"),
                    format!("use only these: {known}{more}"),
                )
            });
            encoded.push(number?);
        }
        Ok(encoded)
    }

    /// Whether a character may take several tokens, so that what is written has to wait for them.
    pub(super) fn has_parts(&self) -> bool {
        matches!(self.0, Kind::Tokenizer(_))
    }

    /// What in a vocabulary from a file contradicts itself, if anything does.
    pub(crate) fn check(&self) -> Result<(), String> {
        let Kind::Units { tokens, .. } = &self.0 else { return Ok(()) };
        let distinct: BTreeSet<&String> = tokens.iter().collect();
        if distinct.len() != tokens.len() || distinct.iter().any(|token| token.is_empty()) {
            return Err("a vocabulary with a token twice, or one without letters".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_and_what_readers_take_for_one() {
        // A Bengali syllable of two characters, and an e with an accent of its own.
        let text = "কি কি e\u{301}e";
        let characters = Vocabulary::of(text, Unit::Character);
        let graphemes = Vocabulary::of(text, Unit::Grapheme);
        assert_eq!((characters.len(), graphemes.len()), (5, 4));
        let encoded = graphemes.encode("কিe\u{301}e").unwrap();
        assert_eq!((encoded.len(), graphemes.decode(&encoded).unwrap().as_str()), (3, "কিe\u{301}e"));
        // As models have it that were written before.
        let json = serde_json::to_string(&graphemes).unwrap();
        assert!(json.starts_with("{\"unit\":\"grapheme\",\"tokens\":["), "{json}");
        assert_eq!(serde_json::from_str::<Vocabulary>(&json).unwrap(), graphemes);
        assert_eq!(characters.encode(text).unwrap().len(), text.chars().count());
        let error = graphemes.encode("e\u{301}x").unwrap_err().to_string();
        assert!(error.contains("\"x\", character 1"), "{error}");
    }
}
