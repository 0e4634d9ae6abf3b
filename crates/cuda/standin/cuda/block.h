// Runs the blocks of a launch, one after the other, each thread as a fiber.
#pragma once
#include <string>

#include "../sim/abi.h"

namespace standin {

struct Launch {
    const il_sim::Module* module;
    const il_sim::Kernel* kernel;
    dim3 grid, block;
    unsigned dynamic_shared;
    void** arguments;
};

enum class Outcome { Done, Failed, BadAddress };

// Runs all of it on the calling thread; what went wrong is told on standard error.
Outcome run(const Launch& launch);

}  // namespace standin
