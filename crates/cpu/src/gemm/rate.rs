//! How fast products go: `cargo test --release -p ironlearn-cpu -- --ignored --nocapture gemm_rate`.

use super::{Extent, GemmPlan, GemmSpec, PackedGemm, Strides};
use crate::isa::Isa;
use crate::pool::Pool;
use ironlearn_ir::DType;
use std::time::{Duration, Instant};

/// A product of zeros; whether A and B lie transposed.
struct Shape(&'static str, DType, [usize; 3], bool, bool);

const SHAPES: &[Shape] = &[
    Shape("square", DType::F32, [1024, 1024, 1024], false, false),
    Shape("square", DType::F64, [1024, 1024, 1024], false, false),
    Shape("square", DType::Bf16, [1024, 1024, 1024], false, false),
    Shape("square", DType::I8, [1024, 1024, 1024], false, false),
    Shape("square", DType::I32, [1024, 1024, 1024], false, false),
    Shape("square", DType::C64, [256, 256, 256], false, false),
    Shape("layer", DType::F32, [40000, 256, 256], false, false),
    Shape("layer, weights transposed", DType::F32, [40000, 256, 256], false, true),
    Shape("weight gradient", DType::F32, [256, 256, 40000], true, false),
    Shape("first layer", DType::F32, [40000, 256, 2], false, false),
    Shape("its gradient", DType::F32, [2, 256, 40000], true, false),
    Shape("last layer", DType::F32, [40000, 1, 128], false, false),
    Shape("its gradient", DType::F32, [128, 1, 40000], true, false),
    Shape("leaf", DType::F32, [128, 256, 256], false, false),
    Shape("small batch", DType::F32, [32, 128, 784], false, false),
    Shape("its gradient", DType::F32, [784, 128, 32], true, false),
    Shape("small square", DType::F32, [64, 64, 64], false, false),
    Shape("attention", DType::F32, [64, 64, 32], false, true),
    Shape("matrix by vector", DType::F32, [1024, 1, 1024], false, false),
    Shape("vector by matrix", DType::F32, [1, 1024, 1024], false, false),
    Shape("one picture", DType::F32, [1, 128, 784], false, false),
    Shape("regression", DType::F64, [10000, 1, 30], false, false),
    Shape("its gradient", DType::F64, [30, 1, 10000], true, false),
    Shape("tiny", DType::F32, [4, 4, 2], false, false),
];

/// Memory aligned to cache lines.
fn bytes(len: usize) -> Vec<[u64; 8]> {
    vec![[0; 8]; len.div_ceil(64) + 1]
}

fn aligned(memory: &mut [[u64; 8]]) -> *mut u8 {
    let start = memory.as_mut_ptr().cast::<u8>();
    start.wrapping_add(start.align_offset(64))
}

/// The shortest time of one product of those that take 0.3 s together.
fn seconds(shape: &Shape, pool: &Pool) -> f64 {
    let &Shape(_, dtype, [m, n, k], at, bt) = shape;
    let strides = |rows: usize, cols: usize, transposed: bool| match transposed {
        true => Strides::row_major(rows).transposed(),
        false => Strides::row_major(cols),
    };
    let (a, b) = (strides(m, k, at), strides(k, n, bt));
    let spec = GemmSpec { m, n, k, a_dtype: dtype, b_dtype: dtype, a, b, ldc: n, accumulate: false };
    let plan = GemmPlan::new(Isa::detect(), spec, pool.threads()).expect("a kernel");
    let (mut a, mut b) = (bytes(m * k * dtype.size()), bytes(k * n * dtype.size()));
    let (mut c, mut scratch) = (bytes(m * n * spec.c_dtype().size()), bytes(plan.scratch_bytes()));
    let (a, b) = (aligned(&mut a), aligned(&mut b));
    let (c, scratch) = (aligned(&mut c), aligned(&mut scratch));
    let start = Instant::now();
    let mut best = f64::INFINITY;
    // Many of those that are too short to measure.
    let times = (100_000 / (m * n * k)).max(1);
    while start.elapsed() < Duration::from_millis(300) {
        let before = Instant::now();
        for _ in 0..times {
            // SAFETY: the memory has the sizes of the shape and of the plan's scratch memory, and is aligned.
            unsafe { plan.run(pool, a, b, c, scratch) };
        }
        best = best.min(before.elapsed().as_secs_f64() / times as f64);
    }
    best
}

#[test]
#[ignore = "a benchmark: run it in release, alone"]
fn gemm_rate() {
    println!("{}: GFLOP/s with 1 and 2 threads, multiplication and addition counted as two", Isa::detect());
    for shape in SHAPES {
        let Shape(name, dtype, [m, n, k], ..) = shape;
        let (one, two) = (seconds(shape, &Pool::new(1)), seconds(shape, &Pool::new(2)));
        let flops = (2 * m * n * k) as f64 / 1e9;
        let (rate, rates, time) = (flops / one, flops / two, one * 1e6);
        println!("{name:26} {dtype:10} {m:5} x {n:4} x {k:5} {rate:8.1} {rates:8.1} {time:10.2} us");
    }
}

/// Products of blocks of rows: of a layer's rows by its weights, whose gradient is that of as long a sum.
const BLOCKS: &[[usize; 3]] = &[
    [256, 256, 256],
    [128, 256, 256],
    [256, 128, 784],
    [256, 10, 128],
    [256, 256, 2],
    [256, 1, 128],
    [1024, 1, 128],
    [128, 512, 512],
    [128, 1024, 1024],
];

/// The shortest time of a call of those that take 0.2 s together.
fn shortest(mut call: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = f64::INFINITY;
    while start.elapsed() < Duration::from_millis(200) {
        let before = Instant::now();
        call();
        best = best.min(before.elapsed().as_secs_f64());
    }
    best
}

#[test]
#[ignore = "a benchmark: run it in release, alone"]
fn gemm_block_rate() {
    println!("{}: GFLOP/s of rows x columns x length of f32 on one thread", Isa::detect());
    println!("{:20} {:>8} {:>8} {:>8} {:>8}", "", "weights", "packing", "inputs'", "weights'");
    for &[m, n, k] in BLOCKS {
        let mut memory = [m * k, k * n, m * n, k * n].map(|len| bytes(4 * len));
        let [x, w, y, g] = memory.each_mut().map(|memory| aligned(memory));
        let (a_dtype, b_dtype, accumulate) = (DType::F32, DType::F32, false);
        let layer = GemmSpec {
            m,
            n,
            k,
            a_dtype,
            b_dtype,
            accumulate,
            a: Strides::row_major(k),
            b: Strides::row_major(n),
            ldc: n,
        };
        // dX = dY·W^T, dW = X^T·dY
        let inputs =
            GemmSpec { n: k, k: n, a: Strides::row_major(n), b: layer.b.transposed(), ldc: k, ..layer };
        let weights = GemmSpec { m: k, k: m, a: layer.a.transposed(), b: layer.b, ..layer };
        let flops = (2 * m * n * k) as f64 / 1e9;
        let forward = PackedGemm::new(Isa::detect(), layer).expect("a kernel");
        let column = GemmPlan::new(Isa::detect(), layer, 1).expect("a kernel");
        let backward = PackedGemm::new(Isa::detect(), inputs).expect("a kernel");
        let gradient = GemmPlan::new(Isa::detect(), weights, 1).expect("a kernel");
        let sizes = [
            forward.packed_bytes(),
            backward.packed_bytes(),
            column.worker_bytes().max(backward.worker_bytes()).max(gradient.worker_bytes()),
        ];
        let mut memory = sizes.map(bytes);
        let [there, back, scratch] = memory.each_mut().map(|memory| aligned(memory));
        // SAFETY: the memory has the sizes of the shapes and of the plans, and is aligned.
        let times = unsafe {
            forward.pack(0..forward.pack_tasks(), w, there);
            let extent = Extent { m: k, k: m, accumulate: true };
            [
                match n {
                    1 => shortest(|| column.run_serial(x, w, y, scratch)),
                    _ => shortest(|| forward.run(m, false, x, there, y, scratch)),
                },
                shortest(|| backward.pack(0..backward.pack_tasks(), w, back)),
                shortest(|| backward.run(m, false, y, back, x, scratch)),
                shortest(|| gradient.run_part(extent, x, y, g, scratch)),
            ]
        };
        let [there, packing, back, gradient] = times;
        println!(
            "{:20} {:8.1} {:6.1}us {:8.1} {:8.1}",
            format!("{m} x {n} x {k}"),
            flops / there,
            packing * 1e6,
            flops / back,
            flops / gradient
        );
    }
}
