// What the files of this folder share: allocations, pending work, errors, findings.
#pragma once
#include <cstdarg>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "emulator/host.h"

namespace emulator {

struct Allocation {
    uintptr_t start;
    size_t bytes;
    MemoryKind space;
    const char* function;  // cudaMalloc, cudaHostAlloc ...
    Place made;
    int number = 1;    // of those made on this line
    std::string name;  // empty: it is known by the line that made it
    Place freed;  // line 0: it lives
    bool guard_broken = false;      // told already
    bool reached_by_copy = false;  // pinned: an asynchronous copy may still be writing it
    uintptr_t end() const { return start + bytes; }
};

struct DeviceVariable {
    std::string name, kind;  // "constant", "device", "managed"
    uintptr_t start;
    size_t bytes;
    bool address_taken = false;  // by cudaGetSymbolAddress
    bool is_managed() const { return kind == "managed"; }
};

struct Pending {  // what the device may still be doing, as far as the program can know
    bool any = false;
    std::string kernel;
    Place place;
};

// One place where memory of the device, of both and of the host's pinned kind lies; its addresses
// tell it from all other memory, and its pages can be closed to the host.
class Memory {
   public:
    cudaError_t allocate(MemoryKind space, void** p, size_t bytes, const char* function, Place place);
    Allocation* find(uintptr_t address);     // the living one that holds this address
    Allocation* nearest(uintptr_t address);  // dead or alive, at or before it
    bool holds(uintptr_t address) const { return address >= base_ && address < base_ + size_; }
    void retire(Allocation& a, Place place);
    void retire_all();
    void open();    // the device works: all pages are reachable
    void close();   // the program works: the device's pages are not
    void close_managed();  // a kernel may still be running: nor are those of both
    void open_managed();
    bool managed_is_closed() const { return managed_closed_; }
    std::vector<Allocation*> living();
    size_t used() const { return used_; }
    size_t total() const;
    bool protects = true;  // false under a debugger: MMB_UNPROTECTED=1
    bool guards_intact(const Allocation& a) const;

   private:
    void reserve();
    uintptr_t base_ = 0, next_[3] = {}, limit_[3] = {};
    size_t size_ = 0, used_ = 0;
    bool open_ = false, managed_closed_ = false;
    std::map<uintptr_t, Allocation> all_;
};

struct Host {
    Memory memory;
    std::vector<DeviceVariable> variables;
    Pending pending;
    cudaError_t last = cudaSuccess, sticky = cudaSuccess;
    bool inside_kernel = false, said_time = false;
    std::map<const void*, int> shared_limits;  // of cudaFuncSetAttribute
    std::map<uintptr_t, size_t> registered;    // of cudaHostRegister
    bool is_registered(uintptr_t address) const {
        auto after = registered.upper_bound(address);
        return after != registered.begin() && address < std::prev(after)->first + std::prev(after)->second;
    }
    DeviceVariable* variable(const void* p);
};
Host& host();

struct Note {
    Place place;
    std::string text;
};

std::string text(const char* format, ...) __attribute__((format(printf, 1, 2)));

// Tell the person at the keyboard: a line of JSON in the file named by MMB_FINDINGS, else text.
void tell(const char* kind, Place place, const std::string& what, const std::vector<Note>& notes = {});

// An error as CUDA gives it: remembered for cudaGetLastError, and reported with its reason.
cudaError_t failed(cudaError_t error, const char* kind, Place place, const std::string& what,
                   const std::vector<Note>& notes = {});

cudaError_t sticky();                                     // what every call returns after a failed kernel
void synchronized();                                    // the program waited for the device
bool is_of_heap(const Allocation& a);                   // made by malloc or new in a kernel
void note_memory();                                     // for MMB_DIGEST: what a kernel left
std::string where(const Allocation& a);                 // "memory allocated at vector_add.cu:12", or its name
std::string describe(const void* p);                    // what kind of memory an address is
bool is_stream(cudaStream_t stream);
cudaError_t bad_stream(const char* function, Place place);
cudaError_t wait_for_all();

// streams.cpp: a kernel or copy begins in a stream; the program has waited for a stream, or for all.
uint32_t order_begins(cudaStream_t stream, const std::string& what, Place place);
void order_is_known(cudaStream_t stream);
void order_is_known();
bool came_before(uint32_t block);  // the operation that a block belongs to, before that which runs now
void tell_race_of_streams(const std::string& element, Place now, bool now_writes, Place before, bool before_writes, uint32_t block);
void install_fault_handler();
const char* short_name(const char* file);

}  // namespace emulator
