// Random numbers in kernels: the Philox and XORWOW generators of cuRAND's device interface.
//
// Written from their published definitions (Salmon et al. 2011; Marsaglia 2003). The numbers have not
// been compared with cuRAND's own.
#pragma once
#include <cuda_runtime.h>

#include <cmath>
#include <cstdint>

// ------------------------------------------------------------------ Philox 4x32, 10 rounds

struct curandStatePhilox4_32_10 {
    uint32_t counter[4], key[2], output[4];
    unsigned used;
    bool has_normal;
    float normal;
};
typedef curandStatePhilox4_32_10 curandStatePhilox4_32_10_t;

EMULATOR_INLINE void mmb_philox(curandStatePhilox4_32_10* s) {
    uint32_t c[4] = {s->counter[0], s->counter[1], s->counter[2], s->counter[3]}, k0 = s->key[0], k1 = s->key[1];
    for (int round = 0; round < 10; round++) {
        const uint64_t a = uint64_t{0xD2511F53u} * c[0], b = uint64_t{0xCD9E8D57u} * c[2];
        const uint32_t next[4] = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(b),
                                  static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(a)};
        for (int i = 0; i < 4; i++) c[i] = next[i];
        k0 += 0x9E3779B9u, k1 += 0xBB67AE85u;
    }
    for (int i = 0; i < 4; i++) s->output[i] = c[i];
}
EMULATOR_INLINE void mmb_philox_next(curandStatePhilox4_32_10* s) {
    for (uint32_t& word : s->counter)
        if (++word) break;
    mmb_philox(s);
}
EMULATOR_INLINE void curand_init(unsigned long long seed, unsigned long long sequence, unsigned long long offset,
                        curandStatePhilox4_32_10* s) {
    *s = {};
    s->key[0] = static_cast<uint32_t>(seed), s->key[1] = static_cast<uint32_t>(seed >> 32);
    s->counter[0] = static_cast<uint32_t>(offset / 4), s->counter[1] = static_cast<uint32_t>(offset / 4 >> 32);
    s->counter[2] = static_cast<uint32_t>(sequence), s->counter[3] = static_cast<uint32_t>(sequence >> 32);
    s->used = offset % 4;
    mmb_philox(s);
}
EMULATOR_INLINE unsigned curand(curandStatePhilox4_32_10* s) {
    const uint32_t value = s->output[s->used++];
    if (s->used == 4) s->used = 0, mmb_philox_next(s);
    return value;
}
EMULATOR_INLINE uint4 curand4(curandStatePhilox4_32_10* s) {
    uint4 v;
    v.x = curand(s), v.y = curand(s), v.z = curand(s), v.w = curand(s);
    return v;
}

// ------------------------------------------------------------------ XORWOW, the default

struct curandStateXORWOW {
    uint32_t d, v[5];
    bool has_normal;
    float normal;
};
typedef curandStateXORWOW curandStateXORWOW_t, curandState, curandState_t;

EMULATOR_INLINE void mmb_xorwow_step(uint32_t (&v)[5]) {
    const uint32_t t = v[0] ^ (v[0] >> 2);
    v[0] = v[1], v[1] = v[2], v[2] = v[3], v[3] = v[4];
    v[4] = (v[4] ^ (v[4] << 4)) ^ (t ^ (t << 1));
}

namespace emulator {
// Go on by count * 2^power steps: csrc/emulator/host/random.cpp.
void xorwow_skip(uint32_t (&v)[5], unsigned long long count, size_t power);
}  // namespace emulator
EMULATOR_INLINE void curand_init(unsigned long long seed, unsigned long long sequence, unsigned long long offset,
                        curandStateXORWOW* s) {
    const uint32_t t0 = 1099087573u * (static_cast<uint32_t>(seed) ^ 0xaad26b49u);
    const uint32_t t1 = 2591861531u * (static_cast<uint32_t>(seed >> 32) ^ 0xf7dcefddu);
    uint32_t v[5] = {123456789u + t0, 362436069u ^ t0, 521288629u + t1, 88675123u ^ t1, 5783321u + t0};
    emulator::xorwow_skip(v, sequence, 67);  // sequences are 2^67 steps apart
    emulator::xorwow_skip(v, offset, 0);
    *s = {};
    s->d = 6615241u + t1 + t0 + static_cast<uint32_t>(offset) * 362437u;  // 2^67 steps leave d as it is
    for (int i = 0; i < 5; i++) s->v[i] = v[i];
}
EMULATOR_INLINE unsigned curand(curandStateXORWOW* s) {
    mmb_xorwow_step(s->v);
    s->d += 362437u;
    return s->v[4] + s->d;
}

// ------------------------------------------------------------------ distributions

template <class State>
EMULATOR_INLINE float curand_uniform(State* s) {  // in (0, 1]
    return curand(s) * 2.3283064e-10f + 2.3283064e-10f / 2.0f;
}
template <class State>
EMULATOR_INLINE double curand_uniform_double(State* s) {
    const unsigned x = curand(s), y = curand(s);
    const unsigned long long z = x ^ static_cast<unsigned long long>(y) << (53 - 32);
    return z * 1.1102230246251565e-16 + 1.1102230246251565e-16 / 2.0;
}
template <class State>
EMULATOR_INLINE float2 curand_normal2(State* s) {  // Box and Muller
    const unsigned x = curand(s), y = curand(s);
    const float u = x * 2.3283064e-10f + 2.3283064e-10f / 2.0f;
    const float angle = y * (2.3283064e-10f * 6.2831855f) + 2.3283064e-10f * 6.2831855f / 2.0f;
    const float radius = std::sqrt(-2.0f * std::log(u));
    float2 pair;
    pair.x = radius * std::sin(angle), pair.y = radius * std::cos(angle);
    return pair;
}
template <class State>
EMULATOR_INLINE float curand_normal(State* s) {
    s->has_normal = !s->has_normal;
    if (!s->has_normal) return s->normal;
    const float2 pair = curand_normal2(s);
    s->normal = pair.y;
    return pair.x;
}
template <class State>
EMULATOR_INLINE float curand_log_normal(State* s, float mean, float deviation) {
    return std::exp(mean + deviation * curand_normal(s));
}
EMULATOR_INLINE float4 curand_uniform4(curandStatePhilox4_32_10* s) {
    float4 v;
    v.x = curand_uniform(s), v.y = curand_uniform(s), v.z = curand_uniform(s), v.w = curand_uniform(s);
    return v;
}
