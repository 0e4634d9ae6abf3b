//! How long sums are cut: by their length alone, never by the number of threads.
//!
//! A sum over `n` elements is cut into [`count`] leaves of [`length`] elements (the last may be shorter);
//! each leaf is summed in order, the leaves along a balanced binary tree. So 1, 2, 4 or 8 threads, or
//! machines, that each own a subtree give the same bits.

/// Leaves of a sum over `n` elements: 1 below 4,096, else 16.
pub const fn count(n: usize) -> usize {
    if n < 4096 { 1 } else { 16 }
}

/// Elements of every leaf but the last.
pub const fn length(n: usize) -> usize {
    n.div_ceil(count(n))
}
