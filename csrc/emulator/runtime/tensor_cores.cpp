// What ldmatrix and mma.sync mean (PTX ISA 9.0, sections 9.7.14.5.15 and 9.7.14.5).
#include <cmath>
#include <cstring>

#include "numbers.h"
#include "ptx.cuh"

namespace emulator {
namespace {

struct Load {
    uint32_t* registers;
    const char* row;
    int count;
    bool transposed;
    Place at;
};

EMULATOR_UNCHECKED void load_matrices(void** brought, unsigned) {
    Load* const* lanes = reinterpret_cast<Load* const*>(brought);
    for (int i = 0; i < lanes[0]->count; ++i)
        for (int lane = 0; lane < 32; ++lane)
            for (int half = 0; half < 2; ++half) {
                const int pair = lane % 4 * 2 + half;
                const int row = lanes[lane]->transposed ? pair : lane / 4;
                const int col = lanes[lane]->transposed ? lane / 4 : pair;
                std::memcpy(reinterpret_cast<char*>(&lanes[lane]->registers[i]) + 2 * half,
                            lanes[8 * i + row]->row + 2 * col, 2);
            }
}

struct Multiply {
    float* d;
    const uint32_t *a, *b;
    Number number;
    Place at;
};

// The sum is taken in double and rounded once: the hardware's order and rounding are not documented.
EMULATOR_UNCHECKED void multiply(void** brought, unsigned) {
    Multiply* const* lanes = reinterpret_cast<Multiply* const*>(brought);
    const Number number = lanes[0]->number;
    const int depth = number == Number::tf32 ? 8 : 16, each = depth / 8;  // numbers in a register
    double A[16][16], B[16][8], D[16][8];
    for (int lane = 0; lane < 32; ++lane) {
        const Multiply& mine = *lanes[lane];
        const int g = lane / 4, t = lane % 4;
        for (int i = 0; i < 4; ++i) {
            D[g + i / 2 * 8][2 * t + i % 2] = mine.d[i];
            for (int h = 0; h < each; ++h)
                A[g + i % 2 * 8][each * t + h + i / 2 * depth / 2] = number_in(mine.a[i], h, number);
        }
        for (int i = 0; i < 2; ++i)
            for (int h = 0; h < each; ++h) B[each * t + h + i * depth / 2][g] = number_in(mine.b[i], h, number);
    }
    for (int lane = 0; lane < 32; ++lane)
        for (int i = 0; i < 4; ++i) {
            const int row = lane / 4 + i / 2 * 8, col = lane % 4 * 2 + i % 2;
            double sum = D[row][col];
            for (int k = 0; k < depth; ++k) sum += A[row][k] * B[k][col];
            lanes[lane]->d[i] = static_cast<float>(sum);
        }
}

}  // namespace

void ldmatrix(uint32_t* registers, const void* row, int count, bool transposed, Place at) {
    if (mmb_thread.lane < 8 * count) {  // the others' addresses are not looked at
        if (reinterpret_cast<uintptr_t>(row) % 16)
            fail("misaligned", at, "ldmatrix: the address of a row must be a multiple of 16 bytes, but is %zu more",
                 static_cast<size_t>(reinterpret_cast<uintptr_t>(row) % 16));
        access(row, 16, Access::read, at);
    }
    Load mine{registers, static_cast<const char*>(row), count, transposed, at};
    warp_collective(0xffffffffu, &mine, load_matrices, at);
}

void mma(float* d, const uint32_t* a, const uint32_t* b, Number number, Place at) {
    Multiply mine{d, a, b, number, at};
    warp_collective(0xffffffffu, &mine, multiply, at);
}

}  // namespace emulator
