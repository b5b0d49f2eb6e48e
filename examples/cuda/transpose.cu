// Matrix transpose: reading and writing rows of 32, through a tile padded against bank conflicts.
#include <cstdio>
#include <vector>

constexpr int TILE = 32;
constexpr int ROWS = 8;  // each thread moves TILE / ROWS elements

__global__ void transposeNaive(float *out, const float *in, int width, int height) {
    int x = blockIdx.x * TILE + threadIdx.x;
    for (int y = blockIdx.y * TILE + threadIdx.y; y < min(height, (int)(blockIdx.y + 1) * TILE); y += ROWS)
        if (x < width) out[x * height + y] = in[y * width + x];
}

__global__ void transposeTiled(float *out, const float *in, int width, int height) {
    __shared__ float tile[TILE][TILE + 1];  // + 1: a column lies in 32 different banks

    int x = blockIdx.x * TILE + threadIdx.x;
    int y = blockIdx.y * TILE + threadIdx.y;
    for (int j = 0; j < TILE; j += ROWS)
        if (x < width && y + j < height) tile[threadIdx.y + j][threadIdx.x] = in[(y + j) * width + x];

    __syncthreads();

    x = blockIdx.y * TILE + threadIdx.x;  // the transposed tile's place
    y = blockIdx.x * TILE + threadIdx.y;
    for (int j = 0; j < TILE; j += ROWS)
        if (x < height && y + j < width) out[(y + j) * height + x] = tile[threadIdx.x][threadIdx.y + j];
}

bool isTransposed(const std::vector<float> &a, const std::vector<float> &b, int width, int height) {
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            if (a[y * width + x] != b[x * height + y]) return false;
    return true;
}

int main() {
    const int width = 100, height = 70;
    std::vector<float> in(width * height), out(width * height);
    for (size_t i = 0; i < in.size(); i++) in[i] = i;

    float *d_in, *d_out;
    size_t bytes = in.size() * sizeof(float);
    cudaMalloc(&d_in, bytes);
    cudaMalloc(&d_out, bytes);
    cudaMemcpy(d_in, in.data(), bytes, cudaMemcpyHostToDevice);

    dim3 block(TILE, ROWS);
    dim3 grid((width + TILE - 1) / TILE, (height + TILE - 1) / TILE);
    transposeNaive<<<grid, block>>>(d_out, d_in, width, height);
    cudaMemcpy(out.data(), d_out, bytes, cudaMemcpyDeviceToHost);
    bool naive = isTransposed(in, out, width, height);

    cudaMemset(d_out, 0, bytes);
    transposeTiled<<<grid, block>>>(d_out, d_in, width, height);
    cudaMemcpy(out.data(), d_out, bytes, cudaMemcpyDeviceToHost);
    bool tiled = isTransposed(in, out, width, height);

    printf("naive %s, tiled %s\n", naive ? "PASSED" : "FAILED", tiled ? "PASSED" : "FAILED");
    cudaFree(d_in);
    cudaFree(d_out);
    return naive && tiled ? 0 : 1;
}
