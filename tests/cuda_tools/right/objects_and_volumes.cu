// Objects in managed memory, by reference and by value; volumes; groups by label.
#include <cooperative_groups.h>
#include <stdio.h>
#include <string.h>
namespace cg = cooperative_groups;

class String {
   public:
    String(const char* s) : length(strlen(s)) { copy(s); }
    String(const String& s) : length(s.length) { copy(s.data), copies++; }
    ~String() { cudaDeviceSynchronize(), cudaFree(data); }
    void* operator new(size_t bytes) {
        void* p;
        cudaMallocManaged(&p, bytes);
        return p;
    }
    void operator delete(void* p) { cudaFree(p); }
    __host__ __device__ char& operator[](int i) { return data[i]; }
    int length;
    static int copies;

   private:
    void copy(const char* s) { cudaMallocManaged(&data, length + 1), memcpy(data, s, length + 1); }
    char* data;
};
int String::copies = 0;

__global__ void by_reference(String& s, char mark) { s[threadIdx.x] = mark; }
__global__ void by_value(String s, char* seen) {
    s.length = threadIdx.x;  // each thread's own
    seen[threadIdx.x] = s[threadIdx.x] + s.length;
}
__global__ void ramp(cudaPitchedPtr p, cudaExtent size) {
    for (size_t z = 0; z < size.depth; z++)
        for (size_t y = 0; y < size.height; y++)
            ((float*)((char*)p.ptr + (z * size.height + y) * p.pitch))[threadIdx.x] = threadIdx.x + 10 * y + 100 * z;
}
__global__ void labels(int* size, int* called) {
    auto warp = cg::tiled_partition<32>(cg::this_thread_block());
    auto group = cg::labeled_partition(warp, threadIdx.x % 3);
    size[threadIdx.x] = group.size();
    cg::invoke_one(group, [&] { atomicAdd(called, 1); });
}

template <class T>
class Buffer {  // owns its memory, and no copy does
   public:
    explicit Buffer(int n) { cudaMallocManaged(&data, n * sizeof(T)); }
    Buffer(const Buffer&) = delete;
    ~Buffer() { cudaFree(data); }
    operator T*() const { return data; }

   private:
    T* data;
};
template <class F>
__global__ void apply(float* out, const int n, F f) {
    if (threadIdx.x < n) out[threadIdx.x] = f(threadIdx.x);
}

struct Pair {  // copied bit by bit, though it has an assignment of its own
    float a, b;
    __host__ __device__ Pair& operator=(const Pair& other) {
        a = other.a, b = other.b;
        return *this;
    }
};
__global__ void sum(float* out, Pair p, String&) { *out = p.a + p.b; }

int main() {
    int ok = 1;
    Buffer<float> buffer(8);
    apply<<<1, 8>>>(buffer, 8, [] __device__(int i) { return 0.5f * i; });
    cudaDeviceSynchronize();
    ok &= buffer[7] == 3.5f;
    String* s = new String("abcd");
    by_reference<<<1, 2>>>(*s, 'x');
    cudaDeviceSynchronize();
    ok &= (*s)[1] == 'x' && (*s)[2] == 'c';
    sum<<<1, 1>>>(buffer, Pair{1, 2}, *s);
    cudaDeviceSynchronize();
    ok &= buffer[0] == 3;
    char* seen;
    cudaMallocManaged(&seen, 4);
    by_value<<<1, 4>>>(*s, seen);
    cudaDeviceSynchronize();
    ok &= seen[0] == 'x' && seen[1] == 'y' && seen[3] == 'g' && s->length == 4 && String::copies < 3;
    cudaFree(seen);
    delete s;

    const cudaExtent size = make_cudaExtent(8 * sizeof(float), 3, 2);
    cudaPitchedPtr volume;
    float h[2][3][8];
    cudaMalloc3D(&volume, size);
    cudaMemset3D(volume, 0, size);
    ramp<<<1, 7>>>(volume, size);
    cudaMemcpy3DParms how = {0};
    how.srcPtr = volume;
    how.dstPtr = make_cudaPitchedPtr(h, sizeof h[0][0], 8, 3);
    how.extent = size;
    how.kind = cudaMemcpyDeviceToHost;
    cudaMemcpy3D(&how);
    for (int z = 0; z < 2; z++)
        for (int y = 0; y < 3; y++)
            for (int x = 0; x < 8; x++) ok &= h[z][y][x] == (x < 7 ? x + 10 * y + 100 * z : 0);
    how.srcPos = make_cudaPos(2 * sizeof(float), 1, 1);  // a part of it: 3 x 2 x 1 from (2, 1, 1)
    how.extent = make_cudaExtent(3 * sizeof(float), 2, 1);
    cudaMemcpy3DAsync(&how);
    cudaDeviceSynchronize();
    ok &= h[0][0][0] == 112 && h[0][0][2] == 114 && h[0][1][0] == 122 && h[0][0][3] == 3;
    cudaFree(volume.ptr);

    int* count;
    cudaMallocManaged(&count, 33 * sizeof(int));
    count[32] = 0;
    labels<<<1, 32>>>(count, count + 32);
    cudaDeviceSynchronize();
    ok &= count[0] == 11 && count[1] == 11 && count[2] == 10 && count[32] == 3;
    cudaFree(count);
    printf(ok ? "PASSED\n" : "FAILED\n");
    return !ok;
}
