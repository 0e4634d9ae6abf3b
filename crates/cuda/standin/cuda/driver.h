// The state behind the driver's functions. Device memory is host memory; what is enqueued runs at once on the thread
// that enqueues it, or is recorded while its stream is being captured.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_set>
#include <vector>

#include "block.h"

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace standin {

using Pointer = unsigned long long;  // CUdeviceptr

// CUresult: the part that is given back here.
enum Result : int {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    NO_BINARY_FOR_GPU = 209,
    INVALID_HANDLE = 400,
    ILLEGAL_STATE = 401,
    NOT_FOUND = 500,
    ILLEGAL_ADDRESS = 700,
    LAUNCH_OUT_OF_RESOURCES = 701,
    MISALIGNED_ADDRESS = 716,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_MERGE = 902,
    CAPTURE_UNJOINED = 904,
    CAPTURE_ISOLATION = 905,
    CAPTURE_IMPLICIT = 906,
    CAPTURED_EVENT = 907,
    CAPTURE_WRONG_THREAD = 908,
};

// A thing that was enqueued: run it, once or for each launch of a graph.
using Operation = std::function<Result()>;

struct Capture {
    int mode;  // CUstreamCaptureMode: 0 global, 1 of the thread, 2 relaxed
    std::thread::id thread;
    bool blocking;  // the legacy stream would have to wait for it
    bool valid = true;
    std::vector<Operation> operations;
};

struct Stream {
    unsigned flags = 0;
    std::shared_ptr<Capture> capture;
    bool origin = false;    // of the capture, which may have spread to other streams by events
    unsigned since = 0;     // operations of the capture that the origin does not wait for yet
};

struct Event {
    unsigned flags = 0;
    bool recorded = false;
    std::chrono::steady_clock::time_point time;
    std::weak_ptr<Capture> capture;  // where it was recorded during one
    Stream* stream = nullptr;
    unsigned seen = 0;  // `since` of that stream
};

struct Graph {
    std::vector<Operation> operations;
};

struct Module;

struct Function {
    Module* module;
    const il_sim::Kernel* kernel;
    unsigned dynamic_limit;  // bytes of dynamic shared memory that a launch may ask for
    size_t shared_bytes() const;  // what its variables take
};

struct Module {
    void* library;
    const il_sim::Module* contents;
    std::string path;  // of the file that it came from, where that is kept
    std::vector<Range> shared;
    std::map<std::string, size_t> shared_bytes;  // of kernels, as far as they stand in the kernels themselves
    std::map<std::string, std::unique_ptr<Function>> functions;
    ~Module();
};

// All handles of a type that are alive; others are refused.
template <class T>
class Handles {
public:
    T* add(T* it) {
        alive_.insert(it);
        return it;
    }
    bool holds(const void* it) const { return alive_.count(static_cast<T*>(const_cast<void*>(it))) != 0; }
    bool remove(T* it) {
        if (alive_.erase(it) == 0) return false;
        delete it;
        return true;
    }
    const std::unordered_set<T*>& all() const { return alive_; }

private:
    std::unordered_set<T*> alive_;
};

struct Memory {
    size_t bytes, mapped;
    bool host;
};

struct Driver {
    std::recursive_mutex lock;
    std::condition_variable_any something;  // has been done by another thread
    bool initialised = false;
    unsigned contexts = 0;
    Result lost = SUCCESS;  // the sticky error: everything answers with it from then on
    Pointer total = 8ull << 30, used = 0;
    unsigned launches = 0, lose = 0;
    std::map<Pointer, Memory> memory;
    Stream null_stream;
    Handles<Stream> streams;
    Handles<Event> events;
    Handles<Graph> graphs, executables;
    Handles<Module> modules;
    std::unordered_set<const void*> functions;
    std::vector<std::weak_ptr<Capture>> captures;

    Driver();
    // The stream of a handle (null: the legacy stream), or null where it is none.
    Stream* stream(void* handle);
    // Whether [p, p + bytes) lies in one live allocation.
    bool in_bounds(Pointer p, size_t bytes) const;
    // Runs the operation, or records it.
    Result submit(Stream& stream, Operation operation);
    Result run(const Operation& operation);
    // Refuses what may not happen while a stream is captured, which ends the worth of that capture.
    Result unsafe_in_capture();
    // The same for a call that uses the legacy stream.
    Result legacy_stream();
};

Driver& driver();
bool has_context();

// The beginning of each function of the driver: its lock, and the errors that come before all others.
#define ENTER()                                                     \
    Driver& d = driver();                                           \
    std::lock_guard<std::recursive_mutex> hold(d.lock);             \
    if (!d.initialised) return NOT_INITIALIZED;                     \
    if (d.lost) return d.lost;                                      \
    if (!has_context()) return INVALID_CONTEXT
#define TRY(result)                         \
    if (Result r = result; r != SUCCESS) return r
#define STREAM(name, handle)                \
    Stream* name = d.stream(handle);        \
    if (!name) return INVALID_HANDLE

// Launch limits of compute capability 9.0.
constexpr unsigned max_shared = 48 << 10, max_shared_optin = 227 << 10, shared_of_processor = 228 << 10;
constexpr unsigned max_threads = 1024, processors = 132;

}  // namespace standin
