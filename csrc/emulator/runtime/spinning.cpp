#include "spinning.h"

#include <setjmp.h>

#include <algorithm>
#include <cstring>

#include "scheduler.h"

#if defined(EMULATOR_CHECK)
namespace emulator::spinning {

uint64_t steps = 0, news = 0;
bool is_to_end = false;

uint64_t hash_of(const void* p, std::size_t bytes, uint64_t hash) {
    const auto* begin = static_cast<const unsigned char*>(p);
    for (std::size_t i = 0; i + 8 <= bytes; i += 8) {
        uint64_t word;
        std::memcpy(&word, begin + i, 8);
        hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash;
}

namespace {

constexpr uint64_t FEWEST_TRIES = 64;
constexpr std::size_t MOST_READS = 4;  // of a round, that a message may name

#if !defined(EMULATOR_UCONTEXT)

// Of the registers a caller may rely on six and the stack pointer. Written down in assembly, as nothing
// else of the stack than what lies above belongs to the state: not what earlier calls have left there.
struct Registers {
    uint64_t kept[6];
    const unsigned char* stack;
} registers;
extern "C" void mmb_registers(Registers*);
asm(R"(
.text
.globl mmb_registers
.hidden mmb_registers
.type mmb_registers,@function
mmb_registers:
  movq %rbx,(%rdi); movq %rbp,8(%rdi); movq %r12,16(%rdi)
  movq %r13,24(%rdi); movq %r14,32(%rdi); movq %r15,40(%rdi)
  leaq 8(%rsp),%rax
  movq %rax,48(%rdi)
  ret
.size mmb_registers,.-mmb_registers
)");

uint64_t state() {
    const std::size_t bytes = self().fiber.bytes_above(registers.stack);
    return hash_of(registers.stack, bytes, hash_of(registers.kept, sizeof registers.kept));
}

#else

// Whatever a compiler keeps where: alloca lies below all of it. Left over from earlier calls there may
// be more, and then a thread that came round is not known to have.
struct Registers {
    uint64_t hash;
} registers;
__attribute__((noinline)) void mmb_registers(Registers* to) {
    auto* lowest = static_cast<unsigned char*>(__builtin_alloca(sizeof(jmp_buf)));
    std::memset(lowest, 0, sizeof(jmp_buf));
    _setjmp(*reinterpret_cast<jmp_buf*>(lowest));
    to->hash = hash_of(lowest, self().fiber.bytes_above(lowest));
}
uint64_t state() { return registers.hash; }

#endif

void news_came() {
    ++news;
    is_to_end = false;
}

// For the watchdog: is this news?
void note(const void* p, Site site) {
    static Spin::Read recent[2048];
    const uint64_t mixed = (reinterpret_cast<std::uintptr_t>(p) + 4096 * site + static_cast<unsigned>(self().index)) * 0x9e3779b97f4a7c15u;
    Spin::Read& last = recent[mixed >> 53];
    ++steps;
    if (last.address != p || last.site != site) news_came();
    last = {p, site};
}

// The anchor is no more if the thread has changed memory since.
void settle_write(Spin& spin) {
    if (!spin.written) return;
    if (std::memcmp(spin.before, spin.written, spin.bytes)) {
        spin.anchor = nullptr;
        spin.is_spinning = false;
        news_came();
    }
    spin.written = nullptr;
}

void choose_anchor(Spin& spin, const void* p, Site site, bool is_ordinary) {
    spin.next_anchor = 2 * spin.accesses;
    spin.anchor = p;
    spin.site = site;
    spin.is_ordinary = is_ordinary;
    spin.has_state = spin.is_spinning = false;
    spin.tries = std::max(FEWEST_TRIES, spin.accesses / 16);
    spin.reads.clear();
}

void remember(Spin& spin, const void* p, Site site) {
    const auto is_it = [&](const Spin::Read& r) { return r.address == p && r.site == site; };
    if (spin.reads.size() < MOST_READS && std::none_of(spin.reads.begin(), spin.reads.end(), is_it)) spin.reads.push_back({p, site});
}

// It came round: no thread but others can change what it does.
void came_round(Spin& spin) {
    const bool is_first = !spin.is_spinning, others_moved = spin.moves != moves();
    spin.is_spinning = true;
    spin.moves = moves();
    if (is_first || others_moved) return;
    const Source& source = source_of(spin.site);
    pause(State::spinning, {source.file.c_str(), source.line});
    spin.moves = moves();
}

// Whether the thread is at its anchor.
__attribute__((noinline)) bool is_back(const void* p, Site site, bool is_ordinary) {
    Spin& spin = self().spin;
    ++spin.accesses;
    note(p, site);
    settle_write(spin);
    if (spin.is_spinning) remember(spin, p, site);
    if (spin.accesses >= spin.next_anchor) {
        choose_anchor(spin, p, site, is_ordinary);
        return false;
    }
    if (spin.anchor != p || spin.site != site || !spin.tries) return false;
    --spin.tries;
    return true;
}

__attribute__((noinline)) void compare(uint64_t now) {
    Spin& spin = self().spin;
    if (!spin.has_state) {
        spin.has_state = true;
        spin.state = now;
        spin.moves = moves();
    } else if (now == spin.state) {
        spin.tries = FEWEST_TRIES;
        came_round(spin);
    }
}

}  // namespace

// Short, and without variables: its own frame is part of the state, and so is where it calls from.
void reads(const void* p, Site site, bool is_ordinary) {
    if (!is_back(p, site, is_ordinary)) return;
    mmb_registers(&registers);
    compare(state());
}

void writes(const void* p, std::size_t bytes, bool is_ordinary) {
    Spin& spin = self().spin;
    ++spin.accesses;
    ++steps;
    settle_write(spin);
    if (is_ordinary) news_came();  // a loop of atomics may wait, and change nothing
    if (is_ordinary && !spin.anchor) return;
    if (bytes > sizeof spin.before) {
        spin.anchor = nullptr;
        spin.is_spinning = false;
        return;
    }
    spin.written = p;
    spin.bytes = bytes;
    std::memcpy(spin.before, p, bytes);
}

void forget() {
    ++steps;
    news_came();
    if (running()) self().spin = {};
}

}  // namespace emulator::spinning
#else
namespace emulator::spinning {
uint64_t steps = 0, news = 0;
bool is_to_end = false;
uint64_t hash_of(const void*, std::size_t, uint64_t) { return 0; }
void reads(const void*, Site, bool) {}
void writes(const void*, std::size_t, bool) {}
void forget() {}
}  // namespace emulator::spinning
#endif
