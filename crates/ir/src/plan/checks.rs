//! Checks for values that are not finite, left out where a later one sees the same.

use super::{Buffer, BufferId, Load, PlanStep, Program, StepKind, TileOp, Value};

/// The operations whose result is not finite where one of their operands is not: 0 · ∞ and ∞ − ∞ are NaN.
const PASSING_ON: [&str; 4] = ["add", "sub", "mul", "neg"];

/// Takes the check from buffers that a step reads element by element, each for a result that is checked and is
/// not finite where the element is not: so a gradient from which nothing but new state is made.
pub(super) fn leave_to_later(steps: &[PlanStep], buffers: &mut [Buffer]) {
    for step in steps {
        let StepKind::Fused { program, stores } = &step.kind else { continue };
        let checked: Vec<Value> =
            stores.iter().filter(|(_, to)| buffers[to.buffer.0 as usize].checked).map(|s| s.0).collect();
        for (load, buffer) in whole_operands(program, buffers) {
            if checked.iter().any(|&result| reaches(program, load, result)) {
                buffers[buffer.0 as usize].checked = false;
            }
        }
    }
}

/// The loads of a checked buffer that read all of it, each element once.
fn whole_operands(program: &Program, buffers: &[Buffer]) -> Vec<(Value, BufferId)> {
    let elements: usize = program.dims.iter().product();
    let whole = |(i, load): (usize, &Load)| {
        let Load::Memory(view) = load else { return None };
        let buffer = &buffers[view.buffer.0 as usize];
        let all = view.is_contiguous() && view.offset == 0 && buffer.len == elements;
        (buffer.checked && all).then_some((i as Value, view.buffer))
    };
    program.loads.iter().enumerate().filter_map(whole).collect()
}

/// True where the result is not finite wherever the operand is not.
fn reaches(program: &Program, operand: Value, result: Value) -> bool {
    let mut reached = vec![operand];
    for (i, instr) in program.instrs.iter().enumerate() {
        let passes_on = match &instr.op {
            TileOp::Map(map) => PASSING_ON.contains(&map.0.name()),
            TileOp::Cast => instr.out.is_float(),
            _ => false,
        };
        if passes_on && instr.dtype.is_float() && instr.args.iter().any(|arg| reached.contains(arg)) {
            reached.push((program.loads.len() + i) as Value);
        }
    }
    result != operand && reached.contains(&result)
}

#[cfg(test)]
mod tests {
    use crate::plan::{Options, Plan, StepKind, plan};
    use crate::{Array, DType, Mode, Role, Store, Tape, Var};

    /// A step that moves `w` against the gradient of `x · w`, as `update` says.
    fn trained(update: impl for<'g> Fn(Var<'g, f32>, Var<'g, f32>) -> Var<'g, f32>) -> Option<Plan> {
        let mut store = Store::new();
        let w = store.add("w", Role::Parameter, Array::zeros(DType::F32, [6, 5])).ok()?;
        let tape = Tape::new(Mode::Train);
        let x = tape.input::<f32>([8, 6]);
        let now = Var::<f32>::of(tape.slot(w, store.ty(w)));
        let loss = x.dot(now).square().mean_all();
        let gradient = loss.grad(&[now])[0];
        tape.watch_gradient(w, gradient.node());
        tape.assign(w, update(now, gradient).node());
        tape.output("loss", loss.node());
        plan(&tape.finish().ok()?.0, Options::default()).ok()
    }

    /// Whether the products' results are checked where they are written.
    fn checked_products(plan: Option<Plan>) -> Vec<bool> {
        let plan = plan.expect("a sound program");
        let product = |kind: &StepKind| match kind {
            StepKind::Dot(dot) => Some(plan.buffer(dot.out.buffer).checked),
            _ => None,
        };
        plan.steps.iter().filter_map(|step| product(&step.kind)).collect()
    }

    #[test]
    fn gradients_are_checked_by_the_updates_that_show_them() {
        assert_eq!(checked_products(trained(|w, g| w - g * 0.1)), [false, false], "descent");
        assert_eq!(checked_products(trained(|w, g| w * 0.9 - (g + w) * 0.1)), [false, false], "with decay");
        // An infinite gradient gives a finite step here.
        assert_eq!(checked_products(trained(|w, g| w - g.tanh())), [false, true], "bounded");
        assert_eq!(checked_products(trained(|w, g| w - g.recip())), [false, true], "divided by");
        assert_eq!(checked_products(trained(|w, g| w - g.sum_all() * 0.1)), [false, true], "summed");
    }
}
