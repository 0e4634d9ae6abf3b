//! Tables of `2⁻ˣ` and `log₂`, computed in integers.

/// `2²³·2^(−k/256)` for `k` below 256, rounded to nearest.
pub fn exp2() -> Vec<i64> {
    // 2^(−1/256) by eight square roots of ½, with 62 bits after the point.
    let root = (0..8).fold(1u128 << 61, |r, _| isqrt(r << 62));
    let mut value = 1u128 << 62;
    let mut table = Vec::with_capacity(256);
    for _ in 0..256 {
        table.push(((value + (1 << 38)) >> 39) as i64);
        value = (value * root) >> 62;
    }
    table
}

/// `256·log₂(1 + k/256)` for `k` below 256, rounded to nearest.
pub fn log2() -> Vec<i64> {
    let of = |k: u128| {
        let (mut x, mut bits) = ((256 + k) << 54, 0);
        // One more bit each time that the square is 2 or more.
        for _ in 0..10 {
            x = (x * x) >> 62;
            let bit = x >> 63;
            bits = (bits << 1) | bit as i64;
            x >>= bit;
        }
        (bits + 2) >> 2
    };
    (0..256).map(of).collect()
}

/// `⌊√n⌋`, bit by bit.
pub fn isqrt(mut n: u128) -> u128 {
    let mut bit = 1u128 << (n.checked_ilog2().unwrap_or(0) & !1);
    let mut root = 0;
    while bit != 0 {
        if n >= root + bit {
            n -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
        bit >>= 2;
    }
    root
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_two_are_the_nearest() {
        for (k, &found) in exp2().iter().enumerate() {
            let exact = 2f64.powi(23) * (-(k as f64) / 256.0).exp2();
            assert!((found as f64 - exact).abs() <= 0.500001, "{k}: {found} {exact}");
        }
    }

    #[test]
    fn logarithms_are_the_nearest() {
        for (k, &found) in log2().iter().enumerate() {
            let exact = 256.0 * (1.0 + k as f64 / 256.0).log2();
            assert!((found as f64 - exact).abs() <= 0.8, "{k}: {found} {exact}");
        }
    }

    #[test]
    fn roots_are_rounded_down() {
        for n in (0..70_000u128).chain([u128::from(u64::MAX), 1 << 126, (1 << 126) - 1]) {
            let r = isqrt(n);
            assert!(r * r <= n && (r + 1) * (r + 1) > n, "{n}: {r}");
        }
    }
}
