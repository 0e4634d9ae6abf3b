//! Numbers that turn bad in the middle of a graph: a hidden fault, for tests of who is blamed for it.
//!
//! Behind a node stand operations that add 0 to its value, until at one step one element of them overflows or
//! is not a number. They carry the node's line, layer and phase; all that they are made of is finite.

use ironlearn_ir::graph::Site;
use ironlearn_ir::prim::elementwise::{Add, Div, Exp, Log, Mul, Recip, Sqrt, Sub};
use ironlearn_ir::prim::{
    Broadcast, Cast, Compare, Concat, Constant, Control, Dot, MapRef, Op, Reshape, Select,
};
use ironlearn_ir::prim::{Source, Sum};
use ironlearn_ir::{Array, DType, Graph, Node, NodeId, Shape, TensorType};
use std::sync::Arc;

/// How a number turns bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// The square of a large number.
    Overflow,
    /// exp of a large number.
    Exp,
    /// The logarithm of -1.
    LogOfNegative,
    /// The logarithm of 0.
    LogOfZero,
    /// The root of -1.
    Root,
    /// 0 / 0.
    ZeroByZero,
    /// 1 / 0.
    Reciprocal,
    /// A sum of two large numbers.
    Sum,
    /// A product with a large number in it.
    Product,
    /// A large `f64` as an `f32`.
    Narrowed,
}

impl Way {
    /// Every way.
    pub const ALL: [Way; 10] = [
        Way::Overflow,
        Way::Exp,
        Way::LogOfNegative,
        Way::LogOfZero,
        Way::Root,
        Way::ZeroByZero,
        Way::Reciprocal,
        Way::Sum,
        Way::Product,
        Way::Narrowed,
    ];

    /// The operation that is to blame.
    pub fn operation(self) -> &'static str {
        match self {
            Way::Overflow => "mul",
            Way::Exp => "exp",
            Way::LogOfNegative | Way::LogOfZero => "log",
            Way::Root => "sqrt",
            Way::ZeroByZero => "div",
            Way::Reciprocal => "recip",
            Way::Sum => "sum",
            Way::Product => "dot",
            Way::Narrowed => "cast",
        }
    }

    /// The operand at other places and times, and where it turns bad.
    fn operands(self, dtype: DType) -> [f64; 2] {
        let (large, root) = if dtype == DType::F32 { (3e38, 3e30) } else { (1.5e308, 1e200) };
        match self {
            Way::Overflow => [0.0, root],
            Way::Exp => [0.0, 1e4],
            Way::LogOfNegative => [1.0, -1.0],
            Way::LogOfZero | Way::ZeroByZero | Way::Reciprocal => [1.0, 0.0],
            Way::Root => [0.0, -1.0],
            Way::Sum | Way::Product => [0.0, large],
            Way::Narrowed => [0.0, 1e300],
        }
    }
}

/// A hidden fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Poison {
    /// The node behind which it stands, of `f32` or `f64`.
    pub node: NodeId,
    /// The element that turns bad.
    pub element: usize,
    /// The step at which it does.
    pub step: i64,
    /// How.
    pub way: Way,
}

/// The nodes that can be poisoned: live ones of `f32` or `f64` with elements.
pub fn places(graph: &Graph) -> Vec<NodeId> {
    let live = graph.live();
    let fits = |id: &NodeId| {
        let node = graph.node(*id);
        let float = matches!(node.ty.dtype, DType::F32 | DType::F64);
        let loop_results = matches!(node.op, Op::Scan(_));
        live[id.index()] && float && !loop_results && node.ty.shape.elements() > 0
    };
    graph.ids().filter(fits).collect()
}

impl Poison {
    /// The graph with the fault in it. [`Way::Narrowed`] is of `f32` alone.
    ///
    /// # Panics
    /// Where the node cannot be poisoned so.
    pub fn apply(&self, graph: &Graph) -> Graph {
        let mut out = Graph { nodes: vec![], ..graph.clone() };
        let mut new: Vec<NodeId> = Vec::new();
        for id in graph.ids() {
            let node = graph.node(id);
            let inputs = node.inputs.iter().map(|x| new[x.index()]).collect();
            out.nodes.push(Node { inputs, ..node.clone() });
            let mut made = NodeId(out.nodes.len() as u32 - 1);
            if id == self.node {
                let mut builder = Builder { graph: &mut out, site: node.site };
                let nothing = self.grow(&mut builder, made, &node.ty);
                made = builder.add(Op::Map(MapRef::of::<Add>()), &[made, nothing], node.ty.clone());
            }
            new.push(made);
        }
        out.outputs.iter_mut().for_each(|o| o.1 = new[o.1.index()]);
        out.updates.iter_mut().for_each(|u| u.1 = new[u.1.index()]);
        out.watched.iter_mut().for_each(|w| *w = new[w.index()]);
        out.gradients.iter_mut().for_each(|g| g.1 = new[g.1.index()]);
        out
    }

    /// The value that is 0 until it turns bad.
    fn grow(&self, b: &mut Builder<'_>, value: NodeId, ty: &TensorType) -> NodeId {
        let [cold, hot] = self.way.operands(ty.dtype);
        let own = if self.way == Way::Narrowed { DType::F64 } else { ty.dtype };
        assert!(self.way != Way::Narrowed || ty.dtype == DType::F32, "only f32 is narrower than f64");
        let wide = TensorType::new(own, ty.shape.clone());
        let mut values = vec![cold; ty.shape.elements()];
        let calm = b.constant(&wide, &values);
        values[self.element] = hot;
        let burst = b.constant(&wide, &values);
        let truth = TensorType::new(DType::Bool, []);
        let step = TensorType::new(DType::I64, []);
        let now = b.add(Source::Control(Control::Step).into(), &[], step);
        let then =
            b.push(Constant(Arc::new(Array::scalar(self.step))).into(), &[], DType::I64, &Shape::default());
        let is_time = b.add(Compare::Equal.into(), &[now, then], truth);
        let mask = b.push(Broadcast(ty.shape.clone()).into(), &[is_time], DType::Bool, &ty.shape);
        let x = b.add(Select.into(), &[mask, burst, calm], wide.clone());
        // So that the fault comes from the value itself, and with it from its rows.
        let zero = b.add(Op::Map(MapRef::of::<Sub>()), &[value, value], ty.clone());
        let zero = if own == ty.dtype { zero } else { b.add(Cast(own).into(), &[zero], wide.clone()) };
        let x = b.add(Op::Map(MapRef::of::<Add>()), &[x, zero], wide);
        self.turn(b, x, ty)
    }

    fn turn(&self, b: &mut Builder<'_>, x: NodeId, ty: &TensorType) -> NodeId {
        let n = ty.shape.elements();
        let map = |b: &mut Builder<'_>, op: MapRef, x: &[NodeId]| b.add(Op::Map(op), x, ty.clone());
        match self.way {
            Way::Overflow => map(b, MapRef::of::<Mul>(), &[x, x]),
            Way::LogOfNegative | Way::LogOfZero => map(b, MapRef::of::<Log>(), &[x]),
            Way::Root => map(b, MapRef::of::<Sqrt>(), &[x]),
            Way::Narrowed => b.add(Cast(DType::F32).into(), &[x], ty.clone()),
            Way::ZeroByZero => {
                let zero = map(b, MapRef::of::<Sub>(), &[x, x]);
                map(b, MapRef::of::<Div>(), &[zero, x])
            }
            Way::Exp | Way::Reciprocal => {
                let op = if self.way == Way::Exp { MapRef::of::<Exp>() } else { MapRef::of::<Recip>() };
                let y = map(b, op, &[x]);
                let one = b.constant(ty, &vec![1.0; n]);
                map(b, MapRef::of::<Sub>(), &[y, one])
            }
            Way::Sum => {
                let row = b.push(Reshape([1, n].into()).into(), &[x], ty.dtype, &[1, n].into());
                let both = b.push(Concat(0).into(), &[row, row], ty.dtype, &[2, n].into());
                let sum = b.push(Sum(vec![0]).into(), &[both], ty.dtype, &[n].into());
                b.add(Reshape(ty.shape.clone()).into(), &[sum], ty.clone())
            }
            Way::Product => {
                let column = b.push(Reshape([n, 1].into()).into(), &[x], ty.dtype, &[n, 1].into());
                let four = b.constant(&TensorType::new(ty.dtype, [1, 1]), &[4.0]);
                let dot = Dot { batch: vec![], contract: vec![(1, 0)] };
                let product = b.push(dot.into(), &[column, four], ty.dtype, &[n, 1].into());
                b.add(Reshape(ty.shape.clone()).into(), &[product], ty.clone())
            }
        }
    }
}

/// Appends nodes of one site.
struct Builder<'a> {
    graph: &'a mut Graph,
    site: Site,
}

impl Builder<'_> {
    fn add(&mut self, op: Op, inputs: &[NodeId], ty: TensorType) -> NodeId {
        self.graph.nodes.push(Node { op, inputs: inputs.to_vec(), ty, site: self.site });
        NodeId(self.graph.nodes.len() as u32 - 1)
    }
    fn push(&mut self, op: Op, inputs: &[NodeId], dtype: DType, shape: &Shape) -> NodeId {
        self.add(op, inputs, TensorType::new(dtype, shape.clone()))
    }
    fn constant(&mut self, ty: &TensorType, values: &[f64]) -> NodeId {
        let array = match ty.dtype {
            DType::F32 => Array::of(ty.shape.clone(), values.iter().map(|&x| x as f32).collect::<Vec<f32>>()),
            _ => Array::of(ty.shape.clone(), values.to_vec()),
        };
        let array = array.unwrap_or_else(|e| panic!("a constant of {ty}: {e}"));
        self.add(Constant(Arc::new(array)).into(), &[], ty.clone())
    }
}
