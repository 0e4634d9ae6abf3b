//! Rounding by powers of two in a trace, and what it needs to know of its numbers.

use ironlearn_ir::{DType, Dyn, Shape, Tape, Var};

/// A whole number as a scalar.
#[track_caller]
pub fn number(tape: &Tape, x: i32) -> Var<'_, i32> {
    Var::of(tape.scalar_of(DType::I32, x.into()))
}

/// A whole number as a wide scalar.
#[track_caller]
pub fn wide(tape: &Tape, x: i64) -> Var<'_, i64> {
    Var::of(tape.scalar_of(DType::I64, x as f64))
}

/// `⌊log₂ v⌋ + 1` of a scalar that is not negative; 0 of 0.
#[track_caller]
pub fn bit_length(v: Var<'_, i32>) -> Var<'_, i32> {
    let powers = v.tape().constant([31], (0..31).map(|i| 1i32 << i).collect());
    let above = Var::<i32>::of(v.less(powers).cast::<i32>().node().sum(&[0]));
    number(v.tape(), 31) - above
}

/// By how many bits numbers up to `largest` are shifted so that `bits` are left.
#[track_caller]
pub fn shift_to(largest: Var<'_, i32>, bits: i32) -> Var<'_, i32> {
    (bit_length(largest) - bits).maximum(0)
}

/// The largest magnitude of all elements, a scalar.
#[track_caller]
pub fn largest(x: Var<'_, i32>) -> Var<'_, i32> {
    x.abs().max((0..x.rank() as isize).collect::<Vec<_>>())
}

/// `x / 2ˢ`, ties to even; `s` from 0 to 30. The sum of `x` and 2ˢ⁻¹ has to fit: shifts and sums of 32 bits are several
/// times as fast as what would hold any product.
#[track_caller]
pub fn nearest<'g>(x: Var<'g, i32>, s: Var<'g, i32>) -> Var<'g, i32> {
    let one = number(x.tape(), 1);
    // Of 2ˢ⁻¹ one is missing where the result would be even: so ties go there. Nothing is added where s is 0.
    let below = (((one << s) >> one) - 1).maximum(0);
    (x + ((x >> s) & s.minimum(1)) + below) >> s
}

/// `x / 2ˢ` rounded down or up at random, so that the mean is exact; `s` from 0 to 31. The sum of `x` and 2ˢ has to
/// fit.
#[track_caller]
pub fn at_random<'g>(x: Var<'g, i32>, s: Var<'g, i32>) -> Var<'g, i32> {
    (x + random_below(x.tape(), x.shape(), s)) >> s
}

/// Random numbers below 2ˢ, `s` from 0 to 31.
#[track_caller]
pub fn random_below<'g>(tape: &'g Tape, shape: Shape, s: Var<'g, i32>) -> Var<'g, i32> {
    let unused = (number(tape, 32) - s).cast::<u32>();
    (tape.random_bits(shape) >> unused).cast::<i32>()
}

/// Mantissas of up to 127 in magnitude as `i8`.
#[track_caller]
pub fn as_mantissas(x: Var<'_, i32>) -> Dyn<'_> {
    x.maximum(-127).cast::<i8>().node()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quant::training::MAX_TERMS;
    use ironlearn_ir::{Array, ControlBlock, Interpreted, Mode, Program, Store};

    #[test]
    fn the_nearest_is_that_of_an_exact_product() {
        let tape = Tape::new(Mode::Infer);
        let most = 127 * 127 * MAX_TERMS as i32 + (1 << 24);
        let ties = (1..24).flat_map(|s| (-5..5).map(move |k| (2 * k + 1) << (s - 1)));
        let x: Vec<i32> =
            (-70..70).chain(ties.flat_map(|x| [x - 1, x, x + 1])).chain([most, -most]).collect();
        let (values, s) = (tape.input::<i32>([x.len()]), tape.input::<i32>([]));
        tape.output("nearest", nearest(values, s).node());
        tape.output("exact", values.mul_shift_round(number(&tape, 1), s).node());
        let mut program = Interpreted::new(tape.finish().unwrap().0).unwrap();
        let x = Array::of([x.len()], x).unwrap();
        for s in 0..=24 {
            let inputs = [x.clone(), Array::scalar(s)];
            let views: Vec<_> = inputs.iter().map(Array::view).collect();
            program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap();
            assert_eq!(program.output(0).to_array(), program.output(1).to_array(), "2^{s}");
        }
    }
}
