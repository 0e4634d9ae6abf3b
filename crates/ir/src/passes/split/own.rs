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
use crate::ranks::{GATHERED, Join};
use crate::{DType, Node, NodeId, Shape, Site, SlotId, TensorType};
use std::collections::HashMap;
use std::ops;

/// A part of a node that is gathered: of each rank's elements this one of so many.
struct Piece {
    of: NodeId,
    part: usize,
    parts: usize,
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
        if !wanted.is_empty() {
            self.gather(Join::AppendState, &wanted, &mut flags)?;
        }
        match flags.first() {
            // Divided state of which no parameter is computed.
            Some(_) => Err(NOT_SHARED.into()),
            None => Ok(()),
        }
    }

    /// 0, or no number where one of the values is none: `[1]` of `f64`.
    fn flag(&mut self, x: NodeId, site: Site) -> Result<NodeId, String> {
        // In another shape, so that zeros are added up as they come, and not kept by the step that computes the values.
        let n = self.new.node(x).ty.shape.elements();
        let x = self.infer(Reshape([1, n].into()).into(), vec![x], site)?;
        let zeros = self.map::<elementwise::Sub>(x, x, site)?;
        let sum = self.infer(Sum(vec![1]).into(), vec![zeros], site)?;
        self.infer(Cast(DType::F64).into(), vec![sum], site)
    }

    /// What is divided as all ranks need it.
    pub(super) fn gathered(&mut self, id: NodeId) -> Result<NodeId, String> {
        if !self.joined.contains_key(&id) {
            self.gather(Join::Append, &[id], &mut Vec::new())?;
        }
        self.joined.get(&id).copied().ok_or_else(|| NOT_SHARED.into())
    }

    /// Gathers nodes, some megabytes at a time, and flags with the first of them.
    fn gather(&mut self, join: Join, ids: &[NodeId], flags: &mut Vec<NodeId>) -> Result<(), String> {
        let mut found: HashMap<NodeId, Vec<Vec<NodeId>>> = HashMap::new();
        for portion in self.portions(ids) {
            self.gather_portion(join, &portion, std::mem::take(flags), &mut found)?;
            for &Piece { of, .. } in portion.iter().filter(|piece| piece.part + 1 == piece.parts) {
                let mut by_rank = found.remove(&of).unwrap_or_default();
                // What this rank has itself is there already, in one piece.
                let own = self.own(of)?;
                by_rank.get_mut(self.sharing.rank()).into_iter().for_each(|mine| *mine = vec![own]);
                let Node { ty, site, .. } = self.old.node(of).clone();
                let whole = self.infer(Concat(0).into(), by_rank.concat(), site)?;
                let whole = self.infer(Reshape(ty.shape).into(), vec![whole], site)?;
                self.joined.insert(of, whole);
            }
        }
        Ok(())
    }

    /// What is gathered together: of one element type, and no more than so many bytes.
    fn portions(&self, ids: &[NodeId]) -> Vec<Vec<Piece>> {
        let mut portions: Vec<Vec<Piece>> = Vec::new();
        let (mut dtype, mut bytes) = (None, 0);
        for &of in ids {
            let ty = &self.old.node(of).ty;
            let parts = ty.bytes().div_ceil(GATHERED).max(1);
            for part in 0..parts {
                let piece = Piece { of, part, parts };
                let more = ty.bytes() / parts;
                match portions.last_mut().filter(|_| dtype == Some(ty.dtype) && bytes + more <= GATHERED) {
                    Some(portion) => portion.push(piece),
                    None => {
                        portions.push(vec![piece]);
                        bytes = 0;
                    }
                }
                (dtype, bytes) = (Some(ty.dtype), bytes + more);
            }
        }
        portions
    }

    /// Gathers pieces of one element type, and flags with them; adds the nodes of each rank's pieces to those of their node.
    fn gather_portion(
        &mut self,
        join: Join,
        pieces: &[Piece],
        flags: Vec<NodeId>,
        found: &mut HashMap<NodeId, Vec<Vec<NodeId>>>,
    ) -> Result<(), String> {
        let Some(Node { ty, site, .. }) = pieces.first().map(|piece| self.old.node(piece.of).clone()) else {
            return Ok(());
        };
        let (rank, ranks) = (self.sharing.rank(), self.sharing.shares.ranks());
        let sum = flags.into_iter().map(Ok).reduce(|a, b| self.map::<elementwise::Add>(a?, b?, site));
        let flag =
            sum.transpose()?.map(|sum| self.infer(Cast(ty.dtype).into(), vec![sum], site)).transpose()?;
        let mut mine = Vec::with_capacity(pieces.len() + 1);
        for piece in pieces {
            let own = self.own(piece.of)?;
            mine.push(self.slice(own, 0, self.elements_of(piece, rank), site));
        }
        mine.extend(flag);
        let mine = match mine[..] {
            [one] => one,
            _ => self.infer(Concat(0).into(), mine, site)?,
        };
        let of_all = (0..ranks).flat_map(|rank| pieces.iter().map(move |piece| (piece, rank)));
        let elements: usize = of_all.map(|(piece, rank)| self.elements_of(piece, rank).len()).sum();
        let total = elements + ranks * usize::from(flag.is_some());
        let bucket = self.begin_with(join, TensorType::new(ty.dtype, [total]), vec![mine], site)?;
        let all = self.done(bucket, site);
        // Where the elements of each rank stand.
        let mut from = 0;
        let mut take = |split: &mut Self, len: usize| {
            let range = Range { start: from, len, step: 1 };
            from += len;
            split.infer(Slice(vec![range]).into(), vec![all], site)
        };
        let mut flagged = Vec::new();
        for rank in 0..ranks {
            for piece in pieces {
                let theirs = take(self, self.elements_of(piece, rank).len())?;
                found.entry(piece.of).or_insert_with(|| vec![Vec::new(); ranks])[rank].push(theirs);
            }
            if flag.is_some() {
                flagged.push(take(self, 1)?);
            }
        }
        if flag.is_some() {
            let flags = self.infer(Concat(0).into(), flagged, site)?;
            self.new.watched.push(flags);
        }
        Ok(())
    }

    /// The elements of a piece that a rank has, among its own ones.
    fn elements_of(&self, piece: &Piece, rank: usize) -> ops::Range<usize> {
        let (shares, n) = (self.sharing.shares, self.old.node(piece.of).ty.shape.elements());
        let own = shares.elements(rank, n).start;
        let of = shares.elements_of_part(rank, n, (piece.part, piece.parts));
        of.start - own..of.end - own
    }

    /// The next value of a slot, where it is divided.
    pub(super) fn next_of(&self, slot: SlotId, id: NodeId) -> Option<NodeId> {
        self.slots.contains(&slot).then(|| self.next.get(&id).copied()).flatten()
    }
}
