// D = epilogue(alpha op(A) op(B) + beta C), as plain loops over column-major matrices.
#pragma once
#include <cstddef>
#include <cstdint>

namespace standin {

// cudaDataType, cublasComputeType_t and cublasLtEpilogue_t: those that are known here.
enum Type : int { F32 = 0, F64 = 1, F16 = 2, I8 = 3, I32 = 10, BF16 = 14 };
enum Compute : int { IN_F32 = 68, IN_TF32 = 77, IN_F64 = 70, IN_I32 = 72 };
enum Epilogue : int { NOTHING = 1, RELU = 2, BIAS = 4, GELU = 32 };  // RELU and GELU also with BIAS

struct Layout {
    int type = F32, order = 0, batches = 1;
    uint64_t rows = 0, columns = 0;
    int64_t leading = 0, batch_stride = 0;  // in elements
    // From the first element to behind the last.
    size_t bytes() const;
};

struct Operation {
    int compute = IN_F32, scale = F32, pointers = 0, transpose_a = 0, transpose_b = 0, epilogue = NOTHING;
    const void* bias = nullptr;
    int64_t bias_stride = 0;
    int bias_type = -1;  // that of D
};

struct Product {
    Operation operation;
    Layout a_layout, b_layout, c_layout, d_layout;
    double alpha, beta;  // exact for every scale type
    const void *a, *b, *c;
    void* d;
    void* workspace;
    size_t workspace_bytes;
};

size_t size_of(int type);
void multiply(const Product& product);

}  // namespace standin
