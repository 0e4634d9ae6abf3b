//! The types a key of a job can have: how each is read from a tree, written back and described.

use super::error::{Origin, Problem};
use super::tree::{Node, Value};
use crate::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Collects the mistakes of a job while it is read, and knows against what paths are resolved.
pub(crate) struct Reader {
    /// Folder of the job file: paths in the file are relative to it. Empty: left as they are.
    pub folder: PathBuf,
    pub problems: Vec<Problem>,
}

impl Reader {
    pub fn problem(&mut self, origin: &Origin, message: impl Into<String>) {
        self.problems.push(Problem::new(origin, message));
    }

    /// Notes that `path` has a value of the wrong type; returns `None` for the caller to return.
    pub fn mismatch<T>(&mut self, node: &Node, path: &str, expected: &str) -> Option<T> {
        let found = match &node.value {
            Value::Text(text) => format!("the text {text:?}"),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Flag(flag) => flag.to_string(),
            other => other.kind().to_owned(),
        };
        self.problem(&node.origin, format!("{path} must be {expected}, found {found}"));
        None
    }
}

/// A type that the value of a key can have.
pub(crate) trait Setting: Sized {
    /// What an error or the help calls such a value: "a number", "\"f32\" or \"f64\"".
    fn kind() -> String;

    /// Reads the value of the key `path`; notes the mistake and returns `None` where it is not one.
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self>;

    /// The value as it is written in a job file; `None` where the key is left out.
    fn write(&self) -> Option<Value>;

    /// The words that can stand here and what they mean, where it is a choice.
    fn choices() -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

impl Setting for bool {
    fn kind() -> String {
        "true or false".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match node.value {
            Value::Flag(flag) => Some(flag),
            _ => reader.mismatch(node, path, &Self::kind()),
        }
    }
    fn write(&self) -> Option<Value> {
        Some(Value::Flag(*self))
    }
}

impl Setting for f64 {
    fn kind() -> String {
        "a number".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match node.value {
            Value::Float(number) if number.is_finite() => Some(number),
            // Exact up to 2^53, far beyond any hyper-parameter.
            Value::Integer(number) => Some(number as f64),
            _ => reader.mismatch(node, path, &Self::kind()),
        }
    }
    fn write(&self) -> Option<Value> {
        Some(Value::Float(*self))
    }
}

impl Setting for u64 {
    fn kind() -> String {
        "a whole number".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match node.value {
            Value::Integer(number) if number >= 0 => Some(number as u64),
            // 1e6 is a float in TOML and a number of epochs to its writer.
            Value::Float(number) if number.fract() == 0.0 && (0.0..=1e15).contains(&number) => {
                Some(number as u64)
            }
            _ => reader.mismatch(node, path, "a whole number from 0"),
        }
    }
    fn write(&self) -> Option<Value> {
        Some(i64::try_from(*self).map_or(Value::Other("an integer beyond 64 bits"), Value::Integer))
    }
}

impl Setting for usize {
    fn kind() -> String {
        u64::kind()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let number = u64::read(node, path, reader)?;
        usize::try_from(number).ok().or_else(|| reader.mismatch(node, path, "a number that fits in memory"))
    }
    fn write(&self) -> Option<Value> {
        (*self as u64).write()
    }
}

impl Setting for String {
    fn kind() -> String {
        "a text".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(text) => Some(text.clone()),
            _ => reader.mismatch(node, path, &Self::kind()),
        }
    }
    fn write(&self) -> Option<Value> {
        Some(Value::Text(self.clone()))
    }
}

/// Paths in the job file are relative to its folder, paths of an override to the current folder; a
/// leading `$IRONLEARN_DATA` stands for [`data_folder`].
impl Setting for PathBuf {
    fn kind() -> String {
        "a path".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let Value::Text(text) = &node.value else { return reader.mismatch(node, path, &Self::kind()) };
        if text.is_empty() {
            return Some(Self::new());
        }
        if let Ok(below) = Path::new(text).strip_prefix(format!("${DATA_VARIABLE}")) {
            return Some(absolute(&data_folder().join(below)));
        }
        Some(match node.origin {
            Origin::Override(_) => absolute(Path::new(text)),
            _ => reader.folder.join(text),
        })
    }
    fn write(&self) -> Option<Value> {
        Some(Value::Text(self.to_string_lossy().into_owned()))
    }
}

/// Environment variable that names the folder of shared data sets.
pub const DATA_VARIABLE: &str = "IRONLEARN_DATA";

/// The folder that `$IRONLEARN_DATA` stands for at the start of a path in a job: the environment
/// variable of that name, else `../shared/data` as seen from the current folder.
pub fn data_folder() -> PathBuf {
    std::env::var_os(DATA_VARIABLE)
        .filter(|folder| !folder.is_empty())
        .map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from)
}

/// The error that a file is missing because [`data_folder`] is, with what to do; any other as it is.
pub(crate) fn without_data_folder(error: Error) -> Error {
    let folder = data_folder();
    match &error {
        Error::Io { path, source, .. }
            if source.kind() == ErrorKind::NotFound
                && path.starts_with(absolute(&folder))
                && !folder.is_dir() =>
        {
            let (path, shown) = (path.display(), folder.display());
            let problem = format!(
                "cannot open {path}: ${DATA_VARIABLE} stands for {shown}, and there is no such folder"
            );
            let hint =
                format!("set {DATA_VARIABLE} to the folder with the data sets, or name the file with --set");
            Error::usage(problem, hint)
        }
        _ => error,
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

impl Setting for Duration {
    fn kind() -> String {
        "a duration such as \"90s\", \"10m\", \"1h30m\"".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::Text(text) => parse_duration(text),
            _ => None,
        }
        .or_else(|| reader.mismatch(node, path, &Self::kind()))
    }
    fn write(&self) -> Option<Value> {
        let (seconds, milliseconds) = (self.as_secs(), self.subsec_millis());
        Some(Value::Text(match milliseconds {
            0 => format!("{seconds}s"),
            _ => format!("{seconds}.{milliseconds:03}s"),
        }))
    }
}

/// Reads a duration such as `90s`, `1.5h`, `1h30m` or `250ms` (units `ms`, `s`, `m`, `h`, `d`), to the
/// millisecond. `None` if it is not one, if it is zero, or if it is longer than a hundred years.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let end = rest[number..].find(|c: char| !c.is_ascii_alphabetic()).map_or(rest.len(), |n| number + n);
        let unit = match &rest[number..end] {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        seconds += rest[..number].parse::<f64>().ok()? * unit;
        rest = rest[end..].trim_start();
    }
    let milliseconds = (seconds * 1000.0).round();
    (1.0..=3.2e12).contains(&milliseconds).then(|| Duration::from_millis(milliseconds as u64))
}

impl<T: Setting> Setting for Option<T> {
    fn kind() -> String {
        T::kind()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        T::read(node, path, reader).map(Some)
    }
    fn write(&self) -> Option<Value> {
        self.as_ref().and_then(T::write)
    }
}

/// Mistakes after which no further element of a list or key of a table is looked at.
pub(crate) const MAX_PROBLEMS: usize = 100;

impl<T: Setting> Setting for Vec<T> {
    fn kind() -> String {
        format!("a list, each element {}", T::kind())
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        let Value::List(list) = &node.value else { return reader.mismatch(node, path, &Self::kind()) };
        let mut elements = Vec::new();
        for (i, node) in list.iter().enumerate() {
            // Nobody reads more, and a long list of mistakes takes its time.
            if reader.problems.len() >= MAX_PROBLEMS {
                return None;
            }
            elements.push(T::read(node, &format!("{path}.{i}"), reader));
        }
        elements.into_iter().collect()
    }
    fn write(&self) -> Option<Value> {
        Some(Value::List(self.iter().filter_map(T::write).map(Node::from).collect()))
    }
}

impl Setting for [usize; 2] {
    fn kind() -> String {
        "a list of two whole numbers such as [512, 256]".into()
    }
    fn read(node: &Node, path: &str, reader: &mut Reader) -> Option<Self> {
        match &node.value {
            Value::List(list) if list.len() == 2 => {
                Some([usize::read(&list[0], path, reader)?, usize::read(&list[1], path, reader)?])
            }
            _ => reader.mismatch(node, path, &Self::kind()),
        }
    }
    fn write(&self) -> Option<Value> {
        self.to_vec().write()
    }
}

/// Declares an enum whose values are words: `choice! { /// … Name { /// … Variant = "word", … } }`.
macro_rules! choice {
    ($(#[doc = $about:literal])+ $name:ident { $($(#[doc = $doc:literal])+ $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $doc])+ $variant,)+ }

        impl $name {
            /// The word that stands for it in a job file.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl $crate::job::setting::Setting for $name {
            fn kind() -> String {
                $crate::job::setting::one_of(&[$($word),+])
            }
            fn read(
                node: &$crate::job::tree::Node,
                path: &str,
                reader: &mut $crate::job::setting::Reader,
            ) -> Option<Self> {
                match &node.value {
                    $($crate::job::tree::Value::Text(text) if text == $word => Some(Self::$variant),)+
                    _ => reader.mismatch(node, path, &Self::kind()),
                }
            }
            fn write(&self) -> Option<$crate::job::tree::Value> {
                Some($crate::job::tree::Value::Text(self.word().into()))
            }
            fn choices() -> Vec<(&'static str, String)> {
                vec![$(($word, $crate::job::section::prose(&[$($doc),+])),)+]
            }
        }
    };
}
pub(crate) use choice;

/// `"a", "b" or "c"`.
pub(crate) fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

/// A condition on the value of a key beyond its type.
pub(crate) struct Check<T: 'static> {
    pub holds: fn(&T) -> bool,
    /// Completes "must be …".
    pub text: &'static str,
}

impl<T> Check<T> {
    pub const fn new(holds: fn(&T) -> bool, text: &'static str) -> Self {
        Self { holds, text }
    }
}

/// Conditions that several sections share.
pub(crate) mod check {
    use super::Check;
    use crate::picture::MAX_PIXELS;
    use std::path::PathBuf;

    pub const POSITIVE: Check<f64> = Check::new(|v| *v > 0.0, "greater than 0");
    pub const NOT_NEGATIVE: Check<f64> = Check::new(|v| *v >= 0.0, "at least 0");
    pub const FROM_0_TO_1: Check<f64> = Check::new(|v| (0.0..=1.0).contains(v), "from 0 to 1");
    pub const BELOW_1: Check<f64> = Check::new(|v| (0.0..1.0).contains(v), "from 0 to below 1");
    pub const OPTIONAL_POSITIVE: Check<Option<f64>> =
        Check::new(|v| v.is_none_or(|v| v > 0.0), "greater than 0");
    pub const OPTIONAL_BELOW_1: Check<Option<f64>> =
        Check::new(|v| v.is_none_or(|v| (0.0..1.0).contains(&v)), "from 0 to below 1");
    pub const AT_LEAST_1: Check<usize> = Check::new(|v| *v >= 1, "at least 1");
    pub const COUNT: Check<u64> = Check::new(|v| *v >= 1, "at least 1");
    pub const SIZE: Check<Option<[usize; 2]>> = Check::new(
        |v| v.is_none_or(is_size),
        "a width and a height of at least 1, 40 million pixels at most",
    );
    fn is_size([width, height]: [usize; 2]) -> bool {
        width.checked_mul(height).is_some_and(|area| area > 0 && area as u64 <= MAX_PIXELS)
    }
    pub const FILE: Check<PathBuf> = Check::new(|v| !v.as_os_str().is_empty(), "not empty");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, milliseconds) in
            [("90s", 90_000), ("10m", 600_000), ("1h30m", 5_400_000), ("1.5h", 5_400_000), ("250ms", 250)]
        {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "10", "m", "10x", "-5s", "0s", "1..5s", "9999999d", "1e3s", "ten minutes"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn durations_are_written_so_that_they_read_back() {
        for milliseconds in [1, 250, 1000, 90_050, 86_400_000] {
            let duration = Duration::from_millis(milliseconds);
            let Some(Value::Text(text)) = duration.write() else { panic!("not a text") };
            assert_eq!(parse_duration(&text), Some(duration), "{text}");
        }
    }
}
