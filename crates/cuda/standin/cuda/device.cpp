// The library, its devices, its context, the names of errors.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "driver.h"

namespace standin {
namespace {

// More than one would be of no use: handles are compared with it, never followed.
char the_context;
thread_local void* current_context;

struct Error {
    Result code;
    const char *name, *text;
};
constexpr Error errors[] = {
    {SUCCESS, "CUDA_SUCCESS", "no error"},
    {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {ILLEGAL_STATE, "CUDA_ERROR_ILLEGAL_STATE", "the operation cannot be performed in the present state"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {CAPTURE_INVALIDATED, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {CAPTURE_MERGE, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "operation would make two captures depend on each other"},
    {CAPTURE_ISOLATION, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency on uncaptured work in another stream"},
    {CAPTURE_UNJOINED, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED",
     "capturing stream has unjoined work"},
    {CAPTURE_IMPLICIT, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
     "operation would make the legacy stream depend on a capturing blocking stream"},
    {CAPTURED_EVENT, "CUDA_ERROR_CAPTURED_EVENT", "operation not permitted on an event last recorded in a capturing stream"},
    {CAPTURE_WRONG_THREAD, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD",
     "attempt to terminate a thread-local capture sequence from another thread"},
};

unsigned long long number(const char* variable, unsigned long long otherwise) {
    const char* text = getenv(variable);
    return text ? strtoull(text, nullptr, 10) : otherwise;
}

// Devices are alike, and have one memory.
int devices() {
    static const int count = static_cast<int>(number("IRONLEARN_SIM_DEVICES", 1));
    return count;
}
bool is_device(int device) { return device >= 0 && device < devices(); }

// CUdevice_attribute, by number; 0 for all that is not asked by anybody.
int attribute(int which) {
    switch (which) {
        case 1: return max_threads;
        case 2: case 3: return 1024;  // of a block, x and y
        case 4: return 64;
        case 5: return 2147483647;  // of the grid, x
        case 6: case 7: return 65535;
        case 8: return max_shared;
        case 9: return 65536;  // constant memory
        case 10: return 32;    // lanes of a warp
        case 12: return 65536; // registers of a block
        case 13: return 1980000;  // kHz
        case 16: return processors;
        case 20: case 40: case 41: return 1;  // managed; asynchronous engines; unified addressing
        case 38: return 52428800;  // L2
        case 39: return 2048;      // threads of a processor
        case 75: return 9;         // compute capability
        case 76: return 0;
        case 81: return shared_of_processor;
        case 82: return 65536;
        case 97: return max_shared_optin;
        case 106: return 32;  // blocks of a processor
        case 111: return 1024;  // shared bytes that each block takes by itself
        default: return 0;
    }
}

}  // namespace

Driver::Driver() {
    total = number("IRONLEARN_SIM_MEMORY", total);
    lose = static_cast<unsigned>(number("IRONLEARN_SIM_LOSE", 0));
}

// Never taken down: other destructors at the end of the process may still free what is on the device.
Driver& driver() {
    static Driver& it = *new Driver;
    return it;
}

bool has_context() { return current_context != nullptr && driver().contexts > 0; }

EXPORT Result cuInit(unsigned flags) {
    std::lock_guard<std::recursive_mutex> hold(driver().lock);
    if (flags) return INVALID_VALUE;
    driver().initialised = true;
    return SUCCESS;
}

EXPORT Result cuDriverGetVersion(int* version) {
    if (!version) return INVALID_VALUE;
    *version = 13000;
    return SUCCESS;
}

EXPORT Result cuDeviceGetCount(int* count) {
    if (!driver().initialised) return NOT_INITIALIZED;
    if (!count) return INVALID_VALUE;
    *count = devices();
    return SUCCESS;
}

EXPORT Result cuDeviceGet(int* device, int ordinal) {
    if (!driver().initialised) return NOT_INITIALIZED;
    if (!device) return INVALID_VALUE;
    *device = ordinal;
    return is_device(ordinal) ? SUCCESS : INVALID_DEVICE;
}

EXPORT Result cuDeviceGetName(char* name, int size, int device) {
    if (!driver().initialised) return NOT_INITIALIZED;
    if (!name || size <= 0) return INVALID_VALUE;
    snprintf(name, static_cast<size_t>(size), "stand-in for an sm_90 (host memory)");
    return is_device(device) ? SUCCESS : INVALID_DEVICE;
}

EXPORT Result cuDeviceGetAttribute(int* value, int which, int device) {
    if (!driver().initialised) return NOT_INITIALIZED;
    if (!is_device(device)) return INVALID_DEVICE;
    if (!value || which <= 0) return INVALID_VALUE;
    *value = attribute(which);
    return SUCCESS;
}

EXPORT Result cuDeviceTotalMem_v2(size_t* bytes, int device) {
    if (!driver().initialised) return NOT_INITIALIZED;
    if (!is_device(device)) return INVALID_DEVICE;
    if (!bytes) return INVALID_VALUE;
    *bytes = driver().total;
    return SUCCESS;
}

EXPORT Result cuDeviceGetUuid_v2(char* uuid, int device) {
    if (!driver().initialised) return NOT_INITIALIZED;
    if (!uuid) return INVALID_VALUE;
    memcpy(uuid, "ironlearnstandin", 16);
    uuid[15] = static_cast<char>(device);
    return is_device(device) ? SUCCESS : INVALID_DEVICE;
}

EXPORT Result cuDevicePrimaryCtxRetain(void** context, int device) {
    std::lock_guard<std::recursive_mutex> hold(driver().lock);
    if (!driver().initialised) return NOT_INITIALIZED;
    if (!is_device(device)) return INVALID_DEVICE;
    if (!context) return INVALID_VALUE;
    if (driver().lost) return driver().lost;
    driver().contexts++;
    *context = &the_context;
    return SUCCESS;
}

EXPORT Result cuDevicePrimaryCtxRelease_v2(int device) {
    std::lock_guard<std::recursive_mutex> hold(driver().lock);
    if (!is_device(device)) return INVALID_DEVICE;
    if (driver().contexts == 0) return INVALID_CONTEXT;
    driver().contexts--;
    return SUCCESS;
}

EXPORT Result cuDevicePrimaryCtxSetFlags_v2(int device, unsigned) { return is_device(device) ? SUCCESS : INVALID_DEVICE; }

EXPORT Result cuDevicePrimaryCtxGetState(int device, unsigned* flags, int* active) {
    if (!flags || !active) return INVALID_VALUE;
    *flags = 0;
    *active = driver().contexts > 0;
    return is_device(device) ? SUCCESS : INVALID_DEVICE;
}

EXPORT Result cuCtxGetCurrent(void** context) {
    if (!driver().initialised) return NOT_INITIALIZED;
    if (!context) return INVALID_VALUE;
    *context = current_context;
    return SUCCESS;
}

EXPORT Result cuCtxSetCurrent(void* context) {
    if (!driver().initialised) return NOT_INITIALIZED;
    if (context && context != &the_context) return INVALID_CONTEXT;
    current_context = context;
    return SUCCESS;
}

EXPORT Result cuCtxGetDevice(int* device) {
    ENTER();
    if (!device) return INVALID_VALUE;
    *device = 0;
    return SUCCESS;
}

EXPORT Result cuCtxSynchronize() {
    ENTER();
    return d.unsafe_in_capture();
}

EXPORT Result cuGetErrorName(int code, const char** name) {
    for (const Error& error : errors)
        if (error.code == code) return *name = error.name, SUCCESS;
    return *name = nullptr, INVALID_VALUE;
}

EXPORT Result cuGetErrorString(int code, const char** text) {
    for (const Error& error : errors)
        if (error.code == code) return *text = error.text, SUCCESS;
    return *text = nullptr, INVALID_VALUE;
}

}  // namespace standin
