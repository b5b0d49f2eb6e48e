// g++ -fsanitize=thread calls __tsan_read4 and the like before every load and store, and
// -fsanitize=bounds calls __ubsan_handle_out_of_bounds where an index is too large for its array.
// libtsan and libubsan are not linked: we are the sanitizer. memcpy and memset come here too.
#include "hooks.h"

#include <cstdint>

#if defined(EMULATOR_CHECK)
using emulator::Access;
using emulator::instrumented;

#define CODE __builtin_return_address(0)
#define HOOKS(bytes)                                                                                              \
    void __tsan_read##bytes(void* p) { instrumented(p, bytes, Access::read, CODE, false); }                       \
    void __tsan_write##bytes(void* p) { instrumented(p, bytes, Access::write, CODE, false); }                     \
    void __tsan_unaligned_read##bytes(void* p) { instrumented(p, bytes, Access::read, CODE, false); }             \
    void __tsan_unaligned_write##bytes(void* p) { instrumented(p, bytes, Access::write, CODE, false); }           \
    void __tsan_volatile_read##bytes(void* p) { instrumented(p, bytes, Access::read, CODE, true); }               \
    void __tsan_volatile_write##bytes(void* p) { instrumented(p, bytes, Access::write, CODE, true); }             \
    void __tsan_unaligned_volatile_read##bytes(void* p) { instrumented(p, bytes, Access::read, CODE, true); }     \
    void __tsan_unaligned_volatile_write##bytes(void* p) { instrumented(p, bytes, Access::write, CODE, true); }

extern "C" {
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
void __tsan_read_range(void* p, std::size_t n) { instrumented(p, n, Access::read, CODE, false); }
void __tsan_write_range(void* p, std::size_t n) { instrumented(p, n, Access::write, CODE, false); }
void* __tsan_memcpy(void* to, const void* from, std::size_t n) {
    instrumented(from, n, Access::read, CODE, false, true);
    instrumented(to, n, Access::write, CODE, false, true);
    return __builtin_memcpy(to, from, n);
}
void* __tsan_memmove(void* to, const void* from, std::size_t n) {
    instrumented(from, n, Access::read, CODE, false, true);
    instrumented(to, n, Access::write, CODE, false, true);
    return __builtin_memmove(to, from, n);
}
void* __tsan_memset(void* to, int value, std::size_t n) {
    instrumented(to, n, Access::write, CODE, false, true);
    return __builtin_memset(to, value, n);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
// The pointer to the table of virtual functions, which constructors write.
void __tsan_vptr_update(void** p, void*) { instrumented(p, sizeof *p, Access::write, CODE, false); }
void __tsan_vptr_read(void** p) { instrumented(p, sizeof *p, Access::read, CODE, false); }

// Laid out as in LLVM's ubsan_handlers.h, which gcc follows.
struct TypeDescriptor {
    uint16_t kind, info;
    char name[1];
};
struct OutOfBoundsData {
    const char* file;
    uint32_t line, column;
    const TypeDescriptor* array;
    const TypeDescriptor* index;
};
void __ubsan_handle_out_of_bounds(OutOfBoundsData* data, std::uintptr_t index) {
    const bool is_signed = data->index->info & 1;
    const unsigned bits = 1u << (data->index->info >> 1);
    auto value = static_cast<int64_t>(index);
    if (is_signed && bits < 64) value = static_cast<int64_t>(index << (64 - bits)) >> (64 - bits);
    emulator::index_out_of_bounds(data->file, static_cast<int>(data->line), std::to_string(value), data->array->name);
}
void __ubsan_handle_out_of_bounds_abort(OutOfBoundsData* data, std::uintptr_t index) { __ubsan_handle_out_of_bounds(data, index); }
}
#endif
