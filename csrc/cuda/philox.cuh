// Philox4x64-10: random numbers as a function of where they are wanted.
//
//   block(key, k)   the k-th four 64-bit numbers of numpy.random.Philox(key=key), bit for bit
//
// Nothing is remembered between draws, so that any thread can draw any number, and the way back draws
// again what the way there drew.   Source: Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy
// as 1, 2, 3, SC 2011, section 3.3 (the 4x64 form; cuRAND's is 4x32).
#pragma once
#include "platform.cuh"

struct PhiloxBlock {
    uint64_t word[4];

    // 32 bits, eight of them to a block: NumPy's words as they lie in memory, low half first.
    __device__ __forceinline__ uint32_t half(int i) const {
        return static_cast<uint32_t>(word[i / 2] >> (i % 2 * 32));
    }
};

__device__ __forceinline__ PhiloxBlock philox_block(uint64_t key, uint64_t k) {
    uint64_t a = k + 1, b = 0, c = 0, d = 0;  // NumPy counts on before it draws
    uint64_t key0 = key, key1 = 0;
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const uint64_t from_a = 0xD2E7470EE14C6C93ull, from_c = 0xCA5A826395121157ull;
        const uint64_t high_a = __umul64hi(from_a, a), low_a = from_a * a;
        const uint64_t high_c = __umul64hi(from_c, c), low_c = from_c * c;
        a = high_c ^ b ^ key0;
        b = low_c;
        c = high_a ^ d ^ key1;
        d = low_a;
        key0 += 0x9E3779B97F4A7C15ull;  // the golden ratio
        key1 += 0xBB67AE8584CAA73Bull;  // √3 - 1
    }
    return {{a, b, c, d}};
}
