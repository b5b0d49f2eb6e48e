#include "api.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "findings.h"
#include "kernel_table.hpp"
#include "launch.h"
#include "profile.h"
#include "regions.h"
#include "scheduler.h"

using namespace emulator;

namespace {

// A kernel's parameters in one piece of memory, as a GPU keeps them, which it may read as it likes (launch.h): clang
// reads an object among them by a call of memcpy, of which the checker hears.
class Parameters {
  public:
    Parameters(const mmb::Entry& entry, void* const* arguments) {
        size = rounded(sizeof(Head));
        for (int i = 0; i < entry.count; ++i) size += rounded(entry.parameters[i].size);
        start.reset(static_cast<char*>(std::aligned_alloc(ALIGNMENT, size)));
        char* to = start.get() + rounded(sizeof(Head));
        for (int i = 0; i < entry.count; ++i) {
            values.push_back(std::memcpy(to, arguments[i], entry.parameters[i].size));
            to += rounded(entry.parameters[i].size);
        }
        new (start.get()) Head{&entry, values.data()};
    }
    const void* memory() const { return start.get(); }
    std::size_t bytes() const { return size; }
    static void run_thread(const void* memory) {
        const auto* head = static_cast<const Head*>(memory);
        head->entry->invoke(head->entry->kernel, head->values);
    }

  private:
    struct Head {
        const mmb::Entry* entry;
        void* const* values;
    };
    struct Free {
        void operator()(char* p) const { std::free(p); }
    };
    static constexpr std::size_t ALIGNMENT = 64;  // a tensor map's
    static std::size_t rounded(std::size_t n) { return (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

    std::size_t size;
    std::unique_ptr<char, Free> start;
    std::vector<void*> values;
};

}  // namespace

int mmb_launch(const char* name, const unsigned grid[3], const unsigned block[3], size_t shared, void* const* arguments) {
    const mmb::Entry* entry = mmb::find(name);
    if (!entry) {
        constexpr int INVALID_DEVICE_FUNCTION = 98;
        forget_findings();
        refuse(std::string("no kernel of this name: ") + name);
        return INVALID_DEVICE_FUNCTION;
    }
    const Parameters parameters(*entry, arguments);
    return launch(entry->name, dim3(grid[0], grid[1], grid[2]), dim3(block[0], block[1], block[2]), shared, Parameters::run_thread,
                  parameters.memory(), parameters.bytes());
}

const char* mmb_error(void) { return first_message().c_str(); }

const char* mmb_findings(void) {
    static std::string text;
    text = findings_as_json();
    return text.c_str();
}

const char* mmb_kernels(void) {
    static std::string text;
    text.clear();
    for (const mmb::Listed* l = mmb::Listed::head(); l; l = l->next) {
        text += std::string(l->entry.name) + '\t';
        for (int i = 0; i < l->entry.count; ++i) {
            const mmb::Parameter& p = l->entry.parameters[i];
            if (i) text += ' ';
            text += p.read_only ? 'P' : static_cast<char>(p.kind);
            if (p.kind != mmb::Kind::pointer) text += std::to_string(p.size);
        }
        text += '\n';
    }
    return text.c_str();
}

int mmb_option(const char* name, long value) {
    const struct {
        const char* name;
        long* value;
    } known[] = {{"seed", &options.seed},       {"early", &options.early}, {"yields", &options.yields},
                 {"profile", &options.profile}, {"leaks", &options.leaks}};
    for (const auto& option : known)
        if (!std::strcmp(option.name, name)) {
            *option.value = value;
            return 0;
        }
    return 1;
}

#if defined(EMULATOR_CHECK)
void mmb_array(const void* start, size_t bytes, int flags, const char* name) {
    regions::add(start, bytes, name, Space::global, (flags & MMB_READ_ONLY) != 0, !(flags & MMB_UNWRITTEN));
    regions::remember_as_array(start);
}
void mmb_forget_arrays(void) { regions::forget_arrays(); }
void mmb_unwritten(const void* start, size_t bytes, unsigned long long value, size_t item_bytes) {
    regions::forget_written(start, bytes, value, item_bytes);
}
const char* mmb_profile(void) {
    static std::string text;
    text = profile::as_json();
    return text.c_str();
}
#else
void mmb_array(const void*, size_t, int, const char*) {}
void mmb_forget_arrays(void) {}
void mmb_unwritten(const void*, size_t, unsigned long long, size_t) {}
const char* mmb_profile(void) { return "[]"; }
#endif
