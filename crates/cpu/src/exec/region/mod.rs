//! Regions: a block of rows goes through many steps while its values are in the cache.
//!
//! A task is a leaf of the rows, or a block where nothing is added up. Its blocks go through all steps in order; what the steps keep for one block
//! lies in memory of the worker, and the address of such a buffer is moved back by the rows before the block,
//! so that a step finds row r at the same place of a buffer whether it holds all rows or a block of them.

mod product;
mod sums;

use super::fused::Fused;
use super::memory::{ALIGN, Shared};
use super::reduce::Reduce;
use super::tile::Addresses;
use super::{Run, Scratch};
use crate::isa::Isa;
use ironlearn_ir::plan::{self, BufferId, Home, Plan, PlanStep, StepKind, leaves};
use product::{RowProduct, SumProduct};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use sums::{Pair, Sums};

/// A region, ready to run.
pub struct Region {
    rows: usize,
    task_rows: usize,
    parts: Vec<Part>,
    locals: Vec<Local>,
    /// Bytes of one worker's block.
    block_bytes: usize,
    sizes: Sizes,
    /// Where something is added up.
    sums: Option<Sums>,
    /// Addresses as each worker sees them.
    addresses: Box<[Mutex<Addresses>]>,
}

/// Bytes of what all workers share.
#[derive(Default)]
struct Sizes {
    /// The sums of one leaf, or of several.
    room: usize,
    /// The matrices that are packed once for all blocks.
    packed: usize,
}

/// A buffer of which a worker holds one block of rows.
struct Local {
    buffer: BufferId,
    at: usize,
    row_bytes: usize,
}

/// A step of a region.
enum Part {
    /// Elements of one row.
    Fused(Fused, usize),
    /// Results of one row.
    Reduce(Reduce, usize),
    Product(RowProduct),
    /// Elements of the reduced axis in one row, and where a leaf's running sums and results are.
    SumReduce(Reduce, usize, [usize; 2]),
    /// Where a leaf's results are.
    SumProduct(SumProduct, usize),
}

/// Where a task finds its memory.
#[derive(Clone, Copy)]
struct Memory {
    /// The worker's block.
    own: Shared,
    packed: Shared,
    /// The room of the task's leaf.
    sums: Shared,
}

/// A block of rows of a leaf.
struct Block {
    rows: Range<usize>,
    /// It is the first, the last block of the leaf.
    ends: [bool; 2],
}

impl Region {
    pub fn new(isa: Isa, plan: &Plan, region: &plan::Region, threads: usize) -> Result<Region, String> {
        let rows = region.rows;
        let mut sizes = Sizes::default();
        let parts: Result<Vec<Part>, String> =
            region.steps.iter().map(|s| part(isa, plan, region, s, &mut sizes)).collect();
        let local = |&id: &BufferId| {
            let Home::Block { at, .. } = plan.buffer(id).home else { return None };
            Some(Local { buffer: id, at, row_bytes: plan.buffer(id).bytes() / rows })
        };
        let addresses = || Mutex::new(Addresses(vec![Shared(std::ptr::null_mut()); plan.buffers.len()]));
        let parts = parts?;
        let adds_up = parts.iter().any(Part::is_sum);
        let leaves = rows.div_ceil(region.task_rows());
        Ok(Region {
            rows,
            task_rows: region.task_rows(),
            sums: adds_up.then(|| Sums::new(leaves, threads)).transpose()?,
            parts,
            locals: region.locals.iter().filter_map(local).collect(),
            block_bytes: region.block_bytes.next_multiple_of(ALIGN),
            sizes,
            addresses: (0..threads).map(|_| addresses()).collect(),
        })
    }

    pub fn scratch(&self) -> Scratch {
        let worker = self.parts.iter().map(|p| match p {
            Part::Fused(f, _) => f.scratch().worker,
            Part::Reduce(r, _) | Part::SumReduce(r, ..) => r.scratch().worker,
            Part::Product(p) => p.worker_bytes(),
            Part::SumProduct(p, _) => p.worker_bytes(),
        });
        let blocks = self.addresses.len() * self.block_bytes;
        let shared = self.rooms_bytes() + blocks + self.sizes.packed;
        Scratch { shared, worker: worker.max().unwrap_or(0) }
    }

    /// Bytes that the steps own themselves.
    pub fn memory_bytes(&self) -> usize {
        let of = |part: &Part| if let Part::Product(product) = part { product.memory_bytes() } else { 0 };
        self.parts.iter().map(of).sum()
    }

    fn rooms_bytes(&self) -> usize {
        self.sums.as_ref().map_or(0, Sums::rooms) * self.sizes.room
    }

    pub fn run(&self, run: &Run<'_>) {
        let length = self.task_rows;
        let rooms = Shared(run.shared());
        let blocks = Shared(rooms.at(self.rooms_bytes()));
        let packed = Shared(blocks.at(self.addresses.len() * self.block_bytes));
        for part in &self.parts {
            if let Part::Product(product) = part {
                // SAFETY: the shared scratch memory has room for all packed operands after the blocks.
                unsafe { product.pack(run, packed) };
            }
        }
        if let Some(sums) = &self.sums {
            sums.begin();
        }
        run.each(self.rows.div_ceil(length), |leaf, worker| {
            let rows = leaf * length..((leaf + 1) * length).min(self.rows);
            let own = Shared(blocks.at(worker * self.block_bytes));
            let Some(sums) = &self.sums else {
                return self.leaf(run, worker, rows, Memory { own, packed, sums: rooms });
            };
            let Some(room) = sums.take() else { return run.fail("no room for the sums of a leaf".into()) };
            let at = |room: usize| Shared(rooms.at(room * self.sizes.room));
            self.leaf(run, worker, rows, Memory { own, packed, sums: at(room) });
            sums.done(leaf, room, |Pair { left, right, is_last }| {
                self.parts.iter().for_each(|part| part.add(run, at(left), at(right), is_last));
            });
        });
        self.parts.iter().for_each(|part| part.check(run));
    }

    /// Takes the rows of a leaf through all steps, block by block.
    fn leaf(&self, run: &Run<'_>, worker: usize, leaf: Range<usize>, memory: Memory) {
        let mut seen = self.addresses[worker].lock().unwrap_or_else(PoisonError::into_inner);
        seen.0.copy_from_slice(&run.addresses.0);
        let length = leaves::block(leaf.len());
        for start in leaf.clone().step_by(length) {
            let rows = start..leaf.end.min(start + length);
            for local in &self.locals {
                let first = memory.own.at(local.at).wrapping_sub(start * local.row_bytes);
                seen.0[local.buffer.0 as usize] = Shared(first);
            }
            let block = Block { ends: [start == leaf.start, rows.end == leaf.end], rows };
            let run = Run { addresses: &seen, ..*run };
            for part in &self.parts {
                part.run(&run, worker, &block, memory);
            }
        }
    }
}

impl Part {
    fn is_sum(&self) -> bool {
        matches!(self, Part::SumReduce(..) | Part::SumProduct(..))
    }

    /// Adds the sums of later rows to those of earlier ones; the last time to where the step's result belongs.
    fn add(&self, run: &Run<'_>, left: Shared, right: Shared, is_last: bool) {
        // SAFETY: both rooms hold results, and are this thread's until they are added up.
        unsafe {
            match self {
                Part::SumReduce(reduce, _, [_, results]) => {
                    let to = is_last.then(|| reduce.out(run));
                    reduce.add(to, left.at(*results), right.at(*results));
                }
                Part::SumProduct(product, results) => {
                    let to = is_last.then(|| product.out(run));
                    product.add(to, left.at(*results), right.at(*results));
                }
                _ => {}
            }
        }
    }

    /// Looks at the sums of all leaves.
    fn check(&self, run: &Run<'_>) {
        match self {
            Part::SumReduce(reduce, ..) => reduce.check(run),
            Part::SumProduct(product, _) => product.check(run),
            _ => {}
        }
    }

    /// Computes the rows of a block, or adds them to the sums of the leaf.
    fn run(&self, run: &Run<'_>, worker: usize, block: &Block, Memory { packed, sums, .. }: Memory) {
        let scratch = run.worker(worker);
        let Range { start, end } = block.rows;
        // SAFETY: the worker's scratch memory and block, and the sums of the leaf, are this task's own; rows of
        // other buffers are written by the one task that has them, and the plan's verifier has checked that steps
        // read no others.
        unsafe {
            match self {
                Part::Fused(fused, width) => fused.range(run, scratch, start * width, end * width),
                Part::Reduce(reduce, width) => reduce.rows(run, scratch, start * width..end * width),
                Part::Product(product) => product.run(run, scratch, packed, start..end),
                Part::SumReduce(reduce, width, [waiting, results]) => {
                    let rows = start * width..end * width;
                    reduce.next_rows(run, scratch, rows, block.ends, [sums.at(*waiting), sums.at(*results)]);
                }
                Part::SumProduct(product, results) => {
                    product.run(run, scratch, start..end, block.ends[0], sums.at(*results));
                }
            }
        }
    }
}

/// Makes a step ready to run; sums and packed operands get their places after those that `sizes` counts.
fn part(
    isa: Isa,
    plan: &Plan,
    region: &plan::Region,
    step: &PlanStep,
    sizes: &mut Sizes,
) -> Result<Part, String> {
    let mut place = |bytes: usize| {
        let at = sizes.room;
        sizes.room += bytes.next_multiple_of(ALIGN);
        at
    };
    let rows = region.rows;
    let sum = region.is_sum(step);
    match &step.kind {
        StepKind::Fused { program, stores } => {
            let width = program.dims.iter().product::<usize>() / rows;
            Ok(Part::Fused(Fused::new(isa, plan, program, stores)?, width))
        }
        StepKind::Reduce { program, value, fold, extent, out } => {
            let reduce = Reduce::new(isa, plan, program, *value, *fold, *extent, out)?;
            if !sum {
                return Ok(Part::Reduce(reduce, extent[0] / rows));
            }
            let [waiting, results] = reduce.waiting_bytes();
            Ok(Part::SumReduce(reduce, extent[1] / rows, [place(waiting), place(results)]))
        }
        StepKind::Dot(dot) if sum => {
            let product = SumProduct::new(isa, plan, dot, region.block_rows())?;
            let bytes = product.result_bytes();
            Ok(Part::SumProduct(product, place(bytes)))
        }
        StepKind::Dot(dot) => {
            RowProduct::new(isa, plan, dot, region.block_rows(), &mut sizes.packed).map(Part::Product)
        }
        _ => Err("this operation does not run on blocks of rows".into()),
    }
}
