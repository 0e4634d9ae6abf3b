//! Products that end with what is done to their elements: a bias is added, a function applied, the result stored
//! once, and the product itself never.

use super::{Buffer, BufferId, Epilogue, Home, Load, Plan, PlanStep, StepKind};
use crate::{DType, Phase};
use std::collections::HashMap;

/// Multiplications from which on a product is worth a step of this kind.
const FEWEST: usize = 1 << 12;
/// Multiplications from which on a gradient is better computed apart from the update that it is for: long sums into
/// small results suit the kernels of a library, and all updates together are one step.
const LONG: usize = 1 << 24;

/// Makes one step of each product and the elementwise step that alone uses it.
pub(super) fn gather(plan: &mut Plan) {
    let mut uses: HashMap<BufferId, usize> = HashMap::new();
    let reads = plan.steps.iter().flat_map(PlanStep::reads).chain(plan.outputs.iter().cloned());
    reads.for_each(|view| *uses.entry(view.buffer).or_default() += 1);
    let mut products: HashMap<BufferId, PlanStep> = HashMap::new();
    let mut steps = Vec::with_capacity(plan.steps.len());
    for step in std::mem::take(&mut plan.steps) {
        match &step.kind {
            StepKind::Dot(dot) if ends_well(&plan.buffers, &step) && uses.get(&dot.out.buffer) == Some(&1) => {
                products.insert(dot.out.buffer, step);
            }
            StepKind::Fused { program, stores } => {
                let updates = plan.graph.node(step.node).site.phase == Phase::Update;
                let n: usize = program.dims.iter().product();
                let found = program.loads.iter().position(|load| {
                    let Load::Memory(view) = load else { return false };
                    let whole = view.is_contiguous() && view.offset == 0 && view.elements() == n;
                    let suits = |step: &PlanStep| !updates || work(step) < LONG;
                    whole && products.get(&view.buffer).is_some_and(suits)
                });
                let product = found.and_then(|i| {
                    let step = products.remove(&program.loads[i].view().buffer)?;
                    Some((i, step))
                });
                // What other products the step uses are computed before it.
                let others = program.loads.iter().filter_map(|load| products.remove(&load.view().buffer));
                steps.extend(others.collect::<Vec<_>>());
                let Some((i, before)) = product else {
                    steps.push(step);
                    continue;
                };
                let StepKind::Dot(dot) = before.kind else { continue };
                plan.buffers[dot.out.buffer.0 as usize].home = Home::Block { at: 0, bytes: 0 };
                let (program, stores) = (program.clone(), stores.clone());
                let kind = StepKind::Product(Box::new(Epilogue { dot, node: before.node, program, product: i, stores }));
                steps.push(PlanStep { kind, node: step.node });
            }
            _ => {
                // Used otherwise: by anything but an elementwise step, or not as a whole.
                let used = step.reads();
                steps.extend(used.iter().filter_map(|view| products.remove(&view.buffer)).collect::<Vec<_>>());
                steps.push(step);
            }
        }
    }
    // The one use of what is left is as an output.
    let mut left: Vec<PlanStep> = products.into_values().collect();
    left.sort_by_key(|step| step.node);
    left.append(&mut steps);
    plan.steps = left;
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
    let in_order = dot.x.matrix().is_some() && dot.y.matrix().is_some();
    matches!(x.dtype, DType::F32 | DType::Bf16)
        && in_order
        && x.dtype == buffer(dot.y.buffer).dtype
        && out.dtype == DType::F32
        && matches!(out.home, Home::Arena(_))
        && !out.checked
        && work(step) >= FEWEST
}
