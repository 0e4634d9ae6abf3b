//! Sums and maxima along axes: `[outer, reduced, inner]` to `[outer, inner]`.
//!
//! A long sum is cut into parts whose number depends on the lengths alone; the block that is done last with the parts
//! of some sums adds them in order. So the bits are the same from run to run.

use super::types::{computed, memory};
use super::{Index, Kernel, No, Place, Target, Tile, Writer};
use crate::driver::Shape;
use ironlearn_ir::DType;
use ironlearn_ir::plan::{Fold, Program, Value, View};

/// Elements that a thread adds up at most where the kernel is little work.
const LITTLE: usize = 64;

/// Neighbouring sums of a thread where there is much to read.
const WIDE: usize = 4;
/// Elements from which on there is.
const LONG: usize = 1 << 20;

/// Reads of a thread that are under way at once, at most.
const MOST_AHEAD: usize = 8;

/// The kernel of a reduction.
pub fn reduce(
    mut w: Writer<'_>,
    program: &Program,
    value: Value,
    fold: Fold,
    extent: [usize; 3],
    out: &View,
    target: Target,
) -> Result<Vec<Kernel>, No> {
    let [outer, length, inner] = extent;
    let (results, dtype) = (outer * inner, w.dtype(out.buffer));
    let parts = parts(extent, target);
    let (block, columns) = block(length.div_ceil(parts), inner);
    let last = program.dims.last().copied().unwrap_or(1);
    let is_wide = inner.is_multiple_of(WIDE) && last.is_multiple_of(WIDE) && outer * length * inner >= LONG;
    let lanes = if is_wide { WIDE } else { 1 };
    let shape = Reduction { fold, dtype, block, columns, lanes, results, length, inner, parts };
    let wide = w.wide(outer * length * inner);
    let scratch = (parts > 1).then(|| w.scratch(dtype, parts * results));
    let kind = if wide { "il_i64" } else { "int" };
    shape.declare(&mut w, kind);
    shape.begin(&mut w, kind);
    w.line(format!(
        "const {kind} i = (j / {inner}) * ({kind}){} + r * ({kind}){inner} + j % {inner};",
        length * inner
    ));
    let mut place = Place { index: Index::new(&program.dims, "i", wide, "c"), lanes, early: None };
    let tile = Tile::new(&mut w, program, &mut place, None)?;
    shape.add(&mut w, &tile.lane(value, "l"));
    shape.join(&mut w);
    w.line(format!("if (row == 0 && j < {results}) {{"));
    shape.each_lane(&mut w);
    match scratch {
        None => w.write(out.buffer, super::flat(out, "j + l"), "sum[l]"),
        Some(scratch) => {
            let element = w.element(scratch, format!("(il_i64)part * {results} + j + l"));
            w.line(format!("{element} = Il<{}>::store(sum[l]);", memory(dtype)));
        }
    }
    w.line("}\n}");
    if let Some(scratch) = scratch {
        shape.finish_parts(&mut w, scratch);
        w.line(format!("if (last && row == 0 && j < {results}) {{"));
        shape.each_lane(&mut w);
        w.write(out.buffer, super::flat(out, "j + l"), "sum[l]");
        w.line("}\n}");
    }
    let kernel = w.finish(shape.launch()).joining();
    Ok(vec![if shape.length <= LITTLE * shape.block { kernel.small() } else { kernel }])
}

/// How many parts sums are cut into: enough to keep the device busy, none too short.
fn parts([outer, length, inner]: [usize; 3], target: Target) -> usize {
    let results = outer * inner;
    let threads = target.multiprocessors * 1024;
    let busy = results.max(1).saturating_mul(if inner < 32 { 256 } else { 8 });
    if busy >= threads || length < 2048 {
        return 1;
    }
    let rows = if inner < 2 { 256 } else { 16 };
    (threads / busy).clamp(1, length.div_ceil(MOST_AHEAD * rows)).min(1024)
}

/// How many of so many reads are under way at once: all of them, or an even share.
fn ahead(reads: usize) -> usize {
    reads.div_ceil(reads.div_ceil(MOST_AHEAD).max(1)).max(1)
}

/// Threads of a block along the reduced axis, and along the results.
fn block(length: usize, inner: usize) -> (usize, usize) {
    if inner >= 2 {
        let rows = if length >= 256 {
            16
        } else if length >= 32 {
            8
        } else {
            1
        };
        let columns = if rows == 1 { 256 } else { 32 };
        return (rows, columns);
    }
    match length {
        0..=32 => (1, 256),
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
    /// Threads of a block side by side, and neighbouring sums of each.
    columns: usize,
    lanes: usize,
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

    /// The threads of a sum are a warp.
    fn in_warps(&self) -> bool {
        self.by_rows() && self.block == 32
    }

    fn launch(&self) -> Shape {
        Shape {
            grid: [self.blocks() as u32, self.parts as u32, 1],
            block: (self.block * self.columns) as u32,
            shared: 0,
        }
    }

    /// Who computes what: `row` of the threads that share the sum `j`, of the part `part`.
    fn declare(&self, w: &mut Writer<'_>, kind: &str) {
        let Reduction { block, columns, .. } = self;
        let (row, column) = match self.by_rows() {
            true => (format!("threadIdx.x % {block}"), format!("threadIdx.x / {block}")),
            false => (format!("threadIdx.x / {columns}"), format!("threadIdx.x % {columns}")),
        };
        w.line(format!(
            "const unsigned row = {row}, column = {column}, part = blockIdx.y; (void)row; (void)part;"
        ));
        let lanes = self.lanes;
        w.line(format!("const {kind} j = (il_block * ({kind}){columns} + column) * {lanes};"));
        let acc = computed(self.dtype);
        if self.block > 1 && !self.in_warps() {
            w.line(format!("__shared__ {acc} shared[{lanes}][{}];", self.block * self.columns));
        }
        w.line(format!("{acc} sum[{lanes}];"));
        self.clear(w);
    }

    fn clear(&self, w: &mut Writer<'_>) {
        self.each_lane(w);
        w.line(format!("sum[l] = {};\n}}", zero(self.fold, self.dtype)));
    }

    /// Begins a loop over the sums of a thread.
    fn each_lane(&self, w: &mut Writer<'_>) {
        w.line("#pragma unroll");
        w.line(format!("for (int l = 0; l < {}; l++) {{", self.lanes));
    }

    /// Up to the loop over the elements of a sum; `r` is the place along the reduced axis.
    fn begin(&self, w: &mut Writer<'_>, kind: &str) {
        let Reduction { block, results, length, parts, .. } = self;
        let each = length.div_ceil(*parts);
        let ahead = ahead(each.div_ceil(*block));
        w.line(format!("if (j < {results}) {{"));
        w.line(format!("const {kind} from = part * ({kind}){each}, to = from + {each} < {length} ? from + {each} : {length};"));
        self.walk(w, kind, "from + row", "to", ahead);
    }

    /// Begins a loop over `r`, from a place to an end, some at a time: their reads are all under way before the first is
    /// added. Those beyond the end are reads of the last place, and not added.
    fn walk(&self, w: &mut Writer<'_>, kind: &str, from: &str, end: &str, ahead: usize) {
        let block = self.block;
        w.line(format!("for ({kind} first = {from}; first < {end}; first += {}) {{", block * ahead));
        w.line("#pragma unroll");
        w.line(format!("for (int a = 0; a < {ahead}; a++) {{"));
        w.line(format!("const bool is_within = first + a * {block} < {end};"));
        w.line(format!("const {kind} r = is_within ? first + a * {block} : {end} - 1;"));
    }

    /// Adds the values at `r`, and ends the loop.
    fn add(&self, w: &mut Writer<'_>, value: &str) {
        self.each_lane(w);
        w.line(format!(
            "const {0} next = {1}(sum[l], ({0})({value}));\nsum[l] = is_within ? next : sum[l];",
            computed(self.dtype),
            joins(self.fold)
        ));
        w.line("}\n}\n}\n}");
    }

    /// Adds up what the threads of a sum have, as a tree.
    fn join(&self, w: &mut Writer<'_>) {
        if self.block == 1 {
            return;
        }
        let (join, step) = (joins(self.fold), if self.by_rows() { 1 } else { self.columns });
        if self.in_warps() {
            w.line("for (unsigned half = 16; half > 0; half >>= 1)");
            self.each_lane(w);
            w.line(format!("sum[l] = {join}(sum[l], il_shuffle_down(sum[l], half));\n}}"));
            return;
        }
        self.each_lane(w);
        w.line("shared[l][threadIdx.x] = sum[l];\n}");
        w.line("__syncthreads();");
        w.line(format!("for (unsigned half = {}; half > 0; half >>= 1) {{\nif (row < half)", self.block / 2));
        self.each_lane(w);
        w.line(format!(
            "shared[l][threadIdx.x] = {join}(shared[l][threadIdx.x], shared[l][threadIdx.x + half * {step}]);\n}}"
        ));
        w.line("__syncthreads();\n}");
        self.each_lane(w);
        w.line("sum[l] = shared[l][threadIdx.x];\n}");
    }

    /// The block that is done last with the parts of its sums adds them up.
    fn finish_parts(&self, w: &mut Writer<'_>, scratch: usize) {
        let Reduction { block, results, parts, .. } = self;
        w.counters(self.blocks());
        w.line("__shared__ bool is_last;");
        w.line("__threadfence();\n__syncthreads();");
        w.line(format!(
            "if (threadIdx.x == 0) is_last = atomicAdd(counters + il_block, 1u) == {}u;",
            parts - 1
        ));
        w.line("__syncthreads();");
        w.line("const bool last = is_last;\nif (last) {");
        w.line("__threadfence();");
        w.line("if (threadIdx.x == 0) counters[il_block] = 0;");
        self.clear(w);
        w.line(format!("if (j < {results}) {{"));
        self.walk(w, "il_i64", "row", &parts.to_string(), ahead(parts.div_ceil(*block)));
        let element = w.element(scratch, format!("r * {results} + j + l"));
        let volatile = format!("il_load_fresh(&{element})");
        self.add(w, &volatile);
        self.join(w);
        w.line("}");
    }

    fn blocks(&self) -> usize {
        self.results.div_ceil(self.columns * self.lanes).max(1)
    }
}

/// What a sum or maximum begins with.
pub fn zero(fold: Fold, dtype: DType) -> String {
    match fold {
        Fold::Sum => format!("({})0", computed(dtype)),
        Fold::Max => lowest(dtype),
    }
}

/// The function that adds an element to a sum or maximum.
pub fn joins(fold: Fold) -> &'static str {
    match fold {
        Fold::Sum => "il_add",
        Fold::Max => "il_larger",
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
