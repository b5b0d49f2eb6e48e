// The numbers tensor cores multiply, read from the bits that hold them.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "ptx.cuh"

namespace emulator {

// The h-th number in a register. tf32 is a float whose lowest 13 bits are not looked at.
EMULATOR_INLINE float number_in(uint32_t bits, int h, Number number) {
    if (number == Number::tf32) return float_of(bits & 0xffffe000u);
    const auto half = static_cast<uint16_t>(bits >> 16 * h);
    return number == Number::bf16 ? float_of(static_cast<uint32_t>(half) << 16) : half_to_float(half);
}

}  // namespace emulator
