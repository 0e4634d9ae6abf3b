// Modules, functions and their launch.
#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.h"
#include "fiber.h"
#include "image.h"

namespace standin {
namespace {

Module* describe(Module* module, const void* image) {
    Dl_info where;
    if (!dladdr(module->contents, &where)) return module;
    for (const Shared& variable : shared_variables(image)) {
        module->shared.push_back({static_cast<unsigned char*>(where.dli_fbase) + variable.offset, variable.bytes});
        module->shared_bytes[variable.function] += variable.bytes;
    }
    return module;
}

Module* load(const void* image, size_t bytes) {
    const char* folder = getenv("TMPDIR");
    std::string path = std::string(folder ? folder : "/tmp") + "/ironlearn-kernels-XXXXXX";
    int file = mkstemp(path.data());
    if (file < 0) return nullptr;
    bool written = write(file, image, bytes) == static_cast<ssize_t>(bytes);
    close(file);
    void* library = written ? dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) : nullptr;
    if (written && !library) fprintf(stderr, "stand-in for CUDA: %s\n", dlerror());
    auto* contents = library ? static_cast<il_sim::Module*>(dlsym(library, "il_sim_module")) : nullptr;
    // AddressSanitizer reads lines of the text from the file when it finds something.
    if (!sanitized() || !contents) unlink(path.c_str()), path.clear();
    if (contents) return describe(new Module{library, contents, path, {}, {}, {}}, image);
    if (library) dlclose(library);
    return nullptr;
}

Result check(const Function& function, dim3 grid, dim3 block, unsigned shared) {
    if (!grid.x || !grid.y || !grid.z || !block.x || !block.y || !block.z) return INVALID_VALUE;
    if (grid.x > 2147483647u || grid.y > 65535 || grid.z > 65535) return INVALID_VALUE;
    if (block.x > 1024 || block.y > 1024 || block.z > 64) return INVALID_VALUE;
    uint64_t threads = uint64_t{block.x} * block.y * block.z;
    if (threads > max_threads) return INVALID_VALUE;
    if (function.kernel->max_threads && threads > function.kernel->max_threads) return INVALID_VALUE;
    size_t fixed = function.shared_bytes();
    return fixed > max_shared || shared + fixed > std::max<size_t>(function.dynamic_limit, max_shared) ? INVALID_VALUE : SUCCESS;
}

// A device would find out when it follows the pointer. Here also a pointer that is never followed has to be good, or
// null.
bool pointers_live(const il_sim::Kernel& kernel, void* const* arguments) {
    for (unsigned i = 0; i < kernel.count; i++) {
        if (!kernel.parameters[i].pointer) continue;
        Pointer p;
        memcpy(&p, arguments[i], sizeof p);
        if (!p || driver().in_bounds(p, 0)) continue;
        fprintf(stderr, "stand-in for CUDA: kernel %s: argument %u is %#llx, where no allocation is\n", kernel.name, i, p);
        return false;
    }
    return true;
}

struct Arguments {
    std::vector<std::vector<unsigned char>> values;
    std::vector<void*> pointers;
    Arguments(const il_sim::Kernel& kernel, void** from) : values(kernel.count), pointers(kernel.count) {
        for (unsigned i = 0; i < kernel.count; i++) {
            auto* bytes = static_cast<const unsigned char*>(from[i]);
            values[i].assign(bytes, bytes + kernel.parameters[i].size);
            pointers[i] = values[i].data();
        }
    }
};

Result execute(const void* handle, const Function& function, dim3 grid, dim3 block, unsigned shared, Arguments& arguments) {
    Driver& d = driver();
    if (!d.functions.count(handle)) return ILLEGAL_ADDRESS;  // of a module that was unloaded
    if (++d.launches == d.lose) {
        fprintf(stderr, "stand-in for CUDA: launch %u, of kernel %s, is lost as planned\n", d.lose, function.kernel->name);
        return ILLEGAL_ADDRESS;
    }
    if (!pointers_live(*function.kernel, arguments.pointers.data())) return ILLEGAL_ADDRESS;
    Launch launch{function.module->contents, &function.module->shared, function.kernel, grid, block, shared, arguments.pointers.data()};
    switch (run(launch)) {
        case Outcome::Done: return SUCCESS;
        case Outcome::BadAddress: return ILLEGAL_ADDRESS;
        case Outcome::Misaligned: return MISALIGNED_ADDRESS;
        default: return LAUNCH_FAILED;
    }
}

}  // namespace

size_t Function::shared_bytes() const {
    auto found = module->shared_bytes.find(kernel->name);
    return found == module->shared_bytes.end() ? 0 : found->second;
}

Module::~Module() {
    for (auto& [name, function] : functions) driver().functions.erase(function.get());
    dlclose(library);
    if (!path.empty()) unlink(path.c_str());
}

EXPORT Result cuModuleLoadData(Module** module, const void* image) {
    ENTER();
    TRY(d.unsafe_in_capture());
    if (!module || !image) return INVALID_VALUE;
    size_t bytes = image_bytes(image);
    if (bytes == 0) return INVALID_IMAGE;
    Module* loaded = load(image, bytes);
    if (!loaded) return INVALID_IMAGE;
    *module = d.modules.add(loaded);
    return SUCCESS;
}

EXPORT Result cuModuleLoadDataEx(Module** module, const void* image, unsigned, int*, void**) {
    return cuModuleLoadData(module, image);
}

EXPORT Result cuModuleUnload(Module* module) {
    ENTER();
    TRY(d.unsafe_in_capture());
    return d.modules.remove(module) ? SUCCESS : INVALID_HANDLE;
}

EXPORT Result cuModuleGetFunction(Function** function, Module* module, const char* name) {
    ENTER();
    if (!d.modules.holds(module)) return INVALID_HANDLE;
    if (!function || !name || !*name) return INVALID_VALUE;
    for (unsigned i = 0; i < module->contents->count; i++) {
        const il_sim::Kernel& kernel = module->contents->kernels[i];
        if (strcmp(kernel.name, name) != 0) continue;
        auto& made = module->functions[name];
        if (!made) made = std::make_unique<Function>(Function{module, &kernel, max_shared});
        d.functions.insert(made.get());
        *function = made.get();
        return SUCCESS;
    }
    return NOT_FOUND;
}

EXPORT Result cuFuncGetParamInfo(Function* function, size_t index, size_t* offset, size_t* size) {
    ENTER();
    if (!d.functions.count(function)) return INVALID_HANDLE;
    if (!offset || index >= function->kernel->count) return INVALID_VALUE;
    *offset = function->kernel->parameters[index].offset;
    if (size) *size = function->kernel->parameters[index].size;
    return SUCCESS;
}

EXPORT Result cuFuncGetAttribute(int* value, int attribute, Function* function) {
    ENTER();
    if (!d.functions.count(function)) return INVALID_HANDLE;
    if (!value || attribute < 0) return INVALID_VALUE;
    unsigned bound = function->kernel->max_threads;
    switch (attribute) {
        case 0: *value = static_cast<int>(bound ? bound : max_threads); break;
        case 1: *value = static_cast<int>(function->shared_bytes()); break;
        case 4: *value = 32; break;               // registers
        case 5: case 6: *value = 90; break;       // versions of PTX and of the binary
        case 8: *value = static_cast<int>(function->dynamic_limit); break;
        default: *value = 0;
    }
    return SUCCESS;
}

EXPORT Result cuFuncSetAttribute(Function* function, int attribute, int value) {
    ENTER();
    if (!d.functions.count(function)) return INVALID_HANDLE;
    if (attribute == 9) return value >= -1 && value <= 100 ? SUCCESS : INVALID_VALUE;  // the share of L1, a hint
    if (attribute != 8 || value < 0 || value > static_cast<int>(max_shared_optin - function->shared_bytes())) return INVALID_VALUE;
    function->dynamic_limit = static_cast<unsigned>(value) > max_shared ? static_cast<unsigned>(value) : max_shared;
    return SUCCESS;
}

EXPORT Result cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, Function* function, int threads, size_t shared) {
    ENTER();
    if (!d.functions.count(function)) return INVALID_HANDLE;
    if (!blocks || threads <= 0) return INVALID_VALUE;
    shared += function->shared_bytes();
    size_t by_threads = 2048 / ((static_cast<unsigned>(threads) + 31) / 32 * 32), by_shared = shared_of_processor / (shared + 1024);
    if (threads > static_cast<int>(max_threads) || shared > function->dynamic_limit) by_threads = 0;
    *blocks = static_cast<int>(std::min({by_threads, by_shared, size_t{32}}));
    return SUCCESS;
}

EXPORT Result cuLaunchKernel(Function* function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                             unsigned block_y, unsigned block_z, unsigned shared, void* stream, void** arguments,
                             void** extra) {
    ENTER();
    STREAM(s, stream);
    if (!d.functions.count(function)) return INVALID_HANDLE;
    if (extra) return NOT_SUPPORTED;
    dim3 grid(grid_x, grid_y, grid_z), block(block_x, block_y, block_z);
    TRY(check(*function, grid, block, shared));
    const il_sim::Kernel& kernel = *function->kernel;
    if (kernel.count && !arguments) return INVALID_VALUE;
    for (unsigned i = 0; i < kernel.count; i++)
        if (!arguments[i]) return INVALID_VALUE;
    auto copied = std::make_shared<Arguments>(kernel, arguments);  // their places are the caller's again
    return d.submit(*s, [=] { return execute(function, *function, grid, block, shared, *copied); });
}

// What libcublasLt enqueues: `work(data)` when it is its turn, once or often; `drop(data)` when it will not come again.
EXPORT Result il_sim_enqueue(void* stream, int (*work)(void*), void* data, void (*drop)(void*)) {
    std::shared_ptr<void> owned(data, drop);
    ENTER();
    STREAM(s, stream);
    return d.submit(*s, [=] { return static_cast<Result>(work(owned.get())); });
}

// What libnccl needs while its work runs, which holds the lock: to wait until others have done something, for which they
// have the lock meanwhile; and to tell that it has.
EXPORT int il_sim_wait(int (*ready)(void*), void* data) {
    Driver& d = driver();
    std::lock_guard<std::recursive_mutex> hold(d.lock);
    d.lock.unlock();  // held by the caller too: once it has to be, for the wait to let others in
    auto is_ready = [&] { return ready(data) != 0; };
    bool done = d.something.wait_for(d.lock, std::chrono::seconds(30), is_ready);
    d.lock.lock();
    return done ? 0 : 1;
}
EXPORT void il_sim_wake() { driver().something.notify_all(); }

// Runs with the lock.
EXPORT void il_sim_alone(void (*work)(void*), void* data) {
    std::lock_guard<std::recursive_mutex> hold(driver().lock);
    work(data);
}

EXPORT int il_sim_in_bounds(Pointer p, size_t bytes) {
    std::lock_guard<std::recursive_mutex> hold(driver().lock);
    return driver().in_bounds(p, bytes);
}

}  // namespace standin
