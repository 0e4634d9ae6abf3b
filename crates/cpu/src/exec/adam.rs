//! Adam in one pass: in the place of the tile program of its update, a loop that holds everything in vector
//! registers. It does the operations of the program one by one, so that the bits are the same.

use super::tile::Addresses;
use crate::isa::{Entry, Isa, Routine};
use ironlearn_ir::DType;
use ironlearn_ir::lanes::FloatLanes;
use ironlearn_ir::plan::{BufferId, Load, Plan, Program, TileOp, Value, View};

/// The update of one parameter, ready to run.
pub struct Adam {
    entry: Entry<Update>,
    size: usize,
    vectors: [Memory; 4],
    scalars: [Memory; 8],
    /// Where the next values of the means, the squares and the parameter go.
    results: [Memory; 3],
}

/// A place in a buffer, in elements.
type Memory = (BufferId, usize);

/// What the program reads: vectors, in the order gradient, mean, square, value.
const G: Arg = Arg::Vector(0);
const M: Arg = Arg::Vector(1);
const S: Arg = Arg::Vector(2);
const P: Arg = Arg::Vector(3);

/// An operand of an instruction of the program.
#[derive(Clone, Copy)]
enum Arg {
    Vector(usize),
    /// β₁, 1 − β₁, β₂, 1 − β₂, rate, scale, ε, and the factor of clipping or of decay.
    Scalar(usize),
    /// The value of an instruction, by name.
    Of(&'static str),
}
use Arg::{Of, Scalar};

/// The program: name, operation, operands.
type Line = (&'static str, &'static str, [Arg; 2]);

const CLIP: Line = ("g", "mul", [G, Scalar(7)]);
const DECAY: Line = ("p", "mul", [P, Scalar(7)]);

/// With the gradient and the value as they are, or scaled before.
fn lines(g: Arg, p: Arg) -> [Line; 13] {
    [
        ("m1", "mul", [M, Scalar(0)]),
        ("m2", "mul", [g, Scalar(1)]),
        ("mean", "add", [Of("m1"), Of("m2")]),
        ("s1", "mul", [S, Scalar(2)]),
        ("g2", "mul", [g, g]),
        ("s2", "mul", [Of("g2"), Scalar(3)]),
        ("square", "add", [Of("s1"), Of("s2")]),
        ("step", "mul", [Of("mean"), Scalar(4)]),
        ("root", "sqrt", [Of("square"), Of("square")]),
        ("scaled", "mul", [Of("root"), Scalar(5)]),
        ("divisor", "add", [Of("scaled"), Scalar(6)]),
        ("move", "div", [Of("step"), Of("divisor")]),
        ("value", "sub", [p, Of("move")]),
    ]
}

/// What comes before [`lines`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Before {
    Nothing,
    /// The gradient is scaled, as by clipping.
    Clip,
    /// The value is scaled, as by decay.
    Decay,
}

impl Adam {
    /// The update, where the program is that of Adam over contiguous `f32` or `f64` and all its stored values
    /// are checked.
    pub fn new(isa: Isa, plan: &Plan, program: &Program, stores: &[(Value, View)]) -> Option<Adam> {
        [Before::Nothing, Before::Clip, Before::Decay]
            .into_iter()
            .find_map(|before| Adam::matching(isa, plan, program, stores, before))
    }

    fn matching(
        isa: Isa,
        plan: &Plan,
        program: &Program,
        stores: &[(Value, View)],
        before: Before,
    ) -> Option<Adam> {
        let mut expected: Vec<Line> = match before {
            Before::Nothing => vec![],
            Before::Clip => vec![CLIP],
            Before::Decay => vec![DECAY],
        };
        expected.extend(match before {
            Before::Nothing => lines(G, P),
            Before::Clip => lines(Of("g"), P),
            Before::Decay => lines(G, Of("p")),
        });
        if program.instrs.len() != expected.len() || stores.len() != 3 {
            return None;
        }
        let dtype = program.instrs[0].dtype;
        let (mut vectors, mut scalars) = ([None; 4], [None; 8]);
        let place = |name: &str| {
            expected.iter().position(|line| line.0 == name).map(|i| (program.loads.len() + i) as Value)
        };
        for (instr, (_, name, args)) in program.instrs.iter().zip(&expected) {
            let is_op = matches!(&instr.op, TileOp::Map(m) if m.0.name() == *name) && instr.dtype == dtype;
            let agree = instr.args.iter().zip(args).all(|(&value, arg)| match arg {
                Arg::Vector(i) => bind(&mut vectors[*i], load(program, value, View::is_contiguous)),
                Scalar(i) => bind(&mut scalars[*i], load(program, value, is_single)),
                Of(name) => place(name) == Some(value),
            });
            if !is_op || !agree {
                return None;
            }
        }
        let result = |name: &str| {
            let (_, to) = stores.iter().find(|s| Some(s.0) == place(name))?;
            let buffer = plan.buffer(to.buffer);
            (to.is_contiguous() && buffer.checked && buffer.dtype == dtype).then_some((to.buffer, to.offset))
        };
        let results = [result("mean")?, result("square")?, result("value")?];
        let vectors = [vectors[0]?, vectors[1]?, vectors[2]?, vectors[3]?];
        // Without a line before, the last scalar is nowhere.
        let spare = scalars[0];
        let scalars = scalars.map(|s| s.or(spare).unwrap_or(vectors[0]));
        let entry = entry(isa, dtype, before)?;
        Some(Adam { entry, size: dtype.size(), vectors, scalars, results })
    }

    /// Updates elements `start..end`; true where all new values are finite.
    ///
    /// # Safety
    /// No other thread writes what is read, or touches the results of this range; `at` holds valid addresses.
    pub unsafe fn run(&self, at: &Addresses, start: usize, end: usize) -> bool {
        let address = |place: Memory, by: usize| at.element(place.0, place.1 + by, self.size);
        let mut update = Update {
            vectors: self.vectors.map(|v| address(v, start).cast_const()),
            scalars: self.scalars.map(|s| address(s, 0).cast_const()),
            results: self.results.map(|r| address(r, start)),
            n: end - start,
            finite: true,
        };
        self.entry.call(&mut update);
        update.finite
    }
}

/// Remembers an operand, or compares it with what is remembered.
fn bind(known: &mut Option<Memory>, found: Option<Memory>) -> bool {
    if known.is_none() {
        *known = found;
    }
    found.is_some() && *known == found
}

fn is_single(view: &View) -> bool {
    view.strides.iter().zip(&view.dims).all(|(&s, &d)| s == 0 || d == 1)
}

/// Where a value is in memory, if it is a load of this form.
fn load(program: &Program, value: Value, form: fn(&View) -> bool) -> Option<Memory> {
    match program.loads.get(value as usize)? {
        Load::Memory(view) if form(view) => Some((view.buffer, view.offset)),
        _ => None,
    }
}

struct Update {
    vectors: [*const u8; 4],
    scalars: [*const u8; 8],
    results: [*mut u8; 3],
    n: usize,
    finite: bool,
}

const NOTHING: u8 = 0;
const CLIPPED: u8 = 1;
const DECAYED: u8 = 2;

fn entry(isa: Isa, dtype: DType, before: Before) -> Option<Entry<Update>> {
    Some(match (dtype, before) {
        (DType::F32, Before::Nothing) => isa.entry::<In32<NOTHING>>(),
        (DType::F32, Before::Clip) => isa.entry::<In32<CLIPPED>>(),
        (DType::F32, Before::Decay) => isa.entry::<In32<DECAYED>>(),
        (DType::F64, Before::Nothing) => isa.entry::<In64<NOTHING>>(),
        (DType::F64, Before::Clip) => isa.entry::<In64<CLIPPED>>(),
        (DType::F64, Before::Decay) => isa.entry::<In64<DECAYED>>(),
        _ => return None,
    })
}

struct In32<const BEFORE: u8>;
struct In64<const BEFORE: u8>;

impl<const BEFORE: u8> Routine for In32<BEFORE> {
    type Args = Update;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(update: &mut Update) {
        all::<F32, BEFORE>(update);
    }
}
impl<const BEFORE: u8> Routine for In64<BEFORE> {
    type Args = Update;
    #[inline(always)]
    fn call<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(update: &mut Update) {
        all::<F64, BEFORE>(update);
    }
}

#[inline(always)]
fn all<L: FloatLanes, const BEFORE: u8>(update: &mut Update) {
    let n = update.n;
    let x = update.vectors.map(|p| p.cast::<L::Elem>());
    let y = update.results.map(|p| p.cast::<L::Elem>());
    let mut c = [L::of(0.0); 8];
    for (c, p) in c.iter_mut().zip(update.scalars) {
        // SAFETY: each is the address of one element.
        *c = L::splat(unsafe { *p.cast::<L::Elem>() });
    }
    // NaN as soon as a new value is not finite.
    let mut zeros = [L::of(0.0); 3];
    let mut i = 0;
    while i + L::WIDTH <= n {
        // SAFETY: vectors and results have `n` elements.
        unsafe { vector::<L, BEFORE>(x, y, &c, i, L::WIDTH, &mut zeros) }
        i += L::WIDTH;
    }
    if i < n {
        // SAFETY: as above.
        unsafe { vector::<L, BEFORE>(x, y, &c, i, n - i, &mut zeros) }
    }
    let sum = zeros[0] + zeros[1] + zeros[2];
    let (zero, one) = (L::of(0.0), L::of(1.0));
    update.finite = !L::any(L::select(sum.equal(sum), zero, one).equal(one));
}

/// # Safety
/// Vectors and results have `n` elements, at most a vector of them, from `i` on.
#[inline(always)]
unsafe fn vector<L: FloatLanes, const BEFORE: u8>(
    x: [*const L::Elem; 4],
    y: [*mut L::Elem; 3],
    c: &[L; 8],
    i: usize,
    n: usize,
    zeros: &mut [L; 3],
) {
    let mut read = [c[0]; 4];
    for k in 0..4 {
        // SAFETY: as the caller promises.
        let from = unsafe { std::slice::from_raw_parts(x[k].add(i), n) };
        read[k] = if n == L::WIDTH { L::load(from) } else { L::load_part(from) };
    }
    let [mut g, m, s, mut p] = read;
    if BEFORE == CLIPPED {
        g = g * c[7];
    }
    if BEFORE == DECAYED {
        p = p * c[7];
    }
    let mean = m * c[0] + g * c[1];
    let square = s * c[2] + g * g * c[3];
    let value = p - mean * c[4] / (square.root() * c[5] + c[6]);
    let new = [mean, square, value];
    for k in 0..3 {
        // SAFETY: as the caller promises.
        let to = unsafe { std::slice::from_raw_parts_mut(y[k].add(i), n) };
        let stored = if n == L::WIDTH {
            new[k].store(to);
            new[k]
        } else {
            // What is in the lanes behind the last element is not to be judged.
            new[k].store_part(to);
            L::load_part(to)
        };
        zeros[k] = stored.fma(L::of(0.0), zeros[k]);
    }
}
