"""Handwritten CUDA kernels: one wrapper an op serves the GPU and the emulator."""
