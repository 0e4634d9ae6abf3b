//! Which kernel a node calls, with which arguments. The order of arguments is that of `kernels.rs.txt`; lengths are
//! for C alone.

use super::program::{Arg, Field, Kernel, Program, type_of};
use crate::Error;
use crate::quant::arithmetic::Code;
use crate::quant::model::{Conv, Edge, Linear, MatMul, Node, Norm, Op, Pool, Rotary, Softmax, Sum};

/// A node whose call is written.
#[derive(Clone, Copy)]
struct Calling<'n> {
    node: &'n Node,
    /// Its number.
    i: usize,
    /// The first value that it takes, and that which it gives.
    x: usize,
    y: usize,
}

impl Calling<'_> {
    /// The number of elements that come out, for a language whose arrays do not know it.
    fn length(self) -> Arg {
        Arg::Length(self.node.output.elements())
    }

    /// Rows and columns of a value with channels; an axis alone is columns.
    fn plane(self, edge: &Edge) -> Result<[usize; 2], Error> {
        match edge.shape[1..] {
            [rows, columns] => Ok([rows, columns]),
            [columns] => Ok([1, columns]),
            _ => Err(Error::usage(
                format!("layer {} has windows over {} axes", self.node.layer, edge.shape.len() - 1),
                "source code has windows over one or two",
            )),
        }
    }
}

/// Something for rows and columns, from what there is for the axes.
fn pair(axes: &[usize], absent: usize) -> [usize; 2] {
    match axes {
        [rows, columns] => [*rows, *columns],
        [columns] => [absent, *columns],
        _ => [absent; 2],
    }
}

/// Numbers as arguments.
trait Number {
    fn number(self) -> Arg;
}

impl Number for i32 {
    fn number(self) -> Arg {
        Arg::Number(self.into())
    }
}

impl Number for usize {
    fn number(self) -> Arg {
        Arg::Number(self as i64)
    }
}

impl Program<'_> {
    /// Adds the data and the call of a node.
    pub fn node(&mut self, i: usize, node: &Node) -> Result<(), Error> {
        let call = Calling { node, i, x: node.inputs[0], y: i + 1 };
        match &node.op {
            Op::Linear(linear) => self.linear(call, linear),
            Op::Conv(conv) => self.conv(call, conv)?,
            Op::MatMul(product) => self.matmul(call, product),
            Op::Sum(sum) => self.sum(call, sum),
            Op::Product(r) => {
                let (a, b) = (node.inputs[0], node.inputs[1]);
                let r = self.scale(i, r);
                let zeros = [self.zero(a), self.zero(b)];
                let args = vec![Arg::Read(a), zeros[0].number(), Arg::Read(b), zeros[1].number()];
                self.elementwise(call, "product", args.into_iter().chain([Arg::Data(r)]).collect());
            }
            Op::Rescale(r) => {
                let r = self.scale(i, r);
                let args = vec![Arg::Read(call.x), self.zero(call.x).number(), Arg::Data(r)];
                self.elementwise(call, "rescale", args);
            }
            Op::Table(table) => {
                let code = node.output.quantization.code;
                let table = self.array("table", i, type_of(code), table);
                let args = vec![Arg::Read(call.x), Arg::Data(table), Arg::Write(call.y), call.length()];
                self.call(node, Kernel::new("table", &[('Y', code)]), args);
            }
            Op::Interpolation(t) => {
                let nodes = self.array("nodes", i, "i16", &t.nodes);
                let args = vec![
                    Arg::Read(call.x),
                    Arg::Data(nodes),
                    Arg::Number(t.shift.into()),
                    Arg::Write(call.y),
                ];
                let args = args.into_iter().chain([call.length()]).collect();
                self.call(node, Kernel::new("interpolation", &[]), args);
            }
            Op::MaxPool(pool) => {
                let p = self.pool(call, pool)?;
                let kernel = Kernel::new("max_pool", &[('X', self.code(call.x))]);
                self.call(node, kernel, vec![Arg::Read(call.x), Arg::Data(p), Arg::Write(call.y)]);
            }
            Op::AvgPool(pool, r) => {
                let (p, r) = (self.pool(call, pool)?, self.scale(i, r));
                let args = vec![Arg::Read(call.x), self.zero(call.x).number(), Arg::Data(p), Arg::Data(r)];
                let args = args.into_iter().chain([Arg::Write(call.y)]).collect();
                self.call(node, self.two_types("avg_pool", call), args);
            }
            Op::Softmax(softmax) => self.softmax(call, softmax),
            Op::Norm(norm) => self.norm(call, norm),
            Op::Embedding(e) => {
                let table = self.array("table", i, "i8", &e.table);
                let args = vec![
                    Arg::Read(call.x),
                    Arg::Data(table),
                    Arg::Length(e.table.len() / e.dimension),
                    e.dimension.number(),
                    Arg::Write(call.y),
                    Arg::Length(self.edge(call.x).elements()),
                ];
                self.call(node, Kernel::new("embedding", &[]), args);
            }
            Op::Rotary(rotary) => self.rotary(call, rotary),
            Op::Concat(axis) => self.concat(call, *axis),
            Op::Permute(order) => self.permute(call, order),
            Op::Reshape => {}
        }
        Ok(())
    }

    fn edge(&self, value: usize) -> &Edge {
        self.model.edge(value).unwrap_or(&self.model.input)
    }

    fn code(&self, value: usize) -> Code {
        self.edge(value).quantization.code
    }

    fn zero(&self, value: usize) -> i32 {
        self.edge(value).quantization.zero_point
    }

    /// A kernel that is written for the types of what it takes and what it gives.
    fn two_types(&self, section: &'static str, call: Calling<'_>) -> Kernel {
        Kernel::new(section, &[('X', self.code(call.x)), ('Y', self.code(call.y))])
    }

    /// Element by element: after these arguments, where to, and how many.
    fn elementwise(&mut self, call: Calling<'_>, section: &'static str, mut args: Vec<Arg>) {
        args.extend([Arg::Write(call.y), call.length()]);
        self.call(call.node, self.two_types(section, call), args);
    }

    fn linear(&mut self, call: Calling<'_>, linear: &Linear) {
        let w = self.array("weight", call.i, "i8", &linear.weight);
        let b = self.array("bias", call.i, "i32", &linear.bias);
        let r = self.scale(call.i, &linear.requantize);
        let wide = linear.parts(self.code(call.x)) > 1;
        let args = vec![
            Arg::Read(call.x),
            Arg::Length(self.edge(call.x).elements() / linear.inputs),
            Arg::Data(w),
            Arg::Data(b),
            Arg::Length(linear.bias.len()),
            linear.inputs.number(),
            Arg::Data(r),
            Arg::Write(call.y),
        ];
        self.call(call.node, self.two_types(if wide { "wide_linear" } else { "linear" }, call), args);
    }

    fn conv(&mut self, call: Calling<'_>, conv: &Conv) -> Result<(), Error> {
        let w = &conv.windows;
        let size = call.plane(self.edge(call.x))?;
        let out = call.plane(&call.node.output)?;
        let weight = self.array("weight", call.i, "i8", &conv.weight);
        let bias = self.array("bias", call.i, "i32", &conv.bias);
        let scale = self.scale(call.i, &conv.requantize);
        let fields = vec![
            ("weight", Field::Data(weight)),
            ("bias", Field::Data(bias)),
            ("scale", Field::Data(scale)),
            ("outputs", Field::Length(conv.kernel[0])),
            ("zero", Field::Number(self.zero(call.x).into())),
            ("channels", Field::Pair([conv.kernel[1], conv.kernel[0] / w.groups])),
            ("size", Field::Pair(size)),
            ("kernel", Field::Pair(pair(&conv.kernel[2..], 1))),
            ("stride", Field::Pair(pair(&w.stride, 1))),
            ("dilation", Field::Pair(pair(&w.dilation, 1))),
            ("before", Field::Pair(pair(&w.before, 0))),
            ("out", Field::Pair(out)),
        ];
        let layer = self.record("conv", call.i, "Conv", fields);
        let args = vec![Arg::Read(call.x), Arg::Data(layer), Arg::Write(call.y)];
        self.call(call.node, self.two_types("conv", call), args);
        Ok(())
    }

    fn pool(&mut self, call: Calling<'_>, pool: &Pool) -> Result<usize, Error> {
        let fields = vec![
            ("planes", Field::Length(call.node.output.shape[0])),
            ("size", Field::Pair(call.plane(self.edge(call.x))?)),
            ("window", Field::Pair(pair(&pool.size, 1))),
            ("stride", Field::Pair(pair(&pool.stride, 1))),
            ("out", Field::Pair(call.plane(&call.node.output)?)),
        ];
        Ok(self.record("pool", call.i, "Pool", fields))
    }

    fn matmul(&mut self, call: Calling<'_>, product: &MatMul) {
        let other = call.node.inputs[1];
        let (x, y) = (&self.edge(call.x).shape, &self.edge(other).shape);
        let rank = x.len();
        let (m, k) = (x[rank - 2], x[rank - 1]);
        let n = if product.transposed { y[rank - 2] } else { y[rank - 1] };
        let batches: usize = x[..rank - 2].iter().product();
        let scale = self.scale(call.i, &product.requantize);
        let fields = vec![
            ("scale", Field::Data(scale)),
            ("zero", Field::Zeros([self.zero(call.x), self.zero(other)])),
            ("batches", Field::Length(batches)),
            ("m", Field::Number(m as i64)),
            ("k", Field::Number(k as i64)),
            ("n", Field::Number(n as i64)),
            ("steps", Field::Pair(if product.transposed { [1, k] } else { [n, 1] })),
        ];
        let layer = self.record("matmul", call.i, "MatMul", fields);
        let args = vec![Arg::Read(call.x), Arg::Read(other), Arg::Data(layer), Arg::Write(call.y)];
        self.call(call.node, self.two_types("matmul", call), args);
    }

    fn sum(&mut self, call: Calling<'_>, sum: &Sum) {
        let mut args = Vec::new();
        let mut types = Vec::new();
        for (&input, &m) in call.node.inputs.iter().zip(&sum.multipliers) {
            args.extend([Arg::Read(input), self.zero(input).number(), m.number()]);
            types.push(('X', self.code(input)));
        }
        types.push(('Y', self.code(call.y)));
        args.push(Arg::Number(sum.shift.into()));
        args.extend([sum.zero_point, sum.low, sum.high].map(Number::number));
        args.extend([Arg::Write(call.y), call.length()]);
        self.call(call.node, Kernel::new("sum", &types), args);
    }

    fn softmax(&mut self, call: Calling<'_>, softmax: &Softmax) {
        let shape = &call.node.output.shape;
        let n = shape[shape.len() - 1];
        // 256·2²² and half of 2²²·n have 32 bits together while n is below 512.
        let wide = if n < 512 { "u32" } else { "u64" };
        let table = self.array("exponentials", call.i, "u32", &softmax.exponentials);
        let args = vec![
            Arg::Read(call.x),
            Arg::Length(call.node.output.elements() / n),
            Arg::Data(table),
            n.number(),
            Arg::Flag(softmax.causal),
            Arg::Write(call.y),
        ];
        let types = vec![('W', wide), ('Y', type_of(self.code(call.y)))];
        self.call(call.node, Kernel { section: "softmax", types }, args);
    }

    fn norm(&mut self, call: Calling<'_>, norm: &Norm) {
        let gain = self.array("gain", call.i, "i16", &norm.gain);
        let bias = self.array("bias", call.i, "i32", &norm.bias);
        let scale = self.scale(call.i, &norm.requantize);
        let features = norm.gain.len();
        let zero = if norm.centred { 0 } else { self.zero(call.x) };
        let fields = vec![
            ("gain", Field::Data(gain)),
            ("bias", Field::Data(bias)),
            ("scale", Field::Data(scale)),
            ("features", Field::Number(features as i64)),
            ("centred", Field::Flag(norm.centred)),
            ("zero", Field::Number(zero.into())),
            ("epsilon", Field::Number(norm.epsilon)),
            ("digits", Field::Number(norm.digits.into())),
        ];
        let layer = self.record("norm", call.i, "Norm", fields);
        let rows = Arg::Length(call.node.output.elements() / features);
        let args = vec![Arg::Read(call.x), rows, Arg::Data(layer), Arg::Write(call.y)];
        self.call(call.node, self.two_types("norm", call), args);
    }

    fn rotary(&mut self, call: Calling<'_>, rotary: &Rotary) {
        let shape = &call.node.output.shape;
        let (places, half) = (shape[shape.len() - 2], shape[shape.len() - 1] / 2);
        let cos = self.array("cosines", call.i, "i16", &rotary.cos);
        let sin = self.array("sines", call.i, "i16", &rotary.sin);
        let r = self.scale(call.i, &rotary.requantize);
        let args = vec![
            Arg::Read(call.x),
            Arg::Length(call.node.output.elements() / (2 * half)),
            self.zero(call.x).number(),
            half.number(),
            Arg::Data(cos),
            Arg::Data(sin),
            Arg::Length(places),
            Arg::Data(r),
            Arg::Write(call.y),
        ];
        self.call(call.node, Kernel::new("rotary", &[('Y', self.code(call.y))]), args);
    }

    /// One call for each operand: its runs go to their places among those of the others.
    fn concat(&mut self, call: Calling<'_>, axis: usize) {
        let run = |shape: &[usize]| shape[axis..].iter().product::<usize>();
        let (step, mut start) = (run(&call.node.output.shape), 0);
        for &input in &call.node.inputs {
            let edge = self.edge(input);
            let (run, count) = (run(&edge.shape), edge.elements() / run(&edge.shape));
            let args = vec![
                Arg::Read(input),
                Arg::Length(count),
                run.number(),
                start.number(),
                step.number(),
                Arg::Write(call.y),
            ];
            self.call(call.node, Kernel::new("runs", &[('X', self.code(input))]), args);
            start += run;
        }
    }

    fn permute(&mut self, call: Calling<'_>, order: &[usize]) {
        let shape = &self.edge(call.x).shape;
        let stride = |axis: usize| shape[axis + 1..].iter().product::<usize>() as i64;
        let strides: Vec<i64> = order.iter().map(|&axis| stride(axis)).collect();
        let lengths: Vec<i64> = call.node.output.shape.iter().map(|&len| len as i64).collect();
        let shape = self.array("shape", call.i, "size", &lengths);
        let strides = self.array("strides", call.i, "size", &strides);
        let args = vec![
            Arg::Read(call.x),
            Arg::Data(shape),
            Arg::Data(strides),
            Arg::Length(order.len()),
            Arg::Write(call.y),
            call.length(),
        ];
        self.call(call.node, Kernel::new("permute", &[('X', self.code(call.x))]), args);
    }
}
