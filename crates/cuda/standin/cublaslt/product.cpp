#include "product.h"

#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

// Tests wait for these loops.
#pragma GCC optimize("O3")

namespace standin {
namespace {

template <class To, class From>
To bits(From from) {
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

float from_bf16(uint16_t x) { return bits<float>(uint32_t{x} << 16); }
uint16_t to_bf16(float x) {
    uint32_t u = bits<uint32_t>(x);
    return std::isnan(x) ? 0x7FFF : static_cast<uint16_t>((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}
float to_tf32(float x) {
    uint32_t u = bits<uint32_t>(x);
    return std::isfinite(x) ? bits<float>((u + 0xFFF + (u >> 13 & 1)) & ~uint32_t{0x1FFF}) : x;
}

// S is the type of the sums: float, double, or int, where overflow wraps.
template <class S>
S load(const void* from, int type, size_t i) {
    switch (type) {
        case F32: return static_cast<S>(static_cast<const float*>(from)[i]);
        case F64: return static_cast<S>(static_cast<const double*>(from)[i]);
        case F16: return static_cast<S>(static_cast<float>(static_cast<const _Float16*>(from)[i]));
        case BF16: return static_cast<S>(from_bf16(static_cast<const uint16_t*>(from)[i]));
        case I8: return static_cast<S>(static_cast<const int8_t*>(from)[i]);
        default: return static_cast<S>(static_cast<const int32_t*>(from)[i]);
    }
}

template <class S>
void store(void* to, int type, size_t i, S value) {
    switch (type) {
        case F32: static_cast<float*>(to)[i] = static_cast<float>(value); break;
        case F64: static_cast<double*>(to)[i] = static_cast<double>(value); break;
        case F16: static_cast<_Float16*>(to)[i] = static_cast<_Float16>(static_cast<float>(value)); break;
        case BF16: static_cast<uint16_t*>(to)[i] = to_bf16(static_cast<float>(value)); break;
        default: static_cast<int32_t*>(to)[i] = static_cast<int32_t>(value);
    }
}

// One matrix of a batch as numbers of type S, with rows next to each other: result[column * rows + row].
template <class S>
std::vector<S> gather(const void* from, const Layout& layout, int batch, bool transpose, bool tf32) {
    size_t rows = transpose ? layout.columns : layout.rows, columns = transpose ? layout.rows : layout.columns;
    std::vector<S> numbers(rows * columns);
    for (size_t column = 0; column < columns; column++)
        for (size_t row = 0; row < rows; row++) {
            size_t at = transpose ? row * layout.leading + column : column * layout.leading + row;
            S value = load<S>(from, layout.type, at + batch * layout.batch_stride);
            if constexpr (std::is_same_v<S, float>) value = tf32 ? to_tf32(value) : value;
            numbers[column * rows + row] = value;
        }
    return numbers;
}

template <class S>
S finish(const Operation& operation, S value) {
    if (operation.epilogue & RELU) return value > 0 ? value : (value <= 0 ? S(0) : value);
    if constexpr (std::is_floating_point_v<S>)
        if (operation.epilogue & GELU)  // the form with tanh, as in cuBLASLt
            return S(0.5) * value * (1 + std::tanh(S(0.7978845608028654) * (value + S(0.044715) * value * value * value)));
    return value;
}

template <class S>
void multiply_as(const Product& p) {
    // Of integers, sums wrap.
    using Sum = std::conditional_t<std::is_same_v<S, int>, unsigned, S>;
    size_t m = p.d_layout.rows, n = p.d_layout.columns;
    bool tf32 = p.operation.compute == IN_TF32;
    std::vector<Sum> sums(m);
    for (int batch = 0; batch < p.d_layout.batches; batch++) {
        auto a = gather<S>(p.a, p.a_layout, batch, p.operation.transpose_a, tf32);
        auto b = gather<S>(p.b, p.b_layout, batch, p.operation.transpose_b, tf32);
        size_t k = m ? a.size() / m : 0;
        for (size_t column = 0; column < n; column++) {
            std::fill(sums.begin(), sums.end(), Sum(0));
            for (size_t i = 0; i < k; i++) {
                Sum factor = static_cast<Sum>(b[column * k + i]);
                for (size_t row = 0; row < m; row++) sums[row] += static_cast<Sum>(a[i * m + row]) * factor;
            }
            for (size_t row = 0; row < m; row++) {
                Sum sum = static_cast<Sum>(static_cast<S>(p.alpha)) * sums[row];
                size_t at = column * p.c_layout.leading + row + batch * p.c_layout.batch_stride;
                if (p.beta != 0)
                    sum += static_cast<Sum>(static_cast<S>(p.beta)) * static_cast<Sum>(load<S>(p.c, p.c_layout.type, at));
                S value = static_cast<S>(sum);
                int bias_type = p.operation.bias_type < 0 ? p.d_layout.type : p.operation.bias_type;
                if (p.operation.epilogue & BIAS)
                    value += load<S>(p.operation.bias, bias_type, row + batch * p.operation.bias_stride);
                at = column * p.d_layout.leading + row + batch * p.d_layout.batch_stride;
                store<S>(p.d, p.d_layout.type, at, finish<S>(p.operation, value));
            }
        }
    }
}

}  // namespace

size_t size_of(int type) {
    switch (type) {
        case F64: return 8;
        case F16: case BF16: return 2;
        case I8: return 1;
        default: return 4;
    }
}

size_t Layout::bytes() const {
    if (rows == 0 || columns == 0 || batches == 0) return 0;
    return ((batches - 1) * batch_stride + (columns - 1) * leading + rows) * size_of(type);
}

void multiply(const Product& product) {
    switch (product.operation.compute) {
        case IN_F64: return multiply_as<double>(product);
        case IN_I32: return multiply_as<int>(product);
        default: return multiply_as<float>(product);
    }
}

}  // namespace standin
