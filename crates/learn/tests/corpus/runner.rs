//! The child process that reads the corpus, and what it says.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// Where the corpus is, and which case comes first.
const FOLDER: &str = "IRONLEARN_TEST_CORPUS";
const FIRST: &str = "IRONLEARN_TEST_FIRST";
/// A child that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a child has said of a case.
#[derive(Clone)]
pub struct Line {
    pub format: String,
    pub name: String,
    pub refused: bool,
    pub took: Duration,
    pub memory: u64,
    /// Empty where nothing is.
    pub wrong: String,
}

/// In the child: what it is to do.
pub fn asked() -> Option<(PathBuf, usize)> {
    let first = std::env::var(FIRST).ok()?.parse().ok()?;
    Some((std::env::var_os(FOLDER)?.into(), first))
}

/// In the child: a case is about to be read.
pub fn reads(number: usize, format: &str, name: &str) {
    println!("\nreads\t{number}\t{format}\t{name}");
}

/// In the child: it has been read.
pub fn has_read(refused: bool, took: Duration, memory: u64, wrong: Option<String>) {
    let wrong = wrong.unwrap_or_default().replace('\n', "\\n");
    println!("read\t{refused}\t{}\t{memory}\t{wrong}", took.as_micros());
}

/// Has all cases read; after one that ends the child another goes on.
pub fn run(folder: &Path) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut first = 0;
    while let Some(killer) = run_child(folder, first, &mut lines) {
        first = killer + 1;
    }
    lines
}

fn spawn(folder: &Path, first: usize) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture", "--test-threads=1"])
        .env(FOLDER, folder)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Adds what a child says; gives the number of the case that it did not survive.
fn run_child(folder: &Path, first: usize, lines: &mut Vec<Line>) -> Option<usize> {
    let mut child = spawn(folder, first);
    let (sender, receiver) = channel();
    let out = BufReader::new(child.stdout.take().unwrap());
    thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let mut err = child.stderr.take().unwrap();
    let cried = thread::spawn(move || {
        let mut text = Vec::new();
        err.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
    });
    let mut open: Option<(usize, String, String)> = None;
    loop {
        let line = match receiver.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().unwrap();
                break;
            }
        };
        match line.split('\t').collect::<Vec<_>>()[..] {
            ["reads", number, format, name] => {
                open = Some((number.parse().unwrap(), format.into(), name.into()));
            }
            ["read", refused, micros, memory, wrong] => {
                let (_, format, name) = open.take().unwrap();
                lines.push(Line {
                    format,
                    name,
                    refused: refused == "true",
                    took: Duration::from_micros(micros.parse().unwrap()),
                    memory: memory.parse().unwrap(),
                    wrong: wrong.into(),
                });
            }
            _ => {}
        }
    }
    let status = child.wait().unwrap();
    let cried = cried.join().unwrap().unwrap();
    let Some((number, format, name)) = open else {
        assert!(status.success(), "the reader ended with {status}: {cried}");
        return None;
    };
    let wrong = format!("the process ended with {status}: {cried}");
    lines.push(Line { format, name, refused: false, took: Duration::ZERO, memory: 0, wrong });
    Some(number)
}
