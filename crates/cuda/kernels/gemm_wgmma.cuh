// out = epilogue(A·B) for bf16 in memory by whole groups of 128 threads: wgmma m64n128k16, operands in shared memory, sums in
// f32. Needs gemm_common.cuh and gemm_mma.cuh; sm_90a only.

// BM x BN of the result by a block, in steps of 64; each group of 128 threads owns 64 rows. STAGES tiles; products of OPEN
// steps (0 or 1) are still under way when the next step begins, so that copies run STAGES - 1 - OPEN steps ahead. BLOCKS
// blocks on a multiprocessor (for __launch_bounds__).
template <unsigned BM_, unsigned BN_, unsigned STAGES_, unsigned OPEN_, unsigned BLOCKS_>
struct il_wgmma_tile {
  static constexpr unsigned BM = BM_, BN = BN_, BK = 64, STAGES = STAGES_, OPEN = OPEN_, BLOCKS = BLOCKS_;
  static constexpr unsigned THREADS = BM * 2, AHEAD = STAGES - 1 - OPEN;
  static constexpr unsigned A_BYTES = BM * BK * 2, STAGE_BYTES = A_BYTES + BN * BK * 2;
  // The stages begin at a multiple of 1024; the way out takes a strip for each warp.
  static constexpr unsigned OUT_BYTES = THREADS / 32 * il_accumulators<16, BN>::BYTES;
  static constexpr unsigned STAGES_BYTES = STAGES * STAGE_BYTES > OUT_BYTES ? STAGES * STAGE_BYTES : OUT_BYTES;
  static constexpr unsigned SHARED = STAGES_BYTES + 1024;
  static_assert(BM % 64 == 0 && BN % 128 == 0 && STAGES >= OPEN + 2, "whole instructions");
};
using il_wgmma_128x256 = il_wgmma_tile<128, 256, 4, 1, 1>;
using il_wgmma_128x128 = il_wgmma_tile<128, 128, 3, 0, 2>;

// Tiles in shared memory are made of pieces of 8 rows of 128 bytes, whose 16-byte chunks are permuted. Where K is
// contiguous a row is one m or n, and pieces follow each other along m or n; else a row is 64 neighbours at one k, and
// pieces follow each other along k, then panels of 64 neighbours.
template <bool K_CONTIGUOUS>
struct il_wgmma_layout {
  static __device__ __forceinline__ unsigned at(unsigned row, unsigned col) {
    using S = il_swizzled<64, 64, 2>;
    return K_CONTIGUOUS ? S::at(row, col) : col / 64 * S::BYTES + S::at(row, col % 64);
  }
  static constexpr unsigned PANEL = 8192, PIECE = 1024;
  // How far 16 steps of k are from each other.
  static constexpr unsigned STEP = K_CONTIGUOUS ? 32 : 2 * PIECE;
  // How far 64 rows of A or 128 columns of B are.
  static constexpr unsigned ROWS64 = PANEL, ROWS128 = 2 * PANEL;
};

// The place of a tile, as the instruction wants it: address, distance of panels, distance of pieces, 128-byte permutation.
#ifdef IL_SIM
typedef const unsigned char* il_wgmma_place;
__device__ __forceinline__ il_wgmma_place il_wgmma_at(const unsigned char* tile) { return tile; }
// Element (row, k) as the hardware finds it.
template <bool K_CONTIGUOUS>
__device__ __forceinline__ float il_wgmma_element(il_wgmma_place place, unsigned row, unsigned k) {
  unsigned long long to = (unsigned long long)place;
  to += K_CONTIGUOUS ? row / 8 * 1024 + row % 8 * 128 + k * 2 : row / 64 * 8192 + row % 64 * 2 + k / 8 * 1024 + k % 8 * 128;
  to ^= (to >> 7 & 7) << 4;
  return __uint_as_float((unsigned)*(const unsigned short*)to << 16);
}
#else
typedef unsigned long long il_wgmma_place;
__device__ __forceinline__ il_wgmma_place il_wgmma_at(const unsigned char* tile) {
  unsigned long long address = (unsigned)__cvta_generic_to_shared(tile);
  return (address & 0x3ffff) >> 4 | 8192ull / 16 << 16 | 1024ull / 16 << 32 | 1ull << 62;
}
#endif
// The place so many bytes further.
__device__ __forceinline__ il_wgmma_place il_wgmma_plus(il_wgmma_place place, unsigned bytes) {
#ifdef IL_SIM
  return place + bytes;
#else
  return place + bytes / 16;
#endif
}

// d += 64 x 16 of A times 16 x 128 of B; the warps of the group have 16 rows each, laid out as mma.m16n8 has them.
template <bool A_K_CONTIGUOUS, bool B_K_CONTIGUOUS>
__device__ __forceinline__ void il_wgmma(float (*d)[4], il_wgmma_place a, il_wgmma_place b) {
#ifdef IL_SIM
  auto run = [](const il_sim::Later& work) {
    float (*d)[4] = (float (*)[4])work.to;
    il_wgmma_place a = (il_wgmma_place)work.from[0], b = (il_wgmma_place)work.from[1];
    unsigned lane = threadIdx.x & 31, row0 = (threadIdx.x >> 5 & 3) * 16 + (lane >> 2), col0 = (lane & 3) * 2;
    for (unsigned j = 0; j < 16; j++)
      for (unsigned e = 0; e < 4; e++)
        for (unsigned k = 0; k < 16; k++)
          d[j][e] += il_wgmma_element<A_K_CONTIGUOUS>(a, row0 + e / 2 * 8, k) * il_wgmma_element<B_K_CONTIGUOUS>(b, j * 8 + col0 + e % 2, k);
  };
  il_sim::product_async(run, d, a, b);
#else
#define IL_FOUR(x) "+f"((x)[0]), "+f"((x)[1]), "+f"((x)[2]), "+f"((x)[3])
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "%64, %65, 1, 1, 1, %66, %67;"
      : IL_FOUR(d[0]), IL_FOUR(d[1]), IL_FOUR(d[2]), IL_FOUR(d[3]),
        IL_FOUR(d[4]), IL_FOUR(d[5]), IL_FOUR(d[6]), IL_FOUR(d[7]),
        IL_FOUR(d[8]), IL_FOUR(d[9]), IL_FOUR(d[10]), IL_FOUR(d[11]),
        IL_FOUR(d[12]), IL_FOUR(d[13]), IL_FOUR(d[14]), IL_FOUR(d[15])
      : "l"(a), "l"(b), "n"(A_K_CONTIGUOUS ? 0 : 1), "n"(B_K_CONTIGUOUS ? 0 : 1));
#undef IL_FOUR
#endif
}
__device__ __forceinline__ void il_wgmma_begin() {
#ifndef IL_SIM
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
__device__ __forceinline__ void il_wgmma_commit() {
#ifdef IL_SIM
  il_sim::commit(il_sim::Later::Product);
#else
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
// Waits until at most PENDING committed groups are under way.
template <int PENDING>
__device__ __forceinline__ void il_wgmma_wait() {
#ifdef IL_SIM
  il_sim::wait(il_sim::Later::Product, PENDING);
#else
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
#endif
}
// Keeps the compiler from reading sums before they are there.
template <unsigned COUNT>
__device__ __forceinline__ void il_wgmma_hold(float (&d)[COUNT][4]) {
#ifndef IL_SIM
#pragma unroll
  for (unsigned j = 0; j < COUNT; j++) asm volatile("" : "+f"(d[j][0]), "+f"(d[j][1]), "+f"(d[j][2]), "+f"(d[j][3])::"memory");
#endif
}
// What this thread wrote to shared memory, by copies too, is seen by the instructions above.
__device__ __forceinline__ void il_wgmma_publish() {
#ifndef IL_SIM
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

template <class T, class P, class E>
__device__ __forceinline__ void il_gemm_wgmma(const unsigned short* a, const unsigned short* b, const E& epi) {
  IL_DYNAMIC_SHARED(unsigned char, il_shared);
#ifdef IL_SIM
  unsigned char* shared = (unsigned char*)(((unsigned long long)il_shared + 1023) / 1024 * 1024);
#else
  unsigned char* shared = il_shared + (0u - (unsigned)__cvta_generic_to_shared(il_shared)) % 1024;
#endif
  const il_place at = il_locate<T::BM, T::BN, T::BK, P>();
  const unsigned group = threadIdx.x / 128, warp = threadIdx.x / 32;
  constexpr bool AK = !P::A_M_CONTIGUOUS, BK = P::B_K_CONTIGUOUS;
  using A = il_wgmma_layout<AK>;
  using B = il_wgmma_layout<BK>;
  il_stages<unsigned short, T, P, A, B, ~0u, ~0u, il_copy_bytes(P::A_ALIGN, P::LDA * 2), il_copy_bytes(P::B_ALIGN, P::LDB * 2)>
      next(a, b, at);
  il_accumulators<16, T::BN> sum;
  sum.clear();
  const unsigned steps = il_ceil_div(at.k1 - at.k0, T::BK);
#pragma unroll
  for (unsigned s = 0; s < T::AHEAD; s++) next.load(shared + s * T::STAGE_BYTES);
  unsigned reading = 0, writing = T::AHEAD;
  for (unsigned s = 0; s < steps; s++) {
    il_copy_wait<(int)T::AHEAD - 1>();
    il_wgmma_publish();
    // All groups are done with the step 1 + OPEN ago: its stage is free.
    __syncthreads();
    next.load(shared + writing * T::STAGE_BYTES);
    il_wgmma_place pa = il_wgmma_at(shared + reading * T::STAGE_BYTES + group * A::ROWS64);
    il_wgmma_place pb = il_wgmma_at(shared + reading * T::STAGE_BYTES + T::A_BYTES);
    il_wgmma_begin();
#pragma unroll
    for (unsigned k = 0; k < T::BK / 16; k++)
#pragma unroll
      for (unsigned h = 0; h < T::BN / 128; h++)
        il_wgmma<AK, BK>(sum.d[0] + h * 16, il_wgmma_plus(pa, k * A::STEP), il_wgmma_plus(pb, k * B::STEP + h * B::ROWS128));
    il_wgmma_commit();
    il_wgmma_wait<(int)T::OPEN>();
    reading = reading + 1 == T::STAGES ? 0 : reading + 1;
    writing = writing + 1 == T::STAGES ? 0 : writing + 1;
  }
  // What the way out needs comes while the last products are under way.
  using Sum = il_accumulators<16, T::BN>;
  const unsigned m0 = at.m0 + warp * 16;
  typename Sum::template Pieces<E> pieces;
  pieces.template fetch<P>(epi, 0, at.batch, m0, at.n0);
  il_wgmma_wait<0>();
  il_wgmma_hold(sum.d[0]);
  // All groups are done with the stages.
  __syncthreads();
  float* strip = (float*)(shared + warp * Sum::BYTES);
  il_sums<E> sums;
  sums.clear();
  sum.template emit<P>(epi, 0, strip, at.batch, m0, at.n0, pieces, sums);
  if constexpr (E::SUMS > 0) {
    // The warps of a group, one after the other.
    Sum::template join<P>(sums);
    if (threadIdx.x % 32 < Sum::PER_ROW)
#pragma unroll
      for (unsigned s = 0; s < E::SUMS; s++)
#pragma unroll
        for (unsigned j = 0; j < 8; j++) strip[s * T::BN + threadIdx.x % 32 * 8 + j] = sums.of[s][j];
    __syncthreads();
    const unsigned row = at.m0 / IL_SUM_ROWS + group;
    for (unsigned i = threadIdx.x % 128; i < E::SUMS * T::BN; i += 128) {
      const float* of = (const float*)(shared + group * 4 * Sum::BYTES) + i;
      float all = of[0];
#pragma unroll
      for (unsigned w = 1; w < 4; w++) all += of[w * (Sum::BYTES / 4)];
      const unsigned col = at.n0 + i % T::BN;
      if (row * IL_SUM_ROWS < P::M && col < P::N) *epi.sum(i / T::BN, row, col) = all;
    }
  }
}
