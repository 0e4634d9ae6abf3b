//! Kernels for instructions that few CPUs have, with others in their place: what is around the instructions is tested
//! where they are not.

use super::tiles;
#[cfg(target_arch = "x86_64")]
use super::{along, dots::EncodedDots8, pack};
use crate::gemm::kernel::KernelFn;
use crate::gemm::select::{Kernel, Operand};

/// Kernels of tiles, with their operands.
pub(in crate::gemm) fn tiles() -> Vec<(&'static str, Kernel, Operand, Operand)> {
    let operand = |pack| Operand { pack, same: false };
    let [a, b] = [operand(tiles::left::<false>), operand(tiles::right::<false>)];
    let model = tiles::kernel(tiles::model::run::<true, true>);
    let mut all = vec![("amx (a model of it)", model, a, b)];
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl") {
        let kernel = Kernel::of::<EncodedDots8, 6, 2>(crate::gemm::select::avx512_vnni::<EncodedDots8, 6, 2>);
        let [a, b] = [operand(tiles::left::<true>), operand(tiles::right::<true>)];
        all.push(("amx (a model of it, packed by AVX-512)", model, a, b));
        let operands = [pack::avx2::<{ super::Side::RAISED }>, pack::avx2::<{ super::Side::AFTER_SUMS }>];
        let [a, b] = operands.map(operand);
        all.push(("avxvnni (as AVX-512 encodes it)", kernel, a, b));
    }
    all
}

/// Kernels of a few rows.
pub(in crate::gemm) fn few_rows() -> Vec<(&'static str, KernelFn)> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512vl") {
        return vec![("avxvnni (as AVX-512 encodes it)", along::x86::encoded_avx_vnni as KernelFn)];
    }
    Vec::new()
}
