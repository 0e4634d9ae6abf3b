//! What is reduced at the same time.
//!
//! Sums that nobody needs yet wait for others of their type, until they are [`FULL`] or one is needed. So the gradients of
//! a small network are one reduction, and those of a large one are reduced while the backward pass goes on.

use super::{NOT_SHARED, Split};
use crate::plan::Fold;
use crate::prim::{AllReduceDone, AllReduceStart, Concat, Range, Reshape, Slice, elementwise};
use crate::ranks::Join;
use crate::{DType, NodeId, Site, TensorType};
use std::ops;

/// Bytes of a bucket that waits for no more.
pub const FULL: usize = 4 << 20;

/// Something that is known in parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member(usize);

/// All that is known in parts.
#[derive(Default)]
pub struct Buckets {
    members: Vec<State>,
    waiting: Vec<Member>,
    begun: Vec<Begun>,
    /// The start before, so that all ranks begin in one order.
    last: Option<NodeId>,
}

struct State {
    fold: Fold,
    ty: TensorType,
    parts: Vec<NodeId>,
    /// The bucket, and the place of the first element in it.
    bucket: Option<(usize, usize)>,
    whole: Option<NodeId>,
}

/// A reduction of a number of elements.
struct Begun {
    /// Begins it; where no other rank is asked, the result.
    start: NodeId,
    done: Option<NodeId>,
    ty: TensorType,
}

impl Buckets {
    /// Something that is known in parts, one for each chunk.
    pub fn add(&mut self, fold: Fold, ty: TensorType, parts: Vec<NodeId>) -> Member {
        self.members.push(State { fold, ty, parts, bucket: None, whole: None });
        Member(self.members.len() - 1)
    }

    pub fn fold(&self, member: Member) -> Fold {
        self.members[member.0].fold
    }

    pub fn parts(&self, member: Member) -> &[NodeId] {
        &self.members[member.0].parts
    }

    /// The whole, where it has been asked for.
    pub fn known(&self, member: Member) -> Option<NodeId> {
        self.members[member.0].whole
    }

    fn kind(&self, member: Member) -> (Fold, DType) {
        let state = &self.members[member.0];
        (state.fold, state.ty.dtype)
    }

    /// Takes all that wait and can be reduced with this one out of the list, in their order. What fills a bucket goes
    /// alone, from where it is: others with it would make a copy of it.
    fn take(&mut self, with: Member) -> Vec<Member> {
        let small_alike = |&member: &Member| {
            !self.is_large(with) && !self.is_large(member) && self.kind(member) == self.kind(with)
        };
        let goes = |member: &&Member| **member == with || small_alike(member);
        let (taken, rest) = self.waiting.iter().partition(goes);
        self.waiting = rest;
        taken
    }

    fn is_large(&self, member: Member) -> bool {
        self.members[member.0].ty.bytes() >= FULL
    }
}

impl Split<'_> {
    /// Notes that something will be needed whole.
    pub(super) fn will_be_needed(&mut self, member: Member, site: Site) -> Result<(), String> {
        let kind = self.buckets.kind(member);
        self.buckets.waiting.push(member);
        let alike = self.buckets.waiting.iter().filter(|&&m| self.buckets.kind(m) == kind);
        let bytes: usize = alike.map(|m| self.buckets.members[m.0].ty.bytes()).sum();
        if bytes >= FULL { self.begin(member, site) } else { Ok(()) }
    }

    /// The whole of something, for a user at this site.
    pub(super) fn reduced(&mut self, member: Member, site: Site) -> Result<NodeId, String> {
        if let Some(whole) = self.buckets.known(member) {
            return Ok(whole);
        }
        if self.given.is_some() {
            return Err(NOT_SHARED.into());
        }
        if self.buckets.members[member.0].bucket.is_none() {
            if !self.buckets.waiting.contains(&member) {
                self.buckets.waiting.push(member);
            }
            self.begin(member, site)?;
        }
        let Some((bucket, at)) = self.buckets.members[member.0].bucket else {
            return Err("a sum over rows is in no bucket".into());
        };
        let all = self.done(bucket, site);
        let ty = self.buckets.members[member.0].ty.clone();
        let range = Range { start: at, len: ty.shape.elements(), step: 1 };
        let flat = self.infer(Slice(vec![range]).into(), vec![all], site)?;
        let whole = self.infer(Reshape(ty.shape).into(), vec![flat], site)?;
        self.buckets.members[member.0].whole = Some(whole);
        Ok(whole)
    }

    /// Begins to reduce something, with all that waits and goes with it.
    fn begin(&mut self, with: Member, site: Site) -> Result<(), String> {
        let members = self.buckets.take(with);
        let (fold, dtype) = self.buckets.kind(with);
        let mut chunks: Vec<Vec<NodeId>> = vec![Vec::new(); self.chunks.len()];
        let mut elements = 0;
        for member in members {
            let state = &mut self.buckets.members[member.0];
            let n = state.ty.shape.elements();
            state.bucket = Some((self.buckets.begun.len(), elements));
            elements += n;
            let parts = state.parts.clone();
            for (chunk, part) in chunks.iter_mut().zip(parts) {
                chunk.push(self.infer(Reshape([n].into()).into(), vec![part], site)?);
            }
        }
        let flat = chunks.into_iter().map(|parts| match parts[..] {
            [one] => Ok(one),
            _ => self.infer(Concat(0).into(), parts, site),
        });
        let flat = flat.collect::<Result<Vec<_>, _>>()?;
        let ty = TensorType::new(dtype, [elements]);
        let pieces = self.pieces(fold, &flat, site)?;
        self.begin_with(Join::Fold(fold), ty, pieces, site).map(drop)
    }

    /// Begins to join what all ranks give; gives the bucket.
    pub(super) fn begin_with(
        &mut self,
        join: Join,
        ty: TensorType,
        pieces: Vec<NodeId>,
        site: Site,
    ) -> Result<usize, String> {
        let start = self.start(join, &ty, pieces, site)?;
        self.buckets.begun.push(Begun { start, done: None, ty });
        Ok(self.buckets.begun.len() - 1)
    }

    /// This rank's subtrees of chunks, added up.
    fn pieces(&mut self, fold: Fold, flat: &[NodeId], site: Site) -> Result<Vec<NodeId>, String> {
        let (shares, rank, rows) = (self.sharing.shares, self.sharing.rank(), self.rows);
        let chunks: Vec<usize> =
            shares.of(rank).filter(|&chunk| !shares.rows(chunk, rows).is_empty()).collect();
        let mut pieces = Vec::new();
        for piece in shares.pieces(rank, rows) {
            let leaf = &mut |node: &ops::Range<usize>| {
                let at = chunks.iter().position(|&chunk| chunk == node.start).filter(|_| node.len() == 1)?;
                Some(Ok(flat[at]))
            };
            let add = &mut |a: Result<NodeId, String>, b: Result<NodeId, String>| match fold {
                Fold::Sum => self.map::<elementwise::Add>(a?, b?, site),
                Fold::Max => self.map::<elementwise::Maximum>(a?, b?, site),
            };
            pieces.extend(shares.fold_below(piece, rows, leaf, add).transpose()?);
        }
        Ok(pieces)
    }

    /// Begins a reduction of pieces; where this process has all of them, that is the result.
    fn start(
        &mut self,
        join: Join,
        ty: &TensorType,
        pieces: Vec<NodeId>,
        site: Site,
    ) -> Result<NodeId, String> {
        let Some(ranks) = &self.sharing.ranks else {
            return pieces.first().copied().ok_or_else(|| "a batch without rows".into());
        };
        let op = AllReduceStart {
            key: self.buckets.begun.len() as u32,
            join,
            shares: self.sharing.shares,
            rows: self.rows,
            pieces: pieces.len(),
            ty: ty.clone(),
            ranks: ranks.clone(),
        };
        let inputs = pieces.into_iter().chain(self.buckets.last).collect();
        let start = self.push(op.into(), inputs, AllReduceStart::token(), site);
        self.buckets.last = Some(start);
        Ok(start)
    }

    /// All elements of a bucket, for a user at this site.
    pub(super) fn done(&mut self, bucket: usize, site: Site) -> NodeId {
        let Begun { start, done, ty } = &self.buckets.begun[bucket];
        let (start, ty) = (*start, ty.clone());
        if let Some(done) = *done {
            return done;
        }
        let Some(ranks) = self.sharing.ranks.clone() else { return start };
        let op = AllReduceDone { key: bucket as u32, ty: ty.clone(), ranks };
        let done = self.push(op.into(), vec![start], ty, site);
        self.buckets.begun[bucket].done = Some(done);
        done
    }
}
