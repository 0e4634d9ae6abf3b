//! What a server does not bear: too much at once, clients that are slow or silent; and how it ends.

use crate::client::{Connection, Server, get, infer, post, rows};
use crate::common::{folder, ironlearn, succeeds, text};
use std::path::Path;
use std::time::{Duration, Instant};

/// A model whose batches take many milliseconds.
pub const SLOW: &str = "--set train.epochs=1 --set train.dtype=\"f32\" \
    --set network.layers=[{linear=1500},\"tanh\",{linear=1500},\"tanh\",{linear=\"targets\"}] --quiet";

pub fn slow_model(at: &Path) {
    succeeds(at, &format!("train regression.toml --out slow {SLOW}"));
}

/// So many rows of 3 columns.
pub fn request(server: &Server, count: usize) -> Vec<u8> {
    let values: Vec<f64> = (0..3 * count).map(|i| (i % 17) as f64 / 8.0 - 1.0).collect();
    let (json, bytes) = rows(&values, 3, true);
    infer(&server.infer(), &json, &bytes)
}

#[test]
fn what_has_no_room_is_refused_and_the_rest_is_answered() {
    let folder = folder();
    let at = folder.path();
    slow_model(at);
    let mut server = Server::start(at, "slow --max-queue 64 --max-batch 16");
    let reply = server.reply(&request(&server, 65));
    assert_eq!((reply.status, reply.error().as_str()), (413, "65 rows, and 64 are the most of a request"));
    let replies: Vec<(u16, Option<String>)> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..24)
            .map(|_| {
                scope.spawn(|| {
                    let reply = server.reply(&request(&server, 30));
                    (reply.status, reply.header("retry-after").map(str::to_owned))
                })
            })
            .collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    let answered = replies.iter().filter(|reply| **reply == (200, None)).count();
    let refused = replies.iter().filter(|reply| **reply == (503, Some("1".into()))).count();
    assert!(answered >= 2 && refused >= 1 && answered + refused == 24, "{replies:?}");
    assert_eq!(server.metric("ironlearn_requests_total{status=\"503\"}"), refused as f64);
    assert_eq!(server.metric("ironlearn_queue_rows"), 0.0);
    server.stop();
}

#[test]
fn slow_clients_are_given_up() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train regression.toml --out run --set train.epochs=1 --quiet");
    let mut server = Server::start(at, "run --timeout 1s");
    let began = Instant::now();
    let mut headers = server.connect();
    headers.send(b"GET /v2 HTTP/1.1\r\nHo").unwrap();
    let mut silent = server.connect();
    let mut body = server.connect();
    body.send(&post(&server.infer(), "", &[b' '; 100])[..150]).unwrap();
    let mut kept = server.connect();
    assert_eq!(kept.reply(&get("/v2")).unwrap().status, 200);
    let reply = body.receive().unwrap();
    assert_eq!((reply.status, reply.error().as_str()), (408, "the request was not here within 1s"));
    for connection in [&mut headers, &mut silent, &mut kept] {
        assert!(connection.is_closed());
    }
    assert!(began.elapsed() < Duration::from_secs(20));
    server.stop();
}

#[test]
fn connections_beyond_the_most_are_told_so() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train regression.toml --out run --set train.epochs=1 --quiet");
    let mut server = Server::start(at, "run --max-connections 3");
    let mut kept: Vec<Connection> = (0..3).map(|_| server.connect()).collect();
    for connection in &mut kept {
        assert_eq!(connection.reply(&get("/v2")).unwrap().status, 200);
    }
    let mut fourth = server.connect();
    let reply = fourth.reply(&get("/v2")).unwrap();
    assert_eq!((reply.status, reply.error().as_str()), (503, "too many connections: try again later"));
    assert!(fourth.is_closed());
    drop(kept.pop());
    let again = || Connection::to(&server.address).and_then(|mut c| c.reply(&get("/v2"))).unwrap().status;
    let began = Instant::now();
    while again() != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "a place that is free is not given");
    }
    drop(kept);
    server.stop();
}

#[test]
fn bodies_have_all_together_so_much_memory() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train regression.toml --out run --set train.epochs=1 --quiet");
    let mut server = Server::start(at, "run --max-body 64KiB");
    let large = post(&server.infer(), "", &vec![b' '; 64 << 10]);
    // One that is too large anyway does not wait for the word to go on.
    let mut cautious = server.connect();
    let head = format!("POST {} HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\n", server.infer());
    let reply = cautious.reply(format!("{head}Content-Length: 99999\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(reply.status, 413);
    cautious = server.connect();
    assert_eq!(cautious.reply(format!("{head}Content-Length: 2\r\n\r\n").as_bytes()).unwrap().status, 100);
    assert_eq!(cautious.reply(b"{}").unwrap().status, 400);
    // Four of the largest have begun, as the word to go on says, and the fifth has no room.
    let mut begun: Vec<Connection> = (0..4).map(|_| server.connect()).collect();
    for connection in &mut begun {
        let reply = connection.reply(format!("{head}Content-Length: {}\r\n\r\n", 64 << 10).as_bytes());
        assert_eq!(reply.unwrap().status, 100);
    }
    let reply = server.reply(&large);
    assert_eq!(reply.status, 503);
    assert!(reply.error().contains("all memory for them"), "{}", reply.error());
    for connection in &mut begun {
        connection.send(&[b' '; 64 << 10]).unwrap();
        assert_eq!(connection.receive().unwrap().status, 400);
    }
    assert_eq!(server.reply(&large).status, 400);
    server.stop();
}

#[test]
fn a_server_ends_when_what_goes_on_is_answered() {
    let folder = folder();
    let at = folder.path();
    slow_model(at);
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::start(at, "slow");
        let mut idle = server.connect();
        assert_eq!(idle.reply(&get("/v2/health/ready")).unwrap().status, 200);
        let mut connection = server.connect();
        connection.send(&request(&server, 1500)).unwrap();
        let began = Instant::now();
        while server.metric("ironlearn_queue_rows") == 0.0
            && server.metric("ironlearn_batch_rows_count") == 0.0
        {
            assert!(began.elapsed() < Duration::from_secs(20));
        }
        server.signal(signal);
        let reply = connection.receive().unwrap();
        assert_eq!((reply.status, reply.numbers().len()), (200, 1500), "{signal}");
        let (status, said) = server.end();
        assert_eq!(status.code(), Some(0), "{signal}: {said}");
        assert!(idle.is_closed() && Connection::to(&server.address).is_err());
    }
}

#[test]
fn what_goes_on_for_longer_than_the_grace_is_broken_off() {
    let folder = folder();
    let at = folder.path();
    slow_model(at);
    let mut server = Server::start(at, "slow --grace 100ms --timeout 1m");
    let mut connection = server.connect();
    connection.send(&request(&server, 4000)).unwrap();
    while server.metric("ironlearn_batch_rows_count") == 0.0 {}
    server.signal("-TERM");
    let (status, said) = server.end();
    assert!(status.code() == Some(0) && said.contains("longer than --grace"), "{status:?}: {said}");
    assert!(connection.receive().is_err());
}

#[test]
fn a_server_says_why_it_does_not_start() {
    let folder = folder();
    let at = folder.path();
    succeeds(at, "train text.toml --out text --set train.epochs=1 --quiet");
    succeeds(at, "train regression.toml --out run --set train.epochs=1 --quiet");
    let mut server = Server::start(at, "run");
    for (arguments, code, part) in [
        ("serve nobody".to_owned(), 5, "nobody"),
        ("serve text --address 127.0.0.1:0".into(), 2, "ironlearn generate"),
        ("serve regression.toml --address 127.0.0.1:0".into(), 3, "regression.toml"),
        (format!("serve run --address {}", server.address), 2, "name another with --address"),
        ("serve run --name a/b".into(), 2, "not a name for addresses"),
        ("serve run --max-batch 0".into(), 2, "--max-batch"),
        ("serve run --max-body 5".into(), 2, "16MiB"),
    ] {
        let output = ironlearn(at, &arguments);
        let said = text(&output.stderr);
        assert!(
            output.status.code() == Some(code) && said.contains(part),
            "{arguments}: {:?} {said}",
            output.status
        );
    }
    server.stop();
}
