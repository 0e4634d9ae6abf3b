//! Sums over the rows of a large matrix, such as a bias's gradient, begin where the matrix is computed: at the end of a
//! product, or by an elementwise step. Each [`SUM_ROWS`] rows are added up while they are at hand, and what is left is a
//! sum over few numbers, which waits until somebody needs it: so that all of them are computed at once. Where nothing else
//! needs the matrix, it is never stored.

use super::{
    Buffer, BufferId, DotStep, Epilogue, Fold, Home, Instr, Load, Plan, PlanStep, Program, StepKind,
};
use super::{TileOp, Value, View};
use crate::prim::{MapRef, elementwise::Mul};
use crate::{DType, NodeId};
use std::collections::HashSet;

/// Rows that are added up where they are computed.
pub const SUM_ROWS: usize = 64;

/// The most sums of a step: each takes registers.
const MOST: usize = 4;
/// Rows from which on it is worth it.
const ROWS: usize = 8192;
/// The narrowest sides, and the fewest multiplications, of products that are computed in tiles of whole warps.
const SIDE: usize = 32;
const WORK: usize = 1 << 24;

/// Sums that a step begins.
#[derive(Clone, Debug)]
pub struct RowSums {
    /// What is added up, values of the step's program.
    pub values: Vec<Value>,
    /// Where the sums of each [`SUM_ROWS`] rows go: `[values, rows / SUM_ROWS, columns]`, contiguous, `f32`.
    pub out: View,
}

/// A tile program over the rows and columns of a matrix: [`StepKind::Rows`].
#[derive(Clone, Debug)]
pub struct Rows {
    /// The program.
    pub program: Program,
    /// Values and where they go.
    pub stores: Vec<(Value, View)>,
    /// Sums over the rows.
    pub sums: RowSums,
}

/// Lets steps begin the sums that follow them.
pub(super) fn gather(plan: &mut Plan) {
    let mut at = 0;
    while at < plan.steps.len() {
        let found =
            Matrix::of(&plan.steps[at].kind).map(|matrix| find(plan, at, &matrix)).unwrap_or_default();
        if !found.is_empty() {
            begin(plan, at, found);
        }
        at += 1;
    }
    wait(plan);
}

/// Moves sums of what steps have begun to where the first step needs one.
fn wait(plan: &mut Plan) {
    let begun = |kind: &StepKind| match kind {
        StepKind::Product(p) => p.sums.as_ref().map(|s| s.out.buffer),
        StepKind::Rows(r) => Some(r.sums.out.buffer),
        _ => None,
    };
    let begun: HashSet<BufferId> = plan.steps.iter().filter_map(|s| begun(&s.kind)).collect();
    let (mut waiting, mut steps) = (Vec::new(), Vec::with_capacity(plan.steps.len()));
    for step in std::mem::take(&mut plan.steps) {
        let reads = step.reads();
        let waits = matches!(step.kind, StepKind::Reduce { .. })
            && reads.iter().any(|view| begun.contains(&view.buffer));
        let is_read = |sum: &PlanStep| {
            sum.writes().iter().any(|made| reads.iter().any(|view| view.buffer == made.buffer))
        };
        if waits {
            waiting.push(step);
            continue;
        }
        if waiting.iter().any(is_read) {
            steps.append(&mut waiting);
        }
        steps.push(step);
    }
    steps.append(&mut waiting);
    plan.steps = steps;
}

/// A step that computes a matrix.
struct Matrix<'a> {
    m: usize,
    n: usize,
    program: &'a Program,
    stores: &'a [(Value, View)],
}

impl Matrix<'_> {
    fn of(kind: &StepKind) -> Option<Matrix<'_>> {
        let (dims, program, stores, large) = match kind {
            StepKind::Product(p) if p.sums.is_none() => {
                let (&[m, n], &[_, k]) = (&p.dot.out.dims[..], &p.dot.x.dims[..]) else { return None };
                (&p.dot.out.dims, &p.program, &p.stores, k >= SIDE && m * n * k >= WORK)
            }
            StepKind::Fused { program, stores } => (&program.dims, program, stores, true),
            _ => return None,
        };
        let &[m, n] = &dims[..] else { return None };
        let fits = |view: &View| view.dims == [m, n] || view.reshape(&[m, n]).is_some();
        let views = program.loads.iter().map(Load::view).chain(stores.iter().map(|s| &s.1));
        let is = large && m >= ROWS && n >= SIDE && n.is_multiple_of(8) && { views }.all(fits);
        is.then_some(Matrix { m, n, program, stores })
    }

    /// True for a view of a buffer of the matrix's size, in order.
    fn is_whole(&self, view: &View) -> bool {
        view.offset == 0 && view.is_contiguous() && view.elements() == self.m * self.n
    }

    /// The value that is stored where this view looks.
    fn stored(&self, view: &View) -> Option<Value> {
        let store = self.stores.iter().find(|(_, to)| to.buffer == view.buffer && self.is_whole(to))?;
        self.is_whole(view).then_some(store.0)
    }

    /// The value that is stored, or was read, where this view looks.
    fn held(&self, view: &View) -> Option<Value> {
        let read =
            |load: &Load| matches!(load, Load::Memory(v) if v.buffer == view.buffer && self.is_whole(v));
        let load = self.program.loads.iter().position(read).filter(|_| self.is_whole(view));
        self.stored(view).or(load.map(|at| at as Value))
    }
}

/// A later step that adds up rows.
struct Found {
    /// Its place.
    step: usize,
    /// What is added up, for each row of sums.
    terms: Vec<Term>,
    /// Where the sums go, contiguous `[terms, columns]`.
    out: View,
    /// What is done to them then.
    rest: Option<StepKind>,
}

/// What is added up: a value, or it times a number of each row.
struct Term {
    value: Value,
    factor: Option<View>,
    /// Operations on the value before, each of the one before it.
    casts: Vec<Instr>,
}

/// The sums that the step at this place can begin.
fn find(plan: &Plan, at: usize, matrix: &Matrix<'_>) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (step, later) in plan.steps.iter().enumerate().skip(at + 1) {
        let (terms, out, rest) = match &later.kind {
            StepKind::Reduce { program, value, fold: Fold::Sum, extent, out }
                if *extent == [1, matrix.m, matrix.n] =>
            {
                (column(plan, matrix, program, *value), out.clone(), None)
            }
            StepKind::Dot(dot) => (product(plan, at, matrix, dot), dot.out.clone(), None),
            StepKind::Product(p) if p.sums.is_none() => {
                let Some(rest) = after(p) else { continue };
                (product(plan, at, matrix, &p.dot), p.dot.out.clone(), Some(rest))
            }
            _ => continue,
        };
        let room = MOST - found.iter().map(|f| f.terms.len()).sum::<usize>();
        if let Some(terms) = terms.filter(|terms| terms.len() <= room)
            && plan.buffer(out.buffer).dtype == DType::F32
        {
            let out = View { dims: vec![terms.len(), matrix.n], strides: vec![matrix.n as isize, 1], ..out };
            found.push(Found { step, terms, out, rest });
        }
    }
    found
}

/// What is done to a product, as a step of its own.
fn after(p: &Epilogue) -> Option<StepKind> {
    let Load::Memory(view) = &p.program.loads[p.product] else { return None };
    let is_it = view.buffer == p.dot.out.buffer;
    is_it.then(|| StepKind::Fused { program: p.program.clone(), stores: p.stores.clone() })
}

/// A sum along the columns of what is stored, perhaps cast.
fn column(plan: &Plan, matrix: &Matrix<'_>, program: &Program, value: Value) -> Option<Vec<Term>> {
    let [Load::Memory(view)] = &program.loads[..] else { return None };
    let casts = program.instrs.iter().all(|i| matches!(i.op, TileOp::Cast));
    // Each is of the one before, and the last is what is added up.
    let chain = program.instrs.iter().enumerate().all(|(i, instr)| instr.args == [i as Value]);
    let last = value as usize == program.instrs.len();
    let f32 = program.dtype(value, &plan.buffers) == DType::F32;
    (casts && chain && last && f32).then_some(())?;
    Some(vec![Term { value: matrix.stored(view)?, factor: None, casts: program.instrs.clone() }])
}

/// A product over the rows of few rows with the matrix, or of the matrix with a column: a sum for each row.
fn product(plan: &Plan, at: usize, matrix: &Matrix<'_>, dot: &DotStep) -> Option<Vec<Term>> {
    let (&Matrix { m, n, .. }, &[rows, columns]) = (matrix, &dot.out.dims[..]) else { return None };
    let floats = [&dot.x, &dot.y].map(|v| plan.buffer(v.buffer).dtype);
    let alike = floats[0] == floats[1] && matches!(floats[0], DType::F32 | DType::Bf16);
    // The other operand: as many numbers for each row of the matrix as there are sums, and how far those are apart.
    let (value, other, sums, apart, down) = if columns == n && dot.y.strides == [n as isize, 1] {
        (matrix.stored(&dot.y)?, &dot.x, rows, dot.x.strides[0], dot.x.strides[1])
    } else if rows == n && columns == 1 && dot.x.strides == [1, n as isize] {
        let turned = View { dims: vec![m, n], strides: vec![n as isize, 1], ..dot.x.clone() };
        (matrix.held(&turned)?, &dot.y, 1, 0, dot.y.strides[0])
    } else {
        return None;
    };
    let known = plan.steps[at..].iter().all(|s| s.writes().iter().all(|v| v.buffer != other.buffer));
    if dot.x.dims[1] != m || sums > MOST || !known || !alike {
        return None;
    }
    let factor = |row: usize| View {
        buffer: other.buffer,
        offset: (other.offset as isize + row as isize * apart) as usize,
        dims: vec![m, n],
        strides: vec![down, 0],
    };
    Some((0..sums).map(|row| Term { value, factor: Some(factor(row)), casts: vec![] }).collect())
}

/// Makes the step at this place begin these sums.
fn begin(plan: &mut Plan, at: usize, found: Vec<Found>) {
    let node = plan.steps[at].node;
    let buffer = BufferId(plan.buffers.len() as u32);
    let Some(matrix) = Matrix::of(&plan.steps[at].kind) else { return };
    let (m, n) = (matrix.m, matrix.n);
    let (mut program, mut stores) = (matrix.program.clone(), matrix.stores.to_vec());
    over_rows(&mut program, &mut stores, m, n);
    let values = terms(&mut program, &mut stores, &found, &plan.buffers, node);
    let (sums, parts) = (values.len(), m.div_ceil(SUM_ROWS));
    let of = RowSums { values, out: View::whole(buffer, &[sums, parts, n]) };
    match &mut plan.steps[at].kind {
        StepKind::Product(p) => (p.program, p.stores, p.sums) = (program, stores, Some(of)),
        kind => *kind = StepKind::Rows(Box::new(Rows { program, stores, sums: of })),
    }
    let len = sums * parts * n;
    plan.buffers.push(Buffer { dtype: DType::F32, len, home: Home::Arena(0), checked: false });
    let mut first = sums;
    // The last one first: those before keep their places.
    for Found { step, terms, out, rest } in found.into_iter().rev() {
        let count = terms.len();
        first -= count;
        let view =
            View { buffer, offset: first * parts * n, dims: vec![count * parts * n], strides: vec![1] };
        let program = Program { dims: view.dims.clone(), loads: vec![Load::Memory(view)], instrs: vec![] };
        let extent = [count, parts, n];
        if let Some(kind) = rest {
            plan.buffers[out.buffer.0 as usize].home = Home::Arena(0);
            plan.steps.insert(step + 1, PlanStep { kind, node: plan.steps[step].node });
        }
        plan.steps[step].kind = StepKind::Reduce { program, value: 0, fold: Fold::Sum, extent, out };
    }
    leave_unstored(plan, at);
}

/// Adds to a program what computes the terms; gives their values.
fn terms(
    program: &mut Program,
    stores: &mut [(Value, View)],
    found: &[Found],
    buffers: &[Buffer],
    node: NodeId,
) -> Vec<Value> {
    let terms = || found.iter().flat_map(|f| &f.terms);
    // All loads first: they are numbered before the instructions.
    let factors: Vec<Load> =
        terms().filter_map(|t| t.factor.as_ref()).map(|view| Load::Memory(view.clone())).collect();
    let (before, more) = (program.loads.len() as Value, factors.len() as Value);
    let moved = |value: Value| if value < before { value } else { value + more };
    program.instrs.iter_mut().flat_map(|i| &mut i.args).for_each(|value| *value = moved(*value));
    stores.iter_mut().for_each(|(value, _)| *value = moved(*value));
    program.loads.extend(factors);
    let mut factor = before;
    let mut value = |term: &Term| {
        let mut value = moved(term.value);
        for cast in &term.casts {
            value = push(program, Instr { args: vec![value], ..cast.clone() });
        }
        if term.factor.is_none() {
            return value;
        }
        let args = [value, factor].map(|v| wide(program, v, buffers, node)).to_vec();
        factor += 1;
        let op = TileOp::Map(MapRef::of::<Mul>());
        push(program, Instr { op, args, dtype: DType::F32, out: DType::F32, node })
    };
    terms().map(&mut value).collect()
}

/// Lengths and strides over rows and columns.
fn over_rows(program: &mut Program, stores: &mut [(Value, View)], m: usize, n: usize) {
    let over = |view: &mut View| {
        if let Some(reshaped) = view.reshape(&[m, n]) {
            *view = reshaped;
        }
    };
    program.dims = vec![m, n];
    program.loads.iter_mut().for_each(|load| over(load.view_mut()));
    stores.iter_mut().for_each(|(_, view)| over(view));
}

fn push(program: &mut Program, instr: Instr) -> Value {
    program.instrs.push(instr);
    (program.loads.len() + program.instrs.len() - 1) as Value
}

/// The value in `f32`.
fn wide(program: &mut Program, value: Value, buffers: &[Buffer], node: NodeId) -> Value {
    let dtype = program.dtype(value, buffers);
    if dtype == DType::F32 {
        return value;
    }
    push(program, Instr { op: TileOp::Cast, args: vec![value], dtype, out: DType::F32, node })
}

/// Takes from the step's stores what nobody reads any more.
fn leave_unstored(plan: &mut Plan, at: usize) {
    let reads = plan.steps.iter().flat_map(PlanStep::reads).chain(plan.outputs.iter().cloned());
    let needed: HashSet<BufferId> = reads.map(|view| view.buffer).collect();
    let buffers = &plan.buffers;
    let stores = match &mut plan.steps[at].kind {
        StepKind::Product(p) => &mut p.stores,
        StepKind::Rows(r) => &mut r.stores,
        _ => return,
    };
    stores.retain(|(_, to)| {
        let buffer = &buffers[to.buffer.0 as usize];
        needed.contains(&to.buffer) || buffer.checked || !matches!(buffer.home, Home::Arena(_))
    });
}
