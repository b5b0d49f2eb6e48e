#include "watchdog.h"

#if defined(EMULATOR_CHECK) && defined(__x86_64__) && defined(__linux__)
#include <dlfcn.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>

#include "findings.h"
#include "scheduler.h"
#include "site.h"
#include "spinning.h"
#include "stuck.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace emulator {
namespace {

constexpr int TICKS_A_SECOND = 10;
constexpr int PATIENCE = 10 * TICKS_A_SECOND;
constexpr int STATES = 64;  // remembered, of as many ticks

struct Watch {
    uint64_t steps = 0, news = 0;  // at the last tick
    int still = 0, no_news = 0;    // ticks since the last of either
    uint64_t states[STATES];       // of the processor, at the last `still` ticks
} watch;

timer_t timer;
struct sigaction before;

// Where the thread goes on after the tick: on its own stack, and out of the signal.
const void* endless;
bool is_proven;
[[noreturn]] void end_endless_loop() {
    std::string mend = "If it waits for a variable that another thread writes, the compiler may read that once: put __syncthreads() in "
                       "place of the loop, make the variable volatile, or read it by an atomic";
    if (!is_proven) mend += ". If it is to end, make the problem smaller for the checker";
    fail(endless_loop(site_of(static_cast<const char*>(endless) + 1), "neither waits nor touches memory", mend));
}

// All of the processor and the stack that a kernel which touches no memory depends on.
uint64_t state_of_kernel(const mcontext_t& machine, const Thread& thread) {
    const auto* red_zone = reinterpret_cast<const char*>(machine.gregs[REG_RSP]) - 128;
    uint64_t hash = spinning::hash_of(machine.gregs, sizeof(greg_t) * (REG_EFL + 1));  // r8 to r15, rdi to rsp, rip, flags
    hash = spinning::hash_of(machine.fpregs->_xmm, sizeof machine.fpregs->_xmm, hash);
    return spinning::hash_of(red_zone, thread.fiber.bytes_above(red_zone), hash);
}

bool is_in_kernel(const mcontext_t& machine, const Thread* thread) {  // and not in a function of the system
    Dl_info own, there;
    return thread && thread->fiber.holds(reinterpret_cast<const void*>(machine.gregs[REG_RSP] - 128)) &&
           dladdr(reinterpret_cast<void*>(&end_endless_loop), &own) &&
           dladdr(reinterpret_cast<const void*>(machine.gregs[REG_RIP]), &there) && there.dli_fbase == own.dli_fbase;
}

void on_tick(int, siginfo_t*, void* context) {
    watch.still = spinning::steps == watch.steps ? watch.still + 1 : 0;
    watch.no_news = spinning::news == watch.news ? watch.no_news + 1 : 0;
    watch.steps = spinning::steps, watch.news = spinning::news;
    if (watch.no_news >= PATIENCE && !watch.still) watch.no_news = 0, spinning::is_to_end = true;
    mcontext_t& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
    const Thread* thread = running();
    if (!watch.still || !is_in_kernel(machine, thread)) return;
    const uint64_t state = state_of_kernel(machine, *thread);
    uint64_t* const end = watch.states + std::min(watch.still - 1, STATES);
    is_proven = std::find(watch.states, end, state) != end;
    watch.states[(watch.still - 1) % STATES] = state;
    if (!is_proven && watch.still < PATIENCE) return;
    watch.still = 0;
    endless = reinterpret_cast<const void*>(machine.gregs[REG_RIP]);
    machine.gregs[REG_RSP] = (machine.gregs[REG_RSP] - 512) / 16 * 16 - 8;  // below the red zone, as after a call
    machine.gregs[REG_RIP] = reinterpret_cast<greg_t>(&end_endless_loop);
}

}  // namespace

// The clock and the signal are this thread's: in Python, others may be at work.
Watchdog::Watchdog() {
    watch = {spinning::steps, spinning::news, 0, 0, {}};
    spinning::is_to_end = false;
    sigset_t blocked;
    if (pthread_sigmask(SIG_SETMASK, nullptr, &blocked) || sigismember(&blocked, SIGVTALRM)) return;
    sigevent event{};
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = SIGVTALRM;
    event.sigev_notify_thread_id = static_cast<pid_t>(syscall(SYS_gettid));
    if (timer_create(CLOCK_THREAD_CPUTIME_ID, &event, &timer)) return;
    struct sigaction action{};
    action.sa_sigaction = on_tick;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigaction(SIGVTALRM, &action, &before);
    constexpr timespec TICK{0, 1000000000 / TICKS_A_SECOND};
    const itimerspec every_tick{TICK, TICK};
    timer_settime(timer, 0, &every_tick, nullptr);
    is_on_ = true;
}

Watchdog::~Watchdog() {
    if (!is_on_) return;
    timer_delete(timer);
    sigaction(SIGVTALRM, &before, nullptr);
}

}  // namespace emulator
#else
namespace emulator {
Watchdog::Watchdog() {}
Watchdog::~Watchdog() { (void)is_on_; }
}  // namespace emulator
#endif
