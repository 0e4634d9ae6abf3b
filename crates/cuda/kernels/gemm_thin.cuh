// out = epilogue(A·B) in exact f32 where a result has few rows or columns, or all is little work: tiles would leave most
// of the device idle. Needs gemm_common.cuh; src/choice/thin.rs chooses the shape.
//
// Threads lie along one axis of the result (the long one, L: N, or M where SWAPPED) and along K; each owns ROWS of the
// other axis, R, at VECTOR places of L. A block has GROUPS of LANES by SLICES threads: the lanes of a slice read
// neighbours along L, slices take turns along K in steps of STEP. What the slices have is added in ascending order, and
// so are P::SPLITS parts of K by the block that is done last with a tile (parts are numbered by blockIdx.y): the same bits
// from run to run.
template <unsigned LANES_, unsigned VECTOR_, unsigned SLICES_, unsigned GROUPS_, unsigned ROWS_, unsigned STEP_, bool SWAPPED_>
struct il_thin {
  static constexpr unsigned LANES = LANES_, VECTOR = VECTOR_, SLICES = SLICES_, GROUPS = GROUPS_, ROWS = ROWS_, STEP = STEP_;
  static constexpr bool SWAPPED = SWAPPED_;
  static constexpr unsigned GROUP = LANES * SLICES, THREADS = GROUP * GROUPS;
  // Slices within a warp add up by shuffles, then warps by shared memory.
  static constexpr unsigned WARPS = GROUP < 32 ? 1 : GROUP / 32;
  static constexpr unsigned WIDE = LANES * VECTOR, HIGH = GROUPS * ROWS, ALL = WIDE * HIGH;
  static_assert(LANES <= 32 && THREADS % 32 == 0 && THREADS <= 1024, "whole warps");
};

// True where COUNT neighbours from a multiple of COUNT on can be read at once.
template <class Element>
constexpr bool il_thin_whole(unsigned align, unsigned long long leading, unsigned length, unsigned count) {
  return align % (count * sizeof(Element)) == 0 && leading % count == 0 && length % count == 0;
}

// The sums of a thread, sum[row][place], over its share of the part of K.
template <class T, class P, class Element>
static IL_DEVICE void il_thin_sums(const Element* a, const Element* b, unsigned long long batch, unsigned l, unsigned r, unsigned slice,
                                   unsigned part, float (&sum)[T::ROWS][T::VECTOR]) {
  constexpr bool SW = T::SWAPPED, L_NEXT = SW ? P::A_M_CONTIGUOUS : !P::B_K_CONTIGUOUS, R_NEXT = SW ? !P::B_K_CONTIGUOUS : P::A_M_CONTIGUOUS;
  constexpr unsigned L = SW ? P::M : P::N, R = SW ? P::N : P::M, STEP = T::STEP, ROWS = T::ROWS, VECTOR = T::VECTOR;
  constexpr unsigned long long LDL = SW ? P::LDA : P::LDB, LDR = SW ? P::LDB : P::LDA;
  constexpr unsigned R_ALIGN = SW ? P::B_ALIGN : P::A_ALIGN;
  constexpr bool R_WHOLE = R_NEXT && il_thin_whole<Element>(R_ALIGN, LDR, R, ROWS);
  constexpr bool K_WHOLE = !R_NEXT && il_thin_whole<Element>(R_ALIGN, LDR, P::K, STEP);
  const Element* left = SW ? b + P::b_base(batch) : a + P::a_base(batch);
  const Element* right = SW ? a + P::a_base(batch) : b + P::b_base(batch);
  // What lies beyond the end is read from the last place, and not written.
  const unsigned at = l < L ? l : L - VECTOR;
  unsigned rows[ROWS];
#pragma unroll
  for (unsigned i = 0; i < ROWS; i++) rows[i] = r + i < R ? r + i : R - 1;
  const unsigned first = R_WHOLE && r >= R ? R - ROWS : r;
  constexpr unsigned PART = il_ceil_div(il_ceil_div(P::K, STEP), P::SPLITS) * STEP;
  const unsigned k0 = part * PART, end = P::K - k0 < PART ? P::K : k0 + PART;
  // Some steps at a time, of which all reads are under way before the first product; those beyond the end are reads of the
  // last step, and are not added.
  constexpr unsigned STEPS = il_ceil_div(PART, T::SLICES * STEP), MOST = STEP == 1 ? 8 : ROWS >= 4 ? 1 : VECTOR == 1 ? 4 : 2;
  constexpr unsigned AHEAD = il_ceil_div(STEPS, il_ceil_div(STEPS, MOST));
  for (unsigned from = k0 + slice * STEP; from < end; from += AHEAD * T::SLICES * STEP)
#pragma unroll
  for (unsigned ahead = 0; ahead < AHEAD; ahead++) {
    const bool within = from + ahead * T::SLICES * STEP < end;
    const unsigned k = within ? from + ahead * T::SLICES * STEP : end - STEP;
    float x[STEP][VECTOR], y[STEP][ROWS];
#pragma unroll
    for (unsigned s = 0; s < STEP; s++) {
      il_load_all<Element, VECTOR>(right + (L_NEXT ? (k + s) * LDL + at : at * LDL + (k + s)), x[s]);
      if constexpr (R_WHOLE) il_load_all<Element, ROWS>(left + (k + s) * LDR + first, y[s]);
    }
    if constexpr (!R_WHOLE) {
#pragma unroll
      for (unsigned i = 0; i < ROWS; i++) {
        if constexpr (K_WHOLE) {
          float along[STEP];
          il_load_all<Element, STEP>(left + rows[i] * LDR + k, along);
#pragma unroll
          for (unsigned s = 0; s < STEP; s++) y[s][i] = along[s];
        } else {
#pragma unroll
          for (unsigned s = 0; s < STEP; s++) y[s][i] = il_load(left[R_NEXT ? (k + s) * LDR + rows[i] : rows[i] * LDR + (k + s)]);
        }
      }
    }
#pragma unroll
    for (unsigned s = 0; s < STEP; s++)
#pragma unroll
      for (unsigned i = 0; i < ROWS; i++)
#pragma unroll
        for (unsigned v = 0; v < VECTOR; v++) {
          const float next = fmaf(y[s][i], x[s][v], sum[i][v]);
          sum[i][v] = within ? next : sum[i][v];
        }
  }
}

// Blocks: batches * tiles, numbered by `block`; scratch of f32 [part][batch][M][N] and a counter for each of them where
// there are parts.
template <class T, class P, class Element, class E>
static IL_DEVICE void il_gemm_thin(unsigned block, unsigned batches, const Element* a, const Element* b, const E& epi, float* scratch, unsigned* counters) {
  constexpr bool SW = T::SWAPPED;
  constexpr unsigned L = SW ? P::M : P::N, R = SW ? P::N : P::M, ALL = T::ALL;
  constexpr unsigned ACROSS = il_ceil_div(L, T::WIDE), TILES = ACROSS * il_ceil_div(R, T::HIGH);
  const unsigned lane = threadIdx.x % T::LANES, slice = threadIdx.x / T::LANES % T::SLICES, group = threadIdx.x / T::GROUP;
  const unsigned long long batch = block / TILES;
  const unsigned l0 = block % TILES % ACROSS * T::WIDE, r0 = block % TILES / ACROSS * T::HIGH;
  float sum[T::ROWS][T::VECTOR] = {};
  il_thin_sums<T, P>(a, b, batch, l0 + lane * T::VECTOR, r0 + group * T::ROWS, slice, blockIdx.y, sum);
#pragma unroll
  for (unsigned step = T::LANES; step < 32 && step < T::GROUP; step *= 2)
#pragma unroll
    for (unsigned i = 0; i < T::ROWS; i++)
#pragma unroll
      for (unsigned v = 0; v < T::VECTOR; v++) sum[i][v] += __shfl_xor_sync(~0u, sum[i][v], step);
  __shared__ float shared[T::WARPS * ALL];
  const unsigned warp = T::GROUP < 32 ? 0 : threadIdx.x % T::GROUP / 32;
  if (T::GROUP < 32 ? slice == 0 : threadIdx.x % 32 < T::LANES) {
#pragma unroll
    for (unsigned i = 0; i < T::ROWS; i++)
#pragma unroll
      for (unsigned v = 0; v < T::VECTOR; v++)
        shared[warp * ALL + (group * T::ROWS + i) * T::WIDE + lane * T::VECTOR + v] = sum[i][v];
  }
  __syncthreads();
  const unsigned long long results = (unsigned long long)P::M * P::N;
  // Elements in the order in which the result lies.
#define IL_THIN_PLACE(o)                                                                                              \
  const unsigned up = SW ? (o) % T::HIGH : (o) / T::WIDE, along = SW ? (o) / T::HIGH : (o) % T::WIDE;                  \
  const unsigned row = SW ? l0 + along : r0 + up, col = SW ? r0 + up : l0 + along;                                      \
  const bool within = row < P::M && col < P::N;
  for (unsigned o = threadIdx.x; o < ALL; o += T::THREADS) {
    IL_THIN_PLACE(o)
    float v = 0.0f;
#pragma unroll
    for (unsigned w = 0; w < T::WARPS; w++) v += shared[w * ALL + up * T::WIDE + along];
    if (!within) continue;
    if constexpr (P::SPLITS == 1)
      epi.one(batch, row, col, v);
    else
      scratch[((unsigned long long)blockIdx.y * batches + batch) * results + (unsigned long long)row * P::N + col] = v;
  }
  if constexpr (P::SPLITS > 1) {
    __shared__ bool is_last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) is_last = atomicAdd(counters + block, 1u) == P::SPLITS - 1;
    __syncthreads();
    if (!is_last) return;
    __threadfence();
    if (threadIdx.x == 0) counters[block] = 0;
    // Some threads share the parts of a result: neighbouring parts each, in ascending order.
    constexpr unsigned SHARE = T::THREADS > ALL ? T::THREADS / ALL : 1, EACH = il_ceil_div(P::SPLITS, SHARE);
    __shared__ float shares[SHARE * ALL];
    for (unsigned o = threadIdx.x; o < SHARE * ALL; o += T::THREADS) {
      IL_THIN_PLACE(o % ALL)
      const unsigned from = o / ALL * EACH, to = from + EACH < P::SPLITS ? from + EACH : P::SPLITS;
      float v = 0.0f;
      if (within) {
        for (unsigned first = from; first < to; first += 16) {
          float some[16];
#pragma unroll
          for (unsigned p = 0; p < 16; p++) {
            const unsigned long long at = first + p < to ? first + p : to - 1;
            some[p] = il_load_fresh(scratch + (at * batches + batch) * results + (unsigned long long)row * P::N + col);
          }
#pragma unroll
          for (unsigned p = 0; p < 16; p++) v += first + p < to ? some[p] : 0.0f;
        }
      }
      shares[o] = v;
    }
    __syncthreads();
    for (unsigned o = threadIdx.x; o < ALL; o += T::THREADS) {
      IL_THIN_PLACE(o)
      float v = shares[o];
#pragma unroll
      for (unsigned s = 1; s < SHARE; s++) v += shares[s * ALL + o];
      if (within) epi.one(batch, row, col, v);
    }
  }
#undef IL_THIN_PLACE
}
