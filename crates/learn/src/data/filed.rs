//! [`Filed`]: rows that stay in their files. What is read at a time is a block of neighbouring rows, large enough
//! that a disk reads it nearly as fast as it can; a part of a data set is a set of blocks.

use super::order::{Apart, shuffle, split};
use super::preparing::Preparing;
use super::rows::{batch_of, copy_range, type_of_rows};
use super::shards::Shards;
use crate::Error;
use ironlearn_ir::prim::stream_of;
use ironlearn_ir::{Array, TensorType};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

/// Most bytes of a block, where a row has fewer.
const BLOCK_BYTES: usize = 256 << 10;
/// Blocks of a window, at least, where a row is smaller than such a block.
const BLOCKS: usize = 8;

/// Blocks of all rows, at least, where there are as many rows.
const MANY: usize = 256;

/// Some of the rows of files of inputs and files of targets.
#[derive(Clone, Debug)]
pub struct Filed {
    inputs: Arc<Shards>,
    targets: Arc<Shards>,
    /// Rows of a block, which may begin in one file and end in the next; the last one may have fewer.
    block: usize,
    /// Blocks that are read into memory together, and whose rows are shuffled.
    window: usize,
    /// The blocks of this part, ascending.
    blocks: Arc<[u32]>,
    /// What becomes of rows when they are read; `None`: they are taken as they are.
    preparing: Option<Arc<dyn Preparing>>,
}

impl Filed {
    /// All rows of files, of which so many bytes are held in memory: half for the rows in use, half for those
    /// that come next.
    pub fn open(
        inputs: &[&Path],
        targets: &[&Path],
        memory: usize,
        preparing: Option<Arc<dyn Preparing>>,
    ) -> Result<Filed, Error> {
        let (inputs, targets) = (Shards::open(inputs, "inputs")?, Shards::open(targets, "targets")?);
        if inputs.rows() != targets.rows() || inputs.rows() == 0 {
            let of = |shards: &Shards| format!("{} {}", shards.named(), shards.shape());
            return Err(Error::usage(
                format!("inputs {} and targets {} are no data set", of(&inputs), of(&targets)),
                "give both the same number of rows, at least one, as the first axis",
            ));
        }
        let prepared = preparing.as_ref().map_or(0, |p| p.types(1).iter().map(TensorType::bytes).sum());
        let row = (inputs.row_bytes() + targets.row_bytes()).max(prepared).max(1);
        // Of few rows blocks are small, so that a part of them is as large as was asked for.
        let block = (BLOCK_BYTES.min(memory / 2 / BLOCKS) / row).min(inputs.rows().div_ceil(MANY)).max(1);
        let window = (memory / 2 / row / block).max(1);
        let count = u32::try_from(inputs.rows().div_ceil(block))
            .map_err(|_| Error::usage("the files have too many rows", "allow more memory, or cut them"))?;
        let (inputs, targets) = (Arc::new(inputs), Arc::new(targets));
        Ok(Filed { inputs, targets, block, window, blocks: (0..count).collect(), preparing })
    }

    /// The same rows, of which something else becomes when they are read; no larger than before.
    pub fn prepared(&self, preparing: Arc<dyn Preparing>) -> Filed {
        Filed { preparing: Some(preparing), ..self.clone() }
    }

    /// Whether all rows are in memory at once, and shuffled together.
    pub fn is_one_window(&self) -> bool {
        self.blocks.len() <= self.window
    }

    /// The number of rows. No block but the last one has fewer than the others.
    pub fn rows(&self) -> usize {
        self.blocks.last().map_or(0, |&last| (self.blocks.len() - 1) * self.block + self.rows_of(last).len())
    }

    /// The type of `rows` rows of inputs and of targets.
    pub fn types(&self, rows: usize) -> [TensorType; 2] {
        self.preparing.as_ref().map_or_else(|| self.types_of_files(rows), |p| p.types(rows))
    }

    /// The type of `rows` rows as they stand in the files.
    fn types_of_files(&self, rows: usize) -> [TensorType; 2] {
        [&self.inputs, &self.targets].map(|file| type_of_rows(file.dtype(), file.shape(), rows))
    }

    /// Two parts: the second has the blocks that are set apart.
    pub fn split(&self, apart: Apart, seed: u64) -> Result<Option<(Filed, Filed)>, Error> {
        let parts = split(seed ^ stream_of("order of blocks", 0), self.blocks.len(), apart)?;
        let Some((left, picked)) = parts else { return Ok(None) };
        let part = |places: Vec<u32>| {
            let blocks = places.iter().map(|&i| self.blocks[i as usize]).collect();
            Filed { blocks, ..self.clone() }
        };
        Ok(Some((part(left), part(picked))))
    }

    /// The rows of the files that stand in a block.
    fn rows_of(&self, block: u32) -> Range<usize> {
        let start = block as usize * self.block;
        start..(start + self.block).min(self.inputs.rows())
    }

    /// Reads these rows of this part.
    pub fn read(&self, rows: Range<usize>, x: &mut Array, y: &mut Array) -> Result<(), Error> {
        self.each_block(rows, |there, to| self.read_block(there, x, y, to))
    }

    /// Reads the targets of these rows of this part, as they stand in the files.
    pub fn targets(&self, rows: Range<usize>) -> Result<Array, Error> {
        let [_, ty] = self.types_of_files(rows.len());
        let mut y = Array::try_zeros(ty.dtype, ty.shape, "some of the targets")?;
        self.each_block(rows, |there, to| self.targets.read(there, &mut y, to))?;
        Ok(y)
    }

    /// Rows of this part, block by block: where they stand in the files, and how many came before.
    fn each_block(
        &self,
        rows: Range<usize>,
        mut read: impl FnMut(Range<usize>, usize) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut at = rows.start;
        while at < rows.end {
            // No block but the last one has fewer rows than the others.
            let these = self.rows_of(self.blocks[at / self.block]);
            let there =
                these.start + at % self.block..these.end.min(these.start + at % self.block + rows.end - at);
            read(there.clone(), at - rows.start)?;
            at += there.len();
        }
        Ok(())
    }

    /// The blocks at these places of an epoch's order, as the rows of the files that stand there: of the first and the
    /// last block perhaps some.
    pub fn order(&self, seed: Option<u64>, epoch: u64, places: &Range<usize>) -> Vec<Range<usize>> {
        let mut order: Vec<u32> = (0..self.blocks.len() as u32).collect();
        if let Some(seed) = seed {
            shuffle(seed ^ stream_of("order of blocks", 0), epoch, &mut order);
        }
        let mut place = 0;
        let within = |i: u32| {
            let block = self.rows_of(self.blocks[i as usize]);
            let (first, last) = (places.start.max(place), places.end.min(place + block.len()));
            let rows = (first < last).then(|| block.start + first - place..block.start + last - place);
            place += block.len();
            rows
        };
        order.into_iter().filter_map(within).collect()
    }

    /// Reads neighbouring rows of the files; they become those of `x` and `y` from `to` on.
    pub fn read_block(
        &self,
        rows: Range<usize>,
        x: &mut Array,
        y: &mut Array,
        to: usize,
    ) -> Result<(), Error> {
        let Some(preparing) = &self.preparing else {
            self.inputs.read(rows.clone(), x, to)?;
            return self.targets.read(rows, y, to);
        };
        let [mut raw_x, mut raw_y] = batch_of(&self.types_of_files(rows.len()))?;
        self.inputs.read(rows.clone(), &mut raw_x, 0)?;
        self.targets.read(rows.clone(), &mut raw_y, 0)?;
        let [made_x, made_y] = preparing.prepare(rows.start, &raw_x, &raw_y)?;
        copy_range(&made_x, 0..rows.len(), x, to);
        copy_range(&made_y, 0..rows.len(), y, to);
        Ok(())
    }

    /// Rows of a block.
    pub fn block(&self) -> usize {
        self.block
    }

    /// Blocks that are read into memory together, and whose rows are shuffled, where there is one chunk.
    pub fn window(&self) -> usize {
        self.window
    }
}
