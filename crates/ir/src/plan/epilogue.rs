//! Products that end with what is done to their elements: a bias is added, a function applied, the result stored
//! once, and the product itself never.

use super::{Buffer, BufferId, Epilogue, Home, Load, Plan, PlanStep, StepKind};
use crate::{DType, Phase};
use std::collections::HashMap;

/// Multiplications from which on a product is worth a step of this kind.
const FEWEST: usize = 1 << 12;
/// Multiplications from which on a gradient is better computed apart from the update that it is for: long sums into
/// small results suit other kernels, and all updates together are one step.
const LONG: usize = 1 << 24;

/// Most matrices of a batch, and the longest side: what a launch on a GPU can count.
const BATCH: usize = 65_535;
const SIDE: usize = (1 << 31) - 1;

/// Makes one step of each product and the elementwise step that alone uses it.
pub(super) fn gather(plan: &mut Plan) {
    let ends = ends(plan);
    let mut held: HashMap<usize, PlanStep> = HashMap::new();
    let mut steps = Vec::with_capacity(plan.steps.len());
    for (i, step) in std::mem::take(&mut plan.steps).into_iter().enumerate() {
        if let Some(&(end, _)) = ends.get(&i) {
            held.insert(end, step);
            continue;
        }
        match (held.remove(&i), step.kind) {
            (Some(PlanStep { kind: StepKind::Dot(dot), node }), StepKind::Fused { program, stores }) => {
                plan.buffers[dot.out.buffer.0 as usize].home = Home::Block { at: 0, bytes: 0 };
                let product = ends.values().find(|e| e.0 == i).map_or(0, |e| e.1);
                let end = Epilogue { dot, node, program, product, stores, sums: None };
                let kind = StepKind::Product(Box::new(end));
                steps.push(PlanStep { kind, node: step.node });
            }
            (_, kind) => steps.push(PlanStep { kind, node: step.node }),
        }
    }
    plan.steps = steps;
}

/// For the place of each product that can end with another step: the place of that step, and the load of its program
/// that stands for the product. No step is the end of two.
fn ends(plan: &Plan) -> HashMap<usize, (usize, usize)> {
    let mut uses: HashMap<BufferId, usize> = HashMap::new();
    let reads = plan.steps.iter().flat_map(PlanStep::reads).chain(plan.outputs.iter().cloned());
    reads.for_each(|view| *uses.entry(view.buffer).or_default() += 1);
    let mut products: HashMap<BufferId, usize> = HashMap::new();
    let mut ends = HashMap::new();
    for (i, step) in plan.steps.iter().enumerate() {
        match &step.kind {
            StepKind::Dot(dot) if ends_well(&plan.buffers, step) && uses.get(&dot.out.buffer) == Some(&1) => {
                products.insert(dot.out.buffer, i);
            }
            StepKind::Fused { program, .. } => {
                let updates = plan.graph.node(step.node).site.phase == Phase::Update;
                let n: usize = program.dims.iter().product();
                let product = |load: &Load| {
                    let Load::Memory(view) = load else { return None };
                    let of_all = [n, plan.buffer(view.buffer).len] == [view.elements(); 2];
                    let whole = view.is_contiguous() && view.offset == 0 && of_all;
                    let place = products.get(&view.buffer).copied().filter(|_| whole)?;
                    (!updates || work(&plan.steps[place]) < LONG).then_some(place)
                };
                let found = program.loads.iter().enumerate().find_map(|(l, load)| Some((l, product(load)?)));
                if let Some((load, place)) = found {
                    ends.insert(place, (i, load));
                }
            }
            _ => {}
        }
    }
    ends
}

/// The multiplications of a product.
fn work(step: &PlanStep) -> usize {
    let StepKind::Dot(dot) = &step.kind else { return 0 };
    dot.out.elements() * dot.x.dims.last().copied().unwrap_or(0)
}

/// True for a product that there is an executor's kernel with an end for.
fn ends_well(buffers: &[Buffer], step: &PlanStep) -> bool {
    let StepKind::Dot(dot) = &step.kind else { return false };
    let buffer = |id: BufferId| &buffers[id.0 as usize];
    let (x, out) = (buffer(dot.x.buffer), buffer(dot.out.buffer));
    let rank = dot.out.dims.len();
    let sides = dot.out.dims[rank - 2..].iter().chain(dot.x.dims.last());
    let small = dot.out.dims[..rank - 2].iter().product::<usize>() <= BATCH && sides.max() <= Some(&SIDE);
    let in_order = dot.x.matrix().is_some() && dot.y.matrix().is_some();
    matches!(x.dtype, DType::F32 | DType::Bf16)
        && small
        && in_order
        && x.dtype == buffer(dot.y.buffer).dtype
        && out.dtype == DType::F32
        && matches!(out.home, Home::Arena(_))
        && !out.checked
        && work(step) >= FEWEST
}
