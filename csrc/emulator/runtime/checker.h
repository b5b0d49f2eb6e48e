// The checker: what it is told about, and what it may be asked. Builds without it have none.
//
// It keeps, for every 4 bytes of memory that a kernel may touch, the last write and two reads, and
// for every thread how much of the other threads' past it knows: what happened before (vector
// clocks). Two accesses of one place race unless one of them is known to the thread of the other.
//
// Besides itself a thread has a twin, in whose name its asynchronous copies and matrix products
// access memory. What the twin did is known to a thread only after it has waited for it.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "emulator/runtime.h"
#include "site.h"

namespace emulator::checker {

using Time = uint32_t;  // a thread's own, growing

#if defined(EMULATOR_CHECK)

void launch_begins(const void* values, std::size_t bytes);  // the kernel's parameters
// Memory that an earlier launch or copy in another stream touches too, and nothing orders the two. A
// host program with streams sets it. `block` belongs to the earlier one.
extern void (*race_of_streams)(const std::string& element, Site now, bool now_writes, Site before, bool before_writes,
                               uint32_t block);
void launch_ends();
void block_begins();
void block_ends();
std::string place_of(const void* p);         // "array 'x', byte 0 of 4", or "" where no array is
void barrier_passed();                       // by all threads of the block
void met(const int* threads, int count);     // they know of one another's past

// Asynchronous work of the running thread. Accesses issued since the last call of `issued` belong to
// the time it returns; whoever calls `completed` with it knows of them.
Time issued();
void access(int owner, const void* p, std::size_t bytes, Access kind, Place at);  // in the twin's name
void completed(int owner, Time time);

// A place in memory through which threads learn of each other's past: an mbarrier.
class Meeting {
   public:
    void release();                        // the running thread leaves what it knows
    void release(int owner, Time time);    // ... or a twin does what it did
    void acquire();                        // the running thread learns what was left
    void acquire(int thread);              // ... or another
    void forget();

   private:
    std::vector<Time> threads_, twins_;
};

#else

inline void launch_begins(const void*, std::size_t) {}
inline void launch_ends() {}
inline void block_begins() {}
inline void block_ends() {}
inline std::string place_of(const void*) { return ""; }
inline void barrier_passed() {}
inline void met(const int*, int) {}
inline Time issued() { return 0; }
inline void access(int, const void*, std::size_t, Access, Place) {}
inline void completed(int, Time) {}
class Meeting {
   public:
    void release() {}
    void release(int, Time) {}
    void acquire() {}
    void acquire(int) {}
    void forget() {}
};

#endif

}  // namespace emulator::checker
