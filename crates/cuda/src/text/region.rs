//! The kernel of a region: a block of rows goes through its steps, one after the other, with what only they need on the
//! chip.

use super::product::Operands;
use super::reduce::{joins, zero};
use super::rows;
use super::tile::{Place, Tile, lanes};
use super::{Index, Kernel, No, Of, Writer, types};
use crate::driver::Shape;
use ironlearn_ir::NodeId;
use ironlearn_ir::plan::{
    Blocks, Epilogue, Fold, Home, Load, PlanStep, Program, Region, StepKind, Value, View,
};

/// Threads of a block: IL_REGION_THREADS of the templates.
const THREADS: usize = 256;
/// Columns of a product that lanes of a warp have one of each.
const NARROW: usize = 8;
/// Elements from which on a warp adds up a row.
const LONG: usize = 32;

/// The kernel.
pub fn region<'a>(mut w: Writer<'a>, region: &'a Region) -> Result<Vec<Kernel>, No> {
    let Blocks::OnChip(rows) = region.blocks else { return Err("a region that adds up".into()) };
    w.name = format!("k{}_region", w.number);
    w.region = Some(region);
    let far = |view: &View| w.plan.buffer(view.buffer).len >= 1 << 30;
    let reads = |step: &PlanStep| step.reads().iter().any(far);
    let wide = region.steps.iter().any(|step| reads(step) || step.writes().into_iter().any(far));
    let block = Block { rows, of: region, wide };
    let mut types = String::new();
    for (i, step) in region.steps.iter().enumerate() {
        w.line(if i > 0 { "__syncthreads();\n{" } else { "{" });
        match &step.kind {
            StepKind::Fused { program, stores } => block.fused(&mut w, program, stores)?,
            StepKind::Reduce { program, value, fold, extent, out } => {
                block.reduce(&mut w, program, *value, *fold, *extent, out)?;
            }
            StepKind::Gather { x, index, out } => block.gather(&mut w, step.node, [x, index, out])?,
            StepKind::Product(end) => types.push_str(&block.product(&mut w, end, i)?),
            _ => return Err("a step of another kind on the chip".into()),
        }
        w.line("}");
    }
    let mut before =
        format!("IL_DYNAMIC_SHARED(unsigned char, il_chip);\nconst int il_row0 = (int)il_block * {rows};\n");
    for argument in &w.arguments {
        if let Of::Chip(id) = argument.of
            && let Home::Block { at, .. } = w.plan.buffer(id).home
        {
            let (kind, name) = (types::memory(argument.dtype), &argument.name);
            before.push_str(&format!("{kind}* {name} = ({kind}*)(il_chip + {at});\n"));
        }
    }
    w.body.insert_str(0, &before);
    let grid = region.rows.div_ceil(rows).max(1) as u32;
    let shape = Shape { grid: [grid, 1, 1], block: THREADS as u32, shared: region.block_bytes as u32 };
    let mut kernel = w.finish(shape);
    kernel.types = types;
    Ok(vec![kernel])
}

/// A block of rows.
struct Block<'a> {
    rows: usize,
    of: &'a Region,
    /// Indices need 64 bits.
    wide: bool,
}

impl Block<'_> {
    fn kind(&self) -> &'static str {
        if self.wide { "il_i64" } else { "int" }
    }

    /// A program whose first axis is the rows of the batch, with at least one more; and the elements of a row.
    fn by_rows(&self, program: &Program) -> Result<(Program, usize), No> {
        let (&first, rest) = program.dims.split_first().ok_or("a program without rows")?;
        let inner = first / self.of.rows;
        let mut dims = vec![self.of.rows];
        if inner != 1 || rest.is_empty() {
            dims.push(inner);
        }
        dims.extend(rest);
        let mut program = program.clone();
        for load in &mut program.loads {
            let turned = turned(load.view(), &dims)?;
            match load {
                Load::Memory(view) | Load::Index(_, view) | Load::Random(_, _, view) => *view = turned,
            }
        }
        program.dims = dims;
        let each = program.dims[1..].iter().product();
        Ok((program, each))
    }

    /// Begins a loop over `count` items of each row, of which `i` is one, counted over all rows; each is of so many threads.
    fn each(&self, w: &mut Writer<'_>, name: &str, count: usize, threads: usize) {
        let (kind, step) = (self.kind(), THREADS / threads);
        let first = if threads == 1 { "threadIdx.x".into() } else { format!("threadIdx.x / {threads}u") };
        w.line(format!("for (int il_at = {first}; il_at < {}; il_at += {step}) {{", self.rows * count));
        w.line(format!("const {kind} {name} = ({kind})il_row0 * {count} + il_at;"));
        w.line(format!("if ({name} >= {}) break;", self.of.rows * count));
    }

    fn fused(&self, w: &mut Writer<'_>, program: &Program, stores: &[(Value, View)]) -> Result<(), No> {
        let (program, each) = self.by_rows(program)?;
        let stores = turned_all(stores, &program.dims)?;
        let lanes = lanes(w, &program, &stores);
        self.each(w, "i", each / lanes, 1);
        let flat = if lanes == 1 { "i".to_string() } else { format!("(i * {lanes})") };
        let index = Index::new(&program.dims, flat, self.wide, "c");
        let mut place = Place { index, lanes, early: None };
        let tile = Tile::new(w, &program, &mut place, None)?;
        tile.store(w, &stores, &mut place);
        w.line("}");
        Ok(())
    }

    /// Rows picked by index.
    fn gather(&self, w: &mut Writer<'_>, node: NodeId, [x, index, out]: [&View; 3]) -> Result<(), No> {
        types::supported(w.dtype(x.buffer))?;
        let (len, inner) = (x.dims[1], out.dims[2]);
        let dims = [self.of.rows, inner];
        let of_row = View { dims: dims.to_vec(), strides: vec![index.strides[0], 0], ..index.clone() };
        self.each(w, "i", inner, 1);
        let mut place = Index::new(&dims, "i", self.wide, "c");
        let which = place.of(w, &of_row);
        let which = w.read(index.buffer, which);
        w.line(format!("il_i64 row = (il_i64){which};"));
        rows::guard(w, node, &format!("i / {inner}"), len);
        let value = w.read(x.buffer, format!("{} + row * {inner} + i % {inner}", x.offset));
        let at = place.of(w, &turned(out, &dims)?);
        w.write(out.buffer, at, &value);
        w.line("}");
        Ok(())
    }

    /// One sum or maximum of a row after the other: by a thread, or a long one by a warp.
    fn reduce(
        &self,
        w: &mut Writer<'_>,
        program: &Program,
        value: Value,
        fold: Fold,
        [outer, length, inner]: [usize; 3],
        out: &View,
    ) -> Result<(), No> {
        let (program, _) = self.by_rows(program)?;
        let out = turned(out, &[self.of.rows, outer / self.of.rows * inner])?;
        let (kind, dtype) = (self.kind(), w.dtype(out.buffer));
        let acc = types::computed(dtype);
        let threads = if length >= LONG { 32 } else { 1 };
        self.each(w, "j", out.dims[1], threads);
        w.line(format!("{acc} sum = {};", zero(fold, dtype)));
        let first = if threads == 1 { "0" } else { "threadIdx.x % 32u" };
        w.line(format!("for (int r = {first}; r < {length}; r += {threads}) {{"));
        w.line(format!(
            "const {kind} i = (j / {inner}) * ({kind}){} + r * ({kind}){inner} + j % {inner};",
            length * inner
        ));
        let index = Index::new(&program.dims, "i", self.wide, "c");
        let tile = Tile::new(w, &program, &mut Place { index, lanes: 1, early: None }, None)?;
        w.line(format!("sum = {}(sum, ({acc})({}));\n}}", joins(fold), tile.lane(value, "0")));
        if threads > 1 {
            w.line("for (unsigned half = 16; half > 0; half >>= 1)");
            w.line(format!("sum = {}(sum, il_shuffle_down(sum, half));", joins(fold)));
            w.line("if (threadIdx.x % 32u == 0) {");
        }
        let at = Index::new(&out.dims, "j", self.wide, "o").of(w, &out);
        w.write(out.buffer, at, "sum");
        w.line(if threads > 1 { "}\n}" } else { "}" });
        Ok(())
    }

    /// A product and its end; gives the type of the problem.
    fn product(&self, w: &mut Writer<'_>, end: &Epilogue, number: usize) -> Result<String, No> {
        let Epilogue { dot, program, product, stores, .. } = end;
        let o = Operands::of(w, dot).ok_or("a product whose operands do not lie in order")?;
        let dtype = w.dtype(dot.x.buffer);
        let (program, _) = self.by_rows(program)?;
        let stores = turned_all(stores, &program.dims)?;
        let is_narrow = o.n <= NARROW;
        let last = program.dims.last().copied().unwrap_or(1);
        let lanes = if is_narrow || !last.is_multiple_of(4) { 1 } else { 4 };
        let (a, b) = (w.buffer(dot.x.buffer, false), w.buffer(dot.y.buffer, false));
        let chip = w.row_stride(dot.x.buffer);
        let stride = chip.unwrap_or(o.left.lies.leading);
        let size = dtype.size();
        let align = |elements: usize| 1usize << (elements * size).trailing_zeros().min(4);
        let template = if is_narrow { "il_region_narrow" } else { "il_region_product" };
        let element = types::memory(dtype);
        let name = format!("{}_P{number}", w.name);
        let problem = format!(
            "struct {name} {{\nstatic constexpr unsigned M = {}, N = {}, K = {}, ROWS = {}, A_STRIDE = {stride}, \
             A_ALIGN = {}, B_ALIGN = {}, LANES = {lanes};\n\
             static constexpr bool A_ON_CHIP = {}, B_K_CONTIGUOUS = {};\n\
             static constexpr unsigned long long LDB = {};\n}};\n",
            o.m,
            o.n,
            o.k,
            self.rows,
            align(stride).min(o.left.alignment),
            align(o.right.lies.leading).min(o.right.alignment),
            chip.is_some(),
            o.right.lies.by_columns,
            o.right.lies.leading,
        );
        let from = match chip {
            Some(_) => o.left.offset.to_string(),
            None => format!("{} + (il_i64)il_row0 * {stride}", o.left.offset),
        };
        w.line(format!(
            "{template}<{name}>((const {element}*){} + {from}, (const {element}*){} + {}, (unsigned)il_row0,",
            w.arguments[a].name, w.arguments[b].name, o.right.offset
        ));
        w.line(format!("[&](const unsigned row, const unsigned col, float (&p)[{lanes}]) {{"));
        let kind = self.kind();
        w.line(format!("const {kind} i = ({kind})row * {} + col; (void)i;", o.n));
        let mut index = Index::new(&program.dims, "i", self.wide, "c");
        if program.dims[..] == [o.m, o.n] {
            index = index.known(vec![format!("({kind})row"), format!("({kind})col")]);
        }
        let mut place = Place { index, lanes, early: None };
        let tile = Tile::new(w, &program, &mut place, Some((*product, "p")))?;
        tile.store(w, &stores, &mut place);
        w.line("});");
        Ok(problem)
    }
}

fn turned(view: &View, dims: &[usize]) -> Result<View, No> {
    view.reshape(dims).ok_or_else(|| "rows that do not lie one after the other".into())
}

fn turned_all(stores: &[(Value, View)], dims: &[usize]) -> Result<Vec<(Value, View)>, No> {
    stores.iter().map(|(value, view)| Ok((*value, turned(view, dims)?))).collect()
}
