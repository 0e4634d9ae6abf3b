//! [`Vocabulary`]: the tokens of a text and their numbers.

use crate::Error;
use crate::error::beginning;
use crate::io::read;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use unicode_segmentation::UnicodeSegmentation;

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

/// The different tokens of a text, in the order of their code points; the place of one is its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Vocabulary {
    unit: Unit,
    tokens: Vec<String>,
}

impl Vocabulary {
    /// The tokens of a text.
    pub fn of(text: &str, unit: Unit) -> Vocabulary {
        let tokens: BTreeSet<&str> = unit.split(text).collect();
        Vocabulary { unit, tokens: tokens.into_iter().map(str::to_owned).collect() }
    }

    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.tokens.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The text of a token; empty where there is none of this number.
    pub fn token(&self, number: usize) -> &str {
        self.tokens.get(number).map_or("", String::as_str)
    }

    /// The number of a token.
    pub fn number(&self, token: &str) -> Option<usize> {
        self.tokens.iter().position(|other| other == token)
    }

    /// How many tokens a text has.
    pub fn count(&self, text: &str) -> usize {
        self.unit.split(text).count()
    }

    /// The numbers of a text's tokens.
    ///
    /// # Errors
    /// [`Error::Usage`] with the first token that is not known; [`Error::Memory`].
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, Error> {
        let numbers: HashMap<&str, u32> =
            (0..).zip(&self.tokens).map(|(i, token)| (token.as_str(), i)).collect();
        let mut encoded = Vec::new();
        read::reserve(&mut encoded, self.unit.split(text).count() as u64, "the text as numbers")?;
        for (at, token) in self.unit.split(text).enumerate() {
            let number = numbers.get(token).copied().ok_or_else(|| {
                let known: String = self.tokens.concat();
                Error::usage(
                    format!("{token:?}, character {at} of the text, is none that the model has learned"),
                    format!("use only these: {}", beginning(known.trim())),
                )
            });
            encoded.push(number?);
        }
        Ok(encoded)
    }

    /// What in a vocabulary from a file contradicts itself, if anything does.
    pub(crate) fn check(&self) -> Result<(), String> {
        let distinct: BTreeSet<&String> = self.tokens.iter().collect();
        if distinct.len() != self.tokens.len() || distinct.iter().any(|token| token.is_empty()) {
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
        let decoded: String = encoded.iter().map(|&n| graphemes.token(n as usize)).collect();
        assert_eq!((encoded.len(), decoded.as_str()), (3, "কিe\u{301}e"));
        assert_eq!(characters.encode(text).unwrap().len(), text.chars().count());
        let error = graphemes.encode("e\u{301}x").unwrap_err().to_string();
        assert!(error.contains("\"x\", character 1"), "{error}");
    }
}
