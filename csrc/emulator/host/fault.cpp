// Touching memory that one may not: the processor faults, and here it becomes a sentence with a line.
//
//   the program, on device memory       told, and the program ends as it would with a GPU
//   the program, on managed memory that a kernel may still be writing     told, and it goes on
//   a kernel, anywhere outside          told, and the kernel ends with cudaErrorIllegalAddress
#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <ucontext.h>
#include <unistd.h>

#include "state.h"
#include "runtime/site.h"

namespace emulator {

static Place line_at(const void* pc) {
    const Source& source = source_of(site_of(static_cast<const char*>(pc) + 1));
    const bool is_library = source.file.rfind("/usr/", 0) == 0 || source.file.find("/emulator/host/") != std::string::npos;
    if (!source.line || is_library) return {};
    return {source.file.c_str(), source.line};
}

// The line of the program nearest to a fault: at it, or in a caller where the C library faulted.
static Place line_of_fault(const void* pc) {
    Dl_info own, there;
    if (!dladdr(reinterpret_cast<void*>(&line_of_fault), &own)) return {};
    if (dladdr(pc, &there) && there.dli_fbase == own.dli_fbase) {
        const Place place = line_at(pc);
        if (place.line) return place;
    }
    void* frames[32];
    const int count = backtrace(frames, 32);
    for (int i = 0; i < count; i++) {
        if (!dladdr(frames[i], &there) || there.dli_fbase != own.dli_fbase) continue;
        const Place place = line_at(static_cast<const char*>(frames[i]) - 1);  // the call, not its return
        if (place.line) return place;
    }
    return {};
}

static const char* verb(const void* context) {
#if defined(__x86_64__)
    return static_cast<const ucontext_t*>(context)->uc_mcontext.gregs[REG_ERR] & 2 ? "writes" : "reads";
#else
    (void)context;
    return "accesses";
#endif
}

static const void* program_counter(const void* context) {
    const auto& machine = static_cast<const ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
    return reinterpret_cast<const void*>(machine.gregs[REG_RIP]);
#elif defined(__aarch64__)
    return reinterpret_cast<const void*>(machine.pc);
#else
    return nullptr;
#endif
}

static std::vector<Note> still_running() {
    const Pending& pending = host().pending;
    if (!pending.place.line) return {};
    return {{pending.place, pending.kernel + " may still be running"}};
}

static void host_touched(uintptr_t address, const char* does, const void* pc) {
    Host& h = host();
    Allocation* a = h.memory.nearest(address);
    const Place place = line_of_fault(pc);
    if (!a) return tell("host-access", place, text("The host %s device memory.", does));
    const std::string what = text("Code that runs on the host %s %s.", does, where(*a).c_str());
    std::vector<Note> notes{{a->made, text("%s gave this memory here", a->function)}};
    if (a->freed.line) {
        notes.push_back({a->freed, "it was freed here"});
        return tell("use-after-free", place, what, notes);
    }
    if (a->space == MemoryKind::device) return tell("host-access", place, what, notes);
    for (const Note& note : still_running()) notes.push_back(note);
    tell(a->reached_by_copy ? "host-access-before-copy-ends" : "host-access-before-sync", place, what, notes);
}

static struct sigaction before;
static uintptr_t kernel_address;
static const char* kernel_verb;
static const void* kernel_pc;
static bool kernel_address_is_odd;  // the processor refused the access without saying the address

// The handler continues here, on the stack of the CUDA thread, with its own stack switched back.
[[noreturn]] static void end_kernel() {
    const Place place = line_of_fault(kernel_pc);
    if (kernel_address_is_odd) fail("misaligned", place, "A thread uses an address that is no multiple of the size it asks for, or no address at all");
    const std::string what = text("A thread %s %s", kernel_verb, describe(reinterpret_cast<void*>(kernel_address)).c_str());
    fail("illegal-address", place, "%s", what.c_str());
}

static void on_fault(int signal, siginfo_t* info, void* context) {
    const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
    Host& h = host();
    if (h.inside_kernel) {
#if defined(__x86_64__)
        auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
        kernel_address = address, kernel_verb = verb(context), kernel_pc = program_counter(context);
        kernel_address_is_odd = info->si_code == SI_KERNEL;
        registers[REG_RSP] = (registers[REG_RSP] - 512) / 16 * 16 - 8;  // below the red zone, as after a call
        registers[REG_RIP] = reinterpret_cast<greg_t>(&end_kernel);
        return;
#else
        tell("illegal-address", line_of_fault(program_counter(context)),
               text("A thread accesses %s.", describe(info->si_addr).c_str()));
#endif
    } else if (h.memory.holds(address)) {
        host_touched(address, verb(context), program_counter(context));
        Allocation* a = h.memory.find(address);
        if (a && a->space != MemoryKind::device && h.memory.managed_is_closed()) {
            h.memory.open_managed();
            return;  // and the access happens
        }
    } else if (const DeviceVariable* v = h.variable(info->si_addr); v && v->is_managed() && h.memory.managed_is_closed()) {
        tell("host-access-before-sync", line_of_fault(program_counter(context)),
             text("Code that runs on the host %s the variable %s.", verb(context), v->name.c_str()), still_running());
        h.memory.open_managed();
        return;
    }
    sigaction(signal, &before, nullptr);  // what would have happened without us happens
}

void install_fault_handler() {
    static bool done = false;
    if (done) return;
    done = true;
    static char stack[1 << 16];  // a fiber's own stack may be what overflowed
    stack_t other{};
    other.ss_sp = stack, other.ss_size = sizeof stack;
    sigaltstack(&other, nullptr);
    struct sigaction action{};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigaction(SIGSEGV, &action, &before);
    sigaction(SIGBUS, &action, nullptr);
}

}  // namespace emulator
