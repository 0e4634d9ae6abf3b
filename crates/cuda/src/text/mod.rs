//! Kernels as CUDA C++ text: one for each step of a plan, with all lengths and strides written into it.
//!
//! A kernel is text, the list of its arguments, and how many threads run it. The signature and the launch are made
//! from the same list, so that they cannot differ; what is checked on the host before a launch is that every
//! argument is long enough.

mod argmax;
mod conv;
mod dot;
mod epilogue;
mod fold;
mod index;
mod kernel;
mod pool;
mod product;
mod reduce;
mod region;
mod rows;
mod tile;
mod types;

pub use fold::Folding;
pub use index::Index;
pub use kernel::{Kernel, Pick};
pub use product::{is_on_tensor_cores, is_thin};
pub use tile::{Early, Lanes, Place, Tile};

use crate::driver::Shape;
use ironlearn_ir::plan::{BufferId, DotStep, Home, Plan, PlanStep, Region, StepKind, View};
use ironlearn_ir::{DType, NodeId};

/// What stands before all kernels.
pub const PRELUDE: &str = include_str!("../../kernels/prelude.cuh");

/// What stands before kernels that take one: the templates of matrix products, and of rows.
pub const PRODUCTS: &str = concat!(
    include_str!("../../kernels/gemm_common.cuh"),
    include_str!("../../kernels/gemm_thin.cuh"),
    include_str!("../../kernels/row_tiles.cuh"),
    include_str!("../../kernels/gemm_mma.cuh"),
    include_str!("../../kernels/gemm_wgmma.cuh"),
    include_str!("../../kernels/gemm_splitk.cuh"),
    include_str!("../../kernels/gemm_f32.cuh"),
    include_str!("../../kernels/gemm_tf32.cuh"),
    include_str!("../../kernels/gemm_bf16.cuh"),
    include_str!("../../kernels/region.cuh"),
);

/// The texts of kernels with what stands before them.
pub fn program(kernels: &[String]) -> String {
    let uses = |k: &String| ["il_gemm_", "il_row_tiles", "il_region_"].iter().any(|name| k.contains(name));
    let products = if kernels.iter().any(uses) { PRODUCTS } else { "" };
    [PRELUDE, products].into_iter().chain(kernels.iter().map(String::as_str)).collect()
}

/// Where an argument points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Of {
    /// A buffer of the plan.
    Buffer(BufferId),
    /// Scratch memory of the step.
    Scratch,
    /// Counters of the program, zeros before and after each kernel, from this one on.
    Counters(usize),
    /// Memory of what linked GPUs exchange, from this byte on.
    Exchange(usize),
    /// A local of a region, which lies on the chip while a kernel is written: no argument of it.
    Chip(BufferId),
}

/// An argument of a kernel: an address.
#[derive(Clone, Debug)]
pub struct Argument {
    /// Its name in the text.
    pub name: String,
    /// Element type.
    pub dtype: DType,
    /// What it is.
    pub of: Of,
    /// Elements that the kernel may touch.
    pub elements: usize,
    /// True where the kernel writes.
    pub writes: bool,
}

impl Argument {
    /// What a kernel calls it where it reports a failure.
    pub fn number(&self) -> usize {
        match self.of {
            Of::Buffer(id) | Of::Chip(id) => id.0 as usize,
            Of::Scratch | Of::Counters(_) | Of::Exchange(_) => u32::MAX as usize,
        }
    }
}

/// What kernels are written for.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Streaming multiprocessors.
    pub multiprocessors: usize,
    /// Operands of `f32` products are rounded to 10 bits of precision.
    pub tf32: bool,
    /// Products of little work have a kernel of their own: see [`crate::choice::thin`].
    pub thin: bool,
    /// The device is a Hopper (compute capability 9.0), whose tensor cores take operands from shared memory.
    pub hopper: bool,
}

/// Why there is no kernel.
pub type No = String;

/// The kernels of a step, in order; a loop has none of its own.
pub fn kernels(plan: &Plan, step: &PlanStep, number: usize, target: Target) -> Result<Vec<Kernel>, No> {
    let writer = || Writer::new(plan, step, number);
    match &step.kind {
        StepKind::Fused { program, stores } => tile::fused(writer(), program, stores),
        StepKind::Reduce { program, value, fold, extent, out } => {
            reduce::reduce(writer(), program, *value, *fold, *extent, out, target)
        }
        StepKind::Dot(dot) => match product::plain(&writer, dot, target)? {
            Some(kernels) => Ok(kernels),
            None => dot::dot(writer(), dot),
        },
        StepKind::Rows(rows) => epilogue::rows(writer(), rows),
        StepKind::Product(epilogue) => product::product(&writer, epilogue, target),
        StepKind::Conv { conv, x, y, out } => conv::conv(writer(), conv, x, y, out),
        StepKind::Pool { pool, x, out } => pool::pool(writer(), pool, x, out),
        StepKind::Gather { x, index, out } => rows::gather(writer(), x, index, out),
        StepKind::ScatterAdd { x, index, out } => rows::scatter_add(writer(), x, index, out),
        StepKind::ArgMax { x, out } => argmax::argmax(writer(), x, out),
        StepKind::Fill { out, value } => rows::fill(writer(), out, *value),
        StepKind::Reference { op, .. } => Err(format!("`{}`", op.name())),
        StepKind::Region(region) => region::region(writer(), region),
        StepKind::Scan(_) => Err("a step within a step".into()),
    }
}

/// True for a product that templates of this crate compute, whatever it ends with.
pub fn is_by_templates(plan: &Plan, step: &PlanStep, dot: &DotStep) -> bool {
    product::is_by_templates(&Writer::new(plan, step, 0), dot)
}

/// The kernel that folds this rank's part of a reduction among linked GPUs.
pub fn fold(plan: &Plan, step: &PlanStep, number: usize, folding: &Folding<'_>) -> Result<Kernel, No> {
    fold::fold(Writer::new(plan, step, number), folding)
}

/// The kernel that looks whether all elements of a view are finite.
pub fn look(plan: &Plan, step: &PlanStep, number: usize, view: &View) -> Kernel {
    let mut writer = Writer::new(plan, step, number);
    let value = writer.read(view.buffer, flat(view, "i"));
    writer.look(view.buffer, &value);
    writer.each(view.elements())
}

/// Writes one kernel.
pub struct Writer<'a> {
    /// The plan.
    pub plan: &'a Plan,
    name: String,
    number: usize,
    node: NodeId,
    arguments: Vec<Argument>,
    /// Statements.
    pub body: String,
    scratch: usize,
    counters: usize,
    /// Some value is looked at.
    checks: bool,
    /// The region whose steps are written.
    region: Option<&'a Region>,
    picks: Vec<Pick>,
}

impl<'a> Writer<'a> {
    fn new(plan: &'a Plan, step: &PlanStep, number: usize) -> Writer<'a> {
        let op = plan.graph.node(step.node).op.name();
        Writer {
            plan,
            name: format!("k{number}_{op}"),
            number,
            node: step.node,
            arguments: Vec::new(),
            body: String::new(),
            scratch: 0,
            counters: 0,
            checks: false,
            region: None,
            picks: Vec::new(),
        }
    }

    /// Adds a line.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.body.push_str(text.as_ref());
        self.body.push('\n');
    }

    /// The element type of a buffer, in its memory's terms.
    pub fn dtype(&self, id: BufferId) -> DType {
        self.plan.buffer(id).dtype
    }

    /// An argument for a buffer: its name and number.
    fn buffer(&mut self, id: BufferId, writes: bool) -> usize {
        let local = self.row_stride(id).zip(self.region);
        let of = if local.is_some() { Of::Chip(id) } else { Of::Buffer(id) };
        if let Some(at) = self.arguments.iter().position(|a| a.of == of) {
            self.arguments[at].writes |= writes;
            return at;
        }
        let buffer = self.plan.buffer(id);
        let elements = local.map_or(buffer.len, |(stride, region)| stride * region.block_rows());
        self.argument(format!("b{}", id.0), buffer.dtype, of, elements, writes)
    }

    /// Elements from row to row of a buffer that lies on the chip, the first row being `il_row0` of the batch.
    pub fn row_stride(&self, id: BufferId) -> Option<usize> {
        let region = self.region.filter(|region| region.locals.contains(&id))?;
        Some(region.row_stride(self.plan.buffer(id)))
    }

    fn argument(&mut self, name: String, dtype: DType, of: Of, elements: usize, writes: bool) -> usize {
        self.arguments.push(Argument { name, dtype, of, elements, writes });
        self.arguments.len() - 1
    }

    /// Scratch memory of so many elements.
    pub fn scratch(&mut self, dtype: DType, elements: usize) -> usize {
        self.scratch = elements * dtype.size();
        self.argument("scratch".into(), dtype, Of::Scratch, elements, true)
    }

    /// Memory of exchanges, from this byte on.
    pub fn exchanged(&mut self, name: &str, dtype: DType, at: usize, elements: usize, writes: bool) -> usize {
        self.argument(name.into(), dtype, Of::Exchange(at), elements, writes)
    }

    /// Counters that are zero.
    pub fn counters(&mut self, count: usize) {
        self.counters = count;
        self.argument("counters".into(), DType::U32, Of::Counters(0), count, true);
    }

    /// An element of an argument, as C++.
    pub fn element(&self, argument: usize, index: impl std::fmt::Display) -> String {
        let a = &self.arguments[argument];
        format!("IL_REF({}, {index}, {}LL, {})", a.name, a.elements, a.number())
    }

    /// The address of some elements, as C++.
    pub fn address(&self, argument: usize, index: impl std::fmt::Display, lanes: usize) -> String {
        let a = &self.arguments[argument];
        format!("IL_PTR({}, {index}, {lanes}, {}LL, {})", a.name, a.elements, a.number())
    }

    /// Reads an element, in the type that it is computed in.
    pub fn read(&mut self, id: BufferId, index: impl std::fmt::Display) -> String {
        let at = self.buffer(id, false);
        format!("il_load({})", self.element(at, index))
    }

    /// A statement that writes an element, and looks at it where the buffer is checked.
    pub fn write(&mut self, id: BufferId, index: impl std::fmt::Display, value: &str) {
        let at = self.buffer(id, true);
        let dtype = self.dtype(id);
        self.look(id, value);
        let element = self.element(at, index);
        self.line(format!("{element} = Il<{}>::store({value});", types::memory(dtype)));
    }

    /// A statement that looks whether a value is finite, where the buffer is checked.
    pub fn look(&mut self, id: BufferId, value: &str) {
        let buffer = self.plan.buffer(id);
        if buffer.checked && buffer.dtype.is_float() {
            self.checks = true;
            self.line(format!("bad |= !il_finite({value});"));
        }
    }

    /// The kernel, run by one thread for each of `n` items (or fewer, in turns): the body uses `i`.
    pub fn each(mut self, n: usize) -> Kernel {
        let body = std::mem::take(&mut self.body);
        let kind = if self.wide(n) { "il_i64" } else { "int" };
        let block = 256;
        let grid = n.div_ceil(block).clamp(1, 1 << 20) as u32;
        self.line(format!(
            "for (il_i64 at = il_block * {block}LL + threadIdx.x; at < {n}LL; at += {}LL) {{",
            grid as usize * block
        ));
        self.line(format!("const {kind} i = ({kind})at;"));
        self.body.push_str(&body);
        self.line("}");
        self.finish(Shape { grid: [grid, 1, 1], block: block as u32, shared: 0 }).joining()
    }

    /// True where indices of this kernel need 64 bits.
    pub fn wide(&self, n: usize) -> bool {
        let most = self.arguments.iter().map(|a| a.elements).max().unwrap_or(0);
        n.max(most) >= 1 << 30
    }

    /// The kernel.
    pub fn finish(self, shape: Shape) -> Kernel {
        let plan = self.plan;
        let moves = |a: &Argument| match a.of {
            Of::Buffer(id) => a.writes && matches!(plan.buffer(id).home, Home::Spare(_)),
            Of::Scratch | Of::Counters(_) | Of::Exchange(_) | Of::Chip(_) => false,
        };
        let mut text = String::new();
        // New state is not written after a failure: see exec/state.rs.
        if self.arguments.iter().any(moves) {
            text.push_str("if (state->stop) return;\n");
        }
        if self.checks {
            text.push_str("bool bad = false;\n");
        }
        text.push_str(&self.body);
        if self.checks {
            text.push_str("if (bad) atomicOr(&state->stop, 1u);\n");
        }
        Kernel::new(self, text, shape)
    }
}

/// The index of an element of a contiguous view.
pub fn flat(view: &View, index: &str) -> String {
    if view.offset == 0 { index.to_string() } else { format!("{} + {index}", view.offset) }
}
