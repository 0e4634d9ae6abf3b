// Vector types with CUDA's alignment, and the reinterpretation of bits.
#pragma once

#define IL_SIM_VECTORS(T, name)                                                        \
    struct alignas(2 * sizeof(T)) name##2 {                                            \
        T x, y;                                                                        \
    };                                                                                 \
    struct name##3 {                                                                   \
        T x, y, z;                                                                     \
    };                                                                                 \
    struct alignas(sizeof(T) < 8 ? 4 * sizeof(T) : 16) name##4 {                       \
        T x, y, z, w;                                                                  \
    };                                                                                 \
    inline name##2 make_##name##2(T x, T y) { return {x, y}; }                         \
    inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }                 \
    inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
IL_SIM_VECTORS(signed char, char)
IL_SIM_VECTORS(unsigned char, uchar)
IL_SIM_VECTORS(short, short)
IL_SIM_VECTORS(unsigned short, ushort)
IL_SIM_VECTORS(int, int)
IL_SIM_VECTORS(long long, longlong)
IL_SIM_VECTORS(unsigned long long, ulonglong)
IL_SIM_VECTORS(float, float)
IL_SIM_VECTORS(double, double)
#undef IL_SIM_VECTORS

struct alignas(8) uint2 {
    unsigned x, y;
};
struct alignas(16) uint4 {
    unsigned x, y, z, w;
};
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

inline unsigned __float_as_uint(float x) { return il_sim::bits<unsigned>(x); }
inline int __float_as_int(float x) { return il_sim::bits<int>(x); }
inline float __uint_as_float(unsigned x) { return il_sim::bits<float>(x); }
inline float __int_as_float(int x) { return il_sim::bits<float>(x); }
inline long long __double_as_longlong(double x) { return il_sim::bits<long long>(x); }
inline double __longlong_as_double(long long x) { return il_sim::bits<double>(x); }
inline int __double2hiint(double x) { return static_cast<int>(__double_as_longlong(x) >> 32); }
inline int __double2loint(double x) { return static_cast<int>(__double_as_longlong(x)); }

template <class T>
inline T __ldg(const T* p) {
    return *p;
}
template <class T>
inline T __ldcs(const T* p) {
    return *p;
}
template <class T>
inline T __ldcg(const T* p) {
    return *p;
}
template <class T, class U>
inline void __stcs(T* p, U value) {
    *p = value;
}
