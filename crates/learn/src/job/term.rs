//! Values written as one word, or as a table that begins with it: `"tanh"`, `{ linear = 64, bias = false }`.

use super::error::{Origin, Problem};
use super::section::{KeyDoc, Keys, check_all, unknown};
use super::setting::{Check, Reader, Setting};
use super::tree::{Entry, Node, Value};

/// What the help says about one term.
#[derive(Clone, Debug, PartialEq)]
pub struct TermDoc {
    /// The word.
    pub word: &'static str,
    /// What it is.
    pub about: String,
    /// Its argument and its further keys; the argument comes first and has the word as its key.
    pub keys: Vec<KeyDoc>,
}

/// A term as it stands in a job: its word, its argument and its further keys.
pub(crate) struct Term {
    pub word: &'static str,
    pub argument: Option<Node>,
    pub keys: Keys,
    pub origin: Origin,
    takes_argument: bool,
}

/// Splits a value into a term, if its word is one of `docs`; notes the mistake otherwise.
pub(crate) fn take_term(
    node: &Node,
    path: &str,
    what: &str,
    docs: &[TermDoc],
    reader: &mut Reader,
) -> Option<Term> {
    let words: Vec<&'static str> = docs.iter().map(|doc| doc.word).collect();
    let mut keys = Keys { path: path.into(), entries: Vec::new() };
    let (word, argument) = match &node.value {
        Value::Text(text) => (text.as_str(), None),
        Value::Table(entries) => {
            keys.entries = entries.clone();
            let word = words.iter().find(|word| entries.iter().any(|entry| entry.key == **word));
            match (word, entries.first()) {
                (Some(word), _) => (*word, keys.take(word).map(|entry| entry.node)),
                (None, Some(first)) => (first.key.as_str(), None),
                (None, None) => return reader.mismatch(node, path, what),
            }
        }
        _ => return reader.mismatch(node, path, what),
    };
    match words.iter().find(|known| **known == word) {
        Some(word) => Some(Term { word, argument, keys, origin: node.origin.clone(), takes_argument: false }),
        None => {
            let message = format!("unknown {path} {word:?}, which must be {what}");
            reader.problems.push(unknown(message, word, &words, &node.origin));
            None
        }
    }
}

impl Term {
    /// Reads the argument, or takes its default; a missing one without default is noted.
    pub fn argument<T: Setting>(
        &mut self,
        name: &str,
        default: Option<T>,
        checks: &[&Check<T>],
        reader: &mut Reader,
    ) -> Option<T> {
        self.takes_argument = true;
        let path = self.keys.path_of(self.word);
        let value = match (&self.argument, default) {
            (Some(node), _) => T::read(node, &path, reader)?,
            (None, Some(default)) => default,
            (None, None) => {
                let problem = Problem::new(&self.origin, format!("{path} needs its {name}"));
                reader.problems.push(problem.hint(format!("write {{ {} = {name} }}", self.word)));
                return None;
            }
        };
        let origin = self.argument.as_ref().map_or(&self.origin, |node| &node.origin);
        check_all(&value, &path, origin, checks, reader);
        Some(value)
    }

    /// Notes an argument that the word does not take, and keys that nobody has read.
    pub fn finish(self, docs: &[TermDoc], reader: &mut Reader) {
        let word = self.word;
        if let (false, Some(node)) = (self.takes_argument, &self.argument) {
            let path = self.keys.path_of(word);
            let problem = Problem::new(&node.origin, format!("{path} takes no argument"));
            reader.problems.push(problem.hint(format!("write just {word:?}")));
        }
        let keys = docs.iter().find(|doc| doc.word == word).map_or(&[][..], |doc| &doc.keys);
        self.keys.finish(keys, None, reader);
    }
}

/// Writes a term: the bare word if it has neither argument nor keys.
pub(crate) fn write_term(word: &str, argument: Option<Value>, keys: Vec<Entry>) -> Value {
    match argument {
        None => Value::Text(word.into()),
        Some(argument) => {
            let first = Entry { key: word.into(), origin: Origin::Absent, node: argument.into() };
            Value::Table(std::iter::once(first).chain(keys).collect())
        }
    }
}

/// Declares an enum of terms; the first field of a term is its argument, with or without a default:
/// `terms! { /// … Layer "a layer" { /// … Linear = "linear" { /// … units: Units; /// … bias: bool = true; }, … } }`.
macro_rules! terms {
    ($(#[doc = $about:literal])+ $name:ident $what:literal {
        $($(#[doc = $term_about:literal])+ $variant:ident = $word:literal
            $({
                $(#[doc = $main_doc:literal])+
                $main:ident: $main_type:ty $(= $main_default:expr)? $(, $main_check:expr)?;
                $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr $(, $check:expr)?;)*
            })?,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            $($(#[doc = $term_about])+ $variant $({
                $(#[doc = $main_doc])+
                $main: $main_type,
                $($(#[doc = $doc])+ $key: $type,)*
            })?,)+
        }

        impl $name {
            /// Every word of a job file that can stand here, with its argument and keys.
            pub fn docs() -> Vec<$crate::job::term::TermDoc> {
                vec![$($crate::job::term::TermDoc {
                    word: $word,
                    about: $crate::job::section::prose(&[$($term_about),+]),
                    keys: vec![$(
                        $crate::job::section::doc::<$main_type>(
                            $word, None, [$($main_default)?].first(), &[$(&$main_check)?], &[$($main_doc),+],
                        ),
                        $($crate::job::section::doc::<$type>(
                            stringify!($key), None, Some(&$default), &[$(&$check)?], &[$($doc),+],
                        ),)*
                    )?],
                },)+]
            }

            /// The word that stands for it in a job file.
            pub fn word(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $word,)+ }
            }

            fn of_term(
                term: &mut $crate::job::term::Term,
                reader: &mut $crate::job::setting::Reader,
            ) -> Option<Self> {
                Some(match term.word {
                    $($word => {
                        $(let $main = term.argument::<$main_type>(
                            stringify!($main), [$($main_default)?].into_iter().next(), &[$(&$main_check)?], reader,
                        )?;)?
                        Self::$variant { $(
                            $main,
                            $($key: term.keys.field::<$type>(stringify!($key), $default, &[$(&$check)?], reader),)*
                        )? }
                    })+
                    _ => return None,
                })
            }
        }

        impl $crate::job::setting::Setting for $name {
            fn kind() -> String {
                $what.into()
            }
            fn read(
                node: &$crate::job::tree::Node,
                path: &str,
                reader: &mut $crate::job::setting::Reader,
            ) -> Option<Self> {
                let docs = Self::docs();
                let mut term = $crate::job::term::take_term(node, path, $what, &docs, reader)?;
                let read = Self::of_term(&mut term, reader);
                term.finish(&docs, reader);
                read
            }
            fn write(&self) -> Option<$crate::job::tree::Value> {
                #[allow(unused_mut, unused_assignments, reason = "only some terms have an argument")]
                match self {
                    $(Self::$variant { $($main, $($key,)*)? } => {
                        let mut argument = None;
                        let mut keys = Vec::new();
                        $(
                            argument = $crate::job::setting::Setting::write($main);
                            $($crate::job::section::put(&mut keys, stringify!($key), $key);)*
                        )?
                        Some($crate::job::term::write_term($word, argument, keys))
                    })+
                }
            }
        }
    };
}
pub(crate) use terms;
