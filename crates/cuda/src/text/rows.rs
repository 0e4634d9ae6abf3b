//! Rows picked by index, rows added by index, and memory set to a number.

use super::types::{computed, number, supported};
use super::{Index, Kernel, No, Pick, Writer, flat};
use crate::driver::Shape;
use ironlearn_ir::NodeId;
use ironlearn_ir::plan::View;

/// Writes what ends the step where an index is out of range: the index is `row`, which an operation has found at a
/// position of the data.
pub fn guard(writer: &mut Writer<'_>, node: NodeId, position: &str, length: usize) {
    let (place, number) = (writer.picks.len(), writer.number);
    writer.picks.push(Pick::of(&writer.plan.graph, node));
    writer.line(format!(
        "if (row < 0 || row >= {length}LL) {{ il_fail(state, 2, {number}, {place}, row, {length}LL, {position}); row = 0; }}"
    ));
}

/// `out[o, i, k] = x[o, index[i], k]`
pub fn gather(mut w: Writer<'_>, x: &View, index: &View, out: &View) -> Result<Vec<Kernel>, No> {
    supported(w.dtype(x.buffer))?;
    let (len, count, inner) = (x.dims[1], out.dims[1], out.dims[2]);
    let n = out.elements();
    w.buffer(out.buffer, true);
    let which = w.read(index.buffer, flat(index, &format!("i / {inner} % {count}")));
    w.line(format!("il_i64 row = (il_i64){which};"));
    let node = w.node;
    guard(&mut w, node, &format!("i / {inner} % {count}"), len);
    let from =
        format!("{} + ((il_i64)(i / {}) * {len} + row) * {inner} + i % {inner}", x.offset, count * inner);
    let value = w.read(x.buffer, from);
    w.write(out.buffer, flat(out, "i"), &value);
    Ok(vec![w.each(n)])
}

/// `out[o, index[i], k] += x[o, i, k]` from zero, in ascending order of `i`: every element of the result has one
/// thread, which looks for the rows that are its own.
pub fn scatter_add(mut w: Writer<'_>, x: &View, index: &View, out: &View) -> Result<Vec<Kernel>, No> {
    let dtype = w.dtype(out.buffer);
    supported(dtype)?;
    let (count, len, inner) = (x.dims[1], out.dims[1], out.dims[2]);
    let n = out.elements();
    let threads = 256;
    let blocks = n.div_ceil(threads).max(1);
    w.buffer(out.buffer, true);
    // All threads together look at every index once.
    let which = w.read(index.buffer, flat(index, "at"));
    let all = blocks * threads;
    w.line(format!("const il_i64 i = blockIdx.x * (il_i64){threads} + threadIdx.x;"));
    w.line(format!("for (il_i64 at = i; at < {count}; at += {all}) {{"));
    w.line(format!("il_i64 row = (il_i64){which};"));
    let node = w.node;
    guard(&mut w, node, "at", len);
    w.line("}");
    w.line(format!("if (i < {n}) {{"));
    w.line(format!("const il_i64 own = i / {inner} % {len}, outer = i / {}, k = i % {inner};", len * inner));
    w.line(format!("{} sum = 0;", computed(dtype)));
    w.line(format!("for (int at = 0; at < {count}; at++) {{"));
    w.line(format!("if ((il_i64){which} != own) continue;"));
    let value = w.read(x.buffer, format!("{} + (outer * {count} + at) * {inner} + k", x.offset));
    w.line(format!("sum = il_add(sum, ({})({value}));", computed(dtype)));
    w.line("}");
    w.write(out.buffer, flat(out, "i"), "sum");
    w.line("}");
    Ok(vec![w.finish(Shape { grid: [blocks as u32, 1, 1], block: threads as u32, shared: 0 })])
}

/// Every element of a view set to a number.
pub fn fill(mut w: Writer<'_>, out: &View, value: f64) -> Result<Vec<Kernel>, No> {
    let dtype = w.dtype(out.buffer);
    supported(dtype)?;
    let n = out.elements();
    w.buffer(out.buffer, true);
    let wide = w.wide(n);
    let at = Index::new(&out.dims, "i", wide, "c").of(&mut w, out);
    w.write(out.buffer, at, &number(dtype, value));
    Ok(vec![w.each(n)])
}
