//! [`Requests`]: the messages of an exchange that are on their way.

use mpi::point_to_point::Status;
use mpi::request::{LocalScope, RequestCollection};
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, Destination, Source};
use mpi::{Rank, Tag};

/// The first message of a rank to another, in each exchange: how many bytes there are, and the bytes themselves where
/// they fit. MPI sends messages of this size without asking the receiver.
pub(crate) const HEAD: usize = 2048;
/// The number of bytes in a head.
pub(crate) const LENGTH: usize = size_of::<u64>();
/// The head of a rank that has nothing more to exchange: no number of bytes.
pub(crate) static LEAVING: [u8; LENGTH] = u64::MAX.to_le_bytes();

pub(crate) const HEAD_TAG: Tag = 2;
const DATA_TAG: Tag = 3;

/// What tells another rank of these bytes.
pub(crate) fn head(bytes: &[u8]) -> Vec<u8> {
    let mut head = (bytes.len() as u64).to_le_bytes().to_vec();
    if fits_head(bytes.len()) {
        head.extend_from_slice(bytes);
    }
    head
}

/// The number of bytes that a head tells of; nothing where its rank leaves.
pub(crate) fn length(head: &[u8]) -> Option<u64> {
    head.first_chunk().filter(|length| **length != LEAVING).map(|length| u64::from_le_bytes(*length))
}

/// True where so many bytes need no other message.
pub(crate) fn fits_head(bytes: usize) -> bool {
    bytes <= HEAD - LENGTH
}

pub(crate) struct Requests<'a, 's> {
    world: &'s SimpleCommunicator,
    scope: &'s LocalScope<'a>,
    requests: &'s mut RequestCollection<'a, [u8]>,
    /// Of each request.
    kinds: Vec<Kind>,
    peers: Vec<Peer>,
    left: usize,
    done: Vec<(usize, Status, &'a [u8])>,
}

#[derive(Clone, Copy)]
enum Kind {
    Head(usize),
    Data(usize),
    Sent(usize),
}

/// What has come from one rank, and how many messages from it and to it have not ended.
#[derive(Clone, Default)]
struct Peer {
    is_there: bool,
    left: usize,
}

impl<'a, 's> Requests<'a, 's> {
    pub(crate) fn new(
        world: &'s SimpleCommunicator,
        scope: &'s LocalScope<'a>,
        requests: &'s mut RequestCollection<'a, [u8]>,
    ) -> Requests<'a, 's> {
        let peers = vec![Peer::default(); world.size().max(1) as usize];
        Requests { world, scope, requests, kinds: Vec::new(), peers, left: 0, done: Vec::new() }
    }

    pub(crate) fn receive_head(&mut self, from: usize, room: &'a mut [u8]) {
        self.receive(from, room, HEAD_TAG, Kind::Head(from));
    }

    pub(crate) fn receive_data(&mut self, from: usize, room: &'a mut [u8]) {
        self.receive(from, room, DATA_TAG, Kind::Data(from));
    }

    pub(crate) fn send_head(&mut self, to: usize, head: &'a [u8]) {
        self.send(to, head, HEAD_TAG);
    }

    pub(crate) fn send_data(&mut self, to: usize, bytes: &'a [u8]) {
        self.send(to, bytes, DATA_TAG);
    }

    fn receive(&mut self, from: usize, room: &'a mut [u8], tag: Tag, kind: Kind) {
        let process = self.world.process_at_rank(from as Rank);
        self.requests.add(process.immediate_receive_into_with_tag(self.scope, room, tag));
        self.note(from, kind);
    }

    fn send(&mut self, to: usize, bytes: &'a [u8], tag: Tag) {
        let process = self.world.process_at_rank(to as Rank);
        self.requests.add(process.immediate_send_with_tag(self.scope, bytes, tag));
        self.note(to, Kind::Sent(to));
    }

    fn note(&mut self, peer: usize, kind: Kind) {
        self.kinds.push(kind);
        self.peers[peer].left += 1;
        self.left += 1;
    }

    /// Looks what has ended. False where nothing has; gives the heads that have come, each with its rank.
    pub(crate) fn look(&mut self, heads: &mut Vec<(usize, &'a [u8])>) -> bool {
        // MPI has no answer where nothing is on its way.
        if self.is_empty() {
            return false;
        }
        self.requests.test_some(&mut self.done);
        if self.done.is_empty() {
            // A look that finds nothing lets MPI take in what has come: only this one sees it, or the next after a sleep.
            self.requests.test_some(&mut self.done);
        }
        self.left -= self.done.len();
        let has_ended = !self.done.is_empty();
        for (request, _, bytes) in self.done.drain(..) {
            let (Kind::Head(peer) | Kind::Data(peer) | Kind::Sent(peer)) = self.kinds[request];
            self.peers[peer].left -= 1;
            if matches!(self.kinds[request], Kind::Head(_)) {
                self.peers[peer].is_there = true;
                heads.push((peer, bytes));
            }
        }
        has_ended
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.left == 0
    }

    /// True where a rank is in this exchange too, and bytes are on their way between the two.
    pub(crate) fn is_moving(&self) -> bool {
        self.peers.iter().any(|peer| peer.is_there && peer.left > 0)
    }

    /// The ranks that the exchange has not ended with.
    pub(crate) fn missing(&self) -> String {
        let missing = self.peers.iter().enumerate().filter(|(_, peer)| peer.left > 0);
        missing.map(|(rank, _)| rank.to_string()).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_has_what_fits() {
        for bytes in [0, 1, HEAD - LENGTH, HEAD - LENGTH + 1, 1 << 20] {
            let message = vec![7; bytes];
            let head = head(&message);
            assert_eq!(length(&head), Some(bytes as u64));
            assert_eq!(head.len(), LENGTH + if fits_head(bytes) { bytes } else { 0 });
            assert!(head.len() <= HEAD);
        }
        assert_eq!(length(&LEAVING), None);
    }
}
