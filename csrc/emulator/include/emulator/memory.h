// Loads and stores with a cache hint: the hint is the GPU's affair, the value is not.
#pragma once
#include "emulator/runtime.h"

#define EMULATOR_LOAD(name)                 \
    template <class T>                      \
    EMULATOR_INLINE T name(const T* p) {    \
        return *p;                          \
    }
EMULATOR_LOAD(__ldg)
EMULATOR_LOAD(__ldca)
EMULATOR_LOAD(__ldcg)
EMULATOR_LOAD(__ldcs)
EMULATOR_LOAD(__ldlu)
EMULATOR_LOAD(__ldcv)
#undef EMULATOR_LOAD

#define EMULATOR_STORE(name)                                     \
    template <class T>                                           \
    EMULATOR_INLINE void name(T* p, std::common_type_t<T> v) {   \
        *p = v;                                                  \
    }
EMULATOR_STORE(__stwb)
EMULATOR_STORE(__stcg)
EMULATOR_STORE(__stcs)
EMULATOR_STORE(__stwt)
#undef EMULATOR_STORE

EMULATOR_INLINE std::size_t __cvta_generic_to_shared(const void* p) { return emulator::shared_address(p); }
EMULATOR_INLINE std::size_t __cvta_generic_to_global(const void* p) { return reinterpret_cast<std::size_t>(p); }
