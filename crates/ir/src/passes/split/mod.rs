//! The part of a step that one rank computes.
//!
//! A traced step computes with all rows of a batch, and its derivatives are taken already. Here every value is given one
//! of three places: it is the same on all ranks; it has rows, of which a rank computes those of its own chunks, each chunk
//! by itself; or it is a sum (or a maximum) over rows, of which a rank knows the parts of its chunks. Parts are added up
//! along the fixed tree of [`Shares`] where the whole is needed: so batch norm takes the statistics of the whole batch,
//! and its derivative those of the derivative, without knowing of ranks; and the bits do not depend on who owns which chunk.
//!
//! State that ranks divide among themselves is a fourth place: `own`.
//!
//! `rules` says for each operation how its operands are taken and what place the result has, `resize` writes an operation
//! for fewer rows, `restrict` computes the rows of a chunk of what is the same on all ranks, `scan` does all of this for
//! the body of a loop, `buckets` gathers what is reduced at the same time.

mod buckets;
mod own;
mod resize;
mod restrict;
mod rules;
mod scan;

use crate::plan::Fold;
use crate::prim::{Broadcast, Constant, Elementwise, MapRef, Op, Range, Slice, Source, elementwise};
use crate::ranks::{Ranks, Shares};
use crate::{Array, DType, Graph, Node, NodeId, Shape, Site, SlotId, TensorType};
use buckets::{Buckets, Member};
use resize::resized;
use rules::{Axis, Outcome, Taken, rule};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// How a step is shared.
#[derive(Clone, Debug)]
pub struct Sharing {
    /// Which rows belong to whom.
    pub shares: Shares,
    /// The ranks; `None` where this process computes all chunks itself.
    pub ranks: Option<Arc<dyn Ranks>>,
}

impl Sharing {
    /// The rank of this process.
    pub fn rank(&self) -> usize {
        self.ranks.as_ref().map_or(0, |ranks| ranks.rank())
    }
}

/// The part of a graph that this rank computes: its inputs whose leading axis has `rows` elements have those of the rank.
/// Slots of `divided` hold [`Shares::elements`] of the rank, in one row, where there are several ranks.
///
/// # Errors
/// What cannot be shared, with the operation and the user's line.
pub fn split(graph: &Graph, rows: usize, sharing: &Sharing, divided: &[SlotId]) -> Result<Graph, String> {
    let graph = super::simplify(graph);
    // What became useless while it was simplified must not be reduced: nobody would wait for it.
    let live = graph.live();
    let mut split = Split::new(&graph, rows, sharing);
    if sharing.shares.ranks() > 1 && sharing.ranks.is_some() {
        split.slots = divided.iter().copied().collect();
    }
    for id in graph.ids() {
        let place = if live[id.index()] { split.place(id)? } else { Place::Unused };
        split.places.push(place);
    }
    split.finish()
}

/// What stands for a node of the whole step.
#[derive(Clone)]
enum Place {
    /// A node that is the same on all ranks.
    Whole(NodeId),
    /// A node for each of this rank's chunks, which has the chunk's rows along an axis.
    Rows(Axis, Vec<NodeId>),
    /// Nothing: nobody needs it.
    Unused,
    /// A part of a sum or maximum for each of this rank's chunks.
    Parts(Member),
    /// A loop for each of this rank's chunks, and the places of its results.
    Loop(Vec<scan::Kind>, Vec<NodeId>),
    /// This rank's elements, in one row.
    Own(NodeId),
}

struct Split<'a> {
    old: &'a Graph,
    new: Graph,
    sharing: &'a Sharing,
    /// Rows of the whole batch.
    rows: usize,
    /// The rows of each of this rank's chunks that has any.
    chunks: Vec<std::ops::Range<usize>>,
    places: Vec<Place>,
    /// The places of inputs, of the body of a loop.
    given: Option<Vec<scan::Kind>>,
    /// So many of the first are a guess.
    guessed: usize,
    /// True for nodes of which only other views are used.
    is_looked_at: Vec<bool>,
    /// The rows of each chunk, of nodes that are the same on all ranks.
    restricted: HashMap<(NodeId, usize, usize), Vec<NodeId>>,
    buckets: Buckets,
    /// Slots that ranks divide among themselves.
    slots: HashSet<SlotId>,
    /// This rank's elements of nodes of the whole step.
    owned: HashMap<NodeId, NodeId>,
    /// The next values of divided slots.
    next: HashMap<NodeId, NodeId>,
    /// Divided nodes as all ranks need them.
    joined: HashMap<NodeId, NodeId>,
}

impl<'a> Split<'a> {
    fn new(old: &'a Graph, rows: usize, sharing: &'a Sharing) -> Split<'a> {
        let (shares, rank) = (sharing.shares, sharing.rank());
        let own = shares.rows_of(rank, rows);
        let mut new = Graph { layers: old.layers.clone(), inputs: old.inputs.clone(), ..Graph::default() };
        for ty in new.inputs.iter_mut().filter(|ty| ty.shape.first() == Some(&rows)) {
            ty.shape = with_length(&ty.shape, 0, own.len());
        }
        let chunks =
            shares.of(rank).map(|chunk| shares.rows(chunk, rows)).filter(|c| !c.is_empty()).collect();
        let (places, restricted, buckets) = (Vec::new(), HashMap::new(), Buckets::default());
        let mut is_looked_at = vec![true; old.nodes.len()];
        old.roots().for_each(|id| is_looked_at[id.index()] = false);
        for node in old.nodes.iter().filter(|node| !is_view(&node.op)) {
            node.inputs.iter().for_each(|x| is_looked_at[x.index()] = false);
        }
        Split {
            old,
            new,
            sharing,
            rows,
            chunks,
            places,
            given: None,
            guessed: 0,
            is_looked_at,
            restricted,
            buckets,
            slots: HashSet::new(),
            owned: HashMap::new(),
            next: HashMap::new(),
            joined: HashMap::new(),
        }
    }

    fn push(&mut self, op: Op, inputs: Vec<NodeId>, ty: TensorType, site: Site) -> NodeId {
        self.new.nodes.push(Node { op, inputs, ty, site });
        NodeId(self.new.nodes.len() as u32 - 1)
    }

    /// A new node whose type follows from its operands.
    fn infer(&mut self, op: Op, inputs: Vec<NodeId>, site: Site) -> Result<NodeId, String> {
        let types: Vec<&TensorType> = inputs.iter().map(|&x| &self.new.node(x).ty).collect();
        let ty =
            op.primitive().infer(&types).map_err(|misfit| format!("{}: {}", op.name(), misfit.message))?;
        Ok(self.push(op, inputs, ty, site))
    }

    fn map<P: Elementwise>(&mut self, a: NodeId, b: NodeId, site: Site) -> Result<NodeId, String> {
        self.infer(Op::Map(MapRef::of::<P>()), vec![a, b], site)
    }

    /// Writes what stands for a node.
    fn place(&mut self, id: NodeId) -> Result<Place, String> {
        let node = self.old.node(id);
        if let Op::Source(Source::Input(index)) = node.op {
            return Ok(self.input(index, node));
        }
        if let (Op::ScanOutput(output), Some(Place::Loop(kinds, loops))) = (&node.op, self.first(node)) {
            let (kinds, loops) = (kinds.clone(), loops.clone());
            return self.scan_output(id, output, &kinds, loops);
        }
        if self.given.is_some()
            && let Some(place) = self.parts_in_body(id)?
        {
            return Ok(place);
        }
        if let Some(place) = self.divided(id)? {
            return Ok(place);
        }
        let axes: Vec<Option<Axis>> = node.inputs.iter().map(|x| self.axis(*x)).collect();
        if let (true, Some(Place::Parts(member))) = (is_view(&node.op), self.first(node)) {
            return self.view_of_parts(id, *member);
        }
        if axes.iter().all(Option::is_none) {
            let inputs: Result<Vec<NodeId>, String> =
                node.inputs.iter().map(|&x| self.whole(x, node.site)).collect();
            return Ok(Place::Whole(self.push(node.op.clone(), inputs?, node.ty.clone(), node.site)));
        }
        if let Op::Scan(scan) = &node.op {
            return self.scan(id, scan);
        }
        let types: Vec<&TensorType> = node.inputs.iter().map(|&x| &self.old.node(x).ty).collect();
        let (taken, outcome) = rule(&node.op, &types, &node.ty, &axes, self.rows)
            .ok_or_else(|| self.old.located(id, NOT_SHARED))?;
        let made = self.per_chunk(id, &taken, &outcome)?;
        match outcome {
            Outcome::Rows(axis) => Ok(Place::Rows(axis, made)),
            Outcome::Parts(fold) => self.parts(id, fold, made),
        }
    }

    /// A node of which parts are known. Where it is only looked at in another way, that is what will be needed.
    fn parts(&mut self, id: NodeId, fold: Fold, parts: Vec<NodeId>) -> Result<Place, String> {
        let node = self.old.node(id);
        let member = self.buckets.add(fold, node.ty.clone(), parts);
        if !self.is_looked_at[id.index()] && self.given.is_none() {
            self.will_be_needed(member, node.site)?;
        }
        Ok(Place::Parts(member))
    }

    /// The place of a node's first operand.
    fn first(&self, node: &Node) -> Option<&Place> {
        node.inputs.first().map(|x| &self.places[x.index()])
    }

    /// The node, once for each chunk.
    fn per_chunk(&mut self, id: NodeId, taken: &[Taken], outcome: &Outcome) -> Result<Vec<NodeId>, String> {
        let node = self.old.node(id);
        let operands = node.inputs.iter().zip(taken).map(|(&x, taken)| match taken {
            Taken::Whole => Ok(vec![self.whole(x, node.site)?; self.chunks.len()]),
            Taken::Rows(axis) | Taken::OwnPlaces(axis, _) => self.rows_of(x, *axis),
        });
        let operands = operands.collect::<Result<Vec<_>, String>>()?;
        let mut made = Vec::with_capacity(self.chunks.len());
        for (i, chunk) in self.chunks.clone().into_iter().enumerate() {
            let mut inputs: Vec<NodeId> = operands.iter().map(|of| of[i]).collect();
            for (input, taken) in inputs.iter_mut().zip(taken) {
                if let Taken::OwnPlaces(_, per) = taken {
                    *input = self.minus(*input, chunk.start * per, node.site)?;
                }
            }
            let op = resized(&node.op, taken, outcome, chunk.len());
            made.push(self.infer(op, inputs, node.site).map_err(|e| self.old.located(id, &e))?);
        }
        Ok(made)
    }

    /// Numbers less a constant.
    fn minus(&mut self, x: NodeId, less: usize, site: Site) -> Result<NodeId, String> {
        let ty = self.new.node(x).ty.clone();
        let less = self.number(ty.dtype, less, site)?;
        let less = self.infer(Broadcast(ty.shape).into(), vec![less], site)?;
        self.map::<elementwise::Sub>(x, less, site)
    }

    fn number(&mut self, dtype: DType, value: usize, site: Site) -> Result<NodeId, String> {
        let value =
            crate::dispatch!(dtype, T => Array::scalar(crate::prim::cast::from_f64::<T>(value as f64)));
        let ty = TensorType::new(dtype, Shape::scalar());
        Ok(self.push(Constant(Arc::new(value)).into(), vec![], ty, site))
    }

    /// An input: the rows of the rank, cut into its chunks, where it has rows.
    fn input(&mut self, index: u32, node: &Node) -> Place {
        if let Some(given) = &self.given {
            let (kind, ty) = (given[index as usize], self.new.inputs[index as usize].clone());
            let input = self.push(node.op.clone(), vec![], ty.clone(), node.site);
            return match kind {
                scan::Kind::Whole => Place::Whole(input),
                scan::Kind::Rows(axis) => Place::Rows(axis, vec![input]),
                scan::Kind::Parts(fold) => Place::Parts(self.buckets.add(fold, ty, vec![input])),
            };
        }
        let is_by_row = self.old.inputs[index as usize].shape.first() == Some(&self.rows);
        let ty = self.new.inputs[index as usize].clone();
        let whole = self.push(node.op.clone(), vec![], ty.clone(), node.site);
        if !is_by_row {
            return Place::Whole(whole);
        }
        let first = self.chunks.first().map_or(0, |chunk| chunk.start);
        let cut = |split: &mut Self, chunk: std::ops::Range<usize>| {
            let range = chunk.start - first..chunk.end - first;
            split.slice(whole, 0, range, node.site)
        };
        let parts = self.chunks.clone().into_iter().map(|chunk| cut(self, chunk)).collect();
        Place::Rows(Axis { axis: 0, per: 1 }, parts)
    }

    /// Some elements along one axis.
    fn slice(&mut self, x: NodeId, axis: usize, of: std::ops::Range<usize>, site: Site) -> NodeId {
        let ty = self.new.node(x).ty.clone();
        if of == (0..ty.shape[axis]) {
            return x;
        }
        let range = |(a, &len): (usize, &usize)| match a == axis {
            true => Range { start: of.start, len: of.len(), step: 1 },
            false => Range { start: 0, len, step: 1 },
        };
        let ranges = ty.shape.iter().enumerate().map(range).collect();
        let shape = with_length(&ty.shape, axis, of.len());
        self.push(Slice(ranges).into(), vec![x], TensorType::new(ty.dtype, shape), site)
    }

    /// Parts seen in another way.
    fn view_of_parts(&mut self, id: NodeId, of: Member) -> Result<Place, String> {
        let node = self.old.node(id);
        let (fold, known) = (self.buckets.fold(of), self.buckets.known(of));
        let seen = known.map_or_else(|| self.buckets.parts(of).to_vec(), |whole| vec![whole]);
        let view = |x: NodeId| self.push(node.op.clone(), vec![x], node.ty.clone(), node.site);
        let views: Vec<NodeId> = seen.into_iter().map(view).collect();
        if known.is_some() {
            return Ok(Place::Whole(views[0]));
        }
        self.parts(id, fold, views)
    }

    /// The axis along which a node has rows.
    fn axis(&self, id: NodeId) -> Option<Axis> {
        match &self.places[id.index()] {
            Place::Rows(axis, _) => Some(*axis),
            _ => None,
        }
    }

    /// A node as every rank needs it. `site` is that of its user.
    fn whole(&mut self, id: NodeId, site: Site) -> Result<NodeId, String> {
        match self.places[id.index()].clone() {
            Place::Whole(node) => Ok(node),
            Place::Rows(..) | Place::Loop(..) | Place::Unused => Err(self.old.located(id, NOT_SHARED)),
            Place::Parts(member) => self.reduced(member, site),
            Place::Own(_) => self.gathered(id),
        }
    }

    /// The rows of each chunk of a node.
    fn rows_of(&mut self, id: NodeId, axis: Axis) -> Result<Vec<NodeId>, String> {
        match self.places[id.index()].clone() {
            Place::Rows(own, parts) if own == axis => Ok(parts),
            Place::Rows(..) | Place::Loop(..) | Place::Unused => Err(self.old.located(id, NOT_SHARED)),
            Place::Whole(_) | Place::Parts(_) | Place::Own(_) => self.restrict(id, axis),
        }
    }

    fn finish(mut self) -> Result<Graph, String> {
        let (outputs, updates) = (self.old.outputs.clone(), self.old.updates.clone());
        let at = |split: &mut Self, id: NodeId| split.whole(id, split.old.node(id).site);
        for (name, id) in outputs {
            let node = at(&mut self, id)?;
            self.new.outputs.push((name, node));
        }
        self.gather_updates()?;
        for (slot, id) in updates {
            let node = self.next_of(slot, id).map_or_else(|| at(&mut self, id), Ok)?;
            self.new.updates.push((slot, node));
        }
        for id in self.old.watched.clone() {
            let node = at(&mut self, id)?;
            self.new.watched.push(node);
        }
        for (slot, id) in self.old.gradients.clone() {
            let node = at(&mut self, id)?;
            self.new.gradients.push((slot, node));
        }
        Ok(self.new)
    }
}

/// True for operations through which parts can be seen.
fn is_view(op: &Op) -> bool {
    matches!(op, Op::Reshape(_) | Op::Permute(_))
}

/// Why a step cannot be shared.
const NOT_SHARED: &str = "mixes the rows of a batch in a way that ranks cannot share";

/// A shape with another length along one axis.
fn with_length(shape: &Shape, axis: usize, len: usize) -> Shape {
    let mut dims = shape.to_vec();
    dims[axis] = len;
    dims.into()
}
