//! A graph written anew, node by node.

use crate::graph::Site;
use crate::prim::Op;
use crate::{DType, Graph, Node, NodeId, Shape, TensorType};

/// A graph that is being written anew: every node of the old one gets a node of the new one that stands for it.
pub(super) struct Rewrite<'a> {
    old: &'a Graph,
    new: Graph,
    ids: Vec<NodeId>,
}

impl<'a> Rewrite<'a> {
    pub fn new(old: &'a Graph) -> Rewrite<'a> {
        let new = Graph { nodes: Vec::with_capacity(old.nodes.len()), ..old.clone() };
        Rewrite { old, new, ids: Vec::with_capacity(old.nodes.len()) }
    }

    /// The node that stands for one of the old graph.
    pub fn new_id(&self, old: NodeId) -> NodeId {
        self.ids[old.index()]
    }

    /// The shape of a node of the new graph.
    pub fn shape(&self, id: NodeId) -> Shape {
        self.new.node(id).ty.shape.clone()
    }

    /// A new node of `f32`.
    pub fn push(&mut self, op: Op, inputs: Vec<NodeId>, shape: Shape, site: Site) -> NodeId {
        self.add(Node { op, inputs, ty: TensorType::new(DType::F32, shape), site })
    }

    /// A new node.
    pub fn add(&mut self, node: Node) -> NodeId {
        self.new.nodes.push(node);
        NodeId(self.new.nodes.len() as u32 - 1)
    }

    /// The next node of the old graph is this one now.
    pub fn stands_for(&mut self, old: NodeId, new: NodeId) {
        debug_assert_eq!(old.index(), self.ids.len(), "nodes in order");
        self.ids.push(new);
    }

    /// The next node of the old graph, as it is.
    pub fn copy(&mut self, old: NodeId) {
        let node = self.old.node(old);
        let inputs = node.inputs.iter().map(|x| self.ids[x.index()]).collect();
        let new = self.add(Node { inputs, ..node.clone() });
        self.stands_for(old, new);
    }

    /// The new graph.
    pub fn finish(mut self) -> Graph {
        let ids = &self.ids;
        self.new.outputs.iter_mut().for_each(|o| o.1 = ids[o.1.index()]);
        self.new.updates.iter_mut().for_each(|u| u.1 = ids[u.1.index()]);
        self.new.watched.iter_mut().for_each(|w| *w = ids[w.index()]);
        self.new.gradients.iter_mut().for_each(|g| g.1 = ids[g.1.index()]);
        self.new
    }
}
