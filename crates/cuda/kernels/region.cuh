// Products of a block of rows that stays on the chip: emit(row, column, elements of A·B). Needs prelude.cuh, gemm_tf32.cuh
// and gemm_bf16.cuh; the block has IL_REGION_THREADS threads, which all come here.
//
// A problem is a struct P of compile-time constants:
//   unsigned M, N, K        A·B is [M, N], the sum runs over K
//   unsigned ROWS           rows of a block, a multiple of 16; the first is row0
//   unsigned A_STRIDE       A[m,k] is at (m - row0) * A_STRIDE + k: the first row is that of the block
//   bool A_ON_CHIP
//   bool B_K_CONTIGUOUS     B[k,n] is at k + n*LDB (true) or at k*LDB + n (false)
//   unsigned long long LDB
//   unsigned A_ALIGN, B_ALIGN    bytes that divide the address of every row
//   unsigned LANES          neighbours that emit takes: 4, where they divide N, or 1
// Products of f32 are as exact as its arithmetic, by three of tf32 (il_gemm_f32x3, where an infinite operand gives NaN),
// whatever may be rounded elsewhere: there is little to gain.
constexpr unsigned IL_REGION_THREADS = 256, IL_REGION_WARPS = IL_REGION_THREADS / 32;

template <class T>
static IL_DEVICE T il_region_read(const T* p) {
#ifdef IL_SIM
  return *p;
#else
  return __ldg(p);
#endif
}
static IL_DEVICE unsigned il_region_bits(float x) { return __float_as_uint(x); }
static IL_DEVICE unsigned il_region_bits(il_bf16 x) { return x.bits; }

// What a lane gives an instruction of one row of A, or column of B: 8 bytes, of the 32 that four lanes have. Which place
// along K a number has in the instruction does not matter, as long as it is the same for A and B: so they are neighbours.
// get(k) is the k-th number of the row, as bits.
template <class T, class Get>
static IL_DEVICE void il_region_pick(unsigned (&to)[2], unsigned k, Get get) {
  const unsigned q = threadIdx.x & 3;
  if constexpr (sizeof(T) == 4) {
    to[0] = get(k + 2 * q), to[1] = get(k + 2 * q + 1);
  } else {
    k += 4 * q;
    to[0] = get(k) | get(k + 1) << 16, to[1] = get(k + 2) | get(k + 3) << 16;
  }
}

// Operands of one step of K for 16 columns, which are two instructions: one of the even columns, one of the odd, so that a
// lane reads two neighbours, and has four of the result.
template <class T, class P>
struct il_region_columns {
  static constexpr unsigned DEPTH = 32 / sizeof(T);
  static constexpr bool WHOLE = P::K % DEPTH == 0 && P::N % 16 == 0 && P::B_ALIGN % 8 == 0;
  unsigned of[2][2];

  __device__ __forceinline__ void load(const T* b, unsigned n0, unsigned k) {
    const unsigned g = threadIdx.x >> 2 & 7, q = threadIdx.x & 3, n = n0 + 2 * g;
    if constexpr (WHOLE && P::B_K_CONTIGUOUS) {
#pragma unroll
      for (unsigned odd = 0; odd < 2; odd++) {
        const uint2 x = il_region_read((const uint2*)(b + (n + odd) * P::LDB + k) + q);
        of[odd][0] = x.x, of[odd][1] = x.y;
      }
    } else if constexpr (WHOLE && sizeof(T) == 4) {
#pragma unroll
      for (unsigned i = 0; i < 2; i++) {
        const uint2 x = il_region_read((const uint2*)(b + (k + 2 * q + i) * P::LDB + n));
        of[0][i] = x.x, of[1][i] = x.y;
      }
    } else if constexpr (WHOLE) {
#pragma unroll
      for (unsigned i = 0; i < 2; i++) {
        const unsigned* first = (const unsigned*)(b + (k + 4 * q + 2 * i) * P::LDB + n);
        const unsigned x = il_region_read(first), y = il_region_read((const unsigned*)((const T*)first + P::LDB));
        of[0][i] = (x & 0xffffu) | y << 16, of[1][i] = x >> 16 | (y & 0xffff0000u);
      }
    } else {
#pragma unroll
      for (unsigned odd = 0; odd < 2; odd++)
        il_region_pick<T>(of[odd], k, [&](unsigned at) {
          const bool is_within = at < P::K && n + odd < P::N;
          return is_within ? il_region_bits(b[P::B_K_CONTIGUOUS ? at + (n + odd) * P::LDB : at * P::LDB + n + odd]) : 0u;
        });
    }
  }
};

// 16 rows of A, of one step of K.
template <class T, class P>
struct il_region_rows {
  static constexpr bool WHOLE = P::K % il_region_columns<T, P>::DEPTH == 0 && P::A_ALIGN % 8 == 0;
  unsigned of[4];

  // Rows from m of the block on, of which `left` are there where A is elsewhere.
  __device__ __forceinline__ void load(const T* a, unsigned m, unsigned k, unsigned left) {
#pragma unroll
    for (unsigned half = 0; half < 2; half++) {
      unsigned row = m + half * 8 + (threadIdx.x >> 2 & 7);
      // Rows that are not there have results that nobody wants.
      if (!P::A_ON_CHIP && row >= left) row = left - 1;
      const T* from = a + (unsigned long long)row * P::A_STRIDE;
      unsigned x[2];
      if constexpr (WHOLE) {
        const uint2 both = ((const uint2*)(from + k))[threadIdx.x & 3];
        x[0] = both.x, x[1] = both.y;
      } else {
        il_region_pick<T>(x, k, [&](unsigned at) { return at < P::K ? il_region_bits(from[at]) : 0u; });
      }
      of[half] = x[0], of[half + 2] = x[1];
    }
  }
};

// Adds a step of K to sums; `rest` are those of small terms.
template <class T>
static IL_DEVICE void il_region_step(float (&sum)[4], float (&rest)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  if constexpr (sizeof(T) == 2) {
    il_mma_bf16(sum, a, b);
  } else {
    unsigned high_a[4], low_a[4], high_b[2], low_b[2];
#pragma unroll
    for (unsigned e = 0; e < 4; e++) il_split_tf32(high_a[e] = a[e], low_a[e]);
#pragma unroll
    for (unsigned e = 0; e < 2; e++) il_split_tf32(high_b[e] = b[e], low_b[e]);
    il_mma_tf32(rest, low_a, high_b);
    il_mma_tf32(rest, high_a, low_b);
    il_mma_tf32(sum, high_a, high_b);
  }
}

// By the tensor cores: a warp has 16 columns, and 16 rows or all of the block. a is the first row of the block.
template <class P, class T, class Emit>
static IL_DEVICE void il_region_product(const T* a, const T* b, unsigned row0, Emit emit) {
  using B = il_region_columns<T, P>;
  constexpr unsigned TILES = P::ROWS / 16, GROUPS = il_ceil_div(P::N, 16), STEPS = il_ceil_div(P::K, B::DEPTH);
  constexpr unsigned EACH = TILES * GROUPS <= IL_REGION_WARPS ? 1 : TILES;
  // Steps of K whose columns are read at once.
  constexpr unsigned AHEAD = STEPS < 4 ? STEPS : 4;
  const unsigned lane = threadIdx.x & 31, left = P::M - row0;
  for (unsigned unit = threadIdx.x / 32; unit < GROUPS * (TILES / EACH); unit += IL_REGION_WARPS) {
    const unsigned n0 = unit % GROUPS * 16, m0 = unit / GROUPS * EACH * 16;
    float sum[EACH][2][4], rest[EACH][2][4];
#pragma unroll
    for (unsigned t = 0; t < EACH; t++)
#pragma unroll
      for (unsigned e = 0; e < 8; e++) sum[t][e / 4][e % 4] = rest[t][e / 4][e % 4] = 0.0f;
    B now[AHEAD], next[AHEAD];
#pragma unroll
    for (unsigned s = 0; s < AHEAD; s++) now[s].load(b, n0, s * B::DEPTH);
    for (unsigned first = 0; first < STEPS; first += AHEAD) {
#pragma unroll
      for (unsigned s = 0; s < AHEAD; s++)
        if (first + AHEAD + s < STEPS) next[s].load(b, n0, (first + AHEAD + s) * B::DEPTH);
#pragma unroll
      for (unsigned s = 0; s < AHEAD; s++) {
        if (first + s >= STEPS) break;
#pragma unroll
        for (unsigned t = 0; t < EACH; t++) {
          il_region_rows<T, P> rows;
          rows.load(a, m0 + t * 16, (first + s) * B::DEPTH, left);
#pragma unroll
          for (unsigned odd = 0; odd < 2; odd++) il_region_step<T>(sum[t][odd], rest[t][odd], rows.of, now[s].of[odd]);
        }
      }
#pragma unroll
      for (unsigned s = 0; s < AHEAD; s++) now[s] = next[s];
    }
#pragma unroll
    for (unsigned t = 0; t < EACH; t++)
#pragma unroll
      for (unsigned half = 0; half < 2; half++) {
        const unsigned row = row0 + m0 + t * 16 + half * 8 + lane / 4, col = n0 + lane % 4 * 4;
        float p[4];
#pragma unroll
        for (unsigned e = 0; e < 4; e++) p[e] = sum[t][e % 2][2 * half + e / 2] + rest[t][e % 2][2 * half + e / 2];
        if (row >= P::M) continue;
        if constexpr (P::LANES == 4) {
          if (col < P::N) emit(row, col, p);
        } else {
#pragma unroll
          for (unsigned e = 0; e < 4; e++) {
            float one[1] = {p[e]};
            if (col + e < P::N) emit(row, col + e, one);
          }
        }
      }
  }
}

// Of few columns: a warp has a row, and its lanes divide K. LANES is 1.
template <class P, class T, class Emit>
static IL_DEVICE void il_region_narrow(const T* a, const T* b, unsigned row0, Emit emit) {
  static_assert(P::N <= 32 && P::LANES == 1, "a lane for each column");
  const unsigned lane = threadIdx.x & 31;
  for (unsigned m = threadIdx.x / 32; m < P::ROWS && row0 + m < P::M; m += IL_REGION_WARPS) {
    float sum[P::N];
#pragma unroll
    for (unsigned n = 0; n < P::N; n++) sum[n] = 0.0f;
    for (unsigned k = lane; k < P::K; k += 32) {
      const float x = il_load(a[(unsigned long long)m * P::A_STRIDE + k]);
#pragma unroll
      for (unsigned n = 0; n < P::N; n++)
        sum[n] += x * il_load(b[P::B_K_CONTIGUOUS ? k + n * P::LDB : k * P::LDB + n]);
    }
    float one[1] = {0.0f};
#pragma unroll
    for (unsigned n = 0; n < P::N; n++) {
#pragma unroll
      for (unsigned half = 16; half > 0; half >>= 1) sum[n] += __shfl_xor_sync(~0u, sum[n], half);
      if (lane == n) one[0] = sum[n];
    }
    if (lane < P::N) emit(row0 + m, lane, one);
  }
}
