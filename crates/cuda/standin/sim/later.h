// What a thread begins and waits for later: copies into shared memory (cp.async), products of a group of warps (wgmma).
// Nobody knows when it happens before it is waited for: here it does then, and reads what is there then.
#pragma once

namespace il_sim {

inline void commit(Later::Kind kind) { state->commit(kind); }
// Waits until at most so many of the thread's groups are under way.
inline void wait(Later::Kind kind, unsigned pending) {
    Later work;
    while (state->due(kind, pending, work)) work.run(work);
}

// `bytes` at a time, of which the first `valid` are read and the rest is zero; where none are, nothing is. Until then there
// is NaN where they go.
inline void copy_async(void* to, const void* from, unsigned bytes, unsigned valid) {
    if (reinterpret_cast<unsigned long>(to) % bytes || (valid && reinterpret_cast<unsigned long>(from) % bytes))
        __builtin_trap();
    for (unsigned i = 0; i < bytes; i++) static_cast<unsigned char*>(to)[i] = 0xFF;
    auto copy = [](const Later& copy) {
        for (unsigned i = 0; i < copy.bytes; i++)
            static_cast<unsigned char*>(copy.to)[i] = i < copy.valid ? static_cast<const unsigned char*>(copy.from[0])[i] : 0;
    };
    state->begin(Later::Copy, {copy, to, {from, nullptr}, bytes, valid});
}

// run(work) adds the product of what is at `a` and `b` to the sums at `to`.
inline void product_async(void (*run)(const Later& work), void* to, const void* a, const void* b) {
    state->begin(Later::Product, {run, to, {a, b}, 0, 0});
}

}  // namespace il_sim
