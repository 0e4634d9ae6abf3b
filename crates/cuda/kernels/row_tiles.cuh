// An epilogue without a product before it: elements of a matrix are computed from what the epilogue reads, 64 rows by a
// block, and added up along the columns. Needs gemm_common.cuh. P has M and N, which is divisible by 8.

// Threads side by side, each with 8 columns; rows at once, and turns of a block of THREADS.
template <unsigned N>
struct il_row_tile {
  static constexpr unsigned THREADS = 256, WARPS = THREADS / 32;
  static constexpr unsigned across(unsigned pieces) { return pieces >= 32 ? 32 : pieces >= 16 ? 16 : pieces >= 8 ? 8 : 4; }
  static constexpr unsigned ACROSS = across(N / 8), COLS = ACROSS * 8, ROWS = THREADS / ACROSS, TURNS = IL_SUM_ROWS / ROWS;
};

template <class P, class E>
__device__ __forceinline__ void il_row_tiles(const E& epi) {
  using T = il_row_tile<P::N>;
  constexpr unsigned TN = il_ceil_div(P::N, T::COLS);
  const unsigned across = threadIdx.x % T::ACROSS, n0 = blockIdx.x % TN * T::COLS, col = n0 + across * 8;
  const unsigned m0 = blockIdx.x / TN * IL_SUM_ROWS, row = m0 + threadIdx.x / T::ACROSS;
  il_sums<E> sums;
  sums.clear();
  typename E::Loaded in[T::TURNS];
#pragma unroll
  for (unsigned t = 0; t < T::TURNS; t++) il_fetch<P>(epi, 0, row + t * T::ROWS, col, in[t]);
#pragma unroll
  for (unsigned t = 0; t < T::TURNS; t++) {
    float none[8] = {};
    il_emit<P>(epi, 0, row + t * T::ROWS, col, none, in[t], sums);
  }
  // The threads of a warp that share columns, then the warps, one after the other.
  __shared__ float shared[T::WARPS][E::SUMS][T::COLS];
#pragma unroll
  for (unsigned step = T::ACROSS; step < 32; step *= 2)
#pragma unroll
    for (unsigned s = 0; s < E::SUMS; s++)
#pragma unroll
      for (unsigned j = 0; j < 8; j++) sums.of[s][j] += __shfl_xor_sync(~0u, sums.of[s][j], step);
  if (threadIdx.x % 32 < T::ACROSS)
#pragma unroll
    for (unsigned s = 0; s < E::SUMS; s++)
#pragma unroll
      for (unsigned j = 0; j < 8; j++) shared[threadIdx.x / 32][s][across * 8 + j] = sums.of[s][j];
  __syncthreads();
  for (unsigned i = threadIdx.x; i < E::SUMS * T::COLS; i += T::THREADS) {
    const unsigned s = i / T::COLS, c = i % T::COLS;
    float all = shared[0][s][c];
#pragma unroll
    for (unsigned w = 1; w < T::WARPS; w++) all += shared[w][s][c];
    if (n0 + c < P::N) *epi.sum(s, m0 / IL_SUM_ROWS, n0 + c) = all;
  }
}
