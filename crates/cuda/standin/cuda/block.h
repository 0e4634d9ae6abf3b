// Runs the blocks of a launch, one after the other, each thread as a fiber.
#pragma once
#include <cstddef>
#include <vector>

#include "../sim/abi.h"

namespace standin {

struct Range {
    unsigned char* begin;
    size_t bytes;
};

struct Launch {
    const il_sim::Module* module;
    const std::vector<Range>* shared;  // variables of the module
    const il_sim::Kernel* kernel;
    dim3 grid, block;
    unsigned dynamic_shared;
    void** arguments;
};

enum class Outcome { Done, Failed, BadAddress, Misaligned };

// Runs all of it on the calling thread; what went wrong is told on standard error.
Outcome run(const Launch& launch);

}  // namespace standin
