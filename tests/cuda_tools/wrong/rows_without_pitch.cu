// expected: uninitialised
// The kernel writes its rows one behind the other, and the copy expects them a pitch apart.
#include <cstdio>

__global__ void fill(float* image, size_t pitch, int w, int h) {
    int x = threadIdx.x, y = threadIdx.y;
    if (x < w && y < h) image[y * w + x] = x + y;  // ((float*)((char*)image + y * pitch))[x]
}

int main() {
    const int w = 20, h = 16;
    float host[h][w], *image;
    size_t pitch;
    cudaMallocPitch(&image, &pitch, w * sizeof(float), h);
    fill<<<1, dim3(32, 16)>>>(image, pitch, w, h);
    cudaMemcpy2D(host, sizeof host[0], image, pitch, w * sizeof(float), h, cudaMemcpyDeviceToHost);  // HERE
    printf("%f\n", host[3][4]);
    cudaFree(image);
}
