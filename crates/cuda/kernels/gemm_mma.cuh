// What the tensor-core kernels share: swizzled tiles in shared memory, ldmatrix, and the way out of the accumulators.

// A tile of ROWS rows of COLS elements of SIZE bytes in shared memory, unpadded. The 16-byte chunks of a row are permuted
// so that 8 rows at the same chunk fall into different banks, as ldmatrix reads them.
template <unsigned ROWS, unsigned COLS, unsigned SIZE>
struct il_swizzled {
  static constexpr unsigned ROW_BYTES = COLS * SIZE, BYTES = ROWS * ROW_BYTES;
  static_assert(ROW_BYTES == 64 || ROW_BYTES % 128 == 0, "rows of 64 bytes or of whole 128-byte lines");
  static __device__ __forceinline__ unsigned chunk(unsigned row, unsigned chunk) {
    return row * ROW_BYTES + (chunk ^ (ROW_BYTES == 64 ? row >> 1 & 3 : row & 7)) * 16;
  }
  static __device__ __forceinline__ unsigned at(unsigned row, unsigned col) {
    return chunk(row, col * SIZE / 16) + col * SIZE % 16;
  }
};

__device__ __forceinline__ void il_ldmatrix(unsigned (&r)[4], const void* row) {
#ifdef IL_SIM
  il_sim::ldmatrix_x4(r, row);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"((unsigned)__cvta_generic_to_shared(row))
               : "memory");
#endif
}
__device__ __forceinline__ void il_ldmatrix_trans(unsigned (&r)[4], const void* row) {
#ifdef IL_SIM
  il_sim::ldmatrix_x4_trans(r, row);
#else
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"((unsigned)__cvta_generic_to_shared(row))
               : "memory");
#endif
}

// From the accumulators of mma.m16n8 to the epilogue. A warp owns WM x WN of the result; strips of 16 rows go through its
// own piece of shared memory, so that a thread gets 8 consecutive columns.
template <unsigned WM, unsigned WN>
struct il_accumulators {
  float d[WM / 16][WN / 8][4];
  static constexpr unsigned STRIDE = WN + 8, BYTES = 16 * STRIDE * 4;

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (unsigned i = 0; i < WM / 16; i++)
#pragma unroll
      for (unsigned j = 0; j < WN / 8; j++)
#pragma unroll
        for (unsigned e = 0; e < 4; e++) d[i][j][e] = 0.0f;
  }

  // Pieces of 8 columns of a strip, and those that a thread has.
  static constexpr unsigned PER_ROW = WN / 8, COUNT = 16 * PER_ROW / 32;

  // What the epilogue reads for some pieces of a thread at once: so many that the reads are worth their wait, so few that
  // there are registers for them.
  template <class E>
  struct Pieces {
    static constexpr unsigned FEW = 64 / sizeof(typename E::Loaded) > 1 ? 64 / sizeof(typename E::Loaded) : 1;
    static constexpr unsigned EACH = FEW < COUNT ? FEW : COUNT;
    typename E::Loaded in[EACH];
    // Those from `first` on, of the strip whose first row is m.
    template <class P>
    __device__ __forceinline__ void fetch(const E& epi, unsigned first, unsigned long long batch, unsigned m, unsigned n0) {
#pragma unroll
      for (unsigned s = 0; s < EACH; s++) {
        unsigned index = (threadIdx.x & 31) + (first + s) * 32;
        il_fetch<P>(epi, batch, m + index / PER_ROW, n0 + index % PER_ROW * 8, in[s]);
      }
    }
  };
  // A strip of 16 rows, whose first pieces were fetched; `strip` is this warp's own BYTES, and m its first row.
  template <class P, class E>
  __device__ __forceinline__ void emit(const E& epi, unsigned i, float* strip, unsigned long long batch, unsigned m, unsigned n0,
                                       Pieces<E>& pieces, il_sums<E>& sums) const {
    const unsigned lane = threadIdx.x & 31, g = lane >> 2, q = lane & 3;
    constexpr unsigned EACH = Pieces<E>::EACH;
#pragma unroll
    for (unsigned j = 0; j < WN / 8; j++) {
      *(float2*)&strip[g * STRIDE + j * 8 + q * 2] = make_float2(d[i][j][0], d[i][j][1]);
      *(float2*)&strip[(g + 8) * STRIDE + j * 8 + q * 2] = make_float2(d[i][j][2], d[i][j][3]);
    }
    __syncwarp();
#pragma unroll
    for (unsigned first = 0; first < COUNT; first += EACH) {
      Pieces<E> next;
      if (first + EACH < COUNT) next.template fetch<P>(epi, first + EACH, batch, m, n0);
#pragma unroll
      for (unsigned s = 0; s < EACH; s++) {
        unsigned index = lane + (first + s) * 32, r = index / PER_ROW, c = index % PER_ROW * 8;
        // Half of the lanes read their second half first: no two of 8 lanes meet in a bank.
        bool swap = index >> 2 & 1;
        float4 x = *(const float4*)&strip[r * STRIDE + c + (swap ? 4 : 0)];
        float4 y = *(const float4*)&strip[r * STRIDE + c + (swap ? 0 : 4)];
        float v[8] = {swap ? y.x : x.x, swap ? y.y : x.y, swap ? y.z : x.z, swap ? y.w : x.w,
                      swap ? x.x : y.x, swap ? x.y : y.y, swap ? x.z : y.z, swap ? x.w : y.w};
        il_emit<P>(epi, batch, m + r, n0 + c, v, pieces.in[s], sums);
      }
      pieces = next;
    }
    __syncwarp();
  }
  // All strips of a warp, whose first row and column are m0 and n0.
  template <class P, class E>
  __device__ __forceinline__ void emit(const E& epi, float* strip, unsigned long long batch, unsigned m0, unsigned n0) const {
    static_assert(E::SUMS == 0 || WM == IL_SUM_ROWS, "a warp has all rows of a sum");
    il_sums<E> sums;
    sums.clear();
#pragma unroll
    for (unsigned i = 0; i < WM / 16; i++) {
      Pieces<E> pieces;
      pieces.template fetch<P>(epi, 0, batch, m0 + i * 16, n0);
      emit<P>(epi, i, strip, batch, m0 + i * 16, n0, pieces, sums);
    }
    if constexpr (E::SUMS > 0) {
      join<P>(sums);
      const unsigned lane = threadIdx.x & 31, col = n0 + lane * 8;
      if (lane < PER_ROW && m0 < P::M && col < P::N) {
#pragma unroll
        for (unsigned s = 0; s < E::SUMS; s++)
#pragma unroll
          for (unsigned j = 0; j < 8; j++) *epi.sum(s, m0 / IL_SUM_ROWS, col + j) = sums.of[s][j];
      }
    }
  }
  // Adds up what the threads have that share columns: the first PER_ROW of a warp then have all of 8 columns each.
  template <class P, class E>
  static __device__ __forceinline__ void join(il_sums<E>& sums) {
#pragma unroll
    for (unsigned step = PER_ROW; step < 32; step *= 2)
#pragma unroll
      for (unsigned s = 0; s < E::SUMS; s++)
#pragma unroll
        for (unsigned j = 0; j < 8; j++) sums.of[s][j] += __shfl_xor_sync(~0u, sums.of[s][j], step);
  }
};
