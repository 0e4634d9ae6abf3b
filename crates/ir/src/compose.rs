//! Functions composed from the primitives: activations and what layers and losses need often.

use crate::{Real, Var};

impl<'g, T> Var<'g, T> {
    /// `max(x, 0)`; gradient 0 at 0.
    #[track_caller]
    pub fn relu(self) -> Self
    where
        T: Real,
    {
        let _line = self.tape().enter("");
        self.maximum(0.0)
    }
    /// `min(max(x, 0), 6)`
    #[track_caller]
    pub fn relu6(self) -> Self
    where
        T: Real,
    {
        let _line = self.tape().enter("");
        self.maximum(0.0).minimum(6.0)
    }
    /// `x` where positive, else `slope·x`.
    #[track_caller]
    pub fn leaky_relu(self, slope: f64) -> Self
    where
        T: Real,
    {
        let _line = self.tape().enter("");
        self.greater(0.0).select(self, self * slope)
    }
    /// `x·Φ(x)` with the exact normal distribution function (Hendrycks and Gimpel, 2016).
    #[track_caller]
    pub fn gelu(self) -> Self
    where
        T: Real,
    {
        let _line = self.tape().enter("");
        self * 0.5 * ((self * std::f64::consts::FRAC_1_SQRT_2).erf() + 1.0)
    }
    /// `x·sigmoid(x)`
    #[track_caller]
    pub fn silu(self) -> Self
    where
        T: Real,
    {
        let _line = self.tape().enter("");
        self * self.sigmoid()
    }
    /// `ln(1 + eˣ)`, computed so that it neither overflows nor loses small values.
    #[track_caller]
    pub fn softplus(self) -> Self
    where
        T: Real,
    {
        let _line = self.tape().enter("");
        // Not by `maximum` and `abs`: their derivatives at 0 would give a slope of 0 there, not ½.
        let positive = self.greater(0.0);
        positive.select(self, 0.0) + positive.select(-self, self).exp().log1p()
    }
    /// `x²`
    #[track_caller]
    pub fn square(self) -> Self
    where
        T: Real,
    {
        self * self
    }
    /// `ln Σ eˣ` along an axis, which stays with length 1; stable for any finite input.
    #[track_caller]
    pub fn log_sum_exp_keep(self, axis: isize) -> Self
    where
        T: Real,
    {
        let _line = self.tape().enter("");
        let top = self.max_keep([axis]).stop_gradient();
        (self - top).exp().sum_kept(axis).log() + top
    }
    /// `x − ln Σ eˣ` along an axis.
    #[track_caller]
    pub fn log_softmax(self, axis: isize) -> Self
    where
        T: Real,
    {
        let _line = self.tape().enter("");
        self - self.log_sum_exp_keep(axis)
    }
    /// `eˣ / Σ eˣ` along an axis; stable for any finite input.
    #[track_caller]
    pub fn softmax(self, axis: isize) -> Self
    where
        T: Real,
    {
        let _line = self.tape().enter("");
        let e = (self - self.max_keep([axis]).stop_gradient()).exp();
        e / e.sum_kept(axis)
    }

    /// Sum along an axis, which stays with length 1, in this element type.
    #[track_caller]
    fn sum_kept(self, axis: isize) -> Self
    where
        T: Real,
    {
        let n = self.dim(axis) as f64;
        self.mean_keep([axis]) * n
    }
}
