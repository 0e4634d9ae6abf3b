// out = epilogue(A·B) in exact f32: fused multiply-adds in ascending k on the CUDA cores. Needs gemm_common.cuh.

// BM x BN of the result by a block, in steps of BK, STAGES tiles under way; each thread owns TM rows of 8 columns.
template <unsigned BM_, unsigned BN_, unsigned BK_, unsigned TM_, unsigned STAGES_, unsigned BLOCKS_>
struct il_f32_tile {
  static constexpr unsigned BM = BM_, BN = BN_, BK = BK_, TM = TM_, STAGES = STAGES_, BLOCKS = BLOCKS_;
  static constexpr unsigned THREADS = BM / TM * (BN / 8);
  // Rows of shared memory are padded by 16 bytes: 8 steps of k by 4 rows fall into different banks.
  static constexpr unsigned A_BYTES = BK * (BM + 4) * 4, STAGE_BYTES = A_BYTES + BK * (BN + 4) * 4;
  static constexpr unsigned SHARED = STAGES * STAGE_BYTES;
};
using il_f32_128x128 = il_f32_tile<128, 128, 16, 8, 3, 2>;
using il_f32_128x64 = il_f32_tile<128, 64, 16, 8, 3, 4>;
using il_f32_64x64 = il_f32_tile<64, 64, 16, 4, 3, 4>;
using il_f32_32x32 = il_f32_tile<32, 32, 16, 2, 3, 8>;

// Tiles in shared memory are [BK][BM] and [BK][BN]. The columns of B are stored so that the first halves of all groups
// of 8 come first: threads that own neighbouring groups then read neighbouring 16 bytes.
template <unsigned BM>
struct il_f32_rows {
  static __device__ __forceinline__ unsigned place(unsigned k, unsigned m) { return (k * (BM + 4) + m) * 4; }
};
template <unsigned BN>
struct il_f32_columns {
  static __device__ __forceinline__ unsigned place(unsigned k, unsigned n) {
    return (k * (BN + 4) + (n >> 2 & 1) * (BN / 2) + (n >> 3) * 4 + (n & 3)) * 4;
  }
};
// The same seen by a loader that runs over rows of memory: rows of k, or rows of m or n where k is contiguous.
template <class S, bool K_CONTIGUOUS>
struct il_f32_layout {
  static __device__ __forceinline__ unsigned at(unsigned row, unsigned col) {
    return K_CONTIGUOUS ? S::place(col, row) : S::place(row, col);
  }
};

// What a thread needs of step k: T::TM rows, those from the fifth on BM/2 further down, and 8 columns. fa and fb are where
// its rows and columns begin in the stage.
template <class T>
__device__ __forceinline__ void il_f32_fragments(float (&a)[T::TM], float (&b)[8], const float* fa, const float* fb,
                                                 unsigned k) {
  constexpr unsigned EACH = T::TM < 4 ? T::TM : 4;
#pragma unroll
  for (unsigned h = 0; h < T::TM / EACH; h++) {
    const float* p = fa + (k * (T::BM + 4) + h * (T::BM / 2));
    if constexpr (EACH == 4) {
      float4 x = *(const float4*)p;
      a[4 * h] = x.x, a[4 * h + 1] = x.y, a[4 * h + 2] = x.z, a[4 * h + 3] = x.w;
    } else {
      float2 x = *(const float2*)p;
      a[0] = x.x, a[1] = x.y;
    }
  }
#pragma unroll
  for (unsigned h = 0; h < 2; h++) {
    float4 x = *(const float4*)(fb + (k * (T::BN + 4) + h * (T::BN / 2)));
    b[4 * h] = x.x, b[4 * h + 1] = x.y, b[4 * h + 2] = x.z, b[4 * h + 3] = x.w;
  }
}

template <class T, class P, class E>
__device__ __forceinline__ void il_gemm_f32(const float* a, const float* b, const E& epi) {
  IL_DYNAMIC_SHARED(unsigned char, il_shared);
  const il_place at = il_locate<T::BM, T::BN, T::BK, P>();
  // A warp is 4 groups of rows by 8 groups of columns where the tile is wide enough.
  constexpr unsigned WIDE = T::BN / 8 < 8 ? T::BN / 8 : 8, WARPS_N = T::BN / 8 / WIDE, HIGH = 32 / WIDE;
  constexpr unsigned EACH = T::TM < 4 ? T::TM : 4;
  const unsigned warp = threadIdx.x >> 5, lane = threadIdx.x & 31;
  const unsigned tn = warp % WARPS_N * WIDE + lane % WIDE, tm = warp / WARPS_N * HIGH + lane / WIDE;
  constexpr bool AM = P::A_M_CONTIGUOUS, BKC = P::B_K_CONTIGUOUS;
  il_stages<float, T, P, il_f32_layout<il_f32_rows<T::BM>, !AM>, il_f32_layout<il_f32_columns<T::BN>, BKC>, AM ? T::BM : 8,
            BKC ? 8 : T::BN, AM ? il_copy_bytes(P::A_ALIGN, P::LDA * 4) : 4, BKC ? 4 : il_copy_bytes(P::B_ALIGN, P::LDB * 4)>
      stages(a, b, at);
  float sum[T::TM][8];
#pragma unroll
  for (unsigned i = 0; i < T::TM; i++)
#pragma unroll
    for (unsigned j = 0; j < 8; j++) sum[i][j] = 0.0f;
  il_pipeline<T>(il_shared, stages, il_ceil_div(at.k1 - at.k0, T::BK), [&](const unsigned char* stage) {
    const float* pa = (const float*)stage + tm * EACH;
    const float* pb = (const float*)(stage + T::A_BYTES) + tn * 4;
    float fa[2][T::TM], fb[2][8];
    il_f32_fragments<T>(fa[0], fb[0], pa, pb, 0);
#pragma unroll
    for (unsigned k = 0; k < T::BK; k++) {
      if (k + 1 < T::BK) il_f32_fragments<T>(fa[k + 1 & 1], fb[k + 1 & 1], pa, pb, k + 1);
#pragma unroll
      for (unsigned i = 0; i < T::TM; i++)
#pragma unroll
        for (unsigned j = 0; j < 8; j++) sum[i][j] = fmaf(fa[k & 1][i], fb[k & 1][j], sum[i][j]);
    }
  });
#pragma unroll
  for (unsigned i = 0; i < T::TM; i++)
    il_emit<P>(epi, at.batch, at.m0 + i / EACH * (T::BM / 2) + tm * EACH + i % EACH, at.n0 + tn * 8, sum[i]);
}
