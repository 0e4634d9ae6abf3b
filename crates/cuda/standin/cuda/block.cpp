#include "block.h"

#include <signal.h>
#include <sys/ucontext.h>
#include <xmmintrin.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <numeric>
#include <vector>

#include "fiber.h"

namespace standin {
namespace {

enum class Waits { No, ForWarp, ForBlock, Ended };

// Of one kind, the oldest first.
struct UnderWay {
    std::deque<il_sim::Later> work;
    std::deque<size_t> groups;  // how many of them each committed group has
    size_t begun;               // how many no group has yet
};

struct Fiber : il_sim::Thread {
    Context context;
    char* stack;  // null before it has begun and after it has ended
    Waits waits;
    const char* operation;
    unsigned mask, members;
    int line;
    il_sim::Slot slot;
    UnderWay later[2];
};

constexpr unsigned warp_size = 32, canary_bytes = 256;

// One launch at a time: the driver holds its lock around it.
il_sim::State state;
const Launch* launch;
Fiber fibers[1024];
il_sim::Slot slots[1024];  // what was given, once all have
unsigned threads;
Fiber* current;
Context scheduler;
Stacks stacks;
Outcome outcome;
struct Fault {
    int signal;
    void* address;
} fault;
uint64_t random_state;  // 0: threads run in order

uint64_t random_below(uint64_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state % n;
}

uint64_t order_seed() {
    static const uint64_t seed = [] {
        const char* text = getenv("IRONLEARN_SIM_ORDER");
        return text ? strtoull(text, nullptr, 10) : 1;
    }();
    return seed;
}

void shuffle(unsigned* order, unsigned n) {
    if (random_state == 0) return;
    for (unsigned i = n; i > 1; i--) std::swap(order[i - 1], order[random_below(i)]);
}

void tell(const Fiber& fiber, int line, const char* why) {
    char where[32] = "";
    if (line > 0) snprintf(where, sizeof where, ", line %d", line);
    fprintf(stderr, "stand-in for CUDA: kernel %s, block (%u,%u,%u), thread (%u,%u,%u)%s: %s\n",
            launch->kernel->name, state.block.x, state.block.y, state.block.z, fiber.index.x, fiber.index.y,
            fiber.index.z, where, why);
}

// The launch is over; the running thread does not go on.
[[noreturn]] void leave(Outcome what) {
    outcome = what;
    switch_context(current->context, scheduler, true);
    __builtin_unreachable();
}

void fail(const char* why, int line) {
    tell(*current, line, why);
    leave(Outcome::Failed);
}

void entry() {
    arrived(&current->context, scheduler);
    launch->kernel->call(launch->arguments);
    current->waits = Waits::Ended;
    switch_context(current->context, scheduler, true);
}

void wait(Waits what, const char* operation, int line) {
    current->waits = what;
    current->operation = operation;
    current->line = line;
    switch_context(current->context, scheduler);
}

void barrier(int line) { wait(Waits::ForBlock, "__syncthreads", line); }

il_sim::Exchange exchange(const char* operation, unsigned mask, int line, const void* value, unsigned bytes) {
    Fiber* self = current;
    if (!(mask >> (self->linear % warp_size) & 1)) fail("the mask does not name the lane that gives it", line);
    if (bytes) memcpy(self->slot.bytes, value, bytes);
    self->mask = mask;
    wait(Waits::ForWarp, operation, line);
    return {slots + self->linear / warp_size * warp_size, self->members};
}

unsigned live_lanes_of(unsigned first) {
    unsigned live = 0;
    for (unsigned i = 0; i < warp_size && first + i < threads; i++)
        live |= (fibers[first + i].waits != Waits::Ended ? 1u : 0u) << i;
    return live;
}

unsigned live_lanes() { return live_lanes_of(current->linear / warp_size * warp_size); }

void begin(il_sim::Later::Kind kind, const il_sim::Later& work) {
    current->later[kind].work.push_back(work);
    current->later[kind].begun++;
}

void commit(il_sim::Later::Kind kind) {
    UnderWay& all = current->later[kind];
    all.groups.push_back(all.begun);
    all.begun = 0;
}

bool due(il_sim::Later::Kind kind, unsigned pending, il_sim::Later& work) {
    UnderWay& all = current->later[kind];
    while (all.groups.size() > pending && all.groups.front() == 0) all.groups.pop_front();
    if (all.groups.size() <= pending) return false;
    all.groups.front()--;
    work = all.work.front();
    all.work.pop_front();
    return true;
}

void resume(Fiber& fiber) {
    if (!fiber.stack) prepare(fiber.context, fiber.stack = stacks.take(), entry);
    state.thread = current = &fiber;
    switch_context(scheduler, fiber.context);
    current = nullptr;
    if (outcome == Outcome::Misaligned) tell(fiber, 0, "reads or writes several bytes where their number does not divide the address");
    if (outcome == Outcome::BadAddress) {
        char why[96];
        const char* format = fault.signal == SIGFPE ? "divides by zero" : "reads or writes address %p, where nothing is";
        snprintf(why, sizeof why, format, fault.address);
        tell(fiber, 0, why);
    }
    if (fiber.waits == Waits::Ended) {
        stacks.give_back(fiber.stack);
        fiber.stack = nullptr;
    }
}

// Lets go the lanes that all wait for each other at one operation.
bool release(unsigned first, const Fiber& one) {
    unsigned members = one.mask & live_lanes_of(first);
    for (unsigned rest = members; rest; rest &= rest - 1) {
        const Fiber& other = fibers[first + __builtin_ctz(rest)];
        if (other.waits != Waits::ForWarp || other.mask != one.mask || strcmp(other.operation, one.operation) != 0)
            return false;
    }
    for (unsigned rest = members; rest; rest &= rest - 1) {
        Fiber& other = fibers[first + __builtin_ctz(rest)];
        slots[other.linear] = other.slot;
        other.members = members;
        other.waits = Waits::No;
    }
    return true;
}

void run_warp(unsigned first) {
    unsigned lanes = threads - first < warp_size ? threads - first : warp_size, order[warp_size];
    std::iota(order, order + lanes, first);
    for (;;) {
        shuffle(order, lanes);
        for (unsigned i = 0; i < lanes; i++) {
            if (fibers[order[i]].waits == Waits::No) resume(fibers[order[i]]);
            if (outcome != Outcome::Done) return;
        }
        // Nobody of the warp runs: who was let go before has read what was given to it.
        const Fiber* stuck = nullptr;
        bool released = false;
        for (unsigned i = first; i < first + lanes; i++) {
            if (fibers[i].waits != Waits::ForWarp) continue;
            if (release(first, fibers[i])) released = true;
            else stuck = &fibers[i];
        }
        if (released) continue;
        if (!stuck) return;
        char why[160];
        snprintf(why, sizeof why, "deadlock: %s waits for lanes of mask %08x that do not come", stuck->operation, stuck->mask);
        tell(*stuck, stuck->line, why);
        outcome = Outcome::Failed;
        return;
    }
}

// Every thread has ended, or they all wait at the same barrier and are let go; anything else is told.
bool pass_barrier() {
    Fiber* waiting = nullptr;
    Fiber* ended = nullptr;
    for (unsigned i = 0; i < threads; i++) (fibers[i].waits == Waits::Ended ? ended : waiting) = &fibers[i];
    if (!waiting) return false;
    for (unsigned i = 0; i < threads; i++) {
        Fiber& fiber = fibers[i];
        if (fiber.waits == Waits::Ended || fiber.line == waiting->line) continue;
        char why[96];
        snprintf(why, sizeof why, "deadlock: other threads wait at the __syncthreads of line %d", waiting->line);
        tell(fiber, fiber.line, why);
        outcome = Outcome::Failed;
        return false;
    }
    if (ended) {
        tell(*waiting, waiting->line, "__syncthreads is reached by a part of the block only");
        outcome = Outcome::Failed;
        return false;
    }
    for (unsigned i = 0; i < threads; i++) fibers[i].waits = Waits::No;
    return true;
}

void poison(Range range) {
    for (size_t i = 0; i < range.bytes; i++) static_cast<volatile unsigned char*>(range.begin)[i] = 0xFF;
}

void run_block() {
    for (Range range : *launch->shared) poison(range);
    memset(state.dynamic_shared, 0xFF, launch->dynamic_shared);
    for (unsigned i = 0; i < threads; i++) {
        fibers[i].stack = nullptr;
        fibers[i].waits = Waits::No;
        for (UnderWay& all : fibers[i].later) {
            all.work.clear();
            all.groups.clear();
            all.begun = 0;
        }
    }
    unsigned warps = (threads + warp_size - 1) / warp_size, order[warp_size];
    std::iota(order, order + warps, 0);
    do {
        shuffle(order, warps);
        for (unsigned i = 0; i < warps && outcome == Outcome::Done; i++) run_warp(order[i] * warp_size);
    } while (outcome == Outcome::Done && pass_barrier());
    for (unsigned i = 0; i < threads; i++) {
        if (!fibers[i].stack) continue;
        forget(fibers[i].stack);
        stacks.give_back(fibers[i].stack);
    }
}

// Signals of a kernel that reads what is not there, or divides an integer by zero; and of an instruction that g++ has put
// where an address is not aligned.
void on_signal(int signal, siginfo_t* info, void* machine);

class Signals {
public:
    Signals() {
        if (sanitized()) return;  // which tells more
        struct sigaction action = {};
        action.sa_sigaction = on_signal;
        action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
        for (int i = 0; i < 4; i++) sigaction(numbers[i], &action, &before[i]);
    }
    ~Signals() {
        if (sanitized()) return;
        for (int i = 0; i < 4; i++) sigaction(numbers[i], &before[i], nullptr);
    }
    static constexpr int numbers[4] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    static inline struct sigaction before[4];
};

thread_local bool runs_kernel;

void on_signal(int signal, siginfo_t* info, void* machine) {
    if (runs_kernel && current) {
        fault = {signal, info->si_addr};
        leave(signal == SIGILL ? Outcome::Misaligned : Outcome::BadAddress);  // and tell it there: the stack of a handler is short
    }
    for (int i = 0; i < 4; i++) {  // another thread's: as it would have been
        const struct sigaction& before = Signals::before[i];
        if (Signals::numbers[i] != signal) continue;
        if (before.sa_flags & SA_SIGINFO) return before.sa_sigaction(signal, info, machine);
        if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
    }
    ::signal(signal, SIG_DFL);
}

// Blocks run in the order of their numbers, or strewn where threads do too.
void run_grid() {
    uint64_t blocks = uint64_t{launch->grid.x} * launch->grid.y * launch->grid.z, step = 1, start = 0;
    if (random_state) {
        start = random_below(blocks);
        do step = 1 + random_below(blocks);
        while (std::gcd(step, blocks) != 1);
    }
    for (uint64_t i = 0; i < blocks && outcome == Outcome::Done; i++) {
        uint64_t block = static_cast<uint64_t>((static_cast<unsigned __int128>(i) * step + start) % blocks);
        state.block = {static_cast<unsigned>(block % launch->grid.x),
                       static_cast<unsigned>(block / launch->grid.x % launch->grid.y),
                       static_cast<unsigned>(block / launch->grid.x / launch->grid.y)};
        run_block();
        for (unsigned b = 0; b < canary_bytes && !sanitized() && outcome == Outcome::Done; b++) {
            if (state.dynamic_shared[launch->dynamic_shared + b] == 0xFE) continue;
            tell(fibers[0], 0, "the block wrote behind its dynamic shared memory");
            outcome = Outcome::BadAddress;
        }
    }
}

}  // namespace

Outcome run(const Launch& what) {
    launch = &what;
    threads = what.block.x * what.block.y * what.block.z;
    for (unsigned i = 0; i < threads; i++) {
        fibers[i].index = {i % what.block.x, i / what.block.x % what.block.y, i / what.block.x / what.block.y};
        fibers[i].linear = i;
    }
    random_state = order_seed() * 0x9E3779B97F4A7C15ull;
    outcome = Outcome::Done;
    // AddressSanitizer sees the end by itself; otherwise marks are looked at.
    size_t bytes = what.dynamic_shared + (sanitized() ? 1 : canary_bytes);
    void* memory = nullptr;
    if (posix_memalign(&memory, 1024, bytes) != 0) return Outcome::Failed;
    std::unique_ptr<void, void (*)(void*)> dynamic(memory, free);
    memset(memory, 0xFE, bytes);
    state = {nullptr, {}, what.block, what.grid, static_cast<unsigned char*>(memory), barrier, exchange, fail, live_lanes,
             begin, commit, due};
    *what.module->state = &state;
    unsigned before = _mm_getcsr();
    _mm_setcsr(what.module->flush ? 0x9FC0 : 0x1F80);
    runs_kernel = true;
    {
        Signals signals;
        run_grid();
    }
    runs_kernel = false;
    _mm_setcsr(before);
    return outcome;
}

}  // namespace standin
