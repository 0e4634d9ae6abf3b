//! [`Words`]: random bits of positions, many counters at a time.

use crate::isa::Kernel;
use ironlearn_ir::lanes::FloatLanes;
use ironlearn_ir::prim::RandomBits;

/// The bits of positions that lie `stride` apart.
pub struct Words<'a> {
    pub bits: &'a RandomBits,
    /// Seed, step and first row.
    pub scalars: [i64; 3],
    pub first: isize,
    pub stride: isize,
    pub out: &'a mut [u32],
}

impl Kernel for Words<'_> {
    type Out = ();
    #[inline(always)]
    fn run<F32: FloatLanes<Elem = f32>, F64: FloatLanes<Elem = f64>>(self) {
        let Words { bits, scalars: [seed, step, row], first, stride, out } = self;
        if stride == 1 {
            return bits.fill(seed, step, row, first as usize, out);
        }
        for (k, one) in out.iter_mut().enumerate() {
            let place = (first + k as isize * stride) as usize;
            bits.fill(seed, step, row, place, std::slice::from_mut(one));
        }
    }
}
