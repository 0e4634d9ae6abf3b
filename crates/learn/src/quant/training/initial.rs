//! How weights begin: uniform, with bounds that are integer square roots.

use super::tables::isqrt;
use crate::Init;
use ironlearn_ir::prim::{philox, stream_of};

/// The largest first weight: a quarter of what 16 bits hold, so that weights can grow fourfold.
const HEADROOM: u128 = 8191;

/// The bound of uniform weights, squared, as a fraction; `None` for distributions that are not made in integers.
fn bound_squared(init: &Init, inputs: usize, outputs: usize) -> Option<(u128, u128)> {
    let (n, m) = (inputs.max(1) as u128, outputs.max(1) as u128);
    match init {
        Init::Zeros => Some((0, 1)),
        Init::HeUniform => Some((6, n)),
        Init::XavierUniform => Some((6, n + m)),
        Init::LecunUniform => Some((3, n)),
        // The deviation of N(0, 1): the vectors of an embedding.
        Init::Normal(1.0) => Some((3, 1)),
        _ => None,
    }
}

/// `count` weights and their exponent.
pub fn weights(
    init: &Init,
    [inputs, outputs]: [usize; 2],
    count: usize,
    seed: u64,
    path: &str,
) -> Result<(Vec<i16>, i32), String> {
    let (over, under) = bound_squared(init, inputs, outputs).ok_or_else(|| {
        format!("weights that begin as {init:?} are not made in integers: use he_uniform, xavier_uniform, lecun_uniform or zeros")
    })?;
    let bound = |bits: u32| isqrt((over << (2 * bits)) / under);
    let bits = (0..30).take_while(|&bits| bound(bits) <= HEADROOM).last().unwrap_or(0);
    let (bound, key) = (bound(bits) as i64, stream_of(path, 0));
    let one = |i: usize| {
        let word = philox(i as u64 / 4, seed, key)[i % 4];
        ((i64::from(word) * (2 * bound + 1)) >> 32) - bound
    };
    Ok(((0..count).map(|i| one(i) as i16).collect(), -(bits as i32)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_use_the_bits_that_there_are_and_have_the_bound_of_floats() {
        let (w, e) = weights(&Init::HeUniform, [784, 200], 10_000, 1, "0.weight").unwrap();
        let (least, most) = (w.iter().min().unwrap(), w.iter().max().unwrap());
        let bound = (6.0f64 / 784.0).sqrt() / f64::from(e).exp2();
        assert!((4096.0..8192.0).contains(&bound), "{bound}");
        assert!(f64::from(*most) <= bound && f64::from(*least) >= -bound);
        assert!(f64::from(*most) > 0.99 * bound && f64::from(*least) < -0.99 * bound);
        let mean = w.iter().map(|&w| f64::from(w)).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 5.0 * bound / 3f64.sqrt() / 100.0, "{mean}");
    }

    #[test]
    fn what_integers_cannot_draw_is_refused() {
        assert!(weights(&Init::Orthogonal(1.0), [2, 2], 4, 1, "w").unwrap_err().contains("Orthogonal"));
    }
}
