// out = epilogue(A·B) for f32 in memory on the tensor cores: operands rounded to tf32 (10 bits after the point, ties away
// from zero), mma.sync m16n8k8, sums in f32. Needs gemm_common.cuh and gemm_mma.cuh; sm_80 or newer.

// BM x BN of the result by a block, in steps of BK; each warp owns WM x WN; STAGES tiles under way, BLOCKS blocks on a
// multiprocessor (for __launch_bounds__).
template <unsigned BM_, unsigned BN_, unsigned BK_, unsigned WM_, unsigned WN_, unsigned STAGES_, unsigned BLOCKS_>
struct il_tf32_tile {
  static constexpr unsigned BM = BM_, BN = BN_, BK = BK_, WM = WM_, WN = WN_, STAGES = STAGES_, BLOCKS = BLOCKS_;
  static constexpr unsigned WARPS_N = BN / WN, WARPS = BM / WM * WARPS_N, THREADS = WARPS * 32;
  static constexpr unsigned A_BYTES = (BM + 8) * BK * 4, STAGE_BYTES = A_BYTES + (BN + 8) * BK * 4;
  static constexpr unsigned OUT_BYTES = WARPS * il_accumulators<WM, WN>::BYTES;
  static constexpr unsigned SHARED = STAGES * STAGE_BYTES > OUT_BYTES ? STAGES * STAGE_BYTES : OUT_BYTES;
};
using il_tf32_128x128 = il_tf32_tile<128, 128, 16, 64, 64, 4, 2>;
using il_tf32_128x64 = il_tf32_tile<128, 64, 16, 64, 32, 4, 3>;
using il_tf32_64x64 = il_tf32_tile<64, 64, 16, 32, 32, 4, 5>;
using il_tf32_32x32 = il_tf32_tile<32, 32, 32, 16, 16, 4, 6>;

// The value of x that the tensor cores see, NaN and infinity kept.
__device__ __forceinline__ unsigned il_tf32(float x) {
#ifdef IL_SIM
  unsigned u = __float_as_uint(x);
  return (u & 0x7f800000u) == 0x7f800000u ? u : (u + 0x1000u) & ~0x1fffu;
#else
  unsigned r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
#endif
}
// The value of an f32 as the sum of two that the tensor cores see: the larger in its place, and the rest.
__device__ __forceinline__ void il_split_tf32(unsigned& x, unsigned& rest) {
  float whole = __uint_as_float(x);
  x = il_tf32(whole);
  rest = il_tf32(whole - __uint_as_float(x));
}
__device__ __forceinline__ void il_mma_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
#ifdef IL_SIM
  il_sim::mma_m16n8k8_tf32(d, a, b);
#else
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

// Rows of k in shared memory, padded: 4 steps of k by 8 neighbours, as a warp reads them, fall into different banks.
template <unsigned COLS>
struct il_tf32_padded {
  static constexpr unsigned ROW = COLS + 8;
  static __device__ __forceinline__ unsigned at(unsigned row, unsigned col) { return (row * ROW + col) * 4; }
};
template <bool SAME, class X, class Y>
struct il_select {
  using type = X;
};
template <class X, class Y>
struct il_select<false, X, Y> {
  using type = Y;
};

// ROUNDED: as the tensor cores see them; else as they are in memory.
template <class T, class P, bool ROUNDED = true>
struct il_tf32_fragments {
  static __device__ __forceinline__ unsigned seen(float x) { return ROUNDED ? il_tf32(x) : __float_as_uint(x); }
  static constexpr bool AM = P::A_M_CONTIGUOUS, BKC = P::B_K_CONTIGUOUS;
  using AK = il_swizzled<T::BM, T::BK, 4>;
  using BK = il_swizzled<T::BN, T::BK, 4>;
  using A = typename il_select<AM, il_tf32_padded<T::BM>, AK>::type;
  using B = typename il_select<BKC, BK, il_tf32_padded<T::BN>>::type;
  unsigned a[T::WM / 16][4], b[T::WN / 8][2];

  // Columns [k, k + 8) of A, rows from m, and of B, columns from n.
  __device__ __forceinline__ void load(const unsigned char* stage, unsigned m, unsigned n, unsigned k) {
    unsigned lane = threadIdx.x & 31, low = lane & 7, mid = lane >> 3 & 1, high = lane >> 4, g = lane >> 2, q = lane & 3;
    if constexpr (AM) {
      const float* p = (const float*)(stage + A::at(q, m + g)) + k * A::ROW;
#pragma unroll
      for (unsigned i = 0; i < T::WM / 16; i++)
#pragma unroll
        for (unsigned e = 0; e < 4; e++) a[i][e] = seen(p[i * 16 + (e & 1) * 8 + (e >> 1) * 4 * A::ROW]);
    } else {
      const unsigned char* p = stage + AK::chunk(m + mid * 8 + low, k / 4 + high);
#pragma unroll
      for (unsigned i = 0; i < T::WM / 16; i++) {
        il_ldmatrix(a[i], p + i * 16 * AK::ROW_BYTES);
#pragma unroll
        for (unsigned e = 0; e < 4; e++) a[i][e] = seen(__uint_as_float(a[i][e]));
      }
    }
    stage += T::A_BYTES;
    if constexpr (BKC) {
      const unsigned char* p = stage + BK::chunk(n + high * 8 + low, k / 4 + mid);
#pragma unroll
      for (unsigned j = 0; j < T::WN / 16; j++) {
        unsigned r[4];
        il_ldmatrix(r, p + j * 16 * BK::ROW_BYTES);
#pragma unroll
        for (unsigned e = 0; e < 4; e++) b[2 * j + (e >> 1)][e & 1] = seen(__uint_as_float(r[e]));
      }
    } else {
      const float* p = (const float*)(stage + B::at(q, n + g)) + k * B::ROW;
#pragma unroll
      for (unsigned j = 0; j < T::WN / 8; j++)
#pragma unroll
        for (unsigned e = 0; e < 2; e++) b[j][e] = seen(p[j * 8 + e * 4 * B::ROW]);
    }
  }
};

// The loop of both: step(sum, stage, m, n) for the warp's part.
template <class T, class P, class F, class E, class Step>
__device__ __forceinline__ void il_gemm_by_warps(const float* a, const float* b, const E& epi, Step step) {
  IL_DYNAMIC_SHARED(unsigned char, il_shared);
  const il_place at = il_locate<T::BM, T::BN, T::BK, P>();
  const unsigned warp = threadIdx.x >> 5, wm = warp / T::WARPS_N * T::WM, wn = warp % T::WARPS_N * T::WN;
  il_stages<float, T, P, typename F::A, typename F::B, ~0u, ~0u, il_copy_bytes(P::A_ALIGN, P::LDA * 4),
            il_copy_bytes(P::B_ALIGN, P::LDB * 4)>
      stages(a, b, at);
  il_accumulators<T::WM, T::WN> sum;
  sum.clear();
  il_pipeline<T>(il_shared, stages, il_ceil_div(at.k1 - at.k0, T::BK), [&](const unsigned char* stage) {
    step(sum, stage, wm, wn);
  });
  float* strip = (float*)(il_shared + warp * il_accumulators<T::WM, T::WN>::BYTES);
  sum.template emit<P>(epi, strip, at.batch, at.m0 + wm, at.n0 + wn);
}

template <class T, class P, class E>
__device__ __forceinline__ void il_gemm_tf32(const float* a, const float* b, const E& epi) {
  using F = il_tf32_fragments<T, P>;
  il_gemm_by_warps<T, P, F>(a, b, epi, [](auto& sum, const unsigned char* stage, unsigned wm, unsigned wn) {
    F f[2];
    f[0].load(stage, wm, wn, 0);
#pragma unroll
    for (unsigned k = 0; k < T::BK / 8; k++) {
      if (k + 1 < T::BK / 8) f[k + 1 & 1].load(stage, wm, wn, (k + 1) * 8);
#pragma unroll
      for (unsigned i = 0; i < T::WM / 16; i++)
#pragma unroll
        for (unsigned j = 0; j < T::WN / 8; j++) il_mma_tf32(sum.d[i][j], f[k & 1].a[i], f[k & 1].b[j]);
    }
  });
}

// A product as exact as f32 arithmetic, on the tensor cores: every operand is the sum of two tf32 numbers, which hold 22
// of its 24 bits and all but 2^-23 of its value; of the four products the smallest, below 2^-22 of the whole, is left out
// (Ootomo and Yokota, "Recovering single precision accuracy from tensor cores", IJHPCA 36, 2022).
template <class T, class P, class E>
__device__ __forceinline__ void il_gemm_f32x3(const float* a, const float* b, const E& epi) {
  using F = il_tf32_fragments<T, P, false>;
  il_gemm_by_warps<T, P, F>(a, b, epi, [](auto& sum, const unsigned char* stage, unsigned wm, unsigned wn) {
#pragma unroll
    for (unsigned k = 0; k < T::BK / 8; k++) {
      F f, low;
      f.load(stage, wm, wn, k * 8);
#pragma unroll
      for (unsigned i = 0; i < T::WM / 16; i++)
#pragma unroll
        for (unsigned e = 0; e < 4; e++) il_split_tf32(f.a[i][e], low.a[i][e]);
#pragma unroll
      for (unsigned j = 0; j < T::WN / 8; j++)
#pragma unroll
        for (unsigned e = 0; e < 2; e++) il_split_tf32(f.b[j][e], low.b[j][e]);
#pragma unroll
      for (unsigned i = 0; i < T::WM / 16; i++)
#pragma unroll
        for (unsigned j = 0; j < T::WN / 8; j++) {
          il_mma_tf32(sum.d[i][j], low.a[i], f.b[j]);
          il_mma_tf32(sum.d[i][j], f.a[i], low.b[j]);
          il_mma_tf32(sum.d[i][j], f.a[i], f.b[j]);
        }
    }
  });
}
