//! State that ranks divide among themselves, as the moments of an optimizer: of a slot each rank holds some neighbouring
//! elements, computes their next values, and with them the next values of the same elements of parameters. Of these all
//! ranks need all, and gather them at the end of the step (stage 1 of ZeRO: Rajbhandari et al. 2020).
//!
//! What is computed element by element from divided state is divided alike. A moment that is not finite stops the step of
//! the rank that holds it: so a sum that is 0, or no number where one of the moments is none, is gathered with the rest,
//! and stops the step of all.

use super::{NOT_SHARED, Place, Split};
use crate::plan::is_elementwise;
use crate::prim::{Broadcast, Cast, Concat, Op, Range, Reshape, Slice, Source, Sum, elementwise};
use crate::ranks::Join;
use crate::{DType, Node, NodeId, Shape, Site, SlotId, TensorType};
use std::ops;

/// Bytes that are gathered at a time, or those of one node: each is there several times meanwhile, and what is divided
/// to save memory is not to cost it elsewhere.
const GATHERED: usize = 4 << 20;

/// Something that is gathered: the node that it stands for, and this rank's elements.
struct Part {
    of: NodeId,
    own: NodeId,
}

impl Split<'_> {
    /// The elements of a rank, where ranks divide so many.
    fn elements(&self, rank: usize, n: usize) -> ops::Range<usize> {
        self.sharing.shares.elements(rank, n)
    }

    /// What stands for a node that is divided, if it is.
    pub(super) fn divided(&mut self, id: NodeId) -> Result<Option<Place>, String> {
        let node = self.old.node(id);
        if let Op::Source(Source::Slot(slot)) = node.op
            && self.slots.contains(&slot)
        {
            let own = self.elements(self.sharing.rank(), node.ty.shape.elements());
            let ty = TensorType::new(node.ty.dtype, [own.len()]);
            return Ok(Some(Place::Own(self.push(node.op.clone(), vec![], ty, node.site))));
        }
        let is_own = |x: &NodeId| matches!(self.places[x.index()], Place::Own(_));
        if !is_elementwise(&node.op) || !node.inputs.iter().any(is_own) {
            return Ok(None);
        }
        self.of_own(id).map(|own| Some(Place::Own(own)))
    }

    /// An operation over this rank's elements of its operands.
    fn of_own(&mut self, id: NodeId) -> Result<NodeId, String> {
        let node = self.old.node(id);
        let inputs = node.inputs.iter().map(|&x| self.own(x)).collect::<Result<Vec<_>, _>>()?;
        self.infer(node.op.clone(), inputs, node.site).map_err(|e| self.old.located(id, &e))
    }

    /// This rank's elements of a node, in one row.
    fn own(&mut self, id: NodeId) -> Result<NodeId, String> {
        if let Place::Own(own) = self.places[id.index()] {
            return Ok(own);
        }
        if let Some(&known) = self.owned.get(&id) {
            return Ok(known);
        }
        let node = self.old.node(id);
        let n = node.ty.shape.elements();
        let range = self.elements(self.sharing.rank(), n);
        let made = match &node.op {
            Op::Broadcast(_) if self.old.node(node.inputs[0]).ty.shape.elements() == 1 => {
                let x = self.whole(node.inputs[0], node.site)?;
                let x = self.infer(Reshape(Shape::scalar()).into(), vec![x], node.site)?;
                self.infer(Broadcast([range.len()].into()).into(), vec![x], node.site)?
            }
            op if is_elementwise(op) && !node.inputs.is_empty() => self.of_own(id)?,
            _ => {
                let whole = self.whole(id, node.site)?;
                let flat = self.infer(Reshape([n].into()).into(), vec![whole], node.site)?;
                self.slice(flat, 0, range, node.site)
            }
        };
        self.owned.insert(id, made);
        Ok(made)
    }

    /// Gathers what all need of what is divided, and gives divided slots their next values.
    pub(super) fn gather_updates(&mut self) -> Result<(), String> {
        let mut flags: Vec<NodeId> = Vec::new();
        let mut wanted: Vec<NodeId> = Vec::new();
        for (slot, id) in self.old.updates.clone() {
            if self.slots.contains(&slot) {
                let next = self.own(id)?;
                flags.push(self.flag(next, self.old.node(id).site)?);
                self.next.insert(id, next);
            } else if matches!(self.places[id.index()], Place::Own(_)) {
                wanted.push(id);
            }
        }
        for ids in self.portions(&wanted) {
            self.gather(ids, std::mem::take(&mut flags))?;
        }
        match flags.first() {
            // Divided state of which no parameter is computed.
            Some(_) => Err(NOT_SHARED.into()),
            None => Ok(()),
        }
    }

    /// Nodes of one element type that are gathered together.
    fn portions(&self, ids: &[NodeId]) -> Vec<Vec<NodeId>> {
        let mut portions: Vec<Vec<NodeId>> = Vec::new();
        let (mut dtype, mut bytes) = (None, 0);
        for &id in ids {
            let ty = &self.old.node(id).ty;
            match portions.last_mut().filter(|_| dtype == Some(ty.dtype) && bytes + ty.bytes() <= GATHERED) {
                Some(portion) => portion.push(id),
                None => {
                    portions.push(vec![id]);
                    bytes = 0;
                }
            }
            (dtype, bytes) = (Some(ty.dtype), bytes + ty.bytes());
        }
        portions
    }

    /// 0, or no number where one of the values is none: `[1]` of `f64`.
    fn flag(&mut self, x: NodeId, site: Site) -> Result<NodeId, String> {
        let zeros = self.map::<elementwise::Sub>(x, x, site)?;
        let zeros = self.infer(Cast(DType::F64).into(), vec![zeros], site)?;
        let sum = self.infer(Sum(vec![0]).into(), vec![zeros], site)?;
        self.infer(Reshape([1].into()).into(), vec![sum], site)
    }

    /// What is divided as all ranks need it.
    pub(super) fn gathered(&mut self, id: NodeId) -> Result<NodeId, String> {
        if !self.joined.contains_key(&id) {
            self.gather(vec![id], Vec::new())?;
        }
        self.joined.get(&id).copied().ok_or_else(|| NOT_SHARED.into())
    }

    /// Gathers nodes of one element type, and flags with them.
    fn gather(&mut self, ids: Vec<NodeId>, flags: Vec<NodeId>) -> Result<(), String> {
        let Some(Node { ty, site, .. }) = ids.first().map(|&id| self.old.node(id).clone()) else {
            return Ok(());
        };
        let mut parts = Vec::with_capacity(ids.len());
        for of in ids {
            parts.push(Part { of, own: self.own(of)? });
        }
        let sum = flags.into_iter().map(Ok).reduce(|a, b| self.map::<elementwise::Add>(a?, b?, site));
        let flag =
            sum.transpose()?.map(|sum| self.infer(Cast(ty.dtype).into(), vec![sum], site)).transpose()?;
        let mine = parts.iter().map(|part| part.own).chain(flag).collect();
        let mine = self.infer(Concat(0).into(), mine, site)?;
        let lengths: Vec<usize> =
            parts.iter().map(|part| self.old.node(part.of).ty.shape.elements()).collect();
        let flagged = usize::from(flag.is_some());
        let ranks = self.sharing.shares.ranks();
        let total = lengths.iter().sum::<usize>() + flagged * ranks;
        let ty = TensorType::new(ty.dtype, [total]);
        let bucket = self.begin_with(Join::Append, ty, vec![mine], site)?;
        let all = self.done(bucket, site);
        // Where the elements of each rank stand.
        let mut from = 0;
        let mut pieces: Vec<Vec<NodeId>> = vec![Vec::new(); lengths.len() + flagged];
        for rank in 0..ranks {
            let of_parts = lengths.iter().map(|&n| self.elements(rank, n).len());
            let of_rank: Vec<usize> = of_parts.chain((flagged > 0).then_some(1)).collect();
            for (piece, len) in pieces.iter_mut().zip(of_rank) {
                let range = Range { start: from, len, step: 1 };
                piece.push(self.infer(Slice(vec![range]).into(), vec![all], site)?);
                from += len;
            }
        }
        let mut whole = Vec::with_capacity(pieces.len());
        for piece in pieces {
            whole.push(self.infer(Concat(0).into(), piece, site)?);
        }
        if flag.is_some() {
            self.new.watched.extend(whole.pop());
        }
        for (part, flat) in parts.into_iter().zip(whole) {
            let shape = self.old.node(part.of).ty.shape.clone();
            let joined = self.infer(Reshape(shape).into(), vec![flat], site)?;
            self.joined.insert(part.of, joined);
        }
        Ok(())
    }

    /// The next value of a slot, where it is divided.
    pub(super) fn next_of(&self, slot: SlotId, id: NodeId) -> Option<NodeId> {
        self.slots.contains(&slot).then(|| self.next.get(&id).copied()).flatten()
    }
}
