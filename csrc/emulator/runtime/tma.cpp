// The tensor memory accelerator: one thread moves a box of a matrix, and its bytes count at an mbarrier.
#include <algorithm>
#include <cstring>

#include "async.h"
#include "hopper.cuh"
#include "mbarrier.h"
#include "profile.h"

namespace emulator {
namespace {

struct Box {
    TensorMap map;
    char* shared;
    uint64_t* barrier;
    int col, row;
    Place at;
    int owner;  // the thread that issued it
    checker::Time issued = 0;

    int row_bytes() const { return map.box_cols * map.number_bytes; }
    std::size_t bytes() const { return static_cast<std::size_t>(map.box_rows) * row_bytes(); }

    // Calls each(in shared memory, in the matrix or nullptr beyond it, bytes), number by number.
    template <class F>
    void walk(F each) const {
        for (long long r = 0; r < map.box_rows; ++r)
            for (long long c = 0; c < map.box_cols; ++c) {
                char* here = shared + r * row_bytes() + c * map.number_bytes;
                if (map.swizzle) here += swizzled(shared_address(here)) - static_cast<long long>(shared_address(here));
                const bool inside = row + r >= 0 && row + r < map.rows && col + c >= 0 && col + c < map.cols;
                const char* there = map.start + (row + r) * map.row_bytes + (col + c) * map.number_bytes;
                each(here, inside ? const_cast<char*>(there) : nullptr, map.number_bytes);
            }
    }

    // Calls each(in the matrix, bytes) for the part of each row that lies in it.
    template <class F>
    void walk_rows(F each) const {
        const long long first = std::max(0, col), last = std::min<long long>(map.cols, static_cast<long long>(col) + map.box_cols);
        for (long long r = std::max(0, row); r < std::min<long long>(map.rows, static_cast<long long>(row) + map.box_rows); ++r)
            if (first < last) each(map.start + r * map.row_bytes + first * map.number_bytes, (last - first) * map.number_bytes);
    }
};

struct Stores {  // of one thread
    Groups<Box> groups;
    long fences_before = 0;  // fences of the block when it committed stores last
};

std::deque<Box> loads;
std::vector<Stores> of_thread;
long fences;  // fence_proxy_async by any thread of the block

void land(const Box& box) {
    box.walk([](char* here, const char* there, int bytes) {
        if (there) std::memcpy(here, there, bytes);
        else std::memset(here, 0, bytes);
    });
    mbarrier::bytes_landed(box.barrier, static_cast<long long>(box.bytes()), box.owner, box.issued);
}

void leave(const Box& box) {
    box.walk([](const char* here, char* there, int bytes) {
        if (there) std::memcpy(there, here, bytes);
    });
}

struct Events : BlockEvents {
    void begin() override {
        loads.clear();
        of_thread.assign(block_size(), {});
        fences = 0;
    }
    void end() override {
        for (const Stores& stores : of_thread)
            if (const Box* box = stores.groups.unfinished())
                return report_unfinished("a TMA store still reads shared memory when its thread returns", box->at,
                                         "ptx::tma_store_commit(); ptx::tma_store_wait_read<0>() before the kernel ends");
        if (!loads.empty())
            return report_unfinished("a TMA load is still on its way when the block ends", loads.front().at,
                                     "wait for its mbarrier, by the parity of the phase in which it was announced");
        mbarrier::report_missing_bytes();
    }
    bool stalled() override {
        if (loads.empty()) return false;
        const Box box = loads.front();
        loads.pop_front();
        land(box);
        return true;
    }
} events;

void require_box(const char* what, const Box& box) {
    const TensorMap& map = box.map;
    require_in_shared(what, box.shared, box.bytes(), map.swizzle ? 1024 : 128, box.at);
    if (map.swizzle != 0 && map.swizzle != 128)
        fail("not-emulated", box.at, "%s: a swizzle of %d bytes; the emulator knows 0 and 128", what, map.swizzle);
    if (map.swizzle && box.row_bytes() != 128)
        fail("tensor-map", box.at, "%s: with the 128-byte swizzle a row of the box must have 128 bytes, not %d", what, box.row_bytes());
    // on a GPU cuTensorMapEncodeTiled refuses these, when the host makes the map
    if (reinterpret_cast<uintptr_t>(map.start) % 16 || map.row_bytes % 16)
        fail("tensor-map", box.at,
             "%s: the matrix must begin at a multiple of 16 bytes, and so must each of its rows, but it begins %zu bytes further "
             "and its rows are %lld bytes apart. Pad the rows",
             what, static_cast<std::size_t>(reinterpret_cast<uintptr_t>(map.start) % 16), map.row_bytes);
}

// What the box touches, in the name of the thread's twin; and for the profile what it asks of global
// memory. Its way through shared memory is no line's affair: TMA moves whole rows over all banks.
void tell(const Box& box, bool is_load) {
    const Access of_shared = is_load ? Access::write : Access::read, of_global = is_load ? Access::read : Access::write;
    checker::access(box.owner, box.shared, box.bytes(), of_shared, box.at);
    box.walk_rows([&](const char* p, std::size_t bytes) { checker::access(box.owner, p, bytes, of_global, box.at); });
#if defined(EMULATOR_CHECK)
    if (!options.profile) return;
    std::vector<profile::Piece> pieces;
    box.walk_rows([&](const char* p, std::size_t bytes) { pieces.push_back({reinterpret_cast<uintptr_t>(p), bytes}); });
    profile::count_bulk(pieces, site_of(box.at));
#endif
}

}  // namespace

void fence_proxy_async() {
    fence_barrier_init();
    ++fences;
}

void tma_load(void* to, const TensorMap& map, uint64_t* barrier, int col, int row, Place at) {
    mbarrier::require_known(barrier, at);
    Box box{map, static_cast<char*>(to), barrier, col, row, at, self().index};
    require_box("tma_load", box);
    tell(box, true);
    box.issued = checker::issued();
    if (options.early) land(box);
    else loads.push_back(box);
}

void tma_store(const TensorMap& map, const void* from, int col, int row, Place at) {
    const Box box{map, const_cast<char*>(static_cast<const char*>(from)), nullptr, col, row, at, self().index};
    require_box("tma_store", box);
    tell(box, false);
    Stores& mine = of_thread[self().index];
    if (fences == mine.fences_before)
        fail("missing-fence", at,
             "TMA does not see what was stored in shared memory: no fence_proxy_async since this thread's last group of TMA "
             "stores. Each thread that stored calls ptx::fence_proxy_async(), then they meet, then one issues the store");
    if (options.early) leave(box);
    mine.groups.open.push_back(box);
}

void tma_store_commit() {
    Stores& mine = of_thread[self().index];
    mine.groups.commit();
    mine.fences_before = fences;
}

void tma_store_wait(int pending) {
    of_thread[self().index].groups.finish_but(pending, [](const Box& box) {
        if (!options.early) leave(box);
    });
}

}  // namespace emulator
