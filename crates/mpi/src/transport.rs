//! [`Mpi`]: the transport.

use crate::ending::{SILENT, end_all};
use crate::pause::Pause;
use crate::requests::{HEAD, HEAD_TAG, LEAVING, LENGTH, Requests, fits_head, head, length};
use crate::watch::Watch;
use ironlearn_ir::ranks::Transport;
use mpi::Threading;
use mpi::environment::Universe;
use mpi::request::{Request, StaticScope, multiple_scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, MatchedReceiveVec, Source};
use std::thread;
use std::time::{Duration, Instant};

/// The most bytes of a message. Open MPI sends up to 64 KiB over TCP, its own header included, without asking the
/// receiver. For longer ones it waits for an answer, which waits behind all that is on its way in the same direction: two
/// ranks that sent each other 4 MiB took turns, and twice the time.
const PIECE: usize = 60 << 10;
/// MPI counts the bytes of a message in 31 bits.
const LARGEST: usize = 1 << 30;

/// How long a rank that has left the others has to tell why.
const GRACE: Duration = Duration::from_secs(3);

/// Ranks as MPI has started them. Where one of them is lost in an exchange, all end: MPI cannot take back what is on its way.
pub struct Mpi {
    world: SimpleCommunicator,
    rank: usize,
    count: usize,
    /// Host and process of each.
    names: Vec<String>,
    watch: Watch,
    /// Heads that are received.
    heads: Vec<Vec<u8>>,
    piece: usize,
    /// MPI is finalised where it is dropped.
    universe: Option<Universe>,
}

impl Mpi {
    /// Initialises MPI. Only this thread may use, and drop, what it gives.
    ///
    /// # Errors
    /// Where MPI is initialised already, or knows of other ranks than the launcher.
    pub fn new() -> Result<Mpi, String> {
        let (universe, level) = mpi::initialize_with_threading(Threading::Funneled)
            .ok_or("MPI can be initialised only once in a process")?;
        if level < Threading::Funneled {
            return Err(
                "this MPI library takes no calls of a process with several threads: install one that does"
                    .into(),
            );
        }
        let world = universe.world();
        let (rank, count) = (world.rank().max(0) as usize, world.size().max(1) as usize);
        if let Some(announced) = crate::launch::announced().filter(|n| *n != count) {
            return Err(format!(
                "the launcher has started {announced} ranks, MPI finds {count}: start them by the `mpirun` of the MPI \
                 library that this program was built with, or by `srun --mpi=pmix`"
            ));
        }
        let names = vec!["not met yet".to_owned(); count];
        let watch = Watch::new(rank, count);
        let heads = vec![vec![0; HEAD]; count];
        let mut mpi = Mpi { world, rank, count, names, watch, heads, piece: PIECE, universe: Some(universe) };
        let host = mpi::environment::processor_name().unwrap_or_else(|_| "unknown".into());
        let name = format!("host {host}, process {}", std::process::id());
        let names = mpi.exchange(vec![name.into_bytes(); count])?;
        mpi.names = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok(mpi)
    }

    /// Cuts messages into pieces of at most so many bytes, on all ranks alike; for tests.
    #[doc(hidden)]
    pub fn with_pieces(mut self, bytes: usize) -> Mpi {
        self.piece = bytes.clamp(1, LARGEST);
        self
    }

    fn name(&self, rank: usize) -> String {
        format!("rank {rank} ({})", self.names[rank])
    }

    fn round(&mut self, mut to: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mut received = vec![Vec::new(); self.count];
        received[self.rank] = std::mem::take(&mut to[self.rank]);
        let heads: Vec<Vec<u8>> = to.iter().map(|bytes| head(bytes)).collect();
        let mut heads_in = std::mem::take(&mut self.heads);
        // All that messages lie in has to be there before this scope, which is not left while one is on its way.
        multiple_scope(4 * self.count, |scope, requests| {
            let mut requests = Requests::new(&self.world, scope, requests);
            let mut rooms: Vec<_> = received.iter_mut().map(Some).collect();
            // From the next rank on: not all to the same one first.
            let others = (1..self.count).map(|i| (self.rank + i) % self.count);
            for (from, head) in heads_in.iter_mut().enumerate().filter(|(from, _)| *from != self.rank) {
                requests.receive_head(from, head);
            }
            for rank in others {
                requests.send_head(rank, &heads[rank]);
                if !fits_head(to[rank].len()) {
                    to[rank].chunks(self.piece).for_each(|piece| requests.send_data(rank, piece));
                }
            }
            let (mut pause, mut came) = (Pause::new(), Vec::new());
            loop {
                let now = Instant::now();
                if self.watch.is_due(now)
                    && let Err((rank, silent)) = self.watch.beat(&self.world, now)
                {
                    let (silence, missing) = (self.silence(rank, silent), requests.missing());
                    let problem = format!("{silence}, while rank {} exchanges with {missing}", self.rank);
                    end_all(&problem, SILENT);
                }
                if requests.is_empty() {
                    return;
                }
                if !requests.look(&mut came) {
                    pause.wait(now, || requests.is_moving());
                    continue;
                }
                pause.restart();
                for (rank, head) in came.drain(..) {
                    let Some(length) = length(head) else { self.left_by(rank) };
                    if let Some(room) = rooms[rank].take() {
                        self.receive(&mut requests, rank, length, head, room);
                    }
                }
            }
        });
        self.heads = heads_in;
        received
    }

    /// Takes the bytes out of a head, or begins to receive them.
    fn receive<'a>(
        &self,
        requests: &mut Requests<'a, '_>,
        from: usize,
        length: u64,
        head: &[u8],
        room: &'a mut Vec<u8>,
    ) {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        // Asked for first: where there is no memory for zeros, Rust ends the process without a word of ours.
        if Vec::<u8>::new().try_reserve_exact(length).is_err() {
            let problem =
                format!("rank {} has no memory for {length} bytes of {}", self.rank, self.name(from));
            end_all(&problem, "give each process more memory, or start fewer on each host");
        }
        if fits_head(length) {
            room.extend_from_slice(&head[LENGTH..LENGTH + length]);
            return;
        }
        *room = vec![0; length];
        room.chunks_mut(self.piece).for_each(|piece| requests.receive_data(from, piece));
    }

    /// Ends all, as another rank has left them. It may have an error to tell, and end all sooner by that.
    fn left_by(&self, rank: usize) -> ! {
        thread::sleep(GRACE);
        let problem = format!("{} has ended, while rank {} goes on", self.name(rank), self.rank);
        end_all(&problem, "see what it has said above")
    }

    fn silence(&self, rank: usize, silent: Duration) -> String {
        format!("{} has not been heard of for {} s", self.name(rank), silent.as_secs())
    }
}

impl Transport for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn exchange(&mut self, to: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, String> {
        if to.len() != self.count {
            return Err(format!("{} ranks exchange, and there are messages for {}", self.count, to.len()));
        }
        Ok(self.round(to))
    }

    fn idle(&mut self) -> Result<(), String> {
        let beat = self.watch.beat(&self.world, Instant::now());
        beat.map_err(|(rank, silent)| self.silence(rank, silent))
    }
}

impl Drop for Mpi {
    /// Finalises MPI once all ranks are here. Where others go on, this one has failed: it is let go without, as the
    /// launcher ends all with a process that ends so.
    fn drop(&mut self) {
        // Nobody is watched while MPI is finalised: until all are about to, they watch each other.
        let all_leave = self.leave();
        self.watch.end();
        let universe = self.universe.take();
        if !all_leave {
            std::mem::forget(universe);
        }
    }
}

impl Mpi {
    /// Tells all that this rank leaves. True when all do, false once one does not.
    fn leave(&mut self) -> bool {
        let others: Vec<usize> = (0..self.count).filter(|rank| *rank != self.rank).collect();
        let told = others.iter().map(|rank| {
            let process = self.world.process_at_rank(*rank as mpi::Rank);
            process.immediate_send_with_tag(StaticScope, &LEAVING[..], HEAD_TAG)
        });
        let told: Vec<_> = told.collect();
        let (mut left, mut pause) = (others.len(), Pause::new());
        // Nothing is received before it has come: what is begun would have to be ended.
        while left > 0 {
            let now = Instant::now();
            if self.watch.is_due(now)
                && let Err((rank, silent)) = self.watch.beat(&self.world, now)
            {
                let problem = format!("{}, while rank {} ends", self.silence(rank, silent), self.rank);
                end_all(&problem, SILENT);
            }
            let Some(message) = self.world.any_process().immediate_matched_probe_with_tag(HEAD_TAG) else {
                pause.wait(now, || false);
                continue;
            };
            pause.restart();
            let (head, _) = message.matched_receive_vec::<u8>();
            if length(&head).is_some() {
                break;
            }
            left -= 1;
        }
        told.into_iter().for_each(Request::wait_without_status);
        left == 0
    }
}
