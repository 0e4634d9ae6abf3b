//! Magnitude, `|x|`; integers wrap at the minimum; derivative `sign(x)`, 0 at 0.
use super::prelude::*;

/// `|x|`
pub struct Abs;

impl Elementwise for Abs {
    const NAME: &'static str = "abs";
    const ARITY: usize = 1;
    const TYPES: Types = Types::NUMBER;
    const DERIVATIVE: Derivative = Rule(|p| {
        let zero = p.x0().filled(0.0);
        p.all([p.x0().less(zero).select(-p.g, zero.less(p.x0()).select(p.g, zero))])
    });
    const CUDA: &'static str = "il_abs({0})";

    #[inline(always)]
    fn float<L: FloatLanes>([x, ..]: [L; 3]) -> L {
        x.magnitude()
    }
    #[inline(always)]
    fn int<L: IntLanes>([x, ..]: [L; 3]) -> L {
        x.magnitude()
    }
    #[inline(always)]
    fn complex<C: ComplexNumber>([x, ..]: [C; 3]) -> C {
        x.modulus()
    }
}

impl<'g, T: Ordered> Var<'g, T> {
    /// The magnitude of every element.
    #[track_caller]
    pub fn abs(self) -> Self {
        self.unary::<Abs>()
    }
}
