//! What integer networks compute element by element, exact on every instruction set.
#![allow(missing_docs, clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_cpu::isa::Isa;
use ironlearn_ir::plan::Options;
use ironlearn_ir::prim::cast::convert;
use ironlearn_ir::prim::{RandomBits, philox};
use ironlearn_ir::*;
use ironlearn_testkit::tier;

/// Numbers that look random and are the same everywhere.
fn bits(n: usize, seed: u64) -> impl Iterator<Item = u32> {
    (0..n.div_ceil(4) as u64).flat_map(move |i| philox(i, seed, 3)).take(n)
}

/// The output of a graph of these inputs on an instruction set.
fn run(isa: Isa, inputs: &[Array], trace: impl for<'g> Fn(&[Dyn<'g>]) -> Dyn<'g>) -> Array {
    let tape = Tape::new(Mode::Infer);
    let ty = |a: &Array| TensorType::new(a.dtype(), a.shape().clone());
    let x: Vec<Dyn<'_>> = inputs.iter().map(|a| tape.input_of(ty(a))).collect();
    tape.output("y", trace(&x));
    let graph = tape.finish().unwrap_or_else(|e| panic!("{e}")).0;
    let mut program = Cpu::with_isa(isa, 2).compile(&graph, Options::default()).unwrap();
    let views: Vec<_> = inputs.iter().map(|a| a.view()).collect();
    program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap();
    program.output(0).to_array()
}

/// `x·m / 2ˢ` to the nearest, half to even, in 128 bits.
fn rescaled(x: i32, m: i32, s: i32) -> i32 {
    let (product, unit) = (i128::from(x) * i128::from(m), 1i128 << s);
    let (whole, twice) = (product.div_euclid(unit), 2 * product.rem_euclid(unit));
    let up = twice > unit || (twice == unit && whole.rem_euclid(2) == 1);
    (whole + i128::from(up)) as i32
}

fn mul_shift_round<'g>(x: &[Dyn<'g>]) -> Dyn<'g> {
    Var::<i32>::of(x[0]).mul_shift_round(Var::of(x[1]), Var::of(x[2])).node()
}

#[test]
fn accumulators_are_rescaled_exactly() {
    let most = 1 << 20;
    let step = tier::trials(997, 1);
    let mut accumulators: Vec<i32> = (-most..=most).step_by(step).collect();
    accumulators.extend([i32::MIN, i32::MIN + 1, -1, 0, 1, i32::MAX - 1, i32::MAX]);
    let n = accumulators.len();
    let x = Array::of([n], accumulators.clone()).unwrap();
    let mut draw = bits(400, 1);
    let mut scales: Vec<(i32, i32)> = (0..200)
        .map(|_| {
            let m = (1 << 30) | (draw.next().unwrap() >> 2) as i32;
            (m, 1 + (draw.next().unwrap() % 62) as i32)
        })
        .collect();
    // A multiplier of a power of two: every odd multiple of half a unit is a tie.
    scales.extend((1..=62).map(|s| (1 << 30, s)));
    scales.extend([(0, 40), (i32::MAX, 62), (i32::MIN, 62), (-1, 0), (7, 0), (1, 1), (-1, 1), (3, 2)]);
    for isa in Isa::available() {
        for &(m, s) in &scales {
            let one = |x: i32| Array::of([1], vec![x]).unwrap();
            let y = run(isa, &[x.clone(), one(m), one(s)], mul_shift_round);
            for (&x, &y) in accumulators.iter().zip(y.as_slice::<i32>().unwrap()) {
                assert_eq!(y, rescaled(x, m, s), "{x} by {m} / 2^{s}, {isa}");
            }
        }
    }
}

#[test]
fn scales_go_by_channel_or_by_element() {
    let (rows, channels) = (37, 24);
    let words: Vec<i32> = bits(rows * channels, 2).map(|x| x as i32 >> 9).collect();
    let m: Vec<i32> = bits(channels, 3).map(|x| (1 << 30) | (x >> 2) as i32).collect();
    let s: Vec<i32> = (0..channels as i32).map(|c| 32 + c).collect();
    let expected: Vec<i32> =
        (0..rows * channels).map(|i| rescaled(words[i], m[i % channels], s[i % channels])).collect();
    let x = Array::of([rows, channels], words).unwrap();
    let all = |v: &[i32]| Array::of([rows, channels], v.repeat(rows)).unwrap();
    let row = |v: &[i32]| Array::of([channels], v.to_vec()).unwrap();
    for isa in Isa::available() {
        for (m, s) in [(row(&m), row(&s)), (all(&m), all(&s)), (row(&m), all(&s))] {
            let y = run(isa, &[x.clone(), m, s], mul_shift_round);
            assert_eq!(y.as_slice::<i32>().unwrap(), expected, "{isa}");
        }
        // Transposed: channels are rows.
        let y = run(isa, &[x.clone(), row(&m), row(&s)], |x| {
            let column = Shape::from([channels, 1]);
            let [m, s] = [1, 2].map(|i| x[i].reshape(&column));
            mul_shift_round(&[x[0].permute(&[1, 0]), m, s]).permute(&[1, 0])
        });
        assert_eq!(y.as_slice::<i32>().unwrap(), expected, "{isa}");
    }
}

/// Values where conversions saturate, and beside them, enough for vectors and a rest.
fn edges() -> Vec<f64> {
    let ends = [7, 8, 15, 16, 31, 32, 62].map(|b| 2f64.powi(b));
    let some = ends.iter().flat_map(|&e| [e - 1.0, e, e + 1.0, -e - 1.0, -e, 1.0 - e]);
    some.chain((-120..=120).map(|i| f64::from(i) * 1.5)).collect()
}

#[test]
fn conversions_saturate_in_every_vector() {
    use DType::*;
    let types = [Bool, U8, I8, I16, I32, I64, U32, F32];
    for from in types {
        let values: Vec<f64> = edges();
        let wide = Array::of([values.len()], values).unwrap();
        let ty = |dtype| TensorType::new(dtype, wide.shape().clone());
        let x = prim::Primitive::eval(&prim::Cast(from), &[&wide], &ty(from)).unwrap();
        for to in types {
            let expected = dispatch!(from, A => dispatch!(to, B => {
                Array::of(wide.shape().clone(), x.as_slice::<A>().unwrap().iter().map(|&v| convert::<A, B>(v)).collect()).unwrap()
            }));
            for isa in Isa::available() {
                let y = run(isa, std::slice::from_ref(&x), |x| x[0].cast(to));
                assert!(y == expected, "{from} to {to}, {isa}: {y:?} is not {expected:?}");
            }
        }
    }
}

/// Results that lie over an operand, which is read for nothing else.
#[test]
fn chains_of_one_type_run_in_place() {
    let n = 5000;
    let x: Vec<i32> = bits(n, 5).map(|x| x as i32).collect();
    let y: Vec<i32> = bits(n, 6).map(|x| x as i32 % 40).collect();
    let expected: Vec<i32> =
        x.iter().zip(&y).map(|(x, y)| (y.wrapping_sub(x.wrapping_add(*y)) >> 3).max(*y)).collect();
    let inputs = [Array::of([n], x).unwrap(), Array::of([n], y).unwrap()];
    for isa in Isa::available() {
        for fuse in [true, false] {
            let tape = Tape::new(Mode::Infer);
            let [a, b] = [0, 1].map(|_| tape.input::<i32>([n]));
            let three = Var::of(a.node().filled(3.0));
            tape.output("y", ((b - (a + b)) >> three).maximum(b).node());
            let graph = tape.finish().unwrap_or_else(|e| panic!("{e}")).0;
            let options = Options { fuse, ..Options::default() };
            let mut program = Cpu::with_isa(isa, 1).compile(&graph, options).unwrap();
            let views: Vec<_> = inputs.iter().map(|a| a.view()).collect();
            program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap();
            assert_eq!(program.output(0).as_slice::<i32>().unwrap(), expected, "{isa}, fuse: {fuse}");
        }
    }
}

#[test]
fn random_bits_are_the_same_in_vectors() {
    for shape in [vec![3], vec![700], vec![40, 33], vec![5, 512]] {
        let op = RandomBits { shape: Shape::from(&shape[..]), stream: 21 };
        let mut expected = vec![0; op.shape.elements()];
        op.fill(9, 4, 1, 0, &mut expected);
        let scalars = [9i64, 4, 1].map(|x| Array::of(Shape::scalar(), vec![x]).unwrap());
        for isa in Isa::available() {
            let bits = run(isa, &scalars, |x| x[0].tape().push(op.clone(), x));
            assert_eq!(bits.as_slice::<u32>().unwrap(), expected, "{shape:?}, {isa}");
        }
    }
}

#[test]
fn bytes_are_picked_from_tables() {
    let n = 20_000;
    for len in [256, 200, 64, 1] {
        let table: Vec<i8> = bits(len, 8).map(|x| (x >> 24) as i8).collect();
        let places: Vec<usize> = bits(n, 9).map(|x| x as usize % len).collect();
        let expected: Vec<i8> = places.iter().map(|&p| table[p]).collect();
        let table = Array::of([len], table).unwrap();
        let wide = Array::of([n / 50, 50], places.iter().map(|&p| p as i64).collect()).unwrap();
        for dtype in [DType::U8, DType::I32, DType::U32, DType::I64] {
            let ty = TensorType::new(dtype, wide.shape().clone());
            let index = prim::Primitive::eval(&prim::Cast(dtype), &[&wide], &ty).unwrap();
            for isa in Isa::available() {
                let y = run(isa, &[table.clone(), index.clone()], |x| x[0].gather(x[1], 0));
                assert_eq!(y.as_slice::<i8>().unwrap(), expected, "{len} by {dtype}, {isa}");
            }
        }
    }
}

#[test]
fn an_index_outside_of_a_table_is_named() {
    for (bad, index) in [
        ("100", Array::of([600], [[7u8; 599].as_slice(), &[100]].concat()).unwrap()),
        ("-1", Array::of([600], [[7i32; 599].as_slice(), &[-1]].concat()).unwrap()),
        ("4294967303", Array::of([600], [[7i64; 599].as_slice(), &[(1 << 32) + 7]].concat()).unwrap()),
    ] {
        let tape = Tape::new(Mode::Infer);
        let table = tape.input::<i8>([100]).node();
        let place = tape.input_of(TensorType::new(index.dtype(), index.shape().clone()));
        tape.output("y", table.gather(place, 0));
        let graph = tape.finish().unwrap_or_else(|e| panic!("{e}")).0;
        let inputs = [Array::of([100], vec![1i8; 100]).unwrap(), index];
        let views: Vec<_> = inputs.iter().map(|a| a.view()).collect();
        for isa in Isa::available() {
            let mut program = Cpu::with_isa(isa, 2).compile(&graph, Options::default()).unwrap();
            let failure = program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap_err();
            let expected = format!("index {bad} at position 599 is outside of 0..100");
            assert!(failure.to_string().contains(&expected), "{failure}");
        }
    }
}

/// Rows, columns and whole tensors, with equal elements.
#[test]
fn largest_integers_and_sums_are_those_of_the_interpreter() {
    for shape in [vec![1], vec![5000], vec![64, 10], vec![33, 300], vec![3, 70, 9]] {
        let shape = Shape::from(&shape[..]);
        let wide: Vec<i64> = bits(shape.elements(), 7).map(|x| i64::from(x as i32 >> 24)).collect();
        let wide = Array::of(shape.clone(), wide).unwrap();
        for dtype in [DType::I8, DType::I16, DType::I32, DType::I64, DType::U8, DType::U32] {
            let ty = TensorType::new(dtype, shape.clone());
            let x = prim::Primitive::eval(&prim::Cast(dtype), &[&wide], &ty).unwrap();
            let axes: Vec<usize> = (0..shape.rank()).collect();
            for axes in axes.iter().map(std::slice::from_ref).chain([&axes[..]]) {
                let ops = [
                    prim::Op::from(prim::ArgMax(axes[0])),
                    prim::Max(axes.to_vec()).into(),
                    prim::Sum(axes.to_vec()).into(),
                ];
                for op in ops {
                    let ty = op.primitive().infer(&[&ty]).unwrap();
                    let expected = op.primitive().eval(&[&x], &ty).unwrap();
                    for isa in Isa::available() {
                        let y = run(isa, std::slice::from_ref(&x), |x| x[0].tape().push(op.clone(), x));
                        assert!(y == expected, "{op} of {dtype} {shape}, {isa}: {y:?} is not {expected:?}");
                    }
                }
            }
        }
    }
}
