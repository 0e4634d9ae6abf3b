//! The balanced binary tree along which the leaves of a sum are added.

use super::Run;
use super::memory::Shared;
use ironlearn_ir::lanes::NumLanes;
use ironlearn_ir::{Complex32, Complex64, DType};

/// Elements that one task adds up.
const GRAIN: usize = 4096;

/// Results of the leaves of a sum, to be added up by all threads.
pub struct LeafSums {
    /// Element type: one that sums are carried in.
    pub dtype: DType,
    /// How many there are.
    pub leaves: usize,
    /// Elements of a result.
    pub elements: usize,
    /// Elements from one leaf's result to the next one's.
    pub pitch: usize,
}

impl LeafSums {
    /// Adds up the leaves at `from`.
    ///
    /// # Safety
    /// `from` holds the results, `to` has room for one, and no other thread touches them.
    pub unsafe fn add(&self, run: &Run<'_>, to: Shared, from: Shared) {
        match self.dtype {
            DType::F32 => self.add_as::<f32>(run, to, from),
            DType::F64 => self.add_as::<f64>(run, to, from),
            DType::I32 => self.add_as::<i32>(run, to, from),
            DType::I64 => self.add_as::<i64>(run, to, from),
            DType::U32 => self.add_as::<u32>(run, to, from),
            DType::C64 => self.add_as::<Complex32>(run, to, from),
            DType::C128 => self.add_as::<Complex64>(run, to, from),
            // Accumulator types are the ones above.
            _ => {}
        }
    }

    fn add_as<T: NumLanes>(&self, run: &Run<'_>, to: Shared, from: Shared) {
        let width = self.dtype.size();
        run.each(self.elements.div_ceil(GRAIN), |task, _| {
            let (start, end) = (task * GRAIN, ((task + 1) * GRAIN).min(self.elements));
            let (to, from) = (to.at(start * width), from.at(start * width));
            // SAFETY: as the caller of `add` promises; tasks write disjoint parts.
            unsafe { add_leaves::<T>(to, from, self.leaves, end - start, self.pitch) };
        });
    }
}

/// Adds rows of `n` elements, `pitch` apart, along the balanced tree.
///
/// # Safety
/// As for [`combine_rows`].
pub unsafe fn add_leaves<T: NumLanes>(to: *mut u8, from: *const u8, leaves: usize, n: usize, pitch: usize) {
    // SAFETY: as the caller promises.
    unsafe { combine_rows::<T>(to, from, leaves, n, pitch, |a, b| a.plus(b)) }
}

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

/// Combines two rows of `n` elements into a third one, or into the first.
///
/// # Safety
/// `a` and `b` hold rows, `to` has room for one, and is `a` or apart from both.
#[inline(always)]
pub unsafe fn combine_two<T: Copy>(
    to: *mut u8,
    a: *mut u8,
    b: *const u8,
    n: usize,
    f: impl Fn(T, T) -> T + Copy,
) {
    let (to, a, b) = (to.cast::<T>(), a.cast::<T>(), b.cast::<T>());
    // Two loops, so that in each the compiler can tell all rows apart, and makes vectors of them.
    // SAFETY: as the caller promises.
    unsafe {
        if to == a {
            (0..n).for_each(|i| *a.add(i) = f(*a.add(i), *b.add(i)));
        } else {
            (0..n).for_each(|i| *to.add(i) = f(*a.add(i), *b.add(i)));
        }
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
