//! Which sums 32-bit floats hold.

use crate::quant::arithmetic::{Code, Requantize};
use crate::quant::model::{Edge, Node, Op};

/// The integers up to which all are floats.
const FLOATS: i64 = 1 << 24;

/// The biases of a layer without the input's zero point in them: `bias + z·Σ w`.
pub(super) fn biases(weight: &[i8], bias: &[i32], from: &Edge) -> impl Iterator<Item = i64> {
    let terms = weight.len() / bias.len().max(1);
    let zero = i64::from(from.quantization.zero_point);
    let total = move |c: usize| weight[c * terms..][..terms].iter().map(|&w| i64::from(w)).sum::<i64>();
    bias.iter().enumerate().map(move |(c, &b)| i64::from(b) + zero * total(c))
}

/// Whether floats give the codes of a node: sums and biases have 32 bits at most, and where codes have 16, all sums
/// have 24 and all scales are powers of two.
pub(super) fn fits(node: &Node, operands: &[&Edge]) -> bool {
    let x = operands[0];
    let biases = layer(&node.op)
        .is_none_or(|(weight, bias)| biases(weight, bias, x).all(|b| i32::try_from(b).is_ok()));
    if !biases || matches!(&node.op, Op::Linear(l) if l.parts(x.quantization.code) > 1) {
        return false;
    }
    let edges: Vec<&Edge> = operands.iter().copied().chain([&node.output]).collect();
    let wide = edges.iter().any(|edge| edge.quantization.code == Code::I16);
    if !wide || !computes(&node.op) {
        return true;
    }
    let multipliers = match &node.op {
        Op::Sum(sum) => sum.multipliers.iter().all(|m| m.count_ones() == 1),
        op => op.requantize().is_none_or(powers_of_two),
    };
    let scales = edges.iter().all(|edge| edge.quantization.scale.to_bits() << 12 == 0);
    multipliers && scales && largest_sum(node, operands) < FLOATS
}

fn layer(op: &Op) -> Option<(&[i8], &[i32])> {
    match op {
        Op::Linear(l) => Some((&l.weight, &l.bias)),
        Op::Conv(c) => Some((&c.weight, &c.bias)),
        _ => None,
    }
}

/// Whether it does more than to move codes or to look them up.
fn computes(op: &Op) -> bool {
    op.requantize().is_some() || matches!(op, Op::Sum(_))
}

fn powers_of_two(r: &Requantize) -> bool {
    r.by.iter().all(|by| by.integer() == 0 || by.exponent().is_some())
}

/// The largest magnitude of `x − z`.
fn reach(edge: &Edge) -> i64 {
    let q = &edge.quantization;
    let zero = i64::from(q.zero_point);
    (i64::from(q.code.high()) - zero).max(zero - i64::from(q.code.low()))
}

/// The largest magnitude of a sum of a node, and of every part of it, in steps of what is added.
fn largest_sum(node: &Node, operands: &[&Edge]) -> i64 {
    let of = |i: usize| reach(operands[i]);
    match &node.op {
        Op::Linear(_) | Op::Conv(_) => {
            let (weight, bias) = layer(&node.op).unwrap_or_default();
            let terms = weight.len() / bias.len().max(1);
            let channel = |(c, b): (usize, i64)| {
                let total: i64 = weight[c * terms..][..terms].iter().map(|&w| i64::from(w).abs()).sum();
                total * of(0) + b.abs()
            };
            biases(weight, bias, operands[0]).enumerate().map(channel).max().unwrap_or(0)
        }
        Op::MatMul(_) => of(0) * of(1) * operands[0].shape.last().map_or(1, |&k| k as i64),
        Op::Product(_) => of(0) * of(1),
        Op::Sum(sum) => {
            let step = sum.multipliers.iter().copied().min().unwrap_or(1).max(1);
            sum.multipliers.iter().enumerate().map(|(i, &m)| of(i) * i64::from(m / step)).sum()
        }
        Op::AvgPool(pool, _) => of(0) * pool.size.iter().map(|&n| n as i64).product::<i64>(),
        Op::Rotary(_) => 2 * (of(0) << 14),
        _ => of(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::Quantization;

    #[test]
    fn biases_have_their_zero_point_taken_out() {
        let q = Quantization { code: Code::I8, scale: 1.0, zero_point: -3 };
        let from = Edge::new([2], q);
        assert_eq!(biases(&[1, 2, -5, 5], &[100, 7], &from).collect::<Vec<_>>(), [91, 7]);
        assert_eq!(reach(&from), 130);
    }
}
