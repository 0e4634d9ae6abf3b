//! Gives every buffer of a plan its place in one arena: lifetimes, then largest first into the lowest gap
//! where no buffer that lives at the same time is.

use super::{BufferId, Home, Load, Plan, StepKind};

/// Alignment of buffers, in bytes: a cache line, which is also the widest vector.
pub const ALIGN: usize = 64;

/// The first and last step in which a buffer is needed.
#[derive(Clone, Copy, Debug)]
struct Life {
    first: usize,
    last: usize,
}

/// Places all arena buffers and sets the arena's size.
pub(super) fn place(plan: &mut Plan) {
    let lives = lives(plan);
    let share = shared(plan, &lives);
    // One allocation for each set of buffers that share their memory.
    let mut allocations: Vec<(usize, usize, Life)> = Vec::new();
    for (b, life) in lives.iter().enumerate() {
        let Some(life) = life else { continue };
        let bytes = plan.buffers[b].bytes().next_multiple_of(ALIGN);
        match allocations.iter_mut().find(|a| a.0 == share[b]) {
            Some(a) => {
                a.1 = a.1.max(bytes);
                a.2 = Life { first: a.2.first.min(life.first), last: a.2.last.max(life.last) };
            }
            None => allocations.push((share[b], bytes, *life)),
        }
    }
    allocations.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let mut placed: Vec<(usize, usize, usize, Life)> = Vec::new();
    for (name, bytes, life) in allocations {
        let mut busy: Vec<(usize, usize)> = placed
            .iter()
            .filter(|p| p.3.first <= life.last && life.first <= p.3.last)
            .map(|p| (p.1, p.1 + p.2))
            .collect();
        busy.sort_unstable();
        let mut offset = 0;
        for (start, end) in busy {
            if start >= offset + bytes {
                break;
            }
            offset = offset.max(end);
        }
        placed.push((name, offset, bytes, life));
        plan.arena_bytes = plan.arena_bytes.max(offset + bytes);
    }
    let offsets: std::collections::HashMap<usize, usize> = placed.iter().map(|p| (p.0, p.1)).collect();
    for (b, buffer) in plan.buffers.iter_mut().enumerate() {
        if let (Home::Arena(at), Some(&offset)) = (&mut buffer.home, offsets.get(&share[b])) {
            *at = offset;
        }
    }
}

/// The life of every arena buffer; outputs live to the end.
fn lives(plan: &Plan) -> Vec<Option<Life>> {
    let mut lives: Vec<Option<Life>> = vec![None; plan.buffers.len()];
    let mut touch = |id: BufferId, step: usize| {
        if matches!(plan.buffer(id).home, Home::Arena(_)) {
            let life = lives[id.0 as usize].get_or_insert(Life { first: step, last: step });
            life.last = life.last.max(step);
            life.first = life.first.min(step);
        }
    };
    for (i, step) in plan.steps.iter().enumerate() {
        step.reads().iter().for_each(|v| touch(v.buffer, i));
        step.writes().iter().for_each(|v| touch(v.buffer, i));
    }
    plan.outputs.iter().for_each(|v| touch(v.buffer, plan.steps.len()));
    lives
}

/// For each buffer the first of those that it shares memory with: a fused step writes a result over an
/// operand that is read for the last time, element by element at the same place.
fn shared(plan: &Plan, lives: &[Option<Life>]) -> Vec<usize> {
    let mut share: Vec<usize> = (0..plan.buffers.len()).collect();
    let mut ends: Vec<Option<usize>> = lives.iter().map(|l| l.map(|l| l.last)).collect();
    for (i, step) in plan.steps.iter().enumerate() {
        let StepKind::Fused { program, stores } = &step.kind else { continue };
        let mut given_away = Vec::new();
        for (_, to) in stores {
            let out = to.buffer.0 as usize;
            let whole = |v: &super::View| {
                v.offset == 0 && v.is_contiguous() && v.elements() == plan.buffer(v.buffer).len
            };
            if !whole(to) || lives[out].is_none_or(|l| l.first != i) {
                continue;
            }
            let fits = |load: &&Load| {
                let Load::Memory(from) = load else { return false };
                let b = from.buffer.0 as usize;
                let once = step.reads().iter().filter(|v| v.buffer == from.buffer).count() == 1;
                once && whole(from)
                    && !given_away.contains(&b)
                    && lives[b].is_some_and(|l| l.last == i && l.first < i)
                    && ends[share[b]] == Some(i)
                    && plan.buffers[b].dtype.size() == plan.buffers[out].dtype.size()
            };
            if let Some(Load::Memory(from)) = program.loads.iter().find(fits) {
                let b = from.buffer.0 as usize;
                given_away.push(b);
                share[out] = share[b];
                ends[share[b]] = lives[out].map(|l| l.last);
            }
        }
    }
    share
}
