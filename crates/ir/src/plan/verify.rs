//! Checks a finished plan, always: every read follows a write and nothing has overwritten it since, no view
//! leaves its buffer, no buffer leaves the arena, results share memory with operands only where every
//! element is read before its place is written, and every update and output is written.

use super::{BufferId, Home, Load, Plan, PlanStep, Region, RowSums, StepKind, View};
use std::collections::HashMap;

/// Buffers that have been written and not overwritten since: the elements between the lowest and the highest of what
/// was written, in order and joined.
type Alive = HashMap<BufferId, Vec<(usize, usize)>>;

/// What is wrong with a plan, if anything.
pub fn verify(plan: &Plan) -> Result<(), String> {
    let mut alive = Alive::new();
    for (i, step) in plan.steps.iter().enumerate() {
        let at = |what: String| format!("plan step {i} ({}): {what}", plan.graph.node(step.node).op.name());
        if let StepKind::Region(region) = &step.kind {
            super::region::verify(&plan.buffers, region).map_err(at)?;
            let mut inside = alive.clone();
            for (j, step) in region.steps.iter().enumerate() {
                let at = |what: String| at(format!("step {j} of the region: {what}"));
                in_order(plan, step, &mut inside).map_err(at)?;
                blocks_fit(plan, region, step).map_err(at)?;
            }
        }
        in_order(plan, step, &mut alive).map_err(at)?;
    }
    for (view, (name, _)) in plan.outputs.iter().zip(&plan.graph.outputs) {
        inside(plan, view)?;
        if !is_written(&alive, view) {
            return Err(format!("output `{name}` is not written, or overwritten"));
        }
    }
    for (slot, _) in &plan.graph.updates {
        let lands = |id: &BufferId| plan.buffer(*id).home == Home::Spare(*slot);
        let whole = |id| is_written(&alive, &View::whole(id, &[plan.buffer(id).len]));
        if !(0..plan.buffers.len() as u32).map(BufferId).filter(lands).any(whole) {
            return Err(format!("the next value of slot {} is not written, or not all of it", slot.0));
        }
    }
    Ok(())
}

/// Checks one step after those that left the buffers `alive`, and brings `alive` up to date.
fn in_order(plan: &Plan, step: &PlanStep, alive: &mut Alive) -> Result<(), String> {
    for view in step.reads() {
        inside(plan, &view)?;
        if written_by_steps(plan, view.buffer) && !is_written(alive, &view) {
            return Err(format!(
                "reads buffer {} before it is written, or after it was overwritten",
                view.buffer.0
            ));
        }
    }
    for view in step.writes() {
        inside(plan, view)?;
        if !written_by_steps(plan, view.buffer) {
            return Err(format!("writes buffer {}, which is given", view.buffer.0));
        }
        for read in step.reads() {
            if collide(plan, &read, view) && !in_place(plan, step, &read, view) {
                return Err(format!(
                    "writes buffer {} over buffer {}, which it reads",
                    view.buffer.0, read.buffer.0
                ));
            }
        }
        alive.retain(|&b, _| b == view.buffer || !overlap(plan, b, view.buffer));
    }
    if let StepKind::Fill { out, .. } = &step.kind
        && out.elements() == plan.buffer(out.buffer).len
        && alive.contains_key(&out.buffer)
    {
        return Err(format!("fills buffer {}, which was written before", out.buffer.0));
    }
    let written = step.writes();
    for (a, first) in written.iter().enumerate() {
        if written[a + 1..].iter().any(|second| collide(plan, first, second)) {
            return Err("two results share memory".into());
        }
    }
    written.into_iter().for_each(|view| write(alive, view));
    program_is_sound(plan, step)
}

/// True where all that a view reaches has been written.
fn is_written(alive: &Alive, view: &View) -> bool {
    let Some((low, high)) = view.reach() else { return true };
    let written = alive.get(&view.buffer).into_iter().flatten();
    written.into_iter().any(|&(from, to)| from <= low && high <= to)
}

/// Adds what a view reaches to what has been written.
fn write(alive: &mut Alive, view: &View) {
    let written = alive.entry(view.buffer).or_default();
    let Some((mut low, mut high)) = view.reach() else { return };
    written.retain(|&(from, to)| {
        let touches = from <= high + 1 && low <= to + 1;
        if touches {
            (low, high) = (low.min(from), high.max(to));
        }
        !touches
    });
    written.push((low, high));
}

/// Checks that what a step of a region keeps in the block has room there for a block of rows.
fn blocks_fit(plan: &Plan, region: &Region, step: &PlanStep) -> Result<(), String> {
    for id in step.writes().iter().map(|v| v.buffer).chain(step.reads().iter().map(|v| v.buffer)) {
        let buffer = plan.buffer(id);
        let Home::Block { at, bytes } = buffer.home else { continue };
        let needed = region.bytes_of(buffer);
        if !region.locals.contains(&id) || bytes < needed || at + bytes > region.block_bytes {
            return Err(format!("buffer {} has {bytes} bytes in the block, and needs {needed}", id.0));
        }
        if at % super::memory::ALIGN != 0 {
            return Err(format!("buffer {} is not aligned in the block", id.0));
        }
    }
    Ok(())
}

fn written_by_steps(plan: &Plan, id: BufferId) -> bool {
    matches!(plan.buffer(id).home, Home::Arena(_) | Home::Block { .. } | Home::Spare(_))
}

/// Checks that a view stays in its buffer and the buffer in the arena.
fn inside(plan: &Plan, view: &View) -> Result<(), String> {
    let Some(buffer) = plan.buffers.get(view.buffer.0 as usize) else {
        return Err(format!("no buffer {}", view.buffer.0));
    };
    if view.dims.len() != view.strides.len() {
        return Err(format!(
            "a view of buffer {} has {} lengths and {} strides",
            view.buffer.0,
            view.dims.len(),
            view.strides.len()
        ));
    }
    if let Some((_, high)) = view.reach() {
        let low = view.offset as isize
            + view
                .dims
                .iter()
                .zip(&view.strides)
                .map(|(&d, &s)| (s * (d as isize - 1)).min(0))
                .sum::<isize>();
        if low < 0 || high >= buffer.len {
            return Err(format!(
                "a view reaches elements {low}..={high} of buffer {}, which has {}",
                view.buffer.0, buffer.len
            ));
        }
    }
    match buffer.home {
        Home::Arena(at) if at + buffer.bytes() > plan.arena_bytes => {
            Err(format!("buffer {} ends beyond the arena of {} bytes", view.buffer.0, plan.arena_bytes))
        }
        Home::Arena(at) if at % super::memory::ALIGN != 0 => {
            Err(format!("buffer {} is not aligned", view.buffer.0))
        }
        _ => Ok(()),
    }
}

/// True where two views may reach the same memory.
fn collide(plan: &Plan, a: &View, b: &View) -> bool {
    match (a.reach(), b.reach()) {
        (Some((i, m)), Some((j, n))) if a.buffer == b.buffer => i.max(j) <= m.min(n),
        (Some(_), Some(_)) => overlap(plan, a.buffer, b.buffer),
        _ => false,
    }
}

/// True where two different buffers use the same memory.
fn overlap(plan: &Plan, a: BufferId, b: BufferId) -> bool {
    let (x, y) = (plan.buffer(a), plan.buffer(b));
    match (&x.home, &y.home) {
        (Home::Arena(i), Home::Arena(j)) => i.max(j) < &(i + x.bytes()).min(j + y.bytes()),
        (Home::Block { at: i, bytes: m }, Home::Block { at: j, bytes: n }) => i.max(j) < &(i + m).min(j + n),
        (Home::Spare(i), Home::Spare(j)) => i == j,
        _ => false,
    }
}

/// True where a fused step reads each element just before it writes the same place.
fn in_place(plan: &Plan, step: &PlanStep, read: &View, write: &View) -> bool {
    let (a, b) = (plan.buffer(read.buffer), plan.buffer(write.buffer));
    matches!(step.kind, StepKind::Fused { .. })
        && read.buffer != write.buffer
        && a.home == b.home
        && a.dtype.size() == b.dtype.size()
        && read.offset == write.offset
        && read.dims == write.dims
        && read.strides == write.strides
        && step.reads().iter().filter(|v| overlap(plan, v.buffer, write.buffer)).count() == 1
}

/// Checks that a tile program uses only earlier values and that all its views have its index space.
fn program_is_sound(plan: &Plan, step: &PlanStep) -> Result<(), String> {
    let (program, results): (_, Vec<u32>) = match &step.kind {
        StepKind::Fused { program, stores } => {
            if let Some((_, view)) = stores.iter().find(|(_, view)| view.dims != program.dims) {
                return Err(format!("a result over {:?} in a program over {:?}", view.dims, program.dims));
            }
            (program, stores.iter().map(|s| s.0).collect())
        }
        StepKind::Reduce { program, value, extent, out, .. } => {
            if program.dims.iter().product::<usize>() != extent.iter().product::<usize>()
                || out.elements() != extent[0] * extent[2]
            {
                return Err(format!("a reduction of {extent:?} over a program over {:?}", program.dims));
            }
            (program, vec![*value])
        }
        StepKind::Dot(dot) => return product_is_sound(dot),
        StepKind::Product(p) => {
            product_is_sound(&p.dot)?;
            if p.program.dims.iter().product::<usize>() != p.dot.out.elements() {
                return Err(format!(
                    "a product of {:?} ends with a program over {:?}",
                    p.dot.out.dims, p.program.dims
                ));
            }
            let sums = sums_are_sound(p.sums.as_ref(), &p.dot.out.dims)?;
            (&p.program, p.stores.iter().map(|s| s.0).chain(sums).collect())
        }
        StepKind::Rows(r) => {
            let sums = sums_are_sound(Some(&r.sums), &r.program.dims)?;
            (&r.program, r.stores.iter().map(|s| s.0).chain(sums).collect())
        }
        _ => return Ok(()),
    };
    if let Some(load) = program.loads.iter().find(|l: &&Load| l.view().dims != program.dims) {
        return Err(format!("an operand over {:?} in a program over {:?}", load.view().dims, program.dims));
    }
    for (i, instr) in program.instrs.iter().enumerate() {
        if let Some(arg) = instr.args.iter().find(|&&a| a as usize >= program.loads.len() + i) {
            return Err(format!("instruction {i} uses value {arg}, which comes later"));
        }
    }
    let values = program.loads.len() + program.instrs.len();
    if let Some(v) = results.iter().find(|&&v| v as usize >= values) {
        return Err(format!("value {v} does not exist"));
    }
    let StepKind::Fused { stores, .. } = &step.kind else { return Ok(()) };
    let wrong =
        |(value, view): &&(u32, View)| program.dtype(*value, &plan.buffers) != plan.buffer(view.buffer).dtype;
    match stores.iter().find(wrong) {
        Some((value, view)) => {
            Err(format!("value {value} is stored in buffer {} of another type", view.buffer.0))
        }
        None => Ok(()),
    }
}

/// Checks that sums over the rows of a matrix have a place of their shape; gives what is added up.
fn sums_are_sound(sums: Option<&RowSums>, dims: &[usize]) -> Result<Vec<u32>, String> {
    let (Some(sums), [.., m, n]) = (sums, dims) else { return Ok(vec![]) };
    let RowSums { values, out } = sums;
    if out.dims != [values.len(), m.div_ceil(super::SUM_ROWS), *n] || !out.is_contiguous() {
        return Err(format!("{} sums over the rows of {dims:?} in {:?}", values.len(), out.dims));
    }
    Ok(values.clone())
}

fn product_is_sound(dot: &super::DotStep) -> Result<(), String> {
    let n = dot.out.dims.len();
    let agree = n >= 2
        && dot.x.dims.len() == n
        && dot.y.dims.len() == n
        && dot.x.dims[..n - 2] == dot.out.dims[..n - 2]
        && dot.y.dims[..n - 2] == dot.out.dims[..n - 2]
        && dot.x.dims[n - 2] == dot.out.dims[n - 2]
        && dot.y.dims[n - 1] == dot.out.dims[n - 1]
        && dot.x.dims[n - 1] == dot.y.dims[n - 2]
        && dot.out.is_contiguous();
    if agree {
        Ok(())
    } else {
        Err(format!("a product of {:?} and {:?} into {:?}", dot.x.dims, dot.y.dims, dot.out.dims))
    }
}
