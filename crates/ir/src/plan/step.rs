//! The steps of a plan.

use super::{DotStep, Epilogue, Fold, Load, Program, Region, Rows, ScanStep, Value, View};
use crate::NodeId;
use crate::prim::{Conv, Op, Pool};

/// What a step does.
#[derive(Clone, Debug)]
pub enum StepKind {
    /// A tile program whose values are stored.
    Fused {
        /// The program.
        program: Program,
        /// Values and where they go; views over the program's index space.
        stores: Vec<(Value, View)>,
    },
    /// A tile program whose last value is reduced. The program's index space is
    /// `[kept outer…, reduced…, kept inner…]`.
    Reduce {
        /// The program.
        program: Program,
        /// The value that is reduced.
        value: Value,
        /// Sum or maximum.
        fold: Fold,
        /// Product of the outer kept lengths, the reduced lengths, the inner kept lengths.
        extent: [usize; 3],
        /// Result, contiguous `[outer, inner]`.
        out: View,
    },
    /// Matrix products.
    Dot(DotStep),
    /// Matrix products that end with a tile program over their elements.
    Product(Box<Epilogue>),
    /// A tile program over the rows of a matrix whose values are stored, and added up along the columns.
    Rows(Box<Rows>),
    /// Convolution or one of its gradients.
    Conv {
        /// Shapes and window.
        conv: Conv,
        /// First operand, contiguous.
        x: View,
        /// Second operand, contiguous.
        y: View,
        /// Result, contiguous.
        out: View,
    },
    /// Pooling or a part of its derivatives.
    Pool {
        /// Shape and windows.
        pool: Pool,
        /// Operands, contiguous.
        x: Vec<View>,
        /// Result, contiguous.
        out: View,
    },
    /// Rows picked by index: `out[o, i, ..] = x[o, index[i], ..]`.
    Gather {
        /// `[outer, len, inner]`, contiguous.
        x: View,
        /// `[count]`, contiguous.
        index: View,
        /// `[outer, count, inner]`, contiguous.
        out: View,
    },
    /// Rows added by index: `out[o, index[i], ..] += x[o, i, ..]`, from zero, in ascending order of `i`.
    ScatterAdd {
        /// `[outer, count, inner]`, contiguous.
        x: View,
        /// `[count]`, contiguous.
        index: View,
        /// `[outer, len, inner]`, contiguous.
        out: View,
    },
    /// Index of the largest element along the middle axis.
    ArgMax {
        /// `[outer, len, inner]`, contiguous.
        x: View,
        /// `[outer, inner]`, contiguous.
        out: View,
    },
    /// Every element of a view set to a number.
    Fill {
        /// Where.
        out: View,
        /// What.
        value: f64,
    },
    /// A loop: a plan of its own for one step of it.
    Scan(Box<ScanStep>),
    /// Steps that are run block by block of rows.
    Region(Box<Region>),
    /// An operation that the executor leaves to the interpreter's evaluation.
    Reference {
        /// The operation.
        op: Op,
        /// Operands, contiguous.
        x: Vec<View>,
        /// Result, contiguous.
        out: View,
    },
}

/// One step of a plan.
#[derive(Clone, Debug)]
pub struct PlanStep {
    /// What it does.
    pub kind: StepKind,
    /// The node whose value it completes, for messages and profiles.
    pub node: NodeId,
}

impl PlanStep {
    /// The views that the step reads.
    pub fn reads(&self) -> Vec<View> {
        let of_program = |p: &Program| {
            let mut views = Vec::new();
            for load in &p.loads {
                match load {
                    Load::Memory(view) => views.push(view.clone()),
                    Load::Random(_, scalars, _) => views.extend(scalars.map(View::scalar)),
                    Load::Index(..) => {}
                }
            }
            views
        };
        match &self.kind {
            StepKind::Fused { program, .. } | StepKind::Reduce { program, .. } => of_program(program),
            StepKind::Rows(rows) => of_program(&rows.program),
            StepKind::Dot(dot) => vec![dot.x.clone(), dot.y.clone()],
            StepKind::Product(p) => {
                let made = p.dot.out.buffer;
                let others = of_program(&p.program).into_iter().filter(|view| view.buffer != made);
                [p.dot.x.clone(), p.dot.y.clone()].into_iter().chain(others).collect()
            }
            StepKind::Conv { x, y, .. } => vec![x.clone(), y.clone()],
            StepKind::Pool { x, .. } => x.clone(),
            StepKind::Gather { x, index, .. } | StepKind::ScatterAdd { x, index, .. } => {
                vec![x.clone(), index.clone()]
            }
            StepKind::ArgMax { x, .. } => vec![x.clone()],
            StepKind::Fill { .. } => vec![],
            StepKind::Scan(scan) => scan.inputs.clone(),
            StepKind::Region(region) => region.reads(),
            StepKind::Reference { x, .. } => x.clone(),
        }
    }

    /// The views that the step writes.
    pub fn writes(&self) -> Vec<&View> {
        match &self.kind {
            StepKind::Fused { stores, .. } => stores.iter().map(|(_, view)| view).collect(),
            StepKind::Dot(dot) => vec![&dot.out],
            StepKind::Rows(r) => r.stores.iter().map(|(_, view)| view).chain([&r.sums.out]).collect(),
            StepKind::Product(p) => {
                p.stores.iter().map(|(_, view)| view).chain(p.sums.iter().map(|s| &s.out)).collect()
            }
            StepKind::Scan(scan) => scan.results.iter().collect(),
            StepKind::Region(region) => region.writes(),
            StepKind::Reduce { out, .. }
            | StepKind::Conv { out, .. }
            | StepKind::Pool { out, .. }
            | StepKind::Gather { out, .. }
            | StepKind::ScatterAdd { out, .. }
            | StepKind::ArgMax { out, .. }
            | StepKind::Fill { out, .. }
            | StepKind::Reference { out, .. } => vec![out],
        }
    }
}
