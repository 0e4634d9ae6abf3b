//! The plain reference: a row through a network of integers, one element after the other, in 64 bits.
//!
//! It is the oracle of the plans and of the exports, written from the formulas of [`Op`] and from nothing else.

use super::{Conv, Embedding, IntegerModel, Linear, MatMul, Node, Norm, Op, Pool, Rotary, Softmax, Sum};
use crate::Error;
use crate::quant::arithmetic::{Requantize, half_even};

/// Codes of a row with their shape.
struct Row<'a> {
    codes: &'a [i32],
    shape: &'a [usize],
    zero: i64,
}

impl Row<'_> {
    fn last(&self) -> usize {
        self.shape.last().copied().unwrap_or(1)
    }

    /// Codes less the zero point.
    fn centred(&self) -> impl Iterator<Item = i64> {
        self.codes.iter().map(|&x| i64::from(x) - self.zero)
    }
}

impl IntegerModel {
    /// The codes that come out for a row of codes.
    ///
    /// # Errors
    /// [`Error::Usage`] where the row has another length, or a token is not in the vocabulary.
    pub fn reference(&self, row: &[i32]) -> Result<Vec<i32>, Error> {
        Ok(self.reference_values(row)?.pop().unwrap_or_default())
    }

    /// The codes of every value: of the input, then of each node.
    ///
    /// # Errors
    /// As [`IntegerModel::reference`].
    pub fn reference_values(&self, row: &[i32]) -> Result<Vec<Vec<i32>>, Error> {
        if row.len() != self.input.elements() {
            let problem =
                format!("a row of {} numbers, where the network takes {:?}", row.len(), self.input.shape);
            return Err(Error::usage(problem, "give rows like those that the network was made from"));
        }
        let mut values = vec![row.to_vec()];
        for node in &self.nodes {
            let result = self.node_reference(node, &values)?;
            values.push(result);
        }
        Ok(values)
    }

    fn node_reference(&self, node: &Node, values: &[Vec<i32>]) -> Result<Vec<i32>, Error> {
        let operand = |i: usize| {
            let (value, edge) = (node.inputs[i], self.edge(node.inputs[i]).unwrap_or(&self.input));
            Row { codes: &values[value], shape: &edge.shape, zero: edge.quantization.zero_point.into() }
        };
        let x = operand(0);
        let out = &node.output.shape;
        Ok(match &node.op {
            Op::Linear(linear) => fully_connected(linear, &x),
            Op::Conv(conv) => convolution(conv, &x, out),
            Op::MatMul(product) => matrix_product(product, &x, &operand(1)),
            Op::Sum(sum) => {
                let operands: Vec<Row<'_>> = (0..node.inputs.len()).map(operand).collect();
                sums(sum, &operands)
            }
            Op::Product(r) => {
                let pairs = x.centred().zip(operand(1).centred().collect::<Vec<_>>());
                pairs.map(|(a, b)| code(r, a * b, 0)).collect()
            }
            Op::Rescale(r) => x.centred().map(|a| code(r, a, 0)).collect(),
            Op::Table(table) => x.codes.iter().map(|&c| table[(c + 128) as usize]).collect(),
            Op::Interpolation(table) => x.codes.iter().map(|&c| table.apply(c)).collect(),
            Op::MaxPool(pool) => {
                windows(pool, &x, out, |w| w.iter().map(|&i| x.codes[i]).max().unwrap_or_default())
            }
            Op::AvgPool(pool, r) => windows(pool, &x, out, |w| {
                code(r, w.iter().map(|&i| i64::from(x.codes[i]) - x.zero).sum(), 0)
            }),
            Op::Softmax(softmax) => exponential_shares(softmax, &x),
            Op::Norm(norm) => normalized(norm, &x),
            Op::Embedding(embedding) => looked_up(embedding, &x, &node.layer)?,
            Op::Rotary(rotary) => rotated(rotary, &x),
            Op::Concat(axis) => {
                let operands: Vec<Row<'_>> = (0..node.inputs.len()).map(operand).collect();
                joined(*axis, &operands)
            }
            Op::Reshape => x.codes.to_vec(),
            Op::Permute(order) => permuted(order, &x),
        })
    }
}

/// The code for a sum, whose certificate says that it has 32 bits.
fn code(r: &Requantize, sum: i64, channel: usize) -> i32 {
    r.apply(sum as i32, channel)
}

fn fully_connected(linear: &Linear, x: &Row<'_>) -> Vec<i32> {
    let rows = x.codes.chunks(linear.inputs.max(1));
    let one = |row: &[i32], o: usize| {
        let weights = &linear.weight[o * linear.inputs..][..linear.inputs];
        let sum: i64 = row.iter().zip(weights).map(|(&a, &w)| i64::from(a) * i64::from(w)).sum();
        let r = &linear.requantize;
        let by = r.by[if r.by.len() == 1 { 0 } else { o }];
        let sum = sum + i64::from(linear.bias[o]);
        // A layer that is cut into parts adds them in 64 bits.
        match i32::try_from(sum) {
            Ok(_) => code(r, sum, o),
            Err(_) => {
                let p = i128::from(sum) * i128::from(by.integer());
                let (s, half) = (by.shift(), 1i128 << (by.shift() - 1));
                let up = (p + half) >> s;
                let rounded = if (p + half) & ((1 << s) - 1) == 0 { up & !1 } else { up };
                (rounded + i128::from(r.zero_point)).clamp(r.low.into(), r.high.into()) as i32
            }
        }
    };
    rows.flat_map(|row| (0..linear.outputs()).map(move |o| one(row, o))).collect()
}

fn convolution(conv: &Conv, x: &Row<'_>, out: &[usize]) -> Vec<i32> {
    let (w, axes) = (&conv.windows, out.len() - 1);
    let (outputs, per_group) = (conv.kernel[0], conv.kernel[1]);
    let window: usize = conv.kernel[2..].iter().product();
    let positions: usize = out[1..].iter().product();
    let plane: usize = x.shape[1..].iter().product();
    let mut result = Vec::with_capacity(outputs * positions);
    for o in 0..outputs {
        let first = o / (outputs / w.groups) * per_group;
        for position in 0..positions {
            let at = unravel(position, &out[1..]);
            let mut sum = i64::from(conv.bias[o]);
            for (c, k) in (0..per_group).flat_map(|c| (0..window).map(move |k| (c, k))) {
                let element = unravel(k, &conv.kernel[2..]);
                let mut place = Some(0);
                for a in 0..axes {
                    let i = (at[a] * w.stride[a] + element[a] * w.dilation[a]).checked_sub(w.before[a]);
                    let inside = i.filter(|&i| i < x.shape[a + 1]);
                    place = place.zip(inside).map(|(p, i)| p * x.shape[a + 1] + i);
                }
                let code = place.map_or(x.zero, |p| i64::from(x.codes[(first + c) * plane + p]));
                sum += code * i64::from(conv.weight[(o * per_group + c) * window + k]);
            }
            result.push(code(&conv.requantize, sum, o));
        }
    }
    result
}

fn matrix_product(product: &MatMul, x: &Row<'_>, y: &Row<'_>) -> Vec<i32> {
    let (k, rank) = (x.last(), x.shape.len());
    let m = x.shape[rank - 2];
    let n = if product.transposed { y.shape[rank - 2] } else { y.last() };
    let (a, b): (Vec<i64>, Vec<i64>) = (x.centred().collect(), y.centred().collect());
    let batches = a.len() / (m * k).max(1);
    let mut result = Vec::with_capacity(batches * m * n);
    for (batch, i, j) in (0..batches).flat_map(|b| (0..m).flat_map(move |i| (0..n).map(move |j| (b, i, j)))) {
        let (a, b) = (&a[batch * m * k..], &b[batch * k * n..]);
        let of_b = |l: usize| if product.transposed { b[j * k + l] } else { b[l * n + j] };
        result.push(code(&product.requantize, (0..k).map(|l| a[i * k + l] * of_b(l)).sum(), 0));
    }
    result
}

fn sums(sum: &Sum, operands: &[Row<'_>]) -> Vec<i32> {
    let term = |x: &Row<'_>, m: i32, i: usize| (i64::from(x.codes[i]) - x.zero) * i64::from(m);
    let one = |i: usize| {
        let total: i64 = operands.iter().zip(&sum.multipliers).map(|(x, &m)| term(x, m, i)).sum();
        let rounded = half_even(total, sum.shift) + i64::from(sum.zero_point);
        rounded.clamp(sum.low.into(), sum.high.into()) as i32
    };
    (0..operands[0].codes.len()).map(one).collect()
}

/// What `f` makes of the elements of each window.
fn windows(pool: &Pool, x: &Row<'_>, out: &[usize], f: impl Fn(&[usize]) -> i32) -> Vec<i32> {
    let (plane, positions): (usize, usize) = (x.shape[1..].iter().product(), out[1..].iter().product());
    let window: usize = pool.size.iter().product();
    let one = |channel: usize, position: usize| {
        let at = unravel(position, &out[1..]);
        let place = |k: usize| {
            let element = unravel(k, &pool.size);
            (0..at.len()).fold(0, |p, a| p * x.shape[a + 1] + at[a] * pool.stride[a] + element[a])
                + channel * plane
        };
        f(&(0..window).map(place).collect::<Vec<_>>())
    };
    (0..out[0]).flat_map(|c| (0..positions).map(move |p| (c, p))).map(|(c, p)| one(c, p)).collect()
}

fn exponential_shares(softmax: &Softmax, x: &Row<'_>) -> Vec<i32> {
    let n = x.last();
    let one = |(row, codes): (usize, &[i32])| {
        let seen = if softmax.causal { row % n + 1 } else { n };
        let largest = codes[..seen].iter().copied().max().unwrap_or_default();
        let exponential = |&c: &i32| i64::from(softmax.exponentials[(largest - c) as usize]);
        let total: i64 = codes[..seen].iter().map(exponential).sum();
        let share = |(i, c): (usize, &i32)| {
            let e = if i < seen { exponential(c) } else { 0 };
            ((256 * e + total / 2) / total).min(255) as i32 - 128
        };
        codes.iter().enumerate().map(share).collect::<Vec<_>>()
    };
    x.codes.chunks(n.max(1)).enumerate().flat_map(one).collect()
}

fn normalized(norm: &Norm, x: &Row<'_>) -> Vec<i32> {
    let n = x.last();
    let one = |codes: &[i32]| {
        let wide = i64::from;
        let count = n as i64;
        let (sum, shift): (i64, i64) =
            if norm.centred { (codes.iter().map(|&q| wide(q)).sum(), 0) } else { (0, x.zero) };
        let squares: i64 = codes.iter().map(|&q| (wide(q) - shift).pow(2)).sum();
        let v = count * squares - sum * sum + norm.epsilon;
        let t = (62 - (64 - v.leading_zeros())) / 2;
        let root = (v << (2 * t)).isqrt();
        let r = ((1i64 << 61) / root).min(i32::MAX.into());
        let scaled = |&q: &i32| {
            let c = count * (wide(q) - shift) - sum;
            half_even(c * r, (61 - t - u32::from(norm.digits)) as u8)
        };
        let finish = |(i, q): (usize, &i32)| {
            code(&norm.requantize, scaled(q) * wide(norm.gain[i].into()) + wide(norm.bias[i]), i)
        };
        codes.iter().enumerate().map(finish).collect::<Vec<_>>()
    };
    x.codes.chunks(n.max(1)).flat_map(one).collect()
}

fn looked_up(embedding: &Embedding, x: &Row<'_>, layer: &str) -> Result<Vec<i32>, Error> {
    let vocabulary = embedding.table.len() / embedding.dimension.max(1);
    let mut result = Vec::with_capacity(x.codes.len() * embedding.dimension);
    for &token in x.codes {
        let row = usize::try_from(token).ok().filter(|&t| t < vocabulary).ok_or_else(|| {
            let problem = format!("layer {layer}: token {token}, and the vocabulary has {vocabulary}");
            Error::usage(problem, "give tokens of the vocabulary that the network was trained with")
        })?;
        let vector = &embedding.table[row * embedding.dimension..][..embedding.dimension];
        result.extend(vector.iter().map(|&c| i32::from(c)));
    }
    Ok(result)
}

fn rotated(rotary: &Rotary, x: &Row<'_>) -> Vec<i32> {
    let (n, half) = (x.last(), x.last() / 2);
    let places = x.shape[x.shape.len() - 2];
    let values: Vec<i64> = x.centred().collect();
    let one = |(row, pair): (usize, &[i64])| {
        let angle = |i: usize| row % places * half + i;
        let part = |i: usize| {
            let (a, b) = (pair[i % half], pair[i % half + half]);
            let (cos, sin) = (i64::from(rotary.cos[angle(i % half)]), i64::from(rotary.sin[angle(i % half)]));
            code(&rotary.requantize, if i < half { a * cos - b * sin } else { a * sin + b * cos }, 0)
        };
        (0..n).map(part).collect::<Vec<_>>()
    };
    values.chunks(n.max(1)).enumerate().flat_map(one).collect()
}

fn joined(axis: usize, operands: &[Row<'_>]) -> Vec<i32> {
    let outer: usize = operands[0].shape[..axis].iter().product();
    let part = |x: &Row<'_>, i: usize| {
        let run: usize = x.shape[axis..].iter().product();
        x.codes[i * run..(i + 1) * run].to_vec()
    };
    (0..outer).flat_map(|i| operands.iter().flat_map(move |x| part(x, i))).collect()
}

fn permuted(order: &[usize], x: &Row<'_>) -> Vec<i32> {
    let shape: Vec<usize> = order.iter().map(|&a| x.shape[a]).collect();
    let from = |i: usize| {
        let index = unravel(i, &shape);
        let mut place = vec![0; index.len()];
        order.iter().zip(index).for_each(|(&a, i)| place[a] = i);
        place.iter().zip(x.shape).fold(0, |p, (i, len)| p * len + i)
    };
    (0..x.codes.len()).map(|i| x.codes[from(i)]).collect()
}

/// The index along each axis of an element in row-major order.
fn unravel(mut element: usize, shape: &[usize]) -> Vec<usize> {
    let mut index = vec![0; shape.len()];
    for (i, len) in index.iter_mut().zip(shape).rev() {
        *i = element % len;
        element /= len;
    }
    index
}
