//! Every element type.

use super::*;
use crate::denormal::FlushDenormals;
use ironlearn_ir::{Complex32, Complex64, bf16, f16};

macro_rules! float_test {
    ($name:ident, $t:ty, $bits:ty) => {
        #[test]
        fn $name() {
            let pools = [Pool::new(2)];
            for (seed, (shape, layouts, accumulate)) in (1..).zip(cases(11, 20)) {
                let float = |seed| {
                    let mut random = Random(seed);
                    move || random.float() as $t
                };
                let values = (float(seed), float(seed + 1000), float(seed + 2000));
                let case = Case::new(shape, layouts, accumulate, values);
                let bits = |x: $t| u128::from(x.to_bits());
                let c = check(&case, &pools, |c, a: $t, b: $t| a.mul_add(b, c), |c, sum| c + sum, bits);
                bound(&case, &c, |x| x.into(), <$t>::EPSILON.into());
            }
        }
    };
}
float_test!(f32_has_the_documented_bits, f32, u32);
float_test!(f64_has_the_documented_bits, f64, u64);

/// The documented bound of the error, by sums in doubled `f64`.
fn bound<T: Element>(case: &Case<T, T, T>, c: &[T], to_f64: impl Fn(T) -> f64, epsilon: f64) {
    let GemmSpec { m, n, k, ldc, accumulate, .. } = case.spec;
    for (i, j) in (0..m).flat_map(|i| (0..n).map(move |j| (i, j))) {
        let start = if accumulate { to_f64(case.c[i * ldc + j]) } else { 0.0 };
        let (mut sum, mut low, mut size) = (start, 0.0, start.abs());
        for p in 0..k {
            let (a, b) = (to_f64(case.a.at(i, p)), to_f64(case.b.at(p, j)));
            let product = a * b;
            let next = sum + product;
            let part = next - sum;
            low += (sum - (next - part)) + (product - part) + a.mul_add(b, -product);
            (sum, size) = (next, size + product.abs());
        }
        let error = ((to_f64(c[i * ldc + j]) - sum) - low).abs();
        let most = (k.min(256) + k.div_ceil(256) + 1) as f64 * epsilon / 2.0 * size;
        assert!(error <= most, "{:?}: error {error:e} at ({i}, {j}), at most {most:e}", case.spec);
    }
}

#[test]
fn halves_are_summed_as_f32() {
    let pools = [Pool::new(2)];
    let bits = |x: f32| u128::from(x.to_bits());
    for (seed, (shape, layouts, accumulate)) in (1..).zip(cases(12, 5)) {
        let (mut x, mut y, mut z) = (Random(seed), Random(seed + 1000), Random(seed + 2000));
        let values = (|| bf16::from_f64(x.float()), || bf16::from_f64(y.float()), || z.float() as f32);
        let case = Case::new(shape, layouts, accumulate, values);
        check(&case, &pools, |c, a, b| a.to_f32().mul_add(b.to_f32(), c), |c, sum| c + sum, bits);
        let values = (|| f16::from_f64(x.float()), || f16::from_f64(y.float()), || z.float() as f32);
        let case = Case::new(shape, layouts, accumulate, values);
        check(&case, &pools, |c, a, b| a.to_f32().mul_add(b.to_f32(), c), |c, sum| c + sum, bits);
    }
}

#[test]
fn halves_near_the_smallest_normal_number_have_the_same_bits_everywhere() {
    let _flush = FlushDenormals::enter();
    for k in [7, 40, 300] {
        let (mut x, mut y) = (Random(k as u64), Random(3));
        // Inputs, products and sums below and above 2^-126.
        let mut tiny = |size: f64| bf16::from_f64(x.float() * size * 2f64.powi(-(x.below(12) as i32)));
        let a: Vec<bf16> = (0..5 * k).map(|_| tiny(1e-36)).collect();
        let b: Vec<bf16> = (0..k * 9).map(|_| bf16::from_f64(y.float())).collect();
        let (mut a, mut b) = (a.into_iter(), b.into_iter());
        let next = (|| a.next().unwrap_or_default(), || b.next().unwrap_or_default(), || 0_f32);
        let case = Case::new([5, 9, k], [Layout::Rows, Layout::Rows], false, next);
        let bits = |isa: Isa| {
            let plan = GemmPlan::new(isa, case.spec, 1).expect("a kernel");
            case.run(&plan, None).into_iter().map(f32::to_bits).collect::<Vec<u32>>()
        };
        let expected = bits(Isa::SCALAR);
        assert!(expected.iter().any(|&x| x != 0));
        for isa in Isa::available() {
            assert_eq!(bits(isa), expected, "{isa:?}, {k} terms");
        }
    }
}

macro_rules! integer_test {
    ($name:ident, $a:ty, $b:ty => $c:ty) => {
        #[test]
        fn $name() {
            let pools = [Pool::new(2)];
            for (seed, (shape, layouts, accumulate)) in (1..).zip(cases(13, 4)) {
                let (mut x, mut y, mut z) = (Random(seed), Random(seed + 1000), Random(seed + 2000));
                // The extremes are frequent, as they are where saturation and overflow would show.
                let a = || [<$a>::MIN, <$a>::MAX, x.next() as $a][x.below(3)];
                let b = || [<$b>::MIN, <$b>::MAX, y.next() as $b][y.below(3)];
                let case = Case::new(shape, layouts, accumulate, (a, b, || z.next() as $c));
                let step = |c: $c, a: $a, b: $b| c.wrapping_add((a as $c).wrapping_mul(b as $c));
                check(&case, &pools, step, <$c>::wrapping_add, |x| x as u128);
            }
        }
    };
}
integer_test!(i8_is_exact, i8, i8 => i32);
integer_test!(u8_by_i8_is_exact, u8, i8 => i32);
integer_test!(i8_by_u8_is_exact, i8, u8 => i32);
integer_test!(u8_is_exact, u8, u8 => i32);
integer_test!(i16_wraps, i16, i16 => i32);
integer_test!(i16_by_i8_is_exact, i16, i8 => i32);
integer_test!(i32_wraps, i32, i32 => i32);
integer_test!(u32_wraps, u32, u32 => u32);
integer_test!(i64_wraps, i64, i64 => i64);

#[test]
fn complex_has_the_documented_bits() {
    let pools = [Pool::new(2)];
    for (seed, (shape, layouts, accumulate)) in (1..).zip(cases(14, 5)) {
        let single = |seed| {
            let mut random = Random(seed);
            move || Complex32::new(random.float() as f32, random.float() as f32)
        };
        let case = Case::new(shape, layouts, accumulate, (single(seed), single(seed + 1), single(seed + 2)));
        let bits = |x: Complex32| u128::from(x.re.to_bits()) << 32 | u128::from(x.im.to_bits());
        check(&case, &pools, |c, a: Complex32, b: Complex32| c + a * b, |c, sum| c + sum, bits);
        let double = |seed| {
            let mut random = Random(seed);
            move || Complex64::new(random.float(), random.float())
        };
        let case = Case::new(shape, layouts, accumulate, (double(seed), double(seed + 1), double(seed + 2)));
        let bits = |x: Complex64| u128::from(x.re.to_bits()) << 64 | u128::from(x.im.to_bits());
        check(&case, &pools, |c, a: Complex64, b: Complex64| c + a * b, |c, sum| c + sum, bits);
    }
}
