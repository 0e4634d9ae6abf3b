//! Regions: steps that treat the rows of a large batch independently, to be run block by block of rows.
//!
//! A block of rows goes through all steps of a region, forward and backward, while its values are in the
//! cache, and what only the region needs never exists for more than one block. Sums over the rows, such as the
//! gradients of weights, are added up block by block within the leaves of [`super::leaves`]: in the order in
//! which they are summed without a region, so that the bits are the same. Where nothing is added up, as when a
//! network only answers, blocks are short, and every one may be computed by another thread.

use super::rowwise::{Role, role};
use super::{Buffer, BufferId, Home, Plan, PlanStep, StepKind, View, leaves};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Steps that are run block by block of rows.
#[derive(Clone, Debug)]
pub struct Region {
    /// Rows of the batch: the leading axis of everything in the region.
    pub rows: usize,
    /// The steps, in order. Each computes rows from the same rows, or adds up over all rows.
    pub steps: Vec<PlanStep>,
    /// Results that are sums (or maxima) over all rows: there when the region has ended.
    pub sums: Vec<BufferId>,
    /// Results that only the region needs: their [`Home::Block`] holds one block of rows.
    pub locals: Vec<BufferId>,
    /// Bytes of all locals.
    pub block_bytes: usize,
    /// Which rows are a block, and how they lie in it.
    pub blocks: Blocks,
}

/// How rows are cut into blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocks {
    /// As the sums over them are: see [`leaves`](super::leaves). Rows follow each other without gaps.
    Leaves,
    /// So many at a time, which lie on a chip: see [`Region::row_stride`].
    OnChip(usize),
}

impl Region {
    /// The rows that one task takes, the last task perhaps fewer: a leaf, or a block where nothing is added up.
    pub fn task_rows(&self) -> usize {
        match self.blocks {
            Blocks::OnChip(rows) => rows,
            Blocks::Leaves if self.sums.is_empty() => self.rows.min(BLOCK),
            Blocks::Leaves => leaves::length(self.rows),
        }
    }

    /// The most rows of one block.
    pub fn block_rows(&self) -> usize {
        if self.sums.is_empty() {
            return self.task_rows();
        }
        let length = leaves::length(self.rows);
        let last = self.rows - (leaves::count(self.rows) - 1) * length;
        leaves::block(length).min(length).max(leaves::block(last).min(last))
    }

    /// Elements from a row of a local to the next one. On a chip, long rows begin 32 bytes further in 64 than the one
    /// before, as its memory is 128 bytes wide: 4 rows that are read at the same place do not meet.
    pub fn row_stride(&self, local: &Buffer) -> usize {
        let width = local.len / self.rows.max(1);
        let size = local.dtype.size();
        match self.blocks {
            Blocks::OnChip(_) if width * size >= 64 => {
                let bytes = (width * size).next_multiple_of(32);
                (if bytes.is_multiple_of(64) { bytes + 32 } else { bytes }) / size
            }
            _ => width,
        }
    }

    /// Bytes of a local.
    pub(super) fn bytes_of(&self, local: &Buffer) -> usize {
        self.row_stride(local) * local.dtype.size() * self.block_rows()
    }

    /// True where the step adds up over the rows.
    pub fn is_sum(&self, step: &PlanStep) -> bool {
        step.writes().iter().any(|v| self.sums.contains(&v.buffer))
    }

    /// The views that the region reads of what was there before.
    pub fn reads(&self) -> Vec<View> {
        let made: HashSet<BufferId> =
            self.steps.iter().flat_map(PlanStep::writes).map(|v| v.buffer).collect();
        let given = |v: &View| !made.contains(&v.buffer);
        self.steps.iter().flat_map(PlanStep::reads).filter(given).collect()
    }

    /// The views that the region leaves behind.
    pub fn writes(&self) -> Vec<&View> {
        let stays = |v: &&View| !self.locals.contains(&v.buffer);
        self.steps.iter().flat_map(PlanStep::writes).filter(stays).collect()
    }
}

/// Rows of a block where nothing is added up.
const BLOCK: usize = 64;
/// Multiplications of a batch of one leaf that are worth a region.
const WORTH: usize = 1 << 22;

/// Most regions of one plan: normalisation over a batch ends one and begins the next, and every chunk of a batch has its own.
const MOST: usize = 256;

/// Gathers steps into regions where that saves memory traffic.
pub(super) fn gather(plan: &mut Plan) {
    gather_found(plan, |plan, steps| batches(steps).into_iter().find_map(|rows| best(plan, steps, rows)));
}

/// Gathers the regions that `find` finds in the steps that are left.
pub(super) fn gather_found(plan: &mut Plan, find: impl Fn(&mut Plan, &[PlanStep]) -> Option<Split>) {
    let mut done = Vec::new();
    let mut rest = std::mem::take(&mut plan.steps);
    for _ in 0..MOST {
        let Some(Split { before, region, after }) = find(plan, &rest) else { break };
        for &id in &region.locals {
            plan.buffers[id.0 as usize].home = Home::Block { at: 0, bytes: 0 };
        }
        done.extend(before);
        let node = region.steps[0].node;
        done.push(PlanStep { kind: StepKind::Region(Box::new(region)), node });
        rest = after;
    }
    done.extend(rest);
    plan.steps = done;
}

/// Lengths of batches that are summed in leaves, or long enough for several blocks, the ones with the most
/// multiplications first.
fn batches(steps: &[PlanStep]) -> Vec<usize> {
    let mut work: BTreeMap<usize, usize> = BTreeMap::new();
    for step in steps {
        if let StepKind::Dot(dot) = &step.kind
            && let ([m, n], [_, k]) = (&dot.out.dims[..], &dot.x.dims[..])
        {
            for rows in [*m, *k] {
                *work.entry(rows).or_default() += m * n * k;
            }
        }
    }
    let worth = |w: &(usize, usize)| leaves::count(w.0) > 1 || (w.0 > 2 * BLOCK && w.1 >= WORTH);
    let mut work: Vec<(usize, usize)> = work.into_iter().filter(worth).collect();
    work.sort_by_key(|w| std::cmp::Reverse(w.1));
    work.into_iter().map(|w| w.0).collect()
}

/// The steps before a region, the region, and the steps after it.
pub(super) struct Split {
    pub(super) before: Vec<PlanStep>,
    pub(super) region: Region,
    pub(super) after: Vec<PlanStep>,
}

/// The division with the longer region: one that begins with what is computed from rows of the plan's inputs, and adds
/// nothing up, or one that begins with products.
fn best(plan: &Plan, steps: &[PlanStep], rows: usize) -> Option<Split> {
    let answers = split(plan, steps, rows, inputs(&plan.buffers, rows));
    let answers = answers.filter(|s| s.region.sums.is_empty());
    let any = (leaves::count(rows) > 1).then(|| split(plan, steps, rows, HashSet::new())).flatten();
    [any, answers].into_iter().flatten().max_by_key(|s| s.region.steps.len())
}

/// The plan's inputs that have so many rows, or a multiple.
pub(super) fn inputs(buffers: &[Buffer], rows: usize) -> HashSet<BufferId> {
    let is_input = |b: &Buffer| matches!(b.home, Home::Input(_)) && b.len > 0 && b.len.is_multiple_of(rows);
    (0..buffers.len()).filter(|&i| is_input(&buffers[i])).map(|i| BufferId(i as u32)).collect()
}

/// What becomes of a step where there is a region.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    Before,
    Rows,
    Sum,
    After,
}

/// Divides steps into those that a region over `rows` needs, the region, and the others; `None` where there
/// is no region, or it would save nothing. `by_row` are buffers that hold values by row from the beginning.
fn split(plan: &Plan, steps: &[PlanStep], rows: usize, by_row: HashSet<BufferId>) -> Option<Split> {
    let picks = |i: usize| matches!(steps[i].kind, StepKind::Gather { .. });
    let places = |may: &[bool]| places(plan, steps, rows, by_row.clone(), |i, _| may[i] && !picks(i));
    let keeps_some = |split: &Split| !split.region.locals.is_empty();
    let all = places(&vec![true; steps.len()]);
    let parts = connected(steps, &all);
    if parts.len() < 2 {
        return Some(divide(plan, steps, rows, &all)).filter(keeps_some);
    }
    // Chunks of a batch have rows of equal number, and nothing in common: in one region a block would hold the values of
    // all of them.
    parts.iter().map(|part| divide(plan, steps, rows, &places(part))).find(keeps_some)
}

/// The place of each step, where a region takes no others than those that `may` says: of the step with this number, in this
/// role.
pub(super) fn places(
    plan: &Plan,
    steps: &[PlanStep],
    rows: usize,
    mut by_row: HashSet<BufferId>,
    may: impl Fn(usize, Role) -> bool,
) -> Vec<Place> {
    // Results that are complete only when the region has ended.
    let mut late: HashSet<BufferId> = HashSet::new();
    let mut place = |(i, step): (usize, &PlanStep)| {
        let (reads, writes) = (step.reads(), step.writes());
        let touches = |set: &HashSet<BufferId>| {
            reads.iter().any(|v| set.contains(&v.buffer)) || writes.iter().any(|v| set.contains(&v.buffer))
        };
        let role = if touches(&late) { None } else { role(&plan.buffers, step, rows, &by_row) };
        let place = match role {
            Some(role @ Role::Rows) if may(i, role) => Place::Rows,
            Some(role @ Role::Sum) if may(i, role) => Place::Sum,
            Some(_) => Place::After,
            None if touches(&late) || touches(&by_row) => Place::After,
            None => Place::Before,
        };
        let now = if place == Place::Rows { &mut by_row } else { &mut late };
        if place != Place::Before {
            now.extend(writes.iter().map(|v| v.buffer));
        }
        place
    };
    steps.iter().enumerate().map(&mut place).collect()
}

/// The steps of a region in parts, of which none reads rows that another has computed: for each part, which steps it has.
pub(super) fn connected(steps: &[PlanStep], places: &[Place]) -> Vec<Vec<bool>> {
    let mut parts: Vec<Vec<bool>> = Vec::new();
    let mut part_of: HashMap<BufferId, usize> = HashMap::new();
    for (i, (step, place)) in steps.iter().zip(places).enumerate() {
        if !matches!(place, Place::Rows | Place::Sum) {
            continue;
        }
        let (reads, writes) = (step.reads(), step.writes());
        let buffers = || reads.iter().map(|v| v.buffer).chain(writes.iter().map(|v| v.buffer));
        let mut met: Vec<usize> = buffers().filter_map(|id| part_of.get(&id).copied()).collect();
        met.sort_unstable();
        met.dedup();
        let part = met.first().copied().unwrap_or_else(|| {
            parts.push(vec![false; steps.len()]);
            parts.len() - 1
        });
        for &other in met.iter().skip(1) {
            let joined = std::mem::take(&mut parts[other]);
            parts[part].iter_mut().zip(joined).for_each(|(has, joined)| *has |= joined);
            part_of.values_mut().filter(|of| **of == other).for_each(|of| *of = part);
        }
        parts[part][i] = true;
        part_of.extend(writes.iter().map(|v| (v.buffer, part)));
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The steps by their places.
pub(super) fn divide(plan: &Plan, steps: &[PlanStep], rows: usize, places: &[Place]) -> Split {
    let of = |wanted: &[Place]| -> Vec<PlanStep> {
        steps.iter().zip(places).filter(|(_, place)| wanted.contains(place)).map(|s| s.0.clone()).collect()
    };
    let written = |steps: &[PlanStep]| -> Vec<BufferId> {
        steps.iter().flat_map(PlanStep::writes).map(|v| v.buffer).collect()
    };
    let [before, after] = [of(&[Place::Before]), of(&[Place::After])];
    let (by_row, sums) = (written(&of(&[Place::Rows])), written(&of(&[Place::Sum])));
    let needed: HashSet<BufferId> = after
        .iter()
        .flat_map(PlanStep::reads)
        .chain(plan.outputs.iter().cloned())
        .map(|v| v.buffer)
        .collect();
    let local = |id: &BufferId| !needed.contains(id) && matches!(plan.buffer(*id).home, Home::Arena(_));
    let mut locals: Vec<BufferId> = by_row.into_iter().filter(local).collect();
    locals.sort();
    locals.dedup();
    let (steps, blocks) = (of(&[Place::Rows, Place::Sum]), Blocks::Leaves);
    Split { before, region: Region { rows, steps, sums, locals, block_bytes: 0, blocks }, after }
}

/// What is wrong with a region, if anything: every step has to treat rows alike, given the ones before it.
pub(super) fn verify(buffers: &[Buffer], region: &Region) -> Result<(), String> {
    verify_from(buffers, region, HashSet::new())
        .or_else(|_| verify_from(buffers, region, inputs(buffers, region.rows)))
}

fn verify_from(buffers: &[Buffer], region: &Region, mut by_row: HashSet<BufferId>) -> Result<(), String> {
    for step in &region.steps {
        let found = role(buffers, step, region.rows, &by_row);
        let expected = if region.is_sum(step) { Role::Sum } else { Role::Rows };
        if found != Some(expected) {
            return Err(format!("a step of a region over {} rows mixes them", region.rows));
        }
        if step.reads().iter().any(|v| region.sums.contains(&v.buffer)) {
            return Err("a sum over all rows is read before the region has ended".into());
        }
        if expected == Role::Rows {
            by_row.extend(step.writes().iter().map(|v| v.buffer));
        }
    }
    Ok(())
}
