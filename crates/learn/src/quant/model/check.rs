//! Whether a network of integers is whole: what a file says is checked before anything is computed.

use super::op::overflow;
use super::{Edge, IntegerModel, Linear, Node, Op};
use crate::Error;
use crate::quant::arithmetic::{Code, Requantize, Rounding, accumulator_bound, check_accumulator};

/// The most elements of a row of a value.
const MAX_ELEMENTS: usize = 1 << 31;

impl IntegerModel {
    /// Checks that shapes, codes, lengths and bounds of sums fit each other.
    ///
    /// # Errors
    /// [`Error::Usage`] naming the first node that does not fit, or whose sums could overflow.
    pub fn check(&self) -> Result<(), Error> {
        let whole = |edge: &Edge| {
            let elements = edge.shape.iter().try_fold(1usize, |n, &len| n.checked_mul(len));
            let q = edge.quantization;
            let zero = (q.code.low()..=q.code.high()).contains(&q.zero_point)
                && (q.code == Code::I8 || q.zero_point == 0);
            elements.is_some_and(|n| n > 0 && n < MAX_ELEMENTS)
                && q.scale.is_finite()
                && q.scale > 0.0
                && zero
        };
        if !whole(&self.input) {
            return Err(broken("the input", "shape or codes of no value".into()));
        }
        for (i, node) in self.nodes.iter().enumerate() {
            let name = format!("node {i} ({} of layer {})", node.op.name(), node.layer);
            let operands: Option<Vec<&Edge>> =
                node.inputs.iter().map(|&v| if v <= i { self.edge(v) } else { None }).collect();
            let Some(operands) = operands.filter(|o| !o.is_empty()) else {
                return Err(broken(
                    &name,
                    format!("takes values {:?}, which do not come before it", node.inputs),
                ));
            };
            if !whole(&node.output) {
                return Err(broken(&name, "shape or codes of no value".into()));
            }
            if let Some(r) = node.op.requantize() {
                requantize(r, node).map_err(|problem| broken(&name, problem))?;
            }
            fits(node, &operands).map_err(|problem| broken(&name, problem))?;
            certificate(node, operands[0])?;
        }
        Ok(())
    }
}

fn broken(node: &str, problem: String) -> Error {
    Error::usage(
        format!("{node}: {problem}"),
        "the network of integers is damaged: make it again from its floats",
    )
}

/// Something is as it has to be, or a text that says what is not.
fn ensure(holds: bool, problem: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem.to_owned()) }
}

fn requantize(r: &Requantize, node: &Node) -> Result<(), String> {
    let code = node.output.quantization.code;
    ensure(code != Code::I32, "gives 32-bit codes")?;
    ensure(
        r.low <= r.high && r.low >= code.low() && r.high <= code.high(),
        "ends of its codes out of range",
    )?;
    ensure(r.zero_point == node.output.quantization.zero_point, "two zero points")?;
    let channels = match &node.op {
        Op::Linear(l) => l.bias.len(),
        Op::Conv(c) => c.bias.len(),
        Op::Norm(n) => n.bias.len(),
        _ => 1,
    };
    ensure(r.by.len() == 1 || r.by.len() == channels, "as many scales as channels, or one")
}

/// Shapes, types and lengths.
fn fits(node: &Node, operands: &[&Edge]) -> Result<(), String> {
    let (x, out) = (operands[0], &node.output);
    let (i8_in, i16_in) = (x.quantization.code == Code::I8, x.quantization.code == Code::I16);
    let same_shape = || ensure(operands.iter().all(|o| o.shape == out.shape), "another shape");
    let last = x.shape.last().copied().unwrap_or(0);
    let arity = match &node.op {
        Op::MatMul(_) | Op::Product(_) => 2,
        Op::Sum(_) | Op::Concat(_) => operands.len(),
        _ => 1,
    };
    ensure(operands.len() == arity, "another number of operands")?;
    let narrow = operands.iter().all(|o| o.quantization.code != Code::I32);
    ensure(matches!(node.op, Op::Embedding(_)) || narrow, "32-bit codes are for embeddings")?;
    match &node.op {
        Op::Linear(l) => {
            ensure(l.inputs == last && l.weight.len() == l.inputs * l.bias.len(), "weights of another size")?;
            ensure(!l.weight.contains(&-128), "a weight of -128")?;
            ensure(
                l.requantize.rounding == Rounding::HalfEven || l.parts(x.quantization.code) == 1,
                "sums too long",
            )?;
            ensure(wide_reach(l, x) < 2f64.powi(62), "a scale that takes its sums out of 64 bits")?;
            let shape = [&x.shape[..x.shape.len() - 1], &[l.bias.len()]].concat();
            ensure(out.shape == shape, "another shape")
        }
        Op::Conv(c) => {
            ensure(!c.weight.contains(&-128), "a weight of -128")?;
            let spec = convolution(c, &x.shape)?;
            ensure(c.weight.len() == c.kernel.iter().product::<usize>(), "weights of another size")?;
            ensure(c.bias.len() == c.kernel[0], "biases of another number")?;
            ensure(spec.output().is_ok_and(|y| y[1..] == out.shape[..]), "another shape")
        }
        Op::MatMul(m) => {
            let y = operands[1];
            let rank = x.shape.len();
            ensure(
                rank >= 2 && y.shape.len() == rank && x.shape[..rank - 2] == y.shape[..rank - 2],
                "operands of other shapes",
            )?;
            let (k, n) = if m.transposed { (rank - 1, rank - 2) } else { (rank - 2, rank - 1) };
            let shape = [&x.shape[..rank - 1], &[y.shape[n]]].concat();
            ensure(y.shape[k] == last && out.shape == shape, "another shape")?;
            ensure(y.quantization.code == x.quantization.code, "operands of two types")?;
            let reach = |e: &Edge| if e.quantization.code == Code::I8 { 255 } else { 32_768i64 };
            let longest = i64::from(i32::MAX) / (reach(x) * reach(y));
            ensure(last as i64 <= longest, "sums that could leave 32 bits")
        }
        Op::Sum(s) => {
            same_shape()?;
            ensure(
                s.multipliers.len() == operands.len() && (1..=62).contains(&s.shift),
                "another number of scales",
            )?;
            ensure(
                s.zero_point == out.quantization.zero_point && s.low <= s.high,
                "ends of its codes out of range",
            )?;
            ensure(
                s.low >= out.quantization.code.low() && s.high <= out.quantization.code.high(),
                "ends of its codes out of range",
            )
        }
        Op::Product(_) => {
            ensure(
                operands.iter().all(|o| o.quantization.code == x.quantization.code),
                "operands of two types",
            )?;
            same_shape()
        }
        Op::Rescale(_) => same_shape(),
        Op::Table(table) => {
            let code = out.quantization.code;
            ensure(i8_in && table.len() == 256, "a table of another length")?;
            ensure(table.iter().all(|c| (code.low()..=code.high()).contains(c)), "codes out of range")?;
            same_shape()
        }
        Op::Interpolation(t) => {
            ensure(i16_in && out.quantization.code == Code::I16, "codes that have not 16 bits")?;
            ensure(
                (1..=15).contains(&t.shift) && t.nodes.len() == (1 << (16 - t.shift)) + 1,
                "nodes of another number",
            )?;
            same_shape()
        }
        Op::MaxPool(p) | Op::AvgPool(p, _) => {
            let pool = ironlearn_ir::prim::Pool {
                kind: ironlearn_ir::prim::PoolKind::Max,
                part: ironlearn_ir::prim::PoolPart::Output,
                size: p.size.clone(),
                stride: p.stride.clone(),
                x: x.batch(1),
            };
            ensure(pool.output().is_ok_and(|y| y[1..] == out.shape[..]), "another shape")?;
            let largest = matches!(node.op, Op::MaxPool(_));
            ensure(!largest || x.quantization == out.quantization, "codes that stand for other numbers")?;
            ensure(p.size.iter().product::<usize>() < 1 << 14, "windows of more than 16,383 elements")
        }
        Op::Softmax(s) => {
            ensure(i8_in && s.exponentials.len() == 256, "a table of another length")?;
            ensure(
                s.exponentials.iter().all(|e| (0..=1 << 22).contains(e)) && s.exponentials[0] > 0,
                "exponentials out of range",
            )?;
            let square = x.shape.len() >= 2 && x.shape[x.shape.len() - 2] == last;
            ensure(!s.causal || square, "places of two numbers")?;
            same_shape()
        }
        Op::Norm(n) => {
            let most = if i8_in { 1 << 15 } else { 1 << 14 };
            ensure(
                last <= most && n.gain.len() == last && n.bias.len() == last,
                "features of another number",
            )?;
            ensure((1..=1 << 61).contains(&n.epsilon) && n.digits <= 14, "an epsilon out of range")?;
            ensure(n.bias.iter().all(|b| b.unsigned_abs() <= 1 << 30), "a bias out of range")?;
            same_shape()
        }
        Op::Embedding(e) => {
            ensure(
                e.dimension > 0 && e.table.len().is_multiple_of(e.dimension) && !e.table.is_empty(),
                "a table of another size",
            )?;
            let shape = [&x.shape[..], &[e.dimension]].concat();
            ensure(out.quantization.code == Code::I8, "gives codes that have not 8 bits")?;
            ensure(x.quantization.code == Code::I32 && out.shape == shape, "another shape")
        }
        Op::Rotary(r) => {
            let places = x.shape.len().checked_sub(2).map_or(0, |a| x.shape[a]);
            ensure(i8_in && last % 2 == 0, "needs 8-bit codes and an even number of features")?;
            ensure(
                r.cos.len() == places * last / 2 && r.sin.len() == r.cos.len(),
                "angles of another number",
            )?;
            same_shape()
        }
        Op::Concat(axis) => {
            ensure(*axis < x.shape.len(), "no such axis")?;
            ensure(
                operands.iter().all(|o| o.quantization == out.quantization),
                "codes that stand for other numbers",
            )?;
            let others = |o: &Edge| {
                o.shape.iter().enumerate().filter(|(a, _)| a != axis).map(|(_, &n)| n).collect::<Vec<_>>()
            };
            ensure(
                operands.iter().all(|o| o.shape.len() == out.shape.len() && others(o) == others(out)),
                "another shape",
            )?;
            let length: usize = operands.iter().map(|o| o.shape[*axis]).sum();
            ensure(length == out.shape[*axis], "another shape")
        }
        Op::Reshape => {
            ensure(x.elements() == out.elements() && x.quantization == out.quantization, "another shape")
        }
        Op::Permute(order) => {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            ensure(sorted.iter().copied().eq(0..x.shape.len()), "no order of its axes")?;
            let shape: Vec<usize> = order.iter().map(|&a| x.shape[a]).collect();
            ensure(out.shape == shape && x.quantization == out.quantization, "another shape")
        }
    }
}

/// The largest magnitude that a scaled sum of a layer that is cut into parts could have.
fn wide_reach(l: &Linear, x: &Edge) -> f64 {
    if l.parts(x.quantization.code) == 1 {
        return 0.0;
    }
    let largest = -i64::from(x.quantization.code.low());
    let rows = l.weight.chunks(l.inputs).zip(&l.bias);
    let bound = rows.map(|(row, &b)| accumulator_bound(row, b.into(), largest)).max().unwrap_or(0);
    bound as f64 * l.requantize.by.iter().map(|by| by.value()).fold(0.0, f64::max)
}

/// The convolution with the input's border already around it, as a primitive.
fn convolution(c: &super::Conv, shape: &[usize]) -> Result<ironlearn_ir::prim::Conv, String> {
    let w = &c.windows;
    ensure(
        c.kernel.len() == shape.len() + 1 && c.kernel.len() >= 3 && w.groups > 0,
        "a kernel of other axes",
    )?;
    ensure(
        c.kernel[0] > 0 && c.kernel[0].is_multiple_of(w.groups),
        "groups that do not divide the channels",
    )?;
    let window = ironlearn_ir::prim::Window {
        stride: w.stride.clone(),
        dilation: w.dilation.clone(),
        before: w.before.clone(),
        after: w.after.clone(),
        groups: w.groups,
    };
    Ok(ironlearn_ir::prim::Conv {
        part: ironlearn_ir::prim::Part::Output,
        window,
        x: [&[1], shape].concat().into(),
        w: c.kernel.clone().into(),
    })
}

/// That no sum of the layer can overflow; a linear layer's are cut into parts where they could.
fn certificate(node: &Node, x: &Edge) -> Result<(), Error> {
    let input = -i64::from(x.quantization.code.low());
    match &node.op {
        Op::Linear(l) if l.parts(x.quantization.code) == 1 => check_accumulator(&l.weight, &l.bias, input),
        Op::Conv(c) => check_accumulator(&c.weight, &c.bias, input),
        _ => Ok(0),
    }
    .map_err(|found| overflow(&node.layer, found))
    .map(|_| ())
}
