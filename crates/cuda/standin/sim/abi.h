// What a compiled module of kernels and the stand-in for the driver know of each other.
#pragma once

struct uint3 {
    unsigned x, y, z;
};

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

namespace il_sim {

struct Thread {
    uint3 index;
    unsigned linear;
};

// What one lane gives to the others of its warp.
struct alignas(16) Slot {
    unsigned char bytes[32];
};

struct Exchange {
    const Slot* slots;  // [32], of which only those of members were written
    unsigned members;   // a bit for each lane that took part
};

// What is under way: see later.h.
struct Later {
    enum Kind { Copy, Product };
    void (*run)(const Later& work);
    void* to;
    const void* from[2];
    unsigned bytes, valid;
};

// The running block, and what its threads ask of the scheduler. `line` is a line of the kernel's text.
struct State {
    const Thread* thread;
    uint3 block;
    dim3 block_dim, grid_dim;
    unsigned char* dynamic_shared;
    void (*barrier)(int line);
    Exchange (*exchange)(const char* operation, unsigned mask, int line, const void* value, unsigned bytes);
    void (*fail)(const char* why, int line);  // does not return
    unsigned (*live_lanes)();
    void (*begin)(Later::Kind kind, const Later& work);
    void (*commit)(Later::Kind kind);
    bool (*due)(Later::Kind kind, unsigned pending, Later& work);  // one of the groups that are no longer to be under way
};

struct Parameter {
    unsigned long offset, size;
    bool pointer;
};

struct Kernel {
    const char* name;
    void (*call)(void** arguments);
    const Parameter* parameters;
    unsigned count;
    unsigned max_threads;  // of __launch_bounds__, or 0
};

// The one symbol that a module exports, as `il_sim_module`.
struct Module {
    const Kernel* kernels;
    unsigned count;
    bool flush;  // denormals are zero: -ftz=true
    State** state;
};

}  // namespace il_sim
