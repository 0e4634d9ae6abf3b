//! Writing a tree as TOML text.

use super::tree::{Entry, Value};
use std::fmt::Write;

/// A document: values first, then each table as a `[section]` with its keys below it.
pub(crate) fn document(entries: &[Entry]) -> String {
    let mut text = String::new();
    let is_table = |entry: &&Entry| matches!(entry.node.value, Value::Table(_));
    for entry in entries.iter().filter(|entry| !is_table(entry)) {
        line(&mut text, entry);
    }
    for entry in entries.iter().filter(is_table) {
        if let Value::Table(table) = &entry.node.value {
            text.push_str(&format!("\n[{}]\n", entry.key));
            table.iter().for_each(|entry| line(&mut text, entry));
        }
    }
    text
}

/// `key = value`; a list of tables gets a line for each element.
fn line(text: &mut String, entry: &Entry) {
    match &entry.node.value {
        Value::List(list) if list.iter().any(|node| matches!(node.value, Value::Table(_))) => {
            text.push_str(&format!("{} = [\n", entry.key));
            for node in list {
                text.push_str(&format!("    {},\n", inline(&node.value)));
            }
            text.push_str("]\n");
        }
        value => text.push_str(&format!("{} = {}\n", entry.key, inline(value))),
    }
}

/// A value on one line.
pub(crate) fn inline(value: &Value) -> String {
    match value {
        Value::Flag(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        // {:?} writes the shortest digits that read back to the same number, always with a point or
        // an exponent.
        Value::Float(number) => format!("{number:?}"),
        Value::Text(text) => quoted(text),
        Value::List(list) => {
            let elements: Vec<String> = list.iter().map(|node| inline(&node.value)).collect();
            format!("[{}]", elements.join(", "))
        }
        Value::Table(table) => {
            let pairs: Vec<String> =
                table.iter().map(|entry| format!("{} = {}", entry.key, inline(&entry.node.value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Other(what) => quoted(what),
    }
}

/// A value as JSON.
pub(crate) fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Flag(flag) => (*flag).into(),
        Value::Integer(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::List(list) => list.iter().map(|node| json(&node.value)).collect(),
        Value::Table(table) => {
            table.iter().map(|entry| (entry.key.clone(), json(&entry.node.value))).collect()
        }
        Value::Other(what) => (*what).into(),
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            // Writing to a String cannot fail.
            c if c.is_control() => drop(write!(quoted, "\\u{:04X}", c as u32)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::tree::parse;

    #[test]
    fn what_is_written_reads_back() {
        let text = "a = 1\nb = 1e-30\nc = 'quote \" slash \\ bell \u{7} \u{e9}'\n[s]\nd = [[1, 2], []]\n\
                    e = [{ f = 'x', g = [{ h = true }] }, 'i']\n[t]\nj = 3e6\nk = \"\\r\\n\\t\"\n";
        let first = parse(&text.replace('\u{7}', "")).unwrap();
        assert_eq!(parse(&document(&first)).unwrap(), first, "{}", document(&first));
        assert_eq!(inline(&Value::Text("\u{7}".into())), "\"\\u0007\"");
    }
}
