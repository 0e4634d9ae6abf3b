//! [`Feed`]: gives a trainer the rows of its steps, in the order of each epoch.

use super::dataset::Kept;
use super::dealing::Dealing;
use super::order::{ascending, shuffle};
use super::rows::copy_rows;
use super::windows::Windows;
use crate::{Dataset, Error};
use ironlearn_ir::Array;
use ironlearn_ir::blame::listed;
use ironlearn_ir::prim::stream_of;

/// Rows by their place in the order of an epoch, which follows from the seed, the epoch and, of data in files, from how
/// batches are cut into chunks: a resumed run goes on in the middle of an epoch with the same rows.
///
/// Where steps are shared among ranks, it knows which rows of a batch this process computes, and cares for no others.
pub(crate) struct Feed<'d> {
    source: Source<'d>,
    dealing: Dealing,
}

/// Where rows come from.
enum Source<'d> {
    /// Any row may follow any other.
    Held { inputs: &'d Array, targets: &'d Array, seed: Option<u64>, order: Vec<u32>, of: Option<u64> },
    /// Blocks of rows are shuffled, each chunk takes a section of them, and shuffles the rows within a window of some
    /// blocks. Each begins when its rows are first asked for.
    Filed(Vec<Windows>),
}

impl<'d> Feed<'d> {
    /// The rows of a data set, shuffled by the seed, or in their own order without one.
    pub fn new(data: &'d Dataset, seed: Option<u64>, dealing: Dealing) -> Result<Feed<'d>, Error> {
        let source = match data.kept() {
            Kept::Held { inputs, targets } => {
                Source::Held { inputs, targets, seed, order: ascending(data.rows())?, of: None }
            }
            Kept::Filed(filed) => Source::Filed(Windows::all(filed, seed, &dealing)),
        };
        Ok(Feed { source, dealing })
    }

    /// Fills `x` and `y`, a portion of a batch, with the rows from this place of the epoch's order on: those that this
    /// process computes; the others stay as they are.
    ///
    /// # Errors
    /// Those of reading the files.
    pub fn fill(&mut self, epoch: u64, place: usize, x: &mut Array, y: &mut Array) -> Result<(), Error> {
        let portion = x.shape()[0];
        match &mut self.source {
            Source::Held { inputs, targets, seed, order, of } => {
                shuffle_for(epoch, *seed, order, of);
                let own = self.dealing.own_rows(portion);
                let rows = &order[place + own.start..place + own.end];
                copy_rows(inputs, rows, x, own.start);
                copy_rows(targets, rows, y, own.start);
            }
            Source::Filed(chunks) => {
                for chunk in self.dealing.own(portion) {
                    let rows = self.dealing.rows_of(chunk, portion);
                    chunks[chunk].fill(epoch, self.dealing.before(chunk, place), rows, x, y)?;
                }
            }
        }
        Ok(())
    }

    /// Fills `rows` with the numbers of the rows from this place of the epoch's order on, of data in memory.
    pub fn fill_places(&mut self, epoch: u64, place: usize, rows: &mut Array) {
        if let (Source::Held { seed, order, of, .. }, Some(rows)) =
            (&mut self.source, rows.as_slice_mut::<u32>())
        {
            shuffle_for(epoch, *seed, order, of);
            rows.copy_from_slice(&order[place..place + rows.len()]);
        }
    }

    /// An error that names rows of the batch, with what rows of the data those are, where the data are held and
    /// were shuffled.
    pub fn with_rows_of_data(&self, error: Error, epoch: u64, place: usize) -> Error {
        match (&self.source, error) {
            (
                Source::Held { order, of, seed: Some(_), .. },
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

/// Puts rows into the order of an epoch, where they are in that `of` another one.
fn shuffle_for(epoch: u64, seed: Option<u64>, order: &mut [u32], of: &mut Option<u64>) {
    if let (Some(seed), true) = (seed, *of != Some(epoch)) {
        shuffle(seed ^ stream_of("order of rows", 0), epoch, order);
        *of = Some(epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::super::dealing::cuts;
    use super::*;
    use crate::io::npy;
    use ironlearn_ir::DType;
    use ironlearn_ir::passes::Sharing;
    use ironlearn_ir::ranks::Shares;

    /// A feed of this process alone.
    fn alone(data: &Dataset, seed: Option<u64>) -> Feed<'_> {
        Feed::new(data, seed, Dealing::of(data.rows(), 6, 1, None)).unwrap()
    }

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
            let mut feed = alone(&data, Some(5));
            let orders = [0, 1].map(|number| epoch(&mut feed, number, rows, 6));
            for order in &orders {
                let mut sorted = order.clone();
                sorted.sort_unstable();
                assert_eq!(sorted, (0..rows as i32).collect::<Vec<_>>());
            }
            assert!(rows < 7 || orders[0] != orders[1]);
            assert!(rows < 50 || orders[0][..8].iter().any(|&row| row > 8), "blocks are shuffled, too");
            assert_eq!(epoch(&mut alone(&data, None), 3, rows, 6), (0..rows as i32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_feed_that_begins_anywhere_gives_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let data = filed(&dir, 50);
        let whole = epoch(&mut alone(&data, Some(5)), 2, 50, 50);
        for at in 0..50 {
            let mut feed = alone(&data, Some(5));
            assert_eq!(take(&mut feed, 2, at, 1), whole[at..=at]);
            // Back, and on into other windows.
            assert_eq!(take(&mut feed, 2, at / 2, 25), whole[at / 2..at / 2 + 25]);
        }
    }

    /// The rows that a feed gives for the portions of two epochs, `None` where it leaves them as they are.
    fn dealt(data: &Dataset, [batch, portions]: [usize; 2], shares: Shares, rank: usize) -> Vec<Option<i32>> {
        let (n, sharing) = (data.rows(), Sharing { shares, ranks: None });
        let dealing = Dealing::of(n, batch, portions, Some(&sharing)).of_rank(rank);
        let mut feed = Feed::new(data, Some(5), dealing).unwrap();
        let mut found = Vec::new();
        for (epoch, start) in [0, 1].into_iter().flat_map(|e| (0..n).step_by(batch).map(move |at| (e, at))) {
            for (from, to) in cuts(start, (start + batch).min(n), portions) {
                let mut x = Array::of([to - from, 1], vec![-3; to - from]).unwrap();
                let mut y = Array::of([to - from], vec![-1; to - from]).unwrap();
                feed.fill(epoch, from, &mut x, &mut y).unwrap();
                let (x, y) = (x.as_slice::<i32>().unwrap(), y.as_slice::<i32>().unwrap());
                assert!(x.iter().zip(y).all(|(x, y)| *x == 3 * y), "inputs and targets stay together");
                found.extend(y.iter().map(|&row| (row >= 0).then_some(row)));
            }
        }
        found
    }

    #[test]
    fn ranks_get_their_own_rows_of_what_one_process_has() {
        let dir = tempfile::tempdir().unwrap();
        let filed = filed(&dir, 53);
        let held = {
            let (mut x, mut y) = (Array::zeros(DType::I32, [53, 1]), Array::zeros(DType::I32, [53]));
            filed.read(0, &mut x, &mut y).unwrap();
            Dataset::new(x, y).unwrap()
        };
        for data in [&filed, &held] {
            // The last batch of 13 has a single row, which all ranks get.
            for (steps, chunks) in [([9, 1], 4), ([13, 1], 4), ([20, 3], 2), ([3, 1], 8)] {
                let alone = dealt(data, steps, Shares::new(chunks, 1), 0);
                for epoch in alone.chunks(53) {
                    let mut rows: Vec<i32> = epoch.iter().map(|row| row.unwrap()).collect();
                    rows.sort_unstable();
                    assert_eq!(rows, (0..53).collect::<Vec<_>>());
                }
                assert_ne!(alone[..53], alone[53..]);
                for count in 2..=chunks.min(4) {
                    let mut had = vec![0; alone.len()];
                    for rank in 0..count {
                        let found = dealt(data, steps, Shares::new(chunks, count), rank);
                        for (place, row) in found.into_iter().enumerate() {
                            had[place] += usize::from(row.is_some());
                            assert!(row.is_none() || row == alone[place], "{steps:?}, place {place}");
                        }
                    }
                    let single = |place: usize| 53 % steps[0] == 1 && place % 53 == 52;
                    let expected = |place| if single(place) { count } else { 1 };
                    assert_eq!(had, (0..alone.len()).map(expected).collect::<Vec<_>>(), "{steps:?}");
                }
            }
        }
    }

    #[test]
    fn one_chunk_has_the_order_of_a_process_that_knows_of_none() {
        let dir = tempfile::tempdir().unwrap();
        let data = filed(&dir, 50);
        let one = dealt(&data, [6, 1], Shares::new(1, 1), 0);
        let orders = [0, 1].map(|number| epoch(&mut alone(&data, Some(5)), number, 50, 6)).concat();
        assert_eq!(one.into_iter().map(Option::unwrap).collect::<Vec<_>>(), orders);
    }

    #[test]
    fn parts_have_blocks_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let (train, rest) = filed(&dir, 50).split(0.3, 1).unwrap().unwrap();
        assert_eq!((train.rows(), rest.rows()), (35, 15));
        let mut all = epoch(&mut alone(&train, Some(1)), 0, 35, 4);
        let (mut x, mut y) = (Array::zeros(DType::I32, [10, 1]), Array::zeros(DType::I32, [10]));
        rest.read(5, &mut x, &mut y).unwrap();
        let last = epoch(&mut alone(&rest, None), 0, 15, 15);
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
            let own = epoch(&mut alone(part, None), 0, n, 4);
            for (first, rows) in [(0, n), (1, n - 1), (n - 3, 3), (4, 7)] {
                let (mut x, mut y) = (Array::zeros(DType::I32, [rows, 1]), Array::zeros(DType::I32, [rows]));
                part.read(first, &mut x, &mut y).unwrap();
                assert_eq!(y.as_slice::<i32>().unwrap(), &own[first..first + rows]);
            }
            let mut shuffled = epoch(&mut alone(part, Some(5)), 1, n, 7);
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
        let mut feed = alone(&data, Some(5));
        take(&mut feed, 0, 0, 4);
        let file = std::fs::OpenOptions::new().write(true).open(dir.path().join("x.npy")).unwrap();
        file.set_len(150).unwrap();
        let (mut x, mut y) = (Array::zeros(DType::I32, [50, 1]), Array::zeros(DType::I32, [50]));
        let error = feed.fill(0, 0, &mut x, &mut y).unwrap_err().to_string();
        assert!(error.contains("x.npy") && error.contains("became shorter"), "{error}");
    }
}
