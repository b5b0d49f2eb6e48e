// What a library of emulated kernels offers to its caller; all of it is C.
#pragma once
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

// Run one kernel of the table. `arguments` points to the values in the order of the kernel's
// parameters. 0, or an error number of CUDA; then mmb_error() says what was wrong.
int mmb_launch(const char* kernel, const unsigned grid[3], const unsigned block[3], size_t shared,
               void* const* arguments);

const char* mmb_error(void);

// The kernels: one line each, "name<TAB>kinds", a kind per parameter: p (P for a pointer to const),
// i4, i8, f4, f8, o64 (an object of 64 bytes).
const char* mmb_kernels(void);

// "seed": order of threads and blocks (0 forward, 1 reverse, else shuffled).
void mmb_option(const char* name, long value);

// For the checker: arrays a kernel may touch. A build without it ignores them.
void mmb_array(const void* start, size_t bytes, int read_only, const char* name);
void mmb_forget_arrays(void);

// For the profile (checker builds): switched on by mmb_option("profile", 1).
const char* mmb_profile(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
