// The runtime API: memory, copies, symbols, devices. Launches are in kernels.cpp, streams in streams.cpp.
#include "emulator/host.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "api.h"
#include "checked.h"
#include "runtime/scheduler.h"

namespace emulator {

static void at_end(int status, void*);

Host& host() {
    static Host* one = [] {
        auto* made = new Host;  // never destroyed: objects of the program may free memory at its end
        made->memory.protects = !std::getenv("MMB_UNPROTECTED");
        for (const char* name : {"seed", "early", "yields", "profile", "leaks"}) {
            const std::string variable = std::string("MMB_OPTION_") + name;
            if (const char* value = std::getenv(variable.c_str())) mmb_option(name, std::atol(value));
        }
        install_fault_handler();
        on_exit(at_end, nullptr);
        return made;
    }();
    return *one;
}

DeviceVariable* Host::variable(const void* p) {
    const auto address = reinterpret_cast<uintptr_t>(p);
    for (DeviceVariable& v : variables)
        if (address >= v.start && address < v.start + v.bytes) return &v;
    return nullptr;
}

ProgramVariable::ProgramVariable(const char* name, const char* kind, const void* start, size_t bytes) {
    host().variables.push_back({name, kind, reinterpret_cast<uintptr_t>(start), bytes});
}

std::string where(const Allocation& a) {
    if (!a.name.empty()) return "array " + a.name;
    const std::string place = text("memory allocated at %s:%d", short_name(a.made.file), a.made.line);
    return a.number == 1 ? place : place + text("#%d", a.number);
}

std::string describe(const void* p) {
    Host& h = host();
    const auto address = reinterpret_cast<uintptr_t>(p);
    if (address < 4096) return address ? text("address %zu, next to the null pointer", address) : "the null pointer";
    if (DeviceVariable* v = h.variable(p)) return "the variable " + v->name;
    if (!h.memory.holds(address)) return "memory of the host";
    const Allocation* a = h.memory.nearest(address);
    if (!a) return "an address in no allocation";
    if (a->freed.line && address < a->end()) return where(*a) + " that has been freed";
    if (address >= a->end()) return text("%zu bytes past the end of %s (%zu bytes)", address - a->end(), where(*a).c_str(), a->bytes);
    return where(*a);
}

// The program waited: nothing of the device is under way any more.
void synchronized() {
    Host& h = host();
    h.pending = {};
    h.memory.open_managed();
    for (Allocation* a : h.memory.living()) a->reached_by_copy = false;
}

void name_allocation(const void* p, const char* name) {
    Allocation* a = host().memory.find(reinterpret_cast<uintptr_t>(p));
    if (!a) return;
    a->name = name;
    checked::allocated(*a, name);
}

// A program that ends with an error has found its own results wrong: perhaps it never fetched them.
static void tell_unread(int status) {
    for (const Allocation* a : host().memory.living())
        if (a->space == MemoryKind::device && !is_of_heap(*a) && checked::never_read(*a))
            tell("never-read", a->made,
                 text("The program ends with code %d, and nobody has read what was last written to %s: no kernel, and no copy to "
                      "the host.", status, where(*a).c_str()));
}

static void at_end(int status, void*) {
    Host& h = host();
    if (!options.leaks || h.sticky) return;  // after a failed kernel nothing can be freed
    if (h.pending.any)
        tell("never-synchronized", h.pending.place,
             text("The program ends without waiting for %s. On a GPU the kernel may not have run to its end, and what "
                  "it prints is lost.", h.pending.kernel.c_str()));
    if (status) return tell_unread(status);  // it did not come to its cudaFree
    for (const Allocation* a : h.memory.living())
        if (!is_of_heap(*a)) tell("leak", a->made, text("%s of %zu bytes is never freed.", a->function, a->bytes));
}

// ------------------------------------------------------------------ memory

static const char* freeing(MemoryKind space) { return space == MemoryKind::pinned ? "cudaFreeHost" : "cudaFree"; }

cudaError_t allocate(MemoryKind space, void** p, size_t bytes, const char* function, Place place) {
    if (const cudaError_t error = sticky()) return error;
    if (!p) return failed(cudaErrorInvalidValue, "invalid-argument", place, text("%s got a null pointer instead of the address of a pointer.", function));
    return host().memory.allocate(space, p, bytes, function, place);
}

cudaError_t release(MemoryKind space, void* p, const char* function, Place place) {
    Host& h = host();
    if (const cudaError_t error = sticky()) return error;
    if (!p) return cudaSuccess;
    synchronized();  // cudaFree waits for the device
    order_is_known();
    Allocation* a = h.memory.nearest(reinterpret_cast<uintptr_t>(p));
    if (!a || !h.memory.holds(reinterpret_cast<uintptr_t>(p)) || reinterpret_cast<uintptr_t>(p) >= a->end())
        return failed(cudaErrorInvalidValue, "invalid-free", place,
                      text("%s got %s, which no allocation of CUDA gave.", function, describe(p).c_str()));
    std::vector<Note> notes{{a->made, text("%s gave this memory here", a->function)}};
    if (a->freed.line) {
        notes.push_back({a->freed, "it was freed here"});
        return failed(cudaErrorInvalidValue, "double-free", place, text("%s frees %s a second time.", function, where(*a).c_str()), notes);
    }
    if (reinterpret_cast<uintptr_t>(p) != a->start)
        return failed(cudaErrorInvalidValue, "invalid-free", place,
                      text("%s got an address %zu bytes inside %s, not its beginning.", function,
                           reinterpret_cast<uintptr_t>(p) - a->start, where(*a).c_str()), notes);
    if ((a->space == MemoryKind::pinned) != (space == MemoryKind::pinned))
        return failed(cudaErrorInvalidValue, "invalid-free", place,
                      text("%s frees %s, which %s allocated: free it with %s.", function, where(*a).c_str(), a->function,
                           freeing(a->space)), notes);
    h.memory.retire(*a, place);
    return cudaSuccess;
}

// What a copy may say of one of its two sides: whether the device and the host reach it.
struct Side {
    bool device, host;
    Allocation* allocation;
    DeviceVariable* variable;
};
static Side side(const void* p) {
    Host& h = host();
    const auto address = reinterpret_cast<uintptr_t>(p);
    Allocation* a = h.memory.holds(address) ? h.memory.nearest(address) : nullptr;
    if (h.memory.holds(address)) return {true, a && a->space != MemoryKind::device, a, nullptr};
    if (DeviceVariable* v = h.variable(p)) return {v->address_taken || v->is_managed(), v->is_managed(), nullptr, v};
    return {false, true, nullptr, nullptr};
}

// Why `bytes` from p on cannot be touched, or success.
static cudaError_t check_extent(const char* function, const char* does, const void* p, size_t bytes, Place place) {
    Host& h = host();
    const auto address = reinterpret_cast<uintptr_t>(p);
    if (!h.memory.holds(address)) return cudaSuccess;  // how large host memory is nobody knows
    Allocation* a = h.memory.nearest(address);
    if (!a) return failed(cudaErrorInvalidValue, "invalid-argument", place, text("%s %s an address in no allocation.", function, does));
    std::vector<Note> notes{{a->made, text("%s gave it %zu bytes here", a->function, a->bytes)}};
    if (a->freed.line && address < a->end()) {
        notes.push_back({a->freed, "it was freed here"});
        return failed(cudaErrorInvalidValue, "use-after-free", place, text("%s %s %s after it was freed.", function, does, where(*a).c_str()), notes);
    }
    if (address + bytes > a->end()) {
        const std::string begins = address == a->start ? "" : text(" from byte %zu on", address - a->start);
        return failed(cudaErrorInvalidValue, "copy-past-allocation", place,
                      text("%s %s %zu bytes%s of %s, which has %zu.", function, does, bytes, begins.c_str(), where(*a).c_str(), a->bytes), notes);
    }
    return cudaSuccess;
}

static cudaError_t check_direction(const char* function, const void* to, const void* from, cudaMemcpyKind kind, Place place) {
    static const char* NAMES[] = {"cudaMemcpyHostToHost", "cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost", "cudaMemcpyDeviceToDevice"};
    if (kind == cudaMemcpyDefault) return cudaSuccess;
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault)
        return failed(cudaErrorInvalidMemcpyDirection, "wrong-direction", place, text("%s: %d is no direction.", function, kind));
    const Side t = side(to), f = side(from);
    for (const Side* s : {&t, &f})
        if (s->variable && !s->device && kind != cudaMemcpyHostToHost)
            return failed(cudaErrorInvalidValue, "symbol-as-pointer", place,
                          text("%s got the variable %s itself. Its address on the host is not its address on the device.",
                               function, s->variable->name.c_str()));
    const bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    const bool to_right = to_device ? t.device : t.host, from_right = from_device ? f.device : f.host;
    if (to_right && from_right) return cudaSuccess;
    std::string what = text("%s with %s, but", function, NAMES[kind]);
    if (!to_right) what += text(" its destination is %s (%s)", t.device ? "on the device" : "on the host", describe(to).c_str());
    if (!from_right) what += text("%s its source is %s (%s)", to_right ? "" : " and", f.device ? "on the device" : "on the host", describe(from).c_str());
    std::vector<Note> notes;
    for (const Side* s : {&t, &f})
        if (s->allocation) notes.push_back({s->allocation->made, text("%s gave this memory here", s->allocation->function)});
    return failed(cudaErrorInvalidValue, "wrong-direction", place, what + ".", notes);
}

// A copy of which all is right: it happens, and what it touches is told to the checker.
static cudaError_t transfer(const char* function, void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                            size_t rows, bool waits, Place place, cudaStream_t stream) {
    Host& h = host();
    if (!is_stream(stream)) return bad_stream(function, place);
    const uint32_t when = order_begins(stream, function, place);
    for (size_t row = 0; row < rows; row++) {
        checked::touched(static_cast<char*>(to) + row * to_pitch, width, true, when, place);
        checked::touched(static_cast<const char*>(from) + row * from_pitch, width, false, when, place);
    }
    if (Allocation* a = h.memory.find(reinterpret_cast<uintptr_t>(from)); a && !side(to).device)
        for (size_t row = 0; row < rows; row++)
            if (const char* p = static_cast<const char*>(from) + row * from_pitch; checked::unwritten(p, width)) {
                const std::string part = rows > 1 ? text("Row %zu of the %zu that", row, rows) : text("What");
                tell("uninitialised", place,
                     text("%s %s copies from %s was never written: no byte of it.", part.c_str(), function, where(*a).c_str()),
                     {{a->made, text("%s gave this memory here", a->function)}});
                break;
            }
    h.memory.open();
    for (size_t row = 0; row < rows; row++)
        std::memmove(static_cast<char*>(to) + row * to_pitch, static_cast<const char*>(from) + row * from_pitch, width);
    for (size_t row = 0; row < rows; row++) checked::written(static_cast<char*>(to) + row * to_pitch, width);
    h.memory.close();
    if (waits) {
        order_is_known(stream);
        synchronized();
        return cudaSuccess;
    }
    if (Allocation* a = h.memory.find(reinterpret_cast<uintptr_t>(to)); a && a->space == MemoryKind::pinned) {
        a->reached_by_copy = true;
        if (!h.pending.any) h.pending = {false, function, place};
    }
    h.memory.close_managed();
    return cudaSuccess;
}

cudaError_t copy(const char* function, void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                 size_t rows, cudaMemcpyKind kind, bool waits, Place place, cudaStream_t stream) {
    Host& h = host();
    if (const cudaError_t error = sticky()) return error;
    if (width == 0 || rows == 0) return cudaSuccess;
    if (!to || !from)
        return failed(cudaErrorInvalidValue, "invalid-argument", place, text("%s: its %s is the null pointer.", function, to ? "source" : "destination"));
    if (rows > 1 && (to_pitch < width || from_pitch < width))
        return failed(cudaErrorInvalidPitchValue, "invalid-argument", place,
                      text("%s: rows of %zu bytes do not fit a pitch of %zu.", function, width, to_pitch < width ? to_pitch : from_pitch));
    if (const cudaError_t error = check_direction(function, to, from, kind, place)) return error;
    const size_t to_bytes = (rows - 1) * to_pitch + width, from_bytes = (rows - 1) * from_pitch + width;
    if (const cudaError_t error = check_extent(function, "writes", to, to_bytes, place)) return error;
    if (const cudaError_t error = check_extent(function, "reads", from, from_bytes, place)) return error;
    return transfer(function, to, to_pitch, from, from_pitch, width, rows, waits, place, stream);
}

cudaError_t copy_3d(const char* function, const cudaMemcpy3DParms& how, bool waits, Place place, cudaStream_t stream) {
    if (how.srcArray || how.dstArray) return refuse(function, "CUDA arrays are not there; pitched memory is", place);
    const auto slice = [](const cudaPitchedPtr& p, cudaPos at, size_t z) {
        return p.ptr ? static_cast<char*>(p.ptr) + ((at.z + z) * p.ysize + at.y) * p.pitch + at.x : nullptr;
    };
    cudaError_t error = cudaSuccess;
    for (size_t z = 0; z < how.extent.depth && !error; z++)
        error = copy(function, slice(how.dstPtr, how.dstPos, z), how.dstPtr.pitch, slice(how.srcPtr, how.srcPos, z),
                     how.srcPtr.pitch, how.extent.width, how.extent.height, how.kind, waits, place, stream);
    return error;
}

cudaError_t fill(const char* function, void* p, size_t pitch, int value, size_t width, size_t rows, Place place, cudaStream_t stream) {
    Host& h = host();
    if (const cudaError_t error = sticky()) return error;
    if (width == 0 || rows == 0) return cudaSuccess;
    if (!is_stream(stream)) return bad_stream(function, place);
    const Side s = side(p);
    if (!s.device)
        return failed(cudaErrorInvalidValue, "wrong-direction", place,
                      text("%s got %s, but it fills memory of the device.", function, describe(p).c_str()));
    if (const cudaError_t error = check_extent(function, "fills", p, (rows - 1) * pitch + width, place)) return error;
    const uint32_t when = order_begins(stream, function, place);
    h.memory.open();
    for (size_t row = 0; row < rows; row++) {
        checked::touched(static_cast<char*>(p) + row * pitch, width, true, when, place);
        std::memset(static_cast<char*>(p) + row * pitch, value, width);
        checked::written(static_cast<char*>(p) + row * pitch, width);
    }
    h.memory.close();
    return cudaSuccess;
}

cudaError_t refuse(const char* function, const char* why, Place place) {
    return failed(cudaErrorNotSupported, "not-emulated", place, text("%s is not emulated: %s.", function, why));
}

// ------------------------------------------------------------------ symbols

cudaError_t copy_symbol(const char* function, const void* symbol, bool to_symbol, void* other, size_t bytes,
                        size_t offset, cudaMemcpyKind kind, bool waits, Place place, cudaStream_t stream) {
    Host& h = host();
    if (const cudaError_t error = sticky()) return error;
    DeviceVariable* v = h.variable(symbol);
    if (!v)
        return failed(cudaErrorInvalidSymbol, "invalid-symbol", place,
                      text("%s got something that is no __device__ or __constant__ variable.", function));
    if (offset + bytes > v->bytes)
        return failed(cudaErrorInvalidValue, "copy-past-allocation", place,
                      text("%s: %zu bytes%s do not fit %s, which has %zu.", function, bytes,
                           offset ? text(" from byte %zu on", offset).c_str() : "", v->name.c_str(), v->bytes));
    if (!other) return failed(cudaErrorInvalidValue, "invalid-argument", place, text("%s got the null pointer.", function));
    const bool on_device = side(other).device, on_host = side(other).host;
    const bool wants_host = kind == (to_symbol ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost);
    const bool wants_device = kind == cudaMemcpyDeviceToDevice;
    if ((wants_host && !on_host) || (wants_device && !on_device) || !(wants_host || wants_device || kind == cudaMemcpyDefault))
        return failed(cudaErrorInvalidMemcpyDirection, "wrong-direction", place,
                      text("%s: %s does not fit the direction.", function, describe(other).c_str()));
    if (const cudaError_t error = check_extent(function, to_symbol ? "reads" : "writes", other, bytes, place)) return error;
    if (bytes == 0) return cudaSuccess;
    char* start = reinterpret_cast<char*>(v->start) + offset;
    return transfer(function, to_symbol ? start : other, bytes, to_symbol ? other : start, bytes, bytes, 1, waits, place, stream);
}

cudaError_t symbol_address(const char* function, const void* symbol, void** address, size_t* bytes, Place place) {
    DeviceVariable* v = host().variable(symbol);
    if (!v)
        return failed(cudaErrorInvalidSymbol, "invalid-symbol", place,
                      text("%s got something that is no __device__ or __constant__ variable.", function));
    if (address) v->address_taken = true, *address = reinterpret_cast<void*>(v->start);
    if (bytes) *bytes = v->bytes;
    return cudaSuccess;
}

}  // namespace emulator

using emulator::failed;
using emulator::host;
using emulator::Place;
using emulator::text;

cudaError_t cudaDeviceSynchronize(void) { return emulator::wait_for_all(); }

cudaError_t cudaDeviceReset(void) {
    emulator::wait_for_all();
    host().memory.retire_all();
    host().last = host().sticky = cudaSuccess;
    return cudaSuccess;
}

// ------------------------------------------------------------------ devices

cudaError_t cudaGetDeviceCount(int* count) { return *count = 1, cudaSuccess; }
cudaError_t cudaGetDevice(int* device) { return *device = 0, cudaSuccess; }
cudaError_t cudaChooseDevice(int* device, const cudaDeviceProp*) { return *device = 0, cudaSuccess; }

static cudaError_t no_device(const char* function, int device, Place place) {
    return failed(cudaErrorInvalidDevice, "invalid-device", place, text("%s: there is no device %d, only the emulated device 0.", function, device));
}
cudaError_t cudaSetDevice(int device, const char* file_, int line_) {
    return device == 0 ? emulator::sticky() : no_device("cudaSetDevice", device, MMB_HERE);
}

static cudaDeviceProp properties() {
    cudaDeviceProp p{};
    std::strcpy(p.name, "tinygrad_mmb CUDA emulator (no GPU)");
    p.totalGlobalMem = host().memory.total();
    p.sharedMemPerBlock = 48 << 10, p.sharedMemPerBlockOptin = 227 << 10, p.sharedMemPerMultiprocessor = 228 << 10;
    p.regsPerBlock = p.regsPerMultiprocessor = 65536;
    p.warpSize = 32, p.maxThreadsPerBlock = 1024, p.maxThreadsPerMultiProcessor = 2048, p.maxBlocksPerMultiProcessor = 32;
    p.maxThreadsDim[0] = p.maxThreadsDim[1] = 1024, p.maxThreadsDim[2] = 64;
    p.maxGridSize[0] = 0x7fffffff, p.maxGridSize[1] = p.maxGridSize[2] = 65535;
    p.memPitch = 0x7fffffff, p.textureAlignment = 512, p.texturePitchAlignment = 32, p.surfaceAlignment = 512;
    p.totalConstMem = 64 << 10, p.major = 9, p.minor = 0;
    p.multiProcessorCount = 8;  // small, so that programs which fill the device stay quick
    p.clockRate = 1000000, p.memoryClockRate = 1000000, p.memoryBusWidth = 4096, p.l2CacheSize = 4 << 20;
    p.canMapHostMemory = p.concurrentKernels = p.unifiedAddressing = p.managedMemory = p.deviceOverlap = p.asyncEngineCount = 1;
    p.streamPrioritiesSupported = p.globalL1CacheSupported = p.localL1CacheSupported = p.canUseHostPointerForRegisteredMem = 1;
    p.singleToDoublePrecisionPerfRatio = 2;
    return p;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device, const char* file_, int line_) {
    if (device != 0) return no_device("cudaGetDeviceProperties", device, MMB_HERE);
    return *p = properties(), cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device, const char* file_, int line_) {
    if (device != 0) return no_device("cudaDeviceGetAttribute", device, MMB_HERE);
    const cudaDeviceProp p = properties();
    switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock: *value = p.maxThreadsPerBlock; break;
        case cudaDevAttrMaxBlockDimX: *value = p.maxThreadsDim[0]; break;
        case cudaDevAttrMaxBlockDimY: *value = p.maxThreadsDim[1]; break;
        case cudaDevAttrMaxBlockDimZ: *value = p.maxThreadsDim[2]; break;
        case cudaDevAttrMaxGridDimX: *value = p.maxGridSize[0]; break;
        case cudaDevAttrMaxGridDimY: *value = p.maxGridSize[1]; break;
        case cudaDevAttrMaxGridDimZ: *value = p.maxGridSize[2]; break;
        case cudaDevAttrMaxSharedMemoryPerBlock: *value = static_cast<int>(p.sharedMemPerBlock); break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = static_cast<int>(p.sharedMemPerBlockOptin); break;
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor: *value = static_cast<int>(p.sharedMemPerMultiprocessor); break;
        case cudaDevAttrTotalConstantMemory: *value = static_cast<int>(p.totalConstMem); break;
        case cudaDevAttrWarpSize: *value = p.warpSize; break;
        case cudaDevAttrMaxRegistersPerBlock: *value = p.regsPerBlock; break;
        case cudaDevAttrClockRate: *value = p.clockRate; break;
        case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; break;
        case cudaDevAttrMemoryClockRate: *value = p.memoryClockRate; break;
        case cudaDevAttrGlobalMemoryBusWidth: *value = p.memoryBusWidth; break;
        case cudaDevAttrL2CacheSize: *value = p.l2CacheSize; break;
        case cudaDevAttrMaxThreadsPerMultiProcessor: *value = p.maxThreadsPerMultiProcessor; break;
        case cudaDevAttrMaxPitch: *value = static_cast<int>(p.memPitch); break;
        case cudaDevAttrGpuOverlap: *value = p.deviceOverlap; break;
        case cudaDevAttrKernelExecTimeout: *value = p.kernelExecTimeoutEnabled; break;
        case cudaDevAttrIntegrated: *value = p.integrated; break;
        case cudaDevAttrCanMapHostMemory: *value = p.canMapHostMemory; break;
        case cudaDevAttrComputeMode: *value = p.computeMode; break;
        case cudaDevAttrConcurrentKernels: *value = p.concurrentKernels; break;
        case cudaDevAttrEccEnabled: *value = p.ECCEnabled; break;
        case cudaDevAttrPciBusId: *value = p.pciBusID; break;
        case cudaDevAttrPciDeviceId: *value = p.pciDeviceID; break;
        case cudaDevAttrAsyncEngineCount: *value = p.asyncEngineCount; break;
        case cudaDevAttrMaxRegistersPerMultiprocessor: *value = p.regsPerMultiprocessor; break;
        case cudaDevAttrHostNativeAtomicSupported: *value = p.hostNativeAtomicSupported; break;
        case cudaDevAttrPageableMemoryAccess: *value = p.pageableMemoryAccess; break;
        case cudaDevAttrMaxBlocksPerMultiprocessor: *value = p.maxBlocksPerMultiProcessor; break;
        case cudaDevAttrUnifiedAddressing: *value = 1; break;
        case cudaDevAttrManagedMemory: *value = 1; break;
        case cudaDevAttrConcurrentManagedAccess: *value = 0; break;
        case cudaDevAttrCooperativeLaunch: *value = 0; break;
        case cudaDevAttrComputeCapabilityMajor: *value = p.major; break;
        case cudaDevAttrComputeCapabilityMinor: *value = p.minor; break;
        default: return failed(cudaErrorInvalidValue, "not-emulated", MMB_HERE, text("cudaDeviceGetAttribute: attribute %d is not known to the emulator.", attribute));
    }
    return cudaSuccess;
}
cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit limit) {
    *value = limit == cudaLimitStackSize ? 1024 : limit == cudaLimitPrintfFifoSize ? 1 << 20 : 8 << 20;
    return cudaSuccess;
}

// ------------------------------------------------------------------ what is asked of pointers

cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
    *total = host().memory.total(), *available = *total - host().memory.used();
    return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* out, const void* p, const char*, int) {
    const auto* a = host().memory.find(reinterpret_cast<uintptr_t>(p));
    void* address = const_cast<void*>(p);
    if (!a) *out = {cudaMemoryTypeUnregistered, 0, nullptr, address};
    else if (a->space == emulator::MemoryKind::device) *out = {cudaMemoryTypeDevice, 0, address, nullptr};
    else *out = {a->space == emulator::MemoryKind::managed ? cudaMemoryTypeManaged : cudaMemoryTypeHost, 0, address, address};
    return cudaSuccess;
}
// A wish where managed memory should lie: nothing happens here.
static cudaError_t wish(const char* function, const void* p, emulator::Place place) {
    const auto* a = host().memory.find(reinterpret_cast<uintptr_t>(p));
    const auto* v = host().variable(p);
    if ((a && a->space == emulator::MemoryKind::managed) || (v && v->is_managed())) return cudaSuccess;
    return failed(cudaErrorInvalidValue, "invalid-argument", place, text("%s got %s, not managed memory.", function, emulator::describe(p).c_str()));
}
cudaError_t cudaMemPrefetchAsync(const void* p, size_t, int, cudaStream_t, const char* file_, int line_) {
    return wish("cudaMemPrefetchAsync", p, MMB_HERE);
}
cudaError_t cudaMemPrefetchAsync(const void* p, size_t, cudaMemLocation, unsigned, cudaStream_t, const char* file_, int line_) {
    return wish("cudaMemPrefetchAsync", p, MMB_HERE);
}
cudaError_t cudaMemAdvise(const void* p, size_t, cudaMemoryAdvise, int, const char* file_, int line_) {
    return wish("cudaMemAdvise", p, MMB_HERE);
}
cudaError_t cudaMemAdvise(const void* p, size_t, cudaMemoryAdvise, cudaMemLocation, const char* file_, int line_) {
    return wish("cudaMemAdvise", p, MMB_HERE);
}
cudaError_t cudaHostRegister(void* p, size_t bytes, unsigned, const char* file_, int line_) {
    if (!p || !bytes) return failed(cudaErrorInvalidValue, "invalid-argument", MMB_HERE, "cudaHostRegister got no memory.");
    host().registered[reinterpret_cast<uintptr_t>(p)] = bytes;
    return cudaSuccess;
}
cudaError_t cudaHostUnregister(void* p, const char* file_, int line_) {
    if (!host().registered.erase(reinterpret_cast<uintptr_t>(p)))
        return failed(cudaErrorHostMemoryNotRegistered, "invalid-argument", MMB_HERE, "cudaHostUnregister got memory that was not registered.");
    return cudaSuccess;
}
cudaError_t cudaHostGetDevicePointer(void** device, void* p, unsigned, const char* file_, int line_) {
    const auto* a = host().memory.find(reinterpret_cast<uintptr_t>(p));
    if (!(a && a->space != emulator::MemoryKind::device) && !host().is_registered(reinterpret_cast<uintptr_t>(p)))
        return failed(cudaErrorInvalidValue, "invalid-argument", MMB_HERE,
                      text("cudaHostGetDevicePointer got %s. Only memory of cudaHostAlloc or cudaHostRegister has an address on the device.", emulator::describe(p).c_str()));
    return *device = p, cudaSuccess;
}
