// Mathematics, conversions and the arithmetic of bits, by CUDA's names.
#pragma once

namespace il_sim {

template <class To, class From>
inline To bits(From from) {
    static_assert(sizeof(To) == sizeof(From), "as many bits");
    To to;
    __builtin_memcpy(&to, &from, sizeof to);
    return to;
}

// float -> integer as the hardware does it: NaN is 0, and what is too large is the largest.
template <class To, class From>
inline To saturate(From x, To least, To most) {
    if (x != x) return 0;
    if (x <= static_cast<From>(least)) return least;
    return x >= static_cast<From>(most) ? most : static_cast<To>(x);
}

}  // namespace il_sim

// Functions of one argument, with their overloads.
#define IL_SIM_MATH(name)                                          \
    extern "C" double name(double) noexcept;                       \
    extern "C" float name##f(float) noexcept;                      \
    inline float name(float x) { return name##f(x); }
IL_SIM_MATH(exp)
IL_SIM_MATH(exp2)
IL_SIM_MATH(expm1)
IL_SIM_MATH(log)
IL_SIM_MATH(log2)
IL_SIM_MATH(log10)
IL_SIM_MATH(log1p)
IL_SIM_MATH(sqrt)
IL_SIM_MATH(cbrt)
IL_SIM_MATH(sin)
IL_SIM_MATH(cos)
IL_SIM_MATH(tan)
IL_SIM_MATH(asin)
IL_SIM_MATH(acos)
IL_SIM_MATH(atan)
IL_SIM_MATH(sinh)
IL_SIM_MATH(cosh)
IL_SIM_MATH(tanh)
IL_SIM_MATH(erf)
IL_SIM_MATH(erfc)
IL_SIM_MATH(lgamma)
IL_SIM_MATH(tgamma)
IL_SIM_MATH(floor)
IL_SIM_MATH(ceil)
IL_SIM_MATH(trunc)
IL_SIM_MATH(round)
IL_SIM_MATH(rint)
IL_SIM_MATH(nearbyint)
IL_SIM_MATH(fabs)
#undef IL_SIM_MATH

#define IL_SIM_MATH(name)                                                  \
    extern "C" double name(double, double) noexcept;                       \
    extern "C" float name##f(float, float) noexcept;                       \
    inline float name(float x, float y) { return name##f(x, y); }
IL_SIM_MATH(pow)
IL_SIM_MATH(fmod)
IL_SIM_MATH(remainder)
IL_SIM_MATH(atan2)
IL_SIM_MATH(hypot)
IL_SIM_MATH(copysign)
IL_SIM_MATH(nextafter)
IL_SIM_MATH(fdim)
IL_SIM_MATH(fmin)
IL_SIM_MATH(fmax)
#undef IL_SIM_MATH

extern "C" double fma(double, double, double) noexcept;
extern "C" float fmaf(float, float, float) noexcept;
inline float fma(float x, float y, float z) { return fmaf(x, y, z); }
extern "C" double ldexp(double, int) noexcept;
extern "C" float ldexpf(float, int) noexcept;
inline float ldexp(float x, int n) { return ldexpf(x, n); }
extern "C" void sincos(double, double*, double*) noexcept;
extern "C" void sincosf(float, float*, float*) noexcept;

inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }
inline bool isnan(float x) { return __builtin_isnan(x); }
inline bool isnan(double x) { return __builtin_isnan(x); }
inline bool isinf(float x) { return __builtin_isinf(x); }
inline bool isinf(double x) { return __builtin_isinf(x); }
inline bool isfinite(float x) { return __builtin_isfinite(x); }
inline bool isfinite(double x) { return __builtin_isfinite(x); }
inline bool signbit(float x) { return __builtin_signbit(x); }
inline bool signbit(double x) { return __builtin_signbit(x); }

extern "C" int abs(int) noexcept;
extern "C" long labs(long) noexcept;
extern "C" long long llabs(long long) noexcept;
inline long abs(long x) { return x < 0 ? -x : x; }
inline long long abs(long long x) { return x < 0 ? -x : x; }
inline float abs(float x) { return fabsf(x); }
inline double abs(double x) { return fabs(x); }

#define IL_SIM_ORDER(T)                              \
    inline T min(T a, T b) { return b < a ? b : a; } \
    inline T max(T a, T b) { return a < b ? b : a; }
IL_SIM_ORDER(int)
IL_SIM_ORDER(unsigned)
IL_SIM_ORDER(long)
IL_SIM_ORDER(unsigned long)
IL_SIM_ORDER(long long)
IL_SIM_ORDER(unsigned long long)
#undef IL_SIM_ORDER
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline double min(double a, double b) { return fmin(a, b); }
inline double max(double a, double b) { return fmax(a, b); }
inline unsigned min(int a, unsigned b) { return min(static_cast<unsigned>(a), b); }
inline unsigned min(unsigned a, int b) { return min(a, static_cast<unsigned>(b)); }
inline unsigned max(int a, unsigned b) { return max(static_cast<unsigned>(a), b); }
inline unsigned max(unsigned a, int b) { return max(a, static_cast<unsigned>(b)); }

// The fast ones of the hardware, here as exact as the others.
inline float __expf(float x) { return expf(x); }
inline float __exp10f(float x) { return powf(10.0f, x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __saturatef(float x) { return x > 0.0f ? (x < 1.0f ? x : 1.0f) : 0.0f; }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __drcp_rn(double x) { return 1.0 / x; }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline double __dadd_rn(double x, double y) { return x + y; }
inline double __dsub_rn(double x, double y) { return x - y; }
inline double __dmul_rn(double x, double y) { return x * y; }
inline double __ddiv_rn(double x, double y) { return x / y; }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }

#define IL_SIM_CAST(prefix, From, name, To, least, most)                                                        \
    inline To prefix##2##name##_rn(From x) { return il_sim::saturate<To, From>(rint(x), least, most); }         \
    inline To prefix##2##name##_rz(From x) { return il_sim::saturate<To, From>(trunc(x), least, most); }        \
    inline To prefix##2##name##_rd(From x) { return il_sim::saturate<To, From>(floor(x), least, most); }        \
    inline To prefix##2##name##_ru(From x) { return il_sim::saturate<To, From>(ceil(x), least, most); }
#define IL_SIM_CASTS(prefix, From)                                                                   \
    IL_SIM_CAST(prefix, From, int, int, -__INT_MAX__ - 1, __INT_MAX__)                               \
    IL_SIM_CAST(prefix, From, uint, unsigned, 0u, ~0u)                                               \
    IL_SIM_CAST(prefix, From, ll, long long, -__LONG_LONG_MAX__ - 1, __LONG_LONG_MAX__)              \
    IL_SIM_CAST(prefix, From, ull, unsigned long long, 0ull, ~0ull)
IL_SIM_CASTS(__float, float)
IL_SIM_CASTS(__double, double)
#undef IL_SIM_CASTS
#undef IL_SIM_CAST
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }
inline float __ll2float_rn(long long x) { return static_cast<float>(x); }
inline float __ull2float_rn(unsigned long long x) { return static_cast<float>(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }
inline double __int2double_rn(int x) { return x; }
inline double __ll2double_rn(long long x) { return static_cast<double>(x); }

inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
inline unsigned __brev(unsigned x) {
    unsigned reversed = 0;
    for (int i = 0; i < 32; i++) reversed |= (x >> i & 1) << (31 - i);
    return reversed;
}
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned selector) {
    unsigned long long both = static_cast<unsigned long long>(y) << 32 | x;
    unsigned result = 0;
    for (int i = 0; i < 4; i++) {
        unsigned pick = selector >> 4 * i & 15, byte = both >> 8 * (pick & 7) & 255;
        result |= (pick & 8 ? (byte & 128 ? 255u : 0u) : byte) << 8 * i;
    }
    return result;
}
inline int __mulhi(int x, int y) { return static_cast<int>(static_cast<long long>(x) * y >> 32); }
inline unsigned __umulhi(unsigned x, unsigned y) { return static_cast<unsigned long long>(x) * y >> 32; }
inline long long __mul64hi(long long x, long long y) { return static_cast<__int128>(x) * y >> 64; }
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
    return static_cast<unsigned __int128>(x) * y >> 64;
}
inline int __dp4a(int x, int y, int sum) {
    for (int i = 0; i < 4; i++) sum += static_cast<signed char>(x >> 8 * i) * static_cast<signed char>(y >> 8 * i);
    return sum;
}
