//! Every part of random convolutions against the interpreter, and against itself on every instruction set and
//! number of threads.
#![allow(clippy::unwrap_used, reason = "a test that fails here says where")]

use super::{Layout, Slide};
use crate::exec::Cpu;
use crate::isa::Isa;
use ironlearn_ir::plan::Options;
use ironlearn_ir::prim::{Conv, Part, Window, philox};
use ironlearn_ir::{
    Array, ControlBlock, DType, Env, Graph, Mode, Program, Shape, Store, Tape, TensorType, interpret,
};

/// Numbers that look random and are the same everywhere.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 += 1;
        philox(self.0, 5, 11)[0] as usize % n
    }
    fn each(&mut self, rank: usize, low: usize, high: usize) -> Vec<usize> {
        (0..rank).map(|_| low + self.below(high - low + 1)).collect()
    }
    fn array(&mut self, dtype: DType, shape: &Shape) -> Array {
        let n = shape.elements();
        let whole: Vec<i32> = (0..n).map(|_| self.below(2001) as i32 - 1000).collect();
        let floats = whole.iter().map(|&x| f64::from(x) / 1000.0);
        match dtype {
            DType::F32 => Array::of(shape.clone(), floats.map(|x| x as f32).collect()),
            DType::F64 => Array::of(shape.clone(), floats.collect()),
            // All of a byte, its ends often.
            DType::I8 => Array::of(
                shape.clone(),
                whole.iter().map(|&x| (x * 150 / 1000).clamp(-128, 127) as i8).collect(),
            ),
            DType::I16 => Array::of(
                shape.clone(),
                whole.iter().map(|&x| (x * 33).clamp(-32768, 32767) as i16).collect(),
            ),
            _ => Array::of(shape.clone(), whole),
        }
        .unwrap()
    }

    /// A convolution with one to three spatial axes; half of them of the usual kind, with larger images.
    fn conv(&mut self) -> Conv {
        loop {
            let usual = self.below(2) == 0;
            let rank = if usual { 1 + self.below(2) } else { 1 + self.below(3) };
            let most = [60, 24, 7][rank - 1];
            let (space, window) = (self.each(rank, 1, most), self.each(rank, 1, 4));
            let groups = [1, 1, 2, 3][self.below(4)];
            let (inputs, outputs) = (1 + self.below(6), 1 + self.below(if usual { 40 } else { 5 }));
            let (stride, dilation) = match usual {
                true => (vec![1; rank], vec![1; rank]),
                false => (self.each(rank, 1, 4), self.each(rank, 1, 3)),
            };
            let (before, after) = (self.each(rank, 0, 3), self.each(rank, 0, 3));
            let images = [1, 2, 5, 17][self.below(4)];
            let x = Shape::from([&[images, groups * inputs], &space[..]].concat());
            let w = Shape::from([&[groups * outputs, inputs], &window[..]].concat());
            let part = [Part::Output, Part::GradInput, Part::GradKernel][self.below(3)];
            let conv = Conv { part, window: Window { stride, dilation, before, after, groups }, x, w };
            let small =
                conv.output().is_ok_and(|y| y.elements() * conv.w[1..].iter().product::<usize>() < 300_000);
            if small {
                return conv;
            }
        }
    }
}

/// The operands of a convolution.
fn operands(conv: &Conv, dtype: DType, draw: &mut Draw) -> Vec<Array> {
    let y = conv.output().unwrap();
    let (a, b) = match conv.part {
        Part::Output => (&conv.x, &conv.w),
        Part::GradInput => (&y, &conv.w),
        Part::GradKernel => (&conv.x, &y),
    };
    vec![draw.array(dtype, a), draw.array(dtype, b)]
}

/// Its graph, where the second operand is an input or a constant.
fn graph(conv: &Conv, operands: &[Array], constant: bool) -> Graph {
    let tape = Tape::new(Mode::Infer);
    let input = |a: &Array| tape.input_of(TensorType::new(a.dtype(), a.shape().clone()));
    let a = input(&operands[0]);
    let b = if constant { tape.constant_of(operands[1].clone()) } else { input(&operands[1]) };
    tape.output("z", a.conv(b, conv.clone()));
    tape.finish().unwrap_or_else(|e| panic!("{e}")).0
}

fn run(graph: &Graph, operands: &[Array], isa: Isa, threads: usize) -> Array {
    let mut program = Cpu::with_isa(isa, threads).compile(graph, Options::default()).unwrap();
    let views: Vec<_> = operands.iter().take(graph.inputs.len()).map(|a| a.view()).collect();
    program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap();
    program.output(0).to_array()
}

fn numbers(a: &Array) -> Vec<f64> {
    match a.dtype() {
        DType::F32 => a.as_slice::<f32>().unwrap().iter().map(|&x| f64::from(x)).collect(),
        DType::F64 => a.as_slice::<f64>().unwrap().to_vec(),
        _ => a.as_slice::<i32>().unwrap().iter().map(|&x| f64::from(x)).collect(),
    }
}

/// Compares one convolution in all its forms.
fn check(conv: &Conv, dtype: DType, draw: &mut Draw) {
    let operands = operands(conv, dtype, draw);
    let [graph, prepared] = [false, true].map(|constant| graph(conv, &operands, constant));
    let env = Env::new(operands.clone(), &Store::new(), ControlBlock::default());
    let values = interpret(&graph, &env).unwrap();
    let expected = numbers(values[graph.outputs[0].1.index()].as_ref().unwrap());
    let first = run(&graph, &operands, Isa::SCALAR, 1);
    let most = expected.iter().fold(1.0, |most: f64, x| most.max(x.abs()));
    let bound = match dtype {
        DType::F32 => 1e-5 * most,
        DType::F64 => 1e-13 * most,
        _ => 0.0,
    };
    for (i, (x, y)) in numbers(&first).iter().zip(&expected).enumerate() {
        assert!((x - y).abs() <= bound, "{conv:?} {dtype}: element {i} is {x}, not {y}");
    }
    for isa in Isa::available() {
        let constant = run(&prepared, &operands, isa, 1);
        assert!(same_bits(&first, &constant), "{conv:?} {dtype}: {isa}, a constant kernel");
        for threads in [1, 2, 7] {
            let other = run(&graph, &operands, isa, threads);
            assert!(same_bits(&first, &other), "{conv:?} {dtype}: {isa} with {threads} threads");
        }
    }
}

fn same_bits(a: &Array, b: &Array) -> bool {
    let bits = |a: &Array| numbers(a).iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    bits(a) == bits(b)
}

#[test]
fn random_convolutions_agree_with_the_interpreter_and_bit_for_bit_with_each_other() {
    let mut draw = Draw(0);
    for i in 0..210 {
        let dtype = [DType::F32, DType::I8, DType::F64, DType::I16, DType::F32, DType::I8, DType::I32][i % 7];
        let conv = draw.conv();
        check(&conv, dtype, &mut draw);
    }
}

/// Images that are cut into bands, sums of several blocks, narrow rows.
#[test]
fn large_and_narrow_images() {
    let conv = |part, x: [usize; 4], w: [usize; 4], stride: usize, padding: usize| Conv {
        part,
        window: Window {
            stride: vec![stride; 2],
            dilation: vec![1, 1],
            before: vec![padding; 2],
            after: vec![padding; 2],
            groups: x[1] / w[1],
        },
        x: x.into(),
        w: w.into(),
    };
    let mut draw = Draw(1 << 32);
    for part in [Part::Output, Part::GradInput, Part::GradKernel] {
        check(&conv(part, [1, 40, 40, 44], [9, 40, 3, 3], 1, 1), DType::F32, &mut draw);
        check(&conv(part, [1, 6, 37, 50], [4, 3, 5, 3], 2, 2), DType::F32, &mut draw);
        check(&conv(part, [3, 33, 7, 7], [10, 33, 3, 3], 1, 1), DType::F32, &mut draw);
        check(&conv(part, [2, 16, 9, 3], [16, 1, 3, 3], 1, 1), DType::F32, &mut draw);
        for dtype in [DType::I8, DType::I16] {
            check(&conv(part, [2, 1, 28, 28], [32, 1, 3, 3], 1, 1), dtype, &mut draw);
            check(&conv(part, [1, 32, 14, 14], [64, 32, 3, 3], 1, 1), dtype, &mut draw);
            check(&conv(part, [1, 40, 40, 44], [9, 40, 3, 3], 1, 1), dtype, &mut draw);
            check(&conv(part, [1, 6, 37, 50], [4, 3, 5, 3], 2, 2), dtype, &mut draw);
            check(&conv(part, [2, 16, 9, 3], [16, 1, 3, 3], 1, 1), dtype, &mut draw);
        }
    }
}

/// Rows that fill registers of 64 bytes less well than channels do, of 14, 8, 4 and 3 results.
#[test]
fn lanes_that_are_channels() {
    let mut draw = Draw(2 << 32);
    let shapes = [
        ([2, 16, 14, 14], [32, 16, 3, 3], 1),
        ([1, 48, 3, 8], [42, 48, 3, 3], 1),
        ([2, 32, 4, 4], [64, 32, 3, 3], 1),
        ([1, 32, 3, 3], [64, 32, 3, 3], 1),
        ([1, 64, 28, 28], [32, 64, 3, 3], 2),
    ];
    let mut across = [0; 3];
    for (x, w, stride) in shapes {
        for part in [Part::Output, Part::GradInput] {
            let (stride, dilation) = (vec![stride; 2], vec![1; 2]);
            let window = Window { stride, dilation, before: vec![1; 2], after: vec![1; 2], groups: 1 };
            let conv = Conv { part, window, x: x.into(), w: w.into() };
            let y = conv.output().unwrap();
            let layout = Layout { lanes: 16, wide: true, group: 1, bytes: 4, headed: false, exact: false };
            let layouts = [
                (DType::F32, layout),
                (DType::F64, Layout { lanes: 8, bytes: 8, ..layout }),
                (DType::I8, Layout { group: 4, headed: true, exact: true, ..layout }),
            ];
            for (which, (dtype, layout)) in layouts.into_iter().enumerate() {
                across[which] += usize::from(Slide::new(&conv, &y, layout).across);
                check(&conv, dtype, &mut draw);
            }
        }
    }
    assert_eq!(across, [10, 8, 10]);
}
