// The options of NVRTC, as far as they mean something to g++.
#pragma once
#include <algorithm>
#include <string>
#include <vector>

namespace standin {

struct Options {
    std::vector<std::string> for_compiler;  // of g++
    std::string macros;  // lines of the text: the headers of the stand-in are not to see them
    std::string architecture = "compute_75";
    bool flush = false;  // denormals are zero
    std::string unknown;  // the first that NVRTC does not have

    Options(int count, const char* const* given);
    bool includes() const { return std::count(for_compiler.begin(), for_compiler.end(), "-include") != 0; }
    // Only then there is a cubin.
    bool real_architecture() const { return architecture.compare(0, 3, "sm_") == 0; }
};

}  // namespace standin
