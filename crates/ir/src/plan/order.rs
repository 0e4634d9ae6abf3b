//! The order of steps, for machines that can compute small ones as one.

use super::memory::SMALL;
use super::{BufferId, Home, Plan, PlanStep, StepKind, View};
use std::collections::HashSet;

/// Puts small steps that nothing needs but those who see the results behind all others, as what is done to the sum of a
/// loss.
pub(super) fn results_last(plan: &mut Plan) {
    let steps = std::mem::take(&mut plan.steps);
    let buffer = |view: &View| plan.buffer(view.buffer);
    let is_large = |view: &View| buffer(view).bytes() > SMALL;
    let stays = |step: &PlanStep| {
        let writes = step.writes();
        let is_state = |view: &&View| !matches!(buffer(view).home, Home::Arena(_));
        // Sums of ranks begin as early as they can.
        matches!(step.kind, StepKind::Reference { .. })
            || writes.iter().any(|view| is_state(view) || is_large(view))
            || step.reads().iter().any(is_large)
    };
    let (first, last) = needed_for(HashSet::new(), steps, stays);
    plan.steps = first.into_iter().chain(last).collect();
}

/// The steps that are `wanted`, or write something that is needed for them, or is `needed` from the beginning; and the others.
pub(super) fn needed_for(
    mut needed: HashSet<BufferId>,
    steps: Vec<PlanStep>,
    wanted: impl Fn(&PlanStep) -> bool,
) -> (Vec<PlanStep>, Vec<PlanStep>) {
    let mut is_needed = vec![false; steps.len()];
    for (is_needed, step) in is_needed.iter_mut().zip(&steps).rev() {
        *is_needed = wanted(step) || step.writes().iter().any(|view| needed.contains(&view.buffer));
        if *is_needed {
            // What is filled before a part of it is written has to be filled first.
            needed.extend(step.reads().iter().chain(step.writes()).map(|view| view.buffer));
        }
    }
    let mut is_needed = is_needed.into_iter();
    steps.into_iter().partition(|_| is_needed.next().unwrap_or_default())
}
