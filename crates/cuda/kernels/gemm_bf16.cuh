// out = epilogue(A·B) for bf16 (unsigned short) in memory, on the tensor cores: mma.sync m16n8k16, sums in f32.
// Needs gemm_common.cuh and gemm_mma.cuh; sm_80 or newer.

// BM x BN of the result by a block, in steps of BK; each warp owns WM x WN; STAGES tiles under way.
template <unsigned BM_, unsigned BN_, unsigned BK_, unsigned WM_, unsigned WN_, unsigned STAGES_>
struct il_bf16_tile {
  static constexpr unsigned BM = BM_, BN = BN_, BK = BK_, WM = WM_, WN = WN_, STAGES = STAGES_;
  static constexpr unsigned WARPS_N = BN / WN, WARPS = BM / WM * WARPS_N, THREADS = WARPS * 32;
  static constexpr unsigned A_BYTES = BM * BK * 2, STAGE_BYTES = (BM + BN) * BK * 2;
  static constexpr unsigned OUT_BYTES = WARPS * il_accumulators<WM, WN>::BYTES;
  static constexpr unsigned SHARED = STAGES * STAGE_BYTES > OUT_BYTES ? STAGES * STAGE_BYTES : OUT_BYTES;
};
using il_bf16_128x256 = il_bf16_tile<128, 256, 32, 64, 64, 4>;
using il_bf16_128x128 = il_bf16_tile<128, 128, 32, 64, 64, 4>;
using il_bf16_128x64 = il_bf16_tile<128, 64, 32, 64, 32, 4>;
using il_bf16_64x64 = il_bf16_tile<64, 64, 32, 32, 32, 4>;
using il_bf16_32x32 = il_bf16_tile<32, 32, 64, 16, 16, 4>;

__device__ __forceinline__ void il_mma_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#ifdef IL_SIM
  il_sim::mma_m16n8k16_bf16(d, a, b);
#else
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// One stage of the pipeline: both tiles of a step of BK.
template <class T, class P>
struct il_bf16_stage {
  static constexpr bool AM = P::A_M_CONTIGUOUS, BKC = P::B_K_CONTIGUOUS;
  static constexpr unsigned A_ROWS = AM ? T::BK : T::BM, A_COLS = AM ? T::BM : T::BK;
  static constexpr unsigned B_ROWS = BKC ? T::BN : T::BK, B_COLS = BKC ? T::BK : T::BN;
  using A = il_swizzled<A_ROWS, A_COLS, 2>;
  using B = il_swizzled<B_ROWS, B_COLS, 2>;

  static __device__ __forceinline__ void load(unsigned char* stage, const unsigned short* a, const unsigned short* b,
                                              const il_place& at, unsigned k) {
    constexpr unsigned A_WIDTH = il_copy_bytes(P::A_ALIGN, P::LDA * 2), B_WIDTH = il_copy_bytes(P::B_ALIGN, P::LDB * 2);
    il_load_tile<unsigned short, A_ROWS, A_COLS, P::LDA, A_WIDTH, T::THREADS>(
        stage, a, AM ? k : at.m0, AM ? at.k1 : P::M, AM ? at.m0 : k, AM ? P::M : at.k1);
    il_load_tile<unsigned short, B_ROWS, B_COLS, P::LDB, B_WIDTH, T::THREADS>(
        stage + T::A_BYTES, b, BKC ? at.n0 : k, BKC ? P::N : at.k1, BKC ? k : at.n0, BKC ? at.k1 : P::N);
  }

  // Fragments of columns [k, k + 16) of A, rows from m, and of B, columns from n.
  static __device__ __forceinline__ void fragments(unsigned (&a)[T::WM / 16][4], unsigned (&b)[T::WN / 8][2],
                                                   const unsigned char* stage, unsigned m, unsigned n, unsigned k) {
    unsigned lane = threadIdx.x & 31, low = lane & 7, mid = lane >> 3 & 1, high = lane >> 4;
#pragma unroll
    for (unsigned i = 0; i < T::WM / 16; i++) {
      unsigned row = m + i * 16;
      if constexpr (AM)
        il_ldmatrix_trans(a[i], stage + A::at(k + high * 8 + low, row / 8 + mid));
      else
        il_ldmatrix(a[i], stage + A::at(row + mid * 8 + low, k / 8 + high));
    }
#pragma unroll
    for (unsigned j = 0; j < T::WN / 16; j++) {
      unsigned col = n + j * 16, r[4];
      if constexpr (BKC)
        il_ldmatrix(r, stage + T::A_BYTES + B::at(col + high * 8 + low, k / 8 + mid));
      else
        il_ldmatrix_trans(r, stage + T::A_BYTES + B::at(k + mid * 8 + low, col / 8 + high));
      b[2 * j][0] = r[0], b[2 * j][1] = r[1], b[2 * j + 1][0] = r[2], b[2 * j + 1][1] = r[3];
    }
  }
};

template <class T, class P, class E>
__device__ __forceinline__ void il_gemm_bf16(const unsigned short* a, const unsigned short* b, const E& epi) {
  using Stage = il_bf16_stage<T, P>;
  IL_DYNAMIC_SHARED(unsigned char, il_shared);
  const il_place at = il_locate<T::BM, T::BN, T::BK, P>();
  a += P::a_base(at.batch);
  b += P::b_base(at.batch);
  const unsigned warp = threadIdx.x >> 5, wm = warp / T::WARPS_N * T::WM, wn = warp % T::WARPS_N * T::WN;
  const unsigned steps = il_ceil_div(at.k1 - at.k0, T::BK);

#pragma unroll
  for (unsigned s = 0; s < T::STAGES - 1; s++) {
    if (s < steps) Stage::load(il_shared + s * T::STAGE_BYTES, a, b, at, at.k0 + s * T::BK);
    il_copy_commit();
  }
  il_accumulators<T::WM, T::WN> sum;
  sum.clear();
  unsigned reading = 0, writing = T::STAGES - 1;
  for (unsigned step = 0; step < steps; step++) {
    il_copy_wait<(int)T::STAGES - 2>();
    __syncthreads();
    unsigned ahead = step + T::STAGES - 1;
    if (ahead < steps) Stage::load(il_shared + writing * T::STAGE_BYTES, a, b, at, at.k0 + ahead * T::BK);
    il_copy_commit();
    const unsigned char* stage = il_shared + reading * T::STAGE_BYTES;
    unsigned fa[2][T::WM / 16][4], fb[2][T::WN / 8][2];
    Stage::fragments(fa[0], fb[0], stage, wm, wn, 0);
#pragma unroll
    for (unsigned kk = 0; kk < T::BK / 16; kk++) {
      if (kk + 1 < T::BK / 16) Stage::fragments(fa[kk + 1 & 1], fb[kk + 1 & 1], stage, wm, wn, (kk + 1) * 16);
#pragma unroll
      for (unsigned i = 0; i < T::WM / 16; i++)
#pragma unroll
        for (unsigned j = 0; j < T::WN / 8; j++) il_mma_bf16(sum.d[i][j], fa[kk & 1][i], fb[kk & 1][j]);
    }
    reading = reading + 1 == T::STAGES ? 0 : reading + 1;
    writing = writing + 1 == T::STAGES ? 0 : writing + 1;
  }
  il_copy_wait<0>();
  __syncthreads();
  float* strip = (float*)(il_shared + warp * il_accumulators<T::WM, T::WN>::BYTES);
  sum.template emit<P>(epi, strip, at.batch, at.m0 + wm, at.n0 + wn);
}
