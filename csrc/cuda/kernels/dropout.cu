// Dropout: y = x · scale where 32 random bits are at least `threshold`, else x · 0.
//
//   x, y       n numbers, contiguous, at any address; y may be x; the way back is the same with g for x
//   threshold  p · 2³², so that a number is dropped with probability p
//   grid       a warp per 256 numbers
//   bytes      2 · n · sizeof(T); the mask is never stored: it is drawn again on the way back
//
// Number i takes the i-th 32 bits of numpy.random.Philox(key): tinygrad_mmb/backend/philox.py makes the
// same mask on the host. A block of Philox decides on eight numbers, and costs some 200 instructions,
// 25 a number, where memory leaves time for about 50 (8 bytes at 4.3 TB/s, 132 SMs). Each lane draws
// one block and packs its answers into 8 bits; lanes then fetch the bits of the numbers they move by a
// shuffle, so that neighbouring lanes move neighbouring packs. Not measured yet.
#include "philox.cuh"
#include "storage.cuh"

// 256 numbers of a warp, moved N at a time: step j moves the numbers from 32 N j on.
template <int N, class T>
__device__ __forceinline__ void drop(T* y, const T* x, int64_t rest, unsigned kept, computed_t<T> scale) {
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int j = 0; j < 8 / N; ++j) {
        const int i = (32 * j + lane) * N;
        const unsigned bits = __shfl_sync(0xffffffffu, kept, i / 8) >> (i % 8);
        if (i + N <= rest) {
            Pack<T, N> pack = *reinterpret_cast<const Pack<T, N>*>(x + i);
#pragma unroll
            for (int k = 0; k < N; ++k)
                pack.v[k] = narrow<T>(widen(pack.v[k]) * (bits >> k & 1 ? scale : computed_t<T>(0)));
            *reinterpret_cast<Pack<T, N>*>(y + i) = pack;
        } else {
            for (int k = 0; i + k < rest; ++k)
                y[i + k] = narrow<T>(widen(x[i + k]) * (bits >> k & 1 ? scale : computed_t<T>(0)));
        }
    }
}

template <class T>
__global__ void __launch_bounds__(256)
    dropout(T* y, const T* x, int64_t n, int64_t key, int64_t threshold, computed_t<T> scale) {
    const int64_t warp = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
    const int64_t begin = warp * 256;
    if (begin >= n) return;  // the whole warp
    const PhiloxBlock random = philox_block(static_cast<uint64_t>(key), warp * 32 + threadIdx.x % 32);
    unsigned kept = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i)
        kept |= static_cast<unsigned>(static_cast<int64_t>(random.half(i)) >= threshold) << i;
    if (is_aligned16(x) && is_aligned16(y)) drop<PACK<T>>(y + begin, x + begin, n - begin, kept, scale);
    else drop<1>(y + begin, x + begin, n - begin, kept, scale);
}

MMB_KERNEL_AS(dropout_f16, dropout<__half>);
MMB_KERNEL_AS(dropout_f32, dropout<float>);
MMB_KERNEL_AS(dropout_f64, dropout<double>);
MMB_KERNEL_AS(dropout_bf16, dropout<__nv_bfloat16>);
