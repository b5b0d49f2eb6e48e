// A loop that waits for memory to change: while (*flag == 0) {}. When is it for ever?
//
// A thread is what its registers and its stack hold. If they are bit for bit what they were at an
// earlier execution of the same access, and the thread has changed no memory in between, then it goes
// round for ever unless another thread changes memory. Such a thread waits until another has moved,
// goes round once more, and waits again. If all threads wait, none of them can go on: a livelock. That
// is a proof, not a guess: a loop that counts its rounds in a register, if only to end, is never said
// to be endless here (watchdog.h is for those, and for loops without reads).
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

#include "emulator/runtime.h"
#include "site.h"

namespace emulator {

// What a thread remembers of its past, to know it when it comes back. The anchor is one of its accesses;
// another one is chosen at 1024, 2048, 4096 ... accesses, so that one lies in any loop (Brent, 1980).
struct Spin {
    struct Read {
        const void* address;
        Site site;
    };
    uint64_t accesses = 0, next_anchor = 1024, state = 0;  // state: of the thread, at the anchor
    const void* anchor = nullptr;  // its address; nullptr: none, or memory was changed since
    Site site = 0;
    bool is_ordinary = false;      // neither volatile nor atomic
    uint64_t tries = 0;            // comparisons left
    uint64_t moves = 0;            // of others, when it was last there
    bool has_state = false;        // it was there at least once
    bool is_spinning = false;      // came round at least once
    std::vector<Read> reads;       // of one round
    // of its last write, which may have changed nothing: known at the next access
    const void* written = nullptr;
    std::size_t bytes = 0;
    unsigned char before[16];
};

namespace spinning {

// The running thread reads memory, or changes it atomically. May let the others run.
void reads(const void* p, Site site, bool is_ordinary);
// ... is about to write memory, or to change it atomically: then it is not ordinary.
void writes(const void* p, std::size_t bytes, bool is_ordinary);
// What it does from here on may differ, though its registers do not: it met others, or read a clock.
void forget();

#if defined(EMULATOR_CHECK)
constexpr bool looks = true;
#else
constexpr bool looks = false;  // nothing of this is done
#endif

// For the watchdog: a number that grows whenever a thread touches memory, waits or reads a clock; one
// that grows unless a thread reads again what it has just read, or an atomic changes nothing; and the
// watchdog's order to end the next reader.
extern uint64_t steps, news;
extern bool is_to_end;
uint64_t hash_of(const void* p, std::size_t bytes, uint64_t hash = 0);  // of whole words of 8 bytes

}  // namespace spinning
}  // namespace emulator
