// expected: symbol-as-pointer
__device__ float table[16];
int main() {
    float host[16] = {1};
    cudaMemcpy(table, host, sizeof(host), cudaMemcpyHostToDevice);  // HERE: cudaMemcpyToSymbol
}
