// Four neighbouring floats moved by one instruction, and what to do at the edge of a matrix.
#pragma once
#include "platform.cuh"

// p[0..3], of which the first `valid` exist; the others are 0. `aligned`: p is a multiple of 16.
__device__ __forceinline__ float4 load4(const float* p, int valid, bool aligned) {
    if (aligned && valid >= 4) return *reinterpret_cast<const float4*>(p);
    float4 v = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (valid > 0) v.x = p[0];
    if (valid > 1) v.y = p[1];
    if (valid > 2) v.z = p[2];
    if (valid > 3) v.w = p[3];
    return v;
}

__device__ __forceinline__ void store4(float* p, float4 v, int valid, bool aligned) {
    if (aligned && valid >= 4) {
        *reinterpret_cast<float4*>(p) = v;
        return;
    }
    if (valid > 0) p[0] = v.x;
    if (valid > 1) p[1] = v.y;
    if (valid > 2) p[2] = v.z;
    if (valid > 3) p[3] = v.w;
}
