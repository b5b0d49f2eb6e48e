// 2-D convolution: the mask in constant memory, the tile with its halo in shared memory, pitched rows.
#include <cmath>
#include <cstdio>
#include <vector>

#define RADIUS 2
#define MASK (2 * RADIUS + 1)
#define TILE 12
#define BLOCK (TILE + 2 * RADIUS)

__constant__ float d_mask[MASK][MASK];

__global__ void convolve(const float *in, float *out, size_t pitch, int width, int height) {
    __shared__ float tile[BLOCK][BLOCK];
    int x = blockIdx.x * TILE + threadIdx.x - RADIUS;
    int y = blockIdx.y * TILE + threadIdx.y - RADIUS;
    bool inside = x >= 0 && x < width && y >= 0 && y < height;
    const float *row = (const float *)((const char *)in + y * (long)pitch);
    tile[threadIdx.y][threadIdx.x] = inside ? row[x] : 0.0f;
    __syncthreads();

    int i = threadIdx.y - RADIUS, j = threadIdx.x - RADIUS;
    if (inside && i >= 0 && i < TILE && j >= 0 && j < TILE) {
        float sum = 0.0f;
        for (int r = 0; r < MASK; r++)
            for (int c = 0; c < MASK; c++) sum += d_mask[r][c] * tile[i + r][j + c];
        *((float *)((char *)out + y * pitch) + x) = sum;
    }
}

int main() {
    const int width = 45, height = 31;
    std::vector<float> image(width * height), result(width * height);
    for (int i = 0; i < width * height; i++) image[i] = (i * 7919) % 101 / 100.0f;
    float mask[MASK][MASK];
    for (int r = 0; r < MASK; r++)
        for (int c = 0; c < MASK; c++) mask[r][c] = 1.0f / (1 + abs(r - RADIUS) + abs(c - RADIUS));
    cudaMemcpyToSymbol(d_mask, mask, sizeof(mask));

    float *d_in, *d_out;
    size_t pitch;
    cudaMallocPitch(&d_in, &pitch, width * sizeof(float), height);
    cudaMallocPitch(&d_out, &pitch, width * sizeof(float), height);
    cudaMemcpy2D(d_in, pitch, image.data(), width * sizeof(float), width * sizeof(float), height, cudaMemcpyHostToDevice);

    dim3 grid((width + TILE - 1) / TILE, (height + TILE - 1) / TILE), block(BLOCK, BLOCK);
    convolve<<<grid, block>>>(d_in, d_out, pitch, width, height);
    cudaMemcpy2D(result.data(), width * sizeof(float), d_out, pitch, width * sizeof(float), height, cudaMemcpyDeviceToHost);

    double worst = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double exact = 0;
            for (int r = -RADIUS; r <= RADIUS; r++)
                for (int c = -RADIUS; c <= RADIUS; c++)
                    if (y + r >= 0 && y + r < height && x + c >= 0 && x + c < width)
                        exact += (double)mask[r + RADIUS][c + RADIUS] * image[(y + r) * width + x + c];
            worst = std::fmax(worst, std::fabs(exact - result[y * width + x]));
        }
    printf("largest error %.1e: %s\n", worst, worst < 1e-5 ? "PASSED" : "FAILED");
    cudaFree(d_in);
    cudaFree(d_out);
    return worst < 1e-5 ? 0 : 1;
}
