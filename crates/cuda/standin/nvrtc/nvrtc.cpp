// The functions of NVRTC 13.0.
#include <cstring>
#include <functional>

#include "compiler.h"
#include "kernels.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace standin {

enum Result : int { SUCCESS = 0, INVALID_INPUT = 3, INVALID_PROGRAM = 4, INVALID_OPTION = 5, COMPILATION = 6 };

struct Program {
    std::string name, text, log, library;
    bool real_architecture = false;
};

namespace {

Result size_of(size_t* size, const std::string& what) {
    if (!size) return INVALID_INPUT;
    *size = what.size();
    return SUCCESS;
}

Result copy(char* to, const std::string& what) {
    if (!to) return INVALID_INPUT;
    memcpy(to, what.data(), what.size());
    return SUCCESS;
}

}  // namespace

// 13.0, but for a minor number that no NVRTC has and every build of this has another one: machine code that somebody
// keeps under the compiler's version is of use to nobody else.
EXPORT Result nvrtcVersion(int* major, int* minor) {
    if (!major || !minor) return INVALID_INPUT;
    *major = 13;
    *minor = 1000 + static_cast<int>(std::hash<std::string>()(home() + (sanitizes() ? " watched" : "")) % 1000000);
    return SUCCESS;
}

EXPORT const char* nvrtcGetErrorString(int result) {
    static const char* const names[] = {
        "NVRTC_SUCCESS", "NVRTC_ERROR_OUT_OF_MEMORY", "NVRTC_ERROR_PROGRAM_CREATION_FAILURE",
        "NVRTC_ERROR_INVALID_INPUT", "NVRTC_ERROR_INVALID_PROGRAM", "NVRTC_ERROR_INVALID_OPTION",
        "NVRTC_ERROR_COMPILATION"};
    return result >= 0 && result < 7 ? names[result] : "NVRTC_ERROR unknown";
}

EXPORT Result nvrtcGetNumSupportedArchs(int* count) { return count ? (*count = 1, SUCCESS) : INVALID_INPUT; }
EXPORT Result nvrtcGetSupportedArchs(int* of) { return of ? (*of = 90, SUCCESS) : INVALID_INPUT; }

// Headers of the program are not taken: kernels need none.
EXPORT Result nvrtcCreateProgram(Program** program, const char* text, const char* name, int headers, const char* const*,
                                 const char* const*) {
    if (!program || !text || headers != 0) return INVALID_INPUT;
    *program = new Program;
    (*program)->name = name && *name ? name : "default_program";
    (*program)->text = text;
    return SUCCESS;
}

EXPORT Result nvrtcDestroyProgram(Program** program) {
    if (!program || !*program) return INVALID_PROGRAM;
    delete *program;
    *program = nullptr;
    return SUCCESS;
}

EXPORT Result nvrtcCompileProgram(Program* program, int count, const char* const* given) {
    if (!program) return INVALID_PROGRAM;
    if (count < 0 || (count && !given)) return INVALID_INPUT;
    program->log.clear();
    program->library.clear();
    Options options(count, given);
    if (!options.unknown.empty()) {
        program->log = "nvrtc: error: unrecognized option " + options.unknown + " found\n";
        return INVALID_OPTION;
    }
    program->real_architecture = options.real_architecture();
    return compile(program->name, program->text, options, program->library, program->log) ? SUCCESS : COMPILATION;
}

EXPORT Result nvrtcGetProgramLogSize(Program* program, size_t* size) {
    if (!program) return INVALID_PROGRAM;
    return size ? (*size = program->log.size() + 1, SUCCESS) : INVALID_INPUT;
}
EXPORT Result nvrtcGetProgramLog(Program* program, char* log) {
    if (!program) return INVALID_PROGRAM;
    return log ? (memcpy(log, program->log.c_str(), program->log.size() + 1), SUCCESS) : INVALID_INPUT;
}

// A cubin is the shared library; there is one only for an architecture that is real.
EXPORT Result nvrtcGetCUBINSize(Program* program, size_t* size) {
    if (!program) return INVALID_PROGRAM;
    return size_of(size, program->real_architecture ? program->library : std::string());
}
EXPORT Result nvrtcGetCUBIN(Program* program, char* to) {
    if (!program) return INVALID_PROGRAM;
    return program->real_architecture ? copy(to, program->library) : INVALID_PROGRAM;
}
EXPORT Result nvrtcGetPTXSize(Program* program, size_t* size) {
    if (!program || program->library.empty()) return INVALID_PROGRAM;
    return size_of(size, program->library);
}
EXPORT Result nvrtcGetPTX(Program* program, char* to) {
    if (!program || program->library.empty()) return INVALID_PROGRAM;
    return copy(to, program->library);
}

}  // namespace standin
