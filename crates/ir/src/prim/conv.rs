//! Convolution (cross-correlation, as in every neural-network library) of any spatial rank, and its two
//! gradients.
//!
//! `x` is `[N, C, spatial…]`, the kernel `w` `[O, C/groups, window…]`, `y` `[N, O, spatial…]` with
//! `y[n, o, p] = Σ x[n, c, p·stride + k·dilation − before] · w[o, c, k]`. This form is linear in each of `x`,
//! `w` and the gradient `g` of `y`; summing it over two of them gives the three parts, and the derivative of
//! each part is another part. The transposed convolution is the part [`Part::GradInput`]. Integers of 8 and 16 bits
//! are summed in, and give, `i32`.

use super::{Cost, Derivative, Misfit, Op, Primitive, Pullback, for_each_index};
use crate::memory;
use crate::{Array, DType, Dyn, Shape, TensorType};

/// Which of the three is computed from the other two.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Part {
    /// `y` from `x`, `w`.
    Output,
    /// The gradient of `x` from `g`, `w`.
    GradInput,
    /// The gradient of `w` from `x`, `g`.
    GradKernel,
}

/// How the window moves, for each spatial axis.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    /// Distance between windows.
    pub stride: Vec<usize>,
    /// Distance between elements of a window.
    pub dilation: Vec<usize>,
    /// Zeros before the input.
    pub before: Vec<usize>,
    /// Zeros after the input.
    pub after: Vec<usize>,
    /// Channel groups that do not see each other.
    pub groups: usize,
}

/// A convolution or one of its gradients.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Conv {
    /// Which part.
    pub part: Part,
    /// How the window moves.
    pub window: Window,
    /// Shape of `x`.
    pub x: Shape,
    /// Shape of `w`.
    pub w: Shape,
}

impl Conv {
    /// The shape of `y`, or why there is none.
    pub fn output(&self) -> Result<Shape, String> {
        let (x, w, win) = (&self.x, &self.w, &self.window);
        let rank = x.rank().saturating_sub(2);
        let lists = [&win.stride, &win.dilation, &win.before, &win.after];
        if x.rank() < 3 || w.rank() != x.rank() || lists.iter().any(|l| l.len() != rank) {
            return Err(format!(
                "input {x} and kernel {w} need one window entry for each axis after the second"
            ));
        }
        if win.groups == 0 || x[1] != w[1] * win.groups || w[0] % win.groups != 0 {
            return Err(format!(
                "{} input channels in {} groups do not fit the kernel {w}",
                x[1], win.groups
            ));
        }
        let mut dims = vec![x[0], w[0]];
        for a in 0..rank {
            if win.stride[a] == 0 || win.dilation[a] == 0 || w[a + 2] == 0 {
                return Err(format!(
                    "stride {:?}, dilation {:?} and window {:?} must not be zero",
                    win.stride,
                    win.dilation,
                    &w[2..]
                ));
            }
            let reach = win.dilation[a] * (w[a + 2] - 1) + 1;
            let padded = x[a + 2] + win.before[a] + win.after[a];
            if padded < reach {
                return Err(format!(
                    "the window reaches {reach} elements, the padded input {x} has {padded} on axis {}",
                    a + 2
                ));
            }
            dims.push((padded - reach) / win.stride[a] + 1);
        }
        Shape::new(&dims)
    }

    /// The same convolution, another part.
    pub fn with_part(&self, part: Part) -> Conv {
        Conv { part, ..self.clone() }
    }

    /// The shapes of both operands and of the result.
    fn shapes(&self) -> Result<[Shape; 3], String> {
        let (x, w, y) = (self.x.clone(), self.w.clone(), self.output()?);
        Ok(match self.part {
            Part::Output => [x, w, y],
            Part::GradInput => [y, w, x],
            Part::GradKernel => [x, y, w],
        })
    }

    fn pull<'g>(&self, p: &Pullback<'_, 'g>, i: usize) -> Dyn<'g> {
        let (a, b, g) = (p.x0(), p.x1(), p.g);
        let make = |part, l: Dyn<'g>, r: Dyn<'g>| l.conv(r, self.with_part(part));
        match (self.part, i) {
            (Part::Output, 0) => make(Part::GradInput, g, b),
            (Part::Output, _) => make(Part::GradKernel, a, g),
            (Part::GradInput, 0) => make(Part::Output, g, b),
            (Part::GradInput, _) => make(Part::GradKernel, g, a),
            (Part::GradKernel, 0) => make(Part::GradInput, b, g),
            (Part::GradKernel, _) => make(Part::Output, a, g),
        }
    }
}

impl Primitive for Conv {
    fn name(&self) -> &'static str {
        match self.part {
            Part::Output => "conv",
            Part::GradInput => "conv_grad_input",
            Part::GradKernel => "conv_grad_kernel",
        }
    }
    fn infer(&self, t: &[&TensorType]) -> Result<TensorType, Misfit> {
        let [a, b, out] = self.shapes().map_err(Misfit::new)?;
        let out = TensorType::new(t[0].dtype.accumulator(), out);
        if t[0].shape != a || t[1].shape != b || t[0].dtype != t[1].dtype {
            return Err(Misfit::with_guess(
                format!("needs {a} and {b} of one type, found {} and {}", t[0], t[1]),
                out,
            ));
        }
        if !matches!(t[0].dtype, DType::F32 | DType::F64 | DType::I8 | DType::I16 | DType::I32) {
            let message = format!("no convolution of `{}`: use f32, f64, i8, i16 or i32", t[0].dtype);
            return Err(Misfit::with_guess(message, out));
        }
        Ok(out)
    }
    fn eval(&self, x: &[&Array], out: &TensorType) -> Result<Array, String> {
        let wide = out.dtype.widest();
        let widen = |a: &Array| super::Cast(wide).eval(&[a], &TensorType::new(wide, a.shape().clone()));
        let (a, b) = (widen(x[0])?, widen(x[1])?);
        let (win, y) = (&self.window, self.output()?);
        let (sx, sw, sy) = (self.x.strides(), self.w.strides(), y.strides());
        let per_group = (self.w[1], self.w[0] / win.groups);
        let sums = numbers!(wide, T => {
            let (a, b) = (a.as_slice::<T>().ok_or("operand of another type")?, b.as_slice::<T>().ok_or("operand of another type")?);
            let mut sums = memory::filled(T::default(), out.shape.elements(), out)?;
            for_each_index(&y, |p| {
                let at_y: usize = p.iter().zip(&sy).map(|(i, s)| i * s).sum();
                for_each_index(&self.w[1..], |k| {
                    let channel = p[1] / per_group.1 * per_group.0 + k[0];
                    let mut at_x = p[0] * sx[0] + channel * sx[1];
                    for d in 0..p.len() - 2 {
                        let padded = p[d + 2] * win.stride[d] + k[d + 1] * win.dilation[d];
                        match padded.checked_sub(win.before[d]).filter(|&i| i < self.x[d + 2]) {
                            Some(i) => at_x += i * sx[d + 2],
                            None => return,
                        }
                    }
                    let at_w = p[1] * sw[0] + k.iter().zip(&sw[1..]).map(|(i, s)| i * s).sum::<usize>();
                    let (l, r, to) = match self.part {
                        Part::Output => (at_x, at_w, at_y),
                        Part::GradInput => (at_y, at_w, at_x),
                        Part::GradKernel => (at_x, at_y, at_w),
                    };
                    sums[to] = crate::lanes::NumLanes::plus(sums[to], crate::lanes::NumLanes::times(a[l], b[r]));
                });
            });
            Array::of(out.shape.clone(), sums)
        })?;
        super::Cast(out.dtype).eval(&[&sums], out)
    }
    fn derivative(&self) -> Derivative {
        Derivative::Rule(|p| {
            let Op::Conv(conv) = p.op else { return vec![] };
            p.each(|i| conv.pull(p, i))
        })
    }
    fn cost(&self, _x: &[&TensorType], _out: &TensorType) -> Cost {
        let per_output: usize = self.w.iter().skip(1).product();
        Cost { flops: self.output().map_or(0, |y| 2 * (y.elements() * per_output) as u64) }
    }
}
