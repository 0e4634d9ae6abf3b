//! Numbers and sums become codes in one loop with the bits of the operations one by one.
#![allow(missing_docs, clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_cpu::isa::Isa;
use ironlearn_ir::plan::Options;
use ironlearn_ir::prim::elementwise::{Add, Maximum, Minimum, MulShiftRound};
use ironlearn_ir::prim::philox;
use ironlearn_ir::*;
use ironlearn_testkit::tier;

/// Numbers that look random and are the same everywhere.
fn bits(n: usize, seed: u64) -> impl Iterator<Item = u32> {
    (0..n.div_ceil(4) as u64).flat_map(move |i| philox(i, seed, 5)).take(n)
}

/// What a graph gives in one loop and operation by operation, on every instruction set: always the same.
fn compare(input: &Array, trace: impl for<'g> Fn(Dyn<'g>) -> Dyn<'g>) -> Array {
    let tape = Tape::new(Mode::Infer);
    tape.output("codes", trace(tape.input_of(TensorType::new(input.dtype(), input.shape().clone()))));
    let graph = tape.finish().unwrap_or_else(|e| panic!("{e}")).0;
    let run = |isa: Isa, fuse: bool| {
        let options = Options { fuse, ..Options::default() };
        let mut program = Cpu::with_isa(isa, 2).compile(&graph, options).unwrap();
        program.run(&[input.view()], &mut Store::new(), &ControlBlock::default()).unwrap();
        program.output(0).to_array()
    };
    let expected = run(Isa::available()[0], false);
    for isa in Isa::available() {
        for fuse in [true, false] {
            assert!(run(isa, fuse) == expected, "{isa}, fuse: {fuse}");
        }
    }
    expected
}

/// The codes of numbers as networks of integers compute them.
fn of_numbers(numbers: Vec<f32>, scale: f64, zero: i32, [low, high]: [i32; 2], dtype: DType) -> Array {
    let input = Array::of([numbers.len()], numbers).unwrap();
    compare(&input, |x| {
        let number = |value: i32| x.tape().scalar::<f32>(f64::from(value));
        let nearest = (Var::<f32>::of(x) / scale).round() + f64::from(zero);
        nearest.maximum(number(low)).minimum(number(high)).node().cast(dtype)
    })
}

#[test]
fn numbers_in_the_middle_of_codes_and_beside_it() {
    // At a scale of a power of two the middles are hit, at others missed by the last digits.
    for scale in [0.25, 2f64.powi(-7), 0.1, 0.003_921_569, 0.017, 7.3, 1e-30, 1e30] {
        let middles = (-300..300).map(|code| ((f64::from(code) + 0.5) * scale) as f32);
        let beside = middles
            .flat_map(|x| (-3..=3).map(move |ulps| f32::from_bits((x.to_bits() as i32 + ulps) as u32)));
        let mut numbers: Vec<f32> = beside.collect();
        numbers.extend([f32::NAN, f32::INFINITY, -f32::INFINITY, -0.0, f32::MAX, f32::MIN, 1e-44, -1e-40]);
        for (zero, ends) in [(0, [-128, 127]), (-128, [-128, 127]), (37, [-20, 90])] {
            let codes = of_numbers(numbers.clone(), scale, zero, ends, DType::I8);
            let expected = numbers.iter().map(|&x| {
                let code = (x / scale as f32).round_ties_even() + zero as f32;
                code.clamp(ends[0] as f32, ends[1] as f32) as i8
            });
            assert!(codes.as_slice::<i8>().unwrap().iter().copied().eq(expected), "{scale} {zero} {ends:?}");
        }
        of_numbers(numbers, scale, 0, [-32_768, 32_767], DType::I16);
    }
}

#[test]
fn scales_at_the_ends_of_f32() {
    for scale in [1e-45, 1e-38, 1.2e-38, 8e37, 1.8e38, 3.4e38] {
        let numbers = bits(4000, 3).map(f32::from_bits).chain([0.0, 1e38, -1e38, 3e38, 1e-38, 1e-45]);
        of_numbers(numbers.collect(), scale, 3, [-128, 127], DType::I8);
    }
}

#[test]
fn any_numbers() {
    for seed in 0..tier::trials(3, 64) as u64 {
        let scale = f64::from(f32::from_bits(0x3000_0000 + (bits(1, seed + 90).next().unwrap() >> 4)));
        of_numbers(bits(70_000, seed).map(f32::from_bits).collect(), scale, 5, [-128, 127], DType::I8);
    }
}

/// How sums become codes.
struct Rescaling {
    channels: usize,
    m: Vec<i32>,
    s: Vec<i32>,
    bias: bool,
    zero: i32,
    ends: [i32; 2],
    dtype: DType,
}

impl Rescaling {
    fn codes(&self, sums: Vec<i32>) -> Array {
        let input = Array::of([sums.len() / self.channels, self.channels], sums).unwrap();
        compare(&input, |x| {
            let tape = x.tape();
            let constant = |values: &[i32]| tape.constant([values.len()], values.to_vec()).node();
            let number = |value: i32| tape.scalar_of(DType::I32, f64::from(value));
            let bias: Vec<i32> = (0..self.channels as i32).map(|c| 1000 * c - 7).collect();
            let sums = if self.bias { x.binary::<Add>(constant(&bias)) } else { x };
            let codes = sums
                .ternary::<MulShiftRound>(constant(&self.m), constant(&self.s))
                .binary::<Maximum>(number(self.ends[0] - self.zero))
                .binary::<Minimum>(number(self.ends[1] - self.zero));
            let codes = if self.zero == 0 { codes } else { codes.binary::<Add>(number(self.zero)) };
            codes.cast(self.dtype)
        })
    }
}

/// `sum·m / 2ˢ`, half to even, by 128 bits.
fn rescaled(sum: i32, m: i32, s: i32) -> i64 {
    let (product, unit) = (i128::from(sum) * i128::from(m), 1i128 << s);
    let (whole, twice) = (product.div_euclid(unit), 2 * product.rem_euclid(unit));
    (whole + i128::from(twice > unit || (twice == unit && whole.rem_euclid(2) == 1))) as i64
}

#[test]
fn sums_in_the_middle_of_codes_and_beside_it() {
    let seeds = tier::trials(2, 40) as u64;
    for (seed, s) in (0..seeds).flat_map(|seed| (31..=62).map(move |s| (seed, s))) {
        let drawn = (1 << 30) | (bits(1, seed * 64 + s as u64).next().unwrap() >> 2) as i32;
        for m in [1 << 30, drawn, i32::MAX] {
            let unit = (s as f64).exp2() / f64::from(m);
            let near = (-300..300).flat_map(|c| (-2..=2).map(move |d| (c, d)));
            let mut sums: Vec<i32> =
                near.map(|(c, d)| (((f64::from(c) + 0.5) * unit) as i32).saturating_add(d)).collect();
            sums.extend([i32::MIN, i32::MIN + 1, i32::MAX, i32::MAX - 1, 0, 1, -1]);
            let (ends, zero) = if seed % 2 == 0 { ([-128, 127], -128) } else { ([-100, 90], 3) };
            let (m1, s1) = (vec![m], vec![s]);
            let rescaling =
                Rescaling { channels: 1, m: m1, s: s1, bias: false, zero, ends, dtype: DType::I8 };
            let codes = rescaling.codes(sums.clone());
            let code =
                |&sum: &i32| (rescaled(sum, m, s) + i64::from(zero)).clamp(ends[0].into(), ends[1].into());
            let expected = sums.iter().map(|sum| code(sum) as i8);
            assert!(codes.as_slice::<i8>().unwrap().iter().copied().eq(expected), "{m} / 2^{s}");
        }
    }
}

#[test]
fn scales_and_biases_of_channels() {
    for (channels, rows, zero, dtype) in
        [(200, 67, -3, DType::I8), (10, 1000, 0, DType::I8), (50, 1, 9, DType::I8), (33, 40, 0, DType::I16)]
    {
        let m: Vec<i32> = bits(channels, 5).map(|x| (1 << 30) | (x >> 2) as i32).collect();
        for least in [31, 38, 40] {
            let s = (0..channels as i32).map(|c| least + c % 5).collect();
            let ends = if dtype == DType::I8 { [-128, 127] } else { [-32_768, 32_767] };
            let rescaling = Rescaling { channels, m: m.clone(), s, bias: true, zero, ends, dtype };
            let wide = rescaling.codes(bits(rows * channels, 6).map(|x| x as i32).collect());
            let narrow = rescaling.codes(bits(rows * channels, 7).map(|x| x as i32 >> 14).collect());
            assert!(wide.dtype() == dtype && narrow.dtype() == dtype);
        }
    }
}

/// Shifts, factors and ends for which the one loop was not made.
#[test]
fn other_rescalings_are_left_as_they_are() {
    let ends = [-128, 127];
    for (m, s, zero) in
        [(1 << 30, 30, 0), (7, 2, 0), (-5, 33, 0), (i32::MIN, 31, 1), (1 << 30, 63, 0), (9, 0, 0)]
    {
        let (m1, s1) = (vec![m], vec![s]);
        let rescaling = Rescaling { channels: 1, m: m1, s: s1, bias: true, zero, ends, dtype: DType::I8 };
        rescaling.codes(bits(3000, 8).map(|x| x as i32).collect());
    }
    let (m, s) = (vec![1 << 30], vec![40]);
    let rescaling = Rescaling { channels: 1, m, s, bias: true, zero: 0, ends: [-500, 400], dtype: DType::I8 };
    rescaling.codes(bits(3000, 9).map(|x| x as i32 >> 8).collect());
}
