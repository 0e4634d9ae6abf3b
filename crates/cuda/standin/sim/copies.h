// Copies into shared memory that a thread begins, and waits for later: cp.async. Nobody knows when one happens before it is
// waited for: until then there is NaN where it goes, and what it reads is read only then.
#pragma once

namespace il_sim {

// The first `valid` bytes are read, the rest is zero; where none are, nothing is.
inline void copy_async(void* to, const void* from, unsigned bytes, unsigned valid) {
    if (reinterpret_cast<unsigned long>(to) % bytes || (valid && reinterpret_cast<unsigned long>(from) % bytes))
        __builtin_trap();
    for (unsigned i = 0; i < bytes; i++) static_cast<unsigned char*>(to)[i] = 0xFF;
    state->begin_copy({static_cast<unsigned char*>(to), static_cast<const unsigned char*>(from), bytes, valid});
}
inline void copy_commit() { state->commit_copies(); }
// Waits until at most so many of the thread's groups are under way.
inline void copy_wait(unsigned pending) {
    Copy copy;
    while (state->due_copy(pending, copy))
        for (unsigned i = 0; i < copy.bytes; i++) copy.to[i] = i < copy.valid ? copy.from[i] : 0;
}

}  // namespace il_sim
