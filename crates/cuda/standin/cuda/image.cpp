#include "image.h"

#include <elf.h>

#include <cstdlib>
#include <cstring>

namespace standin {
namespace {

// The function of a variable's mangled name: _ZZ <function> E <variable>. Of a kernel, its length and its name.
std::string function_of(const char* symbol) {
    char* end;
    size_t length = strtoul(symbol + 3, &end, 10);
    bool is_kernel = end != symbol + 3 && strlen(end) > length && end[length] == 'E';
    return is_kernel ? std::string(end, length) : symbol + 3;
}

}  // namespace

size_t image_bytes(const void* image) {
    auto* header = static_cast<const Elf64_Ehdr*>(image);
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_machine != EM_X86_64) return 0;
    return header->e_shoff + size_t{header->e_shentsize} * header->e_shnum;
}

std::vector<Shared> shared_variables(const void* image) {
    auto* bytes = static_cast<const char*>(image);
    auto* header = static_cast<const Elf64_Ehdr*>(image);
    auto* sections = reinterpret_cast<const Elf64_Shdr*>(bytes + header->e_shoff);
    std::vector<Shared> found;
    for (int i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        const char* names = bytes + sections[sections[i].sh_link].sh_offset;
        auto* symbols = reinterpret_cast<const Elf64_Sym*>(bytes + sections[i].sh_offset);
        for (size_t s = 0; s < sections[i].sh_size / sizeof *symbols; s++) {
            const Elf64_Sym& symbol = symbols[s];
            const char* name = names + symbol.st_name;
            bool is_variable = ELF64_ST_TYPE(symbol.st_info) == STT_OBJECT && symbol.st_shndx < header->e_shnum;
            if (!is_variable || strncmp(name, "_ZZ", 3) != 0 || sections[symbol.st_shndx].sh_type != SHT_NOBITS) continue;
            found.push_back({symbol.st_value, symbol.st_size, function_of(name)});
        }
    }
    return found;
}

}  // namespace standin
