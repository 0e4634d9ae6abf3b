// Times the matrix products of crates/cuda/kernels beside cuBLAS, and checks them against a plain kernel.
//
// Build and run, from the root of the repository, on a machine with CUDA 13 and a GPU of compute capability 9.0:
//   nvcc -std=c++17 -O3 -gencode=arch=compute_90a,code=sm_90a -ftz=true --expt-relaxed-constexpr --split-compile=0 -o gemm bench/cuda/gemm.cu -lcublas && ./gemm
// `./gemm bf16` runs the cases whose name begins so. -DNO_CUBLAS builds without cuBLAS.
#include "harness.cuh"

template <class P, unsigned S>
using Split = Problem<typename P::Element, P::M, P::N, P::K, P::A_M_CONTIGUOUS, P::B_K_CONTIGUOUS, S>;

static void bf16_cases() {
  using T256 = Bf16<il_bf16_128x256>;
  using T128 = Bf16<il_bf16_128x128>;
  using T128deep = Bf16<il_bf16_tile<128, 128, 64, 64, 64, 3, 2>>;
  using T128eight = Bf16<il_bf16_tile<128, 128, 32, 64, 32, 4, 2>>;
  using T256deep = Bf16<il_bf16_tile<128, 256, 64, 64, 64, 3, 1>>;
  using T64 = Bf16<il_bf16_128x64>;
  using W256 = Wgmma<il_wgmma_128x256>;
  using W256closed = Wgmma<il_wgmma_tile<128, 256, 4, 0, 1>>;
  using W128 = Wgmma<il_wgmma_128x128>;
  using W128open = Wgmma<il_wgmma_tile<128, 128, 3, 1, 2>>;
  using W128deep = Wgmma<il_wgmma_tile<128, 128, 6, 1, 1>>;
  using W64 = Wgmma<il_wgmma_tile<64, 128, 4, 1, 2>>;
  using S64 = Bf16<il_bf16_64x64>;
  {
    Bench<Problem<bf16, 40000, 256, 256, false, false, 1>> c("bf16");
    Tanh t{out16, bias, 256};
    c.ours<T256>("128x256 tanh", t);
    c.ours<T128>("128x128 tanh", t);
    c.ours<W256>("wgmma 128x256 tanh", t);
    c.ours<W256closed>("wgmma 128x256 closed tanh", t);
    c.ours<W128>("wgmma 128x128 tanh", t);
    c.ours<W128open>("wgmma 128x128 open tanh", t);
    c.ours<W64>("wgmma 64x128 tanh", t);
    c.ours<T128deep>("128x128x64 tanh", t);
    c.ours<T128eight>("128x128 tanh 8 warps", t);
    c.ours<T64>("128x64 tanh", t);
    c.ours<S64>("64x64 tanh", t);
    c.ours<T128>("128x128 f32 out", Plain{out32, 256});
    c.cublas(false);
  }
  {
    Bench<Problem<bf16, 40000, 128, 256, false, false, 1>> c("bf16");
    Tanh t{out16, bias, 128};
    c.ours<T128>("128x128 tanh", t);
    c.ours<T128deep>("128x128x64 tanh", t);
    c.ours<T64>("128x64 tanh", t);
    c.ours<S64>("64x64 tanh", t);
    c.ours<W128>("wgmma 128x128 tanh", t);
    c.ours<W128open>("wgmma 128x128 open tanh", t);
    c.ours<W64>("wgmma 64x128 tanh", t);
    c.cublas(false);
  }
  {
    Bench<Problem<bf16, 40000, 256, 128, false, true, 1>> c("bf16");
    Tanh t{out16, bias, 256};
    c.ours<T256>("128x256 tanh", t);
    c.ours<T128>("128x128 tanh", t);
    c.ours<T128deep>("128x128x64 tanh", t);
    c.ours<T64>("128x64 tanh", t);
    c.ours<S64>("64x64 tanh", t);
    c.ours<W128>("wgmma 128x128 tanh", t);
    c.ours<W128open>("wgmma 128x128 open tanh", t);
    c.ours<W64>("wgmma 64x128 tanh", t);
    c.cublas(false);
  }
  {
    using P = Problem<bf16, 256, 256, 40000, true, false, 1>;
    Bench<P> c("bf16");
    Plain p{out32, 256};
    c.ours<T128, Plain, Split<P, 33>>("128x128", p);
    c.ours<T128, Plain, Split<P, 66>>("128x128", p);
    c.ours<T128deep, Plain, Split<P, 33>>("128x128x64", p);
    c.ours<T128deep, Plain, Split<P, 66>>("128x128x64", p);
    c.ours<T128eight, Plain, Split<P, 33>>("128x128 8 warps", p);
    c.ours<T256, Plain, Split<P, 66>>("128x256", p);
    c.ours<W256, Plain, Split<P, 66>>("wgmma 128x256", p);
    c.ours<W128, Plain, Split<P, 33>>("wgmma 128x128", p);
    c.ours<W128, Plain, Split<P, 66>>("wgmma 128x128", p);
    c.ours<W128deep, Plain, Split<P, 33>>("wgmma 128x128 6 stages", p);
    c.ours<T64, Plain, Split<P, 33>>("128x64", p);
    c.ours<T64, Plain, Split<P, 66>>("128x64", p);
    c.ours<S64, Plain, Split<P, 16>>("64x64", p);
    c.ours<S64, Plain, Split<P, 33>>("64x64", p);
    c.cublas(false);
  }
  {
    using P = Problem<bf16, 256, 128, 40000, true, false, 1>;
    Bench<P> c("bf16");
    Plain p{out32, 128};
    c.ours<T128, Plain, Split<P, 66>>("128x128", p);
    c.ours<W128, Plain, Split<P, 66>>("wgmma 128x128", p);
    c.ours<W128, Plain, Split<P, 132>>("wgmma 128x128", p);
    c.ours<W128deep, Plain, Split<P, 66>>("wgmma 128x128 6 stages", p);
    c.ours<T64, Plain, Split<P, 33>>("128x64", p);
    c.ours<T64, Plain, Split<P, 66>>("128x64", p);
    c.ours<S64, Plain, Split<P, 33>>("64x64", p);
    c.ours<S64, Plain, Split<P, 66>>("64x64", p);
    c.cublas(false);
  }
  {
    Bench<Problem<bf16, 4096, 4096, 4096, false, false, 1>> c("bf16");
    Plain p{out32, 4096};
    c.ours<T256>("128x256 f32 out", p);
    c.ours<T256deep>("128x256x64 f32 out", p);
    c.ours<T128>("128x128 f32 out", p);
    c.ours<W256>("wgmma 128x256 f32 out", p);
    c.ours<W256closed>("wgmma 128x256 closed f32 out", p);
    c.ours<W128>("wgmma 128x128 f32 out", p);
    c.ours<T128deep>("128x128x64 f32 out", p);
    c.cublas(false);
  }
}

template <class T128, class T64, class S64, class More>
static void wide_cases(const char* name, bool tf32) {
  {
    Bench<Problem<float, 40000, 256, 256, false, false, 1>> c(name);
    Plain p{out32, 256};
    c.ours<T128>("128x128", p);
    c.ours<T64>("128x64", p);
    c.ours<S64>("64x64", p);
    c.ours<More>("other", p);
    c.cublas(tf32);
  }
  {
    Bench<Problem<float, 40000, 128, 256, false, false, 1>> c(name);
    Plain p{out32, 128};
    c.ours<T128>("128x128", p);
    c.ours<T64>("128x64", p);
    c.cublas(tf32);
  }
  {
    Bench<Problem<float, 40000, 256, 128, false, true, 1>> c(name);
    Plain p{out32, 256};
    c.ours<T128>("128x128", p);
    c.ours<T64>("128x64", p);
    c.cublas(tf32);
  }
  {
    using P = Problem<float, 256, 256, 40000, true, false, 1>;
    Bench<P> c(name);
    Plain p{out32, 256};
    c.ours<T128, Plain, Split<P, 33>>("128x128", p);
    c.ours<T128, Plain, Split<P, 66>>("128x128", p);
    c.ours<T64, Plain, Split<P, 66>>("128x64", p);
    c.ours<S64, Plain, Split<P, 33>>("64x64", p);
    c.cublas(tf32);
  }
  {
    using P = Problem<float, 256, 128, 40000, true, false, 1>;
    Bench<P> c(name);
    Plain p{out32, 128};
    c.ours<T128, Plain, Split<P, 66>>("128x128", p);
    c.ours<T128, Plain, Split<P, 132>>("128x128", p);
    c.ours<T64, Plain, Split<P, 66>>("128x64", p);
    c.cublas(tf32);
  }
  {
    Bench<Problem<float, 4096, 4096, 4096, false, false, 1>> c(name);
    Plain p{out32, 4096};
    c.ours<T128>("128x128", p);
    c.ours<More>("other", p);
    c.cublas(tf32);
  }
}

int main(int argc, char** argv) {
  if (argc > 1) only = argv[1];
  cudaDeviceProp card;
  CHECK(cudaGetDeviceProperties(&card, 0));
  printf("%s, %d multiprocessors\n", card.name, card.multiProcessorCount);
  CHECK(cudaMalloc(&a32, LARGEST * 4));
  CHECK(cudaMalloc(&b32, LARGEST * 4));
  CHECK(cudaMalloc(&a16, LARGEST * 2));
  CHECK(cudaMalloc(&b16, LARGEST * 2));
  CHECK(cudaMalloc(&out32, LARGEST * 4));
  CHECK(cudaMalloc(&out16, LARGEST * 2));
  CHECK(cudaMalloc(&ref32, LARGEST * 4));
  CHECK(cudaMalloc(&scratch, 64 << 20));
  CHECK(cudaMalloc(&bias, 4096 * 4));
  CHECK(cudaMalloc(&worst, 8));
  fill_kernel<<<LARGEST / 256, 256>>>(a32, LARGEST, 1, 1.0f);
  fill_kernel<<<LARGEST / 256, 256>>>(b32, LARGEST, 2, 0.1f);
  fill_kernel<<<16, 256>>>(bias, 4096, 3, 0.5f);
  narrow_kernel<<<LARGEST / 256, 256>>>(a32, a16, LARGEST);
  narrow_kernel<<<LARGEST / 256, 256>>>(b32, b16, LARGEST);
  CHECK(cudaDeviceSynchronize());
#ifndef NO_CUBLAS
  cublasCreate(&blas);
  void* workspace;
  CHECK(cudaMalloc(&workspace, 64 << 20));
  cublasSetWorkspace(blas, workspace, 64 << 20);
#endif
  bf16_cases();
  // The other tiles: steps of 8 and more stages; 32 and fewer stages; 8 warps.
  wide_cases<F32<il_f32_128x128>, F32<il_f32_128x64>, F32<il_f32_64x64>, F32<il_f32_tile<128, 128, 8, 8, 4, 2>>>("f32", false);
  wide_cases<Tf32<il_tf32_128x128>, Tf32<il_tf32_128x64>, Tf32<il_tf32_64x64>, Tf32<il_tf32_tile<128, 128, 32, 64, 64, 3, 2>>>(
      "tf32", true);
  wide_cases<F32x3<il_tf32_128x128>, F32x3<il_tf32_128x64>, F32x3<il_tf32_64x64>, F32x3<il_tf32_tile<128, 128, 16, 64, 32, 4, 2>>>(
      "x3", false);
}
