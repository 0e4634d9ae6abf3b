//! Copies between contiguous memory and memory that is strided or repeats.

/// Copies `n` elements of `size` bytes that lie `stride` elements apart to contiguous memory.
///
/// # Safety
/// All elements read are inside one allocation, `dst` has room for `n`, and they do not overlap.
#[inline]
pub unsafe fn copy_strided(dst: *mut u8, src: *const u8, stride: isize, n: usize, size: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        if stride == 1 {
            return std::ptr::copy_nonoverlapping(src, dst, n * size);
        }
        match size {
            1 => spread::<u8>(dst, src, 1, stride, n),
            2 => spread::<u16>(dst, src, 1, stride, n),
            4 => spread::<u32>(dst, src, 1, stride, n),
            8 => spread::<u64>(dst, src, 1, stride, n),
            _ => spread::<[u64; 2]>(dst, src, 1, stride, n),
        }
    }
}

/// Copies `n` contiguous elements of `size` bytes to places that lie `stride` elements apart.
///
/// # Safety
/// As for [`copy_strided`], the other way round.
#[inline]
pub unsafe fn store_strided(dst: *mut u8, src: *const u8, stride: isize, n: usize, size: usize) {
    // SAFETY: as the caller promises.
    unsafe {
        if stride == 1 {
            return std::ptr::copy_nonoverlapping(src, dst, n * size);
        }
        match size {
            1 => spread::<u8>(dst, src, stride, 1, n),
            2 => spread::<u16>(dst, src, stride, 1, n),
            4 => spread::<u32>(dst, src, stride, 1, n),
            8 => spread::<u64>(dst, src, stride, 1, n),
            _ => spread::<[u64; 2]>(dst, src, stride, 1, n),
        }
    }
}

/// # Safety
/// As for [`copy_strided`].
#[inline(always)]
unsafe fn spread<T: Copy>(dst: *mut u8, src: *const u8, to: isize, from: isize, n: usize) {
    let (dst, src) = (dst.cast::<T>(), src.cast::<T>());
    if from == 0 {
        // SAFETY: one element is read, `n` are written.
        let x = unsafe { src.read_unaligned() };
        for i in 0..n as isize {
            // SAFETY: as above.
            unsafe { dst.offset(i * to).write_unaligned(x) }
        }
        return;
    }
    for i in 0..n as isize {
        // SAFETY: as the caller promises.
        unsafe { dst.offset(i * to).write_unaligned(src.offset(i * from).read_unaligned()) }
    }
}

/// Fills `bytes` bytes with the first `period` of them.
///
/// # Safety
/// `src` holds a period; `dst` has room, and is elsewhere.
pub unsafe fn repeat(dst: *mut u8, src: *const u8, period: usize, bytes: usize) {
    let mut done = period.min(bytes);
    // SAFETY: as the caller promises; each copy is of what has been written to what has not.
    unsafe {
        std::ptr::copy_nonoverlapping(src, dst, done);
        while done < bytes {
            let more = done.min(bytes - done);
            std::ptr::copy_nonoverlapping(dst, dst.add(done), more);
            done += more;
        }
    }
}
