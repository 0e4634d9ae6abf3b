//! The reference of the job file, made from the declarations of its sections.

use super::data::Data;
use super::initial::Initial;
use super::loss::Loss;
use super::model::Model;
use super::network::{Layer, Network};
use super::optimizer::Optimizer;
use super::output::{Output, Picture};
use super::schedule::Schedule;
use super::section::{KeyDoc, Section};
use super::term::TermDoc;
use super::training::Training;
use std::fmt::Write;

/// The reference of one section.
pub(crate) struct SectionDoc {
    pub name: &'static str,
    pub about: String,
    pub keys: Vec<KeyDoc>,
}

/// Every section in the order of the file.
pub(crate) fn sections() -> Vec<SectionDoc> {
    fn of<S: Section>(name: &'static str) -> SectionDoc {
        SectionDoc { name, about: S::about(), keys: S::docs() }
    }
    vec![
        of::<Data>("data"),
        of::<Model>("model"),
        of::<Network>("network"),
        of::<Loss>("loss"),
        of::<Optimizer>("optimizer"),
        of::<Schedule>("schedule"),
        of::<Training>("train"),
        of::<Picture>("picture"),
        of::<Output>("output"),
    ]
}

/// The key of a job with this last part, such as `train.epochs` for `epochs`: of the training, or the first in the
/// order of the file. Also found by `lr` and `learning_rate`, as others call the rate.
pub fn key_named(name: &str) -> Option<String> {
    let name = if ["lr", "learning_rate"].contains(&name) { "rate" } else { name };
    let of_section =
        |s: &SectionDoc| s.keys.iter().any(|k| k.key == name).then(|| format!("{}.{name}", s.name));
    let mut sections = sections();
    sections.sort_by_key(|s| s.name != "train");
    sections.iter().find_map(of_section)
}

/// The reference of the job file as Markdown that also reads well on a terminal: every section, every
/// key with type, default and meaning, every layer and initialiser.
pub fn help() -> String {
    let mut text = String::from(INTRODUCTION);
    for section in sections() {
        text.push_str(&format!("\n## [{}]\n\n{}\n\n", section.name, section.about));
        for doc in section.keys.iter().filter(|doc| doc.of_kind.is_none()) {
            // The kinds of a section are what the section is about, which was just said.
            let about = if doc.about == section.about { "" } else { &doc.about };
            key(&mut text, "", &KeyDoc { about: about.into(), ..doc.clone() });
            if doc.key == "kind" {
                kinds(&mut text, doc, &section.keys);
            }
        }
    }
    text.push_str("\n## Layers\n\n");
    Layer::docs().iter().for_each(|doc| term(&mut text, doc));
    text.push_str("\n## Initialisers\n\n");
    Initial::docs().iter().for_each(|doc| term(&mut text, doc));
    text
}

const INTRODUCTION: &str = "\
# The job file

A TOML file; every key may be left out. Paths are relative to the file, and a leading
`$IRONLEARN_DATA` stands for the folder that this environment variable names (`../shared/data`
where it is not set). `--set key.path=value` overrides a key before anything else is looked at:
`--set train.epochs=5`, `--set network.layers.0.linear=64`, `--set data.picture=cat.png` (a path on
the command line is relative to the current folder).

- `name`: a text. Default: the name of the file. Part of the name of the run directory.
";

fn key(text: &mut String, indent: &str, doc: &KeyDoc) {
    let default = doc.default.as_ref().map_or(String::new(), |default| format!(" Default: {default}."));
    // Writing to a String cannot fail.
    let line = format!("{indent}- `{}`: {}.{default} {}", doc.key, doc.value, doc.about);
    let _ = writeln!(text, "{}", line.trim_end());
    if doc.key != "kind" {
        doc.choices.iter().for_each(|choice| word(text, indent, choice));
    }
}

/// The kinds of a section, each with the keys of its own.
fn kinds(text: &mut String, doc: &KeyDoc, keys: &[KeyDoc]) {
    for choice in &doc.choices {
        word(text, "", choice);
        keys.iter().filter(|doc| doc.of_kind == Some(choice.0)).for_each(|doc| key(text, "    ", doc));
    }
}

fn word(text: &mut String, indent: &str, (word, about): &(&'static str, String)) {
    let _ = writeln!(text, "{indent}  - `{word:?}`: {about}");
}

fn term(text: &mut String, doc: &TermDoc) {
    let _ = writeln!(text, "- `{}`: {}", doc.word, doc.about);
    doc.keys.iter().for_each(|doc| key(text, "  ", doc));
}
