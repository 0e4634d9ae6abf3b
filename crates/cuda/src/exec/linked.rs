//! Steps that are shared among ranks whose GPUs are linked: what they add up never comes to the host, so that a step, or
//! several, are one recorded graph as in one process.
//!
//! Each rank folds a part of the elements. It sends every other rank that rank's part of its pieces, and receives its own
//! part of theirs; a kernel folds along the tree of chunks, as [`reduce`](ironlearn_ir::ranks::reduce) does; and each sends
//! what it has to all.

use super::CudaProgram;
use super::bytes;
use super::compile::{self, Action};
use super::copies::Copy;
use super::exchange::{Begin, Finish};
use crate::error::CudaError;
use crate::nccl::{Links, Transfer};
use crate::text::Folding;
use ironlearn_ir::plan::View;
use ironlearn_ir::prim::Op;
use ironlearn_ir::{Array, ControlBlock, Graph, NodeId, TensorType, blame};

/// How a reduction is done on the GPU.
pub struct Linked {
    /// The kernel that folds: its place among all kernels.
    pub kernel: usize,
    /// This rank.
    pub rank: usize,
    /// Byte of the memory of exchanges at which the pieces of others begin, and the result.
    pub places: [usize; 2],
}

impl Begin {
    /// The reduction as its kernel sees it.
    pub fn folding(&self, rank: usize, places: [usize; 2]) -> Folding<'_> {
        Folding { start: &self.start, rank, own: &self.pieces, places }
    }
}

/// Sends and receives.
struct Transfers {
    sends: Vec<Transfer>,
    receives: Vec<Transfer>,
}

impl Transfers {
    /// Those without bytes are none.
    fn new(sends: Vec<Transfer>, receives: Vec<Transfer>) -> Transfers {
        let some = |all: Vec<Transfer>| all.into_iter().filter(|t| t.bytes > 0).collect();
        Transfers { sends: some(sends), receives: some(receives) }
    }

    fn queue(&self, links: &Links) -> Result<(), CudaError> {
        if self.sends.is_empty() && self.receives.is_empty() {
            return Ok(());
        }
        links.exchange(&self.sends, &self.receives)
    }
}

impl CudaProgram {
    /// Queues a reduction among linked GPUs.
    pub(super) fn queue_linked(
        &self,
        links: &Links,
        begin: &Begin,
        linked: &Linked,
        addresses: &[u64],
    ) -> Result<(), CudaError> {
        let address = |view: &View| compile::address(&self.plan, addresses, view);
        let folding = begin.folding(linked.rank, linked.places);
        let memory = self.memory.exchange.at();
        let pieces: Vec<u64> = begin.pieces.iter().map(address).collect();
        scatter(&folding, &pieces, memory).queue(links)?;
        self.launch(linked.kernel, addresses)?;
        spread(&folding, memory).queue(links)
    }

    /// What ranks have added up in the last run, from the device.
    fn fetched(&self, key: u32, ty: &TensorType) -> Result<Array, CudaError> {
        let place = |action: &Action| match action {
            Action::Begin(begin) if begin.start.key == key => Some(begin.linked.as_ref()?.places[1]),
            _ => None,
        };
        let place = self.sequence.actions.iter().find_map(place);
        let place = place.ok_or_else(|| CudaError::Ranks(format!("reduction {key} was not begun")))?;
        let mut result = Array::zeros(ty.dtype, ty.shape.clone());
        let _turn = self.context.turn();
        self.memory.exchange.read(place, bytes::of_mut(result.data_mut()))?;
        self.context.synchronize()?;
        Ok(result)
    }

    /// Queues the copy of a result to where it is needed.
    pub(super) fn queue_result(
        &self,
        place: usize,
        finish: &Finish,
        addresses: &[u64],
    ) -> Result<(), CudaError> {
        let to = compile::address(&self.plan, addresses, &finish.out);
        let from = self.memory.exchange.at() + place as u64;
        self.copies.queue(&self.context, [Copy { from, to, bytes: finish.done.ty.bytes() }].into_iter())
    }
}

/// Of each piece of this rank the part of each other one; and this rank's part of theirs.
fn scatter(folding: &Folding<'_>, pieces: &[u64], memory: u64) -> Transfers {
    let (shares, n) = (folding.start.shares, folding.start.ty.shape.elements());
    let (size, own) = (folding.start.ty.dtype.size(), folding.part());
    let send = |peer: usize| {
        let theirs = shares.elements(peer, n);
        pieces.iter().map(move |piece| Transfer {
            peer,
            at: piece + (theirs.start * size) as u64,
            bytes: theirs.len() * size,
        })
    };
    let receive = |(peer, _, at): (usize, std::ops::Range<usize>, Option<usize>)| {
        let bytes = own.len() * size;
        Some(Transfer { peer, at: memory + (folding.places[0] + at? * bytes) as u64, bytes })
    };
    let others = (0..shares.ranks()).filter(|&peer| peer != folding.rank);
    Transfers::new(
        others.flat_map(send).collect(),
        folding.pieces().into_iter().filter_map(receive).collect(),
    )
}

/// What this rank has folded, to all; and what they have.
fn spread(folding: &Folding<'_>, memory: u64) -> Transfers {
    let (shares, n) = (folding.start.shares, folding.start.ty.shape.elements());
    let size = folding.start.ty.dtype.size();
    let result = memory + folding.places[1] as u64;
    let transfer = |peer: usize, of: usize| {
        let part = shares.elements(of, n);
        Transfer { peer, at: result + (part.start * size) as u64, bytes: part.len() * size }
    };
    let others = || (0..shares.ranks()).filter(|&peer| peer != folding.rank);
    Transfers::new(
        others().map(|peer| transfer(peer, folding.rank)).collect(),
        others().map(|peer| transfer(peer, peer)).collect(),
    )
}

/// The interpreter's evaluation, but for what ranks have added up in the run before: the device still has it, and no rank
/// is asked again.
pub struct Fetched<'a> {
    pub program: &'a CudaProgram,
}

impl blame::Kernels for Fetched<'_> {
    fn eval(
        &mut self,
        graph: &Graph,
        id: NodeId,
        x: &[&Array],
        control: &ControlBlock,
    ) -> Result<Array, String> {
        match &graph.node(id).op {
            Op::AllReduceStart(_) => Ok(Array::scalar(0u8)),
            Op::AllReduceDone(done) => self.program.fetched(done.key, &done.ty).map_err(|e| e.to_string()),
            _ => blame::Reference.eval(graph, id, x, control),
        }
    }
}
