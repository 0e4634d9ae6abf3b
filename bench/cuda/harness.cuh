// What gemm.cu measures with: problems, ways out, tiles, the plain kernel, timing, a line for each figure.
#pragma once
#include <cstdio>
#include <cstdlib>
#include <cstring>
#ifndef NO_CUBLAS
#include <cublas_v2.h>
#endif
#include "../../crates/cuda/kernels/gemm_common.cuh"
#include "../../crates/cuda/kernels/gemm_mma.cuh"
#include "../../crates/cuda/kernels/gemm_splitk.cuh"
#include "../../crates/cuda/kernels/gemm_bf16.cuh"
#include "../../crates/cuda/kernels/gemm_f32.cuh"
#include "../../crates/cuda/kernels/gemm_tf32.cuh"
#include "../../crates/cuda/kernels/gemm_wgmma.cuh"

typedef unsigned short bf16;
#define CHECK(call)                                                                                     \
  do {                                                                                                  \
    cudaError_t status = (call);                                                                             \
    if (status != cudaSuccess) printf("%s:%d %s\n", __FILE__, __LINE__, cudaGetErrorString(status)), exit(1);     \
  } while (0)

template <class T_, unsigned M_, unsigned N_, unsigned K_, bool AM, bool BK, unsigned S>
struct Problem {
  using Element = T_;
  static constexpr unsigned M = M_, N = N_, K = K_, SPLITS = S;
  static constexpr bool A_M_CONTIGUOUS = AM, B_K_CONTIGUOUS = BK;
  static constexpr unsigned long long LDA = AM ? M : K, LDB = BK ? K : N;
  static constexpr unsigned A_ALIGN = 16, B_ALIGN = 16;
  static __device__ __forceinline__ unsigned long long a_base(unsigned long long) { return 0; }
  static __device__ __forceinline__ unsigned long long b_base(unsigned long long) { return 0; }
};

// What a way out reads that reads nothing for each element.
struct Nothing {};
// out = A·B in f32
struct Plain {
  float* out;
  unsigned n;
  static constexpr unsigned SUMS = 0;
  using Loaded = Nothing;
  __device__ __forceinline__ void load(unsigned long long, unsigned, unsigned, Loaded&) const {}
  static constexpr bool TANH = false;
  template <class S>
  __device__ __forceinline__ void operator()(unsigned long long, unsigned row, unsigned col, float (&v)[8], const Loaded&, S&) const {
    float4* to = (float4*)(out + (unsigned long long)row * n + col);
    to[0] = make_float4(v[0], v[1], v[2], v[3]);
    to[1] = make_float4(v[4], v[5], v[6], v[7]);
  }
  __device__ __forceinline__ void one(unsigned long long, unsigned row, unsigned col, float v) const {
    out[(unsigned long long)row * n + col] = v;
  }
};
// out = tanh(A·B + bias) in bf16
struct Tanh {
  bf16* out;
  const float* bias;
  unsigned n;
  static constexpr unsigned SUMS = 0;
  using Loaded = Nothing;
  __device__ __forceinline__ void load(unsigned long long, unsigned, unsigned, Loaded&) const {}
  static constexpr bool TANH = true;
  static __device__ __forceinline__ unsigned pair(float x, float y) {
    unsigned r;
    asm("tanh.approx.f32 %0, %0;" : "+f"(x));
    asm("tanh.approx.f32 %0, %0;" : "+f"(y));
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(y), "f"(x));
    return r;
  }
  template <class S>
  __device__ __forceinline__ void operator()(unsigned long long, unsigned row, unsigned col, float (&v)[8], const Loaded&, S&) const {
    float4 x = *(const float4*)(bias + col), y = *(const float4*)(bias + col + 4);
    *(uint4*)(out + (unsigned long long)row * n + col) = make_uint4(
        pair(v[0] + x.x, v[1] + x.y), pair(v[2] + x.z, v[3] + x.w), pair(v[4] + y.x, v[5] + y.y), pair(v[6] + y.z, v[7] + y.w));
  }
  __device__ __forceinline__ void one(unsigned long long, unsigned row, unsigned col, float v) const {
    out[(unsigned long long)row * n + col] = (bf16)pair(v + bias[col], 0.0f);
  }
};

template <class T, class P, class E>
__global__ void __launch_bounds__(T::THREADS, T::BLOCKS) product(const typename P::Element* a, const typename P::Element* b, E epi) {
  T::template run<P>(a, b, epi);
}
template <class P, class E>
__global__ void __launch_bounds__(128) reduce(const float* scratch, E epi) {
  il_splitk_reduce<P>(scratch, epi);
}
// A tile and the kernel that takes it.
template <class Tile>
struct Bf16 : Tile {
  template <class P, class E>
  static __device__ __forceinline__ void run(const bf16* a, const bf16* b, const E& epi) { il_gemm_bf16<Tile, P>(a, b, epi); }
};
template <class Tile>
struct F32 : Tile {
  template <class P, class E>
  static __device__ __forceinline__ void run(const float* a, const float* b, const E& epi) { il_gemm_f32<Tile, P>(a, b, epi); }
};
template <class Tile>
struct Tf32 : Tile {
  template <class P, class E>
  static __device__ __forceinline__ void run(const float* a, const float* b, const E& epi) { il_gemm_tf32<Tile, P>(a, b, epi); }
};

template <class Tile>
struct Wgmma : Tile {
  template <class P, class E>
  static __device__ __forceinline__ void run(const bf16* a, const bf16* b, const E& epi) { il_gemm_wgmma<Tile, P>(a, b, epi); }
};
// f32 on the tensor cores, every operand as two tf32 numbers.
template <class Tile>
struct F32x3 : Tile {
  template <class P, class E>
  static __device__ __forceinline__ void run(const float* a, const float* b, const E& epi) { il_gemm_f32x3<Tile, P>(a, b, epi); }
};
// The plain kernel: one thread an element, sums in f64, over `rows` rows spread over all of M.
__device__ __forceinline__ float value(float x) { return x; }
__device__ __forceinline__ float value(bf16 x) { return __uint_as_float((unsigned)x << 16); }
template <class P>
__global__ void reference_kernel(const typename P::Element* a, const typename P::Element* b, float* out, unsigned rows) {
  unsigned n = blockIdx.x * 32 + threadIdx.x, i = blockIdx.y * 8 + threadIdx.y;
  if (n >= P::N || i >= rows) return;
  unsigned m = (unsigned)((unsigned long long)i * P::M / rows);
  double sum = 0;
  for (unsigned k = 0; k < P::K; k++) {
    double t = (double)value(a[P::A_M_CONTIGUOUS ? m + k * P::LDA : m * P::LDA + k]) *
               value(b[P::B_K_CONTIGUOUS ? k + n * P::LDB : k * P::LDB + n]);
    sum += t;
  }
  out[(unsigned long long)i * P::N + n] = (float)sum;
}
__global__ void worst_kernel(const float* out, const bf16* half, const float* ref, const float* bias, unsigned M, unsigned N,
                             unsigned rows, unsigned* worst) {
  unsigned n = blockIdx.x * 32 + threadIdx.x, i = blockIdx.y * 8 + threadIdx.y;
  if (n >= N || i >= rows) return;
  unsigned long long at = (unsigned long long)((unsigned long long)i * M / rows) * N + n;
  float r = ref[(unsigned long long)i * N + n];
  float e = half ? fabsf(value(half[at]) - tanhf(r + bias[n])) : fabsf(out[at] - r);
  if (!(e == e)) e = __uint_as_float(0x7f800000);
  atomicMax(worst, __float_as_uint(e));
  if (!half) atomicMax(worst + 1, __float_as_uint(fabsf(r)));
}
__global__ void fill_kernel(float* x, unsigned n, unsigned seed, float scale) {
  unsigned i = blockIdx.x * 256 + threadIdx.x, h = i * 2654435761u ^ seed;
  h ^= h >> 15, h *= 0x2c1b3c6du, h ^= h >> 12, h *= 0x297a2d39u, h ^= h >> 15;
  if (i < n) x[i] = ((int)h >> 8) * (1.0f / 8388608.0f) * scale;
}
__global__ void narrow_kernel(const float* x, bf16* y, unsigned n) {
  unsigned i = blockIdx.x * 256 + threadIdx.x;
  unsigned short r;
  if (i >= n) return;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x[i]));
  y[i] = r;
}

constexpr unsigned LARGEST = 4096 * 4096;
static float *a32, *b32, *out32, *ref32, *bias, *scratch;
static bf16 *a16, *b16, *out16;
static unsigned* worst;
static const char* only = "";
#ifndef NO_CUBLAS
static cublasHandle_t blas;
#endif

// Microseconds of one call: the best of 3 rounds of about 5 ms.
template <class F>
static float time_us(F call) {
  cudaEvent_t from, to;
  CHECK(cudaEventCreate(&from));
  CHECK(cudaEventCreate(&to));
  auto round = [&](int n) {
    CHECK(cudaEventRecord(from));
    for (int i = 0; i < n; i++) call();
    CHECK(cudaEventRecord(to));
    CHECK(cudaEventSynchronize(to));
    float ms;
    CHECK(cudaEventElapsedTime(&ms, from, to));
    return ms * 1000 / n;
  };
  round(1);
  float first = round(2), best = 1e30f;
  int n = (int)(5000 / first);
  n = n < 3 ? 3 : n > 200 ? 200 : n;
  for (int i = 0; i < 3; i++) {
    float t = round(n);
    best = t < best ? t : best;
  }
  return best;
}
static void operands(const float*& a, const float*& b) { a = a32, b = b32; }
static void operands(const bf16*& a, const bf16*& b) { a = a16, b = b16; }
static void line(const char* name, float us, double flop, double error) {
  printf("%-44s %9.2f us %8.1f TFLOP/s", name, us, flop / us * 1e-6);
  if (error >= 0) printf("   worst %.2e%s", error, error < 1e-2 ? "" : "  WRONG");
  printf("\n");
  fflush(stdout);
}

// A problem with several tiles: reference() once, then one ours<> per tile, then cublas().
template <class P>
struct Bench {
  static constexpr unsigned ROWS = P::M < 1024 ? P::M : 512;
  static constexpr double FLOP = 2.0 * P::M * P::N * P::K;
  const typename P::Element *a, *b;
  char title[64];
  bool wanted;

  explicit Bench(const char* name) {
    snprintf(title, sizeof title, "%s %ux%ux%u%s%s", name, P::M, P::N, P::K, P::A_M_CONTIGUOUS ? " At" : "", P::B_K_CONTIGUOUS ? " Bt" : "");
    wanted = strncmp(name, only, strlen(only)) == 0;
    operands(a, b);
    if (!wanted) return;
    reference_kernel<P><<<dim3((P::N + 31) / 32, (ROWS + 7) / 8), dim3(32, 8)>>>(a, b, ref32, ROWS);
    CHECK(cudaDeviceSynchronize());
  }
  template <class T, class E, class Q = P>
  void ours(const char* tile, E epi) {
    if (!wanted) return;
    char name[128];
    snprintf(name, sizeof name, "%s %s", title, tile);
    if (Q::SPLITS > 1) snprintf(name + strlen(name), sizeof name - strlen(name), " /%u", Q::SPLITS);
    dim3 grid(il_tiles(P::M, P::N, T::BM, T::BN), 1, Q::SPLITS);
    CHECK(cudaMemset(out32, 0xff, (size_t)P::M * P::N * 4));
    CHECK(cudaMemset(out16, 0xff, (size_t)P::M * P::N * 2));
    float us;
    if constexpr (Q::SPLITS == 1) {
      auto kernel = product<T, Q, E>;
      CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::SHARED));
      us = time_us([&] { kernel<<<grid, T::THREADS, T::SHARED>>>(a, b, epi); });
    } else {
      auto kernel = product<T, Q, il_partial<Q>>;
      CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, T::SHARED));
      us = time_us([&] {
        kernel<<<grid, T::THREADS, T::SHARED>>>(a, b, il_partial<Q>{scratch});
        reduce<Q><<<il_splitk_blocks(P::M, P::N, Q::SPLITS), 128>>>(scratch, epi);
      });
    }
    CHECK(cudaGetLastError());
    CHECK(cudaMemset(worst, 0, 8));
    worst_kernel<<<dim3((P::N + 31) / 32, (ROWS + 7) / 8), dim3(32, 8)>>>(out32, E::TANH ? out16 : nullptr, ref32, bias, P::M, P::N, ROWS, worst);
    float e[2];
    CHECK(cudaMemcpy(e, worst, 8, cudaMemcpyDeviceToHost));
    line(name, us, FLOP, e[1] > 0 ? e[0] / e[1] : e[0]);
  }
  void cublas(bool tf32) {
#ifndef NO_CUBLAS
    if (!wanted) return;
    constexpr bool HALF = sizeof(typename P::Element) == 2;
    const float one = 1, zero = 0;
    cudaDataType in = HALF ? CUDA_R_16BF : CUDA_R_32F;
    // A long sum keeps its result in f32, as ours does.
    bool narrow = HALF && P::K < 10000;
    bool failed = false;
    float us = time_us([&] {
      failed |= cublasGemmEx(blas, P::B_K_CONTIGUOUS ? CUBLAS_OP_T : CUBLAS_OP_N, P::A_M_CONTIGUOUS ? CUBLAS_OP_T : CUBLAS_OP_N,
                             P::N, P::M, P::K, &one, b, in, P::LDB, a, in, P::LDA, &zero, narrow ? (void*)out16 : out32,
                             narrow ? CUDA_R_16BF : CUDA_R_32F, P::N, tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                             CUBLAS_GEMM_DEFAULT) != CUBLAS_STATUS_SUCCESS;
    });
    char name[128];
    snprintf(name, sizeof name, "%s cuBLAS%s", title, failed ? " FAILED" : "");
    line(name, us, FLOP, -1);
#endif
  }
};
