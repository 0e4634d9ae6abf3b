//! Regions of narrow networks, for machines whose multiprocessors have memory of their own: a few rows go through all
//! layers, forward and backward, without leaving the chip, where each layer by itself would be a kernel of little work.
//!
//! What only the region needs lies on the chip alone. What others need as well, as gradients of weights need each layer's
//! result, is stored for them, and kept on the chip for the region itself. Sums over the rows are left to steps of their
//! own. The idea is that of fully fused networks (Müller, Rousselle, Novák, Keller, "Real-time neural radiance caching for
//! path tracing", ACM Transactions on Graphics 40, 2021).

use super::order::needed_for;
use super::region::{self, Blocks, Place, Region, Split, connected, divide, places};
use super::rowwise::Role;
use super::{Buffer, BufferId, DotStep, Epilogue, Home, Load, Plan, PlanStep, Program, StepKind, View};
use crate::DType;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;

/// Rows of a batch. Of fewer most of the machine would be idle, and each block would read all weights for few; of more the
/// steps keep it busy one by one.
const ROWS: RangeInclusive<usize> = 256..=16_384;
/// Longest side of a layer: the weights of one are read anew by every block.
const WIDEST: usize = 256;
/// Most elements of a row in other steps.
const LONGEST: usize = 1024;
/// Multiplications of a product from which on it keeps the machine busy by itself.
const WORK: usize = 1 << 26;
/// Rows of a block: the fewest that tensor cores take, or twice as many, where there are rows enough.
const BLOCK: usize = 16;
const MANY: usize = 2048;
/// Products that are worth a region.
const FEWEST: usize = 2;
/// Most buffers beside those on the chip: each is an argument of the kernel.
const ARGUMENTS: usize = 200;

/// Gathers steps into regions whose blocks fit so many bytes.
pub(super) fn gather(plan: &mut Plan, bytes: usize) {
    region::gather_found(plan, |plan, steps| {
        batches(plan, steps).into_iter().find_map(|rows| find(plan, steps, rows, bytes))
    });
}

/// Lengths of batches that narrow layers compute.
fn batches(plan: &Plan, steps: &[PlanStep]) -> BTreeSet<usize> {
    let of = |step: &PlanStep| product(step).filter(|dot| is_narrow(plan, dot)).map(|dot| dot.out.dims[0]);
    steps.iter().filter_map(of).filter(|rows| ROWS.contains(rows)).collect()
}

fn product(step: &PlanStep) -> Option<&DotStep> {
    match &step.kind {
        StepKind::Dot(dot) => Some(dot),
        StepKind::Product(p) => Some(&p.dot),
        _ => None,
    }
}

/// True for the product of a narrow layer.
fn is_narrow(plan: &Plan, dot: &DotStep) -> bool {
    let (&[m, n], &[_, k]) = (&dot.out.dims[..], &dot.x.dims[..]) else { return false };
    let dtype = |view: &View| plan.buffer(view.buffer).dtype;
    k.max(n) <= WIDEST
        && m * n * k < WORK
        && matches!(dtype(&dot.x), DType::F32 | DType::Bf16)
        && dtype(&dot.x) == dtype(&dot.y)
        && dtype(&dot.out) == DType::F32
        && dot.x.matrix().is_some_and(|x| !x.by_columns)
        && dot.y.matrix().is_some()
}

/// True for a step that a block of a region can compute.
fn is_computed(plan: &Plan, step: &PlanStep, rows: usize) -> bool {
    match &step.kind {
        StepKind::Dot(_) | StepKind::Product(_) => product(step).is_some_and(|dot| is_narrow(plan, dot)),
        StepKind::Fused { program, .. } | StepKind::Reduce { program, .. } => {
            program.dims.iter().product::<usize>() <= rows * LONGEST
        }
        StepKind::Gather { out, .. } => out.elements() <= rows * LONGEST,
        _ => false,
    }
}

/// The first region over so many rows that is worth it.
fn find(plan: &mut Plan, steps: &[PlanStep], rows: usize, bytes: usize) -> Option<Split> {
    let computed: Vec<bool> = steps.iter().map(|step| is_computed(plan, step, rows)).collect();
    let taken = |plan: &Plan, part: &[bool]| {
        let may = |i: usize, role| role == Role::Rows && computed[i] && part[i];
        places(plan, steps, rows, region::inputs(&plan.buffers, rows), may)
    };
    let all: Vec<Place> = taken(plan, &vec![true; steps.len()]);
    for part in connected(steps, &all) {
        let mut split = divide(plan, steps, rows, &taken(plan, &part));
        if split.region.steps.iter().filter(|step| product(step).is_some()).count() < FEWEST {
            continue;
        }
        let mut buffers = plan.buffers.clone();
        if put_on_chip(&mut buffers, &mut split.region, bytes) {
            plan.buffers = buffers;
            return Some(in_order(split));
        }
    }
    None
}

/// Puts what a region does not need behind it: small steps can then be one with others of their kind.
fn in_order(split: Split) -> Split {
    let region = &split.region;
    let needed = region.reads().iter().chain(region.writes()).map(|view| view.buffer).collect();
    let (before, mut after) = needed_for(needed, split.before, |_| false);
    after.extend(split.after);
    Split { before, after, ..split }
}

/// Gives a region its place on a chip; false where there is not room.
fn put_on_chip(buffers: &mut Vec<Buffer>, region: &mut Region, bytes: usize) -> bool {
    region.steps.iter_mut().for_each(|step| with_end(buffers, step));
    keep(buffers, region);
    for id in &region.locals {
        buffers[id.0 as usize].home = Home::Block { at: 0, bytes: 0 };
    }
    let views = region.reads().into_iter().chain(region.writes().into_iter().cloned());
    if views.map(|view| view.buffer).collect::<HashSet<_>>().len() > ARGUMENTS {
        return false;
    }
    let most = if region.rows > MANY { 2 * BLOCK } else { BLOCK };
    [most, BLOCK].into_iter().any(|rows| {
        region.blocks = Blocks::OnChip(rows);
        super::memory::in_block(region, buffers).bytes <= bytes
    })
}

/// Makes a product one that ends with storing it: its result can then be stored twice.
fn with_end(buffers: &mut Vec<Buffer>, step: &mut PlanStep) {
    let StepKind::Dot(dot) = &step.kind else { return };
    let mut dot = dot.clone();
    let stores = vec![(0, dot.out.clone())];
    dot.out.buffer = alike(buffers, dot.out.buffer);
    let loads = vec![Load::Memory(dot.out.clone())];
    let program = Program { dims: dot.out.dims.clone(), loads, instrs: vec![] };
    let node = step.node;
    let end = Epilogue { dot, node, program, product: 0, stores, sums: None };
    step.kind = StepKind::Product(Box::new(end));
}

/// Another buffer for the same, on the chip.
fn alike(buffers: &mut Vec<Buffer>, id: BufferId) -> BufferId {
    let home = Home::Block { at: 0, bytes: 0 };
    buffers.push(Buffer { home, checked: false, ..buffers[id.0 as usize].clone() });
    BufferId(buffers.len() as u32 - 1)
}

/// Keeps on the chip what the region stores for others and needs itself.
fn keep(buffers: &mut Vec<Buffer>, region: &mut Region) {
    let reads: HashSet<BufferId> =
        region.steps.iter().flat_map(PlanStep::reads).map(|view| view.buffer).collect();
    let mut kept: HashMap<BufferId, BufferId> = HashMap::new();
    for step in &mut region.steps {
        for view in operands(&mut step.kind) {
            view.buffer = kept.get(&view.buffer).copied().unwrap_or(view.buffer);
        }
        let stores = match &mut step.kind {
            StepKind::Fused { stores, .. } => stores,
            StepKind::Product(p) => &mut p.stores,
            _ => continue,
        };
        for (value, view) in stores.clone() {
            if reads.contains(&view.buffer) && !region.locals.contains(&view.buffer) {
                let copy = alike(buffers, view.buffer);
                kept.insert(view.buffer, copy);
                region.locals.push(copy);
                stores.push((value, View { buffer: copy, ..view }));
            }
        }
    }
}

/// What a step of a region reads.
fn operands(kind: &mut StepKind) -> Vec<&mut View> {
    let (program, product) = match kind {
        StepKind::Fused { program, .. } | StepKind::Reduce { program, .. } => (program, None),
        StepKind::Product(p) => (&mut p.program, Some([&mut p.dot.x, &mut p.dot.y])),
        _ => return vec![],
    };
    let loads = program.loads.iter_mut().filter(|load| matches!(load, Load::Memory(_)));
    loads.map(Load::view_mut).chain(product.into_iter().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Options, Regions, plan};
    use crate::{Array, Mode, Role as Of, Store, Tape, Var};

    /// The plan of a step of a network of three layers.
    fn network(bytes: usize) -> Plan {
        let (tape, mut store, sides) = (Tape::new(Mode::Train), Store::new(), [3, 64, 64, 5]);
        let weight = |s: &[usize]| {
            let slot = store.add(&format!("{s:?}"), Of::Parameter, Array::zeros(DType::F32, s)).unwrap();
            (slot, Var::<f32>::of(tape.slot(slot, store.ty(slot))))
        };
        let weights: Vec<_> = sides.windows(2).map(weight).collect();
        let x = tape.input::<f32>([1000, 3]);
        let loss = weights.iter().fold(x, |z, w| z.dot(w.1).tanh()).square().mean_all();
        tape.output("loss", loss.node());
        let of: Vec<_> = weights.iter().map(|w| w.1).collect();
        let gradients = loss.grad(&of);
        tape.updating(|| {
            for ((slot, w), gradient) in weights.iter().zip(gradients) {
                tape.assign(*slot, (*w - gradient * 0.1).node());
            }
        });
        let regions = Regions::OnChip(bytes);
        let options = Options { regions, epilogues: true, updates_last: true, ..Options::default() };
        plan(&tape.finish().unwrap().0, options).unwrap()
    }

    fn region(plan: &Plan) -> Option<&Region> {
        plan.steps.iter().find_map(|step| match &step.kind {
            StepKind::Region(region) => Some(&**region),
            _ => None,
        })
    }

    #[test]
    fn what_others_need_is_stored_and_kept() {
        let plan = network(96 << 10);
        let region = region(&plan).expect("a region");
        assert_eq!(region.blocks, Blocks::OnChip(BLOCK));
        // Of hidden layers the results, and the gradients before them, are for the gradients of weights as well; nothing in
        // the region reads them but from the chip.
        let stays: HashSet<BufferId> = region.writes().iter().map(|view| view.buffer).collect();
        let both = |step: &&PlanStep| {
            let (local, other): (Vec<_>, Vec<_>) =
                step.writes().iter().map(|v| v.buffer).partition(|id| region.locals.contains(id));
            !local.is_empty() && !other.is_empty()
        };
        assert!(region.steps.iter().filter(both).count() >= 3, "{:?}", region.steps);
        assert!(region.steps.iter().flat_map(PlanStep::reads).all(|view| !stays.contains(&view.buffer)));
        // A row of 64 numbers takes the place of 72, for 16 rows.
        let wide = region.locals.iter().map(|&id| plan.buffer(id)).find(|b| b.len == 64_000);
        assert_eq!(wide.map(|buffer| region.bytes_of(buffer)), Some(72 * 4 * BLOCK));
    }

    #[test]
    fn without_room_there_is_none() {
        let needed = region(&network(96 << 10)).expect("a region").block_bytes;
        assert!(region(&network(needed)).is_some());
        assert!(region(&network(needed - 1)).is_none());
    }

    #[test]
    fn nothing_stands_before_that_the_region_does_not_need() {
        let plan = network(96 << 10);
        let at = plan.steps.iter().position(|s| matches!(s.kind, StepKind::Region(_)));
        assert_eq!(at, Some(0), "weights are given");
        // The loss is added up last, and its parts are rows of the region.
        let is_last = |step: &PlanStep| step.writes().iter().any(|v| v.buffer == plan.outputs[0].buffer);
        assert!(plan.steps.last().is_some_and(is_last));
    }
}
