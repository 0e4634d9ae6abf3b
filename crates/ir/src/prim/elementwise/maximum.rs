//! The larger of two values; NaN where either is NaN. The gradient goes to the larger operand, to `y` where equal.
use super::prelude::*;

/// The larger of `x` and `y`
pub struct Maximum;

impl Elementwise for Maximum {
    const NAME: &'static str = "maximum";
    const ARITY: usize = 2;
    const TYPES: Types = Types::ORDERED;
    const DERIVATIVE: Derivative = Rule(|p| {
        let first = p.x1().less(p.x0());
        p.each(
            |i| if i == 0 { first.select(p.g, p.g.filled(0.0)) } else { first.select(p.g.filled(0.0), p.g) },
        )
    });
    const CUDA: &'static str = "il_maximum({0}, {1})";

    #[inline(always)]
    fn float<L: FloatLanes>([x, y, _]: [L; 3]) -> L {
        // The raw form gives y where either is NaN; a NaN in x must stay too.
        L::select(x.equal(x), x.raw_max(y), x)
    }
    #[inline(always)]
    fn int<L: IntLanes>([x, y, _]: [L; 3]) -> L {
        x.raw_max(y)
    }
}

impl<'g, T: Ordered> Var<'g, T> {
    /// The larger of the elements of both; NaN where either is NaN.
    #[track_caller]
    pub fn maximum(self, y: impl super::super::Operand<'g, T>) -> Self {
        self.binary::<Maximum>(y.var(self))
    }
}
