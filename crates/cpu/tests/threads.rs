//! Every primitive, large enough to be shared, gives the same bits on any number of threads.
#![allow(missing_docs, clippy::unwrap_used)]

use ironlearn_cpu::Cpu;
use ironlearn_ir::plan::Options;
use ironlearn_ir::prim::cast::{Convert, Wide};
use ironlearn_ir::prim::elementwise::ALL;
use ironlearn_ir::prim::*;
use ironlearn_ir::*;
use ironlearn_testkit::rng::Rng;
use ironlearn_testkit::tier::{report, trials};

const THREADS: [usize; 6] = [1, 2, 3, 4, 7, 16];

/// How a computation is traced.
type Trace = dyn for<'g> Fn(&'g Tape, &[Dyn<'g>]) -> Dyn<'g>;

/// A computation, with the types of its inputs.
struct Case {
    name: String,
    inputs: Vec<TensorType>,
    trace: Box<Trace>,
}

fn case(
    name: impl Into<String>,
    dtype: DType,
    shapes: &[&[usize]],
    trace: impl for<'g> Fn(&'g Tape, &[Dyn<'g>]) -> Dyn<'g> + 'static,
) -> Case {
    let inputs = shapes.iter().map(|shape| TensorType::new(dtype, shape.to_vec())).collect();
    Case { name: name.into(), inputs, trace: Box::new(trace) }
}

/// One operation on inputs of these shapes.
fn push(op: impl Into<Op>, dtype: DType, shapes: &[&[usize]]) -> Case {
    let op = op.into();
    case(format!("{op:?} of {dtype} {shapes:?}"), dtype, shapes, move |tape, x| tape.push(op.clone(), x))
}

const FLOATS: [DType; 2] = [DType::F32, DType::F64];
/// Lengths that are no multiple of a vector, a tile or a leaf.
const LONG: usize = 150_001;
const WIDE: [usize; 2] = [37, 5_003];
const TALL: [usize; 2] = [5_003, 37];

/// Cases of a kind of operation; a new kind does not compile without them.
fn cases(kind: OpKind) -> Vec<Case> {
    let each = |f: fn(DType) -> Vec<Case>| FLOATS.into_iter().flat_map(f).collect();
    match kind {
        OpKind::Map => {
            let of = |map: &MapRef| {
                let types = map.0.types();
                let all = [DType::F32, DType::F64, DType::Bf16, DType::I32, DType::I8, DType::Bool];
                let shapes = [&[LONG][..]; 3];
                all.into_iter()
                    .filter(|&dtype| types.has(dtype))
                    .map(|dtype| push(Op::Map(*map), dtype, &shapes[..map.0.arity()]))
                    .collect::<Vec<_>>()
            };
            ALL.iter().flat_map(of).collect()
        }
        // They compute nothing of their own.
        OpKind::Source | OpKind::Constant | OpKind::StopGradient | OpKind::CustomGrad => vec![],
        // Ranks share a graph; what a rank computes of it is computed by the others.
        OpKind::AllReduceStart | OpKind::AllReduceDone => vec![],
        OpKind::Iota => vec![case("iota", DType::F32, &[], |tape, _| {
            tape.iota_of(TensorType::new(DType::F32, [501, 307]), 1)
        })],
        OpKind::RandomBits => {
            vec![case("random_bits", DType::F32, &[], |tape, _| tape.random_bits([501, 307]).node())]
        }
        OpKind::Compare => each(|d| vec![push(Compare::Less, d, &[&[LONG], &[LONG]])]),
        OpKind::Select => {
            each(|d| vec![case("select", d, &[&[LONG], &[LONG]], |_, x| x[0].less(x[1]).select(x[0], x[1]))])
        }
        OpKind::Cast => {
            let pairs = [(DType::F32, DType::Bf16), (DType::F64, DType::F32), (DType::I32, DType::F32)];
            pairs.map(|(from, to)| push(Cast(to), from, &[&[LONG]])).into()
        }
        OpKind::Reshape => vec![push(Reshape([37 * 5_003].into()), DType::F32, &[&WIDE])],
        OpKind::Permute => each(|d| vec![push(Permute(vec![2, 0, 1]), d, &[&[31, 67, 71]])]),
        OpKind::Broadcast => each(|d| vec![push(Broadcast([301, 503].into()), d, &[&[503]])]),
        OpKind::Slice => {
            let ranges = vec![Range { start: 1, len: 30, step: 1 }, Range { start: 2, len: 2_000, step: 2 }];
            vec![push(Slice(ranges), DType::F32, &[&WIDE])]
        }
        OpKind::Pad => {
            vec![push(Pad { before: vec![1, 3], after: vec![2, 0], value: 0 }, DType::F32, &[&WIDE])]
        }
        OpKind::Flip => vec![push(Flip(vec![0, 1]), DType::F32, &[&WIDE])],
        OpKind::Concat => vec![push(Concat(1), DType::F32, &[&WIDE, &WIDE, &[37, 11]])],
        OpKind::Sum => {
            let of =
                |d| [sum(d, vec![0]), sum(d, vec![1]), sum(d, vec![0, 1])].into_iter().flatten().collect();
            [DType::F32, DType::F64, DType::Bf16, DType::I32]
                .into_iter()
                .flat_map::<Vec<Case>, _>(of)
                .collect()
        }
        OpKind::Max => each(|d| {
            let of = |axis: usize, shape| push(Max(vec![axis]), d, &[shape]);
            vec![of(0, &WIDE), of(1, &WIDE), of(0, &TALL), of(1, &TALL)]
        }),
        OpKind::ArgMax => each(|d| vec![push(ArgMax(0), d, &[&TALL]), push(ArgMax(1), d, &[&WIDE])]),
        OpKind::Dot => products(),
        OpKind::Conv => convolutions(),
        OpKind::Pool => pools(),
        OpKind::Gather => vec![case("gather", DType::F32, &[&TALL], |tape, x| {
            let index = tape.iota_of(TensorType::new(DType::I64, [3_001]), 0);
            x[0].gather(index, 0)
        })],
        OpKind::ScatterAdd => vec![case("scatter_add", DType::F32, &[&TALL], |tape, x| {
            let row = tape.iota_of(TensorType::new(DType::I64, [5_003]), 0);
            let index = row.binary::<elementwise::Rem>(row.filled(97.0));
            x[0].scatter_add(index, 0, 97)
        })],
        OpKind::Scan | OpKind::ScanOutput => {
            vec![case("scan", DType::F32, &[&[64, 48], &[9, 64, 48]], |tape, x| {
                let (last, _) = tape.scan(&[x[0]], &[x[1]], |c, x| {
                    let next = Var::<f32>::of(c[0] * 0.5 + x[0]).tanh().node();
                    (vec![next], vec![next])
                });
                last[0]
            })]
        }
    }
}

fn sum(dtype: DType, axes: Vec<usize>) -> Vec<Case> {
    [&WIDE, &TALL].map(|shape| push(Sum(axes.clone()), dtype, &[shape])).into()
}

fn products() -> Vec<Case> {
    let mut all = Vec::new();
    for dtype in [DType::F32, DType::F64, DType::Bf16, DType::I8, DType::I32] {
        let sizes: [[usize; 3]; 6] = [
            [301, 203, 157],
            [3, 20_011, 5],
            [1, 4_001, 301],
            [2_001, 301, 1],
            [129, 7, 1_001],
            [64, 64, 64],
        ];
        all.extend(sizes.map(|[m, k, n]| push(Dot::matmul(2), dtype, &[&[m, k], &[k, n]])));
        all.push(push(Dot::matmul(3), dtype, &[&[13, 65, 40], &[13, 40, 71]]));
    }
    all
}

fn convolutions() -> Vec<Case> {
    let mut all = Vec::new();
    for (stride, groups) in [(1, 1), (2, 1), (1, 2)] {
        for part in [Part::Output, Part::GradInput, Part::GradKernel] {
            let window = Window {
                stride: vec![stride; 2],
                dilation: vec![1, 1],
                before: vec![1, 1],
                after: vec![1, 1],
                groups,
            };
            let (x, w) = (Shape::from([9, 6, 27, 29]), Shape::from([8, 6 / groups, 3, 3]));
            let conv = Conv { part, window, x: x.clone(), w: w.clone() };
            let y = conv.output().unwrap();
            let shapes = match part {
                Part::Output => [x, w],
                Part::GradInput => [y, w],
                Part::GradKernel => [x, y],
            };
            all.extend(FLOATS.map(|d| push(conv.clone(), d, &[&shapes[0], &shapes[1]])));
        }
    }
    all
}

fn pools() -> Vec<Case> {
    let x = Shape::from([9, 16, 26, 28]);
    let parts = [
        (PoolKind::Sum, PoolPart::Output),
        (PoolKind::Sum, PoolPart::Spread),
        (PoolKind::Max, PoolPart::Output),
        (PoolKind::Max, PoolPart::Spread),
        (PoolKind::Max, PoolPart::Pick),
    ];
    let of = |(kind, part)| {
        let pool = Pool { kind, part, size: vec![2, 2], stride: vec![2, 2], x: x.clone() };
        let y = Pool { part: PoolPart::Output, ..pool.clone() }.output().unwrap();
        let shapes: Vec<&[usize]> = match (kind, part) {
            (_, PoolPart::Output) => vec![&x],
            (PoolKind::Sum, _) => vec![&y],
            (_, PoolPart::Spread) => vec![&x, &y],
            _ => vec![&x, &x],
        };
        push(pool, DType::F32, &shapes)
    };
    parts.map(of).into()
}

/// Random numbers of any type; of integers small ones that are not 0.
fn random(rng: &mut Rng, ty: &TensorType) -> Array {
    let values = rng.floats(ty.shape.elements(), 0.5, 3.9);
    let floats = Array::of(ty.shape.clone(), values).unwrap();
    Cast(ty.dtype).eval(&[&floats], ty).unwrap()
}

fn bits(case: &Case, inputs: &[Array], cpu: &Cpu) -> String {
    let tape = Tape::new(Mode::Train);
    let x: Vec<Dyn> = case.inputs.iter().map(|ty| tape.input_of(ty.clone())).collect();
    tape.output("y", (case.trace)(&tape, &x));
    let (graph, _) = tape.finish().unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let mut program = cpu.compile(&graph, Options::default()).unwrap();
    let views: Vec<ArrayView> = inputs.iter().map(|x| x.view()).collect();
    program
        .run(&views, &mut Store::new(), &ControlBlock::default())
        .unwrap_or_else(|e| panic!("{}: {e}", case.name));
    let y = program.output(0);
    dispatch!(y.dtype(), T => {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for x in y.as_slice::<T>().unwrap() {
            let bits = match Convert::to_wide(*x) {
                Wide::Int(x) => x as u64,
                Wide::Float(x) | Wide::Complex(x, _) => x.to_bits(),
            };
            hash = (hash ^ bits).wrapping_mul(0x100_0000_01b3);
        }
        format!("{} {hash:016x}", y.shape())
    })
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let cpus = THREADS.map(|threads| Cpu::new(threads).unwrap());
    let (mut rng, mut compared) = (Rng::new(5), 0);
    for &kind in OpKind::ALL {
        for case in cases(kind) {
            let inputs: Vec<Array> = case.inputs.iter().map(|ty| random(&mut rng, ty)).collect();
            let expected = bits(&case, &inputs, &cpus[0]);
            // Threads race: several rounds in the full tier.
            for _ in 0..trials(1, 20) {
                for (cpu, threads) in cpus.iter().zip(THREADS).skip(1) {
                    assert_eq!(bits(&case, &inputs, cpu), expected, "{} on {threads} threads", case.name);
                    compared += 1;
                }
            }
        }
    }
    report("primitives on 2, 3, 4, 7 and 16 threads with the bits of 1", format!("{compared} of {compared}"));
}
