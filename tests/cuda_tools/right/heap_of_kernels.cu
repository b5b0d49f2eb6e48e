// malloc and new in kernels, virtual functions, and the host's own new beside them.
#include <stdio.h>
#include <stdlib.h>
#include <vector>

struct Shape {
    __device__ virtual float area() const = 0;
    __device__ virtual ~Shape() {}
};
struct Square : Shape {
    float side;
    __device__ Square(float s) : side(s) {}
    __device__ float area() const override { return side * side; }
};
struct Disc : Shape {
    float radius;
    __device__ Disc(float r) : radius(r) {}
    __device__ float area() const override { return 3 * radius * radius; }
};
__global__ void make(Shape** shapes) {
    if (threadIdx.x == 0) shapes[0] = new Square(2), shapes[1] = new Disc(3);
}
__global__ void areas(Shape** shapes, float* out) { out[threadIdx.x] = shapes[threadIdx.x]->area(); }
__global__ void destroy(Shape** shapes) {
    for (int i = 0; i < 2; i++) delete shapes[i];
}
__global__ void scratch(float* out, int n) {
    float* mine = (float*)malloc(n * sizeof(float));
    int* counts = new int[n];
    for (int i = 0; i < n; i++) mine[i] = i + threadIdx.x, counts[i] = i;
    for (int i = 1; i < n; i++) mine[0] += mine[i] * counts[i];
    out[threadIdx.x] = mine[0];
    free(mine);
    delete[] counts;
}

int main() {
    Shape** shapes;
    float *out, h[32];
    int ok = 1;
    cudaMalloc(&shapes, 2 * sizeof(Shape*));
    cudaMalloc(&out, sizeof h);
    make<<<1, 32>>>(shapes);
    areas<<<1, 2>>>(shapes, out);
    destroy<<<1, 1>>>(shapes);
    cudaMemcpy(h, out, 2 * sizeof(float), cudaMemcpyDeviceToHost);
    ok &= h[0] == 4 && h[1] == 27;
    scratch<<<1, 32>>>(out, 4);
    cudaMemcpy(h, out, sizeof h, cudaMemcpyDeviceToHost);
    std::vector<float> wanted;
    for (int t = 0; t < 32; t++) wanted.push_back(t + (1 + t) + 2 * (2 + t) + 3 * (3 + t));
    for (int t = 0; t < 32; t++) ok &= h[t] == wanted[t];
    free(malloc(8));
    delete new int;
    cudaFree(shapes);
    cudaFree(out);
    printf(ok ? "PASSED\n" : "FAILED\n");
    return !ok;
}
