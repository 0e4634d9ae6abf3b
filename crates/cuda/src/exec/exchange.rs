//! Steps that are shared among ranks: what they add up together goes through the host.
//!
//! A step is queued in parts. Where reductions begin a part ends: their pieces are copied to the host's memory last of all,
//! and a mark on the stream tells when they are there. Where results are needed a part begins: the host waits for them
//! before it queues the part, which copies them to the device first of all. So while a result is on its way the device has
//! all to do that was queued before, the rest of the backward pass above all; and while the host waits, programs of other
//! threads have the stream.
//!
//! A value that is not finite stops nothing here: all reductions of the step take place, so that no rank waits for another
//! one, and as all have the same sums, all find the step to have failed.

use super::CudaProgram;
use super::bytes;
use super::compile::{self, Action};
use super::copies::Copy;
use super::linked::Linked;
use super::state::Outcome;
use crate::driver::{Context, Event, Graph as Recording, HostMemory};
use crate::error::CudaError;
use ironlearn_ir::Array;
use ironlearn_ir::plan::{PlanStep, StepKind, View};
use ironlearn_ir::prim::{AllReduceDone, AllReduceStart, Op};
use ironlearn_ir::ranks::Join;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// Begins a reduction.
pub struct Begin {
    pub start: AllReduceStart,
    /// This rank's pieces.
    pub pieces: Vec<View>,
    /// Where GPUs are linked.
    pub linked: Option<Linked>,
}

/// Needs the result of a reduction.
pub struct Finish {
    pub done: AllReduceDone,
    pub out: View,
    /// Where GPUs are linked: the place of the result in the memory of exchanges.
    pub from: Option<usize>,
}

impl Begin {
    /// Where each piece begins in the host's memory, and the end of all.
    fn places(&self) -> (Vec<usize>, usize) {
        let each = self.start.ty.bytes().next_multiple_of(64);
        ((0..self.pieces.len()).map(|i| i * each).collect(), self.pieces.len() * each)
    }
}

/// What a step does that speaks with other ranks; `None` for all others.
pub fn action(step: &PlanStep) -> Option<Action> {
    let StepKind::Reference { op, x, out } = &step.kind else { return None };
    match op {
        Op::AllReduceStart(start) if matches!(start.join, Join::Fold(_)) => {
            let pieces = x.iter().take(start.pieces).cloned().collect();
            Some(Action::Begin(Box::new(Begin { start: start.clone(), pieces, linked: None })))
        }
        Op::AllReduceDone(done) => {
            Some(Action::Finish(Box::new(Finish { done: done.clone(), out: out.clone(), from: None })))
        }
        _ => None,
    }
}

/// The parts of a step that other ranks have a share in, and the host's memory of what is exchanged.
pub struct Exchange {
    parts: Vec<Part>,
    /// By the place of the action: pieces, or the result.
    memory: HashMap<usize, HostMemory>,
}

/// Actions that are queued at once.
struct Part {
    actions: Range<usize>,
    /// Where reductions begin at the end of the part: passed when their pieces are in the host's memory.
    mark: Option<Event>,
}

impl Exchange {
    /// For these actions; `None` where no other rank is asked through the host.
    pub fn new(context: &Arc<Context>, actions: &[Action]) -> Result<Option<Exchange>, CudaError> {
        let mut memory = HashMap::new();
        for (i, action) in actions.iter().enumerate() {
            let bytes = match action {
                Action::Begin(begin) if begin.linked.is_none() => begin.places().1,
                Action::Finish(finish) if finish.from.is_none() => finish.done.ty.bytes(),
                _ => continue,
            };
            memory.insert(i, HostMemory::new(context, bytes)?);
        }
        if memory.is_empty() {
            return Ok(None);
        }
        let part = |part: Range<usize>| {
            let begins = matches!(actions[part.clone()].last(), Some(Action::Begin(_)));
            let mark = begins.then(|| Event::new(context)).transpose()?;
            Ok(Part { actions: part, mark })
        };
        let parts = parts(actions).into_iter().map(part).collect::<Result<_, CudaError>>()?;
        Ok(Some(Exchange { parts, memory }))
    }

    /// The actions of each part.
    pub fn parts(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.parts.iter().map(|part| part.actions.clone())
    }

    /// The copies to the host, or from there, of an action.
    pub fn copies(&self, at: usize, action: &Action, address: impl Fn(&View) -> u64) -> Vec<Copy> {
        let Some(host) = self.memory.get(&at).map(HostMemory::at) else { return Vec::new() };
        match action {
            Action::Begin(begin) => {
                let (places, bytes) = (begin.places().0, begin.start.ty.bytes());
                let copy = |(piece, place): (&View, usize)| Copy {
                    from: address(piece),
                    to: host + place as u64,
                    bytes,
                };
                begin.pieces.iter().zip(places).map(copy).collect()
            }
            Action::Finish(finish) => {
                vec![Copy { from: host, to: address(&finish.out), bytes: finish.done.ty.bytes() }]
            }
            _ => Vec::new(),
        }
    }

    /// Gives the ranks the pieces of a reduction, which are in the host's memory.
    fn begin(&self, at: usize, begin: &Begin) -> Result<(), CudaError> {
        let AllReduceStart { key, ref ty, .. } = begin.start;
        let host = self.memory.get(&at).map_or(&[][..], HostMemory::get);
        let piece = |place: usize| -> Result<Array, CudaError> {
            let view = bytes::view(&host[place..], ty).ok_or_else(|| misplaced(key))?;
            view.try_to_array("a piece of a reduction")
                .map_err(|refused| CudaError::Ranks(refused.to_string()))
        };
        let pieces = begin.places().0.into_iter().map(piece).collect::<Result<_, _>>()?;
        begin.start.begin(pieces).map(drop).map_err(CudaError::Ranks)
    }

    /// Waits for the result of a reduction, and puts it into the host's memory.
    fn finish(&mut self, at: usize, finish: &Finish) -> Result<(), CudaError> {
        let key = finish.done.key;
        let result = finish.done.finish().map_err(CudaError::Ranks)?;
        let from = bytes::of(result.data().view());
        let to = self.memory.get_mut(&at).map_or(&mut [][..], HostMemory::get_mut);
        if from.len() != to.len() {
            return Err(misplaced(key));
        }
        to.copy_from_slice(from);
        Ok(())
    }
}

fn misplaced(key: u32) -> CudaError {
    CudaError::Ranks(format!("reduction {key} is of another length than was planned"))
}

/// Cuts actions where reductions begin, and where results are needed.
fn parts(actions: &[Action]) -> Vec<Range<usize>> {
    let is_cut = |i: &usize| match (&actions[i - 1], &actions[*i]) {
        (Action::Begin(_), Action::Begin(_)) | (Action::Finish(_), Action::Finish(_)) => false,
        (before, after) => matches!(before, Action::Begin(_)) || matches!(after, Action::Finish(_)),
    };
    let starts: Vec<usize> = [0].into_iter().chain((1..actions.len()).filter(is_cut)).collect();
    let ends = starts.iter().skip(1).copied().chain([actions.len()]);
    starts.iter().zip(ends).map(|(&start, end)| start..end).collect()
}

impl CudaProgram {
    /// Runs one step, the control block and the inputs of which are on their way, and gives what came of it. The caller
    /// does not have its turn on the stream: it is taken part by part.
    pub(super) fn run_among_ranks(&mut self, slots: &[[u64; 2]]) -> Result<Outcome, CudaError> {
        let Some(mut exchange) = self.exchange.take() else { return Ok(self.state.outcome()) };
        let ran = self.run_parts(&mut exchange, slots);
        self.exchange = Some(exchange);
        let context = self.context.clone();
        let _turn = context.turn();
        match ran {
            Ok(()) => self.end_run(),
            Err(error) => {
                // What was queued may use the host's memory.
                let _ = self.context.synchronize();
                Err(error)
            }
        }
    }

    fn run_parts(&mut self, exchange: &mut Exchange, slots: &[[u64; 2]]) -> Result<(), CudaError> {
        let context = self.context.clone();
        let addresses = self.addresses(slots);
        let mut queued = 0;
        for part in 0..exchange.parts.len() {
            let actions = exchange.parts[part].actions.clone();
            if let Some(Action::Finish(_)) = self.sequence.actions.get(actions.start) {
                {
                    // The wait is part of what it is waited for.
                    let _turn = context.turn();
                    self.measured.as_ref().map_or(Ok(()), |measured| measured.mark(actions.start))?;
                }
                self.begin_reductions(exchange, queued..part)?;
                queued = part;
                for at in actions.clone() {
                    let Some(Action::Finish(finish)) = self.sequence.actions.get(at) else { break };
                    exchange.finish(at, finish)?;
                }
            }
            let _turn = context.turn();
            match self.measured {
                Some(_) => self.queue_part(Some(&*exchange), actions, &addresses)?,
                None => {
                    self.record(Some(&*exchange), slots, 1)?.get(part).map_or(Ok(()), Recording::launch)?
                }
            }
            exchange.parts[part].mark.as_ref().map_or(Ok(()), Event::record)?;
        }
        self.begin_reductions(exchange, queued..exchange.parts.len())
    }

    /// Begins the reductions at the end of some parts, in order, as their pieces come to the host.
    fn begin_reductions(&self, exchange: &Exchange, parts: Range<usize>) -> Result<(), CudaError> {
        for part in &exchange.parts[parts] {
            part.mark.as_ref().map_or(Ok(()), Event::wait)?;
            for at in part.actions.clone() {
                if let Action::Begin(begin) = &self.sequence.actions[at] {
                    exchange.begin(at, begin)?;
                }
            }
        }
        Ok(())
    }

    /// Queues an action that speaks with other ranks.
    pub(super) fn queue_exchange(
        &self,
        exchange: Option<&Exchange>,
        at: usize,
        action: &Action,
        addresses: &[u64],
    ) -> Result<(), CudaError> {
        match (action, &self.links) {
            (Action::Begin(begin), Some(links)) => {
                return begin
                    .linked
                    .as_ref()
                    .map_or(Ok(()), |l| self.queue_linked(links, begin, l, addresses));
            }
            (Action::Finish(finish), Some(_)) => {
                return finish.from.map_or(Ok(()), |place| self.queue_result(place, finish, addresses));
            }
            _ => {}
        }
        let address = |view: &View| compile::address(&self.plan, addresses, view);
        let copies = exchange.map_or_else(Vec::new, |exchange| exchange.copies(at, action, address));
        self.copies.queue(&self.context, copies.into_iter())
    }
}
