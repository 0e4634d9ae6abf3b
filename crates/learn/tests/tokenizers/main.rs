//! Texts in the tokens of `tokenizer.json` files; numbers and texts are those of Hugging Face's package (`make.py`).
#![allow(clippy::unwrap_used, reason = "a test may fail by it")]

use ironlearn::text::{Decoder, Tokenizer, Vocabulary};
use serde_json::Value;
use std::path::{Path, PathBuf};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tokenizers").join(name)
}

fn vocabulary(name: &str) -> Vocabulary {
    Vocabulary::of_tokenizer(&file(name)).unwrap()
}

#[test]
fn numbers_and_texts_are_those_of_the_python_package() {
    let expected: Value =
        serde_json::from_str(&std::fs::read_to_string(file("expected.json")).unwrap()).unwrap();
    let texts: Vec<String> = serde_json::from_value(expected["texts"].clone()).unwrap();
    for name in ["bytes", "pieces"] {
        let tokenizer = Tokenizer::read(&file(&format!("{name}.json"))).unwrap();
        let expected = &expected[name];
        assert_eq!(tokenizer.len(), expected["size"].as_u64().unwrap() as usize);
        let ids: Vec<Vec<u32>> = serde_json::from_value(expected["ids"].clone()).unwrap();
        let decoded: Vec<String> = serde_json::from_value(expected["decoded"].clone()).unwrap();
        for ((text, ids), decoded) in texts.iter().zip(ids).zip(decoded) {
            assert_eq!(tokenizer.encode(text).unwrap(), ids, "{name}: {text:?}");
            assert_eq!(tokenizer.decode(&ids).unwrap(), decoded, "{name}: {text:?}");
            assert!(name != "bytes" || decoded == *text);
        }
    }
}

#[test]
fn it_travels_as_text_and_damage_is_refused() {
    let tokenizer = Tokenizer::read(&file("bytes.json")).unwrap();
    let text = serde_json::to_string(&tokenizer).unwrap();
    assert!(text.len() < 4000, "{}", text.len());
    let again: Tokenizer = serde_json::from_str(&text).unwrap();
    assert_eq!(
        (&again, again.encode("the oak").unwrap()),
        (&tokenizer, tokenizer.encode("the oak").unwrap())
    );
    for (from, to) in
        [("\"size\":320", "\"size\":321"), ("\"size\":320", "\"size\":0"), ("eJ", "!!"), ("eJ", "aa")]
    {
        assert!(serde_json::from_str::<Tokenizer>(&text.replacen(from, to, 1)).is_err(), "{to}");
    }
    let json = std::fs::read_to_string(file("bytes.json")).unwrap();
    let other = tempfile::NamedTempFile::new().unwrap();
    for (bad, expected) in [
        (json.replace("\"dropout\":null", "\"dropout\":0.1"), "drawn at random"),
        (json.replace("\"BPE\"", "\"XYZ\""), "no tokenizer that is read"),
        ("[1]".into(), "no tokenizer that is read"),
    ] {
        std::fs::write(other.path(), bad).unwrap();
        let error = Tokenizer::read(other.path()).unwrap_err();
        assert!(error.to_string().contains(expected) && error.exit_code() == 3, "{error}");
    }
}

#[test]
fn parts_of_characters_wait_for_the_rest() {
    let vocabulary = vocabulary("bytes.json");
    let text = "ζ 漢字 🌳 কি é, oak";
    let tokens = vocabulary.encode(text).unwrap();
    let mut decoder = Decoder::default();
    let pieces: Vec<String> = tokens.iter().map(|&token| decoder.push(&vocabulary, token).unwrap()).collect();
    assert_eq!(pieces.concat(), text);
    assert!(pieces.iter().any(String::is_empty) && !pieces.concat().contains('\u{fffd}'), "{pieces:?}");
    assert_eq!(decoder.finish(&vocabulary).unwrap(), "");
    // A character without an end does not hold back what follows for ever, and is told at the end.
    let first = vocabulary.encode("漢").unwrap()[0];
    let mut decoder = Decoder::default();
    let text: String = [first; 4].iter().map(|&t| decoder.push(&vocabulary, t).unwrap()).collect();
    assert!(!text.is_empty() && text.chars().all(|c| c == '\u{fffd}'), "{text:?}");
    assert_eq!(decoder.push(&vocabulary, first).unwrap(), "");
    assert_eq!(decoder.finish(&vocabulary).unwrap(), "\u{fffd}");
}

#[test]
fn spaces_between_words_depend_on_what_came_before() {
    let vocabulary = vocabulary("pieces.json");
    let tokens = vocabulary.encode("the oak and the elm").unwrap();
    let mut decoder = Decoder::after(&tokens[..2]);
    let text: String = tokens[2..].iter().map(|&t| decoder.push(&vocabulary, t).unwrap()).collect();
    assert_eq!(vocabulary.decode(&tokens[..2]).unwrap() + &text, "the oak and the elm");
}
