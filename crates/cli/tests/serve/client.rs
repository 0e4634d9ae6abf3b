//! A server to be tested, and a client that can also misbehave.

use crate::common;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a client waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server; killed where a test fails.
pub struct Server {
    child: Child,
    pub address: String,
    pub name: String,
}

impl Server {
    /// `ironlearn serve ARGUMENTS` at a free port.
    pub fn start(folder: &Path, arguments: &str) -> Server {
        let mut program = common::program(folder);
        program.args(["serve", "--address", "127.0.0.1:0"]).args(arguments.split_whitespace());
        let mut child = program.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["serving", name, "at", url] = words[..] else {
            let _ = child.kill();
            let mut said = String::new();
            child.stderr.unwrap().read_to_string(&mut said).unwrap();
            panic!("{arguments}: {line:?}, {said}");
        };
        let address = url.strip_prefix("http://").unwrap().to_owned();
        Server { address, name: name.to_owned(), child }
    }

    pub fn connect(&self) -> Connection {
        Connection::to(&self.address).unwrap()
    }

    /// The reply to a request on a connection of its own.
    pub fn reply(&self, request: &[u8]) -> Reply {
        self.connect().reply(request).unwrap()
    }

    pub fn get(&self, path: &str) -> Reply {
        self.reply(&get(path))
    }

    /// Where the model infers.
    pub fn infer(&self) -> String {
        format!("/v2/models/{}/infer", self.name)
    }

    /// A number of the metrics.
    pub fn metric(&self, name: &str) -> f64 {
        let text = String::from_utf8(self.get("/metrics").body).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    /// Bytes of memory that the server has.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() * 1024
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the end; what was said on standard error.
    pub fn end(&mut self) -> (ExitStatus, String) {
        let began = Instant::now();
        while self.is_running() && began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(5));
        }
        assert!(!self.is_running(), "the server does not end");
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap(), said)
    }

    /// Ends it as an operator does.
    pub fn stop(&mut self) {
        self.signal("-TERM");
        let (status, said) = self.end();
        assert_eq!(status.code(), Some(0), "{said}");
        assert!(!said.contains("error") && !said.contains("warning"), "{said}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a server answers.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body, or the part of it that is JSON.
    pub fn json(&self) -> Value {
        let length = self.header("inference-header-content-length").map(|length| length.parse().unwrap());
        let json = &self.body[..length.unwrap_or(self.body.len())];
        serde_json::from_slice(json).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(json)))
    }

    /// What an error says.
    pub fn error(&self) -> String {
        self.json()["error"].as_str().unwrap_or_default().to_owned()
    }

    /// The bytes after the JSON as numbers.
    pub fn numbers(&self) -> Vec<f64> {
        let length: usize = self.header("inference-header-content-length").unwrap().parse().unwrap();
        let (numbers, rest) = self.body[length..].as_chunks();
        assert!(rest.is_empty());
        numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect()
    }
}

/// A connection that is kept.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub fn to(address: &str) -> io::Result<Connection> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Connection { reader: BufReader::new(stream) })
    }

    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes)
    }

    /// Sends no more.
    pub fn finish(&mut self) -> io::Result<()> {
        self.reader.get_mut().shutdown(Shutdown::Write)
    }

    pub fn reply(&mut self, request: &[u8]) -> io::Result<Reply> {
        self.send(request)?;
        self.receive()
    }

    pub fn receive(&mut self) -> io::Result<Reply> {
        let ended = |what: &str| io::Error::new(io::ErrorKind::UnexpectedEof, what.to_owned());
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(ended("the connection ended"));
            }
            match line.trim_end() {
                "" => break,
                line => lines.push(line.to_owned()),
            }
        }
        let status = lines.first().and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or_else(|| ended("no status"))?;
        let header = |line: &String| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim().to_owned())
        };
        let mut reply = Reply { status, headers: lines[1..].iter().map(header).collect(), body: Vec::new() };
        let length = reply.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        reply.body.resize(length, 0);
        self.reader.read_exact(&mut reply.body)?;
        Ok(reply)
    }

    /// Whether the server has closed it; waits for that.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.reader.read(&mut [0]), Ok(0)) || self.send(b"x").is_err()
    }
}

pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").into_bytes()
}

/// A request with these header lines, each with its end.
pub fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// A request to infer: JSON, and the bytes of inputs.
pub fn infer(path: &str, json: &Value, bytes: &[u8]) -> Vec<u8> {
    let json = json.to_string();
    let header = format!("Inference-Header-Content-Length: {}\r\n", json.len());
    let header = if bytes.is_empty() { "" } else { &header };
    post(path, header, &[json.as_bytes(), bytes].concat())
}

/// Rows of numbers as the input of a request; as bytes, which are then its second part, or in JSON.
pub fn rows(values: &[f64], columns: usize, binary: bool) -> (Value, Vec<u8>) {
    let shape = [values.len() / columns, columns];
    let mut input = serde_json::json!({ "name": "input", "shape": shape, "datatype": "FP64" });
    let mut request = serde_json::json!({});
    let mut bytes = Vec::new();
    if binary {
        bytes = values.iter().flat_map(|x| x.to_le_bytes()).collect();
        input["parameters"] = serde_json::json!({ "binary_data_size": bytes.len() });
        request["parameters"] = serde_json::json!({ "binary_data_output": true });
    } else {
        input["data"] = serde_json::json!(values);
    }
    request["inputs"] = serde_json::json!([input]);
    (request, bytes)
}
