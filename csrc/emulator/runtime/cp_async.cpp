// cp.async: each thread copies 4, 8 or 16 bytes from global to shared memory, and goes on.
#include <cstring>

#include "emulator/cp_async.h"

#include "async.h"
#include "profile.h"
#include "regions.h"

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

std::vector<Groups<Copy>> of_thread;

struct Events : BlockEvents {
    void begin() override { of_thread.assign(block_size(), {}); }
    void end() override {
        for (const Groups<Copy>& copies : of_thread)
            if (const Copy* copy = copies.unfinished())
                return report_unfinished("an asynchronous copy (cp.async) is still on its way when its thread returns", copy->at,
                                         "commit it, and wait for its group before the data is used: "
                                         "ptx::cp_async_commit(); ptx::cp_async_wait<0>(); with cuda_pipeline.h "
                                         "__pipeline_commit(); __pipeline_wait_prior(0)");
    }
} events;

}  // namespace

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
    of_thread[thread].open.push_back(copy);
}

bool is_global(const void* p) {
#if defined(EMULATOR_CHECK)
    const Region* region = regions::holding(reinterpret_cast<uintptr_t>(p));
    return region && !region->is_shared();
#else
    (void)p;
    return false;
#endif
}

void cp_async_commit() { of_thread[self().index].commit(); }

void cp_async_wait(int pending) {
    of_thread[self().index].finish_but(pending, [](const Copy& copy) {
        if (!options.early) copy.land();
    });
}

}  // namespace emulator
