// Philox4x64-10: random numbers as a function of where they are wanted, as csrc/cuda/philox.cuh has it.
//
//   the k-th four 64-bit numbers of numpy.random.Philox(key=key), bit for bit
//
// Source: Salmon, Moraes, Dror, Shaw, Parallel random numbers: as easy as 1, 2, 3, SC 2011, section 3.3.
#pragma once
#include <cstdint>

namespace mmb {

struct PhiloxBlock {
    std::uint64_t word[4];

    // 32 bits, eight of them to a block, low half first
    std::uint32_t half(int i) const { return static_cast<std::uint32_t>(word[i / 2] >> (i % 2 * 32)); }
};

inline PhiloxBlock philox_block(std::uint64_t key, std::uint64_t k) {
    using Wide = unsigned __int128;
    std::uint64_t a = k + 1, b = 0, c = 0, d = 0;  // NumPy counts on before it draws
    std::uint64_t key0 = key, key1 = 0;
    for (int round = 0; round < 10; ++round) {
        const Wide from_a = Wide(0xD2E7470EE14C6C93ull) * a, from_c = Wide(0xCA5A826395121157ull) * c;
        a = static_cast<std::uint64_t>(from_c >> 64) ^ b ^ key0;
        b = static_cast<std::uint64_t>(from_c);
        c = static_cast<std::uint64_t>(from_a >> 64) ^ d ^ key1;
        d = static_cast<std::uint64_t>(from_a);
        key0 += 0x9E3779B97F4A7C15ull;  // the golden ratio
        key1 += 0xBB67AE8584CAA73Bull;  // √3 - 1
    }
    return {{a, b, c, d}};
}

}  // namespace mmb
