//! Roundings and tables against arithmetic with wider integers.

use super::rounding::half_even;
use super::{Code, Multiplier, Quantization, Rounding, function_table};
use crate::quant::from_float::Function;
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier;

/// `p·2⁻ˢ` to the nearest, ties to even, by division with remainder.
fn divided(p: i128, s: u8) -> i128 {
    let unit = 1i128 << s;
    let (down, rest) = (p.div_euclid(unit), p.rem_euclid(unit));
    let up = rest * 2 > unit || (rest * 2 == unit && down % 2 != 0);
    down + i128::from(up)
}

#[test]
fn every_accumulator_is_rescaled_as_wide_integers_say() {
    let mut rng = Rng::new(1);
    let mut scales = vec![(1 << 30, 1), (i32::MAX, 1), (1 << 30, 62), (i32::MAX, 62), (1 << 30, 31), (0, 1)];
    scales.extend((0..194).map(|_| (rng.int(1 << 30, i32::MAX.into()) as i32, rng.int(1, 62) as u8)));
    let step = tier::trials(997, 1);
    for (m, s) in scales {
        let by = Multiplier::from_parts(m, s).unwrap();
        for x in (-(1 << 20)..=1 << 20).step_by(step).chain([i32::MIN, i32::MIN + 1, i32::MAX, 1 << 20]) {
            let expected = divided(i128::from(x) * i128::from(m), s);
            assert_eq!(i128::from(Rounding::HalfEven.apply(x, by)), expected, "{x}·{m}/2^{s}");
        }
    }
}

#[test]
fn every_tie_goes_to_the_even_neighbour() {
    for s in 1..=62u8 {
        let half = 1i64 << (s - 1);
        let most = (1i64 << (62 - s).min(20)) - 1;
        for odd in (-most..=most).filter(|n| n & 1 == 1).step_by(tier::trials(31, 1)) {
            let Some(p) = half.checked_mul(odd).filter(|p| p.unsigned_abs() <= 1 << 62) else { continue };
            assert_eq!(i128::from(half_even(p, s)), divided(p.into(), s));
            assert_eq!(half_even(p, s) % 2, 0, "{p} and {s}");
        }
    }
}

/// Numbers with 60 binary digits after the point.
mod fixed {
    pub const DIGITS: u32 = 60;
    pub const ONE: i128 = 1 << DIGITS;
    /// π, ln 2 and 2/√π to 60 binary digits.
    const PI: i128 = 3_622_009_729_038_561_421;
    const LN2: i128 = 799_144_290_325_165_979;
    const TWO_OVER_ROOT_PI: i128 = 1_300_932_607_094_779_154;
    const ROOT_HALF: i128 = 815_238_614_083_298_888;

    pub fn mul(a: i128, b: i128) -> i128 {
        (a * b) >> DIGITS
    }

    pub fn div(a: i128, b: i128) -> i128 {
        (a << DIGITS) / b
    }

    /// `e^−t` for `t ≥ 0`.
    pub fn exp_of_minus(t: i128) -> i128 {
        let k = t / LN2;
        let r = t - k * LN2;
        let (mut sum, mut term) = (0, ONE);
        for n in 1..40 {
            sum += term;
            term = -mul(term, r) / n;
        }
        if k > 100 { 0 } else { sum >> k }
    }

    pub fn tanh(x: i128) -> i128 {
        let e = exp_of_minus(2 * x.abs());
        div(ONE - e, ONE + e) * x.signum()
    }

    pub fn sigmoid(x: i128) -> i128 {
        let e = exp_of_minus(x.abs());
        if x >= 0 { div(ONE, ONE + e) } else { div(e, ONE + e) }
    }

    pub fn sin(x: i128) -> i128 {
        let turns = (2 * x + PI).div_euclid(2 * PI);
        let r = x - turns * PI;
        let (mut sum, mut term, square) = (0, r, mul(r, r));
        for n in 1..25 {
            sum += term;
            term = -mul(term, square) / (2 * n * (2 * n + 1));
        }
        if turns % 2 == 0 { sum } else { -sum }
    }

    /// Kummer's series, whose terms are all positive, within 2⁻³⁰; 1 beyond 4.5.
    pub fn erf(x: i128) -> i128 {
        let a = x.abs();
        if a > 9 * ONE / 2 {
            return ONE * x.signum();
        }
        let square = mul(a, a);
        let (mut sum, mut term) = (0, mul(a, exp_of_minus(square)));
        for n in 1..120 {
            sum += term;
            term = mul(2 * term, square) / (2 * n + 1);
        }
        mul(TWO_OVER_ROOT_PI, sum) * x.signum()
    }

    pub fn gelu(x: i128) -> i128 {
        mul(x, ONE + erf(mul(x, ROOT_HALF))) / 2
    }

    pub fn silu(x: i128) -> i128 {
        mul(x, sigmoid(x))
    }
}

/// A function of fixed-point numbers.
type Exact = fn(i128) -> i128;

/// A float as `mantissa·2^exponent`.
fn parts(x: f64) -> (i128, i32) {
    let bits = x.to_bits();
    (i128::from(bits & ((1 << 52) - 1) | 1 << 52), (bits >> 52) as i32 - 1023 - 52)
}

/// `x·2^shift`, to the nearest.
fn shifted(x: i128, shift: i32) -> i128 {
    if shift >= 0 { x << shift } else { divided(x, (-shift).min(100) as u8) }
}

/// The code of `f` for a code, in integers alone; none where it lies too near to a tie to tell.
fn code(f: Exact, from: Quantization, to: Quantization, code: i32) -> Option<i32> {
    let (mantissa, exponent) = parts(from.scale);
    let x = shifted(i128::from(code - from.zero_point) * mantissa, exponent + fixed::DIGITS as i32);
    let (unit, exponent) = parts(to.scale);
    // f/scale with 30 binary digits after the point.
    let quotient = shifted((f(x) << 52) / unit, 30 - (52 + fixed::DIGITS as i32) - exponent);
    let from_tie = (quotient.rem_euclid(1 << 30) - (1 << 29)).abs();
    let nearest = divided(quotient, 30) + i128::from(to.zero_point);
    // What the least exact of the functions is wrong by, for the smallest steps.
    (from_tie > 1 << 13).then(|| nearest.clamp(to.code.low().into(), to.code.high().into()) as i32)
}

#[test]
fn tables_have_the_codes_that_wide_integers_give() {
    let functions: [(Function, Exact); 5] = [
        (Function::Tanh, fixed::tanh),
        (Function::Sigmoid, fixed::sigmoid),
        (Function::Sine(1.0), fixed::sin),
        (Function::Gelu, fixed::gelu),
        (Function::Silu, fixed::silu),
    ];
    let mut rng = Rng::new(7);
    let (mut ties, mut all) = (0, 0);
    for _ in 0..tier::trials(20, 1000) {
        let codes = |rng: &mut Rng, low: f64, high: f64| Quantization {
            code: Code::I8,
            scale: rng.float(low, high),
            zero_point: rng.int(-128, 127) as i32,
        };
        let from = codes(&mut rng, 1e-3, 0.1);
        for (function, exact) in functions {
            let to = function.codes(Code::I8).unwrap_or(codes(&mut rng, 1e-3, 0.1));
            for (i, &found) in function_table(|x| function.value(x), from, to).iter().enumerate() {
                let input = i as i32 - 128;
                all += 1;
                match code(exact, from, to, input) {
                    Some(expected) => {
                        assert_eq!(found, expected, "{function:?} of {input}: {from:?} to {to:?}")
                    }
                    None => ties += 1,
                }
            }
        }
    }
    assert!(ties * 1000 <= all, "{ties} of {all} are too near to a tie");
}
