// What a library of emulated kernels offers to its caller; all of it is C.
//
// One launch at a time: whoever calls from several threads guards the calls with a lock.
#pragma once
#include <stddef.h>
#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

// Run one kernel of the table. `arguments` points to the values in the order of the kernel's
// parameters. 0, or an error number of CUDA; then mmb_error() says what was wrong, in one line, and
// mmb_findings() says all that was found, as a JSON array of objects:
//
//   kind, kernel, file, line, function, access, block [x, y, z], thread [x, y, z]
//   space, array, size       of an access
//   other                    {file, line, function, access, block, thread}, where two are involved
//   times, message, mend     how often; what happened; what to do about it
//
// If the environment has MMB_FINDINGS=path, each is appended to that file as it is found.
int mmb_launch(const char* kernel, const unsigned grid[3], const unsigned block[3], size_t shared,
               void* const* arguments);
const char* mmb_error(void);
const char* mmb_findings(void);

// The kernels: one line each, "name<TAB>kinds", a kind per parameter: p (P for a pointer to const),
// i4, i8, f4, f8, o64 (an object of 64 bytes).
const char* mmb_kernels(void);

// 0, or 1 if there is no such option.
//   seed     order of threads and blocks: 0 forward, 1 reverse, else shuffled
//   early    asynchronous copies and products happen at once, instead of as late as is legal
//   yields   checker: before one access in about so many, other threads run; 0 never
//   profile  checker: count bank conflicts and sectors
//   leaks    host programs: memory that is never freed is a finding
int mmb_option(const char* name, long value);

// For the checker: arrays a kernel may touch. A build without it ignores them.
enum { MMB_READ_ONLY = 1, MMB_UNWRITTEN = 2 };  // unwritten: reading before writing is a finding
void mmb_array(const void* start, size_t bytes, int flags, const char* name);
void mmb_forget_arrays(void);
// Of an array that mmb_array named: its items, so many bytes each, that hold this value are unwritten.
void mmb_unwritten(const void* start, size_t bytes, unsigned long long value, size_t item_bytes);

// For the profile of the last launch (checker builds), a JSON array with one object per line.
const char* mmb_profile(void);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
