// Operations in which lanes of a warp, the threads of a warpgroup, or some warps of a block meet.
#include <algorithm>
#include <vector>

#include "block.h"
#include "checker.h"
#include "findings.h"
#include "hopper.cuh"
#include "scheduler.h"

namespace emulator {
namespace {

// Lanes that have come and wait for the others of their mask. Several groups of one warp may wait.
struct Group {
    unsigned mask = 0, here = 0;
    Exchange exchange = nullptr;
};
struct Warp {
    std::vector<Group> waiting;
};
std::vector<Warp> warps;

struct Warpgroup {
    int here = 0;
    void* brought[128];
    void (*exchange)(void**) = nullptr;
};
std::vector<Warpgroup> warpgroups;

struct NamedBarrier {  // bar.sync: some warps of the block meet
    std::vector<int> here;
    uint64_t generation = 0;
};
NamedBarrier named[16];

unsigned lanes_of(int warp) {  // the last warp of a block may have fewer than 32
    const int lanes = std::min(32, block_size() - warp * 32);
    return lanes == 32 ? ~0u : (1u << lanes) - 1;
}

[[noreturn]] void diverged(const Thread& one, Place at, unsigned mask) {
    Finding f;
    f.kind = "warp-divergence";
    f.at = {site_of(one.at), "warp operation", one.context.thread, one.context.block};
    f.other = here(site_of(at), "warp operation");
    f.has_other = true;
    char text[16];
    std::snprintf(text, sizeof text, "%08x", mask);
    f.text = "warp divergence: lanes of one mask " + std::string(text) + " meet in different operations: thread " +
             in_words(f.at.thread) + " at " + file_and_line(f.at.site) + ", thread " + in_words(f.other.thread) + " at " +
             file_and_line(f.other.site) + " [kernel " + kernel_name + ", block " + in_words(f.at.block) + "]";
    f.mend = "All lanes that the mask names must execute the same operation";
    fail(f);
}

}  // namespace

void prepare_warps(int threads) {
    warps.resize((threads + 31) / 32);
    for (Warp& w : warps) w.waiting.clear();
    warpgroups.assign((threads + 127) / 128, Warpgroup());
    for (NamedBarrier& b : named) b.here.clear();
}

unsigned existing_lanes() { return lanes_of(self().warp()); }

unsigned living_lanes() {
    const int first = self().warp() * 32;
    unsigned lanes = 0;
    for (int lane = 0; lane < 32 && first + lane < block_size(); ++lane)
        if (thread(first + lane).state != State::gone) lanes |= 1u << lane;
    return lanes;
}

unsigned active_lanes(Place at) {
    pause(State::gathering, at);
    return self().mask;
}

bool gather_active_lanes() {
    bool any = false;
    for (int first = 0; first < block_size(); first += 32) {
        const Thread* leader = nullptr;
        unsigned lanes = 0;
        const int top = std::min(first + 32, block_size());
        for (int i = first; i < top; ++i) {  // those of one line, the others later
            const Thread& t = thread(i);
            if (t.state != State::gathering || (leader && t.at.line != leader->at.line)) continue;
            if (!leader) leader = &t;
            lanes |= 1u << t.lane();
        }
        for (int i = first; i < top; ++i) {
            if (!(lanes >> (i - first) & 1)) continue;
            thread(i).mask = lanes;
            thread(i).state = State::ready;
            any = true;
        }
    }
    return any;
}

void warp_collective(unsigned mask, void* brought, Exchange exchange, Place at) {
    Thread& me = self();
    if (!(mask >> me.lane() & 1))
        fail("warp-mask", at, "lane %d calls a warp operation whose mask %08x leaves it out", me.lane(), mask);
    const unsigned needed = mask & lanes_of(me.warp());
    me.mask = mask;
    me.brought = brought;
    me.at = at;  // those who came before are compared with it
    auto& waiting = warps[me.warp()].waiting;
    auto group = std::find_if(waiting.begin(), waiting.end(), [&](const Group& g) { return g.mask == mask && g.exchange == exchange; });
    if (group == waiting.end()) {
        waiting.push_back({mask, 0, exchange});
        group = waiting.end() - 1;
    }
    group->here |= 1u << me.lane();
    if (group->here != needed) return pause(State::at_collective, at);
    waiting.erase(group);
    void* all[32] = {};
    int members[32], count = 0;
    const int first = me.warp() * 32;
    for (int lane = 0; lane < 32; ++lane) {
        if (!(needed >> lane & 1)) continue;
        Thread& t = thread(first + lane);
        if (t.at.line != at.line) diverged(t, at, mask);
        all[lane] = t.brought;
        members[count++] = first + lane;
        t.state = State::ready;
    }
    checker::met(members, count);
    if (exchange) exchange(all, needed);
}

void warpgroup_collective(void* brought, void (*exchange)(void**), Place at) {
    Thread& me = self();
    Warpgroup& group = warpgroups[me.index / 128];
    if (block_size() - me.index / 128 * 128 < 128)
        fail("warpgroup", at, "the block has %d threads, but a warpgroup operation needs the 128 of four whole warps", block_size());
    const int first = me.index / 128 * 128;
    if (group.here && group.exchange != exchange)
        fail("warp-divergence", at, "the threads of one warpgroup meet in different operations");
    group.exchange = exchange;
    group.brought[me.index - first] = brought;
    me.at = at;
    me.mask = ~0u;
    if (++group.here < 128) return pause(State::at_collective, at);
    group.here = 0;
    void* all[128];
    std::copy(group.brought, group.brought + 128, all);
    int members[128];
    for (int i = 0; i < 128; ++i) {
        if (thread(first + i).at.line != at.line) diverged(thread(first + i), at, ~0u);
        members[i] = first + i;
        thread(first + i).state = State::ready;
    }
    checker::met(members, 128);
    exchange(all);
}

void named_barrier(int number, int count, Place at) {
    if (number < 1 || number > 15 || count % 32 || count < 32 || count > block_size())
        fail("barrier", at, "bar.sync %d, %d: the number must be 1 to 15, the threads a multiple of 32 in the block",
             number, count);
    NamedBarrier& barrier = named[number];
    barrier.here.push_back(self().index);
    if (static_cast<int>(barrier.here.size()) == count) {
        checker::met(barrier.here.data(), count);
        barrier.here.clear();
        ++barrier.generation;
        return;
    }
    const uint64_t mine_is = barrier.generation;
    wait_until([&] { return barrier.generation != mine_is; }, "a named barrier", at);
}

bool elect_one(Place at) {
    warp_collective(0xffffffffu, nullptr, nullptr, at);
    return mmb_thread.lane == 0;
}

void one_block_cluster(int blocks, Place at) {
    if (blocks != 1)
        fail("not-emulated", at, "clusters of more than one block are not emulated: launch the variant for one block");
}

}  // namespace emulator
