// A warp's request is one instruction executed by its lanes together. Lanes run one after another
// here, so requests are put together at the next barrier: the k-th execution of an instruction by
// each lane belongs to one request.
#include "profile.h"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <vector>

#include "findings.h"
#include "scheduler.h"

#if defined(EMULATOR_CHECK)
namespace emulator::profile {
namespace {

struct Record {
    std::uintptr_t address;
    uint32_t bytes;
    Site site;
    bool is_shared;
};
std::vector<std::vector<Record>> of_thread;

struct Totals {
    uint64_t requests = 0, lanes = 0, bytes = 0;
    uint64_t passes = 0, ideal_passes = 0;  // shared memory: times that the banks must be read
    uint64_t sectors = 0, ideal_sectors = 0;
};
std::map<std::pair<Site, bool>, Totals> totals;

// 32 banks of 4 bytes. 32 lanes go at once if each takes 4 bytes or less, 16 if 8, 8 if 16. Lanes that
// want the same word share it; two words of one bank take two passes.
uint64_t passes(const std::vector<Record>& lanes, std::size_t first, std::size_t last) {
    std::array<std::vector<std::uintptr_t>, 32> banks;
    std::size_t most = 1;
    for (std::size_t i = first; i < last; ++i)
        for (std::uintptr_t word = lanes[i].address / 4; word <= (lanes[i].address + lanes[i].bytes - 1) / 4; ++word) {
            auto& words = banks[word % 32];
            if (std::find(words.begin(), words.end(), word) == words.end()) words.push_back(word);
            most = std::max(most, words.size());
        }
    return most;
}

void add_shared(Totals& t, const std::vector<Record>& lanes) {
    const std::size_t at_once = lanes[0].bytes <= 4 ? 32 : lanes[0].bytes <= 8 ? 16 : 8;
    for (std::size_t i = 0; i < lanes.size(); i += at_once) {
        t.passes += passes(lanes, i, std::min(i + at_once, lanes.size()));
        ++t.ideal_passes;
    }
}

// Memory moves in sectors of 32 bytes.
void add_global(Totals& t, const std::vector<Record>& lanes) {
    std::vector<std::uintptr_t> sectors, touched;
    for (const Record& lane : lanes) {
        for (std::uintptr_t s = lane.address / 32; s <= (lane.address + lane.bytes - 1) / 32; ++s) sectors.push_back(s);
        for (std::uintptr_t b = lane.address; b < lane.address + lane.bytes; ++b) touched.push_back(b);
    }
    const auto distinct = [](std::vector<std::uintptr_t>& v) {
        std::sort(v.begin(), v.end());
        return static_cast<uint64_t>(std::unique(v.begin(), v.end()) - v.begin());
    };
    t.sectors += distinct(sectors);
    t.ideal_sectors += (distinct(touched) + 31) / 32;  // the fewest that hold as many bytes
}

void add_warp(int first, int last) {
    std::map<std::pair<Site, uint32_t>, std::vector<Record>> requests;
    for (int i = first; i < last; ++i) {
        std::unordered_map<Site, uint32_t> executions;
        for (const Record& r : of_thread[i]) requests[{r.site, executions[r.site]++}].push_back(r);
        of_thread[i].clear();
    }
    for (const auto& [key, lanes] : requests) {
        Totals& t = totals[{key.first, lanes[0].is_shared}];
        ++t.requests;
        t.lanes += lanes.size();
        for (const Record& lane : lanes) t.bytes += lane.bytes;
        if (lanes[0].is_shared)
            add_shared(t, lanes);
        else
            add_global(t, lanes);
    }
}

double ratio(uint64_t a, uint64_t b) { return b ? static_cast<double>(a) / static_cast<double>(b) : 0.0; }

}  // namespace

void launch_begins() {
    totals.clear();
    of_thread.resize(1024);
    for (auto& records : of_thread) records.clear();
}

void count(int thread, std::uintptr_t address, std::size_t bytes, Site site, bool is_shared) {
    of_thread[thread].push_back({address, static_cast<uint32_t>(bytes), site, is_shared});
}

void count_bulk(const std::vector<Piece>& pieces, Site site) {
    Totals& t = totals[{site, false}];
    std::vector<Record> records;
    for (const Piece& p : pieces) records.push_back({p.address, static_cast<uint32_t>(p.bytes), site, false}), t.bytes += p.bytes;
    ++t.requests, ++t.lanes;
    add_global(t, records);
}

void barrier_passed() {
    if (!options.profile) return;
    for (int first = 0; first < block_size(); first += 32) add_warp(first, std::min(first + 32, block_size()));
}

// Instructions of one line and space are one entry.
std::string as_json() {
    std::map<std::tuple<std::string, int, bool>, Totals> lines;
    std::map<std::tuple<std::string, int, bool>, std::string> functions;
    for (const auto& [key, t] : totals) {
        const Source& source = source_of(key.first);
        const auto line = std::make_tuple(source.file, source.line, key.second);
        Totals& sum = lines[line];
        functions[line] = source.function;
        sum.requests += t.requests, sum.lanes += t.lanes, sum.bytes += t.bytes;
        sum.passes += t.passes, sum.ideal_passes += t.ideal_passes;
        sum.sectors += t.sectors, sum.ideal_sectors += t.ideal_sectors;
    }
    std::string out = "[";
    for (const auto& [line, t] : lines) {
        const auto& [file, number, is_shared] = line;
        char numbers[400];
        if (is_shared)
            std::snprintf(numbers, sizeof numbers, "\"passes\": %llu, \"ideal\": %llu, \"times_ideal\": %.4f",
                          static_cast<unsigned long long>(t.passes), static_cast<unsigned long long>(t.ideal_passes), ratio(t.passes, t.ideal_passes));
        else
            std::snprintf(numbers, sizeof numbers, "\"sectors\": %llu, \"ideal\": %llu, \"times_ideal\": %.4f, \"sectors_per_request\": %.4f",
                          static_cast<unsigned long long>(t.sectors), static_cast<unsigned long long>(t.ideal_sectors),
                          ratio(t.sectors, t.ideal_sectors), ratio(t.sectors, t.requests));
        out += (out.size() > 1 ? ", " : "") + std::string("{\"file\": ") + quoted(file) + ", \"line\": " + std::to_string(number) +
               ", \"function\": " + quoted(functions[line]) + ", \"space\": " + (is_shared ? "\"shared\"" : "\"global\"") +
               ", \"requests\": " + std::to_string(t.requests) + ", \"lanes_per_request\": " + std::to_string(ratio(t.lanes, t.requests)) +
               ", \"bytes\": " + std::to_string(t.bytes) + ", " + numbers + "}";
    }
    return out + "]";
}

}  // namespace emulator::profile
#endif
