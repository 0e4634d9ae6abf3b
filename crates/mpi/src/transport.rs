//! [`Mpi`]: the transport.

use crate::ending::end_all;
use crate::pause::Pause;
use crate::watch::Watch;
use ironlearn_ir::ranks::Transport;
use mpi::environment::Universe;
use mpi::request::{LocalScope, RequestCollection, multiple_scope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, Source};
use mpi::{Rank, Tag, Threading};
use std::time::Instant;

/// The first message of a rank to another, in each exchange: how many bytes there are, and the bytes themselves where
/// they fit. MPI sends messages of this size without asking the receiver.
const HEAD: usize = 2048;
/// The number of bytes in a head.
const LENGTH: usize = size_of::<u64>();
/// In the place of the number: the sender has nothing more to exchange.
const LEAVING: u64 = u64::MAX;
/// The most bytes of a message: MPI counts them in 31 bits.
const PIECE: usize = 1 << 30;

const HEAD_TAG: Tag = 2;
const DATA_TAG: Tag = 3;

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
    // Dropped last: MPI is finalised.
    _universe: Universe,
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
        let mut mpi = Mpi { world, rank, count, names, watch, heads, piece: PIECE, _universe: universe };
        let host = mpi::environment::processor_name().unwrap_or_else(|_| "unknown".into());
        let name = format!("host {host}, process {}", std::process::id());
        let names = mpi.exchange(vec![name.into_bytes(); count])?;
        mpi.names = names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect();
        Ok(mpi)
    }

    /// Cuts messages into pieces of at most so many bytes, on all ranks alike; for tests.
    #[doc(hidden)]
    pub fn with_pieces(mut self, bytes: usize) -> Mpi {
        self.piece = bytes.clamp(1, PIECE);
        self
    }

    fn name(&self, rank: usize) -> String {
        format!("rank {rank} ({})", self.names[rank])
    }

    /// Exchanges; or, without bytes, waits until all ranks have nothing more to exchange.
    fn round(&mut self, mut to: Vec<Vec<u8>>, leaves: bool) -> Vec<Vec<u8>> {
        let mut received = vec![Vec::new(); self.count];
        received[self.rank] = std::mem::take(&mut to[self.rank]);
        let heads_out: Vec<Vec<u8>> = to.iter().map(|bytes| head(bytes, leaves)).collect();
        let mut heads = std::mem::take(&mut self.heads);
        multiple_scope(4 * self.count, |scope, requests| {
            let all = Requests { requests, scope, kinds: Vec::new(), left: 0 };
            self.carry_out(all, &mut heads, &heads_out, &to, &mut received, leaves);
        });
        self.heads = heads;
        received
    }

    fn carry_out<'a>(
        &mut self,
        mut all: Requests<'a, '_>,
        heads: &'a mut [Vec<u8>],
        heads_out: &'a [Vec<u8>],
        to: &'a [Vec<u8>],
        received: &'a mut [Vec<u8>],
        leaves: bool,
    ) {
        let mut peers = vec![Peer::default(); self.count];
        for (from, head) in heads.iter_mut().enumerate().filter(|(from, _)| *from != self.rank) {
            all.receive(&self.world, from, head, Kind::Head(from));
            peers[from].receives = 1;
        }
        // From the next rank on: not all to the same one first.
        for to_rank in (1..self.count).map(|i| (self.rank + i) % self.count) {
            all.send(&self.world, to_rank, &heads_out[to_rank], HEAD_TAG);
            peers[to_rank].sends = 1;
            if to[to_rank].len() > HEAD - LENGTH {
                for piece in to[to_rank].chunks(self.piece) {
                    all.send(&self.world, to_rank, piece, DATA_TAG);
                    peers[to_rank].sends += 1;
                }
            }
        }
        let mut room: Vec<Option<&'a mut Vec<u8>>> = received.iter_mut().map(Some).collect();
        let (mut pause, mut done) = (Pause::new(), Vec::new());
        loop {
            let now = Instant::now();
            if self.watch.is_due(now)
                && let Err((rank, silent)) = self.watch.beat(&self.world, now)
            {
                let waits: Vec<_> =
                    (0..self.count).filter(|r| peers[*r].receives > 0).map(|r| r.to_string()).collect();
                let waits = if waits.is_empty() { "no rank".into() } else { waits.join(", ") };
                end_all(&format!(
                    "{}, while rank {} waits for: {waits}",
                    self.silence(rank, silent),
                    self.rank
                ));
            }
            if all.left == 0 {
                return;
            }
            all.requests.test_some(&mut done);
            if done.is_empty() {
                pause.wait(now, || peers.iter().any(Peer::is_moving));
                continue;
            }
            pause.restart();
            all.left -= done.len();
            for (request, _, data) in done.drain(..) {
                match all.kinds[request] {
                    Kind::Sent(rank) => peers[rank].sends -= 1,
                    Kind::Data(rank) => peers[rank].receives -= 1,
                    Kind::Head(rank) => {
                        peers[rank].receives -= 1;
                        peers[rank].is_there = true;
                        let Some(room) = room[rank].take() else { continue };
                        let length = length(data);
                        if (length == LEAVING) != leaves {
                            // The other one finds out as well.
                            let (ended, goes_on) = if leaves { (self.rank, rank) } else { (rank, self.rank) };
                            end_all(&format!("{} has ended, while rank {goes_on} goes on", self.name(ended)));
                        }
                        if !leaves {
                            peers[rank].receives += self.receive(&mut all, rank, length, data, room);
                        }
                    }
                }
            }
        }
    }

    /// Takes the bytes out of a head, or begins to receive them. Gives the number of messages to come.
    fn receive<'a>(
        &self,
        all: &mut Requests<'a, '_>,
        from: usize,
        length: u64,
        head: &[u8],
        room: &'a mut Vec<u8>,
    ) -> usize {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if room.try_reserve_exact(length).is_err() {
            end_all(&format!("rank {} has no memory for {length} bytes of {}", self.rank, self.name(from)));
        }
        if length <= HEAD - LENGTH {
            room.extend_from_slice(&head[LENGTH..LENGTH + length]);
            return 0;
        }
        room.resize(length, 0);
        let pieces = room.chunks_mut(self.piece);
        let count = pieces.len();
        pieces.for_each(|piece| all.receive(&self.world, from, piece, Kind::Data(from)));
        count
    }

    fn silence(&self, rank: usize, silent: std::time::Duration) -> String {
        format!("{} has not been heard of for {} s", self.name(rank), silent.as_secs())
    }
}

/// What is on its way to and from one rank.
#[derive(Clone, Default)]
struct Peer {
    is_there: bool,
    receives: usize,
    sends: usize,
}

impl Peer {
    /// Both ranks are in the exchange, and it has not ended.
    fn is_moving(&self) -> bool {
        self.is_there && self.receives + self.sends > 0
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Head(usize),
    Data(usize),
    Sent(usize),
}

struct Requests<'a, 's> {
    requests: &'s mut RequestCollection<'a, [u8]>,
    scope: &'s LocalScope<'a>,
    kinds: Vec<Kind>,
    /// How many have not ended.
    left: usize,
}

impl<'a> Requests<'a, '_> {
    fn receive(&mut self, world: &SimpleCommunicator, from: usize, bytes: &'a mut [u8], kind: Kind) {
        let tag = if matches!(kind, Kind::Head(_)) { HEAD_TAG } else { DATA_TAG };
        let from = world.process_at_rank(from as Rank);
        self.requests.add(from.immediate_receive_into_with_tag(self.scope, bytes, tag));
        self.kinds.push(kind);
        self.left += 1;
    }

    fn send(&mut self, world: &SimpleCommunicator, to: usize, bytes: &'a [u8], tag: Tag) {
        let process = world.process_at_rank(to as Rank);
        self.requests.add(process.immediate_send_with_tag(self.scope, bytes, tag));
        self.kinds.push(Kind::Sent(to));
        self.left += 1;
    }
}

fn head(bytes: &[u8], leaves: bool) -> Vec<u8> {
    let length = if leaves { LEAVING } else { bytes.len() as u64 };
    let mut head = length.to_le_bytes().to_vec();
    if bytes.len() <= HEAD - LENGTH {
        head.extend_from_slice(bytes);
    }
    head
}

fn length(head: &[u8]) -> u64 {
    head.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
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
        Ok(self.round(to, false))
    }

    fn idle(&mut self) -> Result<(), String> {
        let beat = self.watch.beat(&self.world, Instant::now());
        beat.map_err(|(rank, silent)| self.silence(rank, silent))
    }
}

impl Drop for Mpi {
    /// Goes on to watch until all ranks are done, as nobody is watched while MPI is finalised.
    fn drop(&mut self) {
        self.round(vec![Vec::new(); self.count], true);
        self.watch.end();
    }
}
