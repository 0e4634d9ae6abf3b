//! Matrix products of any element type and any strides, tile by tile through shared memory.

use super::types::{computed, supported};
use super::{Index, Kernel, No, Writer, flat};
use crate::driver::Shape;
use ironlearn_ir::plan::{DotStep, View};

/// Rows, columns and depth of a tile.
const TILE: usize = 32;
/// Threads of a block; each computes `TILE·TILE/THREADS` results of one column.
const THREADS: usize = 256;

/// `out[b, m, n] = Σₖ x[b, m, k] · y[b, k, n]`
pub fn dot(mut w: Writer<'_>, dot: &DotStep) -> Result<Vec<Kernel>, No> {
    let rank = dot.out.dims.len();
    let (batch, m, n) = (&dot.out.dims[..rank - 2], dot.out.dims[rank - 2], dot.out.dims[rank - 1]);
    let (k, batches) = (dot.x.dims[rank - 1], batch.iter().product::<usize>());
    let (down, across) = (m.div_ceil(TILE), n.div_ceil(TILE));
    for view in [&dot.x, &dot.y, &dot.out] {
        supported(w.dtype(view.buffer))?;
    }
    let acc = computed(w.dtype(dot.out.buffer));
    w.buffer(dot.out.buffer, true);
    let rows = TILE * TILE / THREADS;
    w.line(format!("__shared__ {acc} left[{TILE}][{}], right[{TILE}][{}];", TILE + 1, TILE + 1));
    w.line("const unsigned tx = threadIdx.x % 32, ty = threadIdx.x / 32;");
    w.line(format!("const il_i64 block = blockIdx.x, which = block / {};", down * across));
    w.line(format!("const il_i64 m0 = block / {across} % {down} * {TILE}, n0 = block % {across} * {TILE};"));
    let mut place = Index::new(batch, "which", true, "c");
    let leading = |view: &View| View {
        dims: view.dims[..rank - 2].to_vec(),
        strides: view.strides[..rank - 2].to_vec(),
        ..view.clone()
    };
    let (x0, y0) = (place.of(&mut w, &leading(&dot.x)), place.of(&mut w, &leading(&dot.y)));
    let stride = |view: &View, axis: usize| view.strides[rank - 2 + axis];
    w.line(format!("{acc} sum[{rows}] = {{}};"));
    w.line(format!("for (il_i64 k0 = 0; k0 < {k}; k0 += {TILE}) {{"));
    w.line(format!("for (int r = ty; r < {TILE}; r += {}) {{", THREADS / TILE));
    for (name, view, base, [d0, d1], [s0, s1]) in [
        ("left", &dot.x, &x0, [("m0 + r", m), ("k0 + tx", k)], [stride(&dot.x, 0), stride(&dot.x, 1)]),
        ("right", &dot.y, &y0, [("k0 + r", k), ("n0 + tx", n)], [stride(&dot.y, 0), stride(&dot.y, 1)]),
    ] {
        let element = w.read(view.buffer, format!("{base} + ({}) * ({s0}LL) + ({}) * ({s1}LL)", d0.0, d1.0));
        w.line(format!(
            "{name}[r][tx] = {} < {} && {} < {} ? ({acc}){element} : ({acc})0;",
            d0.0, d0.1, d1.0, d1.1
        ));
    }
    w.line("}\n__syncthreads();");
    w.line(format!("for (int q = 0; q < {TILE}; q++) {{"));
    w.line("#pragma unroll");
    w.line(format!(
        "for (int r = 0; r < {rows}; r++) sum[r] = il_add(sum[r], il_mul(left[ty + r * {}][q], right[q][tx]));",
        THREADS / TILE
    ));
    w.line("}\n__syncthreads();\n}");
    w.line("#pragma unroll");
    w.line(format!("for (int r = 0; r < {rows}; r++) {{"));
    w.line(format!("const il_i64 row = m0 + ty + r * {}, column = n0 + tx;", THREADS / TILE));
    w.line(format!("if (row < {m} && column < {n}) {{"));
    w.write(dot.out.buffer, flat(&dot.out, &format!("(which * {m} + row) * {n} + column")), "sum[r]");
    w.line("}\n}");
    let blocks = batches * down * across;
    Ok(vec![w.finish(Shape { grid: [blocks.max(1) as u32, 1, 1], block: THREADS as u32, shared: 0 })])
}
