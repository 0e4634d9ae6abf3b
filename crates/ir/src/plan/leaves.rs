//! How long sums are cut: by their length alone, never by the number of threads.
//!
//! A sum over `n` elements is cut into [`count`] leaves of [`length`] elements (the last may be shorter);
//! each leaf is summed in order, the leaves along a balanced binary tree. So 1, 2, 4 or 8 threads, or
//! machines, that each own a subtree give the same bits.

/// Largest matrix whose products are cut into leaves; larger ones are summed by the blocks of the product
/// itself, since one copy for each leaf would cost too much memory.
pub const LARGEST_MATRIX: usize = 1 << 18;

/// Leaves of a product summed over `k`, with `m·n` results.
pub const fn of_product(m: usize, n: usize, k: usize) -> usize {
    if m.saturating_mul(n) > LARGEST_MATRIX { 1 } else { count(k) }
}

/// Terms of a product that are added up before their sum is added to that of the terms before: `k` cut into
/// ⌈k/256⌉ blocks of equal length, rounded up to a multiple of 32. Rows of a batch that go through a network
/// block by block come in blocks of this length, so that gradients are summed in the same order either way.
pub const fn block(k: usize) -> usize {
    let blocks = k.div_ceil(256);
    if blocks == 0 { 32 } else { k.div_ceil(blocks).next_multiple_of(32) }
}

/// Leaves of a sum over the `n` images of a batch: the largest power of two up to 16 and `n`.
pub const fn of_batch(n: usize) -> usize {
    if n >= 16 {
        16
    } else if n == 0 {
        1
    } else {
        1 << n.ilog2()
    }
}

/// Leaves of a sum over `n` elements: 1 below 4,096, else 16.
pub const fn count(n: usize) -> usize {
    if n < 4096 { 1 } else { 16 }
}

/// Elements of every leaf but the last.
pub const fn length(n: usize) -> usize {
    n.div_ceil(count(n))
}
