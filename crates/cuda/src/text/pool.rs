//! Pooling and the parts of its derivatives: one thread for each result.

use super::types::computed;
use super::{Index, Kernel, No, Writer, flat};
use ironlearn_ir::plan::View;
use ironlearn_ir::prim::{Pool, PoolKind, PoolPart};

/// The kernel of one part.
pub fn pool(w: Writer<'_>, pool: &Pool, x: &[View], out: &View) -> Result<Vec<Kernel>, No> {
    let y = pool.output()?.to_vec();
    Ok(vec![match (pool.kind, pool.part) {
        (_, PoolPart::Spread) => spread(w, pool, &y, x, out),
        _ => fold(w, pool, &y, x, out),
    }])
}

/// The place in `x` of the coordinates `[n, c, q…]`.
fn place(dims: &[usize], lead: [&str; 2], rest: &[String]) -> String {
    let mut text = format!("(il_i64){} * {} + {}", lead[0], dims[1], lead[1]);
    for (d, c) in dims[2..].iter().zip(rest) {
        text = format!("({text}) * {d} + {c}");
    }
    text
}

/// Loops over a window that begins at `begin`, with `k0`… as places in it; inside, the element is `at`.
fn window(w: &mut Writer<'_>, pool: &Pool, lead: [&str; 2], begin: &[String]) {
    for (d, size) in pool.size.iter().enumerate() {
        w.line(format!("for (il_i64 k{d} = 0; k{d} < {size}; k{d}++) {{"));
    }
    let places: Vec<String> = begin.iter().enumerate().map(|(d, b)| format!("({b} + k{d})")).collect();
    w.line(format!("const il_i64 at = {};", place(&pool.x, lead, &places)));
}

/// Finds the largest element of a window, `best` at `where`: the first of equal ones, the first NaN.
fn largest(w: &mut Writer<'_>, pool: &Pool, x: &View, lead: [&str; 2], begin: &[String]) {
    let acc = computed(w.dtype(x.buffer));
    w.line(format!("{acc} best = 0; il_i64 where = -1;"));
    window(w, pool, lead, begin);
    let value = w.read(x.buffer, flat(x, "at"));
    w.line(format!("const {acc} v = {value};"));
    w.line("if (where < 0 || v > best || (v != v && best == best)) { best = v; where = at; }");
    w.line("}".repeat(pool.size.len()));
}

/// The largest, the sum, or what stands at the place of the largest.
fn fold(mut w: Writer<'_>, pool: &Pool, y: &[usize], x: &[View], out: &View) -> Kernel {
    w.buffer(out.buffer, true);
    let c = Index::new(y, "i", true, "c").coordinates(&mut w).to_vec();
    let begin: Vec<String> =
        pool.stride.iter().enumerate().map(|(d, s)| format!("{} * {s}", c[d + 2])).collect();
    let lead = [&c[0][..], &c[1][..]];
    if pool.kind == PoolKind::Sum {
        w.line(format!("{} sum = 0;", computed(w.dtype(out.buffer))));
        window(&mut w, pool, lead, &begin);
        let value = w.read(x[0].buffer, flat(&x[0], "at"));
        w.line(format!("sum = il_add(sum, {value});"));
        w.line("}".repeat(pool.size.len()));
        w.write(out.buffer, flat(out, "i"), "sum");
    } else {
        largest(&mut w, pool, &x[0], lead, &begin);
        let value = match pool.part {
            PoolPart::Pick => w.read(x[1].buffer, flat(&x[1], "where")),
            _ => "best".into(),
        };
        w.write(out.buffer, flat(out, "i"), &value);
    }
    w.each(out.elements())
}

/// What flows back to an element of `x`: from every window that holds it, of a maximum those whose largest it is.
fn spread(mut w: Writer<'_>, pool: &Pool, y: &[usize], x: &[View], out: &View) -> Kernel {
    w.buffer(out.buffer, true);
    let acc = computed(w.dtype(out.buffer));
    let c = Index::new(&pool.x, "i", true, "c").coordinates(&mut w).to_vec();
    let g = x[x.len() - 1].clone();
    w.line(format!("{acc} sum = 0;"));
    for (d, (size, stride)) in pool.size.iter().zip(&pool.stride).enumerate() {
        // The first and last window along the axis that reach this place.
        let at = &c[d + 2];
        w.line(format!("const il_i64 f{d} = {at} < {size} ? 0 : ({at} - {size}) / {stride} + 1;"));
        w.line(format!(
            "const il_i64 e{d} = {at} / {stride} < {} ? {at} / {stride} : {};",
            y[d + 2] - 1,
            y[d + 2] - 1
        ));
    }
    for d in 0..pool.size.len() {
        w.line(format!("for (il_i64 p{d} = f{d}; p{d} <= e{d}; p{d}++) {{"));
    }
    let lead = [&c[0][..], &c[1][..]];
    let windows: Vec<String> = (0..pool.size.len()).map(|d| format!("p{d}")).collect();
    let value = w.read(g.buffer, flat(&g, &format!("({})", place(y, lead, &windows))));
    if pool.kind == PoolKind::Max {
        let begin: Vec<String> = pool.stride.iter().enumerate().map(|(d, s)| format!("p{d} * {s}")).collect();
        largest(&mut w, pool, &x[0], lead, &begin);
        w.line("if (where != i) continue;");
    }
    w.line(format!("sum = il_add(sum, {value});"));
    w.line("}".repeat(pool.size.len()));
    w.write(out.buffer, flat(out, "i"), "sum");
    w.each(out.elements())
}
