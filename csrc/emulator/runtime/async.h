// What the asynchronous units share: groups of work, and how they see shared memory.
//
// Work lands as late as the rules allow: cp.async at its wait, TMA when no thread can go on, wgmma at
// its wait. With the option "early" it lands at once. A kernel that waits where it must gives the same
// bits both ways; one that does not reads what is not there yet, or writes over what is still read.
// The checker hears of each access when it is issued, in the name of the thread's twin (checker.h), so
// that a missing wait is a race whether or not it shows in the numbers.
#pragma once
#include <deque>
#include <vector>

#include "checker.h"
#include "scheduler.h"

namespace emulator {

// Work in groups, as its thread committed them, and when the checker heard of it.
template <class Work>
struct Groups {
    struct Group {
        std::vector<Work> work;
        checker::Time issued;
    };
    std::vector<Work> open;
    std::deque<Group> committed;

    void commit() {
        committed.push_back({std::move(open), checker::issued()});
        open.clear();
    }
    template <class F>
    void finish_but(int pending, F finish) {
        while (static_cast<int>(committed.size()) > pending) {
            for (const Work& work : committed.front().work) finish(work);
            checker::completed(self().index, committed.front().issued);
            committed.pop_front();
        }
    }
    const Work* unfinished() const {
        for (const Group& group : committed)
            if (!group.work.empty()) return &group.work.front();
        return open.empty() ? nullptr : &open.front();
    }
};

// A thread returned, and its work has not been waited for.
void report_unfinished(const char* what, Place at, const char* mend);

// Ends the kernel unless so many bytes lie in dynamic shared memory, at a multiple of `alignment`.
void require_in_shared(const char* what, const char* p, std::size_t bytes, std::size_t alignment, Place at);

// The 128-byte swizzle of TMA and wgmma: 16-byte groups of a row change places by the row's number.
inline uint32_t swizzled(uint32_t address) { return address ^ (address >> 3 & 0x70); }

}  // namespace emulator
