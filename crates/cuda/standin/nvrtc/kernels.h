// The kernels that a text defines.
#pragma once
#include <string>
#include <vector>

namespace standin {

struct KernelText {
    std::string name, max_threads;  // the first argument of __launch_bounds__, or "0"
};

// Finds every `extern "C" __global__ void name(`, also with `__launch_bounds__(...)` before the name.
std::vector<KernelText> find_kernels(const std::string& text);

}  // namespace standin
