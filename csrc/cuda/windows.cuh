// Windows that slide over images: where they lie, and which of them hold a pixel.
#pragma once
#include "storage.cuh"

struct Windows {  // of one image; tinygrad_mmb/kernels/launch/windows.py
    int kernel[2], stride[2], dilation[2], top_left[2];  // (rows, columns) of each
    int size[2];                                         // of the image, without its border
    int count[2];                                        // windows along each axis

    // The row (axis 0) or column (1) of a window's place, which may lie in the border.
    __device__ __forceinline__ int pixel(int axis, int window, int place) const {
        return window * stride[axis] - top_left[axis] + place * dilation[axis];
    }
    __device__ __forceinline__ bool inside(int row, int col) const {
        return row >= 0 && row < size[0] && col >= 0 && col < size[1];
    }
    // The window in which `pixel` stands at `place`; -1 if there is none.
    __device__ __forceinline__ int window(int axis, int pixel, int place) const {
        const int start = pixel + top_left[axis] - place * dilation[axis];
        if (start < 0 || start % stride[axis]) return -1;
        const int w = start / stride[axis];
        return w < count[axis] ? w : -1;
    }
};
