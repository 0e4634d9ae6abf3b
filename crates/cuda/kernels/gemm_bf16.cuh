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

// The tiles of A and B, step by step of BK.
template <class T, class P>
struct il_bf16_stages {
  static constexpr bool AM = P::A_M_CONTIGUOUS, BKC = P::B_K_CONTIGUOUS;
  static constexpr unsigned A_ROWS = AM ? T::BK : T::BM, A_COLS = AM ? T::BM : T::BK;
  static constexpr unsigned B_ROWS = BKC ? T::BN : T::BK, B_COLS = BKC ? T::BK : T::BN;
  using A = il_swizzled<A_ROWS, A_COLS, 2>;
  using B = il_swizzled<B_ROWS, B_COLS, 2>;

  static constexpr bool M_WHOLE = P::M % T::BM == 0, N_WHOLE = P::N % T::BN == 0, K_WHOLE = P::K % T::BK == 0;
  il_tile_loader<unsigned short, A, A_ROWS, A_COLS, A_COLS, P::LDA, il_copy_bytes(P::A_ALIGN, P::LDA * 2), T::THREADS,
                 AM ? K_WHOLE : M_WHOLE, AM ? M_WHOLE : K_WHOLE> a;
  il_tile_loader<unsigned short, B, B_ROWS, B_COLS, B_COLS, P::LDB, il_copy_bytes(P::B_ALIGN, P::LDB * 2), T::THREADS,
                 BKC ? N_WHOLE : K_WHOLE, BKC ? K_WHOLE : N_WHOLE> b;
  unsigned m_left, n_left, k_left;

  __device__ __forceinline__ il_bf16_stages(const unsigned short* a_, const unsigned short* b_, const il_place& at)
      : a(a_ + P::a_base(at.batch), AM ? at.k0 : at.m0, AM ? at.m0 : at.k0),
        b(b_ + P::b_base(at.batch), BKC ? at.n0 : at.k0, BKC ? at.k0 : at.n0),
        m_left(P::M - at.m0), n_left(P::N - at.n0), k_left(at.k1 - at.k0) {}

  // Begins the copies of the next step, if there is one.
  __device__ __forceinline__ void load(unsigned char* stage) {
    if (k_left != 0) {
      a.load(stage, AM ? k_left : m_left, AM ? m_left : k_left);
      b.load(stage + T::A_BYTES, BKC ? n_left : k_left, BKC ? k_left : n_left);
      a.advance(AM ? T::BK * P::LDA : T::BK);
      b.advance(BKC ? T::BK : T::BK * P::LDB);
      k_left = k_left > T::BK ? k_left - T::BK : 0;
    }
    il_copy_commit();
  }

  // Fragments of columns [k, k + 16) of A, rows from m, and of B, columns from n.
  static __device__ __forceinline__ void fragments(unsigned (&a)[T::WM / 16][4], unsigned (&b)[T::WN / 8][2],
                                                   const unsigned char* stage, unsigned m, unsigned n, unsigned k) {
    unsigned lane = threadIdx.x & 31, low = lane & 7, mid = lane >> 3 & 1, high = lane >> 4;
#pragma unroll
    for (unsigned i = 0; i < T::WM / 16; i++) {
      unsigned row = m + i * 16;
      if constexpr (AM)
        il_ldmatrix_trans(a[i], stage + A::chunk(k + high * 8 + low, row / 8 + mid));
      else
        il_ldmatrix(a[i], stage + A::chunk(row + mid * 8 + low, k / 8 + high));
    }
#pragma unroll
    for (unsigned j = 0; j < T::WN / 16; j++) {
      unsigned col = n + j * 16, r[4];
      if constexpr (BKC)
        il_ldmatrix(r, stage + T::A_BYTES + B::chunk(col + high * 8 + low, k / 8 + mid));
      else
        il_ldmatrix_trans(r, stage + T::A_BYTES + B::chunk(k + mid * 8 + low, col / 8 + high));
      b[2 * j][0] = r[0], b[2 * j][1] = r[1], b[2 * j + 1][0] = r[2], b[2 * j + 1][1] = r[3];
    }
  }
};

template <class T, class P, class E>
__device__ __forceinline__ void il_gemm_bf16(const unsigned short* a, const unsigned short* b, const E& epi) {
  IL_DYNAMIC_SHARED(unsigned char, il_shared);
  const il_place at = il_locate<T::BM, T::BN, T::BK, P>();
  const unsigned warp = threadIdx.x >> 5, wm = warp / T::WARPS_N * T::WM, wn = warp % T::WARPS_N * T::WN;
  const unsigned steps = il_ceil_div(at.k1 - at.k0, T::BK);
  using Stages = il_bf16_stages<T, P>;
  Stages next(a, b, at);
#pragma unroll
  for (unsigned s = 0; s < T::STAGES - 1; s++) next.load(il_shared + s * T::STAGE_BYTES);
  il_accumulators<T::WM, T::WN> sum;
  sum.clear();
  unsigned reading = 0, writing = T::STAGES - 1;
  for (unsigned step = 0; step < steps; step++) {
    il_copy_wait<(int)T::STAGES - 2>();
    __syncthreads();
    next.load(il_shared + writing * T::STAGE_BYTES);
    const unsigned char* stage = il_shared + reading * T::STAGE_BYTES;
    unsigned fa[2][T::WM / 16][4], fb[2][T::WN / 8][2];
    Stages::fragments(fa[0], fb[0], stage, wm, wn, 0);
#pragma unroll
    for (unsigned kk = 0; kk < T::BK / 16; kk++) {
      if (kk + 1 < T::BK / 16) Stages::fragments(fa[kk + 1 & 1], fb[kk + 1 & 1], stage, wm, wn, (kk + 1) * 16);
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
