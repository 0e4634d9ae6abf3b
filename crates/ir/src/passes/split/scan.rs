//! Loops: every chunk runs the loop over its own rows, with a body for so many rows.
//!
//! A carry may be by row, as the state of a recurrence is, or a sum over rows that the loop adds to, as the gradient of
//! its weights is: such a sum stays in parts until the loop has ended.

use super::buckets::Member;
use super::rules::Axis;
use super::{NOT_SHARED, Place, Split, with_length};
use crate::plan::Fold;
use crate::prim::{MapRef, Op, Scan, ScanOutput, Source, elementwise};
use crate::{Graph, NodeId, Stored};
use std::ops::Range;
use std::sync::Arc;

/// The place of a value of a body.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The same for all chunks.
    Whole,
    /// By row.
    Rows(Axis),
    /// A sum or maximum over rows.
    Parts(Fold),
}

impl<'a> Split<'a> {
    /// A loop of which an operand is by row.
    pub(super) fn scan(&mut self, id: NodeId, scan: &Scan) -> Result<Place, String> {
        let node = self.old.node(id);
        let refused = |_| self.old.located(id, NOT_SHARED);
        let mut given: Vec<Kind> = Vec::new();
        for (i, &x) in node.inputs.iter().enumerate() {
            let is_sequence = (scan.carries..scan.carries + scan.xs).contains(&i);
            given.push(match self.axis(x) {
                Some(axis) if is_sequence => {
                    Kind::Rows(axis.at(axis.axis.checked_sub(1).ok_or(()).map_err(refused)?))
                }
                Some(axis) => Kind::Rows(axis),
                None => Kind::Whole,
            });
        }
        let results = self.settle(scan, &mut given).map_err(|e| self.old.located(id, &e))?;
        let mut operands = Vec::with_capacity(given.len());
        for (i, (&x, kind)) in node.inputs.iter().zip(&given).enumerate() {
            let is_sequence = (scan.carries..scan.carries + scan.xs).contains(&i);
            operands.push(match kind {
                Kind::Rows(axis) => self.rows_of(x, axis.at(axis.axis + usize::from(is_sequence)))?,
                Kind::Parts(_) if !is_zero(self.old, x) => return Err(self.old.located(id, NOT_SHARED)),
                Kind::Whole | Kind::Parts(_) => vec![self.whole(x, node.site)?; self.chunks.len()],
            });
        }
        let mut loops = Vec::with_capacity(self.chunks.len());
        for (i, chunk) in self.chunks.clone().into_iter().enumerate() {
            let (body, _) = self.body(scan, &given, chunk, false)?;
            let op = Scan { body: Arc::new(body), ..scan.clone() };
            let inputs = operands.iter().map(|of| of[i]).collect();
            loops.push(self.infer(op.into(), inputs, node.site)?);
        }
        Ok(Place::Loop(results, loops))
    }

    /// Finds the places of carries, which are those of what the body makes of them; gives those of all results.
    fn settle(&self, scan: &Scan, given: &mut [Kind]) -> Result<Vec<Kind>, String> {
        // Which chunk makes no difference to places.
        let any = 0..1;
        for _ in 0..=scan.carries {
            let (_, results) = self.body(scan, given, any.clone(), true)?;
            let mut is_settled = true;
            for (carry, result) in given.iter_mut().zip(&results[..scan.carries]) {
                if *carry == Kind::Whole && *result != Kind::Whole {
                    *carry = *result;
                    is_settled = false;
                }
            }
            if is_settled {
                // What was let pass for carries that were not yet known is an error now.
                return Ok(self.body(scan, given, any, false)?.1);
            }
        }
        Err(NOT_SHARED.into())
    }

    /// The body for the rows of one chunk, and the places of its results. While carries are a guess, one that seems to be
    /// the same on all ranks may turn out to be a sum.
    fn body(
        &self,
        scan: &Scan,
        given: &[Kind],
        chunk: Range<usize>,
        is_guess: bool,
    ) -> Result<(Graph, Vec<Kind>), String> {
        let live = scan.body.live();
        let mut split = Split::new(&scan.body, self.rows, self.sharing);
        split.new.inputs = scan.body.inputs.clone();
        for (ty, kind) in split.new.inputs.iter_mut().zip(given) {
            if let Kind::Rows(axis) = kind {
                ty.shape = with_length(&ty.shape, axis.axis, chunk.len() * axis.per);
            }
        }
        split.chunks = vec![chunk];
        split.given = Some(given.to_vec());
        split.guessed = if is_guess { scan.carries } else { 0 };
        for id in scan.body.ids() {
            // Inputs stand first, in order, whether anything needs them or not.
            let is_input = matches!(scan.body.node(id).op, Op::Source(_));
            let place = if live[id.index()] || is_input { split.place(id)? } else { Place::Unused };
            split.places.push(place);
        }
        let mut results = Vec::new();
        for (i, (name, id)) in scan.body.outputs.iter().enumerate() {
            // A carry that is by row stays so.
            let asked = given.get(i).filter(|_| i < scan.carries);
            let (kind, node) = match (split.places[id.index()].clone(), asked) {
                (_, Some(&Kind::Rows(axis))) => (Kind::Rows(axis), split.rows_of(*id, axis)?[0]),
                (Place::Rows(axis, parts), _) => (Kind::Rows(axis), parts[0]),
                (Place::Parts(member), _) => {
                    (Kind::Parts(split.buckets.fold(member)), split.buckets.parts(member)[0])
                }
                _ => (Kind::Whole, split.whole(*id, scan.body.node(*id).site)?),
            };
            results.push(kind);
            split.new.outputs.push((name.clone(), node));
        }
        Ok((split.new, results))
    }

    /// A result of a loop.
    pub(super) fn scan_output(
        &mut self,
        id: NodeId,
        output: &ScanOutput,
        kinds: &[Kind],
        loops: Vec<NodeId>,
    ) -> Result<Place, String> {
        let site = self.old.node(id).site;
        let mut made = Vec::with_capacity(loops.len());
        let mut carries = 0;
        for node in loops {
            let Op::Scan(scan) = &self.new.node(node).op else { continue };
            let ty = scan.results().swap_remove(output.index);
            made.push(self.push(
                ScanOutput { index: output.index, ty: ty.clone() }.into(),
                vec![node],
                ty,
                site,
            ));
        }
        if let Op::Scan(scan) = &self.old.node(self.old.node(id).inputs[0]).op {
            carries = scan.carries;
        }
        match kinds[output.index] {
            Kind::Rows(axis) => {
                let stacked = usize::from(output.index >= carries);
                Ok(Place::Rows(axis.at(axis.axis + stacked), made))
            }
            Kind::Parts(fold) => self.parts(id, fold, made),
            // A rank without rows would not know it.
            Kind::Whole => Err(self.old.located(id, NOT_SHARED)),
        }
    }

    /// In the body of a loop: what sums over rows become when they are added up or converted; `None` for other
    /// operations.
    pub(super) fn parts_in_body(&mut self, id: NodeId) -> Result<Option<Place>, String> {
        let node = self.old.node(id);
        let part = |x: &NodeId| match self.places[x.index()] {
            Place::Parts(member) => Some(member),
            _ => None,
        };
        let is_guessed = |x: &NodeId| match self.old.node(*x).op {
            Op::Source(Source::Input(index)) => (index as usize) < self.guessed,
            _ => false,
        };
        let is_linear = match &node.op {
            Op::Map(map) => *map == MapRef::of::<elementwise::Add>(),
            op => matches!(op, Op::Cast(_)),
        };
        if !is_linear || !node.inputs.iter().all(|x| part(x).is_some() || is_guessed(x)) {
            return Ok(None);
        }
        let parts: Vec<Member> = node.inputs.iter().filter_map(part).collect();
        if parts.is_empty() {
            return Ok(None);
        }
        let fold = self.buckets.fold(parts[0]);
        if parts.iter().any(|&part| self.buckets.fold(part) != fold) || fold != Fold::Sum {
            return Ok(None);
        }
        let operand = |x: &NodeId| match &self.places[x.index()] {
            Place::Parts(member) => self.buckets.parts(*member).to_vec(),
            Place::Whole(node) => vec![*node],
            _ => vec![],
        };
        let inputs = node.inputs.iter().flat_map(operand).collect();
        let made = self.push(node.op.clone(), inputs, node.ty.clone(), node.site);
        Ok(Some(self.parts(id, fold, vec![made])?))
    }
}

/// True for constant zeros, also repeated.
fn is_zero(graph: &Graph, id: NodeId) -> bool {
    let node = graph.node(id);
    match &node.op {
        Op::Broadcast(_) | Op::Reshape(_) | Op::Cast(_) => is_zero(graph, node.inputs[0]),
        Op::Constant(constant) => {
            let data = constant.0.data().view();
            let all = |is_zero: Option<bool>| is_zero == Some(true);
            all(f32::slice(data).map(|v| v.iter().all(|&v| v == 0.0)))
                || all(f64::slice(data).map(|v| v.iter().all(|&v| v == 0.0)))
        }
        _ => false,
    }
}
