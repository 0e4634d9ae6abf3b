// out = epilogue(A·B) for bf16 (unsigned short) in memory, on the tensor cores: mma.sync m16n8k16, sums in f32.
// Needs gemm_common.cuh and gemm_mma.cuh; sm_80 or newer.

// BM x BN of the result by a block, in steps of BK; each warp owns WM x WN; STAGES tiles under way, BLOCKS blocks on a
// multiprocessor (for __launch_bounds__).
template <unsigned BM_, unsigned BN_, unsigned BK_, unsigned WM_, unsigned WN_, unsigned STAGES_, unsigned BLOCKS_>
struct il_bf16_tile {
  static constexpr unsigned BM = BM_, BN = BN_, BK = BK_, WM = WM_, WN = WN_, STAGES = STAGES_, BLOCKS = BLOCKS_;
  static constexpr unsigned WARPS_N = BN / WN, WARPS = BM / WM * WARPS_N, THREADS = WARPS * 32;
  static constexpr unsigned A_BYTES = BM * BK * 2, STAGE_BYTES = (BM + BN) * BK * 2;
  static constexpr unsigned OUT_BYTES = WARPS * il_accumulators<WM, WN>::BYTES;
  static constexpr unsigned SHARED = STAGES * STAGE_BYTES > OUT_BYTES ? STAGES * STAGE_BYTES : OUT_BYTES;
};
using il_bf16_128x256 = il_bf16_tile<128, 256, 32, 64, 64, 4, 1>;
using il_bf16_128x128 = il_bf16_tile<128, 128, 32, 64, 64, 4, 2>;
using il_bf16_128x64 = il_bf16_tile<128, 64, 32, 64, 32, 4, 4>;
using il_bf16_64x64 = il_bf16_tile<64, 64, 32, 32, 32, 4, 4>;
using il_bf16_32x32 = il_bf16_tile<32, 32, 64, 16, 16, 4, 6>;

__device__ __forceinline__ void il_mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#ifdef IL_SIM
  il_sim::mma_m16n8k16_bf16(d, a, b);
#else
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

template <class T, class P>
struct il_bf16_fragments {
  static constexpr bool AM = P::A_M_CONTIGUOUS, BKC = P::B_K_CONTIGUOUS;
  using A = il_swizzled<AM ? T::BK : T::BM, AM ? T::BM : T::BK, 2>;
  using B = il_swizzled<BKC ? T::BN : T::BK, BKC ? T::BK : T::BN, 2>;
  unsigned a[T::WM / 16][4], b[T::WN / 8][2];

  // Fragments of columns [k, k + 16) of A, rows from m, and of B, columns from n. Both m and n are multiples of 8, so that
  // steps of 16 rows leave the permutation of the chunks as it is.
  __device__ __forceinline__ void load(const unsigned char* stage, unsigned m, unsigned n, unsigned k) {
    unsigned lane = threadIdx.x & 31, low = lane & 7, mid = lane >> 3 & 1, high = lane >> 4;
    const unsigned char* rows = stage + A::chunk(m + mid * 8 + low, k / 8 + high);
#pragma unroll
    for (unsigned i = 0; i < T::WM / 16; i++) {
      if constexpr (AM)
        il_ldmatrix_trans(a[i], stage + A::chunk(high * 8 + low, m / 8 + i * 2 + mid) + k * A::ROW_BYTES);
      else
        il_ldmatrix(a[i], rows + i * 16 * A::ROW_BYTES);
    }
    stage += T::A_BYTES;
    const unsigned char* columns = stage + B::chunk(n + high * 8 + low, k / 8 + mid);
#pragma unroll
    for (unsigned j = 0; j < T::WN / 16; j++) {
      unsigned r[4];
      if constexpr (BKC)
        il_ldmatrix(r, columns + j * 16 * B::ROW_BYTES);
      else
        il_ldmatrix_trans(r, stage + B::chunk(mid * 8 + low, n / 8 + j * 2 + high) + k * B::ROW_BYTES);
      b[2 * j][0] = r[0], b[2 * j][1] = r[1], b[2 * j + 1][0] = r[2], b[2 * j + 1][1] = r[3];
    }
  }
};

template <class T, class P, class E>
__device__ __forceinline__ void il_gemm_bf16(const unsigned short* a, const unsigned short* b, const E& epi) {
  IL_DYNAMIC_SHARED(unsigned char, il_shared);
  const il_place at = il_locate<T::BM, T::BN, T::BK, P>();
  const unsigned warp = threadIdx.x >> 5, wm = warp / T::WARPS_N * T::WM, wn = warp % T::WARPS_N * T::WN;
  using F = il_bf16_fragments<T, P>;
  il_stages<unsigned short, T, P, typename F::A, typename F::B, ~0u, ~0u, il_copy_bytes(P::A_ALIGN, P::LDA * 2),
            il_copy_bytes(P::B_ALIGN, P::LDB * 2)>
      stages(a, b, at);
  il_accumulators<T::WM, T::WN> sum;
  sum.clear();
  il_pipeline<T>(il_shared, stages, il_ceil_div(at.k1 - at.k0, T::BK), [&](const unsigned char* stage) {
    F f[2];
    f[0].load(stage, wm, wn, 0);
#pragma unroll
    for (unsigned k = 0; k < T::BK / 16; k++) {
      if (k + 1 < T::BK / 16) f[k + 1 & 1].load(stage, wm, wn, (k + 1) * 16);
#pragma unroll
      for (unsigned i = 0; i < T::WM / 16; i++)
#pragma unroll
        for (unsigned j = 0; j < T::WN / 8; j++) il_mma_bf16(sum.d[i][j], f[k & 1].a[i], f[k & 1].b[j]);
    }
  });
  float* strip = (float*)(il_shared + warp * il_accumulators<T::WM, T::WN>::BYTES);
  sum.template emit<P>(epi, strip, at.batch, at.m0 + wm, at.n0 + wn);
}
