//! How the weights of a layer begin.

use super::setting::check;
use super::term::terms;

terms! {
    /// Distribution of the first weights of a layer with n inputs and m outputs. Biases begin at 0
    /// unless the line says otherwise.
    Initial "an initialiser" {
        /// Uniform within sqrt(6 / (n + m)) of 0 (Glorot and Bengio 2010).
        XavierUniform = "xavier_uniform",
        /// Normal with variance 2 / (n + m) (Glorot and Bengio 2010).
        XavierNormal = "xavier_normal",
        /// Uniform within sqrt(6 / n) of 0, for relu and its kin (He et al. 2015).
        HeUniform = "he_uniform",
        /// Normal with variance 2 / n (He et al. 2015).
        HeNormal = "he_normal",
        /// Uniform within sqrt(3 / n) of 0 (LeCun et al. 1998).
        LecunUniform = "lecun_uniform",
        /// Normal with variance 1 / n (LeCun et al. 1998).
        LecunNormal = "lecun_normal",
        /// Uniform within a bound of 0.
        Uniform = "uniform" {
            /// The bound.
            bound: f64 = 1.0, check::POSITIVE;
        },
        /// Normal with mean 0.
        Normal = "normal" {
            /// Standard deviation.
            deviation: f64 = 1.0, check::POSITIVE;
        },
        /// Uniform within sqrt(6 / n) / omega of 0, for hidden layers followed by a sine
        /// (Sitzmann et al. 2020); biases uniform within 1 / sqrt(n) of 0.
        Siren = "siren" {
            /// Frequency of the sine.
            omega: f64 = 30.0, check::POSITIVE;
        },
        /// An orthogonal matrix (Saxe et al. 2014).
        Orthogonal = "orthogonal" {
            /// Factor of the matrix.
            gain: f64 = 1.0, check::POSITIVE;
        },
        /// All 0.
        Zeros = "zeros",
    }
}
