//! Operators that go element by element, with NumPy's broadcasting.

use super::super::call::{Call, Found, axis, one};
use super::Group;
use ironlearn_ir::prim::Elementwise;
use ironlearn_ir::prim::elementwise::{
    Abs, BitAnd, BitOr, BitXor, Cos, Div, Erf, Exp, Floor, Log, Maximum, Minimum, Not, Pow, Recip, Rem,
    Round, Sin, Sqrt,
};
use ironlearn_ir::{DType, Dyn, Kind, Shape};

pub(super) const GROUP: Group = &[
    ("Abs", |c| unsigned_too::<Abs>(c)),
    ("Add", |c| two(c, |x, y| x + y)),
    ("And", |c| binary::<BitAnd>(c)),
    ("Ceil", |c| one(-(-c.x(0)?).unary::<Floor>())),
    ("Clip", clip),
    ("Cos", |c| unary::<Cos>(c)),
    ("Div", |c| binary::<Div>(c)),
    ("Equal", |c| two(c, Dyn::equal)),
    ("Erf", |c| unary::<Erf>(c)),
    ("Exp", |c| unary::<Exp>(c)),
    ("Floor", |c| unary::<Floor>(c)),
    ("Greater", |c| two(c, |x, y| y.less(x))),
    ("GreaterOrEqual", |c| two(c, |x, y| y.less(x).binary::<BitOr>(x.equal(y)))),
    ("IsInf", is_inf),
    ("IsNaN", is_nan),
    ("Less", |c| two(c, Dyn::less)),
    ("LessOrEqual", |c| two(c, |x, y| x.less(y).binary::<BitOr>(x.equal(y)))),
    ("Log", |c| unary::<Log>(c)),
    ("Max", |c| fold(c, |x, y| x.binary::<Maximum>(y))),
    ("Mean", mean),
    ("Min", |c| fold(c, |x, y| x.binary::<Minimum>(y))),
    ("Mod", modulo),
    ("Mul", |c| two(c, |x, y| x * y)),
    ("Neg", |c| one(-c.x(0)?)),
    ("Not", |c| unary::<Not>(c)),
    ("Or", |c| binary::<BitOr>(c)),
    ("Pow", pow),
    ("Reciprocal", |c| unary::<Recip>(c)),
    ("Round", |c| unary::<Round>(c)),
    ("Sign", sign),
    ("Sin", |c| unary::<Sin>(c)),
    ("Sqrt", |c| unary::<Sqrt>(c)),
    ("Sub", |c| two(c, |x, y| x - y)),
    ("Sum", |c| fold(c, |x, y| x + y)),
    ("Tan", |c| one(c.x(0)?.unary::<Sin>() / c.x(0)?.unary::<Cos>())),
    ("Where", choose),
    ("Xor", |c| binary::<BitXor>(c)),
];

fn unary<'g, P: Elementwise>(c: &Call<'_, 'g>) -> Found<'g> {
    one(c.x(0)?.unary::<P>())
}

/// Where there are no negative numbers, nothing changes.
fn unsigned_too<'g, P: Elementwise>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    one(if matches!(x.dtype(), DType::U8 | DType::U32) { x } else { x.unary::<P>() })
}

fn two<'g>(c: &Call<'_, 'g>, f: impl Fn(Dyn<'g>, Dyn<'g>) -> Dyn<'g>) -> Found<'g> {
    let (x, mut y) = (c.x(0)?, c.x(1)?);
    // Before opset 7 an axis may say where those of the second begin.
    if let Some(at) = c.attribute("axis").and_then(|a| a.i).filter(|_| c.opset < 7) {
        let behind = x.rank().saturating_sub(axis(at, x.rank())? + y.rank());
        let dims = y.shape().iter().copied().chain(std::iter::repeat_n(1, behind)).collect::<Vec<_>>();
        y = y.reshape(&Shape::new(&dims)?);
    }
    one(f(x, y))
}

fn binary<'g, P: Elementwise>(c: &Call<'_, 'g>) -> Found<'g> {
    two(c, |x, y| x.binary::<P>(y))
}

/// All inputs, one after the other.
fn fold<'g>(c: &Call<'_, 'g>, f: impl Fn(Dyn<'g>, Dyn<'g>) -> Dyn<'g>) -> Found<'g> {
    let folded = c.all()?.into_iter().reduce(f);
    one(folded.ok_or("it has no inputs")?)
}

fn mean<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let count = c.inputs.len() as f64;
    let sum = c.all()?.into_iter().reduce(|x, y| x + y).ok_or("it has no inputs")?;
    one(sum / count)
}

fn clip<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let mut x = c.x(0)?;
    let bound = |name, i| match c.attribute(name).and_then(|a| a.f) {
        Some(bound) => Some(c.tape.scalar_of(x.dtype(), bound.into())),
        None => c.maybe(i),
    };
    let (least, most) = (bound("min", 1), bound("max", 2));
    if let Some(least) = least {
        x = x.binary::<Maximum>(least);
    }
    if let Some(most) = most {
        x = x.binary::<Minimum>(most);
    }
    one(x)
}

fn is_nan<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    one(x.equal(x).unary::<Not>())
}

fn is_inf<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let (above, below) = (x.equal(x.filled(f64::INFINITY)), x.equal(x.filled(f64::NEG_INFINITY)));
    one(match (c.int("detect_positive", 1) != 0, c.int("detect_negative", 1) != 0) {
        (true, true) => above.binary::<BitOr>(below),
        (true, false) => above,
        (false, true) => below,
        (false, false) => x.less(x),
    })
}

fn sign<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let x = c.x(0)?;
    let zero = x.filled(0.0);
    let one_or_zero = zero.less(x).cast(x.dtype());
    one(match x.dtype() {
        DType::U8 | DType::U32 => one_or_zero,
        dtype => one_or_zero - x.less(zero).cast(dtype),
    })
}

/// The base gives the type.
fn pow<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let (x, y) = (c.x(0)?, c.x(1)?);
    if x.dtype().kind() == Kind::Float {
        return one(x.binary::<Pow>(y.cast(x.dtype())));
    }
    one(x.cast(DType::F64).binary::<Pow>(y.cast(DType::F64)).cast(x.dtype()))
}

/// With the sign of the divisor, or with `fmod` of the dividend.
fn modulo<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    let (x, y) = (c.x(0)?, c.x(1)?);
    let rest = x.binary::<Rem>(y);
    if c.flag("fmod") || matches!(x.dtype(), DType::U8 | DType::U32) {
        return one(rest);
    }
    let zero = rest.filled(0.0);
    let crossed = rest.less(zero).binary::<BitXor>(y.less(y.filled(0.0)));
    let there = rest.equal(zero).unary::<Not>();
    one(crossed.binary::<BitAnd>(there).select(rest + y, rest))
}

fn choose<'g>(c: &Call<'_, 'g>) -> Found<'g> {
    one(c.x(0)?.select(c.x(1)?, c.x(2)?))
}
