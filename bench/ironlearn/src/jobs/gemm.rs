//! gemm: matrix products.

use crate::args::Args;
use crate::work::{Unit, Work, options};
use ironlearn::Error;
use ironlearn::prelude::*;
use ironlearn_ir::{ArrayView, DataRef, Num, bf16};

/// `TYPE-SIZE` or `TYPE-MxNxK`.
pub fn gemm(args: &Args, case: &str) -> Result<Work, Error> {
    let wrong = || Error::usage(format!("no case {case} of gemm"), "such as f32-1024 or f32-128x256x256");
    let (dtype, size) = case.split_once('-').ok_or_else(wrong)?;
    let sizes: Result<Vec<usize>, _> = size.split('x').map(str::parse).collect();
    let [m, n, k] = match sizes.map_err(|_| wrong())?[..] {
        [n] => [n; 3],
        [m, n, k] => [m, n, k],
        _ => return Err(wrong()),
    };
    match dtype {
        "f32" => product(args, [m, n, k], |x| (x % 17 - 8) as f32 / 8.0),
        "f64" => product(args, [m, n, k], |x| (x % 17 - 8) as f64 / 8.0),
        "bf16" => product(args, [m, n, k], |x| bf16::from_f32((x % 17 - 8) as f32 / 8.0)),
        "i8" => product(args, [m, n, k], |x| (x % 255 - 127) as i8),
        _ => Err(wrong()),
    }
}

fn product<T: Num>(args: &Args, [m, n, k]: [usize; 3], value: fn(i64) -> T) -> Result<Work, Error> {
    let matrix = |rows: usize, cols: usize| {
        let at = |i: usize| value(((i / cols) * 7 + (i % cols) * 13) as i64);
        Tensor::new([rows, cols], (0..rows * cols).map(at).collect())
    };
    let (a, b) = (matrix(m, k)?, matrix(k, n)?);
    let scope = Scope::root(0);
    let signature = (input_of::<T>([m, k]), input_of::<T>([k, n]));
    let mut infer = Infer::build(&options(args)?, &scope, signature, |_, (a, b)| Outputs::of("c", a.dot(b)))?;
    Ok(Work::new(Unit::Rate("GFLOP/s", 2e-9 * (m * n * k) as f64), &scope, move |steps| {
        for _ in 1..steps {
            infer.run(&(&a, &b))?;
        }
        let report = infer.run(&(&a, &b))?;
        Ok(report.get("c").map_or(f64::NAN, |c| diagonal(c, m.min(n), n + 1)))
    }))
}

/// Mean size of so many elements that lie so far apart.
fn diagonal(c: ArrayView<'_>, count: usize, step: usize) -> f64 {
    let at = |i: usize| match c.data() {
        DataRef::F32(c) => f64::from(c[i]),
        DataRef::F64(c) => c[i],
        DataRef::I32(c) => f64::from(c[i]),
        _ => f64::NAN,
    };
    (0..count).map(|i| at(i * step).abs()).sum::<f64>() / count as f64
}
