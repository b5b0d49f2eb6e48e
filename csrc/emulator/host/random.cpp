// Far jumps of cuRAND's XORWOW generator, for curand_init.
//
// A step is linear over the bits of the state, so 2^n steps are a matrix, found by squaring n times.
#include <cstddef>
#include <cstdint>
#include <vector>

namespace emulator {
namespace {

void step(uint32_t (&v)[5]) {
    const uint32_t t = v[0] ^ (v[0] >> 2);
    v[0] = v[1], v[1] = v[2], v[2] = v[3], v[3] = v[4];
    v[4] = (v[4] ^ (v[4] << 4)) ^ (t ^ (t << 1));
}

struct Jump {
    uint32_t image[160][5];  // of each of the 160 bits of the state
    void apply(uint32_t (&v)[5]) const {
        uint32_t out[5] = {};
        for (int bit = 0; bit < 160; bit++)
            if (v[bit / 32] >> bit % 32 & 1)
                for (int i = 0; i < 5; i++) out[i] ^= image[bit][i];
        for (int i = 0; i < 5; i++) v[i] = out[i];
    }
};

const Jump& jump(size_t n) {  // 2^n steps; made when first needed
    static std::vector<Jump> jumps;
    while (jumps.size() <= n) {
        Jump next;
        for (int bit = 0; bit < 160; bit++) {
            uint32_t v[5] = {};
            v[bit / 32] = 1u << bit % 32;
            if (jumps.empty()) {
                step(v);
            } else {
                jumps.back().apply(v);
                jumps.back().apply(v);
            }
            for (int i = 0; i < 5; i++) next.image[bit][i] = v[i];
        }
        jumps.push_back(next);
    }
    return jumps[n];
}

}  // namespace

void xorwow_skip(uint32_t (&v)[5], unsigned long long count, size_t power) {
    for (; count; count >>= 1, power++)
        if (count & 1) jump(power).apply(v);
}

}  // namespace emulator
