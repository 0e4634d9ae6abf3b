//! [`StepProfile`]: what one step of a plan is, and what it has cost.

use crate::plan::{Plan, PlanStep, StepKind, View};
use crate::{NodeId, Phase};

/// One step of a plan, measured.
#[derive(Clone, Debug, PartialEq)]
pub struct StepProfile {
    /// Names of the operations that it computes, in order; for a step that only moves elements `copy`.
    pub operations: Vec<&'static str>,
    /// Paths of the layers that the operations belong to, in order; empty outside of layers.
    pub layers: Vec<String>,
    /// Forward, backward or update: that of the operation which completes it.
    pub phase: Phase,
    /// Runs so far.
    pub calls: u64,
    /// Time spent in all runs.
    pub seconds: f64,
    /// What part of it was shared among threads.
    pub shared: SharedWork,
    /// Arithmetic operations of one run, roughly.
    pub flops: u64,
    /// Bytes read and written by one run, each operand and result counted once.
    pub bytes: u64,
}

/// Work that threads did side by side, in seconds, over all runs of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SharedWork {
    /// From the beginning to the end of it.
    pub wall: f64,
    /// The time of all its tasks.
    pub work: f64,
    /// The time of its longest tasks, one of each run.
    pub longest: f64,
}

impl StepProfile {
    /// Time that all runs would have taken with so many cores, each as fast as one of those that were measured, and
    /// a memory that gives so many bytes a second to all of them together. A prediction: what is not shared stays as
    /// it is, what is shared is limited by its longest task, and a step that memory holds up today is not faster
    /// than memory.
    pub fn predicted(&self, cores: usize, bytes_per_second: f64) -> f64 {
        let SharedWork { wall, work, longest } = self.shared;
        let time = (self.seconds - wall).max(0.0) + longest.max(work / cores as f64);
        let traffic = (self.bytes * self.calls) as f64 / bytes_per_second;
        if traffic < self.seconds { time.max(traffic) } else { time }
    }

    /// The profile of a step that was run `calls` times in all of `seconds`.
    pub fn new(plan: &Plan, step: &PlanStep, calls: u64, seconds: f64, shared: SharedWork) -> StepProfile {
        let (mut nodes, mut layers) = (Vec::new(), Vec::<String>::new());
        computed(step, &mut nodes);
        for &id in nodes.iter().chain([&step.node]) {
            let layer = plan.graph.layer(id);
            if !layer.is_empty() && !layers.iter().any(|l| l == layer) {
                layers.push(layer.to_string());
            }
        }
        let mut operations: Vec<&str> = nodes.iter().map(|&id| plan.graph.node(id).op.name()).collect();
        if operations.is_empty() {
            operations.push("copy");
        }
        let phase = plan.graph.node(step.node).site.phase;
        let bytes = step.reads().iter().map(|v| bytes(plan, v)).sum::<u64>()
            + step.writes().into_iter().map(|v| bytes(plan, v)).sum::<u64>();
        let flops = nodes.iter().map(|&id| flops(plan, id)).sum();
        StepProfile { operations, layers, phase, calls, seconds, shared, flops, bytes }
    }
}

/// The nodes whose values a step computes.
fn computed(step: &PlanStep, nodes: &mut Vec<NodeId>) {
    match &step.kind {
        StepKind::Fused { program, .. } => nodes.extend(program.instrs.iter().map(|i| i.node)),
        StepKind::Reduce { program, .. } => {
            nodes.extend(program.instrs.iter().map(|i| i.node).filter(|&id| id != step.node));
            nodes.push(step.node);
        }
        StepKind::Rows(rows) => nodes.extend(rows.program.instrs.iter().map(|i| i.node)),
        StepKind::Product(p) => {
            nodes.push(p.node);
            nodes.extend(p.program.instrs.iter().map(|i| i.node));
        }
        StepKind::Region(region) => region.steps.iter().for_each(|s| computed(s, nodes)),
        StepKind::Fill { .. } => {}
        _ => nodes.push(step.node),
    }
}

fn flops(plan: &Plan, id: NodeId) -> u64 {
    let node = plan.graph.node(id);
    let inputs: Vec<_> = node.inputs.iter().map(|&x| &plan.graph.node(x).ty).collect();
    node.op.primitive().cost(&inputs, &node.ty).flops
}

/// Bytes of the different elements of a view.
fn bytes(plan: &Plan, view: &View) -> u64 {
    let different = view.dims.iter().zip(&view.strides).filter(|(_, stride)| **stride != 0);
    let elements: usize = different.map(|(length, _)| *length).product();
    (elements.min(plan.buffer(view.buffer).len) * plan.buffer(view.buffer).dtype.size()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Options, plan};
    use crate::{Mode, Tape};

    #[test]
    fn a_step_knows_its_operations_layers_and_costs() {
        let tape = Tape::new(Mode::Infer);
        let (x, w) = (tape.input::<f32>([4, 3]), tape.input::<f32>([3, 5]));
        let h = {
            let _layer = tape.enter("hidden");
            (x.dot(w) + 1.0).tanh()
        };
        tape.output("h", h.node());
        let (graph, _) = tape.finish().expect("no mistakes");
        let plan = plan(&graph, Options::default()).expect("a plan");
        let steps: Vec<StepProfile> =
            plan.steps.iter().map(|s| StepProfile::new(&plan, s, 2, 0.5, SharedWork::default())).collect();
        assert_eq!(steps.len(), 2, "{steps:?}");
        assert_eq!((&steps[0].operations[..], steps[0].flops), (&["dot"][..], 2 * 4 * 3 * 5));
        assert_eq!(steps[0].bytes, 4 * (12 + 15 + 20));
        assert_eq!(steps[1].operations, ["add", "tanh"]);
        assert_eq!(steps[1].bytes, 4 * (20 + 1 + 20));
        assert_eq!((steps[1].calls, steps[1].phase), (2, Phase::Forward));
        assert_eq!(steps[1].layers, ["hidden"]);
    }

    #[test]
    fn more_cores_help_what_is_shared_down_to_its_longest_task_and_what_memory_gives() {
        let tape = Tape::new(Mode::Infer);
        tape.output("h", tape.input::<f32>([1000]).exp().node());
        let (graph, _) = tape.finish().expect("no mistakes");
        let plan = plan(&graph, Options::default()).expect("a plan");
        // 2 of 10 seconds alone; 16 seconds of work on two cores, in tasks of 2.
        let shared = SharedWork { wall: 8.0, work: 16.0, longest: 2.0 };
        let step = StepProfile::new(&plan, &plan.steps[0], 1, 10.0, shared);
        assert_eq!([1, 2, 4, 8, 64].map(|n| step.predicted(n, f64::MAX)), [18.0, 10.0, 6.0, 4.0, 4.0]);
        // 8,000 bytes at 1,000 bytes a second; a memory too slow for what was measured was not in the way.
        assert_eq!([1, 2, 4, 8].map(|n| step.predicted(n, 1000.0)), [18.0, 10.0, 8.0, 8.0]);
        assert_eq!(step.predicted(8, 100.0), 4.0);
    }
}
