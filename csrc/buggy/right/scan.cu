// Running sums (Hillis and Steele) in two buffers that change places.
//
// run: <<<1, 64>>>(y[64], x[64])
// result: y == numpy.cumsum(x)
#include "platform.cuh"

__global__ void scan(float* y, const float* x) {
    __shared__ float buffer[128];
    float *from = buffer, *to = buffer + 64;
    const int i = threadIdx.x;
    from[i] = x[i];
    __syncthreads();
    for (int step = 1; step < 64; step *= 2) {
        to[i] = i >= step ? from[i] + from[i - step] : from[i];
        __syncthreads();
        float* other = from;
        from = to;
        to = other;
    }
    y[i] = from[i];
}
MMB_KERNEL(scan);
