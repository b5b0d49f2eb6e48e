// How often each letter occurs: every block counts in shared memory, then adds to the whole.
#include <cstdio>
#include <cstring>

#define BINS 26

__global__ void histogram(const char *text, unsigned int *counts, int length) {
    __shared__ unsigned int local[BINS];
    for (int bin = threadIdx.x; bin < BINS; bin += blockDim.x) local[bin] = 0u;
    __syncthreads();

    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < length; i += blockDim.x * gridDim.x) {
        int letter = text[i] - 'a';
        if (letter >= 0 && letter < BINS) atomicAdd(&local[letter], 1u);
    }
    __syncthreads();

    for (int bin = threadIdx.x; bin < BINS; bin += blockDim.x)
        if (local[bin] > 0) atomicAdd(&counts[bin], local[bin]);
}

int main() {
    const char *pangram = "the quick brown fox jumps over the lazy dog. ";
    const int repeats = 100, piece = strlen(pangram), length = repeats * piece;
    char *text;
    cudaMallocHost(&text, length);  // pinned: copies may run beside kernels
    for (int i = 0; i < repeats; i++) memcpy(text + i * piece, pangram, piece);

    char *d_text;
    unsigned int *d_counts, counts[BINS];
    cudaMalloc(&d_text, length);
    cudaMalloc(&d_counts, sizeof(counts));
    cudaMemcpy(d_text, text, length, cudaMemcpyHostToDevice);
    cudaMemset(d_counts, 0, sizeof(counts));

    histogram<<<4, 64>>>(d_text, d_counts, length);
    cudaMemcpy(counts, d_counts, sizeof(counts), cudaMemcpyDeviceToHost);

    int wrong = 0;
    for (int bin = 0; bin < BINS; bin++) {
        unsigned int exact = 0;
        for (int i = 0; i < length; i++) exact += text[i] == 'a' + bin;
        if (counts[bin] != exact) wrong++;
    }
    printf("e: %u, o: %u, z: %u\n%s\n", counts['e' - 'a'], counts['o' - 'a'], counts['z' - 'a'], wrong ? "FAILED" : "PASSED");
    cudaFree(d_text);
    cudaFree(d_counts);
    cudaFreeHost(text);
    return wrong != 0;
}
