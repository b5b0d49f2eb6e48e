#include "stuck.h"

#include <cstdio>
#include <string>

namespace emulator {
namespace {

std::string number_of(int n, const char* verb_of_one, const char* verb_of_many) {
    return n == 1 ? "1 thread " + std::string(verb_of_one) : std::to_string(n) + " threads " + verb_of_many;
}

std::string inside(const Thread& t) {
    return " [kernel " + std::string(kernel_name) + ", block " + in_words(t.context.block) + ", thread " +
           in_words(t.context.thread) + "]";
}

Spot spot(const Thread& t, const char* access) {
    return {site_of(t.at), access, t.context.thread, t.context.block};
}

}  // namespace

Finding diverged(const Thread& one, const Thread& other) {
    Finding f;
    f.kind = "barrier-divergence";
    f.at = spot(one, "barrier");
    f.other = spot(other, "barrier");
    f.has_other = true;
    f.text = "barrier divergence: thread " + in_words(one.context.thread) + " waits at " + file_and_line(f.at.site) +
             ", thread " + in_words(other.context.thread) + " at " + file_and_line(f.other.site) + inside(other);
    f.mend = "All threads of a block must meet at the same __syncthreads(): move it out of the branch";
    return f;
}

Finding exited(const Thread& one, int waiting) {
    Finding f;
    f.kind = "barrier-divergence";
    f.at = spot(one, "barrier");
    f.text = "barrier divergence: " + number_of(waiting, "waits", "wait") + " at " + file_and_line(f.at.site) + ", " +
             number_of(block_size() - waiting, "has", "have") + " returned from the kernel" + inside(one);
    f.mend = "Threads without work must still reach __syncthreads(): put the work in a branch instead of returning";
    return f;
}

Finding deadlocked() {
    int at_barrier = 0, elsewhere = 0, gone = 0;
    const Thread *first = nullptr, *at_sync = nullptr;
    for (int i = 0; i < block_size(); ++i) {
        const Thread& t = thread(i);
        if (t.state == State::gone) {
            ++gone;
        } else if (t.state == State::at_barrier) {
            ++at_barrier;
            if (!at_sync) at_sync = &t;
        } else {
            ++elsewhere;
            if (!first) first = &t;
        }
    }
    Finding f;
    f.kind = "deadlock";
    f.at = spot(*first, "wait");
    f.text = "deadlock: " + number_of(elsewhere, "waits", "wait") + " for " +
             (first->state == State::waiting ? first->waits_for : "the other lanes of a warp operation") + " at " +
             file_and_line(f.at.site);
    if (const std::string lacking = first->state == State::waiting ? what_it_lacks(*first) : ""; !lacking.empty()) {
        f.text += lacking;
        f.mend = "A phase ends when all arrivals of mbarrier_init have come and exactly the announced bytes have landed: "
                 "compare the counts";
    }
    if (first->state == State::at_collective) {
        char mask[16];
        std::snprintf(mask, sizeof mask, "%08x", first->mask);
        f.text += std::string(" with mask ") + mask;
        f.mend = "Every lane that the mask names must reach the operation: make the mask with __ballot_sync before the branch";
    }
    if (at_sync) {
        f.other = spot(*at_sync, "barrier");
        f.has_other = true;
        f.text += ", " + number_of(at_barrier, "waits", "wait") + " at the barrier of " + file_and_line(f.other.site);
    }
    if (gone) f.text += ", " + number_of(gone, "has", "have") + " returned from the kernel";
    f.text += inside(*first);
    return f;
}

}  // namespace emulator
