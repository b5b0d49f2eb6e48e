// cuda_emu: compile CUDA C++ kernels as plain C++17 and run them on the host.
// One fiber per CUDA thread, one block at a time, cooperative scheduling at barriers.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstddef>
#include <cstring>
#include <type_traits>
using std::size_t;

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static              /* one block runs at a time -> one instance is exactly right */
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __grid_constant__

struct dim3 { unsigned x, y, z; constexpr dim3(unsigned a = 1, unsigned b = 1, unsigned c = 1) : x(a), y(b), z(c) {} };
struct uint3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(8) uint2 { unsigned x, y; };
inline float2 make_float2(float a, float b) { return {a, b}; }
inline float4 make_float4(float a, float b, float c, float d) { return {a, b, c, d}; }
typedef void* cudaStream_t;

#define EMULATOR_NOSAN __attribute__((noinline, no_sanitize("thread")))
namespace emulator {
struct Thread;                                       // scheduler record, defined in cuda_emu.cpp
struct Ctx { uint3 tid, bid; dim3 bdim, gdim; int lane; };
extern "C" Ctx mmb_thread;                          // context of the running fiber
int launch_raw(const char* name, dim3 grid, dim3 block, size_t smem, void (*fn)(const void*), const void* closure);
template <class F> int launch(const char* name, dim3 g, dim3 b, size_t smem, const F& f) { return launch_raw(name, g, b, smem, [](const void* c) { (*(const F*)c)(); }, &f); }
void* dynamic_shared();
void block_barrier(const char* f, int l);
int block_barrier_reduce(int kind, int v, const char* f, int l);
using CollFn = void (*)(void** payload, unsigned mask);
void warp_collective(unsigned mask, void* payload, CollFn fn, const char* f, int l);
void access(const void* p, int size, int kind);      // kind: 0 read 1 write 2 atomic; no-op in the plain build
[[noreturn]] void fail(const char* fmt, ...);
uint32_t smem_addr(const void* p);                   // generic -> 32-bit shared "address"
void cp_async(void* dst, const void* src, int bytes, int valid);
void cp_async_commit();
void cp_async_wait(int n);
}
#define threadIdx (emulator::mmb_thread.tid)
#define blockIdx  (emulator::mmb_thread.bid)
#define blockDim  (emulator::mmb_thread.bdim)
#define gridDim   (emulator::mmb_thread.gdim)
constexpr int warpSize = 32;
#define EMULATOR_LOC const char* f_ = __builtin_FILE(), int l_ = __builtin_LINE()
inline void __syncthreads(EMULATOR_LOC) { emulator::block_barrier(f_, l_); }
inline int __syncthreads_or(int p, EMULATOR_LOC) { return emulator::block_barrier_reduce(0, p != 0, f_, l_); }
inline int __syncthreads_and(int p, EMULATOR_LOC) { return emulator::block_barrier_reduce(1, p != 0, f_, l_); }
inline int __syncthreads_count(int p, EMULATOR_LOC) { return emulator::block_barrier_reduce(2, p != 0, f_, l_); }
inline void __syncwarp(unsigned m = 0xffffffffu, EMULATOR_LOC) { emulator::warp_collective(m, nullptr, nullptr, f_, l_); }
inline void __threadfence() {} inline void __threadfence_block() {}

namespace emulator {
struct Shfl { uint64_t v; int src; uint64_t out; };
EMULATOR_NOSAN inline void shfl_fn(void** p, unsigned mask) {
  for (int i = 0; i < 32; i++) if (mask >> i & 1) {
    Shfl* s = (Shfl*)p[i];
    if (!(mask >> s->src & 1)) fail("lane %d shuffles from lane %d, which is not in mask %08x", i, s->src, mask);
    s->out = ((Shfl*)p[s->src])->v;
  }
}
template <class T> T shfl(unsigned mask, T v, int src, const char* f, int l) {
  static_assert(sizeof(T) <= 8, "shuffle of at most 8 bytes");
  Shfl s{0, src, 0}; std::memcpy(&s.v, &v, sizeof v);
  warp_collective(mask, &s, shfl_fn, f, l);
  T r; std::memcpy(&r, &s.out, sizeof r); return r;
}
inline int seg(int lane, int w) { return lane & ~(w - 1); }
}
template <class T> T __shfl_xor_sync(unsigned m, T v, int x, int w = 32, EMULATOR_LOC) {
  int l = emulator::mmb_thread.lane, s = l ^ x; if (s >= emulator::seg(l, w) + w) s = l; return emulator::shfl(m, v, s, f_, l_); }
template <class T> T __shfl_down_sync(unsigned m, T v, unsigned d, int w = 32, EMULATOR_LOC) {
  int l = emulator::mmb_thread.lane, s = l + (int)d; if (s >= emulator::seg(l, w) + w) s = l; return emulator::shfl(m, v, s, f_, l_); }
template <class T> T __shfl_up_sync(unsigned m, T v, unsigned d, int w = 32, EMULATOR_LOC) {
  int l = emulator::mmb_thread.lane, s = l - (int)d; if (s < emulator::seg(l, w)) s = l; return emulator::shfl(m, v, s, f_, l_); }
template <class T> T __shfl_sync(unsigned m, T v, int i, int w = 32, EMULATOR_LOC) {
  int l = emulator::mmb_thread.lane; return emulator::shfl(m, v, emulator::seg(l, w) + (i & (w - 1)), f_, l_); }
namespace emulator {
struct Vote { unsigned p, out; };
EMULATOR_NOSAN inline void vote_fn(void** p, unsigned m) { unsigned b = 0; for (int i = 0; i < 32; i++) if ((m >> i & 1) && ((Vote*)p[i])->p) b |= 1u << i;
  for (int i = 0; i < 32; i++) if (m >> i & 1) ((Vote*)p[i])->out = b; }
}
inline unsigned __ballot_sync(unsigned m, int p, EMULATOR_LOC) { emulator::Vote v{(unsigned)(p != 0), 0}; emulator::warp_collective(m, &v, emulator::vote_fn, f_, l_); return v.out; }
inline int __any_sync(unsigned m, int p, EMULATOR_LOC) { return __ballot_sync(m, p, f_, l_) != 0; }
inline int __all_sync(unsigned m, int p, EMULATOR_LOC) { return __ballot_sync(m, p, f_, l_) == m; }

template <class T> EMULATOR_NOSAN T atomicAdd(T* p, T v) { emulator::access(p, sizeof(T), 2); T o = *p; *p = o + v; return o; }
template <class T> EMULATOR_NOSAN T atomicMax(T* p, T v) { emulator::access(p, sizeof(T), 2); T o = *p; if (v > o) *p = v; return o; }
template <class T> EMULATOR_NOSAN T atomicExch(T* p, T v) { emulator::access(p, sizeof(T), 2); T o = *p; *p = v; return o; }
template <class T> EMULATOR_NOSAN T atomicCAS(T* p, T c, T v) { emulator::access(p, sizeof(T), 2); T o = *p; if (o == c) *p = v; return o; }
template <class T> inline T __ldg(const T* p) { return *p; }
template <class T> inline T __ldcs(const T* p) { return *p; }
template <class T> inline void __stcs(T* p, T v) { *p = v; }
template <class T> constexpr T min(T a, T b) { return b < a ? b : a; }
template <class T> constexpr T max(T a, T b) { return a < b ? b : a; }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __frcp_rn(float x) { return 1.0f / x; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline unsigned __float_as_uint(float f) { unsigned u; std::memcpy(&u, &f, 4); return u; }
inline float __uint_as_float(unsigned u) { float f; std::memcpy(&f, &u, 4); return f; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }

struct __nv_bfloat16 { uint16_t x; };
struct alignas(4) __nv_bfloat162 { __nv_bfloat16 x, y; };
inline float __bfloat162float(__nv_bfloat16 b) { return __uint_as_float((unsigned)b.x << 16); }
inline __nv_bfloat16 __float2bfloat16(float f) {      // round to nearest even, NaN kept
  unsigned u = __float_as_uint(f);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {(uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}
inline __nv_bfloat16 __float2bfloat16_rn(float f) { return __float2bfloat16(f); }
struct __half { uint16_t x; };
inline float __half2float(__half h) {
  unsigned s = (h.x & 0x8000u) << 16, e = h.x >> 10 & 31, m = h.x & 1023u;
  if (e == 31) return __uint_as_float(s | 0x7f800000u | m << 13);
  if (e == 0) { float f = std::ldexp((float)m, -24); return s ? -f : f; }
  return __uint_as_float(s | (e + 112) << 23 | m << 13);
}
inline __half __float2half_rn(float f) {
  unsigned u = __float_as_uint(f), s = u >> 16 & 0x8000u, a = u & 0x7fffffffu;
  if (a > 0x7f800000u) return {(uint16_t)0x7fff};
  if (a >= 0x477ff000u) return {(uint16_t)(s | 0x7c00u)};
  if (a < 0x38800000u) { float r = std::nearbyint(std::ldexp(__uint_as_float(a), 24)); return {(uint16_t)(s | (unsigned)r)}; }
  a += 0xfffu + (a >> 13 & 1u); return {(uint16_t)(s | ((a - 0x38000000u) >> 13))};
}
