#include "mbarrier.h"

#include <string>
#include <unordered_map>
#include <vector>

#include "async.h"
#include "hopper.cuh"

namespace emulator {
namespace {

struct Barrier {
    int arrivals = 0, pending = 0, phase = 0;
    long long bytes = 0;  // announced and not landed, or landed and not announced
    bool known = false;   // to TMA: fence_barrier_init came after its init
    Place at;
    checker::Meeting meeting;

    // A phase ends when nothing is missing.
    void may_complete() {
        if (pending || bytes) return;
        phase ^= 1;
        pending = arrivals;
    }
};

std::unordered_map<uint64_t*, Barrier> barriers;
std::vector<uint64_t*> to_make_known;  // initialised since the last fence, by any thread
std::vector<uint64_t*> waited_for;     // by each thread, last

std::string count_of(long long n, const char* what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

struct Events : BlockEvents {
    void begin() override {
        barriers.clear();
        to_make_known.clear();
        waited_for.assign(block_size(), nullptr);
    }
    std::string lacks(int thread) override {
        const auto found = barriers.find(waited_for[thread]);
        if (found == barriers.end()) return "";
        const Barrier& b = found->second;
        if (b.bytes < 0) return ", at which " + count_of(-b.bytes, "byte") + " more landed than were announced";
        const std::string arrivals = b.pending ? count_of(b.pending, "arrival") : "";
        const std::string bytes = b.bytes ? count_of(b.bytes, "announced byte") : "";
        return ", whose phase lacks " + arrivals + (b.pending && b.bytes ? " and " : "") + bytes;
    }
} events;

Barrier& barrier_at(uint64_t* address, Place at) {
    auto found = barriers.find(address);
    if (found == barriers.end())
        fail("mbarrier", at, "an mbarrier is used that mbarrier_init never saw, or mbarrier_invalidate ended");
    return found->second;
}

}  // namespace

namespace mbarrier {

void require_known(uint64_t* barrier, Place at) {
    if (!barrier_at(barrier, at).known)
        fail("missing-fence", at,
             "TMA does not know of this mbarrier yet. Call ptx::fence_barrier_init() after mbarrier_init, and __syncthreads()");
}

void bytes_landed(uint64_t* barrier, long long bytes, int owner, checker::Time issued) {
    auto found = barriers.find(barrier);
    if (found == barriers.end()) return;  // invalidated meanwhile: nobody can wait for it
    found->second.bytes -= bytes;
    found->second.meeting.release(owner, issued);
    found->second.may_complete();
}

void report_missing_bytes() {
    for (const auto& [address, barrier] : barriers)
        if (barrier.bytes)
            return report_unfinished(barrier.bytes < 0 ? "more bytes landed at an mbarrier than were announced"
                                                       : "bytes announced to an mbarrier never came",
                                     barrier.at, "announce exactly the bytes of the boxes: ptx::mbarrier_arrive_expect");
}

}  // namespace mbarrier

void mbarrier_init(uint64_t* barrier, int arrivals, Place at) {
    require_in_shared("mbarrier_init", reinterpret_cast<char*>(barrier), 8, 8, at);
    if (arrivals < 1 || arrivals >= 1 << 20)
        fail("mbarrier", at, "mbarrier_init: %d arrivals, but there must be 1 to 1048575", arrivals);
    Barrier b;
    b.arrivals = b.pending = arrivals;
    b.at = at;
    barriers[barrier] = b;
    to_make_known.push_back(barrier);
}

void mbarrier_invalidate(uint64_t* barrier, Place at) {
    barrier_at(barrier, at);
    barriers.erase(barrier);
}

void fence_barrier_init() {
    for (uint64_t* address : to_make_known)
        if (auto found = barriers.find(address); found != barriers.end()) found->second.known = true;
    to_make_known.clear();
}

void mbarrier_arrive(uint64_t* barrier, int bytes, Place at) {
    Barrier& b = barrier_at(barrier, at);
    if (b.pending == 0)
        fail("mbarrier", at, "more arrivals at an mbarrier than the %d of its init, in one phase", b.arrivals);
    b.bytes += bytes;
    if (b.bytes >= 1 << 20) fail("mbarrier", at, "an mbarrier counts at most 1048575 bytes a phase, not %lld", b.bytes);
    --b.pending;
    b.meeting.release();
    b.may_complete();
}

void mbarrier_wait(uint64_t* barrier, int parity, Place at) {
    barrier_at(barrier, at);
    waited_for[self().index] = barrier;
    wait_until([&] { return barriers.count(barrier) == 0 || barriers[barrier].phase != parity; }, "an mbarrier", at);
    barrier_at(barrier, at).meeting.acquire();
}

}  // namespace emulator
