//! [`Dealing`]: which rows of an epoch which chunk gets, and which of them this process computes.

use crate::step::is_shared;
use ironlearn_ir::passes::Sharing;
use ironlearn_ir::ranks::Shares;
use std::ops::Range;

/// The size of parts of so many rows, but for the last.
fn size(rows: usize, parts: usize) -> usize {
    rows.div_ceil(parts.max(1)).max(1)
}

/// The rows `start..end` in so many parts, equal but for the last.
pub(crate) fn cuts(start: usize, end: usize, parts: usize) -> impl Iterator<Item = (usize, usize)> {
    let size = size(end - start, parts);
    (start..end).step_by(size).map(move |from| (from, (from + size).min(end)))
}

/// How the batches of an epoch are cut into chunks, each portion of a batch by itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dealing {
    rows: usize,
    batch: usize,
    portions: usize,
    shares: Shares,
    rank: usize,
}

impl Dealing {
    /// That of epochs of so many rows, in batches of `batch` rows and these in so many portions. Without ranks and chunks
    /// there is one chunk, which has everything.
    pub fn of(rows: usize, batch: usize, portions: usize, sharing: Option<&Sharing>) -> Dealing {
        let (shares, rank) =
            sharing.map_or((Shares::new(1, 1), 0), |sharing| (sharing.shares, sharing.rank()));
        Dealing { rows, batch: batch.max(1), portions, shares, rank }
    }

    /// That of another rank.
    #[cfg(test)]
    pub fn of_rank(self, rank: usize) -> Dealing {
        Dealing { rank, ..self }
    }

    /// The number of chunks.
    pub fn chunks(&self) -> usize {
        self.shares.chunks()
    }

    /// The chunks of a portion of so many rows that this process computes.
    pub fn own(&self, rows: usize) -> Range<usize> {
        if is_shared(rows) { self.shares.of(self.rank) } else { 0..self.chunks() }
    }

    /// The rows of a chunk among those of a portion.
    pub fn rows_of(&self, chunk: usize, rows: usize) -> Range<usize> {
        self.shares.rows(chunk, rows)
    }

    /// The rows of a portion that this process computes.
    pub fn own_rows(&self, rows: usize) -> Range<usize> {
        let own = self.own(rows);
        self.rows_of(own.start, rows).start..self.rows_of(own.end, rows).start
    }

    /// How many of the rows before this place of an epoch, where a portion begins or all end, a chunk has.
    pub fn before(&self, chunk: usize, place: usize) -> usize {
        // Of the first rows of a batch of so many.
        let of_batch = |rows: usize, first: usize| {
            let size = size(rows, self.portions);
            let of = |rows| self.rows_of(chunk, rows).len();
            first / size * of(size) + of(first % size)
        };
        let (batches, rest) = (place / self.batch, place % self.batch);
        let rows = self.batch.min(self.rows - batches * self.batch);
        batches * of_batch(self.batch, self.batch) + of_batch(rows, rest)
    }

    /// Where the rows of a chunk stand, if an epoch is cut into one section for each.
    pub fn section(&self, chunk: usize) -> Range<usize> {
        let rows = |chunk| self.before(chunk, self.rows);
        let start = (0..chunk).map(rows).sum();
        start..start + rows(chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_all_rows_of_an_epoch_once() {
        for (rows, batch, portions, chunks) in
            [(50, 7, 1, 8), (50, 7, 3, 4), (49, 8, 1, 2), (5, 5, 2, 8), (10, 1, 1, 4), (30, 30, 4, 1)]
        {
            let sharing = Sharing { shares: Shares::new(chunks, 1), ranks: None };
            let dealing = Dealing::of(rows, batch, portions, Some(&sharing));
            let mut had = vec![0; chunks];
            for start in (0..rows).step_by(batch) {
                for (from, to) in cuts(start, (start + batch).min(rows), portions) {
                    for (chunk, had) in had.iter_mut().enumerate() {
                        assert_eq!(dealing.before(chunk, from), *had, "{rows} rows, chunk {chunk}, {from}");
                        *had += dealing.rows_of(chunk, to - from).len();
                    }
                }
            }
            let sections: Vec<usize> = (0..chunks).flat_map(|chunk| dealing.section(chunk)).collect();
            assert_eq!(sections, (0..rows).collect::<Vec<_>>());
            assert_eq!(had, (0..chunks).map(|chunk| dealing.section(chunk).len()).collect::<Vec<_>>());
        }
    }

    #[test]
    fn without_chunks_one_has_everything_in_its_place() {
        let dealing = Dealing::of(50, 7, 2, None);
        assert_eq!((dealing.own(7), dealing.own_rows(7), dealing.section(0)), (0..1, 0..7, 0..50));
        for (from, _) in (0..50).step_by(7).flat_map(|start| cuts(start, (start + 7).min(50), 2)) {
            assert_eq!(dealing.before(0, from), from);
        }
    }
}
