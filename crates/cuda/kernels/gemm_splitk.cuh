// Long sums into small results (weight gradients): K is cut into P::SPLITS parts, each an own block's; their f32 results
// go to scratch [batch][part][M][N], and a second kernel adds the parts in ascending order. No atomics: the same bits
// from run to run. Needs gemm_common.cuh.

// The epilogue of the first kernel.
template <class P>
struct il_partial {
  static constexpr unsigned SUMS = 0;
  float* scratch;
  struct Loaded {};
  __device__ __forceinline__ void load(unsigned long long, unsigned, unsigned, Loaded&) const {}
  __device__ __forceinline__ float* at(unsigned long long batch, unsigned row, unsigned col) const {
    return scratch + ((batch * P::SPLITS + blockIdx.z) * P::M + row) * P::N + col;
  }
  template <class S>
  __device__ __forceinline__ void operator()(unsigned long long batch, unsigned row, unsigned col, float (&v)[8], const Loaded&, S&) const {
    float* to = at(batch, row, col);
    *(float4*)to = make_float4(v[0], v[1], v[2], v[3]);
    *(float4*)(to + 4) = make_float4(v[4], v[5], v[6], v[7]);
  }
  __device__ __forceinline__ void one(unsigned long long batch, unsigned row, unsigned col, float v) const {
    *at(batch, row, col) = v;
  }
};

// Groups of threads that share the parts of a sum among them, and how many blocks of 128 threads give each thread one piece
// of 8 columns (fewer do more pieces in turn).
constexpr unsigned il_splitk_groups(unsigned splits) { return splits >= 32 ? 8 : splits >= 8 ? 4 : 1; }
constexpr unsigned il_splitk_blocks(unsigned m, unsigned n, unsigned splits) {
  return il_ceil_div(m * il_ceil_div(n, 8), 128 / il_splitk_groups(splits));
}

// Blocks of 128 threads, grid x = il_splitk_blocks or fewer, y = batches (at most 65,535). Each group adds neighbouring
// parts in ascending order, then the first adds what the groups have, in ascending order.
template <class P, class E>
__device__ __forceinline__ void il_splitk_reduce(const float* scratch, const E& epi) {
  constexpr unsigned GROUPS = il_splitk_groups(P::SPLITS), WIDTH = 128 / GROUPS, EACH = il_ceil_div(P::SPLITS, GROUPS);
  constexpr unsigned PER_ROW = il_ceil_div(P::N, 8), PIECES = P::M * PER_ROW;
  constexpr unsigned long long PART = (unsigned long long)P::M * P::N;
  __shared__ float sums[GROUPS][8][WIDTH];
  const unsigned group = threadIdx.x / WIDTH, lane = threadIdx.x % WIDTH;
  const unsigned s0 = group * EACH, s1 = s0 + EACH < P::SPLITS ? s0 + EACH : P::SPLITS;
  for (unsigned first = blockIdx.x * WIDTH; first < PIECES; first += gridDim.x * WIDTH) {
    const unsigned piece = first + lane, row = piece / PER_ROW, col = piece % PER_ROW * 8;
    float v[8];
#pragma unroll
    for (unsigned j = 0; j < 8; j++) v[j] = 0.0f;
    if (piece < PIECES) {
      const float* from = scratch + (blockIdx.y * P::SPLITS + s0) * PART + (unsigned long long)row * P::N + col;
#pragma unroll 8
      for (unsigned s = s0; s < s1; s++, from += PART) {
        if constexpr (P::N % 8 == 0) {
          float4 x = *(const float4*)from, y = *(const float4*)(from + 4);
          v[0] += x.x, v[1] += x.y, v[2] += x.z, v[3] += x.w, v[4] += y.x, v[5] += y.y, v[6] += y.z, v[7] += y.w;
        } else {
#pragma unroll
          for (unsigned j = 0; j < 8; j++)
            if (col + j < P::N) v[j] += from[j];
        }
      }
    }
    if constexpr (GROUPS > 1) {
#pragma unroll
      for (unsigned j = 0; j < 8; j++) sums[group][j][lane] = v[j];
      __syncthreads();
      if (group == 0) {
#pragma unroll
        for (unsigned g = 1; g < GROUPS; g++)
#pragma unroll
          for (unsigned j = 0; j < 8; j++) v[j] += sums[g][j][lane];
      }
      __syncthreads();
    }
    if (group == 0 && piece < PIECES) il_emit<P>(epi, blockIdx.y, row, col, v);
  }
}
