// atomicAdd and the rest, with and without _block and _system. One thread runs at a time, so each is
// an ordinary read and write; what matters is which types CUDA has them for, and the results.
#pragma once
#include <cstring>
#include <type_traits>

#include "emulator/bfloat16.h"
#include "emulator/half.h"
#include "emulator/runtime.h"

namespace emulator {

template <class T, class... Types>
constexpr bool is_one_of = (std::is_same<T, Types>::value || ...);
template <class T>
struct Same {
    using type = T;
};
template <class T>  // takes part in no deduction: atomicAdd(&x, 1) converts 1 to the type of x
using same_t = typename Same<T>::type;
using Wide = unsigned long long;

template <class T, class F>
EMULATOR_UNCHECKED T atomically(T* p, Place at, F change) {
    atomic_turn(at);
    access(p, sizeof(T), Access::atomic, at);
    const T old = *p;
    *p = change(old);
    return old;
}

}  // namespace emulator

#define EMULATOR_ATOMIC_SCOPED(name, what, types, expression)                                               \
    template <class T>                                                                                      \
    EMULATOR_INLINE T name(T* p, emulator::same_t<T> v, emulator::Place at = emulator::Place::here()) {     \
        static_assert(emulator::is_one_of<T, EMULATOR_TYPES types>, what " has no overload for this type"); \
        return emulator::atomically(p, at, [v](T old) EMULATOR_UNCHECKED -> T { return expression; });      \
    }
#define EMULATOR_TYPES(...) __VA_ARGS__
#define EMULATOR_ATOMIC(name, types, expression)                     \
    EMULATOR_ATOMIC_SCOPED(name, #name, types, expression)           \
    EMULATOR_ATOMIC_SCOPED(name##_block, #name, types, expression)   \
    EMULATOR_ATOMIC_SCOPED(name##_system, #name, types, expression)

EMULATOR_ATOMIC(atomicAdd, (int, unsigned, emulator::Wide, float, double, __half, __half2, __nv_bfloat16, __nv_bfloat162, float2, float4), old + v)
EMULATOR_ATOMIC(atomicSub, (int, unsigned), old - v)
EMULATOR_ATOMIC(atomicMin, (int, unsigned, long long, emulator::Wide), v < old ? v : old)
EMULATOR_ATOMIC(atomicMax, (int, unsigned, long long, emulator::Wide), v > old ? v : old)
EMULATOR_ATOMIC(atomicExch, (int, unsigned, emulator::Wide, float), (static_cast<void>(old), v))
EMULATOR_ATOMIC(atomicAnd, (int, unsigned, emulator::Wide), old & v)
EMULATOR_ATOMIC(atomicOr, (int, unsigned, emulator::Wide), old | v)
EMULATOR_ATOMIC(atomicXor, (int, unsigned, emulator::Wide), old ^ v)
EMULATOR_ATOMIC(atomicInc, (unsigned), old >= v ? 0u : old + 1u)
EMULATOR_ATOMIC(atomicDec, (unsigned), old == 0u || old > v ? v : old - 1u)
#undef EMULATOR_ATOMIC
#undef EMULATOR_ATOMIC_SCOPED
#undef EMULATOR_TYPES

#define EMULATOR_CAS(name)                                                                                                    \
    template <class T>                                                                                                        \
    EMULATOR_INLINE T name(T* p, emulator::same_t<T> compare, emulator::same_t<T> v, emulator::Place at = emulator::Place::here()) { \
        static_assert(emulator::is_one_of<T, int, unsigned, emulator::Wide, unsigned short>, "atomicCAS has no overload for this type"); \
        return emulator::atomically(p, at, [compare, v](T old) EMULATOR_UNCHECKED -> T { return old == compare ? v : old; }); \
    }
EMULATOR_CAS(atomicCAS)
EMULATOR_CAS(atomicCAS_block)
EMULATOR_CAS(atomicCAS_system)
#undef EMULATOR_CAS
