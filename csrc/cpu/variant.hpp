// What tells the modules _cpu, _cpu_avx2 and _cpu_avx512 apart.
#pragma once

namespace mmb {
extern const char* const variant_isa;      // "avx2"
extern const char* const variant_sources;  // a digest of csrc/cpu
}
