// What all generated kernels stand on: element types, arithmetic as the reference interpreter does it, checked access.
// IL_SIM is defined where the text is compiled for the CPU; IL_CHECK where every index is checked; IL_FAST where
// products are rounded to few bits anyway, so that functions may be approximate.

#ifndef IL_SIM
#define IL_DYNAMIC_SHARED(T, name) extern __shared__ __align__(16) unsigned char il_dynamic_shared[]; T* name = (T*)il_dynamic_shared
#endif
#define IL_DEVICE __device__ __forceinline__

typedef unsigned long long il_u64;
typedef long long il_i64;

// The state of a run, written by kernels and read by the host: see exec/state.rs, which has the same layout.
struct IlState {
  unsigned stop;      // not 0: a value is not finite, or an operation failed; no state moves any more
  unsigned done;      // steps done
  unsigned failed;    // what failed: 0 nothing, 1 an access out of range, 2 an index from data out of range,
                      // 3 a wide access from an address that allows none
  unsigned kernel;    // in which kernel
  unsigned argument;  // in which of its arguments, or at which of its places where data are picked
  unsigned unused;
  il_i64 index;       // which index
  il_i64 length;      // below which length it had to be
  il_i64 position;    // where the data have it
  alignas(16) double scratch[8];  // where accesses out of range go: as aligned as vectors of elements are
};

static IL_DEVICE void il_fail(IlState* s, unsigned what, unsigned kernel, unsigned argument, il_i64 index, il_i64 length,
                              il_i64 position) {
  if (atomicExch(&s->failed, what) == 0) {
    s->kernel = kernel;
    s->argument = argument;
    s->index = index;
    s->length = length;
    s->position = position;
  }
  atomicOr(&s->stop, 2u);
}

#ifdef IL_CHECK
template <class T>
static IL_DEVICE T* il_checked(T* p, il_i64 i, int lanes, il_i64 n, IlState* s, unsigned kernel, unsigned argument) {
  const unsigned bytes = lanes * sizeof(T) < 16 ? lanes * sizeof(T) : 16;
  if (lanes > 1 && (il_u64)(p + i) % bytes != 0) {
    il_fail(s, 3, kernel, argument, i, bytes, 0);
    return (T*)(void*)s->scratch;
  }
  if (i >= 0 && i + lanes <= n) return p + i;
  il_fail(s, 1, kernel, argument, i < 0 || i >= n ? i : n, n, 0);
  return (T*)(void*)s->scratch;
}
#define IL_PTR(p, i, lanes, n, argument) il_checked(p, (il_i64)(i), lanes, n, state, il_kernel, argument)
#else
#define IL_PTR(p, i, lanes, n, argument) ((p) + (i))
#endif
#define IL_REF(p, i, n, argument) (*IL_PTR(p, i, 1, n, argument))

// Element types: how they lie in memory, and the type they are computed in.
struct il_bf16 { unsigned short bits; };
struct il_f16 { unsigned short bits; };

static IL_DEVICE float il_load(il_bf16 x) { return __uint_as_float((unsigned)x.bits << 16); }
static IL_DEVICE unsigned short il_to_bf16(float x) {
#if defined(IL_SIM) || __CUDA_ARCH__ < 800
  unsigned u = __float_as_uint(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return (unsigned short)((u >> 16) | 0x40);
  return (unsigned short)((u + 0x7fffu + ((u >> 16) & 1)) >> 16);
#else
  unsigned short r;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x));
  return r;
#endif
}
static IL_DEVICE float il_load(il_f16 x) {
#ifdef IL_SIM
  _Float16 h;
  __builtin_memcpy(&h, &x.bits, 2);
  return (float)h;
#else
  float r;
  asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(x.bits));
  return r;
#endif
}
static IL_DEVICE unsigned short il_to_f16(float x) {
#ifdef IL_SIM
  _Float16 h = (_Float16)x;
  unsigned short r;
  __builtin_memcpy(&r, &h, 2);
  return r;
#else
  unsigned short r;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(r) : "f"(x));
  return r;
#endif
}
template <class T> static IL_DEVICE T il_load(T x) { return x; }

template <class T> struct Il {
  typedef T C;
  static IL_DEVICE T store(T x) { return x; }
  static IL_DEVICE T round(T x) { return x; }
};
template <> struct Il<il_bf16> {
  typedef float C;
  static IL_DEVICE il_bf16 store(float x) { il_bf16 r; r.bits = il_to_bf16(x); return r; }
  static IL_DEVICE float round(float x) { return il_load(store(x)); }
};
template <> struct Il<il_f16> {
  typedef float C;
  static IL_DEVICE il_f16 store(float x) { il_f16 r; r.bits = il_to_f16(x); return r; }
  static IL_DEVICE float round(float x) { return il_load(store(x)); }
};

// V neighbours at an address that is a multiple of their bytes (of 16 where there are more).
template <int BYTES> struct IlWord;
template <> struct IlWord<2> { typedef unsigned short W; };
template <> struct IlWord<4> { typedef unsigned W; };
template <> struct IlWord<8> { typedef uint2 W; };
template <> struct IlWord<16> { typedef uint4 W; };
template <class T, int V> struct IlPack {
  enum { BYTES = V * sizeof(T), EACH = BYTES < 16 ? BYTES : 16, WORDS = BYTES / EACH };
  union { T x[V]; typename IlWord<EACH>::W w[WORDS]; };
};
template <class T, int V> static IL_DEVICE void il_fetch_all(const T* p, IlPack<T, V>& to) {
  typedef typename IlWord<IlPack<T, V>::EACH>::W W;
#pragma unroll
  for (int i = 0; i < IlPack<T, V>::WORDS; i++) to.w[i] = ((const W*)p)[i];
}
template <class T, int V> static IL_DEVICE void il_unpack(const IlPack<T, V>& pack, typename Il<T>::C (&to)[V]) {
#pragma unroll
  for (int i = 0; i < V; i++) to[i] = il_load(pack.x[i]);
}
template <class T, int V> static IL_DEVICE void il_load_all(const T* p, typename Il<T>::C (&to)[V]) {
  IlPack<T, V> pack;
  il_fetch_all(p, pack);
  il_unpack(pack, to);
}
// The same of what no thread writes meanwhile: read once for several uses.
template <class T, int V> static IL_DEVICE void il_load_all_still(const T* p, typename Il<T>::C (&to)[V]) {
#ifdef IL_SIM
  il_load_all(p, to);
#else
  IlPack<T, V> pack;
  typedef typename IlWord<IlPack<T, V>::EACH>::W W;
#pragma unroll
  for (int i = 0; i < IlPack<T, V>::WORDS; i++) pack.w[i] = __ldg((const W*)p + i);
  il_unpack(pack, to);
#endif
}
template <class T, int V> static IL_DEVICE void il_store_all(T* p, const typename Il<T>::C (&from)[V]) {
  IlPack<T, V> pack;
  typedef typename IlWord<IlPack<T, V>::EACH>::W W;
#pragma unroll
  for (int i = 0; i < V; i++) pack.x[i] = Il<T>::store(from[i]);
#pragma unroll
  for (int i = 0; i < IlPack<T, V>::WORDS; i++) ((W*)p)[i] = pack.w[i];
}

// Arithmetic. Integers wrap; division by zero gives 0.
#define IL_WRAPPING(T, U)                                                                                          \
  static IL_DEVICE T il_add(T a, T b) { return (T)((U)a + (U)b); }                                               \
  static IL_DEVICE T il_sub(T a, T b) { return (T)((U)a - (U)b); }                                               \
  static IL_DEVICE T il_mul(T a, T b) { return (T)((U)a * (U)b); }                                               \
  static IL_DEVICE T il_neg(T a) { return (T)((U)0 - (U)a); }                                                    \
  static IL_DEVICE T il_abs(T a) { return a < (T)0 ? il_neg(a) : a; }                                            \
  static IL_DEVICE T il_div(T a, T b) { return b == 0 ? (T)0 : b == (T)-1 && (T)-1 < 0 ? il_neg(a) : (T)(a / b); }   \
  static IL_DEVICE T il_rem(T a, T b) { return b == 0 || (b == (T)-1 && (T)-1 < 0) ? (T)0 : (T)(a % b); }        \
  static IL_DEVICE T il_not(T a) { return (T)~a; }                                                               \
  static IL_DEVICE T il_shl(T a, T b) { return b < 0 || (il_i64)b >= (il_i64)(8 * sizeof(T)) ? (T)0 : (T)((U)a << (unsigned)b); }       \
  static IL_DEVICE T il_shr(T a, T b) {                                                                          \
    return b < 0 || (il_i64)b >= (il_i64)(8 * sizeof(T)) ? (a < 0 ? (T)-1 : (T)0) : (T)(a >> (unsigned)b);       \
  }
IL_WRAPPING(unsigned char, unsigned)
IL_WRAPPING(signed char, unsigned)
IL_WRAPPING(short, unsigned)
IL_WRAPPING(int, unsigned)
IL_WRAPPING(unsigned, unsigned)
IL_WRAPPING(long long, il_u64)
#define IL_FLOAT(T)                                                \
  static IL_DEVICE T il_add(T a, T b) { return a + b; }          \
  static IL_DEVICE T il_sub(T a, T b) { return a - b; }          \
  static IL_DEVICE T il_mul(T a, T b) { return a * b; }          \
  static IL_DEVICE T il_neg(T a) { return -a; }                  \
  static IL_DEVICE T il_abs(T a) { return fabs(a); }             \
  static IL_DEVICE T il_div(T a, T b) { return a / b; }          \
  static IL_DEVICE T il_div(int a, T b) { return (T)a / b; }     \
  static IL_DEVICE T il_rem(T a, T b) { return fmod(a, b); }
IL_FLOAT(float)
IL_FLOAT(double)
static IL_DEVICE bool il_not(bool a) { return !a; }
template <class T> static IL_DEVICE T il_maximum(T a, T b) { return a != a ? a : a > b ? a : b; }
template <class T> static IL_DEVICE T il_minimum(T a, T b) { return a != a ? a : a < b ? a : b; }

// x * m / 2^s, rounded once, half to even, wrapping; 0 where s is not in 0..=62. The product has 128 bits.
template <class T> static IL_DEVICE T il_mul_shift_round(T x, T m, T s) {
  il_i64 shift = (il_i64)s;
  if (shift < 0 || shift > 62) return (T)0;
  il_i64 a = (il_i64)x, b = (il_i64)m;
  il_u64 low = (il_u64)a * (il_u64)b;
  if (shift == 0) return (T)low;
#ifdef IL_SIM
  il_i64 high = (il_i64)(((__int128)a * b) >> 64);
#else
  il_i64 high = __mul64hi(a, b);
#endif
  il_u64 part = low & (((il_u64)1 << shift) - 1), half = (il_u64)1 << (shift - 1);
  il_u64 down = (low >> shift) | ((il_u64)high << (64 - shift));
  return (T)(down + (part > half || (part == half && (down & 1)) ? 1 : 0));
}

// Floor of the square root, one bit after the other; 0 where x is negative.
template <class T> static IL_DEVICE T il_isqrt(T x) {
  il_u64 rest = (il_i64)x > 0 ? (il_u64)x : 0, root = 0;
  for (il_u64 bit = (il_u64)1 << 62; bit; bit >>= 2) {
    bool fits = rest >= root + bit;
    if (fits) rest -= root + bit;
    root = (root >> 1) + (fits ? bit : 0);
  }
  return (T)root;
}

static IL_DEVICE double il_exp(double x) { return exp(x); }
static IL_DEVICE double il_tanh(double x) { return tanh(x); }
static IL_DEVICE double il_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
#if defined(IL_FAST) && !defined(IL_SIM)
static IL_DEVICE float il_tanh(float x) { float r; asm("tanh.approx.f32 %0, %1;" : "=f"(r) : "f"(x)); return r; }
static IL_DEVICE float il_exp(float x) { return __expf(x); }
static IL_DEVICE float il_sigmoid(float x) { return __fdividef(1.0f, 1.0f + __expf(-x)); }
#else
static IL_DEVICE float il_tanh(float x) { return tanhf(x); }
static IL_DEVICE float il_exp(float x) { return expf(x); }
static IL_DEVICE float il_sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
#endif

// Conversions: floats to integers round towards zero and saturate, NaN becomes 0; integers saturate.
template <class T> struct IlRange;
template <> struct IlRange<unsigned char> { static IL_DEVICE il_i64 low() { return 0; } static IL_DEVICE il_i64 high() { return 255; } };
template <> struct IlRange<signed char> { static IL_DEVICE il_i64 low() { return -128; } static IL_DEVICE il_i64 high() { return 127; } };
template <> struct IlRange<short> { static IL_DEVICE il_i64 low() { return -32768; } static IL_DEVICE il_i64 high() { return 32767; } };
template <> struct IlRange<int> { static IL_DEVICE il_i64 low() { return -2147483647LL - 1; } static IL_DEVICE il_i64 high() { return 2147483647LL; } };
template <> struct IlRange<unsigned> { static IL_DEVICE il_i64 low() { return 0; } static IL_DEVICE il_i64 high() { return 4294967295LL; } };
template <> struct IlRange<long long> { static IL_DEVICE il_i64 low() { return -9223372036854775807LL - 1; } static IL_DEVICE il_i64 high() { return 9223372036854775807LL; } };
template <class To> struct IlCast {
  static IL_DEVICE To of(double x) {
    return x != x ? (To)0 : x <= (double)IlRange<To>::low() ? (To)IlRange<To>::low() : x >= (double)IlRange<To>::high() ? (To)IlRange<To>::high() : (To)x;
  }
  static IL_DEVICE To of(float x) {
    return x != x ? (To)0 : x <= (float)IlRange<To>::low() ? (To)IlRange<To>::low() : x >= (float)IlRange<To>::high() ? (To)IlRange<To>::high() : (To)x;
  }
  static IL_DEVICE To of(il_i64 x) { return (To)(x < IlRange<To>::low() ? IlRange<To>::low() : x > IlRange<To>::high() ? IlRange<To>::high() : x); }
  static IL_DEVICE To of(int x) { return of((il_i64)x); }
  static IL_DEVICE To of(unsigned x) { return of((il_i64)x); }
  static IL_DEVICE To of(bool x) { return (To)x; }
};
template <> struct IlCast<bool> { template <class A> static IL_DEVICE bool of(A x) { return x != (A)0; } };
template <> struct IlCast<float> { template <class A> static IL_DEVICE float of(A x) { return (float)x; } };
template <> struct IlCast<double> { template <class A> static IL_DEVICE double of(A x) { return (double)x; } };
template <> struct IlCast<il_bf16> { template <class A> static IL_DEVICE float of(A x) { return Il<il_bf16>::round((float)x); } };
template <> struct IlCast<il_f16> { template <class A> static IL_DEVICE float of(A x) { return Il<il_f16>::round((float)x); } };

static IL_DEVICE bool il_finite(float x) { return (__float_as_uint(x) & 0x7f800000u) != 0x7f800000u; }
static IL_DEVICE bool il_finite(double x) { return ((il_u64)__double_as_longlong(x) & 0x7ff0000000000000ULL) != 0x7ff0000000000000ULL; }
template <class T> static IL_DEVICE bool il_finite(T) { return true; }

// Random bits: Philox4x32-10, as prim/random_bits.rs.
static IL_DEVICE unsigned il_random(il_u64 stream, il_u64 row, il_i64 seed, il_i64 step, il_i64 first_row, il_u64 at) {
  il_u64 x = (il_u64)seed ^ ((stream << 32) | (stream >> 32));
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  il_u64 key = (x ^ (x >> 31)) ^ stream, position = (il_u64)first_row * row + at;
  unsigned c0 = (unsigned)(position / 4), c1 = (unsigned)(position / 4 >> 32), c2 = (unsigned)step, c3 = (unsigned)((il_u64)step >> 32);
  unsigned k0 = (unsigned)key, k1 = (unsigned)(key >> 32);
#pragma unroll
  for (int i = 0; i < 10; i++) {
    il_u64 a = (il_u64)c0 * 0xd2511f53u, b = (il_u64)c2 * 0xcd9e8d57u;
    c0 = (unsigned)(b >> 32) ^ c1 ^ k0;
    c1 = (unsigned)b;
    c2 = (unsigned)(a >> 32) ^ c3 ^ k1;
    c3 = (unsigned)a;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  unsigned which = (unsigned)position & 3;
  return which == 0 ? c0 : which == 1 ? c1 : which == 2 ? c2 : c3;
}

// The larger of two, where a NaN stays.
template <class T> static IL_DEVICE T il_larger(T a, T b) { return b > a || (b != b && a == a) ? b : a; }

// What the lane so many further up has; whole warps come here.
template <class T> static IL_DEVICE T il_shuffle_down(T x, unsigned lanes) {
  if constexpr (sizeof(T) >= 4)
    return __shfl_down_sync(~0u, x, lanes);
  else
    return (T)__shfl_down_sync(~0u, (int)x, lanes);
}

// What another block has written, not what this multiprocessor may have read before.
template <class T> static IL_DEVICE T il_load_fresh(const T* p) { return *(const volatile T*)p; }
static IL_DEVICE float il_load_fresh(const il_bf16* p) { il_bf16 x; x.bits = *(const volatile unsigned short*)&p->bits; return il_load(x); }
static IL_DEVICE float il_load_fresh(const il_f16* p) { il_f16 x; x.bits = *(const volatile unsigned short*)&p->bits; return il_load(x); }

static IL_DEVICE void il_copy_bytes_of(const void* from, void* to, il_u64 bytes) {
  il_u64 first = blockIdx.x * (il_u64)blockDim.x + threadIdx.x, all = gridDim.x * (il_u64)blockDim.x;
  unsigned together = (unsigned)((il_u64)from | (il_u64)to | bytes);
  if (together % 16 == 0)
    for (il_u64 i = first; i < bytes / 16; i += all) ((uint4*)to)[i] = ((const uint4*)from)[i];
  else if (together % 4 == 0)
    for (il_u64 i = first; i < bytes / 4; i += all) ((unsigned*)to)[i] = ((const unsigned*)from)[i];
  else
    for (il_u64 i = first; i < bytes; i += all) ((unsigned char*)to)[i] = ((const unsigned char*)from)[i];
}

// Begins the next step: the control block of it is the next of a table. What came of this one goes to the host: the state
// up to its scratch, and up to three results.
extern "C" __global__ void il_advance(IlState* state, il_u64* control, const il_u64* table, il_u64 fields, IlState* host,
                                      const char* from0, char* to0, il_u64 bytes0, const char* from1, char* to1, il_u64 bytes1,
                                      const char* from2, char* to2, il_u64 bytes2) {
  unsigned next = state->stop ? state->done : state->done + 1;
  if (threadIdx.x < fields) control[threadIdx.x] = table[next * fields + threadIdx.x];
  __syncthreads();
  if (threadIdx.x == 0) state->done = next;
  __syncthreads();
  il_copy_bytes_of(state, host, 48);
  il_copy_bytes_of(from0, to0, bytes0);
  il_copy_bytes_of(from1, to1, bytes1);
  il_copy_bytes_of(from2, to2, bytes2);
}

// Up to four copies at once: one for each row of the grid.
extern "C" __global__ void il_copy(const char* from0, char* to0, il_u64 bytes0, const char* from1, char* to1, il_u64 bytes1,
                                   const char* from2, char* to2, il_u64 bytes2, const char* from3, char* to3, il_u64 bytes3) {
  switch (blockIdx.y) {
    case 0: return il_copy_bytes_of(from0, to0, bytes0);
    case 1: return il_copy_bytes_of(from1, to1, bytes1);
    case 2: return il_copy_bytes_of(from2, to2, bytes2);
    default: return il_copy_bytes_of(from3, to3, bytes3);
  }
}
