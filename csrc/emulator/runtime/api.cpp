#include "api.h"

#include <cstring>
#include <string>

#include "findings.h"
#include "hooks.h"
#include "kernel_table.hpp"
#include "launch.h"
#include "profile.h"
#include "regions.h"
#include "scheduler.h"

using namespace emulator;

int mmb_launch(const char* name, const unsigned grid[3], const unsigned block[3], size_t shared, void* const* arguments) {
    const mmb::Entry* entry = mmb::find(name);
    if (!entry) {
        constexpr int INVALID_DEVICE_FUNCTION = 98;
        forget_findings();
        refuse(std::string("no kernel of this name: ") + name);
        return INVALID_DEVICE_FUNCTION;
    }
    const struct Call {
        const mmb::Entry* entry;
        void* const* arguments;
    } call{entry, arguments};
    const auto run = [](const void* c) {
        const auto* call = static_cast<const Call*>(c);
        arguments_of_launch = {call->arguments, call->entry->count};
        call->entry->invoke(call->entry->kernel, call->arguments);
    };
    return launch(entry->name, dim3(grid[0], grid[1], grid[2]), dim3(block[0], block[1], block[2]), shared, run, &call, sizeof call);
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
