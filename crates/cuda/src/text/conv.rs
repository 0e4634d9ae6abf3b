//! Convolution and its two gradients, straight from the formula: one thread, or one block, for each result.
//!
//! `y[n, o, p] = Σ x[n, c, p·stride + k·dilation − before] · w[o, c, k]`

use super::types::computed;
use super::{Index, Kernel, No, Writer, flat};
use crate::driver::Shape;
use ironlearn_ir::plan::View;
use ironlearn_ir::prim::{Conv, Part};

/// Threads that share the sum of an element of a kernel's gradient.
const SHARING: usize = 128;

/// The kernel of one part.
pub fn conv(w: Writer<'_>, conv: &Conv, x: &View, y: &View, out: &View) -> Result<Vec<Kernel>, No> {
    let lengths = Lengths::of(conv)?;
    Ok(vec![match conv.part {
        Part::Output => output(w, conv, &lengths, x, y, out),
        Part::GradInput => input(w, conv, &lengths, x, y, out),
        Part::GradKernel => kernel(w, conv, &lengths, x, y, out),
    }])
}

struct Lengths {
    /// Of `y`.
    y: Vec<usize>,
    /// Channels of `x` and of `y` in a group.
    channels: [usize; 2],
    spatial: usize,
}

impl Lengths {
    fn of(conv: &Conv) -> Result<Lengths, No> {
        let y = conv.output()?.to_vec();
        let spatial = y.len() - 2;
        Ok(Lengths { y, channels: [conv.w[1], conv.w[0] / conv.window.groups], spatial })
    }
}

/// The coordinates of `i` in a shape.
fn coordinates(w: &mut Writer<'_>, dims: &[usize], prefix: &'static str) -> Vec<String> {
    Index::new(dims, "i", true, prefix).coordinates(w).to_vec()
}

/// The row-major place of coordinates.
fn place(dims: &[usize], coordinates: &[String]) -> String {
    let mut text = "(il_i64)0".to_string();
    for (d, c) in dims.iter().zip(coordinates) {
        text = format!("({text}) * {d} + {c}");
    }
    text
}

/// `for` loops over the window, with `k0`, `k1`… as places in it.
fn window_loops(w: &mut Writer<'_>, conv: &Conv, spatial: usize) {
    for d in 0..spatial {
        w.line(format!("for (il_i64 k{d} = 0; k{d} < {}; k{d}++) {{", conv.w[d + 2]));
    }
}

fn close(w: &mut Writer<'_>, loops: usize) {
    w.line("}".repeat(loops));
}

fn names(prefix: &str, n: usize) -> Vec<String> {
    (0..n).map(|d| format!("{prefix}{d}")).collect()
}

/// Places in `x` that a window's places fall on, as `q0`…; others are passed over.
fn aim(w: &mut Writer<'_>, conv: &Conv, spatial: usize, p: &[String]) {
    let win = &conv.window;
    for (d, p) in p.iter().enumerate().take(spatial) {
        w.line(format!(
            "const il_i64 q{d} = {p} * {} + k{d} * {} - {};",
            win.stride[d], win.dilation[d], win.before[d]
        ));
        w.line(format!("if (q{d} < 0 || q{d} >= {}) continue;", conv.x[d + 2]));
    }
}

/// Adds a product, in the type of the sums: operands may be narrower.
fn add_product(w: &mut Writer<'_>, acc: &str, a: &str, b: &str) {
    w.line(format!("sum = il_add(sum, il_mul(({acc})({a}), ({acc})({b})));"));
}

fn output(mut w: Writer<'_>, conv: &Conv, l: &Lengths, x: &View, k: &View, out: &View) -> Kernel {
    let acc = computed(w.dtype(out.buffer));
    w.buffer(out.buffer, true);
    let c = coordinates(&mut w, &l.y, "c");
    w.line(format!("{acc} sum = 0;"));
    w.line(format!("for (il_i64 h = 0; h < {}; h++) {{", l.channels[0]));
    window_loops(&mut w, conv, l.spatial);
    aim(&mut w, conv, l.spatial, &c[2..]);
    let channel = format!("({} / {} * {} + h)", c[1], l.channels[1], l.channels[0]);
    let at_x = place(&conv.x, &[vec![c[0].clone(), channel], names("q", l.spatial)].concat());
    let at_w = place(&conv.w, &[vec![c[1].clone(), "h".into()], names("k", l.spatial)].concat());
    let (a, b) = (w.read(x.buffer, flat(x, &at_x)), w.read(k.buffer, flat(k, &at_w)));
    add_product(&mut w, acc, &a, &b);
    close(&mut w, l.spatial + 1);
    w.write(out.buffer, flat(out, "i"), "sum");
    w.each(out.elements())
}

fn input(mut w: Writer<'_>, conv: &Conv, l: &Lengths, g: &View, k: &View, out: &View) -> Kernel {
    let (acc, win) = (computed(w.dtype(out.buffer)), &conv.window);
    w.buffer(out.buffer, true);
    let c = coordinates(&mut w, &conv.x, "c");
    w.line(format!("{acc} sum = 0;"));
    w.line(format!("for (il_i64 h = 0; h < {}; h++) {{", l.channels[1]));
    window_loops(&mut w, conv, l.spatial);
    for d in 0..l.spatial {
        let (stride, dilation, before) = (win.stride[d], win.dilation[d], win.before[d]);
        w.line(format!("const il_i64 t{d} = {} + {before} - k{d} * {dilation};", c[d + 2]));
        w.line(format!(
            "if (t{d} < 0 || t{d} % {stride} != 0 || t{d} / {stride} >= {}) continue;",
            l.y[d + 2]
        ));
        w.line(format!("const il_i64 p{d} = t{d} / {stride};"));
    }
    let channel = format!("({} / {} * {} + h)", c[1], l.channels[0], l.channels[1]);
    let at_y = place(&l.y, &[vec![c[0].clone(), channel.clone()], names("p", l.spatial)].concat());
    let within = format!("({} % {})", c[1], l.channels[0]);
    let at_w = place(&conv.w, &[vec![channel, within], names("k", l.spatial)].concat());
    let (a, b) = (w.read(g.buffer, flat(g, &at_y)), w.read(k.buffer, flat(k, &at_w)));
    add_product(&mut w, acc, &a, &b);
    close(&mut w, l.spatial + 1);
    w.write(out.buffer, flat(out, "i"), "sum");
    w.each(out.elements())
}

/// A block for each element: its threads go through images and places in turns, then their sums are added.
fn kernel(mut w: Writer<'_>, conv: &Conv, l: &Lengths, x: &View, g: &View, out: &View) -> Kernel {
    let (acc, n) = (computed(w.dtype(out.buffer)), out.elements());
    w.buffer(out.buffer, true);
    w.line("const il_i64 i = blockIdx.x;");
    let c = coordinates(&mut w, &conv.w, "c");
    for d in 0..l.spatial {
        w.line(format!("const il_i64 k{d} = {};", c[d + 2]));
    }
    let places: usize = l.y[0] * l.y[2..].iter().product::<usize>();
    w.line(format!("{acc} sum = 0;"));
    w.line(format!("for (il_i64 j = threadIdx.x; j < {places}; j += {SHARING}) {{"));
    let dims = [&l.y[..1], &l.y[2..]].concat();
    let p = Index::new(&dims, "j", true, "p").coordinates(&mut w).to_vec();
    aim(&mut w, conv, l.spatial, &p[1..]);
    let channel = format!("({} / {} * {} + {})", c[0], l.channels[1], l.channels[0], c[1]);
    let at_x = place(&conv.x, &[vec![p[0].clone(), channel], names("q", l.spatial)].concat());
    let at_y = place(&l.y, &[&[p[0].clone(), c[0].clone()], &p[1..]].concat());
    let (a, b) = (w.read(x.buffer, flat(x, &at_x)), w.read(g.buffer, flat(g, &at_y)));
    add_product(&mut w, acc, &a, &b);
    w.line("}");
    w.line(format!("__shared__ {acc} shared[{SHARING}];"));
    w.line("shared[threadIdx.x] = sum;");
    w.line("__syncthreads();");
    w.line(format!("for (unsigned half = {}; half > 0; half >>= 1) {{", SHARING / 2));
    w.line("if (threadIdx.x < half) shared[threadIdx.x] = il_add(shared[threadIdx.x], shared[threadIdx.x + half]);");
    w.line("__syncthreads();\n}");
    w.line("if (threadIdx.x == 0) {");
    w.write(out.buffer, flat(out, "i"), "shared[0]");
    w.line("}");
    w.finish(Shape { grid: [n.max(1) as u32, 1, 1], block: SHARING as u32, shared: 0 })
}
