//! [`Feed`]: gives a trainer the rows of its steps, in the order of each epoch.

use super::dataset::{Kept, copy_rows};
use super::filed::Filed;
use super::order::{ascending, shuffle};
use crate::{Dataset, Error};
use ironlearn_ir::Array;
use ironlearn_ir::blame::listed;
use ironlearn_ir::prim::stream_of;
use std::thread::{self, JoinHandle};

/// Rows by their place in the order of an epoch, which follows from seed and epoch alone: a resumed run goes on in
/// the middle of an epoch with the same rows.
pub(crate) enum Feed<'d> {
    /// Any row may follow any other.
    Held { inputs: &'d Array, targets: &'d Array, seed: Option<u64>, order: Vec<u32>, of: Option<u64> },
    /// Blocks of rows are shuffled, then the rows within a window of some blocks.
    Filed(Box<Windows>),
}

impl<'d> Feed<'d> {
    /// The rows of a data set, shuffled by the seed, or in their own order without one.
    pub fn new(data: &'d Dataset, seed: Option<u64>) -> Result<Feed<'d>, Error> {
        Ok(match data.kept() {
            Kept::Held { inputs, targets } => {
                Feed::Held { inputs, targets, seed, order: ascending(data.rows())?, of: None }
            }
            Kept::Filed(filed) => {
                let windows = Windows { data: filed.clone(), seed, here: None, next: None, spare: None };
                Feed::Filed(Box::new(windows))
            }
        })
    }

    /// Fills `x` and `y` with the rows from this place of the epoch's order on.
    ///
    /// # Errors
    /// Those of reading the files.
    pub fn fill(&mut self, epoch: u64, place: usize, x: &mut Array, y: &mut Array) -> Result<(), Error> {
        match self {
            Feed::Held { inputs, targets, seed, order, of } => {
                shuffle_for(epoch, *seed, order, of);
                let rows = &order[place..place + x.shape()[0]];
                copy_rows(inputs, rows, x, 0);
                copy_rows(targets, rows, y, 0);
                Ok(())
            }
            Feed::Filed(windows) => windows.fill(epoch, place, x, y),
        }
    }

    /// Fills `rows` with the numbers of the rows from this place of the epoch's order on, of data in memory.
    pub fn fill_places(&mut self, epoch: u64, place: usize, rows: &mut Array) {
        if let (Feed::Held { seed, order, of, .. }, Some(rows)) = (self, rows.as_slice_mut::<u32>()) {
            shuffle_for(epoch, *seed, order, of);
            rows.copy_from_slice(&order[place..place + rows.len()]);
        }
    }
}

/// Puts rows into the order of an epoch, where they are in that `of` another one.
fn shuffle_for(epoch: u64, seed: Option<u64>, order: &mut [u32], of: &mut Option<u64>) {
    if let (Some(seed), true) = (seed, *of != Some(epoch)) {
        shuffle(seed ^ stream_of("order of rows", 0), epoch, order);
        *of = Some(epoch);
    }
}

impl Feed<'_> {
    /// An error that names rows of the batch, with what rows of the data those are, where the data are held and
    /// were shuffled.
    pub fn with_rows_of_data(&self, error: Error, epoch: u64, place: usize) -> Error {
        match (self, error) {
            (
                Feed::Held { order, of, seed: Some(_), .. },
                Error::Diverged { step, problem, hint, blame: Some(blame) },
            ) if *of == Some(epoch) && !blame.rows.is_empty() => {
                let row = |&row: &usize| order.get(place + row).map(|&row| row as usize);
                let rows: Vec<usize> = blame.rows.iter().filter_map(row).collect();
                let problem = format!("{problem}\n  {} of the data", listed("row", &rows));
                Error::Diverged { step, problem, hint, blame: Some(blame) }
            }
            (_, error) => error,
        }
    }
}

/// A window in use, and one that is being read meanwhile.
pub(crate) struct Windows {
    data: Filed,
    seed: Option<u64>,
    here: Option<Window>,
    next: Option<Pending>,
    /// Memory of a window that is no longer in use.
    spare: Option<[Array; 2]>,
}

/// Some neighbours in the order of an epoch.
struct Window {
    epoch: u64,
    /// The place of its first row.
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
    fn fill(&mut self, epoch: u64, place: usize, x: &mut Array, y: &mut Array) -> Result<(), Error> {
        let mut done = 0;
        while done < x.shape()[0] {
            let window = self.at(epoch, place + done)?;
            let from = place + done - window.first;
            let rows = &window.order[from..window.order.len().min(from + x.shape()[0] - done)];
            copy_rows(&window.x, rows, x, done);
            copy_rows(&window.y, rows, y, done);
            done += rows.len();
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
                self.next =
                    if end < self.data.rows() { self.begin(epoch, end)? } else { self.begin(epoch + 1, 0)? };
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
        read(&self.data, self.seed, epoch, place, buffers)
    }

    /// Memory for a window.
    fn buffers(&mut self) -> Result<[Array; 2], Error> {
        self.spare.take().map_or_else(|| self.data.buffers(), Ok)
    }

    /// Begins to read the window with this place; `None` where the system gives no thread for it.
    fn begin(&mut self, epoch: u64, first: usize) -> Result<Option<Pending>, Error> {
        let (data, seed) = (self.data.clone(), self.seed);
        let buffers = self.buffers()?;
        let work = move || read(&data, seed, epoch, first, buffers);
        let thread = thread::Builder::new().name("ironlearn-data".into()).spawn(work).ok();
        Ok(thread.map(|thread| Pending { epoch, first, thread }))
    }
}

/// Reads the window with this place of an epoch's order.
fn read(
    data: &Filed,
    seed: Option<u64>,
    epoch: u64,
    place: usize,
    [mut x, mut y]: [Array; 2],
) -> Result<Window, Error> {
    let blocks = data.order(seed, epoch);
    let (number, first) = data.window_of(&blocks, place);
    let rows = data.read_window(&blocks, number, &mut x, &mut y)?;
    let mut order = ascending(rows)?;
    if let Some(seed) = seed {
        shuffle(seed ^ stream_of("order of rows in a window", number as u64), epoch, &mut order);
    }
    Ok(Window { epoch, first, order, x, y })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::npy;
    use ironlearn_ir::DType;

    /// Rows that hold their own number, in files; a window has 8 rows, each a block.
    fn filed(dir: &tempfile::TempDir, rows: usize) -> Dataset {
        let (x, y) = (dir.path().join("x.npy"), dir.path().join("y.npy"));
        let numbers = |factor: i32| (0..rows as i32).map(|i| factor * i).collect::<Vec<_>>();
        npy::write(&x, Array::of([rows, 1], numbers(3)).unwrap().view()).unwrap();
        npy::write(&y, Array::of([rows], numbers(1)).unwrap().view()).unwrap();
        Dataset::open_within(&x, &y, 2 * 8 * 8).unwrap()
    }

    fn take(feed: &mut Feed<'_>, epoch: u64, place: usize, rows: usize) -> Vec<i32> {
        let (mut x, mut y) = (Array::zeros(DType::I32, [rows, 1]), Array::zeros(DType::I32, [rows]));
        feed.fill(epoch, place, &mut x, &mut y).unwrap();
        let (x, y) = (x.as_slice::<i32>().unwrap(), y.as_slice::<i32>().unwrap());
        assert!(x.iter().zip(y).all(|(x, y)| *x == 3 * y), "inputs and targets stay together");
        y.to_vec()
    }

    fn epoch(feed: &mut Feed<'_>, number: u64, rows: usize, batch: usize) -> Vec<i32> {
        let starts = (0..rows).step_by(batch);
        starts.flat_map(|at| take(feed, number, at, batch.min(rows - at))).collect()
    }

    #[test]
    fn each_epoch_has_every_row_of_the_files_once_in_an_order_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        for rows in [1, 7, 8, 9, 50] {
            let data = filed(&dir, rows);
            let mut feed = Feed::new(&data, Some(5)).unwrap();
            let orders = [0, 1].map(|number| epoch(&mut feed, number, rows, 6));
            for order in &orders {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..rows as i32).collect::<Vec<_>>());
            }
            assert!(rows < 7 || orders[0] != orders[1]);
            assert!(rows < 50 || orders[0][..8].iter().any(|&row| row > 8), "blocks are shuffled, too");
            assert_eq!(
                epoch(&mut Feed::new(&data, None).unwrap(), 3, rows, 6),
                (0..rows as i32).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn a_feed_that_begins_anywhere_gives_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let data = filed(&dir, 50);
        let whole = epoch(&mut Feed::new(&data, Some(5)).unwrap(), 2, 50, 50);
        for at in 0..50 {
            let mut feed = Feed::new(&data, Some(5)).unwrap();
            assert_eq!(take(&mut feed, 2, at, 1), whole[at..=at]);
            // Back, and on into other windows.
            assert_eq!(take(&mut feed, 2, at / 2, 25), whole[at / 2..at / 2 + 25]);
        }
    }

    #[test]
    fn parts_have_blocks_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let (train, rest) = filed(&dir, 50).split(0.3, 1).unwrap().unwrap();
        assert_eq!((train.rows(), rest.rows()), (35, 15));
        let mut all = epoch(&mut Feed::new(&train, Some(1)).unwrap(), 0, 35, 4);
        let (mut x, mut y) = (Array::zeros(DType::I32, [10, 1]), Array::zeros(DType::I32, [10]));
        rest.read(5, &mut x, &mut y).unwrap();
        let last = epoch(&mut Feed::new(&rest, None).unwrap(), 0, 15, 15);
        assert_eq!(y.as_slice::<i32>().unwrap(), &last[5..]);
        all.extend(last);
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn blocks_of_several_rows_end_with_a_shorter_one() {
        let dir = tempfile::tempdir().unwrap();
        drop(filed(&dir, 50));
        let (x, y) = (dir.path().join("x.npy"), dir.path().join("y.npy"));
        // Blocks of 3 rows, the last of 2; a window has 8 of them.
        let data = Dataset::open_within(&x, &y, 2 * 8 * 3 * 8).unwrap();
        let (train, rest) = data.split(0.5, 1).unwrap().unwrap();
        assert_eq!(data.rows(), 50);
        assert_eq!([train.rows(), rest.rows()].iter().sum::<usize>(), 50);
        let mut all = Vec::new();
        for part in [&train, &rest] {
            let n = part.rows();
            let own = epoch(&mut Feed::new(part, None).unwrap(), 0, n, 4);
            for (first, rows) in [(0, n), (1, n - 1), (n - 3, 3), (4, 7)] {
                let (mut x, mut y) = (Array::zeros(DType::I32, [rows, 1]), Array::zeros(DType::I32, [rows]));
                part.read(first, &mut x, &mut y).unwrap();
                assert_eq!(y.as_slice::<i32>().unwrap(), &own[first..first + rows]);
            }
            let mut shuffled = epoch(&mut Feed::new(part, Some(5)).unwrap(), 1, n, 7);
            assert_ne!(shuffled, own);
            shuffled.sort_unstable();
            assert_eq!(shuffled, own);
            all.extend(own);
        }
        all.sort_unstable();
        assert_eq!(all, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn a_file_that_shrinks_is_an_error_and_not_an_end() {
        let dir = tempfile::tempdir().unwrap();
        let data = filed(&dir, 50);
        let mut feed = Feed::new(&data, Some(5)).unwrap();
        take(&mut feed, 0, 0, 4);
        let file = std::fs::OpenOptions::new().write(true).open(dir.path().join("x.npy")).unwrap();
        file.set_len(150).unwrap();
        let (mut x, mut y) = (Array::zeros(DType::I32, [50, 1]), Array::zeros(DType::I32, [50]));
        let error = feed.fill(0, 0, &mut x, &mut y).unwrap_err().to_string();
        assert!(error.contains("x.npy") && error.contains("became shorter"), "{error}");
    }
}
