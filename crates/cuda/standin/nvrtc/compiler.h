// g++, and a folder of what it has compiled before.
#pragma once
#include <string>

#include "options.h"

namespace standin {

// The folder that this library was built into, where sim/sim.h is.
const std::string& home();
// Whether kernels are compiled for AddressSanitizer.
bool sanitizes();
// Compiles a kernel text into the bytes of a shared library. False, with g++'s words in `log`, where that fails.
bool compile(const std::string& name, const std::string& text, const Options& options, std::string& library,
             std::string& log);

}  // namespace standin
