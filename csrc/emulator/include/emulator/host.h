// The host side of CUDA for programs that have a main: memory, copies, streams, events, errors and
// launches, on the emulator. nvcc reads the C library's headers before a program, so this does too.
//
// Every function that can go wrong knows the line that called it: a call that fails is reported with
// the reason, whether or not the program looks at the error.
#pragma once
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <functional>
#include <new>
#include <tuple>
#include <type_traits>
#include <utility>

#include "emulator/host_types.h"
#include "emulator/runtime.h"
#include "kernel_table.hpp"

#undef __noinline__  // <memory> says __attribute__((__noinline__)); prepare.py writes it out instead

// A kernel that can be found by its name or address.
#define MMB_JOIN_(a, b) a##b
#define MMB_JOIN(a, b) MMB_JOIN_(a, b)
#define MMB_LIST(name, ...) static const mmb::Listed MMB_JOIN(mmb_listed_, __COUNTER__)(mmb::entry(name, __VA_ARGS__));

namespace emulator {

#define MMB_PLACE const char *file_ = __builtin_FILE(), int line_ = __builtin_LINE()
#define MMB_HERE \
    ::emulator::Place { file_, line_ }

enum class MemoryKind { device, managed, pinned };

// Behind all __managed__ variables of a file, wherever the compiler puts them: the end of the last page.
asm(".pushsection mmb_managed, 1, \"aw\"\n.balign 4096\n.popsection");

// A __device__, __constant__ or __managed__ variable; variables.py declares one behind each.
struct ProgramVariable {
    template <class T>
    ProgramVariable(const char* name, T& variable, const char* kind) : ProgramVariable(name, kind, &variable, sizeof(T)) {}
    ProgramVariable(const char* name, const char* kind, const void* start, size_t bytes);
};

// In `mmb cuda check`: what local variable number `i` holds that nobody has set. Does it matter what? See unset_effect.py.
struct Unset {
    int i;
    template <class T>
    operator T() const {
        T value;
        memset(static_cast<void*>(&value), varied(i), sizeof value);
        if constexpr (std::is_arithmetic<T>::value) return is_one(i) ? T(1) : value;
        return value;
    }
    static int varied(int i);  // the byte it is made of
    static bool is_one(int i);
};

// ------------------------------------------------------------------ launches

struct Configuration {
    const char* kernel;
    Place place;
    dim3 grid, block;
    size_t shared;
    cudaStream_t stream;
    const void* function;  // its address where it is known
};
struct Argument {
    int number;  // from 1
    const void* pointer;
};

// Checks everything CUDA checks and what it does not, then runs body(closure) in every thread.
void run_kernel(const Configuration& how, const Argument* pointers, int count, void (*body)(const void*),
                const void* closure, size_t bytes);

template <class T>
void note_pointer(Argument* list, int& count, int number, const T& value) {
    if constexpr (std::is_pointer<T>::value && !std::is_function<std::remove_pointer_t<T>>::value)
        list[count++] = {number, const_cast<const void*>(static_cast<const volatile void*>(value))};
}

template <class T>
void note_pointer(Argument* list, int& count, int number, const std::reference_wrapper<T>& value) {
    list[count++] = {number, const_cast<const void*>(static_cast<const volatile void*>(&value.get()))};
}

template <class Call, class... A>
struct Bound {  // a call with its arguments: each thread gets copies, as on a GPU
    Call call;
    std::tuple<A...> arguments;

    template <size_t... I>
    __attribute__((no_sanitize("thread"))) void apply(std::index_sequence<I...>) const {
        call(std::get<I>(arguments)...);
    }
    __attribute__((no_sanitize("thread"))) static void body(const void* self) {
        static_cast<const Bound*>(self)->apply(std::index_sequence_for<A...>());
    }
    void run(const Configuration& how) const {
        Argument pointers[sizeof...(A) + 1];
        int count = 0, number = 0;
        std::apply([&](const A&... a) { (note_pointer(pointers, count, ++number, a), ...); }, arguments);
        run_kernel(how, pointers, count, body, this, sizeof *this);
    }
};

// How a parameter of a function is kept and passed. A reference is an address, as on a GPU; a class with a copy constructor or
// a destructor of its own is copied once, by the host, and each thread gets its bytes: by the ABI of C++ a function takes
// such a parameter by its address.
template <class P>
struct Passed {
    static constexpr bool by_address =
        std::is_class<P>::value && (!std::is_trivially_destructible<P>::value ||
                                    (std::is_copy_constructible<P>::value && !std::is_trivially_copy_constructible<P>::value) ||
                                    (std::is_move_constructible<P>::value && !std::is_trivially_move_constructible<P>::value));
    using Kept = P;
    using Given = std::conditional_t<by_address, P*, P>;
};
template <class T>
struct Passed<T&> {
    static constexpr bool by_address = false;
    using Kept = std::reference_wrapper<T>;
    using Given = T&;
};
template <class T>
struct Bytes {
    alignas(T) unsigned char bytes[sizeof(T)];
    __attribute__((no_sanitize("thread"))) explicit Bytes(const T& value) { memcpy(bytes, static_cast<const void*>(&value), sizeof(T)); }
    operator T*() { return reinterpret_cast<T*>(bytes); }
};
template <class P, class K>
__attribute__((no_sanitize("thread"))) decltype(auto) given(const K& kept) {
    if constexpr (Passed<P>::by_address)
        return Bytes<P>(kept);
    else
        return (kept);
}
template <class... P>
struct Call {
    void (*call)(P...);
    __attribute__((no_sanitize("thread"))) void operator()(const typename Passed<P>::Kept&... kept) const {
        if constexpr ((Passed<P>::by_address || ...))
            reinterpret_cast<void (*)(typename Passed<P>::Given...)>(call)(given<P>(kept)...);
        else
            call(kept...);
    }
};

template <class F>
struct Launch {  // any callable: a template, an overload set, a function object
    F call;
    Configuration how;
    Launch& on(dim3 grid, dim3 block, size_t shared = 0, cudaStream_t stream = nullptr) {
        how.grid = grid, how.block = block, how.shared = shared, how.stream = stream;
        return *this;
    }
    template <class... A>
    void operator()(A&&... a) const {
        Bound<F, std::decay_t<A>...>{call, {std::forward<A>(a)...}}.run(how);
    }
};

template <class... P>
struct Launch<void (*)(P...)> {  // a function: arguments convert to the types of its parameters
    void (*call)(P...);
    Configuration how;
    Launch& on(dim3 grid, dim3 block, size_t shared = 0, cudaStream_t stream = nullptr) {
        how.grid = grid, how.block = block, how.shared = shared, how.stream = stream;
        return *this;
    }
    void operator()(P... p) const { Bound<Call<P...>, typename Passed<P>::Kept...>{{call}, {p...}}.run(how); }
};

// An argument of a template kernel whose parameter is a plain pointer: an object that owns memory may convert to it.
template <class P, class X>
decltype(auto) as(X&& x) {
    if constexpr (std::is_class<std::decay_t<X>>::value && std::is_convertible<X&&, P>::value)
        return static_cast<P>(std::forward<X>(x));
    else
        return std::forward<X>(x);
}

template <class F>
Launch<F> launch(const char* kernel, F call, MMB_PLACE) {
    const void* function = nullptr;
    if constexpr (std::is_pointer<F>::value) function = reinterpret_cast<const void*>(call);
    return {call, {kernel, MMB_HERE, 1, 1, 0, nullptr, function}};
}

template <class... P, size_t... I>
void launch_through(const Launch<void (*)(P...)>& launch, void** arguments, std::index_sequence<I...>) {
    launch(*static_cast<std::decay_t<P>*>(arguments[I])...);
}

// Dynamic shared memory as an array: float tile[] and int tile[][32] alike.
template <class A>
A& dynamic_array() {
    return *reinterpret_cast<A*>(dynamic_shared());
}

// ... and declared outside of functions, before any launch has said where it lies.
template <class A>
struct DynamicArray {
    using Element = std::remove_extent_t<A>;
    EMULATOR_INLINE operator Element*() const { return static_cast<Element*>(dynamic_shared()); }
    template <class T>
    EMULATOR_INLINE explicit operator T*() const {
        return static_cast<T*>(dynamic_shared());
    }
    EMULATOR_INLINE A* operator&() const { return static_cast<A*>(dynamic_shared()); }
};

// ------------------------------------------------------------------ what the API is made of

cudaError_t allocate(MemoryKind space, void** p, size_t bytes, const char* function, Place place);
void name_allocation(const void* p, const char* name);
cudaError_t release(MemoryKind space, void* p, const char* function, Place place);
cudaError_t copy(const char* function, void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                 size_t rows, cudaMemcpyKind kind, bool waits, Place place, cudaStream_t stream = nullptr);
cudaError_t copy_3d(const char* function, const cudaMemcpy3DParms& how, bool waits, Place place, cudaStream_t stream = nullptr);
cudaError_t fill(const char* function, void* p, size_t pitch, int value, size_t width, size_t rows, Place place, cudaStream_t stream = nullptr);
cudaError_t copy_symbol(const char* function, const void* symbol, bool to_symbol, void* other, size_t bytes,
                        size_t offset, cudaMemcpyKind kind, bool waits, Place place, cudaStream_t stream = nullptr);
cudaError_t symbol_address(const char* function, const void* symbol, void** address, size_t* bytes, Place place);
cudaError_t set_shared_limit(const void* kernel, int bytes, Place place);
cudaError_t launch_listed(const char* function, const void* kernel, dim3 grid, dim3 block, void** arguments,
                          size_t shared, cudaStream_t stream, bool cooperative, Place place);
int blocks_per_multiprocessor(int threads, size_t shared);
cudaError_t refuse(const char* function, const char* why, Place place);

}  // namespace emulator

#define MMB_API inline cudaError_t

// ------------------------------------------------------------------ errors

extern "C" {
const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError(void);
cudaError_t cudaPeekAtLastError(void);
}

// ------------------------------------------------------------------ memory

template <class T>
MMB_API cudaMalloc(T** p, size_t bytes, MMB_PLACE) {
    return emulator::allocate(emulator::MemoryKind::device, (void**)p, bytes, "cudaMalloc", MMB_HERE);
}
template <class T>
MMB_API cudaMallocAsync(T** p, size_t bytes, cudaStream_t, MMB_PLACE) {
    return emulator::allocate(emulator::MemoryKind::device, (void**)p, bytes, "cudaMallocAsync", MMB_HERE);
}
template <class T>
MMB_API cudaMallocManaged(T** p, size_t bytes, unsigned = cudaMemAttachGlobal, MMB_PLACE) {
    return emulator::allocate(emulator::MemoryKind::managed, (void**)p, bytes, "cudaMallocManaged", MMB_HERE);
}
template <class T>
MMB_API cudaMallocHost(T** p, size_t bytes, unsigned = cudaHostAllocDefault, MMB_PLACE) {
    return emulator::allocate(emulator::MemoryKind::pinned, (void**)p, bytes, "cudaMallocHost", MMB_HERE);
}
template <class T>
MMB_API cudaHostAlloc(T** p, size_t bytes, unsigned, MMB_PLACE) {
    return emulator::allocate(emulator::MemoryKind::pinned, (void**)p, bytes, "cudaHostAlloc", MMB_HERE);
}
template <class T>
MMB_API cudaMallocPitch(T** p, size_t* pitch, size_t width, size_t rows, MMB_PLACE) {
    *pitch = (width + 511) / 512 * 512;  // as GPUs do: every row begins at a multiple of 512 bytes
    return emulator::allocate(emulator::MemoryKind::device, (void**)p, *pitch * rows, "cudaMallocPitch", MMB_HERE);
}
MMB_API cudaMalloc3D(cudaPitchedPtr* p, cudaExtent size, MMB_PLACE) {
    p->pitch = (size.width + 511) / 512 * 512, p->xsize = size.width, p->ysize = size.height;
    return emulator::allocate(emulator::MemoryKind::device, &p->ptr, p->pitch * size.height * size.depth, "cudaMalloc3D",
                              MMB_HERE);
}
MMB_API cudaFree(void* p, MMB_PLACE) { return emulator::release(emulator::MemoryKind::device, p, "cudaFree", MMB_HERE); }
MMB_API cudaFreeAsync(void* p, cudaStream_t, MMB_PLACE) {
    return emulator::release(emulator::MemoryKind::device, p, "cudaFreeAsync", MMB_HERE);
}
MMB_API cudaFreeHost(void* p, MMB_PLACE) {
    return emulator::release(emulator::MemoryKind::pinned, p, "cudaFreeHost", MMB_HERE);
}

MMB_API cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, MMB_PLACE) {
    return emulator::copy("cudaMemcpy", to, bytes, from, bytes, bytes, 1, kind, true, MMB_HERE);
}
MMB_API cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream = nullptr,
                        MMB_PLACE) {
    return emulator::copy("cudaMemcpyAsync", to, bytes, from, bytes, bytes, 1, kind, false, MMB_HERE, stream);
}
MMB_API cudaMemcpy2D(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t rows,
                     cudaMemcpyKind kind, MMB_PLACE) {
    return emulator::copy("cudaMemcpy2D", to, to_pitch, from, from_pitch, width, rows, kind, true, MMB_HERE);
}
MMB_API cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width, size_t rows,
                          cudaMemcpyKind kind, cudaStream_t stream = nullptr, MMB_PLACE) {
    return emulator::copy("cudaMemcpy2DAsync", to, to_pitch, from, from_pitch, width, rows, kind, false, MMB_HERE, stream);
}
MMB_API cudaMemcpy3D(const cudaMemcpy3DParms* how, MMB_PLACE) {
    return emulator::copy_3d("cudaMemcpy3D", *how, true, MMB_HERE);
}
MMB_API cudaMemcpy3DAsync(const cudaMemcpy3DParms* how, cudaStream_t stream = nullptr, MMB_PLACE) {
    return emulator::copy_3d("cudaMemcpy3DAsync", *how, false, MMB_HERE, stream);
}
MMB_API cudaMemset(void* p, int value, size_t bytes, MMB_PLACE) {
    return emulator::fill("cudaMemset", p, bytes, value, bytes, 1, MMB_HERE);
}
MMB_API cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream = nullptr, MMB_PLACE) {
    return emulator::fill("cudaMemsetAsync", p, bytes, value, bytes, 1, MMB_HERE, stream);
}
MMB_API cudaMemset2D(void* p, size_t pitch, int value, size_t width, size_t rows, MMB_PLACE) {
    return emulator::fill("cudaMemset2D", p, pitch, value, width, rows, MMB_HERE);
}
MMB_API cudaMemset3D(cudaPitchedPtr p, int value, cudaExtent size, MMB_PLACE) {
    cudaError_t error = cudaSuccess;
    for (size_t z = 0; z < size.depth && !error; z++)
        error = emulator::fill("cudaMemset3D", static_cast<char*>(p.ptr) + z * p.pitch * p.ysize, p.pitch, value, size.width,
                               size.height, MMB_HERE);
    return error;
}

template <class T>
MMB_API cudaMemcpyToSymbol(const T& symbol, const void* from, size_t bytes, size_t offset = 0,
                           cudaMemcpyKind kind = cudaMemcpyHostToDevice, MMB_PLACE) {
    return emulator::copy_symbol("cudaMemcpyToSymbol", &symbol, true, const_cast<void*>(from), bytes, offset, kind,
                                 true, MMB_HERE);
}
template <class T>
MMB_API cudaMemcpyToSymbolAsync(const T& symbol, const void* from, size_t bytes, size_t offset, cudaMemcpyKind kind,
                                cudaStream_t stream = nullptr, MMB_PLACE) {
    return emulator::copy_symbol("cudaMemcpyToSymbolAsync", &symbol, true, const_cast<void*>(from), bytes, offset,
                                 kind, false, MMB_HERE, stream);
}
template <class T>
MMB_API cudaMemcpyFromSymbol(void* to, const T& symbol, size_t bytes, size_t offset = 0,
                             cudaMemcpyKind kind = cudaMemcpyDeviceToHost, MMB_PLACE) {
    return emulator::copy_symbol("cudaMemcpyFromSymbol", &symbol, false, to, bytes, offset, kind, true, MMB_HERE);
}
template <class T>
MMB_API cudaMemcpyFromSymbolAsync(void* to, const T& symbol, size_t bytes, size_t offset, cudaMemcpyKind kind,
                                  cudaStream_t stream = nullptr, MMB_PLACE) {
    return emulator::copy_symbol("cudaMemcpyFromSymbolAsync", &symbol, false, to, bytes, offset, kind, false, MMB_HERE,
                                 stream);
}
template <class P, class T>
MMB_API cudaGetSymbolAddress(P** address, const T& symbol, MMB_PLACE) {
    return emulator::symbol_address("cudaGetSymbolAddress", &symbol, (void**)address, nullptr, MMB_HERE);
}
template <class T>
MMB_API cudaGetSymbolSize(size_t* bytes, const T& symbol, MMB_PLACE) {
    return emulator::symbol_address("cudaGetSymbolSize", &symbol, nullptr, bytes, MMB_HERE);
}

cudaError_t cudaHostRegister(void* p, size_t bytes, unsigned flags = cudaHostRegisterDefault, MMB_PLACE);
cudaError_t cudaHostUnregister(void* p, MMB_PLACE);
cudaError_t cudaHostGetDevicePointer(void** device, void* host, unsigned flags, MMB_PLACE);
template <class T>
MMB_API cudaHostGetDevicePointer(T** device, void* host, unsigned flags, MMB_PLACE) {
    return cudaHostGetDevicePointer((void**)device, host, flags, file_, line_);
}
cudaError_t cudaMemGetInfo(size_t* available, size_t* total);
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* p, MMB_PLACE);
cudaError_t cudaMemPrefetchAsync(const void* p, size_t bytes, int device, cudaStream_t = nullptr, MMB_PLACE);
cudaError_t cudaMemAdvise(const void* p, size_t bytes, cudaMemoryAdvise advice, int device, MMB_PLACE);
// since CUDA 13
cudaError_t cudaMemPrefetchAsync(const void* p, size_t bytes, cudaMemLocation where, unsigned flags, cudaStream_t = nullptr, MMB_PLACE);
cudaError_t cudaMemAdvise(const void* p, size_t bytes, cudaMemoryAdvise advice, cudaMemLocation where, MMB_PLACE);

// ------------------------------------------------------------------ devices

cudaError_t cudaDeviceSynchronize(void);
inline cudaError_t cudaThreadSynchronize(void) { return cudaDeviceSynchronize(); }
cudaError_t cudaDeviceReset(void);
inline cudaError_t cudaThreadExit(void) { return cudaDeviceReset(); }
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device, MMB_PLACE);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device, MMB_PLACE);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device, MMB_PLACE);
cudaError_t cudaChooseDevice(int* device, const cudaDeviceProp* properties);
inline cudaError_t cudaSetDeviceFlags(unsigned) { return cudaSuccess; }
inline cudaError_t cudaDriverGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
inline cudaError_t cudaRuntimeGetVersion(int* version) { return *version = CUDART_VERSION, cudaSuccess; }
inline cudaError_t cudaDeviceSetCacheConfig(cudaFuncCache) { return cudaSuccess; }
inline cudaError_t cudaDeviceSetSharedMemConfig(cudaSharedMemConfig) { return cudaSuccess; }
inline cudaError_t cudaDeviceSetLimit(cudaLimit, size_t) { return cudaSuccess; }
cudaError_t cudaDeviceGetLimit(size_t* value, cudaLimit limit);
inline cudaError_t cudaProfilerStart(void) { return cudaSuccess; }
inline cudaError_t cudaProfilerStop(void) { return cudaSuccess; }
inline cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) { return *can = 0, cudaSuccess; }  // there is one

// ------------------------------------------------------------------ streams and events

cudaError_t cudaStreamCreate(cudaStream_t* stream);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int priority);
inline cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) { return *least = *greatest = 0, cudaSuccess; }
cudaError_t cudaStreamDestroy(cudaStream_t stream, MMB_PLACE);
cudaError_t cudaStreamSynchronize(cudaStream_t stream, MMB_PLACE);
cudaError_t cudaStreamQuery(cudaStream_t stream, MMB_PLACE);
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned flags = 0, MMB_PLACE);
cudaError_t cudaStreamAddCallback(cudaStream_t stream, cudaStreamCallback_t callback, void* data, unsigned flags, MMB_PLACE);
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t callback, void* data, MMB_PLACE);
cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags);
inline cudaError_t cudaEventCreate(cudaEvent_t* event, unsigned flags) { return cudaEventCreateWithFlags(event, flags); }
cudaError_t cudaEventDestroy(cudaEvent_t event, MMB_PLACE);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream = nullptr, MMB_PLACE);
cudaError_t cudaEventSynchronize(cudaEvent_t event, MMB_PLACE);
cudaError_t cudaEventQuery(cudaEvent_t event, MMB_PLACE);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t stop, MMB_PLACE);

// ------------------------------------------------------------------ kernels

template <class... P>
MMB_API cudaFuncSetAttribute(void (*kernel)(P...), cudaFuncAttribute attribute, int value, MMB_PLACE) {
    return attribute == cudaFuncAttributeMaxDynamicSharedMemorySize
               ? emulator::set_shared_limit(reinterpret_cast<const void*>(kernel), value, MMB_HERE)
               : cudaSuccess;
}
MMB_API cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value, MMB_PLACE) {
    return attribute == cudaFuncAttributeMaxDynamicSharedMemorySize
               ? emulator::set_shared_limit(kernel, value, MMB_HERE)
               : cudaSuccess;
}
template <class K>
MMB_API cudaFuncSetCacheConfig(K, cudaFuncCache) {
    return cudaSuccess;
}
template <class K>
MMB_API cudaFuncSetSharedMemConfig(K, cudaSharedMemConfig) {
    return cudaSuccess;
}
template <class K>
MMB_API cudaFuncGetAttributes(cudaFuncAttributes* attributes, K, MMB_PLACE) {
    *attributes = {};
    return emulator::refuse("cudaFuncGetAttributes",
                            "registers and the like are known to nvcc only; mmb cuda profile shows them where nvcc is",
                            MMB_HERE);
}
template <class K>
MMB_API cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, K, int threads, size_t shared) {
    *blocks = emulator::blocks_per_multiprocessor(threads, shared);
    return cudaSuccess;
}
template <class K>
MMB_API cudaOccupancyMaxPotentialBlockSize(int* grid, int* block, K, size_t shared = 0, int limit = 0) {
    *block = limit > 0 && limit < 1024 ? limit : 1024;
    int count = 1;
    cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, 0);
    *grid = count * emulator::blocks_per_multiprocessor(*block, shared);
    return cudaSuccess;
}
template <class K, class F>
MMB_API cudaOccupancyMaxPotentialBlockSizeVariableSMem(int* grid, int* block, K kernel, F shared_of, int limit = 0) {
    return cudaOccupancyMaxPotentialBlockSize(grid, block, kernel, shared_of(limit > 0 ? limit : 1024), limit);
}
template <class... P>
MMB_API cudaLaunchKernel(void (*kernel)(P...), dim3 grid, dim3 block, void** arguments, size_t shared = 0,
                         cudaStream_t stream = nullptr, MMB_PLACE) {
    emulator::launch_through(emulator::launch("kernel", kernel, file_, line_).on(grid, block, shared, stream), arguments,
                             std::index_sequence_for<P...>());
    return cudaPeekAtLastError();
}
MMB_API cudaLaunchKernel(const void* kernel, dim3 grid, dim3 block, void** arguments, size_t shared = 0,
                         cudaStream_t stream = nullptr, MMB_PLACE) {
    return emulator::launch_listed("cudaLaunchKernel", kernel, grid, block, arguments, shared, stream, false, MMB_HERE);
}
template <class K>
MMB_API cudaLaunchCooperativeKernel(K kernel, dim3 grid, dim3 block, void** arguments, size_t shared = 0,
                                    cudaStream_t stream = nullptr, MMB_PLACE) {
    return emulator::launch_listed("cudaLaunchCooperativeKernel", reinterpret_cast<const void*>(kernel), grid, block,
                                   arguments, shared, stream, true, MMB_HERE);
}

// Headers of programs ask for nvcc by these. Not before: kernel_table.hpp does so, too.
#if defined(MMB_AS_NVCC)
#define __CUDACC__ 1
#define __NVCC__ 1
#define __CUDACC_VER_MAJOR__ 12
#define __CUDACC_VER_MINOR__ 0
#endif
