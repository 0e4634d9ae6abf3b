//! How a product of few rows or columns, or of little work altogether, is cut for `kernels/gemm_thin.cuh`: from its shape
//! and the number of multiprocessors alone, so that the bits are the same from run to run.

/// Multiplications of a product that is little work: fewer than the tiles need to keep a device busy.
const LITTLE: usize = 1 << 24;
/// The same where tensor cores are much faster.
const LITTLE_ON_TENSOR_CORES: usize = 1 << 22;
/// Rows, or columns, that are few.
const FEW: usize = 8;
/// Steps along K that a thread takes at least before K is cut into parts.
const SHORTEST: usize = 8;
/// Bytes of an operand from which on it is read in wide pieces.
const LONG: usize = 1 << 20;

/// `batch` products of `[m, k]` by `[k, n]`, all of which are at least 1.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Rows of the result.
    pub m: usize,
    /// Columns of the result.
    pub n: usize,
    /// Length of the sums.
    pub k: usize,
    /// Products.
    pub batch: usize,
}

/// An operand as it lies.
#[derive(Clone, Copy, Debug)]
pub struct Operand {
    /// Neighbours along its axis of the result (M, or N) are neighbours in memory.
    pub is_in_order: bool,
    /// As many neighbours can be read at once, where rows of that many allow it.
    pub together: usize,
}

/// How a product is cut: see the template `il_thin`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thin {
    /// Threads along the long axis.
    pub lanes: usize,
    /// Places there of each.
    pub vector: usize,
    /// Threads along K.
    pub slices: usize,
    /// Neighbours there that one takes at a time.
    pub step: usize,
    /// Threads along the other axis.
    pub groups: usize,
    /// Rows there of each.
    pub rows: usize,
    /// The long axis is M.
    pub swapped: bool,
    /// Parts of K; more than one needs scratch of `splits * batch * m * n` f32, and a counter for each block of one part.
    pub splits: usize,
    /// Blocks of one part.
    pub blocks: usize,
}

impl Shape {
    /// True for a product that this is for. `tensor_cores`: its operands are of few bits, or may be rounded to few.
    pub fn is_thin(&self, tensor_cores: bool) -> bool {
        let Shape { m, n, k, batch } = *self;
        let work = m.saturating_mul(n).saturating_mul(k).saturating_mul(batch);
        let little = if tensor_cores { LITTLE_ON_TENSOR_CORES } else { LITTLE };
        work > 0 && (m.min(n) <= FEW || work <= little)
    }
}

impl Thin {
    /// Threads of a block.
    pub fn threads(&self) -> usize {
        self.lanes * self.slices * self.groups
    }

    /// For operands of so many bytes an element on `sms` multiprocessors.
    pub fn choose(shape: Shape, [a, b]: [Operand; 2], bytes: usize, sms: usize) -> Thin {
        let Shape { m, n, k, batch } = shape;
        let swapped = match (b.is_in_order && n > 1, a.is_in_order && m > 1) {
            // Results are written along N.
            (true, true) => n < 32 && m > n,
            (false, false) if k >= 32 => m < n,
            (false, false) => m > n,
            (_, swapped) => swapped,
        };
        let (long, across, operand) = if swapped { (m, n, a) } else { (n, m, b) };
        let is_long = long * k * bytes >= LONG;
        let vector = [4, 2]
            .into_iter()
            .find(|&v| operand.is_in_order && is_long && operand.together >= v && long.is_multiple_of(v));
        let vector = vector.unwrap_or(1);
        // Where neighbours of K lie side by side, the threads of a warp do too.
        let along = operand.is_in_order || k < 32;
        let lanes = if along { (long / vector).next_power_of_two().min(32) } else { 1 };
        let step = if k.is_multiple_of(4) { 4 } else { 1 };
        let steps = k / step;
        let floor = |x: usize| if x.is_power_of_two() { x } else { x.next_power_of_two() / 2 };
        let mut thin = Thin {
            lanes,
            vector,
            slices: floor(steps).min(256 / lanes),
            groups: 1,
            rows: across.next_power_of_two().min(8),
            step,
            swapped,
            splits: 1,
            blocks: 0,
        };
        let blocks = |thin: &Thin| {
            long.div_ceil(thin.lanes * thin.vector) * across.div_ceil(thin.groups * thin.rows) * batch
        };
        // Fewer rows in a block are more blocks, but each element of the long operand is then read more often.
        while thin.rows > 2 && 3 * blocks(&thin) < 2 * sms {
            thin.rows /= 2;
        }
        while thin.threads() < 256 && (thin.threads() < 32 || thin.groups * thin.rows < across) {
            thin.groups *= 2;
        }
        // Few blocks, long sums: more threads for each. Of 1024 none would have the registers that it needs.
        while thin.threads() < 512 && blocks(&thin) < sms && steps / thin.slices > SHORTEST / 2 {
            thin.slices *= 2;
        }
        thin.blocks = blocks(&thin);
        if thin.blocks * 2 <= sms {
            thin.splits = (steps / (thin.slices * SHORTEST)).clamp(1, sms / thin.blocks);
        }
        thin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Operand = Operand { is_in_order: true, together: 8 };
    const TURNED: Operand = Operand { is_in_order: false, together: 8 };

    #[test]
    fn any_shape_has_a_choice_that_can_be_launched() {
        let sizes = [1, 2, 8, 10, 31, 33, 257, 40_000, 1 << 20];
        for (m, n) in sizes.into_iter().flat_map(|m| sizes.map(|n| (m, n))) {
            for (k, batch) in sizes.into_iter().flat_map(|k| [(k, 1), (k, 100)]) {
                let shape = Shape { m, n, k, batch };
                for operands in [[ORDER, ORDER], [ORDER, TURNED], [TURNED, ORDER], [TURNED, TURNED]] {
                    if !shape.is_thin(false) {
                        continue;
                    }
                    let thin = Thin::choose(shape, operands, 4, 132);
                    let what = format!("{shape:?} {operands:?} {thin:?}");
                    assert!(thin.threads().is_multiple_of(32) && thin.threads() <= 512, "{what}");
                    assert!(thin.lanes <= 32 && thin.rows * thin.vector <= 32, "{what}");
                    assert!(k.is_multiple_of(thin.step), "{what}");
                    let all = thin.lanes * thin.vector * thin.groups * thin.rows;
                    let warps = (thin.lanes * thin.slices / 32).max(1);
                    let shared = warps * all + if thin.splits > 1 { all.max(thin.threads()) } else { 0 };
                    assert!(shared * 4 <= 48 << 10, "{what}");
                    assert!(thin.splits == 1 || thin.splits * thin.blocks <= 132, "{what}");
                    // No part of K is empty.
                    let each = (k / thin.step).div_ceil(thin.splits);
                    assert!((thin.splits - 1) * each < k / thin.step, "{what}");
                }
            }
        }
    }

    #[test]
    fn threads_read_neighbours() {
        let shape = |m, n, k| Shape { m, n, k, batch: 1 };
        let forward = Thin::choose(shape(32, 128, 784), [TURNED, ORDER], 4, 132);
        assert_eq!((forward.lanes, forward.swapped, forward.splits), (32, false, 1));
        let weights = Thin::choose(shape(128, 10, 32), [ORDER, ORDER], 4, 132);
        assert_eq!((weights.lanes, weights.swapped), (32, true));
        let column = Thin::choose(shape(40_000, 1, 128), [TURNED, ORDER], 4, 132);
        assert_eq!((column.lanes, column.swapped), (1, false));
        let tall = Thin::choose(shape(2, 256, 40_000), [ORDER, ORDER], 2, 132);
        assert_eq!((tall.vector, tall.rows, tall.blocks, tall.splits), (4, 2, 2, 66));
    }
}
