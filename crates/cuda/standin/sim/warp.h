// What the threads of a warp do together, and atomic operations.
#pragma once

namespace il_sim {

template <class T>
struct Same {
    using type = T;
};

inline unsigned lane() { return state->thread->linear & 31; }

// The value that `source` gave; all ones, a NaN, where that lane has ended or was not asked.
template <class T>
inline T given(Exchange exchange, unsigned source) {
    T value;
    if (exchange.members >> source & 1) __builtin_memcpy(&value, exchange.slots[source].bytes, sizeof value);
    else __builtin_memset(&value, 0xFF, sizeof value);
    return value;
}

template <class T>
inline Exchange give(const char* operation, unsigned mask, int line, const T& value) {
    static_assert(sizeof(T) <= sizeof(Slot), "what a lane can give");
    return state->exchange(operation, mask, line, &value, sizeof value);
}

inline unsigned vote(const char* operation, unsigned mask, int line, bool yes) {
    Exchange all = give(operation, mask, line, yes);
    unsigned ballot = 0;
    for (unsigned i = 0; i < 32; i++) ballot |= (all.members >> i & 1 && all.slots[i].bytes[0] ? 1u : 0u) << i;
    return ballot;
}

template <class T, class F>
inline T reduce(const char* operation, unsigned mask, int line, T value, F combine) {
    Exchange all = give(operation, mask, line, value);
    unsigned rest = all.members & (all.members - 1);
    T result = given<T>(all, __builtin_ctz(all.members));
    for (; rest; rest &= rest - 1) result = combine(result, given<T>(all, __builtin_ctz(rest)));
    return result;
}

}  // namespace il_sim

inline void __syncwarp(unsigned mask = ~0u, int line = __builtin_LINE()) {
    il_sim::state->exchange("__syncwarp", mask, line, nullptr, 0);
}
inline unsigned __activemask() { return il_sim::state->live_lanes(); }

template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, int line = __builtin_LINE()) {
    unsigned first = il_sim::lane() & ~(width - 1u);
    return il_sim::given<T>(il_sim::give("__shfl_sync", mask, line, value), first + (source & (width - 1u)));
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, int line = __builtin_LINE()) {
    il_sim::Exchange all = il_sim::give("__shfl_up_sync", mask, line, value);
    unsigned lane = il_sim::lane(), first = lane & ~(width - 1u);
    return lane - first >= delta ? il_sim::given<T>(all, lane - delta) : value;
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, int line = __builtin_LINE()) {
    il_sim::Exchange all = il_sim::give("__shfl_down_sync", mask, line, value);
    unsigned lane = il_sim::lane(), inside = lane & (width - 1u);
    return inside + delta < static_cast<unsigned>(width) ? il_sim::given<T>(all, lane + delta) : value;
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, int line = __builtin_LINE()) {
    il_sim::Exchange all = il_sim::give("__shfl_xor_sync", mask, line, value);
    unsigned lane = il_sim::lane(), source = lane ^ lanes, end = (lane & ~(width - 1u)) + width;
    return source < end ? il_sim::given<T>(all, source) : value;
}

inline unsigned __ballot_sync(unsigned mask, int yes, int line = __builtin_LINE()) {
    return il_sim::vote("__ballot_sync", mask, line, yes);
}
inline int __any_sync(unsigned mask, int yes, int line = __builtin_LINE()) {
    return il_sim::vote("__any_sync", mask, line, yes) != 0;
}
inline int __all_sync(unsigned mask, int yes, int line = __builtin_LINE()) {
    return il_sim::vote("__all_sync", mask, line, !yes) == 0;
}

#define IL_SIM_REDUCE(name, T, result)                                                              \
    inline T __reduce_##name##_sync(unsigned mask, T value, int line = __builtin_LINE()) {          \
        return il_sim::reduce("__reduce_" #name "_sync", mask, line, value, [](T a, T b) -> T { return result; }); \
    }
IL_SIM_REDUCE(add, int, a + b)
IL_SIM_REDUCE(add, unsigned, a + b)
IL_SIM_REDUCE(min, int, min(a, b))
IL_SIM_REDUCE(min, unsigned, min(a, b))
IL_SIM_REDUCE(max, int, max(a, b))
IL_SIM_REDUCE(max, unsigned, max(a, b))
IL_SIM_REDUCE(and, unsigned, a & b)
IL_SIM_REDUCE(or, unsigned, a | b)
IL_SIM_REDUCE(xor, unsigned, a ^ b)
#undef IL_SIM_REDUCE

// One thread runs at a time, so that each of these is one by itself.
#define IL_SIM_ATOMIC(name, result)                                             \
    template <class T>                                                          \
    inline T atomic##name(T* p, typename il_sim::Same<T>::type value) {         \
        T old = *p;                                                             \
        *p = result;                                                            \
        return old;                                                             \
    }
IL_SIM_ATOMIC(Add, old + value)
IL_SIM_ATOMIC(Sub, old - value)
IL_SIM_ATOMIC(Exch, value)
IL_SIM_ATOMIC(Min, value < old ? value : old)
IL_SIM_ATOMIC(Max, old < value ? value : old)
IL_SIM_ATOMIC(And, old & value)
IL_SIM_ATOMIC(Or, old | value)
IL_SIM_ATOMIC(Xor, old ^ value)
IL_SIM_ATOMIC(Inc, old >= value ? 0 : old + 1)
IL_SIM_ATOMIC(Dec, old == 0 || old > value ? value : old - 1)
#undef IL_SIM_ATOMIC
template <class T>
inline T atomicCAS(T* p, typename il_sim::Same<T>::type expected, typename il_sim::Same<T>::type value) {
    T old = *p;
    if (old == expected) *p = value;
    return old;
}
