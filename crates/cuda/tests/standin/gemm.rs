//! The templates of matrix products against plain loops: every tile, all four ways that A and B can lie in memory, shapes
//! that fit the tiles and shapes that do not, sums in parts, batches.

use crate::device::{Device, OK, cu, launch, synchronize};
use cudarc::driver::sys::CUfunction_attribute as Attribute;
use half::bf16;
use ironlearn_cuda::choice::tiles::{Choice, Precision, tiles};
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier;
use std::ffi::CString;
use std::fmt::Write;
use std::ptr::null_mut;

const TEXTS: [&str; 7] = [
    include_str!("../../kernels/gemm_common.cuh"),
    include_str!("../../kernels/gemm_mma.cuh"),
    include_str!("../../kernels/gemm_splitk.cuh"),
    include_str!("../../kernels/gemm_f32.cuh"),
    include_str!("../../kernels/gemm_tf32.cuh"),
    include_str!("../../kernels/gemm_bf16.cuh"),
    include_str!("../../kernels/gemm_wgmma.cuh"),
];
const EPILOGUE: &str = r#"
// Adds to zeros: what is written twice is seen.
template <class P>
struct Add {
  static constexpr unsigned SUMS = 0;
  struct Loaded {};
  float* out;
  __device__ __forceinline__ void load(unsigned long long, unsigned, unsigned, Loaded&) const {}
  __device__ __forceinline__ void one(unsigned long long batch, unsigned row, unsigned col, float v) const {
    out[(batch * P::M + row) * P::N + col] += v;
  }
  template <class S>
  __device__ __forceinline__ void operator()(unsigned long long batch, unsigned row, unsigned col, float (&v)[8], const Loaded&, S&) const {
    for (int j = 0; j < 8; j++) one(batch, row, col + j, v[j]);
  }
};
"#;

/// What lies behind the end of a row, or of no matrix: never to be read.
const NEVER: f32 = f32::NAN;

/// `[m, n, k]`, elements after each row of A and B, what divides the addresses in bytes, parts of the sum, batch.
type Shape = ([usize; 3], [usize; 2], usize, usize, usize);
const SHAPES: [Shape; 9] = [
    ([1, 1, 1], [0, 0], 4, 1, 1),
    ([31, 33, 127], [0, 0], 4, 1, 1),
    ([129, 136, 40], [8, 0], 16, 1, 1),
    ([257, 129, 66], [0, 1], 4, 1, 1),
    ([33, 260, 68], [0, 0], 8, 1, 2),
    ([128, 256, 128], [0, 0], 16, 1, 1),
    ([40, 72, 500], [0, 0], 16, 3, 2),
    ([33, 31, 70], [3, 0], 4, 7, 1),
    ([24, 32, 3000], [0, 0], 16, 33, 1),
];

/// A sum for which every tile uses each of its stages more than once.
const LONG: Shape = ([40, 72, 600], [0, 0], 16, 1, 1);

struct Case {
    function: &'static str,
    precision: Precision,
    tile: Choice,
    shape: Shape,
    /// A with M contiguous, B with K contiguous.
    turned: [bool; 2],
}

/// Rows of memory, each of `length` elements that are read, `step` apart.
struct Rows {
    values: Vec<f32>,
    step: usize,
    matrix: usize,
    turned: bool,
}

impl Rows {
    fn random(rng: &mut Rng, [rows, columns]: [usize; 2], turned: bool, gap: usize, batch: usize) -> Rows {
        let (high, length) = if turned { (columns, rows) } else { (rows, columns) };
        let (step, matrix) = (length + gap, high * (length + gap));
        let value =
            |rng: &mut Rng, i: usize| if i % step < length { rng.float(-1.0, 1.0) as f32 } else { NEVER };
        Rows { values: (0..batch * matrix).map(|i| value(rng, i)).collect(), step, matrix, turned }
    }

    fn at(&self, batch: usize, row: usize, column: usize) -> f64 {
        let (high, along) = if self.turned { (column, row) } else { (row, column) };
        f64::from(self.values[batch * self.matrix + high * self.step + along])
    }
}

impl Case {
    fn operands(&self, seed: u64) -> [Rows; 2] {
        let ([m, n, k], gaps, _, _, batch) = self.shape;
        let rng = &mut Rng::new(seed);
        let mut operands = [([m, k], self.turned[0], gaps[0]), ([k, n], self.turned[1], gaps[1])]
            .map(|(size, turned, gap)| Rows::random(rng, size, turned, gap, batch));
        if self.precision == Precision::Bf16Hopper {
            for x in operands.iter_mut().flat_map(|rows| &mut rows.values) {
                *x = bf16::from_f32(*x).to_f32();
            }
        }
        operands
    }

    fn text(&self, number: usize, [a, b]: &[Rows; 2]) -> String {
        let ([m, n, k], _, align, splits, _) = self.shape;
        let function = self.function;
        let element = if self.precision == Precision::Bf16Hopper { "unsigned short" } else { "float" };
        let (tile, launch) =
            (self.tile.tile, format!("__launch_bounds__({0}::THREADS, {0}::BLOCKS)", self.tile.tile));
        let mut text = format!(
            "struct P{number} {{
  static constexpr unsigned M = {m}, N = {n}, K = {k}, SPLITS = {splits}, A_ALIGN = {align}, B_ALIGN = {align};
  static constexpr bool A_M_CONTIGUOUS = {}, B_K_CONTIGUOUS = {};
  static constexpr unsigned long long LDA = {}, LDB = {};
  static __device__ unsigned long long a_base(unsigned long long batch) {{ return batch * {}; }}
  static __device__ unsigned long long b_base(unsigned long long batch) {{ return batch * {}; }}
}};
static_assert({tile}::THREADS == {} && {tile}::SHARED == {} && {tile}::BM == {} && {tile}::BN == {});\n",
            self.turned[0], self.turned[1], a.step, b.step, a.matrix, b.matrix,
            self.tile.threads, self.tile.shared_bytes, self.tile.bm, self.tile.bn,
        );
        let epilogue = if splits == 1 { format!("Add<P{number}>") } else { format!("il_partial<P{number}>") };
        let _ = writeln!(
            text,
            "extern \"C\" __global__ void {launch} product{number}(const {element}* a, const {element}* b, float* out) {{
  {function}<{tile}, P{number}>(a, b, {epilogue}{{out}});
}}"
        );
        if splits > 1 {
            let _ = writeln!(
                text,
                "extern \"C\" __global__ void __launch_bounds__(128) sum{number}(const float* scratch, float* out) {{
  il_splitk_reduce<P{number}>(scratch, Add<P{number}>{{out}});
}}"
            );
        }
        text
    }

    fn check(&self, [a, b]: &[Rows; 2], out: &[f32]) {
        let ([m, n, k], .., batch) = self.shape;
        let near = if self.function == "il_gemm_tf32" { 1.2e-3 } else { 2e-6 };
        for c in 0..batch {
            for i in 0..m {
                for j in 0..n {
                    let products = (0..k).map(|p| a.at(c, i, p) * b.at(c, p, j));
                    let (sum, size) =
                        products.fold((0.0, 0.0), |(sum, size), x| (sum + x, size + f64::abs(x)));
                    let found = f64::from(out[(c * m + i) * n + j]);
                    assert!(
                        (found - sum).abs() <= near * size,
                        "{} {} {:?} {:?}, result [{c}, {i}, {j}]: {found} for {sum}",
                        self.function,
                        self.tile.tile,
                        self.shape,
                        self.turned,
                    );
                }
            }
        }
    }
}

#[test]
fn every_tile_in_every_layout() {
    let Some(device) = Device::open() else { return };
    // Quick: each tile in every other layout with one of the shapes, all shapes in turn.
    let (each, every) = (tier::trials(1, SHAPES.len()), tier::trials(2, 1));
    let (mut cases, mut next) = (Vec::new(), 0);
    let kinds = [
        (None, Precision::F32),
        (None, Precision::Tf32),
        (Some("il_gemm_f32x3"), Precision::Tf32),
        (None, Precision::Bf16Hopper),
    ];
    for (function, precision) in kinds {
        for tile in tiles(precision) {
            let function = function.unwrap_or(tile.function);
            cases.push(Case { function, precision, tile, shape: LONG, turned: [false, true] });
            let layouts = [[false, false], [false, true], [true, true], [true, false]];
            for turned in layouts.into_iter().skip(next % every).step_by(every) {
                for _ in 0..each {
                    cases.push(Case {
                        function,
                        precision,
                        tile,
                        shape: SHAPES[next % SHAPES.len()],
                        turned,
                    });
                    next += 1;
                }
            }
            next += 1;
        }
    }
    let operands: Vec<_> = cases.iter().enumerate().map(|(i, case)| case.operands(i as u64)).collect();
    let mut text = TEXTS.concat() + EPILOGUE;
    for (i, (case, operands)) in cases.iter().zip(&operands).enumerate() {
        text += &case.text(i, operands);
    }
    let module = device.module(&crate::device::compile(&text, &["--gpu-architecture=sm_90"]).unwrap());
    let function = |name: String| {
        let (name, mut function) = (CString::new(name).unwrap(), null_mut());
        assert_eq!(cu!(cuModuleGetFunction(&mut function, module, name.as_ptr())), OK);
        function
    };
    for (i, (case, operands)) in cases.iter().zip(&operands).enumerate() {
        let ([m, n, _], _, _, splits, batch) = case.shape;
        let [a, b] = operands.each_ref().map(|rows| match case.precision {
            Precision::Bf16Hopper => {
                device.with(&rows.values.iter().map(|&x| bf16::from_f32(x)).collect::<Vec<_>>())
            }
            _ => device.with(&rows.values),
        });
        let out = device.with(&vec![0.0f32; batch * m * n]);
        let scratch = device.empty(4 * batch * splits * m * n);
        let (product, shared) = (function(format!("product{i}")), case.tile.shared_bytes as u32);
        let dynamic = Attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
        assert_eq!(cu!(cuFuncSetAttribute(product, dynamic, shared as i32)), OK);
        let grid = [(batch * m.div_ceil(case.tile.bm) * n.div_ceil(case.tile.bn)) as u32, 1, splits as u32];
        let to = if splits == 1 { out } else { scratch };
        assert_eq!(launch!(device, product, grid, [case.tile.threads as u32, 1, 1], shared, a, b, to), OK);
        if splits > 1 {
            let choice = Choice { splits, ..case.tile };
            let grid = [choice.sum_blocks(m, n) as u32, batch as u32, 1];
            assert_eq!(launch!(device, function(format!("sum{i}")), grid, [128, 1, 1], 0, scratch, out), OK);
        }
        assert_eq!(synchronize(&device), OK);
        case.check(operands, &device.read(out, batch * m * n));
        for memory in [a, b, out, scratch] {
            assert_eq!(cu!(cuMemFree_v2(memory)), OK);
        }
    }
}
