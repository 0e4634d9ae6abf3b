// out = epilogue(A·B) for signed bytes in memory and exact sums in 32 bits (wrapping), four products at a time. The
// epilogue takes single sums: one(batch, row, col, int). Needs gemm_common.cuh.

// 64 x 64 of the result by a block, in steps of 64; each of 256 threads owns 4 x 4.
struct il_i8_64x64 {
  static constexpr unsigned BM = 64, BN = 64, BK = 64, STAGES = 3, BLOCKS = 3, THREADS = 256;
  // Rows of k, padded by a word: 16 rows at the same k fall into different banks.
  static constexpr unsigned ROW = BK + 4, A_BYTES = BM * ROW, STAGE_BYTES = A_BYTES + BN * ROW, SHARED = STAGES * STAGE_BYTES;
};
template <bool K_CONTIGUOUS>
struct il_i8_layout {
  static __device__ __forceinline__ unsigned at(unsigned row, unsigned col) {
    return K_CONTIGUOUS ? row * il_i8_64x64::ROW + col : col * il_i8_64x64::ROW + row;
  }
};

// sum + the products of four signed bytes
__device__ __forceinline__ int il_dot4(int a, int b, int sum) {
#if !defined(IL_SIM) && __CUDA_ARCH__ >= 610
  return __dp4a(a, b, sum);
#else
  for (int i = 0; i < 32; i += 8) sum += (signed char)(a >> i) * (signed char)(b >> i);
  return sum;
#endif
}

template <class P, class E>
__device__ __forceinline__ void il_gemm_i8(const signed char* a, const signed char* b, const E& epi) {
  using T = il_i8_64x64;
  IL_DYNAMIC_SHARED(unsigned char, il_shared);
  const il_place at = il_locate<T::BM, T::BN, T::BK, P>();
  const unsigned tm = threadIdx.x / 16, tn = threadIdx.x % 16;
  constexpr bool AM = P::A_M_CONTIGUOUS, BKC = P::B_K_CONTIGUOUS;
  // Words where memory and shared memory both run along k, else bytes.
  constexpr unsigned A_WIDTH = !AM && il_copy_bytes(P::A_ALIGN, P::LDA) >= 4 ? 4 : 1;
  constexpr unsigned B_WIDTH = BKC && il_copy_bytes(P::B_ALIGN, P::LDB) >= 4 ? 4 : 1;
  il_stages<signed char, T, P, il_i8_layout<!AM>, il_i8_layout<BKC>, ~0u, ~0u, A_WIDTH, B_WIDTH> stages(a, b, at);
  int sum[4][4] = {};
  il_pipeline<T>(il_shared, stages, il_ceil_div(at.k1 - at.k0, T::BK), [&](const unsigned char* stage) {
    const int* pa = (const int*)stage + tm * (T::ROW / 4);
    const int* pb = (const int*)(stage + T::A_BYTES) + tn * (T::ROW / 4);
#pragma unroll
    for (unsigned k = 0; k < T::BK / 4; k++) {
      int x[4], y[4];
#pragma unroll
      for (unsigned i = 0; i < 4; i++) x[i] = pa[i * 4 * T::ROW + k], y[i] = pb[i * 4 * T::ROW + k];
#pragma unroll
      for (unsigned i = 0; i < 4; i++)
#pragma unroll
        for (unsigned j = 0; j < 4; j++) sum[i][j] = il_dot4(x[i], y[j], sum[i][j]);
    }
  });
#pragma unroll
  for (unsigned i = 0; i < 4; i++)
#pragma unroll
    for (unsigned j = 0; j < 4; j++) {
      unsigned row = at.m0 + tm + i * 16, col = at.n0 + tn + j * 16;
      if (row < P::M && col < P::N) epi.one(at.batch, row, col, sum[i][j]);
    }
}
