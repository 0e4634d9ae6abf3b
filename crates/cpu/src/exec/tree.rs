//! The balanced binary tree along which the leaves of a sum are added.

/// Combines `leaves` rows (a power of two up to 16) of `n` elements, `pitch` elements apart, into one row.
///
/// # Safety
/// `from` holds the rows, `to` has room for one.
#[inline(always)]
pub unsafe fn combine_rows<T: Copy>(
    to: *mut u8,
    from: *const u8,
    leaves: usize,
    n: usize,
    pitch: usize,
    f: impl Fn(T, T) -> T + Copy,
) {
    let (to, from) = (to.cast::<T>(), from.cast::<T>());
    for i in 0..n {
        // SAFETY: as the caller promises.
        unsafe { *to.add(i) = branch(from.add(i), leaves, pitch, f) }
    }
}

/// # Safety
/// `from` holds `leaves` elements, at least one and at most 16, `pitch` apart.
#[inline(always)]
unsafe fn branch<T: Copy>(from: *const T, leaves: usize, pitch: usize, f: impl Fn(T, T) -> T + Copy) -> T {
    let mut row = [None; 16];
    for (leaf, sum) in row.iter_mut().enumerate().take(leaves) {
        // SAFETY: as the caller promises.
        *sum = Some(unsafe { *from.add(leaf * pitch) });
    }
    let mut n = leaves;
    while n > 1 {
        for i in 0..n / 2 {
            if let (Some(a), Some(b)) = (row[2 * i], row[2 * i + 1]) {
                row[i] = Some(f(a, b));
            }
        }
        n /= 2;
    }
    // SAFETY: as the caller promises; there is at least one leaf.
    row[0].unwrap_or(unsafe { *from })
}
