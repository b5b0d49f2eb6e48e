// What the asynchronous instructions of csrc/cuda/ptx.cuh and hopper.cuh mean.
//
// Work lands as late as the rules allow: cp.async at its wait, TMA when no thread can go on, wgmma at
// its wait. With the option "early" it lands at once. A kernel that waits where it must gives the same
// bits both ways; one that does not reads what is not there yet, or writes over what is still read.
// The checker hears of each access when it is issued, in the name of the thread's twin (checker.h), so
// that a missing wait is a race whether or not it shows in the numbers.
#include <algorithm>
#include <cstring>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "checker.h"
#include "findings.h"
#include "hopper.cuh"
#include "numbers.h"
#include "profile.h"
#include "scheduler.h"

namespace emulator {
namespace {

struct Copy {
    char* to;
    const char* from;
    int bytes, valid;
    Place at;

    void land() const {
        std::memcpy(to, from, valid);
        std::memset(to + valid, 0, bytes - valid);
    }
};

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

struct Barrier {
    int arrivals = 0, pending = 0, phase = 0;
    long long bytes = 0;  // announced and not landed, or landed and not announced
    bool known = false;   // to TMA: fence_barrier_init came after its init
    Place at;
    checker::Meeting meeting;
};

struct Box {  // of a TMA load or store
    TensorMap map;
    char* shared;
    uint64_t* barrier;
    int col, row;
    Place at;
    int owner;  // the thread that issued it
    checker::Time issued = 0;

    int row_bytes() const { return map.box_cols * map.number_bytes; }

    // Calls each(in shared memory, in the matrix or nullptr beyond it, bytes), number by number.
    template <class F>
    void walk(F each) const {
        for (long long r = 0; r < map.box_rows; ++r)
            for (long long c = 0; c < map.box_cols; ++c) {
                char* here = shared + r * row_bytes() + c * map.number_bytes;
                if (map.swizzle) here += swizzle(shared_address(here)) - static_cast<long long>(shared_address(here));
                const bool inside = row + r >= 0 && row + r < map.rows && col + c >= 0 && col + c < map.cols;
                const char* there = map.start + (row + r) * map.row_bytes + (col + c) * map.number_bytes;
                each(here, inside ? const_cast<char*>(there) : nullptr, map.number_bytes);
            }
    }
    static uint32_t swizzle(uint32_t address) { return address ^ (address >> 3 & 0x70); }
};

struct Product {  // one wgmma: what all 128 threads agreed on
    int columns;
    uint64_t a, b;
    bool accumulate;
    Number number;
    Place at;
    int owner = 0;  // the thread in whose name the checker heard of it
    checker::Time issued = 0;
};

struct Warpgroup {
    std::vector<std::vector<Product>> groups;  // of this block, committed or not
    size_t ran = 0;                            // so many of them have been computed
    std::vector<float> d[128];                 // of each thread, as the products that ran leave it
};

struct ThreadWork {
    Groups<Copy> copies;
    Groups<Box> stores;
    size_t committed = 0, finished = 0;  // groups of products
    float* d = nullptr;                  // where the products on their way add up
    int numbers = 0;                     // of them
    bool open_products = false;          // not committed
    long fences_before = 0;              // fences of the block when it committed stores last
    bool fenced = false;                 // wgmma_fence since the registers were last delivered
};

std::unordered_map<uint64_t*, Barrier> barriers;
std::deque<Box> loads;
std::vector<ThreadWork> threads;
std::vector<Warpgroup> warpgroups;
long fences;  // fence_proxy_async by any thread of the block
std::vector<uint64_t*> barriers_to_make_known;  // initialised since the last fence, by any thread
struct NamedBarrier {
    std::vector<int> here;
    uint64_t generation = 0;
};
NamedBarrier named[16];

void unfinished(const char* what, Place at, const char* mend) {
    Finding finding;
    finding.kind = "missing-wait";
    finding.at.site = site_of(at);
    finding.text = what;
    finding.mend = mend;
    report(finding);
}

struct Events : BlockEvents {
    void begin() override {
        barriers.clear();
        loads.clear();
        for (NamedBarrier& b : named) b.here.clear();
        barriers_to_make_known.clear();
        threads.assign(block_size(), {});
        warpgroups.clear();
        warpgroups.resize((block_size() + 127) / 128);
        fences = 0;
    }
    void end() override {
        for (const ThreadWork& t : threads) {
            if (const Copy* copy = t.copies.unfinished())
                return unfinished("an asynchronous copy (cp.async) is still on its way when its thread returns",
                                  copy->at, "commit it, and wait for its group before the data is used: "
                                            "ptx::cp_async_commit(); ptx::cp_async_wait<0>()");
            if (const Box* box = t.stores.unfinished())
                return unfinished("a TMA store still reads shared memory when its thread returns", box->at,
                                  "ptx::tma_store_commit(); ptx::tma_store_wait_read<0>() before the kernel ends");
            if (t.committed > t.finished || t.open_products)
                return unfinished("a wgmma still runs when its thread returns", products_at,
                                  "ptx::wgmma_commit(); ptx::wgmma_wait<0>() before its result is used");
        }
        for (const auto& [address, barrier] : barriers)
            if (barrier.bytes)
                return unfinished(barrier.bytes < 0 ? "more bytes landed at an mbarrier than were announced"
                                                    : "bytes announced to an mbarrier never came",
                                  barrier.at, "announce exactly the bytes of the boxes: ptx::mbarrier_arrive_expect");
    }
    bool stalled() override;
    Place products_at;
} events;

ThreadWork& mine() { return threads[self().index]; }

Barrier& barrier_at(uint64_t* address, Place at) {
    auto found = barriers.find(address);
    if (found == barriers.end())
        fail("mbarrier", at, "an mbarrier is used that mbarrier_init never saw, or mbarrier_invalidate ended");
    return found->second;
}

void may_complete(Barrier& b) {
    if (b.pending || b.bytes) return;
    b.phase ^= 1;
    b.pending = b.arrivals;
}

void land(const Box& box) {
    box.walk([](char* here, const char* there, int bytes) {
        if (there) std::memcpy(here, there, bytes);
        else std::memset(here, 0, bytes);
    });
    auto found = barriers.find(box.barrier);
    if (found == barriers.end()) return;  // invalidated meanwhile: nobody can wait for it
    found->second.bytes -= static_cast<long long>(box.map.box_rows) * box.row_bytes();
    found->second.meeting.release(box.owner, box.issued);
    may_complete(found->second);
}

void leave(const Box& box) {
    box.walk([](const char* here, char* there, int bytes) {
        if (there) std::memcpy(there, here, bytes);
    });
}

bool Events::stalled() {
    if (loads.empty()) return false;
    const Box box = loads.front();
    loads.pop_front();
    land(box);
    return true;
}

void require_in_shared(const char* what, const char* p, size_t bytes, size_t alignment, Place at) {
    const char* start = static_cast<const char*>(dynamic_shared());
    if (!start || p < start || p + bytes > start + dynamic_shared_bytes())
        fail("out-of-bounds", at, "%s: %zu bytes that do not lie in the %zu bytes of dynamic shared memory", what, bytes,
             dynamic_shared_bytes());
    if ((p - start) % alignment)
        fail("misaligned", at, "%s: the place in shared memory must be a multiple of %zu bytes, but is %zu more", what,
             alignment, static_cast<size_t>(p - start) % alignment);
}

void require_box(const char* what, const Box& box) {
    const size_t bytes = static_cast<size_t>(box.map.box_rows) * box.row_bytes();
    require_in_shared(what, box.shared, bytes, box.map.swizzle ? 1024 : 128, box.at);
    if (box.map.swizzle != 0 && box.map.swizzle != 128)
        fail("not-emulated", box.at, "%s: a swizzle of %d bytes; the emulator knows 0 and 128", what, box.map.swizzle);
    if (box.map.swizzle && box.row_bytes() != 128)
        fail("tensor-map", box.at, "%s: with the 128-byte swizzle a row of the box must have 128 bytes, not %d", what,
             box.row_bytes());
}

// ---------------------------------------------------------------- wgmma

struct Offer {  // what one thread of a warpgroup brings to a wgmma
    float* d;
    Product product;
    int index;
};

// Number k of row (or column) x of an operand. The swizzle is a matter of the address.
float operand(uint64_t descriptor, int x, int k, Number number, Place at) {
    const uint32_t start = (descriptor & 0x3fff) << 4, stride = (descriptor >> 32 & 0x3fff) << 4;
    const int bytes = number == Number::tf32 ? 4 : 2;
    const uint32_t address = Box::swizzle(start + x / 8 * stride + x % 8 * 128 + k * bytes);
    if (address + bytes > dynamic_shared_bytes())
        fail("out-of-bounds", at, "wgmma reads %d bytes at %u of the %zu bytes of dynamic shared memory", bytes, address,
             dynamic_shared_bytes());
    uint32_t bits = 0;
    std::memcpy(&bits, static_cast<const char*>(dynamic_shared()) + address, bytes);
    return number_in(bits, 0, number);
}

void run(Warpgroup& group, const Product& p) {
    const int depth = p.number == Number::tf32 ? 8 : 16;
    std::vector<double> A(64 * depth), B(static_cast<size_t>(p.columns) * depth);
    for (int x = 0; x < 64; ++x)
        for (int k = 0; k < depth; ++k) A[x * depth + k] = operand(p.a, x, k, p.number, p.at);
    for (int x = 0; x < p.columns; ++x)
        for (int k = 0; k < depth; ++k) B[x * depth + k] = operand(p.b, x, k, p.number, p.at);
    for (int t = 0; t < 128; ++t)
        for (int i = 0; i < p.columns / 2; ++i) {
            const int row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8, col = i / 4 * 8 + t % 4 * 2 + i % 2;
            double sum = p.accumulate ? group.d[t][i] : 0.0;  // rounded once: the hardware's order is not documented
            for (int k = 0; k < depth; ++k) sum += A[row * depth + k] * B[col * depth + k];
            group.d[t][i] = static_cast<float>(sum);
        }
}

// The rows of an operand, 32 bytes each, in the name of the running thread's twin.
void tell_reads(uint64_t descriptor, int rows, Place at) {
    const uint32_t start = (descriptor & 0x3fff) << 4, stride = (descriptor >> 32 & 0x3fff) << 4;
    for (int x = 0; x < rows; ++x)
        for (int half = 0; half < 32; half += 16) {
            const uint32_t address = Box::swizzle(start + x / 8 * stride + x % 8 * 128 + half);
            checker::access(self().index, static_cast<const char*>(dynamic_shared()) + address, 16, Access::read, at);
        }
}

bool same(const Product& p, const Product& q) {
    return p.columns == q.columns && p.a == q.a && p.b == q.b && p.accumulate == q.accumulate && p.number == q.number;
}

void take(void** brought) {
    Offer* const* offers = reinterpret_cast<Offer* const*>(brought);
    Product product = offers[0]->product;
    Warpgroup& group = warpgroups[self().index / 128];
    const size_t number = threads[offers[0]->index].committed;  // of the group it will belong to
    for (int t = 0; t < 128; ++t) {
        const Offer& offer = *offers[t];
        ThreadWork& thread = threads[offer.index];
        if (!same(offer.product, product) || thread.committed != number)
            fail("wgmma", offer.product.at,
                 "the 128 threads of a warpgroup must issue the same wgmma, but thread %d of it has other operands, "
                 "another size, flag or group than thread 0",
                 t);
        if (thread.committed == thread.finished && !thread.open_products) {  // until now the registers are its own
            if (!thread.fenced)
                fail("missing-fence", offer.product.at,
                     "wgmma without wgmma_fence: the thread's registers may still be written by what came before. "
                     "Call ptx::wgmma_fence() first");
            group.d[t].assign(offer.d, offer.d + product.columns / 2);
        } else if (thread.d != offer.d || thread.numbers != product.columns / 2) {
            fail("wgmma", offer.product.at, "another accumulator while products into the first still run: wait for them");
        }
        thread.d = offer.d;
        thread.numbers = product.columns / 2;
        thread.open_products = true;
        std::fill(offer.d, offer.d + product.columns / 2, NAN);  // who reads it before the wait reads this
    }
    tell_reads(product.a, 64, product.at);
    tell_reads(product.b, product.columns, product.at);
    product.owner = self().index;
    product.issued = checker::issued();
    group.groups.resize(number + 1);
    group.groups[number].push_back(product);
    if (options.early) run(group, product);
}

}  // namespace

// -------------------------------------------------------------------- cp.async

void cp_async(void* shared, const void* global, int bytes, int valid, Place at) {
    if (valid < 0 || valid > bytes)
        fail("cp.async", at, "cp.async of %d bytes cannot read %d of them", bytes, valid);
    if (reinterpret_cast<uintptr_t>(shared) % bytes || (valid && reinterpret_cast<uintptr_t>(global) % bytes))
        fail("misaligned", at, "cp.async of %d bytes: both addresses must be multiples of %d", bytes, bytes);
    const int thread = self().index;
    if (valid) checker::access(thread, global, valid, Access::read, at);
    checker::access(thread, shared, bytes, Access::write, at);
#if defined(EMULATOR_CHECK)  // as a load and a store of this line
    if (options.profile) {
        if (valid) profile::count(thread, reinterpret_cast<uintptr_t>(global), valid, site_of(at), false);
        profile::count(thread, reinterpret_cast<uintptr_t>(shared), bytes, site_of(at), true);
    }
#endif
    const Copy copy{static_cast<char*>(shared), static_cast<const char*>(global), bytes, valid, at};
    if (options.early) copy.land();
    threads[thread].copies.open.push_back(copy);
}

void cp_async_commit() { mine().copies.commit(); }

void cp_async_wait(int pending) {
    mine().copies.finish_but(pending, [](const Copy& copy) {
        if (!options.early) copy.land();
    });
}

// -------------------------------------------------------------------- mbarrier

void mbarrier_init(uint64_t* barrier, int arrivals, Place at) {
    require_in_shared("mbarrier_init", reinterpret_cast<char*>(barrier), 8, 8, at);
    if (arrivals < 1 || arrivals >= 1 << 20)
        fail("mbarrier", at, "mbarrier_init: %d arrivals, but there must be 1 to 1048575", arrivals);
    Barrier b;
    b.arrivals = b.pending = arrivals;
    b.at = at;
    barriers[barrier] = b;
    barriers_to_make_known.push_back(barrier);
}

void mbarrier_invalidate(uint64_t* barrier, Place at) {
    barrier_at(barrier, at);
    barriers.erase(barrier);
}

void fence_barrier_init() {
    for (uint64_t* address : barriers_to_make_known)
        if (auto found = barriers.find(address); found != barriers.end()) found->second.known = true;
    barriers_to_make_known.clear();
}

void fence_proxy_async() {
    fence_barrier_init();
    ++fences;
}

void mbarrier_arrive(uint64_t* barrier, int bytes, Place at) {
    Barrier& b = barrier_at(barrier, at);
    if (b.pending == 0)
        fail("mbarrier", at, "more arrivals at an mbarrier than the %d of its init, in one phase", b.arrivals);
    b.bytes += bytes;
    if (b.bytes >= 1 << 20) fail("mbarrier", at, "an mbarrier counts at most 1048575 bytes a phase, not %lld", b.bytes);
    --b.pending;
    b.meeting.release();
    may_complete(b);
}

void mbarrier_wait(uint64_t* barrier, int parity, Place at) {
    barrier_at(barrier, at);
    wait_until([&] { return barriers.count(barrier) == 0 || barriers[barrier].phase != parity; }, "an mbarrier", at);
    barrier_at(barrier, at).meeting.acquire();
}

// -------------------------------------------------------------------- TMA

void tma_load(void* to, const TensorMap& map, uint64_t* barrier, int col, int row, Place at) {
    if (!barrier_at(barrier, at).known)
        fail("missing-fence", at, "TMA does not know of this mbarrier yet. Call ptx::fence_barrier_init() after "
                                  "mbarrier_init, and __syncthreads()");
    Box box{map, static_cast<char*>(to), barrier, col, row, at, self().index};
    require_box("tma_load", box);
    checker::access(box.owner, to, static_cast<size_t>(map.box_rows) * box.row_bytes(), Access::write, at);
    box.issued = checker::issued();
    if (options.early) land(box);
    else loads.push_back(box);
}

void tma_store(const TensorMap& map, const void* from, int col, int row, Place at) {
    const Box box{map, const_cast<char*>(static_cast<const char*>(from)), nullptr, col, row, at, self().index};
    require_box("tma_store", box);
    checker::access(box.owner, from, static_cast<size_t>(map.box_rows) * box.row_bytes(), Access::read, at);
    if (fences == mine().fences_before)
        fail("missing-fence", at, "TMA does not see what was stored in shared memory: no fence_proxy_async since this "
                                  "thread's last group of TMA stores. Each thread that stored calls ptx::fence_proxy_async(), "
                                  "then they meet, then one issues the store");
    if (options.early) leave(box);
    mine().stores.open.push_back(box);
}

void tma_store_commit() {
    mine().stores.commit();
    mine().fences_before = fences;
}

void tma_store_wait(int pending) {
    mine().stores.finish_but(pending, [](const Box& box) {
        if (!options.early) leave(box);
    });
}

// -------------------------------------------------------------------- wgmma

void wgmma_fence() { mine().fenced = true; }

void wgmma(float* d, int columns, uint64_t a, uint64_t b, bool accumulate, Number number, Place at) {
    if (a >> 62 != 1 || b >> 62 != 1)
        fail("wgmma", at, "the emulator knows operands with the 128-byte swizzle only: ptx::wgmma_operand");
    events.products_at = at;
    Offer offer{d, {columns, a, b, accumulate, number, at}, self().index};
    warpgroup_collective(&offer, take, at);
}

void wgmma_commit() {
    ThreadWork& thread = mine();
    ++thread.committed;
    thread.open_products = false;
}

// The first of the warpgroup's threads that must see a group finished finds it so for all of them.
void wgmma_wait(int pending, Place at) {
    ThreadWork& thread = mine();
    if (pending == 0 && thread.open_products)
        fail("missing-commit", at, "wgmma_wait waits for committed groups only: call ptx::wgmma_commit() before it");
    Warpgroup& group = warpgroups[self().index / 128];
    group.groups.resize(std::max(group.groups.size(), thread.committed));
    for (; thread.finished + pending < thread.committed; ++thread.finished) {
        for (const Product& product : group.groups[thread.finished]) {
            if (group.ran == thread.finished && !options.early) run(group, product);
            checker::completed(product.owner, product.issued);
        }
        group.ran = std::max(group.ran, thread.finished + 1);
    }
    if (pending == 0 && thread.d) {
        std::copy_n(group.d[self().index % 128].begin(), thread.numbers, thread.d);
        thread.fenced = false;
        thread.d = nullptr;
    }
}

// -------------------------------------------------------------------- meetings

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
