// sm_90a: TMA, mbarrier, wgmma. As in ptx.cuh, each is one function with a GPU body and an emulated body.
// Emulated asynchronous work lands as LATE as the rules allow, so a missing wait gives NaN, not luck.
#pragma once
#include "ptx.cuh"
#if defined(__CUDACC__)
#include <cuda.h>
#include <cudaTypedefs.h>
__device__ __forceinline__ void mmb_mbar_init(uint64_t* b, int n) { asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(mmb_smem_u32(b)), "r"(n)); }
__device__ __forceinline__ void mmb_mbar_fence() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }
__device__ __forceinline__ void mmb_mbar_arrive(uint64_t* b) { asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(mmb_smem_u32(b)) : "memory"); }
__device__ __forceinline__ void mmb_mbar_expect(uint64_t* b, int bytes) { asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(mmb_smem_u32(b)), "r"(bytes) : "memory"); }
__device__ __forceinline__ void mmb_mbar_wait(uint64_t* b, int parity) {
  asm volatile("{\n.reg .pred p;\nW:\nmbarrier.try_wait.parity.shared::cta.b64 p, [%0], %1;\n@p bra D;\nbra W;\nD:\n}" ::"r"(mmb_smem_u32(b)), "r"(parity) : "memory"); }
__device__ __forceinline__ void mmb_tma_load_2d(void* dst, const CUtensorMap* t, uint64_t* bar, int c, int r) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, %4}], [%2];"
    ::"r"(mmb_smem_u32(dst)), "l"(t), "r"(mmb_smem_u32(bar)), "r"(c), "r"(r) : "memory"); }
__device__ __forceinline__ void mmb_wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void mmb_wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N> __device__ __forceinline__ void mmb_wgmma_wait() { asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory"); }
__device__ __forceinline__ void mmb_wgmma_m64n64k16_bf16(float (&d)[32], uint64_t a, uint64_t b) {
  asm volatile("wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30,%31}, %32, %33, 1, 1, 1, 0, 0;"
    : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
      "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]) : "l"(a), "l"(b)); }
#define MMB_TMAP __grid_constant__ const CUtensorMap
#else
struct CUtensorMap { const void* base; int rows, cols, box_r, box_c; };
#define MMB_TMAP const CUtensorMap
namespace emulator { void mbar_init(uint64_t*, int); void mbar_arrive(uint64_t*, int tx); void mbar_wait(uint64_t*, int parity, const char*, int);
  void tma_2d(void* dst, const CUtensorMap* t, uint64_t* bar, int c, int r); void wgmma_bf16(float* d, int n, uint64_t a, uint64_t b); void wgmma_commit(); void wgmma_wait(int n); }
inline void mmb_mbar_init(uint64_t* b, int n) { emulator::mbar_init(b, n); }
inline void mmb_mbar_fence() {}
inline void mmb_mbar_arrive(uint64_t* b) { emulator::mbar_arrive(b, 0); }
inline void mmb_mbar_expect(uint64_t* b, int bytes) { emulator::mbar_arrive(b, bytes); }
inline void mmb_mbar_wait(uint64_t* b, int parity, EMULATOR_LOC) { emulator::mbar_wait(b, parity, f_, l_); }
inline void mmb_tma_load_2d(void* dst, const CUtensorMap* t, uint64_t* bar, int c, int r) { emulator::tma_2d(dst, t, bar, c, r); }
inline void mmb_wgmma_fence() {}
inline void mmb_wgmma_commit() { emulator::wgmma_commit(); }
template <int N> inline void mmb_wgmma_wait() { emulator::wgmma_wait(N); }
inline void mmb_wgmma_m64n64k16_bf16(float (&d)[32], uint64_t a, uint64_t b) { emulator::wgmma_bf16(d, 64, a, b); }
inline uint32_t mmb_smem_u32(const void* p) { return emulator::smem_addr(p); }
#endif
// K-major operand, 128-byte swizzle, 8-row groups 1024 bytes apart
__device__ __forceinline__ uint64_t mmb_wgmma_desc(const void* p) {
  return (uint64_t)((mmb_smem_u32(p) & 0x3FFFF) >> 4) | (uint64_t)1 << 16 | (uint64_t)(1024 >> 4) << 32 | (uint64_t)1 << 62;
}
