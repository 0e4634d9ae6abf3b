//! Every part of pooling against the interpreter, and against itself on every instruction set and number of
//! threads.
#![allow(missing_docs, clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_cpu::isa::Isa;
use ironlearn_ir::plan::Options;
use ironlearn_ir::prim::{Pool, PoolKind, PoolPart, philox};
use ironlearn_ir::*;

/// Small whole numbers, so that sums are exact and elements are equal now and then; some are NaN.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 += 1;
        philox(self.0, 3, 17)[0] as usize % n
    }
    fn each(&mut self, rank: usize, low: usize, high: usize) -> Vec<usize> {
        (0..rank).map(|_| low + self.below(high - low + 1)).collect()
    }
    fn array(&mut self, dtype: DType, shape: &Shape, nan: bool) -> Array {
        let whole: Vec<i32> = (0..shape.elements()).map(|_| self.below(21) as i32 - 10).collect();
        let mut float = |x: i32| if nan && self.below(9) == 0 { f64::NAN } else { f64::from(x) };
        match dtype {
            DType::F32 => Array::of(shape.clone(), whole.into_iter().map(|x| float(x) as f32).collect()),
            DType::F64 => Array::of(shape.clone(), whole.into_iter().map(float).collect()),
            DType::I8 => Array::of(shape.clone(), whole.into_iter().map(|x| x as i8).collect()),
            _ => Array::of(shape.clone(), whole),
        }
        .unwrap()
    }
    /// Windows over one to three axes, every other time the usual ones of two by two.
    fn pool(&mut self) -> Pool {
        let rank = 1 + self.below(3);
        let (size, stride) = match self.below(2) {
            0 => (vec![2; rank], vec![2; rank]),
            _ => (self.each(rank, 1, 3), self.each(rank, 1, 3)),
        };
        let room = self.each(rank, 0, [70, 40, 9][rank - 1]);
        let space: Vec<usize> = size.iter().zip(room).map(|(size, room)| size + room).collect();
        let x = Shape::from([&self.each(2, 1, 5)[..], &space].concat());
        let kinds = [
            (PoolKind::Sum, PoolPart::Output),
            (PoolKind::Sum, PoolPart::Spread),
            (PoolKind::Max, PoolPart::Output),
            (PoolKind::Max, PoolPart::Spread),
            (PoolKind::Max, PoolPart::Pick),
        ];
        let (kind, part) = kinds[self.below(kinds.len())];
        Pool { kind, part, size, stride, x }
    }
}

/// The bits of numbers, those of every NaN alike.
fn bits(a: &Array) -> Vec<u64> {
    let one = |x: f64| if x.is_nan() { f64::NAN.to_bits() } else { (x + 0.0).to_bits() };
    match a.dtype() {
        DType::F32 => a.as_slice::<f32>().unwrap().iter().map(|&x| one(f64::from(x))).collect(),
        DType::F64 => a.as_slice::<f64>().unwrap().iter().map(|&x| one(x)).collect(),
        DType::I8 => a.as_slice::<i8>().unwrap().iter().map(|&x| one(f64::from(x))).collect(),
        _ => a.as_slice::<i32>().unwrap().iter().map(|&x| one(f64::from(x))).collect(),
    }
}

#[test]
fn random_pooling_agrees_with_the_interpreter_to_the_bit() {
    let mut draw = Draw(0);
    for i in 0..300 {
        let dtype = [DType::F32, DType::F32, DType::F64, DType::I32][i % 4];
        let pool = draw.pool();
        let dtype = match (dtype, pool.kind) {
            (DType::I32, PoolKind::Max) if i % 8 == 3 => DType::I8,
            _ => dtype,
        };
        let (y, nan) = (pool.output().unwrap(), pool.kind == PoolKind::Max && i % 3 == 0);
        let operands = match (pool.kind, pool.part) {
            (_, PoolPart::Output) => vec![draw.array(dtype, &pool.x, nan)],
            (PoolKind::Sum, _) => vec![draw.array(dtype, &y, false)],
            (_, PoolPart::Spread) => vec![draw.array(dtype, &pool.x, nan), draw.array(dtype, &y, false)],
            _ => vec![draw.array(dtype, &pool.x, nan), draw.array(dtype, &pool.x, false)],
        };
        let tape = Tape::new(Mode::Infer);
        let ty = |a: &Array| TensorType::new(dtype, a.shape().clone());
        let inputs: Vec<Dyn> = operands.iter().map(|a| tape.input_of(ty(a))).collect();
        tape.output("z", tape.push(pool.clone(), &inputs));
        let graph = tape.finish().unwrap_or_else(|e| panic!("{e}")).0;
        let env = Env::new(operands.clone(), &Store::new(), ControlBlock::default());
        let values = interpret(&graph, &env).unwrap();
        let expected = bits(values[graph.outputs[0].1.index()].as_ref().unwrap());
        for (isa, threads) in Isa::available().into_iter().flat_map(|isa| [1, 2, 7].map(|t| (isa, t))) {
            let mut program = Cpu::with_isa(isa, threads).compile(&graph, Options::default()).unwrap();
            let views: Vec<ArrayView> = operands.iter().map(|a| a.view()).collect();
            program.run(&views, &mut Store::new(), &ControlBlock::default()).unwrap();
            let found = bits(&program.output(0).to_array());
            assert!(found == expected, "{pool:?} {dtype}: {isa} with {threads} threads");
        }
    }
}
