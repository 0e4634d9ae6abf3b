//! Sums over the rows of a large product's result, such as a bias's gradient, begin where the product ends: each
//! [`SUM_ROWS`] rows are added up while they are at hand, and what is left is a sum over few numbers. Where nothing else
//! needs the result, it is never stored.

use super::{
    Buffer, BufferId, Epilogue, Fold, Home, Instr, Load, Plan, PlanStep, Program, StepKind, TileOp, Value,
    View,
};
use crate::DType;
use crate::prim::{MapRef, elementwise::Mul};

/// Rows that are added up at the end of a product.
pub const SUM_ROWS: usize = 64;

/// The most sums of a product: each takes registers.
const MOST: usize = 4;
/// Rows from which on it is worth it.
const ROWS: usize = 8192;
/// The narrowest sides, and the fewest multiplications, of products that are computed in tiles of whole warps.
const SIDE: usize = 32;
const WORK: usize = 1 << 24;

/// Sums at the end of a product.
#[derive(Clone, Debug)]
pub struct RowSums {
    /// What is added up, values of the product's program.
    pub values: Vec<Value>,
    /// Where the sums of each [`SUM_ROWS`] rows go: `[values, rows / SUM_ROWS, columns]`, contiguous, `f32`.
    pub out: View,
}

/// Lets products begin the sums that follow them.
pub(super) fn gather(plan: &mut Plan) {
    for i in 0..plan.steps.len() {
        if let Some(found) = find(plan, i) {
            begin(plan, i, found);
        }
    }
}

/// A later step that adds up rows, as a program over them.
struct Found {
    /// Its place.
    step: usize,
    /// Loads that are added to the product's program, and what is computed from them and a stored value.
    terms: Vec<Term>,
    /// Where the sums go, contiguous `[terms, columns]`.
    out: View,
}

/// What is added up: a stored value, or it times a number of each row.
struct Term {
    value: Value,
    factor: Option<View>,
    /// Operations on the stored value before, each of the one before it.
    casts: Vec<Instr>,
}

/// The sums that the product at this place can begin.
fn find(plan: &Plan, at: usize) -> Option<Vec<Found>> {
    let StepKind::Product(p) = &plan.steps[at].kind else { return None };
    let (&[m, n], Some(&k)) = (&p.dot.out.dims[..], p.dot.x.dims.last()) else { return None };
    let large = m >= ROWS && n >= SIDE && k >= SIDE && n % 8 == 0 && m * n * k >= WORK;
    if !large || p.sums.is_some() || !p.program.loads.iter().all(|l| fits(l.view(), m, n)) {
        return None;
    }
    let mut found: Vec<Found> = Vec::new();
    for (step, later) in plan.steps.iter().enumerate().skip(at + 1) {
        let sum = match &later.kind {
            StepKind::Reduce { program, value, fold: Fold::Sum, extent, out } if *extent == [1, m, n] => {
                column(plan, p, program, *value).map(|term| (vec![term], out))
            }
            StepKind::Dot(dot) => few_rows(plan, at, p, dot).map(|terms| (terms, &dot.out)),
            _ => None,
        };
        let room = MOST - found.iter().map(|f| f.terms.len()).sum::<usize>();
        if let Some((terms, out)) = sum
            && terms.len() <= room
            && plan.buffer(out.buffer).dtype == DType::F32
        {
            found.push(Found { step, terms, out: out.clone() });
        }
    }
    (!found.is_empty()).then_some(found)
}

/// True for a view that stays one over rows and columns.
fn fits(view: &View, m: usize, n: usize) -> bool {
    view.dims == [m, n] || view.reshape(&[m, n]).is_some()
}

/// The value that a product stores in this view, whole and in order.
fn stored(p: &Epilogue, view: &View) -> Option<Value> {
    let whole = |v: &View| v.offset == 0 && v.is_contiguous() && v.elements() == p.dot.out.elements();
    let store = p.stores.iter().find(|(_, to)| to.buffer == view.buffer && whole(to))?;
    whole(view).then_some(store.0)
}

/// A sum along the columns of what the product stores, perhaps cast.
fn column(plan: &Plan, p: &Epilogue, program: &Program, value: Value) -> Option<Term> {
    let [Load::Memory(view)] = &program.loads[..] else { return None };
    let casts = program.instrs.iter().all(|i| matches!(i.op, TileOp::Cast));
    // Each is of the one before, and the last is what is added up.
    let chain = program.instrs.iter().enumerate().all(|(i, instr)| instr.args == [i as Value]);
    let last = value as usize == program.instrs.len();
    let f32 = program.dtype(value, &plan.buffers) == DType::F32;
    (casts && chain && last && f32).then_some(())?;
    Some(Term { value: stored(p, view)?, factor: None, casts: program.instrs.clone() })
}

/// A product of few rows with what the product at `at` stores: a sum for each of them.
fn few_rows(plan: &Plan, at: usize, p: &Epilogue, dot: &super::DotStep) -> Option<Vec<Term>> {
    let (&[rows, n], &[m, columns]) = (&dot.out.dims[..], &p.dot.out.dims[..]) else { return None };
    let (of_x, of_y) = (plan.buffer(dot.x.buffer), plan.buffer(dot.y.buffer));
    let known = plan.steps[at..].iter().all(|s| s.writes().iter().all(|v| v.buffer != dot.x.buffer));
    let alike = n == columns && dot.x.dims == [rows, m] && dot.y.strides == [n as isize, 1];
    let floats = of_x.dtype == of_y.dtype && matches!(of_x.dtype, DType::F32 | DType::Bf16);
    if rows > MOST || !known || !alike || !floats {
        return None;
    }
    let value = stored(p, &dot.y)?;
    let factor = |row: usize| View {
        buffer: dot.x.buffer,
        offset: (dot.x.offset as isize + row as isize * dot.x.strides[0]) as usize,
        dims: vec![m, n],
        strides: vec![dot.x.strides[1], 0],
    };
    Some((0..rows).map(|row| Term { value, factor: Some(factor(row)), casts: vec![] }).collect())
}

/// Makes the product at this place begin these sums.
fn begin(plan: &mut Plan, at: usize, found: Vec<Found>) {
    let sums: usize = found.iter().map(|f| f.terms.len()).sum();
    let node = plan.steps[at].node;
    let buffer = BufferId(plan.buffers.len() as u32);
    let buffers = &plan.buffers;
    let StepKind::Product(p) = &mut plan.steps[at].kind else { return };
    let [m, n] = [p.dot.out.dims[0], p.dot.out.dims[1]];
    let parts = m.div_ceil(SUM_ROWS);
    over_rows(p, m, n);
    let terms = || found.iter().flat_map(|f| &f.terms);
    // All loads first: they are numbered before the instructions.
    let factors: Vec<&View> = terms().filter_map(|t| t.factor.as_ref()).collect();
    let before = p.program.loads.len() as Value;
    let more = factors.len() as Value;
    shift(p, before, more);
    p.program.loads.extend(factors.into_iter().map(|view| Load::Memory(view.clone())));
    let moved = |value: Value| if value < before { value } else { value + more };
    let mut factor = before;
    let values = terms()
        .map(|term| {
            let mut value = moved(term.value);
            for cast in &term.casts {
                value = push(&mut p.program, Instr { args: vec![value], ..cast.clone() });
            }
            if term.factor.is_none() {
                return value;
            }
            let of = [value, factor].map(|v| wide(&mut p.program, v, buffers, node));
            factor += 1;
            let op = TileOp::Map(MapRef::of::<Mul>());
            push(&mut p.program, Instr { op, args: of.to_vec(), dtype: DType::F32, out: DType::F32, node })
        })
        .collect();
    let out = View::whole(buffer, &[sums, parts, n]);
    p.sums = Some(RowSums { values, out });
    plan.buffers.push(Buffer {
        dtype: DType::F32,
        len: sums * parts * n,
        home: Home::Arena(0),
        checked: false,
    });
    let mut first = 0;
    for Found { step, terms, out } in found {
        let count = terms.len();
        let offset = first * parts * n;
        let view = View { buffer, offset, dims: vec![count * parts * n], strides: vec![1] };
        let program = Program { dims: view.dims.clone(), loads: vec![Load::Memory(view)], instrs: vec![] };
        let extent = [count, parts, n];
        plan.steps[step].kind = StepKind::Reduce { program, value: 0, fold: Fold::Sum, extent, out };
        first += count;
    }
    leave_unstored(plan, at);
}

/// Lengths and strides over rows and columns.
fn over_rows(p: &mut Epilogue, m: usize, n: usize) {
    let over = |view: &mut View| {
        if let Some(reshaped) = view.reshape(&[m, n]) {
            *view = reshaped;
        }
    };
    p.program.dims = vec![m, n];
    p.program.loads.iter_mut().for_each(|load| over(load.view_mut()));
    p.stores.iter_mut().for_each(|(_, view)| over(view));
}

/// Makes room for more loads after the ones that are there.
fn shift(p: &mut Epilogue, before: Value, more: Value) {
    let move_on = |value: &mut Value| {
        if *value >= before {
            *value += more;
        }
    };
    p.program.instrs.iter_mut().flat_map(|i| &mut i.args).for_each(move_on);
    p.stores.iter_mut().for_each(|(value, _)| move_on(value));
}

fn push(program: &mut Program, instr: Instr) -> Value {
    program.instrs.push(instr);
    (program.loads.len() + program.instrs.len() - 1) as Value
}

/// The value in `f32`.
fn wide(program: &mut Program, value: Value, buffers: &[Buffer], node: crate::NodeId) -> Value {
    let dtype = program.dtype(value, buffers);
    if dtype == DType::F32 {
        return value;
    }
    push(program, Instr { op: TileOp::Cast, args: vec![value], dtype, out: DType::F32, node })
}

/// Takes from the product's stores what nobody reads any more.
fn leave_unstored(plan: &mut Plan, at: usize) {
    let reads = plan.steps.iter().flat_map(PlanStep::reads).chain(plan.outputs.iter().cloned());
    let needed: std::collections::HashSet<BufferId> = reads.map(|view| view.buffer).collect();
    let buffers = &plan.buffers;
    let StepKind::Product(p) = &mut plan.steps[at].kind else { return };
    p.stores.retain(|(_, to)| {
        let buffer = &buffers[to.buffer.0 as usize];
        needed.contains(&to.buffer) || buffer.checked || !matches!(buffer.home, Home::Arena(_))
    });
}
