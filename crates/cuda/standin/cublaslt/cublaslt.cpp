// The functions of cuBLASLt 13.0, for the products that are known here; all others are not supported.
#include <cstdio>
#include <cstring>
#include <initializer_list>

#include "product.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

// Of the stand-in for libcuda.
extern "C" int il_sim_enqueue(void* stream, int (*work)(void*), void* data, void (*drop)(void*));
extern "C" int il_sim_in_bounds(unsigned long long p, size_t bytes);

namespace standin {

enum Status : int { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, EXECUTION_FAILED = 13, NOT_SUPPORTED = 15 };

struct Preference {
    uint64_t workspace = 0;
};
struct Algorithm {
    uint64_t problem, workspace, unused[6];
};
struct Heuristic {
    Algorithm algorithm;
    size_t workspace;
    Status state;
    float waves;
    int reserved[4];
};
static_assert(sizeof(Algorithm) == 64 && sizeof(Heuristic) == 96, "cublasLtMatmulHeuristicResult_t");

namespace {

char the_library;
constexpr size_t wanted_workspace = 1024;

template <class T>
Status set(T& value, const void* from, size_t bytes) {
    if (!from || bytes != sizeof(T)) return INVALID_VALUE;
    memcpy(&value, from, bytes);
    return SUCCESS;
}

// What is multiplied, as one number: a plan is of use for nothing else.
uint64_t problem_of(const Operation& o, const Layout& a, const Layout& b, const Layout& d) {
    uint64_t hash = 0xCBF29CE484222325;
    for (uint64_t part : {uint64_t(o.compute), uint64_t(o.transpose_a), uint64_t(o.transpose_b), uint64_t(o.epilogue),
                          uint64_t(a.type), uint64_t(b.type), uint64_t(d.type), d.rows, d.columns, a.rows, a.columns})
        hash = (hash ^ part) * 0x100000001B3;
    return hash;
}

bool types_fit(const Operation& o, const Layout& a, const Layout& b, const Layout& c, const Layout& d) {
    if (a.type != b.type || c.type != d.type) return false;
    switch (o.compute) {
        case IN_F64: return o.scale == F64 && a.type == F64 && d.type == F64;
        case IN_TF32: return o.scale == F32 && a.type == F32 && d.type == F32;
        case IN_I32: return o.scale == I32 && a.type == I8 && d.type == I32;
        case IN_F32:
            if (o.scale != F32) return false;
            if (a.type == F32) return d.type == F32;
            return (a.type == F16 || a.type == BF16) && (d.type == a.type || d.type == F32);
        default: return false;
    }
}

// What cuBLASLt asks of 8-bit integers on tensor cores, in plain column order.
bool integers_fit(const Operation& o, const Layout& a, const Layout& b, const Layout& d) {
    if (o.compute != IN_I32) return true;
    return o.transpose_a && !o.transpose_b && o.epilogue == NOTHING && d.rows % 4 == 0 && a.rows % 4 == 0 &&
           a.leading % 4 == 0 && b.leading % 4 == 0 && d.leading % 4 == 0;
}

Status check(const Operation& o, const Layout& a, const Layout& b, const Layout& c, const Layout& d) {
    uint64_t k = o.transpose_a ? a.rows : a.columns;
    if ((o.transpose_a ? a.columns : a.rows) != d.rows || (o.transpose_b ? b.rows : b.columns) != d.columns ||
        (o.transpose_b ? b.columns : b.rows) != k || c.rows != d.rows || c.columns != d.columns)
        return INVALID_VALUE;
    for (const Layout* layout : {&a, &b, &c, &d}) {
        if (layout->rows == 0 || layout->columns == 0 || layout->leading < static_cast<int64_t>(layout->rows)) return INVALID_VALUE;
        if (layout->batches != d.batches) return INVALID_VALUE;
        if (layout->order != 0) return NOT_SUPPORTED;
    }
    int base = o.epilogue & ~BIAS;
    if (o.epilogue != NOTHING && base != 0 && base != RELU && base != GELU) return NOT_SUPPORTED;
    if (o.pointers != 0 || !types_fit(o, a, b, c, d) || !integers_fit(o, a, b, d)) return NOT_SUPPORTED;
    return o.bias_type < 0 || o.bias_type == d.type ? SUCCESS : NOT_SUPPORTED;
}

double scalar(const void* from, int type) {
    if (type == F64) return *static_cast<const double*>(from);
    if (type == I32) return *static_cast<const int32_t*>(from);
    return *static_cast<const float*>(from);
}

bool live(const char* name, const void* p, size_t bytes) {
    if (il_sim_in_bounds(reinterpret_cast<unsigned long long>(p), bytes)) return true;
    fprintf(stderr, "stand-in for CUDA: cublasLtMatmul: %s is %p with %zu bytes, where no allocation is\n", name, p, bytes);
    return false;
}

int work(void* data) {
    const Product& p = *static_cast<Product*>(data);
    constexpr int illegal_address = 700;
    const Operation& o = p.operation;
    if (!live("A", p.a, p.a_layout.bytes()) || !live("B", p.b, p.b_layout.bytes()) || !live("D", p.d, p.d_layout.bytes()))
        return illegal_address;
    if (p.beta != 0 && !live("C", p.c, p.c_layout.bytes())) return illegal_address;
    size_t bias = ((p.d_layout.batches - 1) * o.bias_stride + p.d_layout.rows) * size_of(p.d_layout.type);
    if (o.epilogue & BIAS && !live("the bias", o.bias, bias)) return illegal_address;
    if (p.workspace_bytes && !live("the workspace", p.workspace, p.workspace_bytes)) return illegal_address;
    if (p.workspace_bytes) memset(p.workspace, 0xFF, p.workspace_bytes);  // whoever keeps something there shall notice
    multiply(p);
    return 0;
}

}  // namespace

EXPORT Status cublasLtCreate(void** handle) { return handle ? (*handle = &the_library, SUCCESS) : INVALID_VALUE; }
EXPORT Status cublasLtDestroy(void* handle) { return handle == &the_library ? SUCCESS : NOT_INITIALIZED; }
EXPORT size_t cublasLtGetVersion() { return 130000; }

EXPORT const char* cublasLtGetStatusName(int status) {
    switch (status) {
        case SUCCESS: return "CUBLAS_STATUS_SUCCESS";
        case NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
        case INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
        case EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
        case NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
        default: return "CUBLAS_STATUS unknown";
    }
}
EXPORT const char* cublasLtGetStatusString(int status) { return cublasLtGetStatusName(status); }

EXPORT Status cublasLtMatmulDescCreate(Operation** made, int compute, int scale) {
    if (!made) return INVALID_VALUE;
    *made = new Operation;
    (*made)->compute = compute == 69 || compute == 71 || compute == 73 ? compute - 1 : compute;  // the pedantic ones
    (*made)->scale = scale;
    return SUCCESS;
}
EXPORT Status cublasLtMatmulDescDestroy(Operation* operation) { return delete operation, SUCCESS; }
EXPORT Status cublasLtMatmulDescSetAttribute(Operation* operation, int attribute, const void* from, size_t bytes) {
    if (!operation) return INVALID_VALUE;
    switch (attribute) {
        case 0: return set(operation->compute, from, bytes);
        case 1: return set(operation->scale, from, bytes);
        case 2: return set(operation->pointers, from, bytes);
        case 3: return set(operation->transpose_a, from, bytes);
        case 4: return set(operation->transpose_b, from, bytes);
        case 7: return set(operation->epilogue, from, bytes);
        case 8: return set(operation->bias, from, bytes);
        case 10: return set(operation->bias_stride, from, bytes);
        case 26: return set(operation->bias_type, from, bytes);
        default: return NOT_SUPPORTED;
    }
}

EXPORT Status cublasLtMatrixLayoutCreate(Layout** made, int type, uint64_t rows, uint64_t columns, int64_t leading) {
    if (!made) return INVALID_VALUE;
    *made = new Layout;
    (*made)->type = type;
    (*made)->rows = rows;
    (*made)->columns = columns;
    (*made)->leading = leading;
    return SUCCESS;
}
EXPORT Status cublasLtMatrixLayoutDestroy(Layout* layout) { return delete layout, SUCCESS; }
EXPORT Status cublasLtMatrixLayoutSetAttribute(Layout* layout, int attribute, const void* from, size_t bytes) {
    if (!layout) return INVALID_VALUE;
    switch (attribute) {
        case 0: return set(layout->type, from, bytes);
        case 1: return set(layout->order, from, bytes);
        case 2: return set(layout->rows, from, bytes);
        case 3: return set(layout->columns, from, bytes);
        case 4: return set(layout->leading, from, bytes);
        case 5: return set(layout->batches, from, bytes);
        case 6: return set(layout->batch_stride, from, bytes);
        default: return NOT_SUPPORTED;
    }
}

EXPORT Status cublasLtMatmulPreferenceCreate(Preference** made) { return made ? (*made = new Preference, SUCCESS) : INVALID_VALUE; }
EXPORT Status cublasLtMatmulPreferenceDestroy(Preference* preference) { return delete preference, SUCCESS; }
EXPORT Status cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* from, size_t bytes) {
    if (!preference) return INVALID_VALUE;
    if (attribute == 1) return set(preference->workspace, from, bytes);
    return attribute >= 0 && attribute <= 13 ? SUCCESS : INVALID_VALUE;  // all others change nothing here
}

EXPORT Status cublasLtMatmulAlgoGetHeuristic(void* handle, const Operation* operation, const Layout* a, const Layout* b,
                                             const Layout* c, const Layout* d, const Preference* preference, int wanted,
                                             Heuristic* results, int* count) {
    if (!handle) return NOT_INITIALIZED;
    if (!operation || !a || !b || !c || !d || !preference || wanted < 1 || !results || !count) return INVALID_VALUE;
    *count = 0;
    Status status = check(*operation, *a, *b, *c, *d);
    if (status != SUCCESS) return status;
    *count = 1;
    size_t workspace = preference->workspace < wanted_workspace ? 0 : wanted_workspace;
    results[0] = {{problem_of(*operation, *a, *b, *d), workspace, {}}, workspace, SUCCESS, 1.0f, {}};
    return SUCCESS;
}

EXPORT Status cublasLtMatmul(void* handle, const Operation* operation, const void* alpha, const void* a,
                             const Layout* a_layout, const void* b, const Layout* b_layout, const void* beta,
                             const void* c, const Layout* c_layout, void* d, const Layout* d_layout,
                             const Algorithm* algorithm, void* workspace, size_t workspace_bytes, void* stream) {
    if (!handle) return NOT_INITIALIZED;
    if (!operation || !a_layout || !b_layout || !c_layout || !d_layout || !alpha || !beta || !a || !b || !d) return INVALID_VALUE;
    Status status = check(*operation, *a_layout, *b_layout, *c_layout, *d_layout);
    if (status != SUCCESS) return status;
    if (operation->epilogue != NOTHING && operation->epilogue & BIAS && !operation->bias) return INVALID_VALUE;
    if (algorithm && algorithm->problem != problem_of(*operation, *a_layout, *b_layout, *d_layout)) return NOT_SUPPORTED;
    size_t needed = algorithm ? algorithm->workspace : 0;
    if (needed > workspace_bytes || (needed && !workspace)) return INVALID_VALUE;
    double by = scalar(alpha, operation->scale), old = scalar(beta, operation->scale);
    if (operation->compute == IN_I32 && ((by != 0 && by != 1) || (old != 0 && old != 1))) return NOT_SUPPORTED;
    if (old != 0 && !c) return INVALID_VALUE;
    auto* product = new Product{*operation, *a_layout, *b_layout, *c_layout, *d_layout, by, old, a, b, c, d, workspace, needed};
    auto drop = [](void* data) { delete static_cast<Product*>(data); };
    return il_sim_enqueue(stream, work, product, drop) == 0 ? SUCCESS : EXECUTION_FAILED;
}

}  // namespace standin
