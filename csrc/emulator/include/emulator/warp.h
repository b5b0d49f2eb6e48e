// What the lanes of a warp do together: shuffles, votes, matches, reductions, __syncwarp.
#pragma once
#include <cstring>
#include <type_traits>

#include "emulator/runtime.h"

namespace emulator {

struct Shuffled {
    uint64_t value;
    int from;  // a lane
    uint64_t got;
    Place at;
};
EMULATOR_UNCHECKED inline void exchange_shuffled(void** brought, unsigned mask) {
    for (int lane = 0; lane < 32; ++lane) {
        if (!(mask >> lane & 1)) continue;
        auto* s = static_cast<Shuffled*>(brought[lane]);
        if (!(mask >> s->from & 1))
            fail("warp-mask", s->at, "lane %d shuffles from lane %d, which is not in the mask %08x or does not exist", lane, s->from, mask);
        s->got = static_cast<Shuffled*>(brought[s->from])->value;
    }
}
template <class T>
EMULATOR_UNCHECKED T shuffle(unsigned mask, T value, int from, Place at) {
    static_assert(sizeof(T) <= 8 && std::is_trivially_copyable<T>::value, "shuffles exchange at most 8 bytes");
    Shuffled s{0, from, 0, at};
    __builtin_memcpy(&s.value, &value, sizeof value);
    warp_collective(mask, &s, exchange_shuffled, at);
    T got;
    __builtin_memcpy(&got, &s.got, sizeof got);
    return got;
}
// The warp in segments of `width` lanes: the first lane of this one.
EMULATOR_INLINE int segment(int lane, int width, Place at) {
    if (width < 1 || width > 32 || (width & (width - 1)))
        fail("warp-width", at, "a shuffle has width %d, but must have a power of two from 1 to 32", width);
    return lane & ~(width - 1);
}

struct Voted {
    uint64_t value;
    uint64_t result;
};
EMULATOR_UNCHECKED inline void exchange_votes(void** brought, unsigned mask) {
    unsigned ballot = 0;
    for (int lane = 0; lane < 32; ++lane)
        if ((mask >> lane & 1) && static_cast<Voted*>(brought[lane])->value) ballot |= 1u << lane;
    for (int lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1) static_cast<Voted*>(brought[lane])->result = ballot;
}
EMULATOR_UNCHECKED inline void exchange_matches(void** brought, unsigned mask) {
    for (int lane = 0; lane < 32; ++lane) {
        if (!(mask >> lane & 1)) continue;
        auto* mine = static_cast<Voted*>(brought[lane]);
        mine->result = 0;
        for (int other = 0; other < 32; ++other)
            if ((mask >> other & 1) && static_cast<Voted*>(brought[other])->value == mine->value) mine->result |= 1u << other;
    }
}
enum class Fold { add, smallest, largest, all, any, odd };
template <Fold FOLD, class T>
EMULATOR_UNCHECKED void exchange_folded(void** brought, unsigned mask) {
    T folded{};
    bool first = true;
    for (int lane = 0; lane < 32; ++lane) {
        if (!(mask >> lane & 1)) continue;
        T v;
        __builtin_memcpy(&v, &static_cast<Voted*>(brought[lane])->value, sizeof v);
        if (first)
            folded = v;
        else if (FOLD == Fold::add)
            folded = static_cast<T>(static_cast<unsigned>(folded) + static_cast<unsigned>(v));
        else if (FOLD == Fold::smallest)
            folded = v < folded ? v : folded;
        else if (FOLD == Fold::largest)
            folded = v > folded ? v : folded;
        else if (FOLD == Fold::all)
            folded &= v;
        else if (FOLD == Fold::any)
            folded |= v;
        else
            folded ^= v;
        first = false;
    }
    for (int lane = 0; lane < 32; ++lane)
        if (mask >> lane & 1) __builtin_memcpy(&static_cast<Voted*>(brought[lane])->result, &folded, sizeof folded);
}
template <Fold FOLD, class T>
EMULATOR_UNCHECKED T fold(unsigned mask, T value, Place at) {
    static_assert(std::is_same<T, int>::value || std::is_same<T, unsigned>::value, "__reduce_*_sync takes int or unsigned");
    Voted v{0, 0};
    __builtin_memcpy(&v.value, &value, sizeof value);
    warp_collective(mask, &v, exchange_folded<FOLD, T>, at);
    T result;
    __builtin_memcpy(&result, &v.result, sizeof result);
    return result;
}
template <class T>
EMULATOR_UNCHECKED unsigned matches(unsigned mask, T value, Place at) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "__match_*_sync takes 4 or 8 bytes");
    Voted v{0, 0};
    __builtin_memcpy(&v.value, &value, sizeof value);
    warp_collective(mask, &v, exchange_matches, at);
    return static_cast<unsigned>(v.result);
}

}  // namespace emulator

EMULATOR_INLINE void __syncwarp(unsigned mask = ~0u, emulator::Place at = emulator::Place::here()) {
    emulator::warp_collective(mask, nullptr, nullptr, at);
}

template <class T>
EMULATOR_INLINE T __shfl_sync(unsigned mask, T value, int lane, int width = 32, emulator::Place at = emulator::Place::here()) {
    return emulator::shuffle(mask, value, emulator::segment(emulator::mmb_thread.lane, width, at) + (lane & (width - 1)), at);
}
template <class T>
EMULATOR_INLINE T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, emulator::Place at = emulator::Place::here()) {
    const int me = emulator::mmb_thread.lane, from = me ^ bits;
    return emulator::shuffle(mask, value, from >= emulator::segment(me, width, at) + width ? me : from, at);
}
template <class T>
EMULATOR_INLINE T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, emulator::Place at = emulator::Place::here()) {
    const int me = emulator::mmb_thread.lane, from = me + static_cast<int>(by);
    return emulator::shuffle(mask, value, from >= emulator::segment(me, width, at) + width ? me : from, at);
}
template <class T>
EMULATOR_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, emulator::Place at = emulator::Place::here()) {
    const int me = emulator::mmb_thread.lane, from = me - static_cast<int>(by);
    return emulator::shuffle(mask, value, from < emulator::segment(me, width, at) ? me : from, at);
}

EMULATOR_INLINE unsigned __ballot_sync(unsigned mask, int predicate, emulator::Place at = emulator::Place::here()) {
    emulator::Voted v{predicate != 0, 0};
    emulator::warp_collective(mask, &v, emulator::exchange_votes, at);
    return static_cast<unsigned>(v.result);
}
EMULATOR_INLINE int __any_sync(unsigned mask, int predicate, emulator::Place at = emulator::Place::here()) {
    return __ballot_sync(mask, predicate, at) != 0;
}
EMULATOR_INLINE int __all_sync(unsigned mask, int predicate, emulator::Place at = emulator::Place::here()) {
    return __ballot_sync(mask, !predicate, at) == 0;
}
// All lanes that reach this line before they wait for anything else: the most a GPU might give.
EMULATOR_INLINE unsigned __activemask(emulator::Place at = emulator::Place::here()) { return emulator::active_lanes(at); }

template <class T>
EMULATOR_INLINE unsigned __match_any_sync(unsigned mask, T value, emulator::Place at = emulator::Place::here()) {
    return emulator::matches(mask, value, at);
}
template <class T>
EMULATOR_INLINE unsigned __match_all_sync(unsigned mask, T value, int* all, emulator::Place at = emulator::Place::here()) {
    *all = emulator::matches(mask, value, at) == (mask & emulator::living_lanes());
    return *all ? mask : 0;
}

#define EMULATOR_FOLD(name, how)                                                                                    \
    template <class T>                                                                                              \
    EMULATOR_INLINE T name(unsigned mask, T value, emulator::Place at = emulator::Place::here()) {                  \
        return emulator::fold<emulator::Fold::how>(mask, value, at);                                                \
    }
EMULATOR_FOLD(__reduce_add_sync, add)
EMULATOR_FOLD(__reduce_min_sync, smallest)
EMULATOR_FOLD(__reduce_max_sync, largest)
EMULATOR_FOLD(__reduce_and_sync, all)
EMULATOR_FOLD(__reduce_or_sync, any)
EMULATOR_FOLD(__reduce_xor_sync, odd)
#undef EMULATOR_FOLD
