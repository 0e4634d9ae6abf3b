// Long sums into small results (weight gradients): K is cut into P::SPLITS parts, each an own block's; their f32 results
// go to scratch [batch][part][M][N], and a second kernel adds the parts in ascending order. No atomics: the same bits
// from run to run. Needs gemm_common.cuh.

// The epilogue of the first kernel.
template <class P>
struct il_partial {
  float* scratch;
  __device__ __forceinline__ float* at(unsigned long long batch, unsigned row, unsigned col) const {
    return scratch + ((batch * P::SPLITS + blockIdx.z) * P::M + row) * P::N + col;
  }
  __device__ __forceinline__ void operator()(unsigned long long batch, unsigned row, unsigned col, float (&v)[8]) const {
    float* to = at(batch, row, col);
    if constexpr (P::N % 4 == 0) {
      *(float4*)to = make_float4(v[0], v[1], v[2], v[3]);
      *(float4*)(to + 4) = make_float4(v[4], v[5], v[6], v[7]);
    } else {
#pragma unroll
      for (unsigned j = 0; j < 8; j++) to[j] = v[j];
    }
  }
  __device__ __forceinline__ void one(unsigned long long batch, unsigned row, unsigned col, float v) const {
    *at(batch, row, col) = v;
  }
};

// Blocks of 128 threads, each thread 8 columns of a row: grid x = il_ceil_div(M * il_ceil_div(N, 8), 128), y = batches.
// SPLITS and the size of the result come from P; the batch must be below 65,536.
template <class P, class E>
__device__ __forceinline__ void il_splitk_reduce(const float* scratch, const E& epi) {
  constexpr unsigned PER_ROW = il_ceil_div(P::N, 8);
  unsigned index = blockIdx.x * 128 + threadIdx.x, row = index / PER_ROW, col = index % PER_ROW * 8;
  if (row >= P::M) return;
  constexpr unsigned long long PART = (unsigned long long)P::M * P::N;
  const float* from = scratch + blockIdx.y * P::SPLITS * PART + (unsigned long long)row * P::N + col;
  float v[8];
#pragma unroll
  for (unsigned j = 0; j < 8; j++) v[j] = 0.0f;
#pragma unroll 8
  for (unsigned s = 0; s < P::SPLITS; s++) {
    if constexpr (P::N % 8 == 0) {
      float4 x = *(const float4*)(from + s * PART), y = *(const float4*)(from + s * PART + 4);
      v[0] += x.x, v[1] += x.y, v[2] += x.z, v[3] += x.w, v[4] += y.x, v[5] += y.y, v[6] += y.z, v[7] += y.w;
    } else {
#pragma unroll
      for (unsigned j = 0; j < 8; j++)
        if (col + j < P::N) v[j] += from[s * PART + j];
    }
  }
  il_emit<P>(epi, blockIdx.y, row, col, v);
}
