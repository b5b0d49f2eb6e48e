// Convolution, step 1: every window written out as a column; the rest is a matrix product.
//
//   im2col   columns (C, KH, KW, N, OH, OW) of x (N, C, H, W); weight (O, C·KH·KW) times it is the convolution
//   col2im   the way back: x (N, C, H, W), each pixel the sum of all entries that were copied from it
//   grid     a thread per number that is written
//   bytes    im2col: KH · KW times those of the image, written here and read again by the product
//
// What it shows: convolution is matrix multiplication, so a fast product makes it fast. What it costs: a
// 3 x 3 window writes and reads each pixel nine times. For 64 channels of 56 x 56 and 64 filters that is
// 18 numbers moved for 1,152 flops a pixel and channel: an H200 moves 1.1 T floats a second and does 67
// TFLOP/s, 60 flops for each, so the columns alone take as long as the product. Step 2 does without them.
// Not measured yet.
#include "windows.cuh"

template <class T>
__global__ void im2col(T* __restrict__ columns, const T* __restrict__ x, int64_t n, int images, int channels,
                       const __grid_constant__ Windows w) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int64_t rest = i;  // i = ((((c · KH + place row) · KW + place col) · N + image) · OH + row) · OW + col
    const int window_col = rest % w.count[1];
    rest /= w.count[1];
    const int window_row = rest % w.count[0];
    rest /= w.count[0];
    const int64_t image = rest % images;
    rest /= images;
    const int place_col = rest % w.kernel[1];
    rest /= w.kernel[1];
    const int place_row = rest % w.kernel[0];
    const int64_t c = rest / w.kernel[0];
    const int row = w.pixel(0, window_row, place_row), col = w.pixel(1, window_col, place_col);
    columns[i] = w.inside(row, col) ? x[((image * channels + c) * w.size[0] + row) * w.size[1] + col] : T(0);
}

// A pixel gathers from the windows that hold it, in the order of the reference in ops/windows.py.
template <class T>
__global__ void col2im(T* __restrict__ x, const T* __restrict__ columns, int64_t n, int images, int channels,
                       const __grid_constant__ Windows w) {
    const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i >= n) return;
    int64_t rest = i;  // i = ((image · C + c) · H + row) · W + col
    const int col = rest % w.size[1];
    rest /= w.size[1];
    const int row = rest % w.size[0];
    rest /= w.size[0];
    const int64_t c = rest % channels, image = rest / channels;
    T sum = 0;
    for (int place_row = 0; place_row < w.kernel[0]; ++place_row)
        for (int place_col = 0; place_col < w.kernel[1]; ++place_col) {
            const int window_row = w.window(0, row, place_row), window_col = w.window(1, col, place_col);
            if (window_row < 0 || window_col < 0) continue;
            const int64_t place = (c * w.kernel[0] + place_row) * w.kernel[1] + place_col;
            sum += columns[((place * images + image) * w.count[0] + window_row) * w.count[1] + window_col];
        }
    x[i] = sum;
}

MMB_KERNEL_AS(im2col_f32, im2col<float>);
MMB_KERNEL_AS(im2col_f64, im2col<double>);
MMB_KERNEL_AS(col2im_f32, col2im<float>);
MMB_KERNEL_AS(col2im_f64, col2im<double>);
