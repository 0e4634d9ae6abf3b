//! Regions: a block of rows goes through many steps while its values are in the cache.
//!
//! A task is a leaf of the rows, or a block where nothing is added up. Its blocks go through all steps in order; what the steps keep for one block
//! lies in memory of the worker, and the address of such a buffer is moved back by the rows before the block,
//! so that a step finds row r at the same place of a buffer whether it holds all rows or a block of them.

mod product;

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

/// A region, ready to run.
pub struct Region {
    rows: usize,
    task_rows: usize,
    parts: Vec<Part>,
    locals: Vec<Local>,
    /// Bytes of one worker's block.
    block_bytes: usize,
    sizes: Sizes,
    /// Addresses as each worker sees them.
    addresses: Box<[Mutex<Addresses>]>,
}

/// Bytes of what all workers share.
#[derive(Default)]
struct Sizes {
    /// The unfinished sums of one leaf.
    leaf: usize,
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
    /// The sums of the task's leaf.
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
        Ok(Region {
            rows,
            task_rows: region.task_rows(),
            parts: parts?,
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
        let shared = self.tasks() * self.sizes.leaf + blocks + self.sizes.packed;
        Scratch { shared, worker: worker.max().unwrap_or(0) }
    }

    /// Bytes that the steps own themselves.
    pub fn memory_bytes(&self) -> usize {
        let of = |part: &Part| if let Part::Product(product) = part { product.memory_bytes() } else { 0 };
        self.parts.iter().map(of).sum()
    }

    fn tasks(&self) -> usize {
        self.rows.div_ceil(self.task_rows)
    }

    pub fn run(&self, run: &Run<'_>) {
        let (count, length) = (self.tasks(), self.task_rows);
        let sums = Shared(run.shared());
        let blocks = Shared(sums.at(count * self.sizes.leaf));
        let packed = Shared(blocks.at(self.addresses.len() * self.block_bytes));
        for part in &self.parts {
            if let Part::Product(product) = part {
                // SAFETY: the shared scratch memory has room for all packed operands after the blocks.
                unsafe { product.pack(run, packed) };
            }
        }
        run.each(count, |leaf, worker| {
            let rows = leaf * length..((leaf + 1) * length).min(self.rows);
            let own = Shared(blocks.at(worker * self.block_bytes));
            let memory = Memory { own, packed, sums: Shared(sums.at(leaf * self.sizes.leaf)) };
            self.leaf(run, worker, rows, memory);
        });
        for part in &self.parts {
            match part {
                Part::SumReduce(reduce, _, [_, results]) => {
                    // SAFETY: every leaf has left its results there.
                    unsafe { reduce.combine(run, sums.at(*results), self.sizes.leaf) }
                }
                Part::SumProduct(product, results) => {
                    // SAFETY: as above.
                    unsafe { product.combine(run, Shared(sums.at(*results)), self.sizes.leaf) }
                }
                _ => {}
            }
        }
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
        let at = sizes.leaf;
        sizes.leaf += bytes.next_multiple_of(ALIGN);
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
