//! [`Windows`]: the rows of a chunk, read from files while steps run.

use super::dealing::Dealing;
use super::filed::Filed;
use super::order::{ascending, shuffle};
use super::rows::{batch_of, copy_rows};
use crate::Error;
use ironlearn_ir::Array;
use ironlearn_ir::prim::stream_of;
use std::ops::Range;
use std::thread::{self, JoinHandle};

/// A window in use, and one that is being read meanwhile.
pub(super) struct Windows {
    section: Section,
    here: Option<Window>,
    next: Option<Pending>,
    /// Memory of a window that is no longer in use.
    spare: Option<[Array; 2]>,
}

/// What a chunk has of an epoch's order.
#[derive(Clone)]
struct Section {
    data: Filed,
    seed: Option<u64>,
    chunk: usize,
    /// The places of its rows.
    rows: Range<usize>,
    /// Blocks of a window.
    window: usize,
}

/// Some neighbours in a section.
struct Window {
    epoch: u64,
    /// The place of its first row in the section.
    first: usize,
    /// How its rows are shuffled.
    order: Vec<u32>,
    x: Array,
    y: Array,
}

/// A window that another thread reads.
struct Pending {
    epoch: u64,
    first: usize,
    thread: JoinHandle<Result<Window, Error>>,
}

impl Windows {
    /// Those of all chunks, which share the memory. Nothing is read yet.
    pub fn all(data: &Filed, seed: Option<u64>, dealing: &Dealing) -> Vec<Windows> {
        let window = (data.window() / dealing.chunks()).max(1);
        let of = |chunk| {
            let section = Section { data: data.clone(), seed, chunk, rows: dealing.section(chunk), window };
            Windows { section, here: None, next: None, spare: None }
        };
        (0..dealing.chunks()).map(of).collect()
    }

    /// Fills these rows of `x` and `y` with those from this place of the section on.
    pub fn fill(
        &mut self,
        epoch: u64,
        place: usize,
        rows: Range<usize>,
        x: &mut Array,
        y: &mut Array,
    ) -> Result<(), Error> {
        let mut done = 0;
        while done < rows.len() {
            let window = self.at(epoch, place + done)?;
            let from = place + done - window.first;
            let these = &window.order[from..window.order.len().min(from + rows.len() - done)];
            copy_rows(&window.x, these, x, rows.start + done);
            copy_rows(&window.y, these, y, rows.start + done);
            done += these.len();
        }
        Ok(())
    }

    /// The window that has this place. Where it is another one than before, the one after it is begun.
    fn at(&mut self, epoch: u64, place: usize) -> Result<&Window, Error> {
        let has = |w: &Window| w.epoch == epoch && (w.first..w.first + w.order.len()).contains(&place);
        let window = match self.here.take() {
            Some(window) if has(&window) => window,
            old => {
                self.spare = old.map(|w| [w.x, w.y]).or(self.spare.take());
                let window = self.load(epoch, place)?;
                let end = window.first + window.order.len();
                self.next = if end < self.section.rows.len() {
                    self.begin(epoch, end)?
                } else {
                    self.begin(epoch + 1, 0)?
                };
                window
            }
        };
        Ok(self.here.insert(window))
    }

    /// The window that is being read, where it is the one wanted; else it is read now.
    fn load(&mut self, epoch: u64, place: usize) -> Result<Window, Error> {
        if let Some(pending) = self.next.take() {
            let wanted = (pending.epoch, pending.first) == (epoch, place);
            match pending.thread.join() {
                Ok(read) if wanted => return read,
                Ok(Ok(window)) => self.spare = Some([window.x, window.y]),
                _ => (),
            }
        }
        let buffers = self.buffers()?;
        self.section.read(epoch, place, buffers)
    }

    /// Memory for a window.
    fn buffers(&mut self) -> Result<[Array; 2], Error> {
        self.spare.take().map_or_else(|| self.section.buffers(), Ok)
    }

    /// Begins to read the window with this place; `None` where the system gives no thread for it.
    fn begin(&mut self, epoch: u64, first: usize) -> Result<Option<Pending>, Error> {
        let section = self.section.clone();
        let buffers = self.buffers()?;
        let work = move || section.read(epoch, first, buffers);
        let thread = thread::Builder::new().name("ironlearn-data".into()).spawn(work).ok();
        Ok(thread.map(|thread| Pending { epoch, first, thread }))
    }
}

impl Section {
    /// Reads the window with this place of an epoch.
    fn read(&self, epoch: u64, place: usize, [mut x, mut y]: [Array; 2]) -> Result<Window, Error> {
        let blocks = self.data.order(self.seed, epoch, &self.rows);
        let (number, first) = self.window_of(&blocks, place);
        let mut rows = 0;
        for block in blocks.chunks(self.window).nth(number).unwrap_or_default() {
            self.data.read_block(block.clone(), &mut x, &mut y, rows)?;
            rows += block.len();
        }
        let mut order = ascending(rows)?;
        if let Some(seed) = self.seed {
            let stream = (self.chunk as u64) << 32 | number as u64;
            shuffle(seed ^ stream_of("order of rows in a window", stream), epoch, &mut order);
        }
        Ok(Window { epoch, first, order, x, y })
    }

    /// The window that has this place, and the place of its first row.
    fn window_of(&self, blocks: &[Range<usize>], place: usize) -> (usize, usize) {
        let mut first = 0;
        for (number, blocks) in blocks.chunks(self.window).enumerate() {
            let rows: usize = blocks.iter().map(Range::len).sum();
            if place < first + rows {
                return (number, first);
            }
            first += rows;
        }
        (blocks.len().div_ceil(self.window), first)
    }

    /// Room for a window.
    fn buffers(&self) -> Result<[Array; 2], Error> {
        batch_of(&self.data.types((self.data.block() * self.window).min(self.rows.len())))
    }
}
