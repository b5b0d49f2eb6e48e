// The part of the CUDA samples' header of this name that their programs use most.
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "emulator/host.h"

#define checkCudaErrors(call) mmb_check((call), #call, __FILE__, __LINE__)
#define getLastCudaError(message) mmb_last_error(message, __FILE__, __LINE__)

inline void mmb_check(cudaError_t error, const char* call, const char* file, int line) {
    if (error == cudaSuccess) return;
    fprintf(stderr, "CUDA error at %s:%d code=%d(%s) \"%s\"\n", file, line, error, cudaGetErrorName(error), call);
    exit(EXIT_FAILURE);
}
inline void mmb_last_error(const char* message, const char* file, int line) {
    const cudaError_t error = cudaGetLastError();
    if (error == cudaSuccess) return;
    fprintf(stderr, "%s(%i): %s: (%d) %s.\n", file, line, message, error, cudaGetErrorString(error));
    exit(EXIT_FAILURE);
}
inline int findCudaDevice(int, const char**) {
    cudaDeviceProp properties;
    checkCudaErrors(cudaGetDeviceProperties(&properties, 0));
    printf("GPU Device 0: \"%s\"\n", properties.name);
    return 0;
}
inline int gpuGetMaxGflopsDeviceId() { return 0; }
inline bool checkCudaCapabilities(int major, int) { return major <= 9; }
