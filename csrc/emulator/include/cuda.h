// Stands in for NVIDIA's header of this name: its version, and no driver interface.
#pragma once
#include "cuda_runtime.h"
#define CUDA_VERSION CUDART_VERSION
