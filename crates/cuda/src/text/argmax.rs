//! The index of the largest element along the middle axis of `[outer, length, inner]`: the first of equal ones,
//! the first NaN if any.

use super::types::{computed, supported};
use super::{Kernel, No, Writer, flat};
use ironlearn_ir::plan::View;

/// One thread for each result.
pub fn argmax(mut w: Writer<'_>, x: &View, out: &View) -> Result<Vec<Kernel>, No> {
    let dtype = w.dtype(x.buffer);
    supported(dtype)?;
    let (length, inner) = (x.dims[1], x.dims[2]);
    w.buffer(out.buffer, true);
    let at = |k: &str| flat(x, &format!("((il_i64)(i / {inner}) * {length} + {k}) * {inner} + i % {inner}"));
    let first = w.read(x.buffer, at("0"));
    w.line(format!("{} best = {first};", computed(dtype)));
    w.line("il_i64 place = 0;");
    w.line("#pragma unroll 4");
    w.line(format!("for (il_i64 k = 1; k < {length}; k++) {{"));
    let next = w.read(x.buffer, at("k"));
    w.line(format!("const {} v = {next};", computed(dtype)));
    w.line("if (v > best || (v != v && best == best)) { best = v; place = k; }");
    w.line("}");
    w.write(out.buffer, flat(out, "i"), "place");
    Ok(vec![w.each(out.elements())])
}
