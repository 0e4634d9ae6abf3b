// Twins of the tensor-core instructions, and the number formats that go with them. A kernel calls them under IL_SIM
// where it has inline PTX otherwise. How a matrix lies over the lanes is said in the PTX ISA, section "Matrix
// Fragments"; g = lane / 4 and q = lane % 4 there.
#pragma once

namespace il_sim {

inline float bf16_to_float(unsigned short x) { return bits<float>(static_cast<unsigned>(x) << 16); }
inline unsigned short float_to_bf16(float x) {  // to nearest, ties to even
    unsigned u = bits<unsigned>(x);
    if (x != x) return 0x7FFF;
    return static_cast<unsigned short>((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}
inline float half_to_float(unsigned short x) { return static_cast<float>(bits<_Float16>(x)); }
inline unsigned short float_to_half(float x) { return bits<unsigned short>(static_cast<_Float16>(x)); }
// cvt.rna.tf32.f32: to nearest, ties away from zero
inline unsigned float_to_tf32(float x) {
    unsigned u = bits<unsigned>(x);
    return (u & 0x7F800000) == 0x7F800000 ? u : (u + 0x1000) & ~0x1FFFu;
}

struct Bf16 {
    static constexpr unsigned per_register = 2;
    using Sum = float;
    static float value(unsigned r, unsigned i) { return bf16_to_float(static_cast<unsigned short>(r >> 16 * i)); }
};
struct Half {
    static constexpr unsigned per_register = 2;
    using Sum = float;
    static float value(unsigned r, unsigned i) { return half_to_float(static_cast<unsigned short>(r >> 16 * i)); }
};
struct Tf32 {  // the low 13 bits are not looked at: rounding is the kernel's
    static constexpr unsigned per_register = 1;
    using Sum = float;
    static float value(unsigned r, unsigned) { return bits<float>(r & ~0x1FFFu); }
};
struct Int8 {
    static constexpr unsigned per_register = 4;
    using Sum = int;
    static int value(unsigned r, unsigned i) { return static_cast<signed char>(r >> 8 * i); }
};

// d += a b for one 16 x 8 tile, k = 8 elements a register. Sums run in the order of k, in the type of d.
template <class Format>
inline void mma(const char* name, int line, typename Format::Sum (&d)[4], const unsigned (&a)[4],
                const unsigned (&b)[2]) {
    struct Registers {
        unsigned a[4], b[2];
    } own{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}};
    Exchange all = give(name, ~0u, line, own);
    if (all.members != ~0u) state->fail("a tensor-core instruction wants all lanes of its warp", line);
    constexpr unsigned E = Format::per_register;
    unsigned g = lane() >> 2, q = lane() & 3;
    // Rows g and g + 8 of a, columns 2 q and 2 q + 1 of b: all that goes into this lane's four numbers.
    typename Format::Sum rows[2][8 * E], columns[2][8 * E];
    for (unsigned quarter = 0; quarter < 4; quarter++) {
        for (unsigned i = 0; i < 2; i++) {
            Registers of_a, of_b;
            __builtin_memcpy(&of_a, all.slots[g * 4 + quarter].bytes, sizeof of_a);
            __builtin_memcpy(&of_b, all.slots[(2 * q + i) * 4 + quarter].bytes, sizeof of_b);
            for (unsigned k = 0; k < 2 * E; k++) {
                unsigned half = k / E, element = k % E, at = half * 4 * E + quarter * E + element;
                rows[i][at] = Format::value(of_a.a[i + 2 * half], element);
                columns[i][at] = Format::value(of_b.b[half], element);
            }
        }
    }
    for (unsigned e = 0; e < 4; e++)
        for (unsigned k = 0; k < 8 * E; k++) d[e] += rows[e >> 1][k] * columns[e & 1][k];
}

inline void mma_m16n8k16_bf16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                              int line = __builtin_LINE()) {
    mma<Bf16>("mma.m16n8k16.bf16", line, d, a, b);
}
inline void mma_m16n8k16_f16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                             int line = __builtin_LINE()) {
    mma<Half>("mma.m16n8k16.f16", line, d, a, b);
}
inline void mma_m16n8k8_tf32(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                             int line = __builtin_LINE()) {
    mma<Tf32>("mma.m16n8k8.tf32", line, d, a, b);
}
inline void mma_m16n8k32_s8(int (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2],
                            int line = __builtin_LINE()) {
    mma<Int8>("mma.m16n8k32.s8", line, d, a, b);
}

// N matrices of 8 x 8 numbers of 16 bits. Lane 8 m + r names row r of matrix m: 8 numbers at `row`, aligned to 16.
template <unsigned N>
inline void ldmatrix(const char* name, int line, bool transposed, unsigned (&r)[N], const void* row) {
    Exchange all = give(name, ~0u, line, row);
    if (all.members != ~0u) state->fail("ldmatrix wants all lanes of its warp", line);
    if (lane() < 8 * N && reinterpret_cast<unsigned long>(row) % 16) state->fail("a row of ldmatrix is not aligned", line);
    unsigned g = lane() >> 2, q = lane() & 3;
    for (unsigned m = 0; m < N; m++) {
        r[m] = 0;
        for (unsigned i = 0; i < 2; i++) {
            unsigned in_row = transposed ? 2 * q + i : g, in_column = transposed ? g : 2 * q + i;
            unsigned short element = given<const unsigned short*>(all, 8 * m + in_row)[in_column];
            r[m] |= static_cast<unsigned>(element) << 16 * i;
        }
    }
}
inline void ldmatrix_x4(unsigned (&r)[4], const void* row, int line = __builtin_LINE()) {
    ldmatrix("ldmatrix.x4", line, false, r, row);
}
inline void ldmatrix_x4_trans(unsigned (&r)[4], const void* row, int line = __builtin_LINE()) {
    ldmatrix("ldmatrix.x4.trans", line, true, r, row);
}
inline void ldmatrix_x2(unsigned (&r)[2], const void* row, int line = __builtin_LINE()) {
    ldmatrix("ldmatrix.x2", line, false, r, row);
}
inline void ldmatrix_x2_trans(unsigned (&r)[2], const void* row, int line = __builtin_LINE()) {
    ldmatrix("ldmatrix.x2.trans", line, true, r, row);
}

}  // namespace il_sim
