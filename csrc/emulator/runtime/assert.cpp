// assert(): in a kernel a failure is a finding, in a host program it ends the program as ever.
#include <cstdio>
#include <cstdlib>

#include "scheduler.h"

// The library of C calls it; kernels are linked to this one, which nobody outside sees.
extern "C" __attribute__((visibility("hidden"), noreturn)) void __assert_fail(const char* condition, const char* file, unsigned line,
                                                                              const char* function) noexcept(false) {
    if (emulator::running())
        emulator::fail("assert", {file, static_cast<int>(line), function}, "assertion failed: %s", condition);
    std::fprintf(stderr, "%s:%u: %s: Assertion `%s' failed.\n", file, line, function, condition);
    std::abort();
}
