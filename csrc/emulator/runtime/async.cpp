#include "async.h"

#include "findings.h"

namespace emulator {

void report_unfinished(const char* what, Place at, const char* mend) {
    Finding finding;
    finding.kind = "missing-wait";
    finding.at.site = site_of(at);
    finding.text = what;
    finding.mend = mend;
    report(finding);
}

void require_in_shared(const char* what, const char* p, std::size_t bytes, std::size_t alignment, Place at) {
    const char* start = static_cast<const char*>(dynamic_shared());
    if (!start || p < start || p + bytes > start + dynamic_shared_bytes())
        fail("out-of-bounds", at, "%s: %zu bytes that do not lie in the %zu bytes of dynamic shared memory", what, bytes,
             dynamic_shared_bytes());
    if ((p - start) % alignment)
        fail("misaligned", at, "%s: the place in shared memory must be a multiple of %zu bytes, but is %zu more", what,
             alignment, static_cast<std::size_t>(p - start) % alignment);
}

}  // namespace emulator
