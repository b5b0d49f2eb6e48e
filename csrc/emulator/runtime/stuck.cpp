#include "stuck.h"

#include <cstdio>
#include <string>

#include "checker.h"

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

// "array 'flag', byte 0 of 4"
std::string place_in_memory(const void* p) {
    const std::string found = checker::place_of(p);
    return found.empty() ? "memory" : found;
}

// What the others do meanwhile: ": 31 threads have returned from the kernel".
std::string others_than(const Thread& one) {
    int gone = 0, at_barrier = 0, spinning = 0, elsewhere = 0;
    const Thread* at_sync = nullptr;
    for (int i = 0; i < block_size(); ++i) {
        const Thread& t = thread(i);
        if (&t == &one) continue;
        gone += t.state == State::gone;
        spinning += t.state == State::spinning;
        at_barrier += t.state == State::at_barrier;
        elsewhere += t.state != State::gone && t.state != State::spinning && t.state != State::at_barrier;
        if (t.state == State::at_barrier && !at_sync) at_sync = &t;
    }
    std::string text;
    if (spinning) text += ", " + number_of(spinning, "spins", "spin") + " likewise";
    if (at_sync) text += ", " + number_of(at_barrier, "waits", "wait") + " at the barrier of " + file_and_line(site_of(at_sync->at));
    if (elsewhere) text += ", " + number_of(elsewhere, "waits", "wait") + " elsewhere";
    if (gone) text += ", " + number_of(gone, "has", "have") + " returned from the kernel";
    return ": " + (text.empty() ? "it is alone in its block" : text.substr(2));
}

}  // namespace

bool any_spins() {
    for (int i = 0; i < block_size(); ++i)
        if (thread(i).state == State::spinning) return true;
    return false;
}

Finding spun_for_ever() {
    int i = 0;
    while (thread(i).state != State::spinning) ++i;
    const Thread& t = thread(i);
    Finding f;
    f.kind = "livelock";
    f.at = spot(t, t.spin.is_ordinary ? "read" : "volatile read");
    f.text = "livelock: thread " + in_words(t.context.thread) + " reads " + place_in_memory(t.spin.anchor) + " at " +
             file_and_line(f.at.site);
    for (const Spin::Read& read : t.spin.reads)
        if (read.address != t.spin.anchor) f.text += " and " + place_in_memory(read.address) + " at " + file_and_line(read.site);
    f.text += " over and over, waiting for a change, and nobody is left to make it" + others_than(t) + inside(t);
    f.mend = "Whoever is to end the wait must not return, or wait itself, before it has done so. ";
    if (t.spin.is_ordinary)
        f.mend += "And of an ordinary variable the compiler may read once what the loop reads: wait by __syncthreads(), or let the other "
                  "thread change the place by an atomic, and read it by an atomic or as volatile. ";
    f.mend += "A block cannot wait for another one, which may run only after it (the emulator has no grid-wide waits): end the kernel, "
              "and launch a second";
    return f;
}

Finding endless_loop(Site at, const char* what_it_does, const std::string& mend) {
    Finding f;
    f.kind = "livelock";
    f.at = here(at, "loop");
    f.text = "an endless loop: thread " + in_words(f.at.thread) + " " + what_it_does + ", and goes round and round at " +
             file_and_line(at) + inside(self());
    f.mend = mend;
    return f;
}

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
