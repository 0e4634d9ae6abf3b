//! How fast products of bytes go, beside those of `f32`, on one thread:
//! `cargo test --release -p ironlearn-cpu --lib -- --ignored --nocapture byte_rate`.

use crate::gemm::{GemmPlan, GemmSpec, Strides};
use crate::isa::Isa;
use ironlearn_ir::DType;
use std::time::{Duration, Instant};

/// A product; whether A and B lie transposed.
struct Shape(&'static str, [usize; 3], bool, bool);

const SHAPES: &[Shape] = &[
    Shape("square", [1024, 1024, 1024], false, false),
    Shape("square, weights transposed", [1024, 1024, 1024], false, true),
    Shape("layer", [1024, 200, 784], false, true),
    Shape("layer", [1024, 100, 200], false, true),
    Shape("layer", [1024, 50, 100], false, true),
    Shape("layer", [1024, 10, 50], false, true),
    Shape("its inputs' gradient", [1024, 784, 200], false, false),
    Shape("its weights' gradient", [200, 784, 1024], true, false),
    Shape("small square", [64, 64, 64], false, false),
    Shape("one row", [1, 200, 784], false, true),
    Shape("one row", [1, 1024, 1024], false, true),
    Shape("one row by rows", [1, 784, 200], false, false),
    Shape("rows", [2, 200, 784], false, true),
    Shape("rows", [4, 200, 784], false, true),
    Shape("rows", [8, 200, 784], false, true),
    Shape("rows", [16, 200, 784], false, true),
    Shape("rows", [32, 200, 784], false, true),
];

/// Time that this thread has run, where the system tells, to a tick; it leaves out what other programs take.
fn running(start: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// Seconds of one product, the least of several measurements.
fn seconds(isa: Isa, dtype: DType, shape: &Shape) -> f64 {
    let &Shape(_, [m, n, k], at, bt) = shape;
    let strides = |rows: usize, cols: usize, transposed: bool| match transposed {
        true => Strides::row_major(rows).transposed(),
        false => Strides::row_major(cols),
    };
    let (a, b) = (strides(m, k, at), strides(k, n, bt));
    let spec = GemmSpec { m, n, k, a_dtype: dtype, b_dtype: dtype, a, b, ldc: n, accumulate: false };
    let plan = GemmPlan::new(isa, spec, 1).expect("a kernel");
    let sizes = [m * k * dtype.size(), k * n * dtype.size(), m * n * 4, plan.worker_bytes()];
    let mut memory = sizes.map(|bytes| vec![[0_u64; 8]; bytes / 64 + 2]);
    let [a, b, c, scratch] = memory.each_mut().map(|memory| {
        let start = memory.as_mut_ptr().cast::<u8>();
        start.wrapping_add(start.align_offset(64))
    });
    // SAFETY: the memory has the sizes of the shape and of the plan's scratch memory, and is aligned.
    let product = || unsafe { plan.run_serial(a, b, c, scratch) };
    product();
    let times = (20_000_000 / (m * n * k)).max(1);
    let start = Instant::now();
    let mut best = f64::INFINITY;
    // From one tick to another, some ticks later.
    let mut tick = running(start);
    let mut begin = None;
    let mut products = 0;
    for _ in 0..4 {
        loop {
            (0..times).for_each(|_| product());
            products += times;
            let now = running(start);
            match begin {
                _ if now == tick => {}
                None => (begin, products) = (Some(now), 0),
                Some(begin) if now - begin < Duration::from_millis(40) => {}
                Some(begin) => {
                    best = best.min((now - begin).as_secs_f64() / products as f64);
                    tick = now;
                    break;
                }
            }
            tick = now;
        }
        begin = None;
    }
    best
}

#[test]
#[ignore = "a benchmark: run it in release, alone"]
fn byte_rate() {
    let widest = Isa::detect();
    println!(
        "Gop/s on one thread, and the ratio to f32 on {widest:?}; a multiplication and an addition are two"
    );
    for shape in SHAPES {
        let Shape(name, [m, n, k], ..) = shape;
        let ops = (2 * m * n * k) as f64 / 1e9;
        let float = seconds(widest, DType::F32, shape);
        print!("{name:26} {m:4} x {n:4} x {k:4}: f32 {:6.1}", ops / float);
        for isa in Isa::available().into_iter().filter(|&isa| isa != Isa::SCALAR) {
            let time = seconds(isa, DType::I8, shape);
            print!("  {isa:?} {:6.1} {:5.2}x", ops / time, float / time);
        }
        println!();
    }
}
