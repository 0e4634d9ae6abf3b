// Matrix products, out = epilogue(A·B): what the kernels of gemm_*.cuh share.
//
// A problem is a struct P of compile-time constants:
//   unsigned M, N, K        out is [M, N], the sum runs over K
//   unsigned SPLITS         1, or the parts into which K is cut (gemm_splitk.cuh); part s is blockIdx.z
//   bool A_M_CONTIGUOUS     A[m,k] is at m + k*LDA (true) or at m*LDA + k (false)
//   bool B_K_CONTIGUOUS     B[k,n] is at k + n*LDB (true) or at k*LDB + n (false)
//   unsigned long long LDA, LDB              in elements
//   unsigned A_ALIGN, B_ALIGN                bytes that divide the address of every matrix of the batch
//   static a_base(batch), b_base(batch)      elements from the pointer to the batch's matrix (64 bits)
// An epilogue is a functor E; row < M, and where 8 elements are handed over, N and col are divisible by 8:
//   Loaded                                      what it reads for 8 elements, as it lies in memory
//   load(batch, row, col, Loaded& in) const     reads that: for many elements before the first is computed, as a
//                                               reading takes long
//   operator()(unsigned long long batch, unsigned row, unsigned col, float (&v)[8], const Loaded& in, S&) const
//   one(batch, row, col, float v) const         of any other N
//   SUMS, float* sums                           values that are added up along each column, into [SUMS][M / 64][N]: the
//                                               functor adds those of its elements to the float [SUMS][8] that S is
// Grid: x = batches * tiles (il_tiles), z = SPLITS. Block and shared bytes: T::THREADS and T::SHARED of the tile T.
// src/choice/tiles.rs chooses T and SPLITS from the shape: it counts the cycles of the multiprocessor with the most blocks.
// Every element of the result is written by one thread, once; sums run in an order that depends on P and T alone.
#ifndef IL_AT
#define IL_AT(pointer, index) ((pointer)[index])
#endif
#ifndef IL_DYNAMIC_SHARED
#define IL_DYNAMIC_SHARED(T, name) extern __shared__ __align__(16) T name[]
#endif

constexpr unsigned il_ceil_div(unsigned a, unsigned b) { return a / b + (a % b != 0); }
constexpr unsigned il_tiles(unsigned m, unsigned n, unsigned bm, unsigned bn) {
  return il_ceil_div(m, bm) * il_ceil_div(n, bn);
}
// The widest copy, in bytes, that every row of a matrix allows: 16, 8, 4, or less where cp.async has no such width.
constexpr unsigned il_copy_bytes(unsigned align, unsigned long long row_bytes) {
  unsigned width = 16;
  while (width > 1 && (align % width != 0 || row_bytes % width != 0)) width /= 2;
  return width;
}

// Where a block works: its batch, its tile and its part of K.
struct il_place {
  unsigned long long batch;
  unsigned m0, n0, k0, k1;
};

template <unsigned BM, unsigned BN, unsigned BK, class P>
__device__ __forceinline__ il_place il_locate() {
  constexpr unsigned TM = il_ceil_div(P::M, BM), TN = il_ceil_div(P::N, BN);
  il_place at;
  at.batch = blockIdx.x / (TM * TN);
  unsigned tile = blockIdx.x % (TM * TN);
  if constexpr (TN <= 8) {
    at.m0 = tile / TN * BM;
    at.n0 = tile % TN * BN;
  } else {
    // Bands of 8 tiles of rows: blocks that run together share what they read in the L2.
    constexpr unsigned BAND = 8 * TN;
    unsigned first = tile / BAND * 8, rows = TM - first < 8 ? TM - first : 8, within = tile % BAND;
    at.m0 = (first + within % rows) * BM;
    at.n0 = within / rows * BN;
  }
  if constexpr (P::SPLITS == 1) {
    at.k0 = 0;
    at.k1 = P::K;
  } else {
    constexpr unsigned PART = il_ceil_div(il_ceil_div(P::K, BK), P::SPLITS) * BK;
    unsigned long long k0 = (unsigned long long)blockIdx.z * PART, k1 = k0 + PART;
    at.k0 = k0 < P::K ? (unsigned)k0 : P::K;
    at.k1 = k1 < P::K ? (unsigned)k1 : P::K;
  }
  return at;
}

// Asynchronous copy of BYTES (4, 8 or 16) into shared memory, of which the first `valid` are read and the rest is zero.
// Where none are, the address may lie anywhere.
template <unsigned BYTES>
__device__ __forceinline__ void il_copy_async(void* shared, const void* global, unsigned valid) {
#ifdef IL_SIM
  il_sim::copy_async(shared, global, BYTES, valid);
#else
  unsigned address = (unsigned)__cvta_generic_to_shared(shared);
  if constexpr (BYTES == 16)
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(valid) : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(address), "l"(global), "n"(BYTES), "r"(valid)
                 : "memory");
#endif
}
__device__ __forceinline__ void il_copy_commit() {
#ifdef IL_SIM
  il_sim::commit(il_sim::Later::Copy);
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Waits until at most PENDING of this thread's groups of copies are under way.
template <int PENDING>
__device__ __forceinline__ void il_copy_wait() {
#ifdef IL_SIM
  il_sim::wait(il_sim::Later::Copy, PENDING);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
#endif
}

// Copies tiles of ROWS x COLS of a matrix with rows of LD elements into shared memory, WIDTH bytes at a time (below 4
// through registers); zero where the matrix ends. L::at(row, column) is where an element goes, in bytes; WIDTH bytes
// stay together. The columns are visited in panels of PANEL. ROWS_WHOLE: no tile reaches over the last row.
template <class T, class L, unsigned ROWS, unsigned COLS, unsigned PANEL, unsigned long long LD, unsigned WIDTH,
          unsigned THREADS, bool ROWS_WHOLE, bool COLS_WHOLE>
struct il_tile_loader {
  static constexpr unsigned STEP = WIDTH >= 4 ? WIDTH / sizeof(T) : 1, PER_ROW = PANEL / STEP, ROW_STEP = THREADS / PER_ROW;
  static_assert(THREADS % PER_ROW == 0 && ROWS % ROW_STEP == 0 && COLS % PANEL == 0, "whole rounds of copies");
  const T* from;
  unsigned row, col;

  __device__ __forceinline__ il_tile_loader(const T* matrix, unsigned row0, unsigned col0)
      : row(threadIdx.x / PER_ROW), col(threadIdx.x % PER_ROW * STEP) {
    from = matrix + (row0 + row) * LD + (col0 + col);
  }
  // The matrix ends rows_left and cols_left after the tile's corner (both may be 0).
  __device__ __forceinline__ void load(unsigned char* tile, unsigned rows_left, unsigned cols_left) const {
#pragma unroll
    for (unsigned c = 0; c < COLS; c += PANEL) {
      unsigned left = COLS_WHOLE ? STEP : col + c < cols_left ? cols_left - col - c : 0;
      if (left > STEP) left = STEP;
#pragma unroll
      for (unsigned r = 0; r < ROWS; r += ROW_STEP) {
        unsigned valid = ROWS_WHOLE || row + r < rows_left ? left : 0;
        unsigned char* to = tile + L::at(row + r, col + c);
        if constexpr (WIDTH >= 4)
          il_copy_async<WIDTH>(to, from + (r * LD + c), valid * sizeof(T));
        else
          *(T*)to = valid ? IL_AT(from, r * LD + c) : T(0);
      }
    }
  }
  __device__ __forceinline__ void advance(unsigned long long elements) { from += elements; }
};

// The tiles of A and B, one step of T::BK after the other: A's at the beginning of a stage, B's T::A_BYTES further. LA and
// LB are their layouts, A_PANEL and A_WIDTH and their like for B what il_tile_loader takes; a panel is cut to the tile.
template <class Element, class T, class P, class LA, class LB, unsigned A_PANEL, unsigned B_PANEL, unsigned A_WIDTH,
          unsigned B_WIDTH>
struct il_stages {
  static constexpr bool AM = P::A_M_CONTIGUOUS, BKC = P::B_K_CONTIGUOUS;
  static constexpr bool M_WHOLE = P::M % T::BM == 0, N_WHOLE = P::N % T::BN == 0, K_WHOLE = P::K % T::BK == 0;
  static constexpr unsigned A_COLS = AM ? T::BM : T::BK, B_COLS = BKC ? T::BK : T::BN;
  il_tile_loader<Element, LA, AM ? T::BK : T::BM, A_COLS, A_PANEL < A_COLS ? A_PANEL : A_COLS, P::LDA, A_WIDTH, T::THREADS,
                 AM ? K_WHOLE : M_WHOLE, AM ? M_WHOLE : K_WHOLE> a;
  il_tile_loader<Element, LB, BKC ? T::BN : T::BK, B_COLS, B_PANEL < B_COLS ? B_PANEL : B_COLS, P::LDB, B_WIDTH, T::THREADS,
                 BKC ? N_WHOLE : K_WHOLE, BKC ? K_WHOLE : N_WHOLE> b;
  unsigned m_left, n_left, k_left;

  __device__ __forceinline__ il_stages(const Element* a_, const Element* b_, const il_place& at)
      : a(a_ + P::a_base(at.batch), AM ? at.k0 : at.m0, AM ? at.m0 : at.k0),
        b(b_ + P::b_base(at.batch), BKC ? at.n0 : at.k0, BKC ? at.k0 : at.n0),
        m_left(P::M - at.m0), n_left(P::N - at.n0), k_left(at.k1 - at.k0) {}

  // Begins the copies of the next step, if there is one.
  __device__ __forceinline__ void load(unsigned char* stage) {
    if (k_left != 0) {
      a.load(stage, AM ? k_left : m_left, AM ? m_left : k_left);
      b.load(stage + T::A_BYTES, BKC ? n_left : k_left, BKC ? k_left : n_left);
      a.advance(AM ? T::BK * P::LDA : T::BK);
      b.advance(BKC ? T::BK : T::BK * P::LDB);
      k_left = k_left > T::BK ? k_left - T::BK : 0;
    }
    il_copy_commit();
  }
};

// The loop over K of all kernels: step(stage) for each step of T::BK, while the copies of later ones are under way. All
// threads have left the stages, and no copy is under way, when it returns.
template <class T, class Stages, class Step>
__device__ __forceinline__ void il_pipeline(unsigned char* shared, Stages& next, unsigned steps, Step step) {
#pragma unroll
  for (unsigned s = 0; s < T::STAGES - 1; s++) next.load(shared + s * T::STAGE_BYTES);
  unsigned reading = 0, writing = T::STAGES - 1;
  for (unsigned s = 0; s < steps; s++) {
    il_copy_wait<(int)T::STAGES - 2>();
    __syncthreads();
    next.load(shared + writing * T::STAGE_BYTES);
    step(shared + reading * T::STAGE_BYTES);
    reading = reading + 1 == T::STAGES ? 0 : reading + 1;
    writing = writing + 1 == T::STAGES ? 0 : writing + 1;
  }
  il_copy_wait<0>();
  __syncthreads();
}

// Rows whose sums along the columns lie next to each other.
constexpr unsigned IL_SUM_ROWS = 64;

// Sums along 8 columns; something where there are none.
template <class E>
struct il_sums {
  float of[E::SUMS ? E::SUMS : 1][8];
  __device__ __forceinline__ void clear() {
#pragma unroll
    for (unsigned s = 0; s < E::SUMS; s++)
#pragma unroll
      for (unsigned j = 0; j < 8; j++) of[s][j] = 0.0f;
  }
};

// Reads what the epilogue needs for 8 consecutive columns of a row.
template <class P, class E>
__device__ __forceinline__ void il_fetch(const E& epi, unsigned long long batch, unsigned row, unsigned col, typename E::Loaded& in) {
  if constexpr (P::N % 8 == 0) {
    if (row < P::M && col < P::N) epi.load(batch, row, col, in);
  }
}

// Hands 8 consecutive columns of a row to the epilogue: whole where all are, else one by one.
template <class P, class E>
__device__ __forceinline__ void il_emit(const E& epi, unsigned long long batch, unsigned row, unsigned col, float (&v)[8],
                                        const typename E::Loaded& in, il_sums<E>& sums) {
  if (row >= P::M) return;
  if constexpr (P::N % 8 == 0) {
    if (col < P::N) epi(batch, row, col, v, in, sums.of);
  } else {
    static_assert(E::SUMS == 0, "sums along whole pieces of 8 columns");
#pragma unroll
    for (unsigned j = 0; j < 8; j++)
      if (col + j < P::N) epi.one(batch, row, col + j, v[j]);
  }
}
// The same, read and computed at once.
template <class P, class E>
__device__ __forceinline__ void il_emit(const E& epi, unsigned long long batch, unsigned row, unsigned col, float (&v)[8]) {
  static_assert(E::SUMS == 0, "this kernel adds nothing up");
  typename E::Loaded in;
  il_sums<E> none;
  il_fetch<P>(epi, batch, row, col, in);
  il_emit<P>(epi, batch, row, col, v, in, none);
}
