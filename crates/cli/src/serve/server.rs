//! [`Server`]: what all connections share, and their number.

use super::body::UNIT;
use super::metrics::Metrics;
use super::queue::Queue;
use super::routes::handle;
use super::signature::Signature;
use super::stream::Stream;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

/// Bytes of the headers of a request.
const HEADERS: usize = 64 << 10;

/// Connections beyond the most, which are told so and closed.
const TURNED_AWAY: usize = 32;

/// How long the request may take on a connection that is turned away.
const BRIEFLY: Duration = Duration::from_secs(2);

/// All bodies that are in the server are so many times the largest together.
const BODIES: usize = 4;

/// What a server bears.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Bytes of a body.
    pub body: usize,
    /// Connections.
    pub connections: usize,
    /// For a request, from its first byte to its answer; and for its headers.
    pub timeout: Duration,
    /// For what goes on when the server is asked to end.
    pub grace: Duration,
}

/// What all connections share.
pub struct Server {
    pub name: String,
    pub signature: Signature,
    pub queue: Arc<Queue>,
    pub metrics: Arc<Metrics>,
    pub limits: Limits,
    /// Permits for bodies, [`UNIT`] bytes each.
    pub memory: Arc<Semaphore>,
    /// A permit for each connection.
    places: Arc<Semaphore>,
    turned_away: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

/// A place among the connections.
struct Place {
    _permit: OwnedSemaphorePermit,
    /// Whether it is one of those that are turned away.
    full: bool,
}

impl Server {
    pub fn new(
        name: String,
        signature: Signature,
        queue: Arc<Queue>,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Server {
        let of = |permits: usize| Arc::new(Semaphore::new(permits));
        Server {
            name,
            signature,
            queue,
            metrics,
            limits,
            memory: of((BODIES * limits.body).div_ceil(UNIT)),
            places: of(limits.connections),
            turned_away: of(TURNED_AWAY),
            stopping: watch::Sender::new(false),
        }
    }

    /// Open connections, but for those that are turned away.
    pub fn connections(&self) -> usize {
        self.limits.connections.saturating_sub(self.places.available_permits())
    }

    /// Whether it was asked to end.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Takes connections until `stop` is there, then lets what goes on end. False where it has not ended in time.
    pub async fn run(self: Arc<Self>, listener: TcpListener, stop: impl Future<Output = ()>) -> bool {
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                connection = self.accept(&listener) => {
                    if let Some((tcp, place)) = connection {
                        tokio::spawn(connected(self.clone(), tcp, place));
                    }
                }
            }
        }
        drop(listener);
        self.stopping.send_replace(true);
        let all = async {
            let _ = self.places.acquire_many(self.limits.connections as u32).await;
            let _ = self.turned_away.acquire_many(TURNED_AWAY as u32).await;
        };
        timeout(self.limits.grace, all).await.is_ok()
    }

    /// The next connection, with its place. Others wait in the queue of the system while there is none.
    async fn accept(&self, listener: &TcpListener) -> Option<(TcpStream, Place)> {
        let spare = self.turned_away.clone().acquire_owned().await.ok()?;
        let Ok((tcp, _)) = listener.accept().await else {
            // No file descriptor is left, as a rule: they come back as connections end.
            sleep(Duration::from_millis(50)).await;
            return None;
        };
        let place = match self.places.clone().try_acquire_owned() {
            Ok(permit) => Place { _permit: permit, full: false },
            Err(_) => Place { _permit: spare, full: true },
        };
        Some((tcp, place))
    }
}

/// Answers the requests of a connection until it ends.
async fn connected(server: Arc<Server>, tcp: TcpStream, place: Place) {
    // Answers are written at once; a delay of the system would only add to their time.
    let _ = tcp.set_nodelay(true);
    let patience = if place.full { BRIEFLY } else { server.limits.timeout };
    let answer = service_fn(|request| {
        let server = server.clone();
        let full = place.full;
        async move { Ok::<_, Infallible>(handle(&server, request, full).await) }
    });
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(HEADERS);
    let io = TokioIo::new(Stream::new(tcp, patience));
    let mut connection = pin!(protocol.serve_connection(io, answer));
    let mut stopping = server.stopping.subscribe();
    let asked = async move { drop(stopping.wait_for(|stopping| *stopping).await) };
    // A connection that fails is the client's affair: it sees that itself.
    tokio::select! {
        _ = &mut connection => {}
        () = asked => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}
