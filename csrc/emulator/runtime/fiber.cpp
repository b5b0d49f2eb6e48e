#include "fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <new>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace emulator {
namespace {

Registers scheduler;

#if !defined(EMULATOR_UCONTEXT)

// Six registers are the callee's to keep; the stack pointer stands for all the rest. ucontext would
// make two system calls to save the signal mask, and shuffles would take nine times as long.
extern "C" void mmb_switch(void** save, void* load);
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

void start(Registers& registers, char* stack, std::size_t bytes, void (*run)()) {
    const auto top = (reinterpret_cast<std::uintptr_t>(stack) + bytes) & ~std::uintptr_t{15};
    auto* words = reinterpret_cast<void**>(top - 16);
    words[0] = reinterpret_cast<void*>(run);  // mmb_switch returns to it
    words[1] = nullptr;                       // and it has no caller
    registers.stack_pointer = words - 6;
    std::memset(registers.stack_pointer, 0, 6 * sizeof(void*));
}
void change(Registers& from, Registers& to) { mmb_switch(&from.stack_pointer, to.stack_pointer); }

#else

void start(Registers& registers, char* stack, std::size_t bytes, void (*run)()) {
    getcontext(&registers.context);
    registers.context.uc_stack.ss_sp = stack;
    registers.context.uc_stack.ss_size = bytes;
    registers.context.uc_link = nullptr;
    makecontext(&registers.context, run, 0);
}
void change(Registers& from, Registers& to) { swapcontext(&from.context, &to.context); }

#endif

#if defined(__SANITIZE_ADDRESS__)  // AddressSanitizer must know on which stack we are
void* of_scheduler;
const void* scheduler_stack;
std::size_t scheduler_bytes;
#endif

}  // namespace

void Fiber::prepare(void (*run)(), std::size_t offset) {
    if (!stack_) {
        void* memory = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        stack_ = static_cast<char*>(memory);
    }
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack_, STACK);  // an abandoned fiber has left its red zones
#endif
    top_ = stack_ + STACK - offset;
    start(registers_, stack_, STACK - offset, run);
}

void Fiber::enter() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&of_scheduler, stack_, STACK);
#endif
    change(scheduler, registers_);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(of_scheduler, nullptr, nullptr);
#endif
}

void Fiber::leave([[maybe_unused]] bool for_ever) {
#if defined(__SANITIZE_ADDRESS__)
    void* of_fiber = nullptr;
    __sanitizer_start_switch_fiber(for_ever ? nullptr : &of_fiber, scheduler_stack, scheduler_bytes);
#endif
    change(registers_, scheduler);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(of_fiber, &scheduler_stack, &scheduler_bytes);
#endif
}

void Fiber::entered() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_bytes);
#endif
}

}  // namespace emulator
