//! [`Watch`]: every rank tells the next one that it is alive, and listens to the one before.
//!
//! On such a ring a rank needs one small message each [`BEAT`], whatever the number of ranks; and where some have stopped,
//! but not all, a rank that has not comes after one that has.

use ironlearn_ir::ranks::BEAT;
use mpi::Rank;
use mpi::request::{Request, StaticScope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, Source};
use std::time::{Duration, Instant};

/// A rank that is silent for longer is lost.
pub(crate) const SILENCE: Duration = Duration::from_secs(8);

/// A rank that has not listened for longer was stopped itself, or its host was: it has heard nobody, which says nothing of
/// the others.
const ABSENCE: Duration = Duration::from_secs(2);

const TAG: mpi::Tag = 1;
static ALIVE: [u8; 1] = [1];

pub(crate) struct Watch {
    next: Rank,
    before: Rank,
    sent: Instant,
    listened: Instant,
    heard: Instant,
    /// Signs of life on their way.
    sending: Vec<Request<'static, [u8]>>,
}

impl Watch {
    pub(crate) fn new(rank: usize, count: usize) -> Watch {
        let now = Instant::now();
        let (next, before) = ((rank + 1) % count, (rank + count - 1) % count);
        Watch {
            next: next as Rank,
            before: before as Rank,
            sent: now,
            listened: now,
            heard: now,
            sending: Vec::new(),
        }
    }

    /// True where it is time to [`Watch::beat`].
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now.duration_since(self.sent) >= BEAT / 2
    }

    /// Tells that this rank is alive, and listens. Gives the rank that is silent for too long, and for how long it is.
    pub(crate) fn beat(&mut self, world: &SimpleCommunicator, now: Instant) -> Result<(), (usize, Duration)> {
        if self.next == self.before && self.next == world.rank() {
            self.sent = now;
            return Ok(());
        }
        self.sending = self.sending.drain(..).filter_map(|request| request.test().err()).collect();
        let next = world.process_at_rank(self.next);
        self.sending.push(next.immediate_send_with_tag(StaticScope, &ALIVE[..], TAG));
        self.sent = now;
        if now.duration_since(self.listened) > ABSENCE {
            self.heard = now;
        }
        self.listened = now;
        if self.listen(world) {
            self.heard = now;
        }
        match now.duration_since(self.heard) {
            silent if silent > SILENCE => Err((self.before as usize, silent)),
            _ => Ok(()),
        }
    }

    /// Takes all signs of life that have come.
    fn listen(&self, world: &SimpleCommunicator) -> bool {
        let before = world.process_at_rank(self.before);
        let (mut heard, mut looks) = (false, 0);
        // A look that finds nothing lets MPI take in what has come: only the next one sees it.
        while looks < 3 {
            match before.immediate_matched_probe_with_tag(TAG) {
                Some((message, _)) => {
                    message.matched_receive_into(&mut [0_u8; 1][..]);
                    heard = true;
                }
                None => looks += 1,
            }
        }
        heard
    }

    /// Before MPI is finalised.
    pub(crate) fn end(&mut self) {
        self.sending.drain(..).for_each(Request::wait_without_status);
    }
}
