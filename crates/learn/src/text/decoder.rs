//! [`Decoder`]: tokens that become text one after the other.

use super::Vocabulary;
use crate::Error;

/// Tokens that may be needed for a character: it has four bytes at most.
const LONGEST: usize = 4;
/// Tokens of what came before that are looked at.
const BEFORE: usize = 8;

/// Turns tokens into text as they come. Where a token is a part of a character, the text waits for the rest of it.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    /// Tokens that have become text last: what stands between words depends on them.
    before: Vec<u32>,
    waiting: Vec<u32>,
}

impl Decoder {
    /// A decoder of what follows these tokens.
    pub fn after(tokens: &[u32]) -> Decoder {
        Decoder { before: tokens[tokens.len().saturating_sub(BEFORE)..].to_vec(), waiting: Vec::new() }
    }

    /// The text that a token completes; empty where it waits for more.
    ///
    /// # Errors
    /// As [`Vocabulary::decode`].
    pub fn push(&mut self, vocabulary: &Vocabulary, token: u32) -> Result<String, Error> {
        if !vocabulary.has_parts() {
            return vocabulary.decode(&[token]);
        }
        self.waiting.push(token);
        let text = self.text(vocabulary)?;
        if text.ends_with(char::REPLACEMENT_CHARACTER) && self.waiting.len() < LONGEST {
            return Ok(String::new());
        }
        self.before = std::mem::take(&mut self.waiting);
        Ok(text)
    }

    /// The text of what still waits, with U+FFFD for what is no whole character.
    ///
    /// # Errors
    /// As [`Vocabulary::decode`].
    pub fn finish(&mut self, vocabulary: &Vocabulary) -> Result<String, Error> {
        let text = if self.waiting.is_empty() { String::new() } else { self.text(vocabulary)? };
        self.before = std::mem::take(&mut self.waiting);
        Ok(text)
    }

    /// The text of what waits, where it stands.
    fn text(&self, vocabulary: &Vocabulary) -> Result<String, Error> {
        let before = vocabulary.decode(&self.before)?;
        let whole = vocabulary.decode(&[&self.before[..], &self.waiting].concat())?;
        match whole.strip_prefix(&before) {
            Some(text) => Ok(text.to_owned()),
            // What came before was no whole character.
            None => vocabulary.decode(&self.waiting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Unit;
    use super::*;

    #[test]
    fn letters_come_as_they_are() {
        let vocabulary = Vocabulary::of("ab�", Unit::Character);
        let mut decoder = Decoder::after(&[0]);
        let text: String = [1, 2, 0].iter().map(|&t| decoder.push(&vocabulary, t).unwrap()).collect();
        assert_eq!(text + &decoder.finish(&vocabulary).unwrap(), "b�a");
    }
}
