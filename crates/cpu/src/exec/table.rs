//! Bytes picked from a table of at most 256: any function of quantized values.

use super::Run;
use super::memory::Shared;
use super::rows::{Gather, extents};
use crate::isa::{Isa, Kernel};
use ironlearn_ir::DType;
use ironlearn_ir::lanes::FloatLanes;
use ironlearn_ir::plan::View;

/// Elements of a task.
const GRAIN: usize = 1 << 14;
/// Indices that are narrowed to bytes at a time.
const BLOCK: usize = 512;

/// A way to pick bytes from a table, of an instruction set.
pub struct Table {
    isa: Isa,
    pick: Pick,
}

/// Writes the bytes of a table at some indices; both slices have one length.
type Pick = fn(&[u8; 256], &[u8], &mut [u8]);

impl Table {
    /// Where elements of `x` are bytes of a short table.
    pub fn new(isa: Isa, x: &View, dtype: DType) -> Option<Table> {
        let [outer, len, inner] = extents(x);
        let short = outer == 1 && inner == 1 && dtype.size() == 1 && (1..=256).contains(&len);
        short.then(|| Table { isa, pick: pick(isa) })
    }

    /// Picks all bytes; false, with some of them written, where an index is outside of the table.
    pub fn run(&self, gather: &Gather, run: &Run<'_>) -> bool {
        match gather.index_dtype {
            DType::U8 => self.run_as::<u8>(gather, run),
            DType::I32 => self.run_as::<i32>(gather, run),
            DType::U32 => self.run_as::<u32>(gather, run),
            _ => self.run_as::<i64>(gather, run),
        }
    }

    fn run_as<I: Index>(&self, gather: &Gather, run: &Run<'_>) -> bool {
        let (len, count) = (gather.x.dims[1], gather.index.elements());
        let address = |v: &View, size| Shared(run.addresses.element(v.buffer, v.offset, size));
        let (x, out) = (address(&gather.x, 1), address(&gather.out, 1));
        let index = address(&gather.index, size_of::<I>());
        let mut table = [0; 256];
        // SAFETY: the table has `len` bytes.
        table[..len].copy_from_slice(unsafe { std::slice::from_raw_parts(x.at(0), len) });
        let outside = std::sync::atomic::AtomicBool::new(false);
        run.each(count.div_ceil(GRAIN), |task, _| {
            let (start, end) = (task * GRAIN, count.min((task + 1) * GRAIN));
            // SAFETY: index and result have `count` elements; tasks write disjoint ones.
            let (index, out) = unsafe {
                (
                    std::slice::from_raw_parts(index.at(0).cast::<I>().add(start), end - start),
                    std::slice::from_raw_parts_mut(out.at(start), end - start),
                )
            };
            for (index, out) in index.chunks(BLOCK).zip(out.chunks_mut(BLOCK)) {
                let mut bytes = [0; BLOCK];
                let to = &mut bytes[..index.len()];
                if self.isa.run(Narrow { index, len, to }) {
                    (self.pick)(&table, &bytes[..index.len()], out);
                } else {
                    outside.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            }
        });
        !outside.into_inner()
    }
}

/// A type of indices.
trait Index: Copy {
    /// As a place; a large one where it is negative.
    fn place(self) -> u64;
}
macro_rules! index {
    ($($t:ty),*) => {$(impl Index for $t {
        #[inline(always)]
        fn place(self) -> u64 {
            i64::from(self) as u64
        }
    })*};
}
index!(u8, i32, u32, i64);

/// Indices as bytes; false where one is not below `len`.
struct Narrow<'a, I> {
    index: &'a [I],
    len: usize,
    to: &'a mut [u8],
}

impl<I: Index> Kernel for Narrow<'_, I> {
    type Out = bool;
    #[inline(always)]
    fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) -> bool {
        let mut largest = 0;
        for (to, index) in self.to.iter_mut().zip(self.index) {
            let place = index.place();
            largest = if place > largest { place } else { largest };
            *to = place as u8;
        }
        largest < self.len as u64
    }
}

fn pick(isa: Isa) -> Pick {
    #[cfg(target_arch = "x86_64")]
    if isa.level() == crate::isa::Level::Avx512
        && isa.has_byte_dots()
        && is_x86_feature_detected!("avx512vbmi")
    {
        // SAFETY: the CPU has the instructions.
        return |table, index, out| unsafe { pick_vbmi(table, index, out) };
    }
    let _ = isa;
    pick_each
}

fn pick_each(table: &[u8; 256], index: &[u8], out: &mut [u8]) {
    for (to, &i) in out.iter_mut().zip(index) {
        *to = table[usize::from(i)];
    }
}

/// [`pick_each`] with 64 bytes at once: of each half of the table, then of the half that the top bit says.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn pick_vbmi(table: &[u8; 256], index: &[u8], out: &mut [u8]) {
    use std::arch::x86_64::*;
    // SAFETY: each quarter of the table has 64 bytes.
    let quarter = |q: usize| unsafe { _mm512_loadu_si512(table[64 * q..64 * q + 64].as_ptr().cast()) };
    let quarters = [quarter(0), quarter(1), quarter(2), quarter(3)];
    let mut index = index.chunks_exact(64);
    let mut out = out.chunks_exact_mut(64);
    for (index, out) in (&mut index).zip(&mut out) {
        // SAFETY: there are 64 indices, and room for as many bytes.
        unsafe {
            let i = _mm512_loadu_si512(index.as_ptr().cast());
            let low = _mm512_permutex2var_epi8(quarters[0], i, quarters[1]);
            let high = _mm512_permutex2var_epi8(quarters[2], i, quarters[3]);
            let bytes = _mm512_mask_blend_epi8(_mm512_movepi8_mask(i), low, high);
            _mm512_storeu_si512(out.as_mut_ptr().cast(), bytes);
        }
    }
    pick_each(table, index.remainder(), out.into_remainder());
}
