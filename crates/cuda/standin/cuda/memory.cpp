// Allocations, copies and fills.
#include <sys/mman.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.h"
#include "fiber.h"

namespace standin {
namespace {

constexpr size_t page = 4096, alignment = 256;

size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Fresh memory is NaN in any type of float. Without AddressSanitizer, which sees the exact end, it ends before a page
// that cannot be touched, as near as the alignment allows; what lies between is looked at when it is freed.
bool allocate(size_t bytes, Pointer& at, size_t& mapped) {
    if (sanitized()) {
        void* memory = nullptr;
        mapped = 0;
        if (posix_memalign(&memory, alignment, bytes) != 0) return false;
        memset(memory, 0xFF, bytes);
        at = reinterpret_cast<Pointer>(memory);
        return true;
    }
    size_t inside = round_up(bytes, alignment), pages = round_up(inside, page);
    mapped = pages + page;
    void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return false;
    mprotect(static_cast<char*>(memory) + pages, page, PROT_NONE);
    at = reinterpret_cast<Pointer>(memory) + pages - inside;
    memset(reinterpret_cast<void*>(at), 0xFF, inside);
    return true;
}

Result release(Pointer at, const Memory& memory) {
    if (!memory.mapped) return free(reinterpret_cast<void*>(at)), SUCCESS;
    Result result = SUCCESS;
    size_t inside = round_up(memory.bytes, alignment);
    for (size_t i = memory.bytes; i < inside; i++) {
        if (reinterpret_cast<unsigned char*>(at)[i] == 0xFF) continue;
        fprintf(stderr, "stand-in for CUDA: something wrote %zu bytes behind an allocation of %zu bytes\n",
                i - memory.bytes + 1, memory.bytes);
        result = driver().lost = ILLEGAL_ADDRESS;
        break;
    }
    munmap(reinterpret_cast<void*>(at + inside + page - memory.mapped), memory.mapped);
    return result;
}

Result take(Pointer* at, size_t bytes, bool host) {
    ENTER();
    TRY(d.unsafe_in_capture());
    if (!at || bytes == 0) return INVALID_VALUE;
    Pointer charged = host ? 0 : round_up(bytes, alignment);
    if (charged < (host ? 0 : bytes) || charged > d.total - d.used) return OUT_OF_MEMORY;
    size_t mapped;
    if (!allocate(bytes, *at, mapped)) return OUT_OF_MEMORY;
    d.used += charged;
    d.memory[*at] = {bytes, mapped, host};
    return SUCCESS;
}

Result give_back(Pointer at, bool host) {
    ENTER();
    TRY(d.unsafe_in_capture());
    if (!at) return SUCCESS;
    auto found = d.memory.find(at);
    if (found == d.memory.end() || found->second.host != host) return INVALID_VALUE;
    Memory memory = found->second;
    d.memory.erase(found);
    if (!host) d.used -= round_up(memory.bytes, alignment);
    return release(at, memory);
}

// A side of a copy: device memory is looked up each time that the copy runs, a graph may live longer.
struct Side {
    Pointer at;
    bool device;
    bool valid(size_t bytes) const { return device ? driver().in_bounds(at, bytes) : at != 0; }
};

Result copy(Side to, Side from, size_t bytes, Stream& stream) {
    if (bytes == 0) return SUCCESS;
    if (!to.valid(bytes) || !from.valid(bytes)) return INVALID_VALUE;
    return driver().submit(stream, [=] {
        if (!to.valid(bytes) || !from.valid(bytes)) return ILLEGAL_ADDRESS;
        memmove(reinterpret_cast<void*>(to.at), reinterpret_cast<const void*>(from.at), bytes);
        return SUCCESS;
    });
}

template <class T>
Result fill(Pointer at, T value, size_t count, Stream& stream) {
    if (at % sizeof(T) || count > SIZE_MAX / sizeof(T)) return INVALID_VALUE;
    if (count == 0) return SUCCESS;
    Side to{at, true};
    if (!to.valid(count * sizeof(T))) return INVALID_VALUE;
    return driver().submit(stream, [=] {
        if (!to.valid(count * sizeof(T))) return ILLEGAL_ADDRESS;
        for (size_t i = 0; i < count; i++) reinterpret_cast<T*>(at)[i] = value;
        return SUCCESS;
    });
}

Pointer number(const void* p) { return reinterpret_cast<Pointer>(p); }

}  // namespace

bool Driver::in_bounds(Pointer p, size_t bytes) const {
    auto found = memory.upper_bound(p);
    if (found == memory.begin()) return false;
    --found;
    Pointer inside = p - found->first;
    return inside <= found->second.bytes && bytes <= found->second.bytes - inside;
}

EXPORT Result cuMemGetInfo_v2(size_t* available, size_t* total) {
    ENTER();
    if (!available || !total) return INVALID_VALUE;
    *total = d.total;
    *available = d.total - d.used;
    return SUCCESS;
}

EXPORT Result cuMemAlloc_v2(Pointer* at, size_t bytes) { return take(at, bytes, false); }
EXPORT Result cuMemFree_v2(Pointer at) { return give_back(at, false); }
EXPORT Result cuMemAllocHost_v2(void** at, size_t bytes) { return take(reinterpret_cast<Pointer*>(at), bytes, true); }
EXPORT Result cuMemHostAlloc(void** at, size_t bytes, unsigned) { return cuMemAllocHost_v2(at, bytes); }
EXPORT Result cuMemFreeHost(void* at) { return give_back(number(at), true); }

EXPORT Result cuMemcpyHtoDAsync_v2(Pointer to, const void* from, size_t bytes, void* stream) {
    ENTER();
    STREAM(s, stream);
    return copy({to, true}, {number(from), false}, bytes, *s);
}
EXPORT Result cuMemcpyDtoHAsync_v2(void* to, Pointer from, size_t bytes, void* stream) {
    ENTER();
    STREAM(s, stream);
    return copy({number(to), false}, {from, true}, bytes, *s);
}
EXPORT Result cuMemcpyDtoDAsync_v2(Pointer to, Pointer from, size_t bytes, void* stream) {
    ENTER();
    STREAM(s, stream);
    return copy({to, true}, {from, true}, bytes, *s);
}
EXPORT Result cuMemcpyHtoD_v2(Pointer to, const void* from, size_t bytes) {
    ENTER();
    TRY(d.legacy_stream());
    return copy({to, true}, {number(from), false}, bytes, d.null_stream);
}
EXPORT Result cuMemcpyDtoH_v2(void* to, Pointer from, size_t bytes) {
    ENTER();
    TRY(d.legacy_stream());
    return copy({number(to), false}, {from, true}, bytes, d.null_stream);
}
EXPORT Result cuMemcpyDtoD_v2(Pointer to, Pointer from, size_t bytes) {
    ENTER();
    TRY(d.legacy_stream());
    return copy({to, true}, {from, true}, bytes, d.null_stream);
}

EXPORT Result cuMemsetD8Async(Pointer at, unsigned char value, size_t count, void* stream) {
    ENTER();
    STREAM(s, stream);
    return fill(at, value, count, *s);
}
EXPORT Result cuMemsetD32Async(Pointer at, unsigned value, size_t count, void* stream) {
    ENTER();
    STREAM(s, stream);
    return fill(at, value, count, *s);
}
EXPORT Result cuMemsetD8_v2(Pointer at, unsigned char value, size_t count) {
    ENTER();
    TRY(d.legacy_stream());
    return fill(at, value, count, d.null_stream);
}
EXPORT Result cuMemsetD32_v2(Pointer at, unsigned value, size_t count) {
    ENTER();
    TRY(d.legacy_stream());
    return fill(at, value, count, d.null_stream);
}

}  // namespace standin
