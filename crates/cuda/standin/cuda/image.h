// What is read from a module's image, a shared library of ELF.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace standin {

// A __shared__ variable, as an offset from where the library is loaded.
struct Shared {
    size_t offset, bytes;
    std::string function;  // mangled, that it stands in: the name itself for a kernel
};

// How long an image is, which nobody tells: its table of sections stands at its end. 0: that is none.
size_t image_bytes(const void* image);
// All variables of functions that are neither initialised nor constant. Found by their symbols, as templates put theirs
// into no section of their choice.
std::vector<Shared> shared_variables(const void* image);

}  // namespace standin
