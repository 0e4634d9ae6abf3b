//! [`Watch`]: every rank tells the next one that it is alive, and listens to the one before.
//!
//! On such a ring a rank needs one small message each [`BEAT`], whatever the number of ranks; and where some have stopped,
//! but not all, a rank that has not comes after one that has.

use crate::hearing::Hearing;
use ironlearn_ir::ranks::BEAT;
use mpi::Rank;
use mpi::request::{Request, StaticScope};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, Source};
use std::time::{Duration, Instant};

const TAG: mpi::Tag = 1;
static ALIVE: [u8; 1] = [1];

pub(crate) struct Watch {
    next: Rank,
    before: Rank,
    sent: Instant,
    hearing: Hearing,
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
            hearing: Hearing::new(now),
            sending: Vec::new(),
        }
    }

    /// True where it is time to [`Watch::beat`].
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        now.duration_since(self.sent) >= BEAT / 2
    }

    /// Tells that this rank is alive, and listens. Gives the rank that is silent for too long, and for how long it is.
    pub(crate) fn beat(&mut self, world: &SimpleCommunicator, now: Instant) -> Result<(), (usize, Duration)> {
        if self.next == world.rank() {
            return Ok(());
        }
        self.sending = self.sending.drain(..).filter_map(|request| request.test().err()).collect();
        let next = world.process_at_rank(self.next);
        self.sending.push(next.immediate_send_with_tag(StaticScope, &ALIVE[..], TAG));
        self.sent = now;
        let has_heard = self.listen(world);
        self.hearing.listen(now, has_heard).map_or(Ok(()), |silent| Err((self.before as usize, silent)))
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
