//! Sections of a job, declared once: from one declaration come the struct with its documentation,
//! its defaults, its reading, its writing and its page of help.

use super::error::{Origin, Problem};
use super::nearest::nearest;
use super::setting::{Check, Reader, Setting};
use super::tree::{Entry, Node, Value};

/// What the help says about one key.
#[derive(Clone, Debug, PartialEq)]
pub struct KeyDoc {
    /// The key, `kind` included.
    pub key: &'static str,
    /// The word of the kind that the key belongs to; `None`: to the section, whatever its kind.
    pub of_kind: Option<&'static str>,
    /// What its value is: "a number greater than 0".
    pub value: String,
    /// Its default as it would be written; `None` where the key is unset or must be given.
    pub default: Option<String>,
    /// What it means.
    pub about: String,
    /// The words it can be and what they mean, where it is a choice.
    pub choices: Vec<(&'static str, String)>,
}

/// The keys of a table that have not been read yet.
pub(crate) struct Keys {
    /// Name of the table in messages, such as `optimizer` or `network.layers.0`.
    pub path: String,
    pub entries: Vec<Entry>,
}

impl Keys {
    pub fn take(&mut self, key: &str) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index))
    }

    /// Path of a key of this table.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reads one key, or takes its default where it does not stand there.
    pub fn field<T: Setting>(
        &mut self,
        key: &str,
        default: T,
        checks: &[&Check<T>],
        reader: &mut Reader,
    ) -> T {
        let path = self.path_of(key);
        let (value, origin) = match self.take(key) {
            None => (default, Origin::Absent),
            Some(entry) => match T::read(&entry.node, &path, reader) {
                Some(value) => (value, entry.node.origin),
                // The mistake is noted: the job will not be returned, so any value will do.
                None => return default,
            },
        };
        check_all(&value, &path, &origin, checks, reader);
        value
    }

    /// Notes every key that nobody has read, with the nearest one that exists. `kind` is the word of
    /// the table's kind, if it has one.
    pub fn finish(self, docs: &[KeyDoc], kind: Option<&str>, reader: &mut Reader) {
        for entry in self.entries.iter().take(super::setting::MAX_PROBLEMS) {
            let path = self.path_of(&entry.key);
            let owners: Vec<&str> =
                docs.iter().filter(|doc| doc.key == entry.key).filter_map(|doc| doc.of_kind).collect();
            let problem = if let (Some(kind), false) = (kind, owners.is_empty()) {
                Problem::new(&entry.origin, format!("{path} has no use with kind {kind:?}"))
                    .hint(format!("it belongs to {}", super::setting::one_of(&owners)))
            } else {
                let usable = docs.iter().filter(|doc| doc.of_kind.is_none() || doc.of_kind == kind);
                let known: Vec<&str> = usable.map(|doc| doc.key).collect();
                unknown(format!("unknown key {path}"), &entry.key, &known, &entry.origin)
            };
            reader.problems.push(problem);
        }
    }
}

/// An unknown word, with the nearest known one or else all of them.
pub(crate) fn unknown(message: String, word: &str, known: &[&str], origin: &Origin) -> Problem {
    let problem = Problem::new(origin, message);
    match nearest(word, known.iter().copied()) {
        Some(near) => problem.hint(format!("did you mean {near}?")),
        None => problem.hint(format!("known are {}", known.join(", "))),
    }
}

/// A group of keys: a section, or the kinds of one.
pub(crate) trait Section: Sized {
    /// What the group is for.
    fn about() -> String;
    /// Reads the keys of the group, with defaults for what is not there.
    fn read(keys: &mut Keys, reader: &mut Reader) -> Self;
    /// Writes every key of the group.
    fn write(&self, entries: &mut Vec<Entry>);
    /// Every key, of every kind.
    fn docs() -> Vec<KeyDoc>;
    /// The word of the kind that was read; `None` for a section that has no kinds.
    fn kind(&self) -> Option<&'static str>;

    /// Takes the table `name` out of a document and reads it as this section.
    fn take(document: &mut Keys, name: &str, reader: &mut Reader) -> Self {
        let entries = match document.take(name) {
            None => Vec::new(),
            Some(Entry { node: Node { value: Value::Table(entries), .. }, .. }) => entries,
            Some(entry) => {
                let message = format!("{name} must be a section, found {}", entry.node.value.kind());
                let problem = Problem::new(&entry.node.origin, message);
                reader.problems.push(problem.hint(format!("write its keys below [{name}]")));
                Vec::new()
            }
        };
        let mut keys = Keys { path: name.into(), entries };
        let section = Self::read(&mut keys, reader);
        keys.finish(&Self::docs(), section.kind(), reader);
        section
    }
}

/// Notes every condition that a value does not meet.
pub(crate) fn check_all<T: Setting>(
    value: &T,
    path: &str,
    origin: &Origin,
    checks: &[&Check<T>],
    reader: &mut Reader,
) {
    for check in checks.iter().filter(|check| !(check.holds)(value)) {
        let found = value.write().map_or("nothing".into(), |v| super::write::inline(&v));
        reader.problem(origin, format!("{path} must be {}, found {found}", check.text));
    }
}

/// Appends `key = value` unless the value is an unset option.
pub(crate) fn put<T: Setting>(entries: &mut Vec<Entry>, key: &str, value: &T) {
    if let Some(value) = value.write() {
        entries.push(Entry { key: key.into(), origin: Origin::Absent, node: value.into() });
    }
}

/// The page of help of one key.
pub(crate) fn doc<T: Setting>(
    key: &'static str,
    of_kind: Option<&'static str>,
    default: Option<&T>,
    checks: &[&Check<T>],
    about: &[&str],
) -> KeyDoc {
    let value = checks.iter().fold(T::kind(), |text, check| format!("{text}, {}", check.text));
    let default = default.and_then(T::write).map(|value| super::write::inline(&value));
    KeyDoc { key, of_kind, value, default, about: prose(about), choices: T::choices() }
}

/// Doc comment lines as one paragraph.
pub(crate) fn prose(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// Declares a section: `section! { /// … Name { flatten rule: Kinds, /// … key: Type = default, CHECK; … } }`.
/// The part `flatten` may be left out; a check may follow a default.
macro_rules! section {
    ($(#[doc = $about:literal])+ $name:ident {
        $(flatten $flat:ident: $flat_type:ty,)?
        $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr $(, $check:expr)?;)*
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(/// The key `kind`, with the keys of its own.
            pub $flat: $flat_type,)?
            $($(#[doc = $doc])+ pub $key: $type,)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($flat: <$flat_type>::default(),)? $($key: $default,)* }
            }
        }

        impl $crate::job::section::Section for $name {
            fn about() -> String {
                $crate::job::section::prose(&[$($about),+])
            }
            fn read(
                keys: &mut $crate::job::section::Keys,
                reader: &mut $crate::job::setting::Reader,
            ) -> Self {
                Self {
                    $($flat: <$flat_type as $crate::job::section::Section>::read(keys, reader),)?
                    $($key: keys.field::<$type>(stringify!($key), $default, &[$(&$check)?], reader),)*
                }
            }
            fn write(&self, entries: &mut Vec<$crate::job::tree::Entry>) {
                $($crate::job::section::Section::write(&self.$flat, entries);)?
                $($crate::job::section::put(entries, stringify!($key), &self.$key);)*
            }
            fn docs() -> Vec<$crate::job::section::KeyDoc> {
                #[allow(unused_mut, reason = "only some sections have kinds")]
                let mut docs = Vec::new();
                $(docs.extend(<$flat_type as $crate::job::section::Section>::docs());)?
                docs.extend([$($crate::job::section::doc::<$type>(
                    stringify!($key), None, Some(&$default), &[$(&$check)?], &[$($doc),+],
                ),)*]);
                docs
            }
            fn kind(&self) -> Option<&'static str> {
                #[allow(unused_mut, unused_assignments, reason = "only some sections have kinds")]
                let mut kind = None;
                $(kind = self.$flat.kind();)?
                kind
            }
        }
    };
}
pub(crate) use section;

/// Declares the kinds of a section, each with keys of its own:
/// `kinds! { /// … Name = Default { /// … Variant = "word" { /// … key: Type = default; } … } }`.
macro_rules! kinds {
    ($(#[doc = $about:literal])+ $name:ident = $first:ident {
        $($(#[doc = $kind_about:literal])+ $variant:ident = $word:literal
            $({ $($(#[doc = $doc:literal])+ $key:ident: $type:ty = $default:expr $(, $check:expr)?;)+ })?,)+
    }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub enum $name {
            $($(#[doc = $kind_about])+ $variant $({ $($(#[doc = $doc])+ $key: $type,)+ })?,)+
        }

        impl $name {
            /// Every kind: its word and what it is.
            pub fn kinds() -> Vec<(&'static str, String)> {
                vec![$(($word, $crate::job::section::prose(&[$($kind_about),+])),)+]
            }

            /// The word that stands for it in a job file.
            pub fn word(&self) -> &'static str {
                match self { $(Self::$variant { .. } => $word,)+ }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $(if stringify!($first) == stringify!($variant) {
                    return Self::$variant { $($($key: $default,)+)? };
                })+
                unreachable!("the default is one of the variants")
            }
        }

        impl $crate::job::section::Section for $name {
            fn about() -> String {
                $crate::job::section::prose(&[$($about),+])
            }
            fn read(
                keys: &mut $crate::job::section::Keys,
                reader: &mut $crate::job::setting::Reader,
            ) -> Self {
                let words: Vec<&str> = Self::kinds().iter().map(|(word, _)| *word).collect();
                match $crate::job::section::take_kind(keys, &words, Self::default().word(), reader).as_str() {
                    $($word => Self::$variant {
                        $($($key: keys.field::<$type>(
                            stringify!($key), $default, &[$(&$check)?], reader,
                        ),)+)?
                    },)+
                    _ => {
                        // The kind is unknown and noted: its keys cannot be judged.
                        keys.entries.clear();
                        Self::default()
                    }
                }
            }
            fn write(&self, entries: &mut Vec<$crate::job::tree::Entry>) {
                $crate::job::section::put(entries, "kind", &self.word().to_owned());
                match self {
                    $(Self::$variant { $($($key,)+)? } => {
                        $($($crate::job::section::put(entries, stringify!($key), $key);)+)?
                    })+
                }
            }
            fn docs() -> Vec<$crate::job::section::KeyDoc> {
                let words: Vec<&str> = Self::kinds().iter().map(|(word, _)| *word).collect();
                let mut docs = vec![$crate::job::section::KeyDoc {
                    key: "kind",
                    of_kind: None,
                    value: $crate::job::setting::one_of(&words),
                    default: Some(format!("{:?}", Self::default().word())),
                    about: Self::about(),
                    choices: Self::kinds(),
                }];
                docs.extend([$($($($crate::job::section::doc::<$type>(
                    stringify!($key), Some($word), Some(&$default), &[$(&$check)?], &[$($doc),+],
                ),)+)?)+]);
                docs
            }
            fn kind(&self) -> Option<&'static str> {
                Some(self.word())
            }
        }
    };
}
pub(crate) use kinds;

/// Reads the key `kind`: one of `words`, or `default` where it is not given, or an empty text where
/// it is wrong (which is then noted).
pub(crate) fn take_kind(keys: &mut Keys, words: &[&str], default: &str, reader: &mut Reader) -> String {
    let path = keys.path_of("kind");
    let Some(entry) = keys.take("kind") else { return default.to_owned() };
    match &entry.node.value {
        Value::Text(word) if words.contains(&word.as_str()) => word.clone(),
        Value::Text(word) => {
            let message = format!("unknown {path} {word:?}");
            reader.problems.push(unknown(message, word, words, &entry.node.origin));
            String::new()
        }
        _ => {
            reader.mismatch::<()>(&entry.node, &path, &super::setting::one_of(words));
            String::new()
        }
    }
}
