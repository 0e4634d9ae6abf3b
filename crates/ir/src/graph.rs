//! The graph: nodes in the order they were traced, each an operation on earlier nodes.

use crate::prim::Op;
use crate::ranks::Ranks;
use crate::{DType, Shape};
use std::fmt;
use std::panic::Location;
use std::sync::Arc;

/// The place of a node in its graph. Inputs of a node always have smaller ids.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The id as an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.0)
    }
}

/// Shape and element type.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct TensorType {
    /// Lengths along the axes.
    pub shape: Shape,
    /// Element type.
    pub dtype: DType,
}

impl TensorType {
    /// A type from its parts.
    pub fn new(dtype: DType, shape: impl Into<Shape>) -> TensorType {
        TensorType { shape: shape.into(), dtype }
    }

    /// The bytes of a tensor of this type.
    pub fn bytes(&self) -> usize {
        self.shape.elements() * self.dtype.size()
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.dtype, self.shape)
    }
}

/// Which part of a step a node belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Phase {
    /// What the user wrote.
    Forward,
    /// What [`grad`](crate::Tape::grad) added.
    Backward,
    /// What the optimizer added.
    Update,
}

/// Where a node comes from.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The user's line.
    pub location: &'static Location<'static>,
    /// Index into [`Graph::layers`].
    pub layer: u32,
    /// Part of the step.
    pub phase: Phase,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Op,
    /// From which nodes.
    pub inputs: Vec<NodeId>,
    /// Type of the result.
    pub ty: TensorType,
    /// Where it comes from.
    pub site: Site,
}

/// A traced computation.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Nodes; a node's inputs stand before it.
    pub nodes: Vec<Node>,
    /// Layer paths that nodes refer to; the first is empty.
    pub layers: Vec<String>,
    /// Types of the step's inputs.
    pub inputs: Vec<TensorType>,
    /// Named results.
    pub outputs: Vec<(String, NodeId)>,
    /// New values of state slots, committed together at the end of a step.
    pub updates: Vec<(crate::SlotId, NodeId)>,
    /// Nodes that must be finite for the updates to be committed (beside outputs and updates).
    pub watched: Vec<NodeId>,
    /// Those of the watched nodes that are gradients, with the slot of each: for messages.
    pub gradients: Vec<(crate::SlotId, NodeId)>,
}

impl Graph {
    /// The node with this id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    /// The layer path of a node; empty outside of layers.
    pub fn layer(&self, id: NodeId) -> &str {
        self.layers.get(self.node(id).site.layer as usize).map_or("", |s| s.as_str())
    }

    /// What went wrong at a node, with its operation, the user's line and the layer.
    pub fn located(&self, id: NodeId, what: &str) -> String {
        format!("{}: {what}\n  {}", self.node(id).op.name(), self.place(id))
    }

    /// Where a node was recorded, and in which layer, in words.
    pub fn place(&self, id: NodeId) -> String {
        let (node, layer) = (self.node(id), self.layer(id));
        let layer = if layer.is_empty() { String::new() } else { format!(" in layer `{layer}`") };
        format!("--> {}{layer}", node.site.location)
    }

    /// The ranks that this is a part of, where it is one.
    pub fn ranks(&self) -> Option<&Arc<dyn Ranks>> {
        self.nodes.iter().find_map(|node| match &node.op {
            Op::AllReduceStart(start) => Some(&start.ranks),
            _ => None,
        })
    }

    /// Ids in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        (0..self.nodes.len() as u32).map(NodeId)
    }

    /// Everything that a run must produce: outputs, updates and watched nodes.
    pub fn roots(&self) -> impl Iterator<Item = NodeId> + '_ {
        let outputs = self.outputs.iter().map(|(_, id)| *id);
        outputs.chain(self.updates.iter().map(|(_, id)| *id)).chain(self.watched.iter().copied())
    }

    /// For every node whether a root depends on it.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        for id in self.roots() {
            live[id.index()] = true;
        }
        for id in self.ids().rev() {
            if live[id.index()] {
                for input in &self.node(id).inputs {
                    live[input.index()] = true;
                }
            }
        }
        live
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for id in self.ids() {
            let n = self.node(id);
            write!(f, "{id:?}: {} = {}", n.ty, n.op)?;
            for (i, x) in n.inputs.iter().enumerate() {
                write!(f, "{}{x:?}", if i == 0 { " " } else { ", " })?;
            }
            if !self.layer(id).is_empty() {
                write!(f, "   [{}]", self.layer(id))?;
            }
            writeln!(f)?;
        }
        for (name, id) in &self.outputs {
            writeln!(f, "output {name} = {id:?}")?;
        }
        for (slot, id) in &self.updates {
            writeln!(f, "slot {} := {id:?}", slot.0)?;
        }
        Ok(())
    }
}
