//! Ten times the requests that a server can answer, and among them malformed ones, slow clients, and such that go away.
//! Runs for some seconds, or for as many as `IRONLEARN_SOAK_SECONDS` says.

use crate::client::{Connection, Server, get};
use crate::common::folder;
use crate::limits::{request, slow_model};
use crate::malformed;
use ironlearn_testkit::tier::report;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

/// Clients that ask for what can be answered, at a pace of their own.
const CLIENTS: u32 = 40;
/// Rows of their requests.
const ROWS: usize = 64;
/// The most that memory may grow once all kinds of clients have been there.
const GROWTH: u64 = 12 << 20;

#[derive(Default)]
struct Found {
    ended: AtomicBool,
    /// Requests that can be answered.
    offered: AtomicU64,
    answered: AtomicU64,
    statuses: Mutex<BTreeMap<u16, u64>>,
    mistakes: Mutex<Vec<String>>,
}

impl Found {
    fn goes_on(&self) -> bool {
        !self.ended.load(Ordering::Relaxed)
    }

    fn count(&self, status: u16) {
        *self.statuses.lock().unwrap().entry(status).or_default() += 1;
    }

    fn mistake(&self, mistake: String) {
        self.mistakes.lock().unwrap().push(mistake);
    }
}

/// Requests a second that the server answers when two clients ask all the time.
fn capacity(server: &Server, asked: &[u8]) -> f64 {
    let began = Instant::now();
    let answered: usize = scope(|scope| {
        let client = || {
            let mut connection = server.connect();
            let mut answered = 0;
            while began.elapsed() < Duration::from_secs(3) {
                // On a machine that has other things to do an answer may be too late.
                answered += usize::from(connection.reply(asked).unwrap().status == 200);
            }
            answered
        };
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(client)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).sum()
    });
    answered as f64 / began.elapsed().as_secs_f64()
}

/// The answer, asked for until it is there.
fn answer(server: &Server, asked: &[u8]) -> Vec<f64> {
    let mut replies = (0..100).map(|_| server.reply(asked));
    replies.find(|reply| reply.status == 200).unwrap().numbers()
}

/// Asks at a pace, whether answered or not, and compares what is answered.
fn load(server: &Server, asked: &[u8], expected: &[f64], pause: Duration, found: &Found) {
    let mut connection = None;
    let mut next = Instant::now();
    while found.goes_on() {
        next += pause;
        sleep(next.saturating_duration_since(Instant::now()));
        // What was missed while it waited for an answer is not made up for in one go.
        next = next.max(Instant::now() - 4 * pause);
        let kept = connection.take().map_or_else(|| Connection::to(&server.address), Ok);
        let Ok(mut kept) = kept else { continue };
        found.offered.fetch_add(1, Ordering::Relaxed);
        // A connection beyond the most may be closed before the request is there.
        let Ok(reply) = kept.reply(asked) else { continue };
        found.count(reply.status);
        match reply.status {
            200 => {
                found.answered.fetch_add(1, Ordering::Relaxed);
                if reply.numbers() != expected {
                    found.mistake("an answer with other numbers".into());
                }
            }
            503 => {}
            status => found.mistake(format!("{status} for a request that is right: {}", reply.error())),
        }
        if reply.header("connection") != Some("close") {
            connection = Some(kept);
        }
    }
}

/// Sends what cannot be answered.
fn confuse(server: &Server, first: usize, found: &Found) {
    let requests = malformed::requests(&server.infer(), 256 << 10);
    for (title, request, status, _) in requests.iter().cycle().skip(first) {
        if !found.goes_on() {
            return;
        }
        let Ok(mut connection) = Connection::to(&server.address) else { continue };
        let _ = connection.send(request);
        if let Ok(reply) = connection.receive() {
            found.count(reply.status);
            if reply.status != *status && reply.status != 503 {
                found.mistake(format!("{} for {title}, not {status}", reply.status));
            }
        }
        sleep(Duration::from_millis(20));
    }
}

/// Sends a byte now and then.
fn dawdle(server: &Server, asked: &[u8], found: &Found) {
    while found.goes_on() {
        let Ok(mut connection) = Connection::to(&server.address) else { continue };
        for byte in asked.chunks(1) {
            if !found.goes_on() || connection.send(byte).is_err() {
                break;
            }
            sleep(Duration::from_millis(100));
        }
    }
}

/// Goes away in the middle of a request, or before the answer; or takes no answers.
fn vanish(server: &Server, asked: &[u8], found: &Found) {
    for i in 0.. {
        if !found.goes_on() {
            return;
        }
        let Ok(mut connection) = Connection::to(&server.address) else { continue };
        match i % 4 {
            0 => drop(connection.send(&asked[..asked.len() / 2])),
            1 => drop(connection.send(asked)),
            2 => drop(connection.send(asked).and_then(|()| connection.finish())),
            _ => {
                for _ in 0..50 {
                    let _ = connection.send(&get("/metrics"));
                }
                sleep(Duration::from_millis(200));
            }
        }
        sleep(Duration::from_millis(30));
    }
}

/// Opens many connections and says nothing.
fn crowd(server: &Server, found: &Found) {
    while found.goes_on() {
        let crowd: Vec<_> = (0..120).map(|_| Connection::to(&server.address)).collect();
        sleep(Duration::from_millis(500));
        drop(crowd);
        sleep(Duration::from_secs(2));
    }
}

#[test]
fn overload_is_refused_and_memory_is_flat() {
    let seconds = std::env::var("IRONLEARN_SOAK_SECONDS").ok().map_or(15, |text| text.parse().unwrap());
    let folder = folder();
    slow_model(folder.path());
    let limits = "--max-queue 256 --max-batch 64 --max-connections 96 --max-body 256KiB --timeout 4s";
    let mut server = Server::start(folder.path(), &format!("slow {limits}"));
    let asked = request(&server, ROWS);
    let expected = answer(&server, &asked);
    let capacity = capacity(&server, &asked);
    let pause = Duration::from_secs_f64(f64::from(CLIENTS) / (14.0 * capacity));
    let found = Found::default();
    let mut memory = Vec::new();
    // Whoever has a connection hears at any time that the server is well.
    let mut probe = server.connect();
    let mut slowest = Duration::ZERO;
    let began = Instant::now();
    let lasts = Duration::from_secs(seconds);
    scope(|scope| {
        let (server, asked, expected, found) = (&server, &asked[..], &expected[..], &found);
        (0..CLIENTS).for_each(|_| drop(scope.spawn(move || load(server, asked, expected, pause, found))));
        (0..3).for_each(|i| drop(scope.spawn(move || confuse(server, 15 * i, found))));
        (0..4).for_each(|_| drop(scope.spawn(move || dawdle(server, asked, found))));
        (0..2).for_each(|_| drop(scope.spawn(move || vanish(server, asked, found))));
        scope.spawn(move || crowd(server, found));
        while began.elapsed() < lasts {
            sleep(Duration::from_millis(250));
            memory.push(server.memory());
            let asked = Instant::now();
            let status = probe.reply(&get("/v2/health/ready")).unwrap().status;
            slowest = slowest.max(asked.elapsed());
            if status != 200 {
                found.mistake(format!("{status} for the health of the server"));
            }
        }
        found.ended.store(true, Ordering::Relaxed);
    });
    drop(probe);
    let took = began.elapsed().as_secs_f64();
    assert!(server.is_running(), "{}", server.end().1);
    // Over and done with: the next one is answered as the first was.
    let after = Instant::now();
    while server.metric("ironlearn_connections") > 1.0 {
        assert!(after.elapsed() < Duration::from_secs(20), "connections are left");
        sleep(Duration::from_millis(50));
    }
    assert_eq!(answer(&server, &asked), expected);
    assert_eq!(server.metric("ironlearn_queue_rows"), 0.0);
    server.stop();

    let mistakes = found.mistakes.into_inner().unwrap();
    assert!(mistakes.is_empty(), "{} mistakes: {:?}", mistakes.len(), &mistakes[..mistakes.len().min(5)]);
    let median = |part: &[u64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part[part.len() / 2]
    };
    let quarter = memory.len() / 4;
    let (early, late) = (median(&memory[quarter..2 * quarter]), median(&memory[3 * quarter..]));
    let (offered, answered) =
        (found.offered.into_inner() as f64 / took, found.answered.into_inner() as f64 / took);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    report(
        "overload",
        format!(
            "{took:.0} s: {offered:.0} requests/s offered, {capacity:.0} can be answered, {answered:.0} were; answers by \
             status {:?}; health within {slowest:.0?}; memory {:.1} MiB in the second quarter, {:.1} MiB in the last, {:.1} MiB at most",
            found.statuses.into_inner().unwrap(),
            mib(early),
            mib(late),
            mib(memory.iter().copied().max().unwrap_or(0)),
        ),
    );
    assert!(late <= early + GROWTH, "memory grows: {early} bytes, then {late}");
    assert!(offered >= 8.0 * capacity, "{offered} requests/s are no overload");
    assert!(answered >= 0.2 * capacity, "{answered} of {capacity} requests/s are answered under overload");
}
