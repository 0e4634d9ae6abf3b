//! Matrix products of every precision, layout and awkward length against a loop in `f64`; two runs, the same bits.

mod common;

use half::bf16;
use ironlearn_cuda::choice::thin::{Operand, Shape, Thin};
use ironlearn_cuda::choice::tiles::{Precision, choose};
use ironlearn_cuda::{Cuda, Options, driver};
use ironlearn_ir::prim::Dot;
use ironlearn_ir::prim::cast::{Convert, Wide};
use ironlearn_ir::{
    Array, ArrayView, ControlBlock, DType, Dyn, Graph, Mode, Program, Store, Tape, TensorType, Var, dispatch,
};
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier;

const LENGTHS: [usize; 7] = [0, 1, 31, 33, 65, 129, 257];

/// How products are computed, and how far from exact they may be, in norm.
struct Kind {
    name: &'static str,
    dtype: DType,
    options: Options,
    allowed: f64,
    /// Operands hold whole numbers.
    whole: bool,
}

fn kinds() -> [Kind; 10] {
    let plain = Options::default();
    let tf32 = Options { tf32: true, fast: true, ..plain };
    let narrow = Options { narrow: Some(DType::Bf16), fast: true, ..plain };
    let tiles = |options| Options { thin: false, ..options };
    let kind =
        |name, dtype, options, allowed| Kind { name, dtype, options, allowed, whole: dtype == DType::I8 };
    [
        kind("f32", DType::F32, plain, 1e-5),
        kind("f32 by tiles", DType::F32, tiles(plain), 1e-5),
        kind("tf32", DType::F32, tf32, 2e-3),
        kind("tf32 by tiles", DType::F32, tiles(tf32), 2e-3),
        kind("f32 rounded to bf16", DType::F32, narrow, 1e-2),
        kind("f32 rounded to bf16 by tiles", DType::F32, tiles(narrow), 1e-2),
        kind("bf16", DType::Bf16, plain, 1e-2),
        kind("bf16 by tiles", DType::Bf16, tiles(plain), 1e-2),
        kind("i8", DType::I8, plain, 0.0),
        kind("f64", DType::F64, plain, 1e-13),
    ]
}

/// `[batch, m, k] · [batch, k, n]`; operands that are turned lie the other way round in memory.
#[derive(Clone, Copy, Debug)]
struct Case {
    batch: Option<usize>,
    m: usize,
    n: usize,
    k: usize,
    turned: [bool; 2],
    /// A bias of each column is added; of floats the hyperbolic tangent is taken.
    end: bool,
}

impl Case {
    fn multiplications(&self) -> usize {
        self.batch.unwrap_or(1) * self.m * self.n * self.k
    }

    /// How the operands lie.
    fn shapes(&self) -> [Vec<usize>; 2] {
        let of = |rows, columns, turned| {
            let matrix = if turned { [columns, rows] } else { [rows, columns] };
            self.batch.into_iter().chain(matrix).collect()
        };
        [of(self.m, self.k, self.turned[0]), of(self.k, self.n, self.turned[1])]
    }

    /// Records the product.
    fn trace<'g>(&self, tape: &'g Tape, dtype: DType) -> Dyn<'g> {
        let [x, y] = self.shapes().map(|shape| tape.input_of(TensorType::new(dtype, shape)));
        let rank = x.rank();
        let mut order: Vec<usize> = (0..rank).collect();
        order.swap(rank - 2, rank - 1);
        let turn = |d: Dyn<'g>, turned| if turned { d.permute(&order) } else { d };
        let dot = turn(x, self.turned[0]).dot(turn(y, self.turned[1]), &Dot::matmul(rank));
        if !self.end {
            return dot;
        }
        let sum = dot + tape.input_of(TensorType::new(dot.dtype(), [self.n])).broadcast_to(&dot.shape());
        match sum.dtype() {
            DType::F32 => Var::<f32>::of(sum).tanh().node(),
            DType::F64 => Var::<f64>::of(sum).tanh().node(),
            _ => sum,
        }
    }

    /// Random operands, and a bias where there is one. Results are about 1, so that a tangent shows errors.
    fn inputs(&self, kind: &Kind, rng: &mut Rng) -> Vec<Array> {
        let scale = if kind.whole { 128.0 } else { (3.0 / self.k.max(1) as f64).sqrt() };
        let [x, y] = self.shapes().map(|shape| {
            let n = shape.iter().product();
            (shape, n)
        });
        let mut made = vec![
            array(kind.dtype, x.0, rng.floats(x.1, -scale, scale)),
            array(kind.dtype, y.0, rng.floats(y.1, if kind.whole { -128.0 } else { -1.0 }, scale.max(1.0))),
        ];
        if self.end {
            let bias = rng.floats(self.n, -1.0, 1.0);
            made.push(array(kind.dtype.accumulator(), vec![self.n], bias));
        }
        made
    }

    /// By a loop, in `f64`.
    fn expected(&self, kind: &Kind, inputs: &[Array]) -> Vec<f64> {
        let (x, y) = (numbers(inputs[0].view()), numbers(inputs[1].view()));
        let (m, n, k) = (self.m, self.n, self.k);
        let mut all = Vec::new();
        for b in 0..self.batch.unwrap_or(1) {
            for i in 0..m {
                for j in 0..n {
                    let left = |q: usize| if self.turned[0] { q * m + i } else { i * k + q };
                    let right = |q: usize| if self.turned[1] { j * k + q } else { q * n + j };
                    let sum: f64 = (0..k).map(|q| x[b * m * k + left(q)] * y[b * k * n + right(q)]).sum();
                    all.push(sum);
                }
            }
        }
        if self.end {
            let bias = numbers(inputs[2].view());
            let end = |x: f64| if kind.whole { x } else { x.tanh() };
            all.iter_mut().enumerate().for_each(|(i, x)| *x = end(*x + bias[i % n]));
        }
        all
    }
}

fn array(dtype: DType, shape: Vec<usize>, values: Vec<f64>) -> Array {
    let made = match dtype {
        DType::F32 => Array::of(shape, values.iter().map(|&x| x as f32).collect()),
        DType::Bf16 => Array::of(shape, values.iter().map(|&x| bf16::from_f64(x)).collect()),
        DType::I8 => Array::of(shape, values.iter().map(|&x| x as i8).collect()),
        DType::I32 => Array::of(shape, values.iter().map(|&x| (1e6 * x) as i32).collect()),
        _ => Array::of(shape, values),
    };
    made.expect("as many values as the shape has")
}

fn numbers(view: ArrayView<'_>) -> Vec<f64> {
    dispatch!(view.dtype(), T => {
        let values = view.as_slice::<T>().unwrap_or_default();
        values.iter().map(|x| match x.to_wide() {
            Wide::Int(x) => x as f64,
            Wide::Float(x) | Wide::Complex(x, _) => x,
        }).collect()
    })
}

/// All layouts of a size, each other one in a batch, each other one with an end.
fn layouts(m: usize, n: usize, k: usize, which: usize) -> Vec<Case> {
    let of = |layout: usize| Case {
        batch: [None, Some(2)][(layout + which) % 2],
        m,
        n,
        k,
        turned: [layout % 2 == 1, layout / 2 == 1],
        end: (layout / 2 + which / 2).is_multiple_of(2),
    };
    (0..4).map(of).collect()
}

/// Sizes drawn from [`LENGTHS`] with at most so many multiplications, no two the same; one in eight has no elements.
fn sizes(rng: &mut Rng, count: usize, most: usize) -> Vec<[usize; 3]> {
    let mut sizes: Vec<[usize; 3]> = Vec::new();
    while sizes.len() < count {
        let size = [rng.pick(&LENGTHS), rng.pick(&LENGTHS), rng.pick(&LENGTHS)];
        let empty = sizes.len().is_multiple_of(8);
        let fits = size.contains(&0) == empty && size.iter().product::<usize>() <= most;
        // Products with a single row or column are drawn too often, where larger ones are too much.
        let thin = size.contains(&1) && sizes.len() % 4 != 1;
        if fits && (empty || !thin) && !sizes.contains(&size) {
            sizes.push(size);
        }
    }
    sizes
}

/// Computes all cases by one program, twice; gives how far off the worst was.
fn check(cuda: &Cuda, kind: &Kind, cases: &[Case]) -> f64 {
    let mut rng = Rng::new(tier::seed());
    let graph = trace(kind, cases);
    let given: Vec<Vec<Array>> = cases.iter().map(|case| case.inputs(kind, &mut rng)).collect();
    let inputs: Vec<ArrayView<'_>> = given.iter().flatten().map(Array::view).collect();
    let mut program = cuda.compile(&graph, kind.options).unwrap_or_else(|e| panic!("{}: {e}", kind.name));
    let mut run = || -> Vec<Array> {
        let done = program.run(&inputs, &mut Store::new(), &ControlBlock::default());
        done.unwrap_or_else(|e| panic!("{}: {e}", kind.name));
        (0..cases.len()).map(|i| program.output(i).to_array()).collect()
    };
    let (found, again) = (run(), run());
    let mut worst = 0.0f64;
    for (i, case) in cases.iter().enumerate() {
        let what = format!("{}: {case:?}", kind.name);
        let bits = |a: &Array| numbers(a.view()).into_iter().map(f64::to_bits).collect::<Vec<_>>();
        assert!(bits(&found[i]) == bits(&again[i]), "{what}: another run gives other bits");
        let (found, expected) = (numbers(found[i].view()), case.expected(kind, &given[i]));
        assert_eq!(found.len(), expected.len(), "{what}");
        let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
        let size = norm(&mut expected.iter().copied());
        let off = norm(&mut found.iter().zip(&expected).map(|(a, b)| a - b));
        let off = if size == 0.0 { off } else { off / size };
        assert!(
            off <= kind.allowed,
            "{what}: off by {off:.2e} of the norm, allowed are {:.0e}",
            kind.allowed
        );
        worst = worst.max(off);
    }
    worst
}

fn trace(kind: &Kind, cases: &[Case]) -> Graph {
    let tape = Tape::new(Mode::Infer);
    for (i, case) in cases.iter().enumerate() {
        tape.output(&i.to_string(), case.trace(&tape, kind.dtype));
    }
    tape.finish().unwrap_or_else(|e| panic!("{}: {e:?}", kind.name)).0
}

#[test]
fn products_agree_with_a_loop() {
    let Some(cuda) = common::device() else { return };
    let (count, most) = (tier::trials(6, 40), tier::trials(300_000, 20_000_000));
    for (seed, kind) in kinds().iter().enumerate() {
        let sizes = sizes(&mut Rng::new(100 * tier::seed() + seed as u64), count, most);
        let cases: Vec<Case> =
            sizes.iter().enumerate().flat_map(|(i, &[m, n, k])| layouts(m, n, k, i)).collect();
        // A program of a few hundred products would take minutes to compile.
        let worst = cases.chunks(20).map(|some| check(cuda, kind, some)).fold(0.0, f64::max);
        let work: usize = cases.iter().map(Case::multiplications).sum();
        let figure = format!("{} within {worst:.1e}, {work} multiplications", cases.len());
        tier::report(&format!("products of {}", kind.name), figure);
    }
}

/// The whole range of lengths at once, where each of the three is the longest.
#[test]
fn the_longest_lengths_agree_with_a_loop() {
    let Some(cuda) = common::device() else { return };
    for kind in &kinds() {
        let one = |m, n, k, which: usize| layouts(m, n, k, which)[which];
        let cases = [one(257, 8, 31, 0), one(8, 257, 33, 1), one(31, 1, 257, 2), one(129, 65, 1, 3)];
        check(cuda, kind, &cases);
    }
}

/// Sums that are cut into parts which are added at the end.
#[test]
fn long_sums_agree_with_a_loop() {
    let Some(cuda) = common::device() else { return };
    let [m, n, k] = [tier::trials(17, 65), tier::trials(8, 129), 5000];
    let processors = driver::devices().expect("a device")[0].multiprocessors;
    for precision in [Precision::F32, Precision::Tf32, Precision::Bf16] {
        assert!(choose(m, n, k, 1, precision, processors).splits > 1, "{precision:?}");
    }
    let order = Operand { is_in_order: true, together: 1 };
    let thin = Thin::choose(Shape { m, n, k, batch: 1 }, [order; 2], 4, processors);
    assert!(thin.splits > 1, "{thin:?}");
    for kind in &kinds() {
        let case = |layout: usize| Case { batch: None, ..layouts(m, n, k, 0)[layout] };
        let cases = [Case { end: true, ..case(0) }, Case { end: false, ..case(3) }];
        let worst = check(cuda, kind, &cases);
        tier::report(&format!("sums of {k} products of {}", kind.name), format!("within {worst:.1e}"));
    }
}

/// `f32` on tensor cores, where operands are sums of rounded ones, needs products of some size.
#[test]
fn large_exact_products_agree_with_a_loop() {
    let Some(cuda) = common::device() else { return };
    let case = Case { batch: None, m: 257, n: 257, k: 257, turned: [false, true], end: true };
    check(cuda, &kinds()[0], &[case]);
}
