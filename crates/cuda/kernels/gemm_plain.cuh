// out = epilogue(A·B) for every other type, with any strides: sums of type C, single results to one(batch, row, col, C).
// P has M, N, K, a_base and b_base as in gemm_common.cuh, and long long A_M, A_K, B_K, B_N: the steps in elements from
// row to row and along k of A, along k and from column to column of B. Needs gemm_common.cuh, and il_load, il_add and
// il_mul of the prelude, so that integers wrap and narrow floats are widened.

// 32 x 32 of the result by a block of 256 threads, in steps of 32; static shared memory.
struct il_plain_32x32 {
  static constexpr unsigned BM = 32, BN = 32, BK = 32, BLOCKS = 4, THREADS = 256, SHARED = 0;
};

template <class C, class A, class B, class P, class E>
__device__ __forceinline__ void il_gemm_plain(const A* a, const B* b, const E& epi) {
  __shared__ C left[32][33], right[32][33];
  constexpr unsigned TN = il_ceil_div(P::N, 32), TILES = il_tiles(P::M, P::N, 32, 32);
  const unsigned tx = threadIdx.x & 31, ty = threadIdx.x >> 5, tile = blockIdx.x % TILES;
  const unsigned long long batch = blockIdx.x / TILES;
  const unsigned m0 = tile / TN * 32, n0 = tile % TN * 32;
  a += P::a_base(batch);
  b += P::b_base(batch);
  C sum[4] = {};
  for (unsigned k0 = 0; k0 < P::K; k0 += 32) {
#pragma unroll
    for (unsigned i = 0; i < 32; i += 8) {
      // The lanes of a warp run along the smaller step.
      constexpr bool AT = (P::A_M < 0 ? -P::A_M : P::A_M) < (P::A_K < 0 ? -P::A_K : P::A_K);
      constexpr bool BT = (P::B_K < 0 ? -P::B_K : P::B_K) < (P::B_N < 0 ? -P::B_N : P::B_N);
      unsigned ar = AT ? tx : ty + i, ac = AT ? ty + i : tx, br = BT ? tx : ty + i, bc = BT ? ty + i : tx;
      left[ar][ac] = m0 + ar < P::M && k0 + ac < P::K ? (C)il_load(IL_AT(a, (m0 + ar) * P::A_M + (k0 + ac) * P::A_K)) : C(0);
      right[br][bc] = k0 + br < P::K && n0 + bc < P::N ? (C)il_load(IL_AT(b, (k0 + br) * P::B_K + (n0 + bc) * P::B_N)) : C(0);
    }
    __syncthreads();
#pragma unroll
    for (unsigned k = 0; k < 32; k++)
#pragma unroll
      for (unsigned i = 0; i < 4; i++) sum[i] = il_add(sum[i], il_mul(left[ty + i * 8][k], right[k][tx]));
    __syncthreads();
  }
#pragma unroll
  for (unsigned i = 0; i < 4; i++)
    if (m0 + ty + i * 8 < P::M && n0 + tx < P::N) epi.one(batch, m0 + ty + i * 8, n0 + tx, sum[i]);
}
