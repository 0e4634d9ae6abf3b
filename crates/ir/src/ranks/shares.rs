//! [`Shares`]: which rows of a batch belong to which chunk, and which chunks to which rank.

use std::ops::Range;

/// A number of chunks, a power of two, and of ranks that own them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Shares {
    chunks: usize,
    ranks: usize,
}

impl Shares {
    /// So many chunks, rounded up to a power of two that is not below the number of ranks.
    pub fn new(chunks: usize, ranks: usize) -> Shares {
        let ranks = ranks.max(1);
        Shares { chunks: chunks.max(ranks).next_power_of_two(), ranks }
    }

    /// The number of chunks.
    pub fn chunks(self) -> usize {
        self.chunks
    }

    /// The number of ranks.
    pub fn ranks(self) -> usize {
        self.ranks
    }

    /// The chunks of a rank: neighbours.
    pub fn of(self, rank: usize) -> Range<usize> {
        let first = |rank: usize| rank * self.chunks / self.ranks;
        first(rank)..first(rank + 1)
    }

    /// The elements of a rank, where all divide so many among themselves: neighbours.
    pub fn elements(self, rank: usize, n: usize) -> Range<usize> {
        rank * n / self.ranks..(rank + 1) * n / self.ranks
    }

    /// The elements that a rank gives where what all have is gathered in so many parts: of its own ones, one part.
    pub fn elements_of_part(self, rank: usize, n: usize, (part, parts): (usize, usize)) -> Range<usize> {
        let own = self.elements(rank, n);
        own.start + part * own.len() / parts..own.start + (part + 1) * own.len() / parts
    }

    /// The rows of a chunk among those of a batch: none, where there are fewer rows than chunks.
    pub fn rows(self, chunk: usize, batch: usize) -> Range<usize> {
        let first = |chunk: usize| (chunk as u128 * batch as u128 / self.chunks as u128) as usize;
        first(chunk)..first(chunk + 1)
    }

    /// The rows of a rank among those of a batch: neighbours.
    pub fn rows_of(self, rank: usize, batch: usize) -> Range<usize> {
        let chunks = self.of(rank);
        self.rows(chunks.start, batch).start..self.rows(chunks.end, batch).start
    }

    /// The largest subtrees over chunks with rows that a rank owns whole, in order: each as the chunks below it.
    pub fn pieces(self, rank: usize, batch: usize) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        self.gather(0..self.chunks, &self.of(rank), batch, &mut found);
        found
    }

    fn gather(self, node: Range<usize>, own: &Range<usize>, batch: usize, found: &mut Vec<Range<usize>>) {
        let is_apart = node.end <= own.start || own.end <= node.start;
        if is_apart || self.rows(node.start, batch).start == self.rows(node.end, batch).start {
        } else if own.start <= node.start && node.end <= own.end {
            found.push(node);
        } else {
            let [left, right] = halves(&node);
            self.gather(left, own, batch, found);
            self.gather(right, own, batch, found);
        }
    }

    /// Adds up along the fixed tree: `leaf` gives the sum below a subtree, or `None` where its halves have to be added.
    /// Gives `None` where no chunk has rows.
    pub fn fold<T>(
        self,
        batch: usize,
        leaf: &mut dyn FnMut(&Range<usize>) -> Option<T>,
        add: &mut dyn FnMut(T, T) -> T,
    ) -> Option<T> {
        self.fold_below(0..self.chunks, batch, leaf, add)
    }

    /// The sum below one subtree; see [`Shares::fold`].
    pub fn fold_below<T>(
        self,
        node: Range<usize>,
        batch: usize,
        leaf: &mut dyn FnMut(&Range<usize>) -> Option<T>,
        add: &mut dyn FnMut(T, T) -> T,
    ) -> Option<T> {
        if self.rows(node.start, batch).start == self.rows(node.end, batch).start {
            return None;
        }
        if let Some(value) = leaf(&node) {
            return Some(value);
        }
        if node.len() == 1 {
            return None;
        }
        let [left, right] = halves(&node);
        let left = self.fold_below(left, batch, leaf, add);
        let right = self.fold_below(right, batch, leaf, add);
        match (left, right) {
            (Some(left), Some(right)) => Some(add(left, right)),
            (one, other) => one.or(other),
        }
    }
}

fn halves(node: &Range<usize>) -> [Range<usize>; 2] {
    let middle = node.start + node.len() / 2;
    [node.start..middle, middle..node.end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_ranks_adds_up_in_the_same_order() {
        for (chunks, batch) in [(8, 100), (8, 8), (8, 5), (16, 3), (1, 7), (8, 0)] {
            let order = |ranks: usize| {
                let shares = Shares::new(chunks, ranks);
                let mut pieces = Vec::new();
                for rank in 0..ranks {
                    for piece in shares.pieces(rank, batch) {
                        let leaf = &mut |n: &Range<usize>| (n.len() == 1).then(|| n.start.to_string());
                        let add = &mut |a: String, b: String| format!("({a}+{b})");
                        pieces.push((piece.clone(), shares.fold_below(piece, batch, leaf, add).unwrap()));
                    }
                }
                let find = &mut |n: &Range<usize>| Some(pieces.iter().find(|p| p.0 == *n)?.1.clone());
                shares.fold(batch, find, &mut |a, b| format!("({a}+{b})"))
            };
            let alone = order(1);
            assert_eq!(alone.is_none(), batch == 0);
            for ranks in 2..=chunks.min(8) {
                assert_eq!(order(ranks), alone, "{chunks} chunks, {batch} rows, {ranks} ranks");
            }
        }
    }

    #[test]
    fn ranks_own_all_rows_once_and_no_more_than_others() {
        for ranks in 1..=9 {
            let shares = Shares::new(8, ranks);
            let owned: Vec<usize> = (0..ranks).flat_map(|r| shares.rows_of(r, 1000)).collect();
            assert_eq!(owned, (0..1000).collect::<Vec<_>>());
        }
        assert_eq!(Shares::new(8, 9).chunks(), 16);
        assert_eq!(Shares::new(6, 1).chunks(), 8);
        assert_eq!(Shares::new(8, 4).pieces(1, 100), vec![Range { start: 2, end: 4 }]);
        assert_eq!(Shares::new(8, 3).pieces(1, 100), [2..4, 4..5]);
    }
}
