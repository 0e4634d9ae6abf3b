//! Matrix products by the templates of `kernels/gemm_*.cuh`, which end with a tile program over their elements.

use super::epilogue::{End, Extent};
use super::{Kernel, No, Target, Writer};
use crate::choice::thin::{self, Thin};
use crate::choice::tiles::{Precision, choose, choose_whole};
use crate::driver::Shape;
use ironlearn_ir::DType;
use ironlearn_ir::plan::{DotStep, Epilogue, Load, Matrix, Program, View};

/// A product whose result is stored as it is; `None` where the templates do not fit it.
pub fn plain<'a>(
    writer: &dyn Fn() -> Writer<'a>,
    dot: &DotStep,
    target: Target,
) -> Result<Option<Vec<Kernel>>, No> {
    let dims = dot.out.dims.clone();
    let program = Program { dims, loads: vec![Load::Memory(dot.out.clone())], instrs: vec![] };
    let stores = vec![(0, dot.out.clone())];
    if !is_by_templates(&writer(), dot) {
        return Ok(None);
    }
    let end = End { program: &program, product: Some(0), stores: &stores, sums: None };
    kernels(writer, dot, &end, target).map(Some)
}

/// True for a product that the templates fit.
pub fn is_by_templates(w: &Writer<'_>, dot: &DotStep) -> bool {
    let fits =
        matches!((w.dtype(dot.x.buffer), w.dtype(dot.out.buffer)), (DType::F32 | DType::Bf16, DType::F32));
    fits && dot.out.dims.len() >= 2 && Operands::of(w, dot).is_some()
}

/// A product with its end. Plans make such steps only of operands that the templates fit.
pub fn product<'a>(writer: &dyn Fn() -> Writer<'a>, e: &Epilogue, target: Target) -> Result<Vec<Kernel>, No> {
    let Epilogue { dot, program, product, stores, sums, .. } = e;
    kernels(writer, dot, &End { program, product: Some(*product), stores, sums: sums.as_ref() }, target)
}

/// True for a product of `f32` that is exact on tensor cores too, and long enough to gain from them.
pub fn is_on_tensor_cores(dot: &DotStep) -> bool {
    let rank = dot.out.dims.len();
    let (m, n, k) = (dot.out.dims[rank - 2], dot.out.dims[rank - 1], dot.x.dims[rank - 1]);
    m.min(n) >= 32 && k >= 32 && dot.out.elements() * k >= 1 << 24
}

/// True for a product of few rows or columns, or of little work: see [`thin`].
pub fn is_thin(dot: &DotStep, dtype: DType, target: Target) -> bool {
    let is_taken = target.thin && matches!(dtype, DType::F32 | DType::Bf16);
    is_taken && shape(dot).is_thin(dtype == DType::Bf16 || target.tf32)
}

fn shape(dot: &DotStep) -> thin::Shape {
    let rank = dot.out.dims.len();
    let (m, n, k) = (dot.out.dims[rank - 2], dot.out.dims[rank - 1], dot.x.dims[rank - 1]);
    thin::Shape { m, n, k, batch: dot.out.dims[..rank - 2].iter().product() }
}

/// How the operands lie.
pub struct Operands {
    pub m: usize,
    pub n: usize,
    pub k: usize,
    batch: usize,
    pub left: Side,
    pub right: Side,
}

pub struct Side {
    pub lies: Matrix,
    pub offset: usize,
    /// Bytes that divide the address of every matrix of the batch, at most 16.
    pub alignment: usize,
}

impl Side {
    fn of(w: &Writer<'_>, view: &View) -> Option<Side> {
        let (lies, first) = (view.matrix()?, w.plan.alignment(view).min(16));
        let next = lies.next * w.dtype(view.buffer).size();
        let alignment = if next == 0 { first } else { first.min(1 << next.trailing_zeros()) };
        Some(Side { lies, offset: view.offset, alignment })
    }
}

impl Operands {
    fn extent(&self) -> Extent {
        Extent { batch: self.batch, m: self.m, n: self.n }
    }

    pub fn of(w: &Writer<'_>, dot: &DotStep) -> Option<Operands> {
        let rank = dot.out.dims.len();
        let (m, n, k) = (dot.out.dims[rank - 2], dot.out.dims[rank - 1], dot.x.dims[rank - 1]);
        let batch: usize = dot.out.dims[..rank - 2].iter().product();
        let most = 1usize << 31;
        let small =
            [m, n, k, batch].iter().all(|&d| d < most) && w.dtype(dot.x.buffer) == w.dtype(dot.y.buffer);
        if !small || batch > 65_535 || !dot.out.is_contiguous() {
            return None;
        }
        Some(Operands { m, n, k, batch, left: Side::of(w, &dot.x)?, right: Side::of(w, &dot.y)? })
    }
}

fn kernels<'a>(
    writer: &dyn Fn() -> Writer<'a>,
    dot: &DotStep,
    end: &End<'_>,
    target: Target,
) -> Result<Vec<Kernel>, No> {
    let mut first = writer();
    let o = Operands::of(&first, dot).ok_or("a product whose operands do not lie in order")?;
    let dtype = first.dtype(dot.x.buffer);
    if end.sums.is_none() && is_thin(dot, dtype, target) {
        return thin(first, &o, dot, end, target);
    }
    let exact = is_on_tensor_cores(dot);
    let precision = match (dtype, target.tf32) {
        (DType::Bf16, _) if target.hopper => Precision::Bf16Hopper,
        (DType::Bf16, _) => Precision::Bf16,
        (_, true) => Precision::Tf32,
        _ if exact => Precision::Tf32,
        _ => Precision::F32,
    };
    let choice = match end.sums {
        Some(_) => choose_whole(o.m, o.n, o.k, precision, target.multiprocessors),
        None => choose(o.m, o.n, o.k, o.batch, precision, target.multiprocessors),
    };
    let function =
        if exact && dtype == DType::F32 && !target.tf32 { "il_gemm_f32x3" } else { choice.function };
    let name = first.name.clone();
    let problem = problem(&name, &o, choice.splits);
    let end = |w: &mut Writer<'a>| end.text(w, &name, o.extent());
    let (left, right) = (first.buffer(dot.x.buffer, false), first.buffer(dot.y.buffer, false));
    let element = if dtype == DType::Bf16 { "unsigned short" } else { "float" };
    let operand = |w: &Writer<'_>, at: usize| format!("(const {element}*){}", w.arguments[at].name);
    let tiles = o.batch * o.m.div_ceil(choice.bm) * o.n.div_ceil(choice.bn);
    let grid = [tiles.max(1) as u32, 1, choice.splits as u32];
    let shape = Shape { grid, block: choice.threads as u32, shared: choice.shared_bytes as u32 };
    let call = |w: &Writer<'_>, epi: &str| {
        let (a, b) = (operand(w, left), operand(w, right));
        format!("{function}<{}, {name}_P>({a}, {b}, {epi});", choice.tile)
    };
    if choice.splits == 1 {
        let (types, epi) = end(&mut first)?;
        let call = call(&first, &epi);
        first.line(call);
        let mut kernel = first.finish(shape);
        kernel.types = [problem, types].concat();
        return Ok(vec![kernel]);
    }
    let parts = o.batch * choice.splits * o.m * o.n;
    let scratch = first.scratch(DType::F32, parts);
    let epi = format!("il_partial<{name}_P>{{{}}}", first.arguments[scratch].name);
    let call = call(&first, &epi);
    first.line(call);
    let mut sums = first.finish(shape);
    sums.types = problem;
    let mut second = writer();
    second.name.push_str("_end");
    let scratch = second.scratch(DType::F32, parts);
    let (types, epi) = end(&mut second)?;
    let scratch = second.arguments[scratch].name.clone();
    second.line(format!("il_splitk_reduce<{name}_P>({scratch}, {epi});"));
    let blocks = choice.sum_blocks(o.m, o.n).max(1) as u32;
    let mut ends = second.finish(Shape { grid: [blocks, o.batch as u32, 1], block: 128, shared: 0 });
    ends.types = types;
    Ok(vec![sums, ends])
}

/// The kernel of a product that [`is_thin`].
fn thin(
    mut w: Writer<'_>,
    o: &Operands,
    dot: &DotStep,
    end: &End<'_>,
    target: Target,
) -> Result<Vec<Kernel>, No> {
    let dtype = w.dtype(dot.x.buffer);
    let (name, size) = (w.name.clone(), dtype.size());
    let operands = [(&o.left, o.left.lies.by_columns), (&o.right, !o.right.lies.by_columns)].map(
        |(side, is_in_order)| thin::Operand {
            is_in_order,
            together: side.alignment.min(1 << (side.lies.leading * size).trailing_zeros().min(4)) / size,
        },
    );
    let cut = Thin::choose(shape(dot), operands, size, target.multiprocessors);
    let (a, b) = (w.buffer(dot.x.buffer, false), w.buffer(dot.y.buffer, false));
    let [a, b] = [a, b].map(|at| w.arguments[at].name.clone());
    let (types, epi) = end.text(&mut w, &name, o.extent())?;
    let parts = if cut.splits == 1 {
        "nullptr, nullptr".into()
    } else {
        let scratch = w.scratch(DType::F32, cut.splits * o.batch * o.m * o.n);
        w.counters(cut.blocks);
        format!("{}, counters", w.arguments[scratch].name)
    };
    let Thin { lanes, vector, slices, groups, rows, step, swapped, splits, blocks } = cut;
    let shape = format!("il_thin<{lanes}, {vector}, {slices}, {groups}, {rows}, {step}, {swapped}>");
    w.line(format!("il_gemm_thin<{shape}, {name}_P>(il_block, {}u, {a}, {b}, {epi}, {parts});", o.batch));
    let mut kernel =
        w.finish(Shape { grid: [blocks as u32, splits as u32, 1], block: cut.threads() as u32, shared: 0 });
    kernel.types = [problem(&name, o, splits), types].concat();
    Ok(vec![if splits == 1 { kernel.joining() } else { kernel }])
}

/// The problem as a type: see kernels/gemm_common.cuh.
fn problem(name: &str, o: &Operands, splits: usize) -> String {
    let Operands { m, n, k, left, right, .. } = o;
    let base = |side: &Side| format!("{}ULL + batch * {}ULL", side.offset, side.lies.next);
    format!(
        "struct {name}_P {{\n\
         static constexpr unsigned M = {m}, N = {n}, K = {k}, SPLITS = {splits};\n\
         static constexpr bool A_M_CONTIGUOUS = {}, B_K_CONTIGUOUS = {};\n\
         static constexpr unsigned long long LDA = {}, LDB = {};\n\
         static constexpr unsigned A_ALIGN = {}, B_ALIGN = {};\n\
         static IL_DEVICE il_u64 a_base(il_u64 batch) {{ return {}; }}\n\
         static IL_DEVICE il_u64 b_base(il_u64 batch) {{ return {}; }}\n\
         }};\n",
        left.lies.by_columns,
        right.lies.by_columns,
        left.lies.leading,
        right.lies.leading,
        left.alignment,
        right.alignment,
        base(left),
        base(right),
    )
}
