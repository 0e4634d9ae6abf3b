//! How fast the pieces of integer networks go:
//! `cargo test --release -p ironlearn-cpu --test integer_rate -- --ignored --nocapture`.
#![allow(missing_docs, clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_cpu::isa::Isa;
use ironlearn_ir::plan::Options;
use ironlearn_ir::prim::{Conv, Part, RandomBits, Window};
use ironlearn_ir::*;
use std::time::{Duration, Instant};

/// Seconds that this thread has been running, where Linux tells: what others do meanwhile does not count.
fn running() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? * 1e-9)
}

/// The shortest time of a run of the graph, of those that take 0.2 s together.
fn seconds(isa: Isa, threads: usize, inputs: &[Array], trace: impl for<'g> Fn(&[Dyn<'g>]) -> Dyn<'g>) -> f64 {
    let tape = Tape::new(Mode::Infer);
    let ty = |a: &Array| TensorType::new(a.dtype(), a.shape().clone());
    let x: Vec<Dyn<'_>> = inputs.iter().map(|a| tape.input_of(ty(a))).collect();
    tape.output("y", trace(&x));
    let graph = tape.finish().unwrap_or_else(|e| panic!("{e}")).0;
    let mut program = Cpu::with_isa(isa, threads).compile(&graph, Options::default()).unwrap();
    let views: Vec<_> = inputs.iter().map(|a| a.view()).collect();
    let (mut store, control) = (Store::new(), ControlBlock::default());
    let (start, mut best) = (Instant::now(), f64::INFINITY);
    while start.elapsed() < Duration::from_millis(200) {
        let (before, ran) = (Instant::now(), running());
        program.run(&views, &mut store, &control).unwrap();
        let elapsed = before.elapsed().as_secs_f64();
        let own = if threads == 1 { running().zip(ran).map(|(now, then)| now - then) } else { None };
        // The system may count in ticks longer than a run.
        let own = own.filter(|&own| own > 0.0);
        best = best.min(own.map_or(elapsed, |own| own.min(elapsed)));
    }
    best
}

/// A step of training in integers: weights of 16 bits, momentum, gradients, and whole numbers.
fn update<'g>(x: &[Dyn<'g>]) -> Dyn<'g> {
    let w = Var::<i16>::of(x[0]);
    let [v, g, up, down, half, bound, multiplier, unused] =
        [1, 2, 3, 4, 5, 6, 7, 8].map(|i| Var::<i32>::of(x[i]));
    let bit = up.cast::<i16>();
    let halved = ((w >> bit) + (w & bit)).cast::<i32>();
    let g = ((g.minimum(bound).maximum(-bound) << up) + half) >> down;
    let v = v + ((g + ((halved << up) >> down) - v) >> down);
    let (tape, scalars) = (x[0].tape(), [9, 10, 11].map(|i| x[i]));
    let bits = Var::<u32>::of(tape.push(RandomBits { shape: w.shape(), stream: 5 }, &scalars));
    let random = (bits >> unused.cast::<u32>()).cast::<i32>();
    let change = (v * multiplier + random) >> down;
    (halved - change).maximum(-32_767).cast::<i16>().node()
}

/// Numbers of a type that look random.
fn array(dtype: DType, shape: impl Into<Shape>) -> Array {
    let shape = shape.into();
    let op = RandomBits { shape: shape.clone(), stream: 1 };
    let mut bits = vec![0; shape.elements()];
    op.fill(1, 2, 0, 0, &mut bits);
    match dtype {
        DType::F32 => Array::of(shape, bits.iter().map(|&x| x as f32 / u32::MAX as f32 - 0.5).collect()),
        DType::I8 => Array::of(shape, bits.iter().map(|&x| (x >> 24) as i8).collect()),
        DType::I16 => Array::of(shape, bits.iter().map(|&x| (x >> 16) as i16).collect()),
        DType::U8 => Array::of(shape, bits.iter().map(|&x| (x >> 24) as u8).collect()),
        _ => Array::of(shape, bits.iter().map(|&x| x as i32 >> 8).collect()),
    }
    .unwrap()
}

/// The upper bits of weights, as products take them.
fn upper_bits<'g>(x: &[Dyn<'g>]) -> Dyn<'g> {
    let (w, s) = (Var::<i32>::of(x[0].cast(DType::I32)), Var::<i32>::of(x[1]));
    ((w + ((w >> s) & s) + s) >> s).maximum(-127).node().cast(DType::I8)
}

fn instruction_sets() -> Vec<Isa> {
    let all = Isa::available();
    all.into_iter().filter(|isa| ["avx2", "avx512"].contains(&isa.name())).collect()
}

#[test]
#[ignore = "a benchmark: run it in release, alone"]
fn integer_rate() {
    let n = 1 << 20;
    let one = |x: i32| Array::of([1], vec![x]).unwrap();
    let table = Array::of([256], (0..256).map(|i| (i - 128) as i8).collect()).unwrap();
    let scalars = [9i64, 4, 0].map(|x| Array::of(Shape::scalar(), vec![x]).unwrap());
    let words = array(DType::I32, [n]);
    let bytes = array(DType::I8, [n]);
    type Trace = for<'g> fn(&[Dyn<'g>]) -> Dyn<'g>;
    let rescale: Trace = |x| Var::<i32>::of(x[0]).mul_shift_round(Var::of(x[1]), Var::of(x[2])).node();
    let requantize: Trace = |x| {
        let y = Var::<i32>::of(x[0]).mul_shift_round(Var::of(x[1]), Var::of(x[2])).node();
        y.cast(DType::I8)
    };
    let batch = |dtype| array(dtype, [64, n / 64]);
    let channels = |x: i32| Array::of([n / 4096], vec![x; n / 4096]).unwrap();
    let cases: Vec<(&str, Vec<Array>, Trace)> = vec![
        ("mul_shift_round, one scale", vec![words.clone(), one(1 << 30 | 77), one(40)], rescale),
        (
            "mul_shift_round, by channel",
            vec![array(DType::I32, [4096, n / 4096]), channels(1 << 30 | 77), channels(40)],
            rescale,
        ),
        ("mul_shift_round, each", vec![words.clone(), words.clone(), words.clone()], rescale),
        ("mul_shift_round to i8", vec![words.clone(), one(1 << 30 | 77), one(40)], requantize),
        ("i32 to i8", vec![words.clone()], |x| x[0].cast(DType::I8)),
        ("i8 to i32", vec![bytes.clone()], |x| x[0].cast(DType::I32)),
        ("i16 to i8", vec![array(DType::I16, [n])], |x| x[0].cast(DType::I8)),
        ("i32 to i64", vec![words.clone()], |x| x[0].cast(DType::I64)),
        ("i8 + i8", vec![bytes.clone(), bytes.clone()], |x| (Var::<i8>::of(x[0]) + Var::of(x[1])).node()),
        ("i8 max, one", vec![bytes.clone(), array(DType::I8, [1])], |x| {
            Var::<i8>::of(x[0]).maximum(Var::<i8>::of(x[1])).node()
        }),
        ("i32 >> one", vec![words.clone(), one(5)], |x| (Var::<i32>::of(x[0]) >> Var::of(x[1])).node()),
        ("i8 < i8", vec![bytes.clone(), bytes.clone()], |x| x[0].less(x[1])),
        ("i8 where i8 < i8", vec![bytes.clone(), bytes.clone()], |x| x[0].less(x[1]).select(x[1], x[0])),
        ("random bits", scalars.to_vec(), |x| {
            x[0].tape().push(RandomBits { shape: [1 << 20].into(), stream: 5 }, x)
        }),
        (
            "update of weights",
            [array(DType::I16, [n]), words.clone(), words.clone()]
                .into_iter()
                .chain([1, 3, 4, 1 << 20, 9, 3].map(one))
                .chain(scalars.clone())
                .collect(),
            update,
        ),
        ("upper bits of weights", vec![array(DType::I16, [n]), one(8)], upper_bits),
        ("largest i32", vec![words.clone()], |x| x[0].max(&[0])),
        ("largest |i32|", vec![words.clone()], |x| Var::<i32>::of(x[0]).abs().node().max(&[0])),
        ("largest i8", vec![bytes.clone()], |x| x[0].max(&[0])),
        ("index of the largest i32", vec![words.clone()], |x| x[0].argmax(0)),
        ("index in rows of 1024 i8", vec![array(DType::I8, [n / 1024, 1024])], |x| x[0].argmax(1)),
        ("sum of i8 over a batch", vec![batch(DType::I8)], |x| x[0].sum(&[0])),
        ("sum of i32 over a batch", vec![batch(DType::I32)], |x| x[0].sum(&[0])),
        ("table by u8", vec![table.clone(), array(DType::U8, [n])], |x| x[0].gather(x[1], 0)),
        ("table by i8 + 128", vec![table, bytes], |x| {
            let offset = Var::<i32>::of(x[1].cast(DType::I32));
            x[0].gather((offset + Var::of(offset.node().filled(128.0))).node(), 0)
        }),
    ];
    println!("ns for an element, one thread and two");
    for isa in instruction_sets() {
        for (name, inputs, trace) in &cases {
            let [one, two] = [1, 2].map(|t| seconds(isa, t, inputs, trace) * 1e9 / n as f64);
            println!("{isa:?} {name:30} {one:7.3} {two:7.3}");
        }
    }
}

#[test]
#[ignore = "a benchmark: run it in release, alone"]
fn convolution_rate() {
    println!("ms, one thread and two; 64 images, windows of 3 by 3");
    for isa in instruction_sets() {
        for (inputs, outputs, side) in [(1, 32, 28), (32, 64, 14)] {
            for part in [Part::Output, Part::GradInput, Part::GradKernel] {
                let (x, w) = (Shape::from([64, inputs, side, side]), Shape::from([outputs, inputs, 3, 3]));
                let ones = vec![1; 2];
                let window = Window {
                    stride: ones.clone(),
                    dilation: ones.clone(),
                    before: ones.clone(),
                    after: ones,
                    groups: 1,
                };
                let conv = Conv { part, window, x, w };
                let y = conv.output().unwrap();
                let (a, b) = match part {
                    Part::Output => (&conv.x, &conv.w),
                    Part::GradInput => (&y, &conv.w),
                    Part::GradKernel => (&conv.x, &y),
                };
                print!("{isa:?} {inputs:2} to {outputs} of {side} {part:?}:");
                for dtype in [DType::F32, DType::I8, DType::I16, DType::I32] {
                    let operands = [array(dtype, a.clone()), array(dtype, b.clone())];
                    let times =
                        [1, 2].map(|t| seconds(isa, t, &operands, |x| x[0].conv(x[1], conv.clone())) * 1e3);
                    print!("  {dtype} {:.3} {:.3}", times[0], times[1]);
                }
                println!();
            }
        }
    }
}
