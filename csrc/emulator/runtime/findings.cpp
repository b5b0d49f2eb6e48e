#include "findings.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "scheduler.h"

namespace emulator {

const char* kernel_name = "";

namespace {

constexpr std::size_t MOST = 20;

struct Told {
    Finding finding;
    std::string kernel;
    long times = 1;
};
std::vector<Told> told;
std::string message;

bool is_same_line(Site a, Site b) {
    return a == b || (source_of(a).line == source_of(b).line && source_of(a).file == source_of(b).file);
}

bool is_same(const Finding& a, const Finding& b) {
    if (a.kind != b.kind || a.has_other != b.has_other) return false;
    if (!a.has_other) return is_same_line(a.at.site, b.at.site);
    return (is_same_line(a.at.site, b.at.site) && is_same_line(a.other.site, b.other.site)) ||
           (is_same_line(a.at.site, b.other.site) && is_same_line(a.other.site, b.at.site));
}

std::string triple(uint3 v) {
    return "[" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + "]";
}

std::string fields(const Spot& spot) {
    const Source& source = source_of(spot.site);
    std::string out = "\"file\": " + quoted(source.file) + ", \"line\": " + std::to_string(source.line);
    out += ", \"function\": " + quoted(source.function) + ", \"access\": " + quoted(spot.access);
    return out + ", \"block\": " + triple(spot.block) + ", \"thread\": " + triple(spot.thread);
}

std::string sentence(const Told& t) {
    const Finding& f = t.finding;
    std::string out = f.text;
    if (!f.mend.empty()) out += ". " + f.mend;
    return out;
}

std::string as_json(const Told& t) {
    const Finding& f = t.finding;
    std::string out = "{\"kind\": " + quoted(f.kind) + ", \"kernel\": " + quoted(t.kernel) + ", " + fields(f.at);
    out += ", \"space\": " + quoted(f.space) + ", \"array\": " + quoted(f.array) + ", \"size\": " + std::to_string(f.bytes);
    if (f.has_other) out += ", \"other\": {" + fields(f.other) + "}";
    out += ", \"times\": " + std::to_string(t.times) + ", \"message\": " + quoted(f.text);
    return out + ", \"mend\": " + quoted(f.mend) + "}";
}

// A crash that follows must not lose it.
void append_to_file(const Told& t) {
    const char* path = std::getenv("MMB_FINDINGS");
    if (!path || !*path) return;
    if (FILE* file = std::fopen(path, "a")) {
        std::fprintf(file, "%s\n", as_json(t).c_str());
        std::fclose(file);
    }
}

}  // namespace

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) < 0x20) {
            char code[8];
            std::snprintf(code, sizeof code, "\\u%04x", c);
            out += code;
        } else {
            out += c;
        }
    }
    return out + "\"";
}

std::string in_words(uint3 v) {
    return "(" + std::to_string(v.x) + "," + std::to_string(v.y) + "," + std::to_string(v.z) + ")";
}

Spot here(Site site, const char* access) {
    const Thread* t = running();
    return t ? Spot{site, access, t->context.thread, t->context.block} : Spot{site, access, {}, {}};
}

void report(Finding finding) {
    for (Told& t : told)
        if (is_same(t.finding, finding)) {
            ++t.times;
            return;
        }
    if (told.size() == MOST) return;
    told.push_back({std::move(finding), kernel_name, 1});
    if (told.size() == 1) message = sentence(told.back());
    append_to_file(told.back());
}

bool any_findings() { return !told.empty(); }

bool report_again(const char* kind, Site a, Site b) {
    for (Told& t : told) {
        const Finding& f = t.finding;
        if (f.kind != kind || f.at.site != a || f.other.site != b) continue;
        ++t.times;
        return true;
    }
    return told.size() == MOST;
}

bool is_found(const char* kind, Site site) {
    for (const Told& t : told)
        if (t.finding.kind == kind &&
            (is_same_line(t.finding.at.site, site) || (t.finding.has_other && is_same_line(t.finding.other.site, site))))
            return true;
    return false;
}

void fail(const char* kind, Place at, const char* format, ...) {
    char text[1024];
    va_list values;
    va_start(values, format);
    std::vsnprintf(text, sizeof text, format, values);
    va_end(values);
    Finding finding;
    finding.kind = kind;
    finding.at = here(site_of(at), "");
    const std::string place = at.file ? " at " + file_and_line(finding.at.site) : "";
    finding.text = std::string(text) + place + " [kernel " + kernel_name + ", block " + in_words(finding.at.block) +
                   ", thread " + in_words(finding.at.thread) + "]";
    fail(finding);
}

void refuse(const std::string& why) {
    Finding finding;
    finding.kind = "launch";
    finding.text = why;
    report(finding);
}

void forget_findings() {
    told.clear();
    message.clear();
}

const std::string& first_message() { return message; }

std::string findings_as_json() {
    std::string out = "[";
    for (const Told& t : told) out += (out.size() > 1 ? ", " : "") + as_json(t);
    return out + "]";
}

}  // namespace emulator
