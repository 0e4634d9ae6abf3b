//! Which steps may wait for everything else.

use super::super::group::{Groups, base};
use crate::{Graph, NodeId, Phase};

/// For each node whether it is computed with the new state, after everything else: all that is computed with it
/// belongs to the update, and nothing earlier uses any of it.
pub(super) fn late(graph: &Graph, groups: &Groups) -> Vec<bool> {
    let unit = |id: NodeId| groups.group[id.index()].unwrap_or(id).index();
    let mut late = vec![true; graph.nodes.len()];
    for id in graph.ids().filter(|&id| graph.node(id).site.phase != Phase::Update) {
        late[unit(id)] = false;
    }
    // Ids of operands are smaller, but those of groups need not be: until nothing changes.
    let mut is_done = false;
    while !is_done {
        is_done = true;
        for id in graph.ids().rev().filter(|&id| !late[unit(id)]).collect::<Vec<_>>() {
            for &x in &graph.node(id).inputs {
                let needed = unit(base(graph, x));
                is_done &= !late[needed];
                late[needed] = false;
            }
        }
    }
    graph.ids().map(|id| late[unit(id)]).collect()
}

#[cfg(test)]
mod tests {
    use crate::plan::{Options, Regions, plan};
    use crate::{Array, Mode, Phase, Role, Store, Tape, Var};

    #[test]
    fn what_is_computed_with_something_earlier_waits_for_nothing() {
        let mut store = Store::new();
        let slot = store.add("w", Role::Statistic, Array::of([3, 3], vec![0f32; 9]).unwrap()).unwrap();
        let tape = Tape::new(Mode::Train);
        let x = tape.input::<f32>([3, 3]);
        // One group with the product that the update makes of it, which needs the sum.
        let y = x.dot(x).tanh();
        tape.output("y", y.node());
        tape.updating(|| {
            let next: Var<f32> = y * x.sum_all();
            tape.assign(slot, next.node());
        });
        let (graph, _) = tape.finish().unwrap();
        let options = Options { regions: Regions::None, updates_last: true, ..Options::default() };
        let plan = plan(&graph, options).unwrap();
        let phase = |step: usize| plan.graph.node(plan.steps[step].node).site.phase;
        let last = plan.steps.len() - 1;
        assert!((0..last).any(|step| phase(step) == Phase::Update), "the sum comes before what needs it");
    }
}
