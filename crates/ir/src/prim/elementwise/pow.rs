//! Power, `xʸ`, with the special values of IEEE 754 `pow`; derivatives `y·x^(y−1)`, 0 where both are 0, and
//! `xʸ·ln x`, 0 where `x` is not positive.
use super::prelude::*;

/// `xʸ`
pub struct Pow;

impl Elementwise for Pow {
    const NAME: &'static str = "pow";
    const ARITY: usize = 2;
    const TYPES: Types = Types::FLOAT;
    const DERIVATIVE: Derivative = Rule(|p| {
        let (x, y) = (p.x0(), p.x1());
        let (zero, one) = (x.filled(0.0), x.filled(1.0));
        p.each(|i| if i == 0 {
            // 0·0⁻¹ would be NaN.
            let both = x.equal(zero).binary::<super::BitAnd>(y.equal(zero));
            p.g * y * both.select(one, x).binary::<Pow>(y - 1.0)
        } else {
            let positive = zero.less(x);
            p.g * positive.select(p.y * positive.select(x, one).unary::<super::Log>(), zero)
        })
    });
    const CUDA: &'static str = "pow({0}, {1})";
    const FLOPS: u64 = 40;
    const DOMAIN: (f64, f64) = (0.3, 2.5);

    #[inline(always)]
    fn float<L: FloatLanes>([x, y, _]: [L; 3]) -> L {
        math::pow(x, y)
    }
}

impl<'g, T> Var<'g, T> {
    /// Every element to the power of the element of `y`.
    #[track_caller]
    pub fn pow(self, y: impl super::super::Operand<'g, T>) -> Self where T: Real {
        self.binary::<Pow>(y.var(self))
    }
}
