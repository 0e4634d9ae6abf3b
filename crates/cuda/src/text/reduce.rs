//! Sums and maxima along axes: `[outer, reduced, inner]` to `[outer, inner]`.
//!
//! A long sum is cut into parts whose number depends on the lengths alone; a second kernel adds them in order.
//! So the bits are the same from run to run.

use super::types::{computed, memory};
use super::{Index, Kernel, No, Place, Target, Tile, Writer};
use crate::driver::Shape;
use ironlearn_ir::plan::{Fold, Program, Value, View};
use ironlearn_ir::DType;

/// Elements that a thread adds up at least, before more parts are made.
const SHORTEST: usize = 16;

/// The kernels of a reduction.
pub fn reduce<'a>(
    writer: &dyn Fn() -> Writer<'a>,
    program: &Program,
    value: Value,
    fold: Fold,
    extent: [usize; 3],
    out: &View,
    target: Target,
) -> Result<Vec<Kernel>, No> {
    let [outer, length, inner] = extent;
    let (results, dtype) = (outer * inner, writer().dtype(out.buffer));
    let parts = parts(extent, target);
    let mut first = writer();
    let (block, columns) = block(length.div_ceil(parts), inner);
    let shape = Reduction { fold, dtype, block, columns, results, length, inner, parts };
    let wide = first.wide(outer * length * inner);
    let scratch = (parts > 1).then(|| first.scratch(dtype, parts * results));
    let kind = if wide { "il_i64" } else { "int" };
    shape.begin(&mut first, kind);
    first.line(format!("const {kind} i = (j / {inner}) * ({kind}){} + r * ({kind}){inner} + j % {inner};", length * inner));
    let mut place = Place { index: Index::new(&program.dims, "i", wide, "c"), lanes: 1 };
    let tile = Tile::new(&mut first, program, &mut place, None)?;
    shape.add(&mut first, &tile.single(value));
    shape.end(&mut first, |w, sum| match scratch {
        Some(scratch) => {
            let element = w.element(scratch, format!("(il_i64)part * {results} + j"));
            w.line(format!("{element} = Il<{}>::store({sum});", memory(dtype)));
        }
        None => w.write(out.buffer, super::flat(out, "j"), sum),
    });
    let mut kernels = vec![first.finish(shape.launch())];
    if parts > 1 {
        let mut second = writer();
        second.name.push_str("_parts");
        let scratch = second.scratch(dtype, parts * results);
        let (block, columns) = self::block(parts, results);
        // Part by part, as `[1, parts, results]`.
        let shape = Reduction { fold, dtype, block, columns, results, length: parts, inner: results, parts: 1 };
        shape.begin(&mut second, "il_i64");
        let element = second.element(scratch, format!("r * (il_i64){results} + j"));
        shape.add(&mut second, &format!("il_load({element})"));
        shape.end(&mut second, |w, sum| w.write(out.buffer, super::flat(out, "j"), sum));
        kernels.push(second.finish(shape.launch()));
    }
    Ok(kernels)
}

/// How many parts sums are cut into: enough to keep the device busy, none too short.
fn parts([outer, length, inner]: [usize; 3], target: Target) -> usize {
    let results = outer * inner;
    let threads = target.multiprocessors * 1024;
    let busy = results.max(1).saturating_mul(if inner < 32 { 256 } else { 8 });
    if busy >= threads || length < 2048 {
        return 1;
    }
    (threads / busy).clamp(1, length.div_ceil(SHORTEST * 8)).min(1024)
}

/// Threads of a block along the reduced axis, and along the results.
fn block(length: usize, inner: usize) -> (usize, usize) {
    if inner >= 2 {
        let rows = if length >= 256 { 16 } else if length >= 32 { 8 } else { 1 };
        let columns = if rows == 1 { 128 } else { 32 };
        return (rows, columns);
    }
    match length {
        0..=32 => (1, 128),
        33..=512 => (32, 8),
        _ => (256, 1),
    }
}

/// One pass: threads `(row, column)` of a block; the rows share the sum of a column.
struct Reduction {
    fold: Fold,
    dtype: DType,
    /// Threads that share a sum.
    block: usize,
    /// Sums of a block.
    columns: usize,
    /// All sums.
    results: usize,
    length: usize,
    inner: usize,
    parts: usize,
}

impl Reduction {
    /// Lanes that share a sum lie side by side where the reduced axis is the last.
    fn by_rows(&self) -> bool {
        self.inner < 2
    }

    fn launch(&self) -> Shape {
        let blocks = self.results.div_ceil(self.columns).max(1) as u32;
        Shape { grid: [blocks, self.parts as u32, 1], block: (self.block * self.columns) as u32, shared: 0 }
    }

    /// Up to the loop over the elements of a sum; `j` is the sum, `r` the place along the reduced axis.
    fn begin(&self, w: &mut Writer<'_>, kind: &str) {
        let Reduction { block, columns, results, length, parts, .. } = self;
        let each = length.div_ceil(*parts);
        let (row, column) = match self.by_rows() {
            true => (format!("threadIdx.x % {block}"), format!("threadIdx.x / {block}")),
            false => (format!("threadIdx.x / {columns}"), format!("threadIdx.x % {columns}")),
        };
        let acc = computed(self.dtype);
        let zero = match self.fold {
            Fold::Sum => format!("({acc})0"),
            Fold::Max => lowest(self.dtype),
        };
        w.line(format!("const unsigned row = {row}, column = {column}, part = blockIdx.y; (void)row; (void)part;"));
        w.line(format!("const {kind} j = blockIdx.x * ({kind}){columns} + column;"));
        w.line(format!("{acc} sum = {zero};"));
        w.line(format!("if (j < {results}) {{"));
        w.line(format!("const {kind} from = part * ({kind}){each}, to = from + {each} < {length} ? from + {each} : {length};"));
        // So that reads are under way while earlier ones are added, in order.
        w.line("#pragma unroll 8");
        w.line(format!("for ({kind} r = from + row; r < to; r += {block}) {{"));
    }

    fn add(&self, w: &mut Writer<'_>, value: &str) {
        match self.fold {
            Fold::Sum => w.line(format!("sum = il_add(sum, ({})({value}));", computed(self.dtype))),
            Fold::Max => w.line(format!("sum = il_larger(sum, ({})({value}));", computed(self.dtype))),
        }
        w.line("}\n}");
    }

    /// Adds up what the threads of a sum have, as a tree, and gives the result to `store`.
    fn end(&self, w: &mut Writer<'_>, store: impl FnOnce(&mut Writer<'_>, &str)) {
        let join = match self.fold {
            Fold::Sum => "il_add",
            Fold::Max => "il_larger",
        };
        if self.block > 1 {
            let (acc, threads) = (computed(self.dtype), self.block * self.columns);
            w.line(format!("__shared__ {acc} shared[{threads}];"));
            let step = if self.by_rows() { 1 } else { self.columns };
            w.line("shared[threadIdx.x] = sum;");
            w.line("__syncthreads();");
            w.line(format!("for (unsigned half = {}; half > 0; half >>= 1) {{", self.block / 2));
            w.line(format!("if (row < half) shared[threadIdx.x] = {join}(shared[threadIdx.x], shared[threadIdx.x + half * {step}]);"));
            w.line("__syncthreads();\n}");
            w.line("sum = shared[threadIdx.x];");
        }
        w.line(format!("if (row == 0 && j < {}) {{", self.results));
        store(w, "sum");
        w.line("}");
    }
}

/// What every element is larger than, or equal to.
fn lowest(dtype: DType) -> String {
    match dtype {
        DType::F64 => "-__longlong_as_double(0x7ff0000000000000LL)".into(),
        DType::F16 | DType::Bf16 | DType::F32 => "-__uint_as_float(0x7f800000u)".into(),
        _ => format!("IlRange<{}>::low()", computed(dtype)),
    }
}
