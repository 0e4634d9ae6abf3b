//! Where the program's words go: results to standard output, everything else to standard error.

use ironlearn::Error;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};

/// How much is said, and in what form.
#[derive(Clone)]
pub struct Console {
    json: bool,
    quiet: bool,
    terminal: bool,
    colour: bool,
}

impl Console {
    /// Looks at the terminal and at `NO_COLOR`.
    pub fn new(json: bool, quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, quiet, terminal, colour: terminal && !plain }
    }

    /// Whether somebody watches: progress is then a line that is drawn over and over.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A result for people: to standard output, unless that is kept for JSON; silent with `--quiet`.
    pub fn say(&self, text: &str) {
        match (self.quiet, self.json) {
            (true, _) => {}
            (false, true) => to_stderr(text),
            (false, false) => to_stdout(text),
        }
    }

    /// What goes on meanwhile; silent with `--quiet`.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            to_stderr(text);
        }
    }

    /// What deserves attention but stops nothing; silent with `--quiet`.
    pub fn warn(&self, text: &str) {
        self.note(&format!("{} {text}", self.painted("33", "warning:")));
    }

    /// A failure that did not end the program.
    pub fn failure(&self, text: &str) {
        to_stderr(&format!("{} {text}", self.painted("1;31", "error:")));
    }

    /// The result for programs, where it was asked for.
    pub fn object(&self, object: &Value) {
        if self.json {
            to_stdout(&object.to_string());
        }
    }

    /// The error that the program ends with.
    pub fn error(&self, error: &Error) {
        self.failure(&error.to_string());
        self.object(&json!({ "error": error.to_string(), "exit_code": error.exit_code() }));
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A reader that has gone away is no reason to fail, and `println!` would panic.
fn to_stdout(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// As for standard output.
pub fn to_stderr(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
