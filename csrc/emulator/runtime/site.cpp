#include "site.h"

#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <unordered_map>
#include <vector>

namespace emulator {
namespace {

struct Entry {
    const void* code = nullptr;
    Source source;
    bool known = false;
};
std::deque<Entry> entries(1);  // entries[0]: unknown
std::unordered_map<const void*, Site> of_code;
std::map<std::pair<const char*, int>, Site> of_place;

// Device functions of the emulator stand in the kernel; their caller is who is meant.
bool is_ours(const std::string& file) {
    return file.find("/emulator/include/") != std::string::npos ||
           file.find("kernel_table.hpp") != std::string::npos;
}

// addr2line -i prints the innermost inlined function first, and for each its name and file:line.
Source asked(const char* module, std::uintptr_t address) {
    char command[4500];
    std::snprintf(command, sizeof command, "addr2line -f -C -i -e '%s' 0x%zx 2>/dev/null", module, static_cast<std::size_t>(address));
    Source found;
    FILE* output = popen(command, "r");
    if (!output) return found;
    char function[4096], place[4096];
    bool done = false;
    while (std::fgets(function, sizeof function, output) && std::fgets(place, sizeof place, output)) {
        if (done) continue;  // read to the end, or addr2line meets a broken pipe
        std::string file = place;
        file.resize(file.find_first_of("\n"));
        const auto colon = file.rfind(':');
        const int line = colon == std::string::npos ? 0 : std::atoi(file.c_str() + colon + 1);
        file.resize(colon == std::string::npos ? file.size() : colon);
        std::string name = function;
        name.resize(name.find_first_of("\n"));
        if (file == "??" || line == 0) continue;
        found = {file, line, name};
        done = !is_ours(file);
    }
    pclose(output);
    return found;
}

}  // namespace

Site site_of(Place at) {
    if (!at.file) return 0;
    auto [found, is_new] = of_place.try_emplace({at.file, at.line}, entries.size());
    if (is_new) entries.push_back({nullptr, {at.file, at.line, at.function}, true});
    return found->second;
}

Site site_of(const void* code) {
    if (!code) return 0;
    auto [found, is_new] = of_code.try_emplace(code, entries.size());
    if (is_new) entries.push_back({code, {}, false});
    return found->second;
}

const Source& source_of(Site site) {
    Entry& entry = entries[site];
    if (!entry.known && entry.code) {
        Dl_info module;
        if (dladdr(entry.code, &module)) {
            const auto offset = reinterpret_cast<std::uintptr_t>(entry.code) - 1 - reinterpret_cast<std::uintptr_t>(module.dli_fbase);
            entry.source = asked(module.dli_fname, offset);
        }
    }
    entry.known = true;
    return entry.source;
}

std::string file_and_line(Site site) {
    const Source& source = source_of(site);
    if (source.file.empty()) return "an unknown line (is addr2line installed?)";
    return source.file.substr(source.file.rfind('/') + 1) + ":" + std::to_string(source.line);
}

}  // namespace emulator
