// Runtime of cuda_emu: fibers, barriers, warp collectives, and (EMULATOR_CHECK) the checker.
#include "hopper.cuh"
#include "api.h"
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <algorithm>
#include <deque>
#include <map>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>
#include <sys/mman.h>
#include <dlfcn.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#include <sanitizer/asan_interface.h>
#define FIBER_ASAN 1
#endif

// ---------------------------------------------------------------- fiber switch
#if defined(__x86_64__)
extern "C" void mmb_switch(void** save_sp, void* load_sp);
asm(R"(
.text
.globl mmb_switch
.hidden mmb_switch
.type mmb_switch,@function
mmb_switch:
  pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
  ret
.size mmb_switch,.-mmb_switch
)");
struct FiberCtx { void* sp = nullptr; };
static void fiber_make(FiberCtx& c, char* lo, size_t n, void (*fn)()) {
  uintptr_t top = ((uintptr_t)lo + n) & ~(uintptr_t)15; void** p = (void**)(top - 16);
  p[0] = (void*)fn; p[1] = nullptr; c.sp = p - 6; std::memset(c.sp, 0, 48);
}
static inline void fiber_swap(FiberCtx& from, FiberCtx& to) { mmb_switch(&from.sp, to.sp); }
#else                                                   // any other CPU: ucontext (slower: 2 syscalls per switch)
#include <ucontext.h>
struct FiberCtx { ucontext_t u; };
static void fiber_make(FiberCtx& c, char* lo, size_t n, void (*fn)()) { getcontext(&c.u); c.u.uc_stack.ss_sp = lo; c.u.uc_stack.ss_size = n; c.u.uc_link = nullptr; makecontext(&c.u, fn, 0); }
static inline void fiber_swap(FiberCtx& from, FiberCtx& to) { swapcontext(&from.u, &to.u); }
#endif

namespace emulator {
enum State : uint8_t { READY, AT_BLOCK, AT_WARP, AT_MBAR, DONE };
struct Wg { float* d; int n; uint64_t a, b; };
struct Bar { int count = 0, pending = 0; long tx = 0; int phase = 0; };
struct Tma { char* dst; CUtensorMap t; uint64_t* bar; int c, r; };
struct Cp { char* dst; const char* src; int bytes, valid; };
struct Thread {
  FiberCtx f; char* stack = nullptr; State st = DONE; Ctx ctx; int lin = 0;
  const char* file = nullptr; int line = 0;
  unsigned wmask = 0; void* payload = nullptr; CollFn fn = nullptr;
  int redk = -1, redv = 0, redout = 0;
  uint64_t* mbar = nullptr; int parity = 0; std::vector<Wg> wopen; std::deque<std::vector<Wg>> wgroups;
  std::vector<Cp> open; std::deque<std::vector<Cp>> groups;   // cp.async: copies land only when waited for
};
extern "C" { Ctx mmb_thread; }
struct Opt { long seed = 0; bool strict = true, check = true; } opt;
struct Error { std::string msg; };
static std::string g_error; static bool g_failed = false;
static std::vector<Thread> T; static int nthreads = 0; static Thread* cur = nullptr; static FiberCtx sched;
static void (*body_)(const void*); static const void* closure_; static const char* kname = "";
static std::vector<char> dyn; static char* dyn_p = nullptr; static size_t dyn_n = 0;
static constexpr size_t STACK = 128 * 1024;
static unsigned block_epoch = 0; static std::vector<unsigned> warp_epoch;
struct WarpSync { struct Slot { unsigned mask, here; CollFn fn; } slot[4]; }; static std::vector<WarpSync> warp_sync;
static uint64_t n_switch = 0; static uintptr_t host_sp = 0;   // kernel parameters live just above launch()'s frame
static void check_block_begin(); static void check_flush(); static void check_launch_begin(); static void check_launch_end();
#ifdef FIBER_ASAN
static void* fake_sched; static const void* sched_bot; static size_t sched_sz;
#endif
static void to_sched() {
#ifdef FIBER_ASAN
  void* fs; __sanitizer_start_switch_fiber(cur->st == DONE ? nullptr : &fs, sched_bot, sched_sz);
#endif
  fiber_swap(cur->f, sched);
#ifdef FIBER_ASAN
  __sanitizer_finish_switch_fiber(fs, &sched_bot, &sched_sz);
#endif
}
static void fiber_main() {
#ifdef FIBER_ASAN
  __sanitizer_finish_switch_fiber(nullptr, &sched_bot, &sched_sz);
#endif
  body_(closure_);
  cur->st = DONE; to_sched(); abort();
}
static void run(Thread& t) {
  cur = &t; mmb_thread = t.ctx; n_switch++;
#ifdef FIBER_ASAN
  __sanitizer_start_switch_fiber(&fake_sched, t.stack, STACK);
#endif
  fiber_swap(sched, t.f);
#ifdef FIBER_ASAN
  __sanitizer_finish_switch_fiber(fake_sched, nullptr, nullptr);
#endif
}
static std::string vfmt(const char* fmt, va_list ap) { char b[1024]; vsnprintf(b, sizeof b, fmt, ap); return b; }
static std::string where(const Thread& t) { char b[200]; snprintf(b, sizeof b, "kernel %s block (%u,%u,%u) thread (%u,%u,%u)", kname, t.ctx.bid.x, t.ctx.bid.y, t.ctx.bid.z, t.ctx.tid.x, t.ctx.tid.y, t.ctx.tid.z); return b; }
static void report(const std::string& m) { if (!g_failed) { g_failed = true; g_error = m; } }
void fail(const char* fmt, ...) {                        // stops the kernel: the block's fibers are abandoned
  va_list ap; va_start(ap, fmt); std::string s = vfmt(fmt, ap); va_end(ap);
  report(s + (cur ? " [" + where(*cur) + "]" : ""));
  if (cur) { cur->st = DONE; for (int i = 0; i < nthreads; i++) T[i].st = DONE; to_sched(); }
  abort();
}
void* dynamic_shared() { return dyn_p; }
uint32_t smem_addr(const void* p) { return (uint32_t)((const char*)p - dyn_p); }

void block_barrier(const char* f, int l) { cur->file = f; cur->line = l; cur->redk = -1; cur->st = AT_BLOCK; to_sched(); }
int block_barrier_reduce(int k, int v, const char* f, int l) { cur->file = f; cur->line = l; cur->redk = k; cur->redv = v; cur->st = AT_BLOCK; to_sched(); return cur->redout; }
void warp_collective(unsigned mask, void* payload, CollFn fn, const char* f, int l) {
  Thread* me = cur; int w = me->lin / 32, base = w * 32, top = std::min(base + 32, nthreads);
  if (!(mask >> me->ctx.lane & 1)) fail("%s:%d: lane %d calls a warp op whose mask %08x leaves it out", f, l, me->ctx.lane, mask);
  me->wmask = mask; me->payload = payload; me->fn = fn; me->file = f; me->line = l; me->st = AT_WARP;
  // lanes past the end of a partial last warp never existed
  unsigned need = top - base < 32 ? mask & ((1u << (top - base)) - 1) : mask;
  WarpSync& ws = warp_sync[w]; WarpSync::Slot* sl = nullptr;
  for (auto& q : ws.slot) if (q.here && q.mask == mask && q.fn == fn) sl = &q;
  if (!sl) for (auto& q : ws.slot) if (!q.here) { sl = &q; sl->mask = mask; sl->fn = fn; break; }
  if (!sl) fail("more than 4 warp subsets wait in one warp");
  sl->here |= 1u << me->ctx.lane; const unsigned here = sl->here;
  if (here == need) {
    sl->here = 0; void* pl[32] = {};
    for (int i = base; i < top; i++) if (need >> (i - base) & 1) {
      pl[i - base] = T[i].payload;
      if (opt.strict && T[i].line != l) fail("warp-op divergence: lane %d at %s:%d, lane %d at %s:%d", i - base, T[i].file, T[i].line, me->ctx.lane, f, l);
    }
    if (need == (top - base < 32 ? (1u << (top - base)) - 1 : ~0u)) warp_epoch[w]++;   // a full-warp op orders the warp
    for (int i = base; i < top; i++) if (need >> (i - base) & 1) T[i].st = READY;
    if (fn) fn(pl, need);
    return;
  }
  to_sched();
}
void cp_async(void* dst, const void* src, int bytes, int valid) {
  if (((uintptr_t)dst | (uintptr_t)src) % bytes) fail("cp.async of %d bytes: misaligned address", bytes);
  access(src, valid, 0); cur->open.push_back({(char*)dst, (const char*)src, bytes, valid});
}
void cp_async_commit() { cur->groups.push_back(std::move(cur->open)); cur->open.clear(); }
void cp_async_wait(int n) {
  while ((int)cur->groups.size() > n) {
    for (auto& c : cur->groups.front()) { access(c.dst, c.bytes, 1); std::memcpy(c.dst, c.src, c.valid); std::memset(c.dst + c.valid, 0, c.bytes - c.valid); }
    cur->groups.pop_front();
  }
}

// ---- Hopper: mbarrier, TMA, wgmma
static std::map<uint64_t*, Bar> bars; static std::deque<Tma> tma_q;
static void bar_try(uint64_t* p, Bar& b) {
  if (b.pending || b.tx) return;
  b.phase ^= 1; b.pending = b.count;
  for (int i = 0; i < nthreads; i++) if (T[i].st == AT_MBAR && T[i].mbar == p && b.phase != T[i].parity) T[i].st = READY;
}
static Bar& bar_of(uint64_t* p) { auto it = bars.find(p); if (it == bars.end()) fail("mbarrier used before init"); return it->second; }
void mbar_init(uint64_t* p, int n) { Bar b; b.count = b.pending = n; bars[p] = b; }
void mbar_arrive(uint64_t* p, int tx) { Bar& b = bar_of(p); if (b.pending <= 0) fail("mbarrier: more arrivals than its count"); b.tx += tx; b.pending--; bar_try(p, b); }
void mbar_wait(uint64_t* p, int parity, const char* f, int l) {
  while (bar_of(p).phase == parity) { cur->mbar = p; cur->parity = parity; cur->file = f; cur->line = l; cur->st = AT_MBAR; to_sched(); }
}
void tma_2d(void* dst, const CUtensorMap* t, uint64_t* bar, int c, int r) {
  if (smem_addr(dst) % 1024) fail("TMA destination not 1024-byte aligned (128B swizzle)");
  tma_q.push_back({(char*)dst, *t, bar, c, r});  // copy: the emulated parameter lives on a fiber stack
}
static bool tma_step() {                                  // called only when every thread is blocked: the latest legal moment
  if (tma_q.empty()) return false;
  Tma x = tma_q.front(); tma_q.pop_front();
  for (int r = 0; r < x.t.box_r; r++) for (int c = 0; c < x.t.box_c; c++) {
    uint32_t off = r * 128 + c * 2; off ^= (off >> 3) & 0x70; uint16_t v = 0;
    if (x.r + r < x.t.rows && x.c + c < x.t.cols) v = ((const uint16_t*)x.t.base)[(size_t)(x.r + r) * x.t.cols + x.c + c];
    std::memcpy(x.dst + off, &v, 2);
  }
  Bar& b = bar_of(x.bar); b.tx -= x.t.box_r * x.t.box_c * 2; bar_try(x.bar, b); return true;
}
void wgmma_bf16(float* d, int n, uint64_t a, uint64_t b) { cur->wopen.push_back({d, n, a, b}); }
void wgmma_commit() { cur->wgroups.push_back(std::move(cur->wopen)); cur->wopen.clear(); }
static float wg_el(uint64_t desc, int row, int k) {
  if (desc >> 62 != 1) fail("wgmma: only the 128B swizzle is emulated");
  uint32_t start = (desc & 0x3FFF) << 4, sbo = ((desc >> 32) & 0x3FFF) << 4, off = start + row / 8 * sbo + row % 8 * 128 + k * 2;
  off ^= (off >> 3) & 0x70; uint16_t v; std::memcpy(&v, dyn_p + off, 2); return __uint_as_float((unsigned)v << 16);
}
static void wg_run(const Wg& w, int lin) {                // each lane computes the 32 outputs it holds
  int wp = lin % 128 / 32, g = lin % 32 / 4, t = lin % 4;
  float A[2][16]; for (int h = 0; h < 2; h++) for (int k = 0; k < 16; k++) A[h][k] = wg_el(w.a, wp * 16 + g + h * 8, k);
  for (int j = 0; j < w.n / 8; j++) for (int i = 0; i < 2; i++) { int col = j * 8 + 2 * t + i; float s0 = w.d[j * 4 + i], s1 = w.d[j * 4 + 2 + i];
    for (int k = 0; k < 16; k++) { float b = wg_el(w.b, col, k); s0 += A[0][k] * b; s1 += A[1][k] * b; }
    w.d[j * 4 + i] = s0; w.d[j * 4 + 2 + i] = s1; }
}
void wgmma_wait(int n) {
  // all 128 threads of the warpgroup must have arrived before any reads shared memory: a block of 4 warps in lock step
  while ((int)cur->wgroups.size() > n) { for (auto& w : cur->wgroups.front()) wg_run(w, cur->lin); cur->wgroups.pop_front(); }
}
static void run_block() {
  bars.clear(); tma_q.clear(); for (auto& t : T) { t.wopen.clear(); t.wgroups.clear(); }
  std::vector<int> order(nthreads); for (int i = 0; i < nthreads; i++) order[i] = i;
  std::mt19937 rng((unsigned)opt.seed);
  if (opt.seed == 1) std::reverse(order.begin(), order.end());
  for (int i = 0; i < nthreads; i++) {
    Thread& t = T[i];
    if (!t.stack) { t.stack = (char*)mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0); }
#ifdef FIBER_ASAN
    __asan_unpoison_memory_region(t.stack, STACK);
#endif
    fiber_make(t.f, t.stack, STACK - (size_t)(i % 61) * 320, fiber_main); t.st = READY; t.open.clear(); t.groups.clear(); t.lin = i;
  }
  block_epoch++; warp_epoch.assign((nthreads + 31) / 32, 0); warp_sync.assign((nthreads + 31) / 32, WarpSync{});
  check_block_begin();
  for (;;) {
    if (opt.seed > 1) std::shuffle(order.begin(), order.end(), rng);
    bool ran = false; int alive = 0, at_block = 0; Thread* first = nullptr;
    for (int i : order) if (T[i].st == READY) { ran = true; run(T[i]); if (g_failed && T[i].st == DONE) {} }
    if (g_failed) return;
    for (int i = 0; i < nthreads; i++) { if (T[i].st != DONE) { alive++; if (!first) first = &T[i]; } if (T[i].st == AT_BLOCK) at_block++; }
    if (!alive) { check_flush(); return; }
    if (at_block == alive) {
      cur = first;
      if (opt.strict && alive != nthreads) { char b[300]; snprintf(b, sizeof b, "barrier divergence: %d threads wait at %s:%d, %d have exited", at_block, first->file, first->line, nthreads - alive); report(std::string(b) + " [" + where(*first) + "]"); return; }
      for (int i = 0; i < nthreads; i++) if (opt.strict && T[i].st == AT_BLOCK && (T[i].line != first->line)) {
        char b[300]; snprintf(b, sizeof b, "barrier divergence: threads wait at %s:%d and at %s:%d", first->file, first->line, T[i].file, T[i].line); report(std::string(b) + " [" + where(T[i]) + "]"); return; }
      int o = 0, a = 1, c = 0; for (int i = 0; i < nthreads; i++) if (T[i].st == AT_BLOCK) { o |= T[i].redv; a &= T[i].redv; c += T[i].redv; }
      for (int i = 0; i < nthreads; i++) if (T[i].st == AT_BLOCK) { T[i].redout = T[i].redk == 0 ? o : T[i].redk == 1 ? a : c; T[i].st = READY; }
      check_flush(); block_epoch++; for (auto& w : warp_epoch) w = 0;
      continue;
    }
    if (!ran && tma_step()) continue;
    if (!ran) {
      Thread* w = nullptr; for (int i = 0; i < nthreads; i++) if (T[i].st == AT_WARP || T[i].st == AT_MBAR) { w = &T[i]; break; }
      char b[400]; snprintf(b, sizeof b, "deadlock: %d threads at __syncthreads, %d in a warp op or mbarrier wait (first: %s:%d mask %08x), %d exited", at_block, alive - at_block, w ? w->file : "?", w ? w->line : 0, w ? w->wmask : 0, nthreads - alive);
      report(std::string(b) + " [" + where(w ? *w : *first) + "]"); return;
    }
  }
}
int launch_raw(const char* name, dim3 g, dim3 b, size_t smem, void (*fn)(const void*), const void* closure) {
  kname = name; g_failed = false; host_sp = (uintptr_t)__builtin_frame_address(0); g_error.clear(); body_ = fn; closure_ = closure; nthreads = b.x * b.y * b.z;
  if (nthreads > 1024 || nthreads < 1 || smem > 232448) { g_error = "invalid launch configuration"; g_failed = true; return 9; }
  if ((int)T.size() < nthreads) T.resize(nthreads);
  long nb = (long)g.x * g.y * g.z; check_launch_begin();
  std::vector<long> bo; if (opt.seed) { bo.resize(nb); for (long i = 0; i < nb; i++) bo[i] = nb - 1 - i; if (opt.seed > 1) { std::mt19937 r((unsigned)opt.seed); std::shuffle(bo.begin(), bo.end(), r); } }
  for (long i = 0; i < nb && !g_failed; i++) {
    long k = opt.seed ? bo[i] : i;
    dyn_n = smem; dyn_p = smem ? (char*)aligned_alloc(1024, (smem + 1023) / 1024 * 1024) : nullptr;
    if (smem) std::memset(dyn_p, 0xff, smem);             // NaN pattern: uninitialised shared memory shows
#ifdef FIBER_ASAN
    if (smem) __asan_poison_memory_region(dyn_p + smem, (smem + 1023) / 1024 * 1024 - smem);
#endif
    for (int t = 0; t < nthreads; t++) {
      Ctx& c = T[t].ctx; c.bdim = b; c.gdim = g; c.lane = t & 31;
      c.tid = {t % b.x, t / b.x % b.y, t / (b.x * b.y)};
      c.bid = {(unsigned)(k % g.x), (unsigned)(k / g.x % g.y), (unsigned)(k / ((long)g.x * g.y))};
    }
    run_block();
#ifdef FIBER_ASAN
    if (smem) __asan_unpoison_memory_region(dyn_p, (smem + 1023) / 1024 * 1024);
#endif
    free(dyn_p); dyn_p = nullptr;
  }
  cur = nullptr; check_launch_end();
  return g_failed ? 719 : 0;
}

// ---------------------------------------------------------------- the checker
#ifndef EMULATOR_CHECK
static void check_block_begin() {} static void check_flush() {} static void check_launch_begin() {} static void check_launch_end() {}
void access(const void*, int, int) {}
#else
extern "C" { extern char __bss_start[] __attribute__((visibility("hidden"))); extern char _end[] __attribute__((visibility("hidden"))); }
struct Acc { uint32_t thr1 = 0, blk = 0, we = 0; uint8_t mask = 0; uintptr_t pc = 0; };  // thr1 = thread + 1
struct Cell { Acc w, r1, r2; uint32_t init = 0; };
struct Range { uintptr_t lo, hi; bool ro; std::string name; std::vector<Cell> shadow; };
static std::vector<Range> ranges; static std::string pend;
struct Shared { uintptr_t lo = 0, hi = 0; std::vector<Cell> shadow; } sh_static, sh_dyn;
struct Rec { uintptr_t pc, addr; uint16_t size; uint8_t kind, space; };
static std::vector<std::vector<Rec>> logs;
struct Stat { uint64_t req = 0, units = 0, ideal = 0; };
static std::map<std::pair<uintptr_t, int>, Stat> stats; static bool profile = false;
static uint64_t block_no = 0, n_acc = 0;
static std::string src(uintptr_t pc) {
  Dl_info di; if (!dladdr((void*)pc, &di)) return "?";
  char cmd[600]; snprintf(cmd, sizeof cmd, "addr2line -s -C -e %s 0x%lx 2>/dev/null", di.dli_fname, (unsigned long)(pc - 1 - (uintptr_t)di.dli_fbase));
  FILE* p = popen(cmd, "r"); char b[300] = "?"; if (p) { if (!fgets(b, sizeof b, p)) {} pclose(p); }
  std::string s(b); while (!s.empty() && s.back() == '\n') s.pop_back(); return s;
}
static void check_launch_begin() { for (auto& r : ranges) { r.shadow.clear(); r.shadow.resize((r.hi - r.lo + 3) / 4); } block_no = 0; logs.resize(1024); stats.clear();
  sh_static.lo = (uintptr_t)__bss_start & ~3ul; sh_static.hi = (uintptr_t)_end; }
static void check_launch_end() {}
static void check_block_begin() {
  pend.clear();
  block_no++; sh_static.shadow.assign((sh_static.hi - sh_static.lo + 3) / 4, Cell());
  sh_dyn.lo = (uintptr_t)dyn_p; sh_dyn.hi = sh_dyn.lo + dyn_n; sh_dyn.shadow.assign((dyn_n + 3) / 4, Cell());
}
static bool ordered(const Acc& a, uint32_t me, bool global) {           // true: a happened before this access
  if (!a.thr1) return true;
  if (global && (a.thr1 - 1) / 1024 != me / 1024) return false;            // another block: nothing orders them in a launch
  if (a.thr1 - 1 == me) return true;
  if (a.blk != block_epoch) return true;
  uint32_t t1 = (a.thr1 - 1) % 1024, t2 = me % 1024;
  return t1 / 32 == t2 / 32 && a.we != warp_epoch[t2 / 32];
}
static const char* KN[] = {"read", "write", "atomic"};
static void cells(std::vector<Cell>& sv, uintptr_t lo, uintptr_t a, int size, int kind, uintptr_t pc, bool global, const char* what) {
  uint32_t me = (global ? (uint32_t)(block_no * 1024) : 0) + cur->lin;
  for (uintptr_t p = a & ~3ul; p < a + size; p += 4) {
    uint8_t m = 0; for (int b = 0; b < 4; b++) if (p + b >= a && p + b < a + size) m |= 1 << b;
    Cell& c = sv[(p - lo) / 4];
    auto clash = [&](const Acc& o, const char* ok) {
      if ((o.mask & m) && !ordered(o, me, global) && !(kind == 2 && o.mask & 16)) {
        uint32_t ot = (o.thr1 - 1) % 1024;
        char b[400]; snprintf(b, sizeof b, "data race on %s: %s by thread %d at %s, %s by thread %u%s at %s, no barrier between", what, KN[kind], cur->lin, src(pc).c_str(), ok, ot, global && (o.thr1 - 1) / 1024 != me / 1024 ? " of another block" : "", src(o.pc).c_str());
        fail("%s", b);
      } };
    if (kind == 0) {
      if (!global && !(c.init & m) && pend.empty()) { pend = "uninitialised shared memory read at " + src(pc) + " [" + where(*cur) + "]"; }
      clash(c.w, c.w.mask & 16 ? "atomic" : "write");
      Acc& r = (!c.r1.thr1 || c.r1.blk != block_epoch || c.r1.thr1 - 1 == me) ? c.r1 : c.r2;
      r = {me + 1, block_epoch, warp_epoch[cur->lin / 32], m, pc};
    } else {
      clash(c.w, c.w.mask & 16 ? "atomic" : "write"); clash(c.r1, "read"); clash(c.r2, "read");
      c.w = {me + 1, block_epoch, warp_epoch[cur->lin / 32], (uint8_t)(m | (kind == 2 ? 16 : 0)), pc}; c.init |= m;
    }
  }
}
static void on_access(uintptr_t a, int size, int kind, uintptr_t pc) {
  if (!cur || cur->st == DONE || !opt.check || size <= 0) return;
  uintptr_t s = (uintptr_t)cur->stack; if (a >= s && a < s + STACK) return;        // locals, spilled registers
  if (a >= (uintptr_t)&mmb_thread && a < (uintptr_t)(&mmb_thread + 1)) return;   // threadIdx and friends
  if (a >= host_sp && a < host_sp + (1 << 16)) return;                             // kernel parameters
  n_acc++;
  if ((size == 8 || size == 16) && a % size) { std::string w = src(pc); fail("misaligned %d-byte %s at %s", size, KN[kind], w.c_str()); }
  int space = 0;
  if (a >= sh_static.lo && a < sh_static.hi) { cells(sh_static.shadow, sh_static.lo, a, size, kind, pc, false, "shared memory"); space = 1; }
  else if (a >= sh_dyn.lo && a < sh_dyn.hi) { if (a + size > sh_dyn.hi) fail("out of bounds of dynamic shared memory"); cells(sh_dyn.shadow, sh_dyn.lo, a, size, kind, pc, false, "dynamic shared memory"); space = 1; }
  else {
    Range* hit = nullptr; for (auto& r : ranges) if (a >= r.lo && a < r.hi) { hit = &r; break; }
    if (!hit || a + size > hit->hi) {
      Range* n = nullptr; long best = 1L << 40; for (auto& r : ranges) { long d = a >= r.hi ? (long)(a - r.hi) : (long)(r.lo - a); if (d >= 0 && d < best) { best = d; n = &r; } }
      std::string w = src(pc);
      if (n) fail("out-of-bounds %s of %d bytes at %s: %ld bytes %s array '%s' (%ld bytes)", KN[kind], size, w.c_str(), a >= n->lo ? (long)(a - n->hi) : (long)(n->lo - a), a >= n->lo ? "past the end of" : "before", n->name.c_str(), (long)(n->hi - n->lo));
      fail("wild %s of %d bytes at %s", KN[kind], size, w.c_str());
    }
    if (kind && hit->ro) { std::string w = src(pc); fail("write to read-only array '%s' at %s", hit->name.c_str(), w.c_str()); }
    cells(hit->shadow, hit->lo, a, size, kind, pc, true, ("array '" + hit->name + "'").c_str());
  }
  if (profile) logs[cur->lin].push_back({pc, a, (uint16_t)size, (uint8_t)kind, (uint8_t)space});
}
void access(const void* p, int size, int kind) { on_access((uintptr_t)p, size, kind, (uintptr_t)__builtin_return_address(0)); }
static void check_flush() {
  if (!pend.empty()) report(pend);
  // group the k-th execution of each instruction by warp
  if (!profile) return;
  for (int w = 0; w * 32 < nthreads; w++) {
    std::map<std::pair<uintptr_t, int>, std::vector<Rec>> g;
    for (int l = w * 32; l < std::min(w * 32 + 32, nthreads); l++) { std::unordered_map<uintptr_t, int> k; for (auto& r : logs[l]) g[{r.pc, k[r.pc]++}].push_back(r); logs[l].clear(); }
    for (auto& [key, v] : g) {
      Stat& s = stats[{key.first, v[0].space}]; s.req++; int sz = v[0].size;
      if (v[0].space == 1) {                               // shared: 32 banks of 4 bytes; 8/16-byte accesses go in 2/4 phases
        int lanes = sz <= 4 ? 32 : sz == 8 ? 16 : 8;
        for (size_t i = 0; i < v.size(); i += lanes) { std::map<int, std::vector<uintptr_t>> bank; int ways = 1;
          for (size_t j = i; j < std::min(v.size(), i + lanes); j++) for (int o = 0; o < std::max(1, sz / 4); o++) { uintptr_t wd = v[j].addr / 4 + o; auto& b = bank[wd % 32]; if (std::find(b.begin(), b.end(), wd) == b.end()) b.push_back(wd); ways = std::max(ways, (int)b.size()); }
          s.units += ways; s.ideal++; }
      } else { std::vector<uintptr_t> sec; for (auto& r : v) for (uintptr_t x = r.addr / 32; x <= (r.addr + r.size - 1) / 32; x++) sec.push_back(x);
        std::sort(sec.begin(), sec.end()); s.units += std::unique(sec.begin(), sec.end()) - sec.begin(); s.ideal += (v.size() * sz + 31) / 32; }
    }
  }
}
#endif
} // namespace emulator

extern "C" {
static const char* EMPTY = "";
int mmb_launch(const char* name, const unsigned g[3], const unsigned b[3], size_t shared, void* const* arguments) {
  const mmb::Entry* e = mmb::find(name);
  if (!e) { emulator::g_error = std::string("no kernel of this name: ") + name; return 98; }
  struct Call { const mmb::Entry* e; void* const* a; } call{e, arguments};
  return emulator::launch_raw(e->name, dim3(g[0], g[1], g[2]), dim3(b[0], b[1], b[2]), shared,
      [](const void* c) { auto* k = (const Call*)c; k->e->invoke(k->e->kernel, k->a); }, &call);
}
const char* mmb_error(void) { return emulator::g_error.c_str(); }
const char* mmb_kernels(void) {
  static std::string out; out.clear();
  for (auto* l = mmb::Listed::head(); l; l = l->next) {
    out += l->entry.name; out += '\t';
    for (int i = 0; i < l->entry.count; i++) {
      auto& p = l->entry.parameters[i];
      if (i) out += ' ';
      out += p.read_only ? 'P' : (char)p.kind;
      if (p.kind != mmb::Kind::pointer) out += std::to_string(p.size);
    }
    out += '\n';
  }
  return out.c_str();
}
void mmb_option(const char* name, long value) {
  if (!std::strcmp(name, "seed")) emulator::opt.seed = value;
#ifdef EMULATOR_CHECK
  if (!std::strcmp(name, "profile")) emulator::profile = value != 0;
#endif
}
#ifndef EMULATOR_CHECK
void mmb_array(const void*, size_t, int, const char*) {}
void mmb_forget_arrays(void) {}
const char* mmb_profile(void) { return EMPTY; }
#else
void mmb_forget_arrays(void) { emulator::ranges.clear(); }
void mmb_array(const void* p, size_t n, int ro, const char* name) { emulator::ranges.push_back({(uintptr_t)p, (uintptr_t)p + n, ro != 0, name, {}}); }
const char* mmb_profile(void) {
  static std::string out; out.clear();
  for (auto& [k, s] : emulator::stats) { char b[400]; snprintf(b, sizeof b, "%s\t%s\t%lu\t%.3f\n", emulator::src(k.first).c_str(), k.second ? "shared" : "global", (unsigned long)s.req, s.ideal ? (double)s.units / s.ideal : 0.0); out += b; }
  return out.c_str();
}
// g++ -fsanitize=thread calls these before every load and store; we are the "thread sanitizer".
#define PC (uintptr_t)__builtin_return_address(0)
#define RW(n) void __tsan_read##n(void* p) { emulator::on_access((uintptr_t)p, n, 0, PC); } void __tsan_write##n(void* p) { emulator::on_access((uintptr_t)p, n, 1, PC); } \
  void __tsan_unaligned_read##n(void* p) { emulator::on_access((uintptr_t)p, n, 0, PC); } void __tsan_unaligned_write##n(void* p) { emulator::on_access((uintptr_t)p, n, 1, PC); } \
  void __tsan_volatile_read##n(void* p) { emulator::on_access((uintptr_t)p, n, 0, PC); } void __tsan_volatile_write##n(void* p) { emulator::on_access((uintptr_t)p, n, 1, PC); }
RW(1) RW(2) RW(4) RW(8) RW(16)
void __tsan_read_range(void* p, size_t n) { emulator::on_access((uintptr_t)p, (int)n, 0, PC); }
void __tsan_write_range(void* p, size_t n) { emulator::on_access((uintptr_t)p, (int)n, 1, PC); }
void __tsan_init() {} void __tsan_func_entry(void*) {} void __tsan_func_exit() {} void __tsan_vptr_update(void*, void*) {} void __tsan_vptr_read(void*) {}
#endif
}
