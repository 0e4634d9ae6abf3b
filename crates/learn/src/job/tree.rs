//! A TOML text as a tree in which every value remembers where it was written, and the overrides
//! that are applied to it before anything is typed.

use super::error::{Origin, Problem};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value and the place where it was written.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub value: Value,
    pub origin: Origin,
}

/// A TOML value; tables keep the order in which they were written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Flag(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// Something no key of a job takes: a date, or an integer beyond 64 bits.
    Other(&'static str),
}

/// `key = value`.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub key: String,
    pub origin: Origin,
    pub node: Node,
}

/// Equality of values alone: where they were written makes no difference.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.node == other.node
    }
}

impl From<Value> for Node {
    fn from(value: Value) -> Self {
        Self { value, origin: Origin::Absent }
    }
}

impl Value {
    /// What an error calls this value.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "true/false",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(what) => what,
        }
    }
}

/// The longest job file, in bytes. As a tree it takes much more memory than as a text.
const MAX_BYTES: usize = 256 << 10;

/// Parses a whole TOML document.
pub(crate) fn parse(text: &str) -> Result<Vec<Entry>, Problem> {
    if text.len() > MAX_BYTES {
        let problem =
            format!("the job file is too large: {} bytes, at most {MAX_BYTES} are read", text.len());
        return Err(Problem::new(&Origin::Absent, problem).hint("name a job file"));
    }
    match DeTable::parse(text) {
        Ok(table) => {
            // Where each line ends, so that finding a line takes no look at all before it.
            let ends: Vec<usize> =
                text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at).collect();
            let line_of = |offset: usize| ends.partition_point(|&end| end < offset) + 1;
            Ok(entries(table.get_ref(), &|offset| Origin::Line(line_of(offset))))
        }
        Err(error) => {
            let line = line_of(text, error.span().map_or(text.len(), |span| span.start));
            Err(Problem::new(&Origin::Line(line), format!("not valid TOML: {}", one_line(error.message()))))
        }
    }
}

/// Applies `key.path=value` to a document. The value is taken as TOML if it is TOML, else as a text;
/// a number in the path picks an element of a list.
pub(crate) fn set(document: &mut Vec<Entry>, assignment: &str) -> Result<(), Problem> {
    let origin = Origin::Override(assignment.to_owned());
    let fail = |message: String| Problem::new(&origin, message);
    let Some((path, text)) = assignment.split_once('=') else {
        return Err(
            fail("no value".into()).hint("write --set key.path=value, for example --set train.epochs=5")
        );
    };
    let names: Vec<&str> = path.trim().split('.').map(str::trim).collect();
    if names.iter().any(|name| name.is_empty()) {
        return Err(fail(format!("{path:?} is not a path of keys")).hint("write for example train.epochs"));
    }
    let value = parse_value(text.trim(), &origin);
    set_in_table(document, &names, value, &origin).map_err(fail)
}

fn set_in_table(table: &mut Vec<Entry>, names: &[&str], value: Node, origin: &Origin) -> Result<(), String> {
    let [name, rest @ ..] = names else { return Err("the path of keys is empty".into()) };
    let index = table.iter().position(|entry| entry.key == *name).unwrap_or_else(|| {
        let node = Node { value: Value::Table(Vec::new()), origin: origin.clone() };
        table.push(Entry { key: (*name).into(), origin: origin.clone(), node });
        table.len() - 1
    });
    let entry = &mut table[index];
    if rest.is_empty() {
        entry.node = value;
        entry.origin = origin.clone();
        return Ok(());
    }
    set_in_node(&mut entry.node, name, rest, value, origin)
}

fn set_in_node(
    node: &mut Node,
    name: &str,
    names: &[&str],
    value: Node,
    origin: &Origin,
) -> Result<(), String> {
    match &mut node.value {
        Value::Table(table) => set_in_table(table, names, value, origin),
        Value::List(list) => {
            let length = list.len();
            let element = names[0].parse::<usize>().ok().and_then(|index| list.get_mut(index));
            let Some(element) = element else {
                return Err(format!("{name} is a list of {length}: {} is no index of it", names[0]));
            };
            if names.len() == 1 {
                *element = value;
                return Ok(());
            }
            set_in_node(element, names[0], &names[1..], value, origin)
        }
        other => Err(format!("{name} is {}: it has no key {}", other.kind(), names[0])),
    }
}

fn parse_value(text: &str, origin: &Origin) -> Node {
    let parsed = DeValue::parse(text).ok().map(|value| node(&value, &|_| origin.clone()));
    parsed.unwrap_or_else(|| Node { value: Value::Text(text.to_owned()), origin: origin.clone() })
}

fn entries(table: &DeTable<'_>, origin: &dyn Fn(usize) -> Origin) -> Vec<Entry> {
    let mut spans: Vec<_> = table.iter().collect();
    // The parser sorts by name; the order of writing is that of the keys' offsets.
    spans.sort_by_key(|(key, _)| key.span().start);
    spans
        .into_iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            origin: origin(key.span().start),
            node: node(value, origin),
        })
        .collect()
}

fn node(value: &Spanned<DeValue<'_>>, origin: &dyn Fn(usize) -> Origin) -> Node {
    let converted = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(flag) => Value::Flag(*flag),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map_or(Value::Other("an integer beyond 64 bits"), Value::Integer),
        DeValue::Float(digits) => {
            digits.as_str().parse().map_or(Value::Other("an unreadable number"), Value::Float)
        }
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(list) => Value::List(list.iter().map(|element| node(element, origin)).collect()),
        DeValue::Table(table) => Value::Table(entries(table, origin)),
    };
    Node { value: converted, origin: origin(value.span().start) }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())].iter().filter(|&&byte| byte == b'\n').count() + 1
}

fn one_line(message: &str) -> String {
    message.lines().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(document: &'a [Entry], path: &str) -> &'a Node {
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        let node = &document.iter().find(|entry| entry.key == first).unwrap().node;
        match (&node.value, rest) {
            (_, "") => node,
            (Value::Table(table), rest) => get(table, rest),
            (other, rest) => panic!("{other:?} has no {rest}"),
        }
    }

    #[test]
    fn values_remember_their_lines() {
        let document = parse("a = 1\n[b]\nc = [\n 2.5,\n 'x']\n").unwrap();
        assert_eq!(get(&document, "a").origin, Origin::Line(1));
        let Value::List(list) = &get(&document, "b.c").value else { panic!("not a list") };
        assert_eq!((list[1].origin.clone(), &list[1].value), (Origin::Line(5), &Value::Text("x".into())));
    }

    #[test]
    fn syntax_errors_name_the_line() {
        let problem = parse("a = 1\nb = = 2\n").unwrap_err();
        assert_eq!(problem.origin, Origin::Line(2));
        assert!(problem.message.starts_with("not valid TOML: "), "{}", problem.message);
        assert_eq!(parse("a = 1\na = 2\n").unwrap_err().message, "not valid TOML: duplicate key");
    }

    #[test]
    fn overrides_reach_into_tables_and_lists() {
        let mut document = parse("[n]\nl = [{ linear = 4 }, 'tanh']\n").unwrap();
        for assignment in ["n.l.0.linear=8", "n.l.1=relu", "m.new=[1, 2]", "top = true", "p=a.png"] {
            set(&mut document, assignment).unwrap();
        }
        let expected =
            parse("top = true\np = 'a.png'\n[n]\nl = [{ linear = 8 }, 'relu']\n[m]\nnew = [1, 2]\n").unwrap();
        for key in ["n", "m", "top", "p"] {
            assert_eq!(get(&document, key), get(&expected, key), "{key}");
        }
        assert_eq!(get(&document, "m.new").origin, Origin::Override("m.new=[1, 2]".into()));
    }

    #[test]
    fn overrides_that_cannot_be_applied_say_why() {
        let mut document = parse("[n]\nl = [1]\nx = 3\n").unwrap();
        for (assignment, message) in [
            ("n.x", "no value"),
            ("n..x=1", "\"n..x\" is not a path of keys"),
            ("n.l.1=2", "l is a list of 1: 1 is no index of it"),
            ("n.x.y=2", "x is an integer: it has no key y"),
        ] {
            assert_eq!(set(&mut document, assignment).unwrap_err().message, message, "{assignment}");
        }
    }
}
