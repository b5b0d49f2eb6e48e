// Threads of a block, and how they wait. For the parts of the runtime; kernels see emulator/runtime.h.
//
// One block runs at a time, one thread of it at a time, on a fiber, until it waits or ends. Nothing
// here is guarded by locks.
#pragma once
#include <cstdint>
#include <string>

#include "emulator/runtime.h"
#include "fiber.h"
#include "spinning.h"

namespace emulator {

enum class State : uint8_t { ready, at_barrier, at_collective, gathering, waiting, spinning, gone };

struct Thread {
    Fiber fiber;
    State state = State::gone;
    Context context;
    int index = 0;  // in the block
    Place at;       // where it waits

    // at_barrier
    Reduce reduce = Reduce::none;
    int value = 0, reduced = 0;
    // at_collective
    unsigned mask = 0;
    void* brought = nullptr;
    // waiting
    bool (*may_go_on)(void*) = nullptr;
    void* condition = nullptr;
    const char* waits_for = nullptr;

    Spin spin;
    unsigned atomics = 0;      // it has executed
    bool is_stopped = false;   // by a finding, so that others must not wait for it

    int warp() const { return index / 32; }
    int lane() const { return index % 32; }
};

Thread* running();          // nullptr outside of a kernel
Thread& self();             // the running thread
Thread& thread(int index);  // of the running block
int block_size();           // threads in it
uint64_t moves();           // how often a thread ran that does not only wait for memory to change
uint64_t block_number();    // in this launch, from 1 on, in the order in which blocks run

// Let the others run until `met()` is true; it is asked by the scheduler, in no thread's name.
// `what` stands in the message if nobody can go on: "an mbarrier", "its turn".
void wait_until(bool (*met)(void*), void* condition, const char* what, Place at);
template <class F>
void wait_until(F met, const char* what, Place at) {
    if (!met()) wait_until([](void* f) { return (*static_cast<F*>(f))(); }, &met, what, at);
}
void yield();        // let the others run once
void pause(State state, Place at);  // until the scheduler, or another thread, makes it ready

// The 128 threads of four neighbouring warps meet, as wgmma has it; then the last of them to come
// runs `exchange` over what each brought. brought[i] is of the i-th thread of the warpgroup.
void warpgroup_collective(void* brought, void (*exchange)(void** brought), Place at);

std::string what_it_lacks(const Thread& waiting);  // ", whose phase lacks 1 arrival", or ""

// What a part of the runtime does around a block. Derive, and make one static object.
class BlockEvents {
   public:
    BlockEvents();
    virtual ~BlockEvents() = default;
    virtual void begin() {}  // before the first thread runs; forget the last block
    virtual void end() {}    // after the last thread returned
    // No thread can go on: the latest moment at which asynchronous work may land. True if some did.
    virtual bool stalled() { return false; }
    // Nobody can go on at all: what that which the thread waits for lacks, to be said in a message.
    virtual std::string lacks(int) { return ""; }

   private:
    friend struct AllBlockEvents;
    BlockEvents* next_;
};

struct Options {
    long seed = 0;       // order of threads and blocks: 0 forward, 1 reverse, else shuffled
    long early = 0;      // asynchronous work lands at once, instead of as late as is legal
    long yields = 0;     // checker: let others run before one access in about so many
    long profile = 0;    // checker: count bank conflicts and sectors
    long leaks = 0;      // host programs: memory that is never freed is a finding
};
extern Options options;

}  // namespace emulator
