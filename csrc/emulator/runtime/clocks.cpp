#include "clocks.h"

#include <algorithm>
#include <array>
#include <memory>
#include <unordered_map>

#include "scheduler.h"
#include "spinning.h"

#if defined(EMULATOR_CHECK)
namespace emulator {
namespace {

using checker::Time;
using Times = std::vector<Time>;  // one per thread of the block
using Earlier = std::unordered_map<uint32_t, std::shared_ptr<const Times>>;  // of blocks that are over

// What one thread knows, beyond what all know since the last barrier. Of its own warp always; of the
// others, and of twins, once it has learned something through a Meeting or an atomic.
struct Mind {
    std::array<Time, 32> warp;
    Times others, twins;
    Times fenced;  // what it knew at its last fence: whoever sees its next atomic learns that
    Earlier earlier;
};

constexpr int MOST = 1024;
uint32_t serial = 0, first_of_launch = 0;
Mind minds[MOST];
Time current_time[MOST], common[MOST], twin_time[MOST], twin_common[MOST];
bool are_twins_used = false, are_fences_used = false;
Times fenced_by_all;      // at the last barrier
Earlier earlier_for_all;  // likewise

// Atomics through which a block has told of its past: by address, then by block.
struct Told {
    std::shared_ptr<Times> of_block;
    uint32_t block = 0;
    Earlier earlier;
};
std::unordered_map<const void*, Told> told;

void learn(Times& mine, const Times& other) {
    if (other.empty()) return;
    if (mine.empty()) mine.resize(other.size());
    for (std::size_t i = 0; i < other.size(); ++i) mine[i] = std::max(mine[i], other[i]);
}

// All that a thread knows of the threads of its block.
Times all_of(int t) {
    const int n = block_size(), first = t / 32 * 32;
    Times known(common, common + n);
    learn(known, minds[t].others);
    for (int lane = 0; lane < 32 && first + lane < n; ++lane)
        known[first + lane] = std::max(known[first + lane], minds[t].warp[lane]);
    known[t] = current_time[t];
    return known;
}

}  // namespace

namespace clocks {

void launch_begins() {
    first_of_launch = serial + 1;
    told.clear();
}

void block_begins() {
    ++serial;
    are_twins_used = are_fences_used = false;
    fenced_by_all.clear();
    earlier_for_all.clear();
    for (int t = 0; t < block_size(); ++t) {
        Mind& mind = minds[t];
        mind.warp.fill(0);
        mind.others.clear();
        mind.twins.clear();
        mind.fenced.clear();
        mind.earlier.clear();
        current_time[t] = twin_time[t] = 1;
        common[t] = twin_common[t] = 0;
    }
}

bool (*came_before)(uint32_t block) = nullptr;
uint32_t next_block() { return ++serial; }
bool is_of_this_launch(uint32_t block) { return block >= first_of_launch; }
uint32_t block() { return serial; }
Time now(int t) { return current_time[t]; }
Time twin_now(int t) { return twin_time[t]; }

bool knows(int t, const Past& past, bool is_shared) {
    const int who = past.who & ~TWIN;
    const Mind& mind = minds[t];
    if (past.block != serial) {
        if (is_shared) return true;
        if (!is_of_this_launch(past.block)) return !came_before || came_before(past.block);
        const Earlier* const learned[] = {&mind.earlier, &earlier_for_all};
        for (const Earlier* earlier : learned) {
            const auto found = earlier->find(past.block);
            if (found != earlier->end() && !(past.who & TWIN) && past.time <= (*found->second)[who]) return true;
        }
        return false;
    }
    if (past.who & TWIN) {
        if (past.time <= twin_common[who]) return true;
        return !mind.twins.empty() && past.time <= mind.twins[who];
    }
    if (who == t || past.time <= common[who]) return true;
    if (who / 32 == t / 32 && past.time <= mind.warp[who % 32]) return true;
    return !mind.others.empty() && past.time <= mind.others[who];
}

void fence() {
    const int me = self().index;
    minds[me].fenced = all_of(me);
    ++current_time[me];
    are_fences_used = true;
}

void met_at(const void* p) {
    if (!are_fences_used && told.empty()) return;
    const int me = self().index;
    Mind& mind = minds[me];
    Told& here = told[p];
    if (here.block != serial) {  // the block that told is over: what it told will not change
        if (here.of_block) here.earlier[here.block] = here.of_block;
        here.of_block = nullptr;
        here.block = serial;
    }
    mind.earlier.insert(here.earlier.begin(), here.earlier.end());
    if (here.of_block) learn(mind.others, *here.of_block);
    if (mind.fenced.empty() && fenced_by_all.empty()) return;
    if (!here.of_block) here.of_block = std::make_shared<Times>(block_size());
    learn(*here.of_block, mind.fenced);
    learn(*here.of_block, fenced_by_all);
    here.earlier.insert(mind.earlier.begin(), mind.earlier.end());
    here.earlier.insert(earlier_for_all.begin(), earlier_for_all.end());
}

}  // namespace clocks

namespace clocks {

void barrier_passed() {
    const int n = block_size();
    for (int t = 0; t < n; ++t) common[t] = current_time[t]++;
    if (are_twins_used)
        for (int t = 0; t < n; ++t)
            for (std::size_t i = 0; i < minds[t].twins.size(); ++i) twin_common[i] = std::max(twin_common[i], minds[t].twins[i]);
    if (are_fences_used)
        for (int t = 0; t < n; ++t) learn(fenced_by_all, minds[t].fenced);
    for (int t = 0; t < n; ++t) {
        earlier_for_all.insert(minds[t].earlier.begin(), minds[t].earlier.end());
        minds[t].earlier.clear();
    }
}

}  // namespace clocks

namespace checker {

void met(const int* threads, int count) {
    if (count > 1) spinning::forget();  // who came last has not paused
    const bool is_one_warp = threads[0] / 32 == threads[count - 1] / 32;
    bool is_wide = !is_one_warp;
    for (int i = 0; i < count; ++i) is_wide |= !minds[threads[i]].others.empty();
    if (is_wide) {
        Times joined;
        for (int i = 0; i < count; ++i) learn(joined, all_of(threads[i]));
        for (int i = 0; i < count; ++i) minds[threads[i]].others = joined;
    } else {
        std::array<Time, 32> joined{};
        for (int i = 0; i < count; ++i) {
            for (int lane = 0; lane < 32; ++lane) joined[lane] = std::max(joined[lane], minds[threads[i]].warp[lane]);
        }
        for (int i = 0; i < count; ++i) joined[threads[i] % 32] = std::max(joined[threads[i] % 32], current_time[threads[i]]);
        for (int i = 0; i < count; ++i) minds[threads[i]].warp = joined;
    }
    if (are_twins_used) {
        Times joined;
        for (int i = 0; i < count; ++i) learn(joined, minds[threads[i]].twins);
        if (!joined.empty())
            for (int i = 0; i < count; ++i) minds[threads[i]].twins = joined;
    }
    Earlier earlier;
    for (int i = 0; i < count; ++i) earlier.insert(minds[threads[i]].earlier.begin(), minds[threads[i]].earlier.end());
    if (!earlier.empty())
        for (int i = 0; i < count; ++i) minds[threads[i]].earlier = earlier;
    for (int i = 0; i < count; ++i) ++current_time[threads[i]];
}

Time issued() { return twin_time[self().index]++; }

void completed(int owner, Time time) {
    are_twins_used = true;
    Times& twins = minds[self().index].twins;
    twins.resize(block_size());
    twins[owner] = std::max(twins[owner], time);
}

void Meeting::release() {
    const int me = self().index;
    learn(threads_, all_of(me));
    learn(twins_, minds[me].twins);
    ++current_time[me];
}

void Meeting::release(int owner, Time time) {
    are_twins_used = true;
    twins_.resize(block_size());
    twins_[owner] = std::max(twins_[owner], time);
}

void Meeting::acquire() { acquire(self().index); }

void Meeting::acquire(int t) {
    learn(minds[t].others, threads_);
    learn(minds[t].twins, twins_);
}

void Meeting::forget() {
    threads_.clear();
    twins_.clear();
}

}  // namespace checker
}  // namespace emulator
#endif
