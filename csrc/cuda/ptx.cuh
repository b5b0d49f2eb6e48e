// Every PTX instruction the kernels use is ONE small function here with two bodies:
// the asm for the GPU, and its documented meaning for the CPU emulation.
#pragma once
#include "platform.cuh"
#if defined(__CUDACC__)
__device__ __forceinline__ uint32_t mmb_smem_u32(const void* p) { return (uint32_t)__cvta_generic_to_shared(p); }
__device__ __forceinline__ void mmb_cp_async16(void* dst, const void* src, int valid = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(mmb_smem_u32(dst)), "l"(src), "r"(valid)); }
__device__ __forceinline__ void mmb_cp_async_commit() { asm volatile("cp.async.commit_group;\n"); }
template <int N> __device__ __forceinline__ void mmb_cp_async_wait() { asm volatile("cp.async.wait_group %0;\n" ::"n"(N)); }
__device__ __forceinline__ void mmb_mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};\n"
    : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1])); }
__device__ __forceinline__ void mmb_ldmatrix_x4(uint32_t (&r)[4], const void* p) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(mmb_smem_u32(p)) : "memory"); }
#else
inline void mmb_cp_async16(void* dst, const void* src, int valid = 16) { emulator::cp_async(dst, src, 16, valid); }
inline void mmb_cp_async_commit() { emulator::cp_async_commit(); }
template <int N> inline void mmb_cp_async_wait() { emulator::cp_async_wait(N); }
namespace emulator {
struct Mma { float* d; const uint32_t *a, *b; };
EMULATOR_NOSAN inline void mma_bf16_fn(void** p, unsigned mask) {
  if (mask != ~0u) fail("mma.sync needs all 32 lanes");
  auto bf = [](uint32_t r, int hi) { return __uint_as_float(hi ? r & 0xffff0000u : r << 16); };
  float A[16][16], B[16][8], C[16][8];
  for (int l = 0; l < 32; l++) { Mma* m = (Mma*)p[l]; int g = l >> 2, t = l & 3;
    for (int i = 0; i < 4; i++) for (int h = 0; h < 2; h++) A[g + (i & 1) * 8][2 * t + h + (i >> 1) * 8] = bf(m->a[i], h);
    for (int i = 0; i < 2; i++) for (int h = 0; h < 2; h++) B[2 * t + h + i * 8][g] = bf(m->b[i], h);
    for (int i = 0; i < 4; i++) C[g + (i >> 1) * 8][2 * t + (i & 1)] = m->d[i]; }
  for (int i = 0; i < 16; i++) for (int k = 0; k < 16; k++) for (int j = 0; j < 8; j++) C[i][j] += A[i][k] * B[k][j];
  for (int l = 0; l < 32; l++) { Mma* m = (Mma*)p[l]; int g = l >> 2, t = l & 3;
    for (int i = 0; i < 4; i++) m->d[i] = C[g + (i >> 1) * 8][2 * t + (i & 1)]; }
}
struct Ldm { uint32_t* r; const char* p; };
EMULATOR_NOSAN inline void ldm_fn(void** p, unsigned mask) {
  if (mask != ~0u) fail("ldmatrix needs all 32 lanes");
  for (int i = 0; i < 4; i++) for (int l = 0; l < 32; l++)
    std::memcpy(&((Ldm*)p[l])->r[i], ((Ldm*)p[i * 8 + (l >> 2)])->p + (l & 3) * 4, 4);
}
}
inline void mmb_mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], EMULATOR_LOC) {
  emulator::Mma m{d, a, b}; emulator::warp_collective(~0u, &m, emulator::mma_bf16_fn, f_, l_); }
inline void mmb_ldmatrix_x4(uint32_t (&r)[4], const void* p, EMULATOR_LOC) {
  emulator::access(p, 16, 0); emulator::Ldm m{r, (const char*)p}; emulator::warp_collective(~0u, &m, emulator::ldm_fn, f_, l_); }
#endif
