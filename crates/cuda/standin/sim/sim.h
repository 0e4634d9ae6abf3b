// CUDA C++ as C++ for the CPU. A kernel's text is compiled behind this header, inside of an unnamed namespace. Each
// CUDA thread is a fiber, and one block runs at a time. No header of the system is included: kernels do without them
// under NVRTC as well, and most of the compile time would go there.
#pragma once
#define IL_SIM 1
#include "abi.h"

namespace il_sim {
static State* state;
}

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __constant__ static
// Filled with NaN before each block; the stand-in for the driver finds it by its symbol.
#define __shared__ static
#define IL_DYNAMIC_SHARED(T, name) T* name = reinterpret_cast<T*>(il_sim::state->dynamic_shared)

#define threadIdx (il_sim::state->thread->index)
#define blockIdx (il_sim::state->block)
#define blockDim (il_sim::state->block_dim)
#define gridDim (il_sim::state->grid_dim)
#define warpSize 32

inline void __syncthreads(int line = __builtin_LINE()) { il_sim::state->barrier(line); }
inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}
inline void __trap(int line = __builtin_LINE()) { il_sim::state->fail("__trap()", line); }

#include "numbers.h"
#include "vectors.h"
#include "warp.h"
#include "matrix.h"
#include "later.h"

namespace il_sim {

template <unsigned... I>
struct Indices {};

template <class T>
struct Kind {
    static constexpr bool pointer = false;
};
template <class T>
struct Kind<T*> {
    static constexpr bool pointer = true;
};

template <auto F>
struct Entry;
template <class... A, void (*F)(A...)>
struct Entry<F> {
    static constexpr unsigned count = sizeof...(A);
    struct Table {
        Parameter of[sizeof...(A) + 1];
    };
    static constexpr Table table() {
        Table table{};
        unsigned long end = 0, i = 0;
        ((end = (end + alignof(A) - 1) / alignof(A) * alignof(A), table.of[i++] = {end, sizeof(A), Kind<A>::pointer},
          end += sizeof(A)),
         ...);
        return table;
    }
    static constexpr Table parameters = table();
    template <unsigned... I>
    static void unpack(void** arguments, Indices<I...>) {
        F(*static_cast<A*>(arguments[I])...);
    }
    static void call(void** arguments) { unpack(arguments, Indices<__integer_pack(sizeof...(A))...>()); }
};

}  // namespace il_sim

// The stand-in for NVRTC appends one for each kernel that it finds in the text.
#define IL_SIM_KERNEL(name, max_threads)                                                                  \
    {#name, &il_sim::Entry<&name>::call, il_sim::Entry<&name>::parameters.of, il_sim::Entry<&name>::count, \
     static_cast<unsigned>(max_threads)}
