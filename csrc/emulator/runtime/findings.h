// What was found wrong in a launch: collected, told once per pair of lines, as text and as JSON.
#pragma once
#include <string>

#include "emulator/runtime.h"
#include "site.h"

namespace emulator {

struct Spot {  // who did what, where
    Site site = 0;
    std::string access;  // "read", "write", "atomic", "barrier"
    uint3 thread{}, block{};
};

struct Finding {
    std::string kind;  // "race", "out-of-bounds": docs/emulator.md has the list
    Spot at, other;    // `other` only if has_other
    bool has_other = false;
    std::string space, array;  // "shared" and the name of the array, where there is one
    std::size_t bytes = 0;     // of the access
    std::string text;          // what happened, in a sentence
    std::string mend;          // what to do about it
};

Spot here(Site site, const char* access);  // the running thread
std::string in_words(uint3 index);         // "(32,0,0)"

void report(Finding finding);  // the kernel goes on
bool report_again(const char* kind, Site a, Site b);  // true if it is known, and then it is counted
bool any_findings();
bool is_found(const char* kind, Site site);  // as either of its places

// From a thread of a kernel only:
[[noreturn]] void fail(Finding finding);  // the launch ends
[[noreturn]] void stop_thread();          // the thread ends, the others go on without it
void refuse(const std::string& why);         // the launch cannot begin

void forget_findings();
const std::string& first_message();
std::string findings_as_json();
std::string quoted(const std::string& text);  // as JSON

extern const char* kernel_name;  // of the launch that runs, or ran last

}  // namespace emulator
