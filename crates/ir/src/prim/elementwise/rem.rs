//! Remainder of division rounding towards zero, with the sign of `x`; an integer divisor of zero gives 0.
//! Derivative `1` for `x` and `−trunc(x/y)` for `y`.
use super::prelude::*;

/// `x − y·trunc(x/y)`
pub struct Rem;

impl Elementwise for Rem {
    const NAME: &'static str = "rem";
    const ARITY: usize = 2;
    const TYPES: Types = Types::ORDERED;
    const DERIVATIVE: Derivative = Rule(|p| {
        p.each(|i| if i == 0 { p.g } else { p.g * ((p.y - p.x0()) / p.x1()).unary::<super::Round>() })
    });
    const CUDA: &'static str = "il_rem({0}, {1})";
    const FLOPS: u64 = 8;
    const DOMAIN: (f64, f64) = (2.1, 3.9);

    #[inline(always)]
    fn float<L: FloatLanes>([x, y, _]: [L; 3]) -> L {
        x.remainder(y)
    }
    #[inline(always)]
    fn int<L: IntLanes>([x, y, _]: [L; 3]) -> L {
        x.remainder(y)
    }
}

impl<'g, T: Ordered> std::ops::Rem for Var<'g, T> {
    type Output = Self;
    #[track_caller]
    fn rem(self, y: Self) -> Self {
        self.binary::<Rem>(y)
    }
}
