//! Gives every buffer of a plan its place in one arena: lifetimes, then largest first into the lowest gap
//! where no buffer that lives at the same time is.

use super::{Buffer, BufferId, Home, Load, Plan, PlanStep, Region, StepKind, View};

/// Alignment of buffers, in bytes: a cache line, which is also the widest vector.
pub const ALIGN: usize = 64;

/// The first and last step in which a buffer is needed.
#[derive(Clone, Copy, Debug)]
struct Life {
    first: usize,
    last: usize,
}

/// Bytes of a small buffer.
pub(super) const SMALL: usize = 64 << 10;

/// Places all buffers of the arena and sets the arena's size; those of each region lie in its own block. The memory of small
/// ones is used for nothing else in the `apart` steps before and after.
pub(super) fn place(plan: &mut Plan, apart: usize) {
    let Plan { buffers, steps, outputs, arena_bytes, .. } = plan;
    for step in steps.iter_mut() {
        if let StepKind::Region(region) = &mut step.kind {
            let places = in_block(region, buffers);
            region.block_bytes = places.bytes;
            for (id, at) in places.offsets {
                let bytes = region.bytes_of(&buffers[id]);
                buffers[id].home = Home::Block { at, bytes };
            }
        }
    }
    let mine = |buffer: &Buffer| matches!(buffer.home, Home::Arena(_));
    let mut lives = lives(steps, buffers, mine, outputs);
    for (life, buffer) in lives.iter_mut().zip(buffers.iter()) {
        if let Some(life) = life.as_mut().filter(|_| buffer.bytes() <= SMALL) {
            *life = Life { first: life.first.saturating_sub(apart), last: life.last + apart };
        }
    }
    let places = arrange(steps, buffers, &lives, Buffer::bytes);
    *arena_bytes = places.bytes;
    for (id, at) in places.offsets {
        buffers[id].home = Home::Arena(at);
    }
}

/// Where the locals of a region lie in its block.
pub(super) fn in_block(region: &Region, buffers: &[Buffer]) -> Places {
    let mine = |buffer: &Buffer| matches!(buffer.home, Home::Block { .. });
    let lives = lives(&region.steps, buffers, mine, &[]);
    arrange(&region.steps, buffers, &lives, |buffer| region.bytes_of(buffer))
}

/// Where buffers lie in a block of memory.
pub(super) struct Places {
    offsets: Vec<(usize, usize)>,
    pub(super) bytes: usize,
}

/// Gives a place to the buffers that have a life.
fn arrange(
    steps: &[PlanStep],
    buffers: &[Buffer],
    lives: &[Option<Life>],
    bytes: impl Fn(&Buffer) -> usize,
) -> Places {
    let share = shared(steps, buffers, lives);
    // One allocation for each set of buffers that share their memory.
    let mut allocations: Vec<(usize, usize, Life)> = Vec::new();
    for (b, life) in lives.iter().enumerate() {
        let Some(life) = life else { continue };
        let bytes = bytes(&buffers[b]).next_multiple_of(ALIGN);
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
    let mut total = 0;
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
        total = total.max(offset + bytes);
    }
    let offsets: std::collections::HashMap<usize, usize> = placed.iter().map(|p| (p.0, p.1)).collect();
    let of = |b: usize| lives[b].and_then(|_| Some((b, *offsets.get(&share[b])?)));
    Places { offsets: (0..buffers.len()).filter_map(of).collect(), bytes: total }
}

/// The life of every buffer that is `mine`; those that are `kept` live to the end.
fn lives(
    steps: &[PlanStep],
    buffers: &[Buffer],
    mine: impl Fn(&Buffer) -> bool,
    kept: &[View],
) -> Vec<Option<Life>> {
    let mut lives: Vec<Option<Life>> = vec![None; buffers.len()];
    let mut touch = |id: BufferId, step: usize| {
        if mine(&buffers[id.0 as usize]) {
            let life = lives[id.0 as usize].get_or_insert(Life { first: step, last: step });
            life.last = life.last.max(step);
            life.first = life.first.min(step);
        }
    };
    for (i, step) in steps.iter().enumerate() {
        step.reads().iter().for_each(|v| touch(v.buffer, i));
        step.writes().iter().for_each(|v| touch(v.buffer, i));
    }
    kept.iter().for_each(|v| touch(v.buffer, steps.len()));
    lives
}

/// For each buffer the first of those that it shares memory with: a fused step writes a result over an
/// operand that is read for the last time, element by element at the same place.
fn shared(steps: &[PlanStep], buffers: &[Buffer], lives: &[Option<Life>]) -> Vec<usize> {
    let buffer = |id: BufferId| &buffers[id.0 as usize];
    let mut share: Vec<usize> = (0..buffers.len()).collect();
    let mut ends: Vec<Option<usize>> = lives.iter().map(|l| l.map(|l| l.last)).collect();
    for (i, step) in steps.iter().enumerate() {
        let StepKind::Fused { program, stores } = &step.kind else { continue };
        let mut given_away = Vec::new();
        for (_, to) in stores {
            let out = to.buffer.0 as usize;
            let whole = |v: &View| v.offset == 0 && v.is_contiguous() && v.elements() == buffer(v.buffer).len;
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
                    && buffers[b].dtype.size() == buffers[out].dtype.size()
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
