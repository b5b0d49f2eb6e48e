// What each access of a kernel means: is it inside of an array, aligned, written before, ordered with
// the accesses of other threads?
//
// g++ -fsanitize=thread puts a call before every load and store of the kernels; hooks.cpp receives
// them and asks here.
#include "checker.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <random>

#include "clocks.h"
#include "findings.h"
#include "hooks.h"
#include "profile.h"
#include "regions.h"
#include "scheduler.h"
#include "spinning.h"
#include "stuck.h"
#include "symbols.h"

#if defined(EMULATOR_CHECK)
namespace emulator {
namespace {

using std::uintptr_t;

struct Event {  // one access
    uintptr_t address;
    std::size_t bytes;
    Access kind;
    Site site;
    bool is_volatile;
    int who;        // thread of the block
    bool is_twin = false, is_copy = false;
};

// Memory that was read before it was written; told at the barrier, unless a race explains it.
struct Unwritten {
    Finding finding;
    Site site;
};
std::vector<Unwritten> unwritten;

// Two unordered writes: harmless if the second writes what is there. Known after it has happened.
struct SecondWrite {
    uintptr_t address;
    unsigned char before[16];
    std::size_t bytes;
    Finding finding;
};
std::optional<SecondWrite> second_write;

// Local variables start as bytes 0xfe (kernels/launch/compile.py). A float of that kind is so large
// that sums leave it as it is: where it reaches memory, a variable was never set.
constexpr unsigned char UNSET = 0xfe;
std::optional<Event> last_write;  // that may have stored one; known after it has happened

// An integer of that kind does not stay what it is: count[k]++ makes it 0xfefefefe + 1. A number near it
// may also come about by chance, so a line is told of only if most that it writes lies near.
constexpr int64_t NEAR = 1 << 16;
struct Written {  // by one line, in one launch
    uint64_t count = 0, near = 0;
    std::optional<Finding> finding;  // of the first that lay near
};
std::vector<Written> written_by;  // by site

struct Bytes {
    uintptr_t begin = 0, end = 0;
    bool hold(uintptr_t p) const { return p >= begin && p < end; }
};
Bytes parameters, dynamic;
bool is_derailed = false;  // a thread was stopped in this launch: what it did not write is no news
std::mt19937 dice;

const char* word(Access kind, bool is_volatile) {
    if (kind == Access::atomic) return "atomic";
    if (is_volatile) return kind == Access::read ? "volatile read" : "volatile write";
    return kind == Access::read ? "read" : "write";
}
const char* does(Access kind) {
    return kind == Access::read ? "reads it" : kind == Access::write ? "writes it" : "changes it atomically";
}

std::string inside(const Spot& spot) {
    return " [kernel " + std::string(kernel_name) + ", block " + in_words(spot.block) + ", thread " + in_words(spot.thread) + "]";
}

Spot spot_of(const Event& e) {
    const Context& c = thread(e.who).context;
    return {e.site, word(e.kind, e.is_volatile), c.thread, c.block};
}

Finding finding(const char* kind, const Event& e, const Region* region) {
    Finding f;
    f.kind = kind;
    f.at = spot_of(e);
    f.bytes = e.bytes;
    if (region) {
        f.space = region->is_shared() ? "shared" : "global";
        f.array = region->name;
    }
    return f;
}

std::string element(const Region& region, uintptr_t p) {
    return region.described() + ", byte " + std::to_string(p - region.begin) + " of " + std::to_string(region.bytes());
}

// ---- where a past access came from

uint3 index_in(dim3 size, uint64_t i) {
    return {static_cast<unsigned>(i % size.x), static_cast<unsigned>(i / size.x % size.y),
            static_cast<unsigned>(i / (static_cast<uint64_t>(size.x) * size.y))};
}
std::vector<uint3> blocks;  // of this launch, in the order in which they ran
uint32_t first_block = 1;

Spot spot_of(const Past& past, const Event& e) {
    Spot spot{past.site, word(past.kind, past.is_volatile), {}, {}};
    spot.thread = index_in(thread(e.who).context.block_size, past.who & ~TWIN);
    spot.block = past.block >= first_block && past.block - first_block < blocks.size() ? blocks[past.block - first_block] : uint3{};
    return spot;
}

// ---- races

bool is_awaited(const Past& past, const Event& e) {  // the write, in a loop that reads
    if (past.kind != Access::read || past.block != clocks::block() || e.kind == Access::read) return false;
    const Spin& spin = thread(past.who & ~TWIN).spin;
    const auto is_there = [&](const Spin::Read& read) { return read.site == past.site; };
    return spin.is_spinning && (spin.site == past.site || std::any_of(spin.reads.begin(), spin.reads.end(), is_there));
}

const char* how_to_mend(const Past& past, const Event& e, bool is_shared) {
    const int who = past.who & ~TWIN;
    if ((past.who & TWIN) || e.is_twin)
        return "An asynchronous operation has not been waited for: wait for it (cp.async: wait_group, "
               "__pipeline_wait_prior, cooperative_groups::wait; TMA: the mbarrier; wgmma: wait_group), then __syncthreads() if other threads are to see it";
    if (is_awaited(past, e))
        return "A loop waits for this write. Of an ordinary variable the compiler may read once what the loop reads, and then it waits "
               "for ever: put __syncthreads() in place of the loop; or make the variable volatile, or use atomics on both sides, with "
               "__threadfence_block() before the write and after the loop";
    if (past.block != clocks::block())
        return "Blocks run in any order and at the same time: let each write its own elements, or use atomics; what one block reads "
               "after an atomic of another needs __threadfence() before that atomic";
    if (past.kind == Access::atomic || e.kind == Access::atomic)
        return is_shared ? "An atomic is safe against atomics only: put __syncthreads() between it and the ordinary access"
                         : "An atomic is safe against atomics only: use one for both, or put a barrier between";
    if (source_of(past.site).line == source_of(e.site).line && past.kind != e.kind)
        return "Threads change one place at the same time: use an atomic (atomicAdd), or read from one array and write to another";
    if (who / 32 != e.who / 32)
        return is_shared ? "Put __syncthreads() between the two" : "Put __syncthreads() between the two, or give each thread its own element";
    return block_size() > 32 ? "Put __syncthreads() between the two; for lanes of one warp __syncwarp() is enough, but they do not run in step"
                             : "Put __syncwarp() between the two: lanes of a warp do not run in step";
}

Finding race(const Region& region, const Past& past, const Event& e) {
    const bool is_asynchronous = (past.who & TWIN) || e.is_twin;
    Finding f = finding(is_asynchronous ? "missing-wait" : "race", e, &region);
    f.other = spot_of(past, e);
    f.has_other = true;
    const bool is_other_block = past.block != clocks::block();
    const auto doer = [&](const Spot& spot, bool is_twin) {
        std::string who = std::string(is_twin ? "an asynchronous operation of thread " : "thread ") + in_words(spot.thread);
        return is_other_block ? who + " of block " + in_words(spot.block) : who;
    };
    f.text = std::string(is_asynchronous ? "missing wait on " : "data race on ") + element(region, e.address) + ": " +
             doer(f.at, e.is_twin) + " " + does(e.kind) + " at " + file_and_line(f.at.site) + ", " +
             doer(f.other, past.who & TWIN) + " " + does(past.kind) + " at " + file_and_line(f.other.site) +
             ", and nothing orders the two" + inside(f.at);
    f.mend = how_to_mend(past, e, region.is_shared());
    return f;
}

// Whether the two may touch one place without order: atomics always; volatile flags between warps, as
// a loop that waits for one does. Lanes of one warp that rely on volatile rely on running in step.
bool may_meet(const Past& past, const Event& e) {
    if (past.kind == Access::atomic && e.kind == Access::atomic) return true;
    const bool are_flags = (past.is_volatile || past.kind == Access::atomic) && (e.is_volatile || e.kind == Access::atomic);
    const bool is_same_warp = past.block == clocks::block() && (past.who & ~TWIN) / 32 == e.who / 32;
    return are_flags && !is_same_warp;
}

bool conflict(const Region& region, const Past& past, const Event& e, uint8_t bytes) {
    if (!past.block || !(past.bytes & bytes) || may_meet(past, e)) return false;
    return !clocks::knows(e.who, past, region.is_shared());
}

void report_race(const Region& region, const Past& past, const Event& e) {
    if (!clocks::is_of_this_launch(past.block)) {
        if (checker::race_of_streams)
            checker::race_of_streams(region.described(), e.site, e.kind != Access::read, past.site, past.kind != Access::read, past.block);
        return;
    }
    const char* kind = (past.who & TWIN) || e.is_twin ? "missing-wait" : "race";
    if (report_again(kind, e.site, past.site)) return;
    Finding f = race(region, past, e);
    const bool are_writes = past.kind == Access::write && e.kind == Access::write && !e.is_twin && !(past.who & TWIN);
    if (!are_writes || e.bytes > sizeof SecondWrite::before) return report(std::move(f));
    second_write.emplace();
    second_write->address = e.address;
    second_write->bytes = e.bytes;
    std::memcpy(second_write->before, reinterpret_cast<const void*>(e.address), e.bytes);
    second_write->finding = std::move(f);
}

bool is_unset(uintptr_t p, std::size_t bytes) {
    const auto* b = reinterpret_cast<const unsigned char*>(p);
    return std::all_of(b, b + bytes, [](unsigned char c) { return c == UNSET; });
}

Finding unset_variable(const Event& e, const std::string& how_it_shows) {
    const Region* region = regions::holding(e.address);
    Finding f = finding("unset-variable", e, region);
    f.text = "variable never set: thread " + in_words(f.at.thread) + " writes to " + (region ? element(*region, e.address) : "memory") +
             " at " + file_and_line(e.site) + " what comes from a local variable that has no value" + how_it_shows + inside(f.at);
    f.mend = "Give local variables a value where they are declared: float sum = 0; and each element of a local array";
    return f;
}

void note_if_near(const Event& e, std::size_t item) {
    if (e.site >= written_by.size()) written_by.resize(e.site + 1);
    Written& line = written_by[e.site];
    for (std::size_t b = 0; b < e.bytes; b += item) {
        int64_t value = 0, unset = 0;  // sign-extended
        std::memset(&unset, UNSET, sizeof unset);
        std::memcpy(&value, reinterpret_cast<const void*>(e.address + b), item);
        if (item == 4) value = static_cast<int32_t>(value), unset = static_cast<int32_t>(unset);
        const int64_t more = static_cast<int64_t>(static_cast<uint64_t>(value) - static_cast<uint64_t>(unset));
        ++line.count;
        if (more < -NEAR || more > NEAR) continue;
        ++line.near;
        if (!line.finding)
            line.finding = unset_variable(e, ": " + std::to_string(value) + " is " + std::to_string(more > 0 ? more : -more) + (more > 0 ? " more" : " less") +
                                                 " than what such variables hold here");
    }
}

void tell_near() {
    for (Written& line : written_by)
        if (line.finding && line.near >= (line.count < 16 ? line.count : line.count / 2)) report(std::move(*line.finding));
    written_by.clear();
}

void report_if_unset(const Event& e) {
    const std::size_t item = e.bytes == 8 ? 8 : 4;  // a float4 may lack one of its numbers
    bool any = false;
    for (std::size_t b = 0; b < e.bytes; b += item) any |= is_unset(e.address + b, item);
    if (!any) return note_if_near(e, item);
    if (!report_again("unset-variable", e.site, 0)) report(unset_variable(e, ""));
}

// Between two calls of the checker exactly one access happened.
void settle_last_write() {
    if (last_write) {
        const Event e = *last_write;
        last_write.reset();
        report_if_unset(e);
    }
    if (!second_write) return;
    if (std::memcmp(second_write->before, reinterpret_cast<const void*>(second_write->address), second_write->bytes))
        report(std::move(second_write->finding));
    second_write.reset();
}

void note_unwritten(const Region& region, const Event& e) {
    if (is_derailed) return;
    for (const Unwritten& u : unwritten)
        if (u.site == e.site) return;
    Finding f = finding("uninitialised", e, &region);
    f.text = "uninitialised memory: thread " + in_words(f.at.thread) + " reads " + element(region, e.address) + " at " +
             file_and_line(e.site) + ", and nobody has written it" + inside(f.at);
    f.mend = region.is_shared() ? "Shared memory starts with anything: write all that is read, the edges of the tile too"
                                : "cudaMalloc, and empty in Python, give memory that holds anything: fill it first (cudaMemset, cudaMemcpy; "
                                  "zeros), or write before reading";
    unwritten.push_back({std::move(f), e.site});
}

void keep(Past& place, const Event& e, uint8_t bytes) {
    place.block = clocks::block();
    place.time = e.is_twin ? clocks::twin_now(e.who) : clocks::now(e.who);
    place.site = e.site;
    place.who = static_cast<uint16_t>(e.who | (e.is_twin ? TWIN : 0));
    place.bytes = bytes;
    place.kind = e.kind;
    place.is_volatile = e.is_volatile;
}

void check_cells(Region& region, const Event& e) {
    const bool reads = e.kind == Access::read, needs_value = e.kind != Access::write;
    for (uintptr_t p = e.address & ~uintptr_t{3}; p < e.address + e.bytes; p += 4) {
        uint8_t bytes = 0;
        for (unsigned b = 0; b < 4; ++b)
            if (p + b >= e.address && p + b < e.address + e.bytes) bytes |= 1u << b;
        const std::size_t i = region.index(p);
        Cell& cell = region.cells[i];
        if (needs_value && !region.starts_written && (bytes & ~region.written[i])) note_unwritten(region, e);
        if (conflict(region, cell.write, e, bytes)) report_race(region, cell.write, e);
        if (reads) {
            // a read that everybody later than me will know of need not be kept
            const uint16_t me = static_cast<uint16_t>(e.who | (e.is_twin ? TWIN : 0));
            Past& first = cell.reads[0];
            const bool replace_first = !first.block || (first.block == clocks::block() && first.who == me) ||
                                       clocks::knows(e.who, first, region.is_shared());
            keep(replace_first ? first : cell.reads[1], e, bytes);
        } else {
            for (const Past& read : cell.reads)
                if (conflict(region, read, e, bytes)) report_race(region, read, e);
            keep(cell.write, e, bytes);
            region.written[i] |= bytes;
        }
    }
}

// ---- outside of every array

[[noreturn]] void stop(Finding f) {
    is_derailed = true;
    report(std::move(f));
    stop_thread();
}

[[noreturn]] void out_of_bounds(const Event& e) {
    const Region* near = regions::nearest(e.address);
    const auto* freed = regions::freed_at(e.address);
    Finding f = finding("out-of-bounds", e, freed ? nullptr : near);
    const std::string what = std::string(e.kind == Access::read ? "read" : e.kind == Access::write ? "write" : "atomic") + " of " +
                             std::to_string(e.bytes) + " bytes at " + file_and_line(e.site);
    if (e.address < 4096) {
        f = finding("null-pointer", e, nullptr);
        f.text = "null pointer: " + what + " through a pointer that is null";
        f.mend = "Was the array allocated, and its pointer handed to the kernel?";
    } else if (freed) {
        f.kind = "use-after-free";
        f.array = freed->name;
        f.text = "use after free: " + what + ", in array '" + freed->name + "', which has been freed";
        f.mend = "Free it after the last kernel that uses it";
    } else if (near) {
        char text[160];
        f.mend = "Compare the index with the size first: the last block may have more threads than there are elements. If it is compared, "
                 "is it the right index? Of a matrix: row * columns + column";
        if (e.address == near->end)
            std::snprintf(text, sizeof text, "just past the end of ");
        else if (e.address > near->end)
            std::snprintf(text, sizeof text, "%zu bytes past the end of ", static_cast<std::size_t>(e.address - near->end));
        else if (e.address >= near->begin)
            std::snprintf(text, sizeof text, "its last %zu bytes are past the end of ", static_cast<std::size_t>(e.address + e.bytes - near->end));
        else {
            std::snprintf(text, sizeof text, "%zu bytes before the start of ", static_cast<std::size_t>(near->begin - e.address));
            f.mend = "The index is negative: the first element has no neighbour before it";
        }
        f.text = "out of bounds: " + what + ", " + text + near->described() + " (" + std::to_string(near->bytes()) + " bytes)";
    } else {
        f.kind = "wild-pointer";
        f.text = "wild pointer: " + what + ", in memory that no array holds";
        f.mend = "Is it a pointer of the host, or was it computed from a wrong index? A kernel sees what cudaMalloc gave";
    }
    f.text += inside(f.at);
    stop(std::move(f));
}

[[noreturn]] void foreign_local(const Event& e, const Thread& owner) {
    Finding f = finding("local-of-another-thread", e, nullptr);
    f.space = "local";
    f.text = "local memory of another thread: thread " + in_words(f.at.thread) + " uses a variable of thread " +
             in_words(owner.context.thread) + " at " + file_and_line(e.site) + inside(f.at);
    f.mend = "Local variables are private on a GPU, even through a pointer: use shared memory";
    stop(std::move(f));
}

void misaligned(const Event& e, const Region& region) {
    if (report_again("misaligned", e.site, 0)) return;
    Finding f = finding("misaligned", e, &region);
    f.text = "misaligned: " + std::string(word(e.kind, false)) + " of " + std::to_string(e.bytes) + " bytes at " + file_and_line(e.site) +
             ", whose address is no multiple of " + std::to_string(e.bytes) + ", in " + element(region, e.address) + inside(f.at);
    f.mend = "A float4 may be read only where its address is a multiple of 16: handle the first elements one by one, or pad the rows";
    report(std::move(f));
}

void written_although_read_only(const Event& e, const Region& region) {
    if (report_again("read-only", e.site, 0)) return;
    Finding f = finding("read-only", e, &region);
    f.text = "write to read-only " + region.described() + ": thread " + in_words(f.at.thread) + " writes it at " + file_and_line(e.site) +
             ", but the kernel takes it as a pointer to const" + inside(f.at);
    f.mend = "Write to an output, or take the const away";
    report(std::move(f));
}

// nullptr: no memory that we watch, and nothing is wrong with that.
Region* region_of(const Event& e) {
    if (Region* region = regions::holding(e.address)) return region;
    if (regions::add_variable_at(e.address)) return regions::holding(e.address);
    bool is_writable = false;
    if (is_in_this_library(e.address, &is_writable) && !is_writable && e.kind == Access::read) return nullptr;  // a constant
    for (int i = 0; i < block_size(); ++i)
        if (thread(i).fiber.holds(reinterpret_cast<const void*>(e.address))) foreign_local(e, thread(i));
    out_of_bounds(e);
}

void check(const Event& e) {
    settle_last_write();
    Region* region = region_of(e);
    if (!region) return;
    if (e.address + e.bytes > region->end) out_of_bounds(e);
    const bool is_one_instruction = e.bytes == 2 || e.bytes == 4 || e.bytes == 8 || e.bytes == 16;
    if (is_one_instruction && !e.is_copy && e.address % e.bytes) misaligned(e, *region);
    if (region->is_read_only && e.kind != Access::read) written_although_read_only(e, *region);
    if (region->space == Space::shared && region->block != block_number()) {  // a new block: nothing is written yet
        std::memset(region->written.data(), 0, region->count());
        region->block = block_number();
    }
    check_cells(*region, e);
    const bool may_be_float = e.bytes == 4 || e.bytes == 8 || e.bytes == 16;
    if (e.kind == Access::write && may_be_float && !e.is_twin && !e.is_copy) last_write = e;
    if ((e.kind == Access::atomic || e.is_volatile) && !e.is_twin) clocks::met_at(reinterpret_cast<const void*>(e.address));
    if (options.profile && !e.is_twin) profile::count(e.who, e.address, e.bytes, e.site, region->is_shared());
}

bool is_ours(const void* p) {  // threadIdx and friends, the kernel's parameters
    const auto* byte = static_cast<const char*>(p);
    const auto* context = reinterpret_cast<const char*>(&mmb_thread);
    return (byte >= context && byte < context + sizeof mmb_thread) || parameters.hold(reinterpret_cast<uintptr_t>(p));
}

void tell_unwritten() {
    for (Unwritten& u : unwritten)
        if (!is_found("race", u.site) && !is_found("missing-wait", u.site)) report(std::move(u.finding));
    unwritten.clear();
}

}  // namespace

[[noreturn]] static void end_reader(Site site) {
    spinning::is_to_end = false;
    fail(endless_loop(site, "only reads again what it has read before",
                      "If it waits for another thread, put __syncthreads() in place of the loop; or let that thread change the place by "
                      "an atomic, and read it by one, or as volatile. If it is to end, make the problem smaller for the checker"));
}

void instrumented(const void* p, std::size_t bytes, Access kind, const void* code, bool is_volatile, bool is_copy) {
    Thread* t = running();
    if (!t || !bytes || t->fiber.holds(p) || is_ours(p)) return;
    if (options.yields && dice() % static_cast<unsigned long>(options.yields) == 0) {
        settle_last_write();
        yield();
    }
    if (is_volatile && kind == Access::read) {  // a loop may wait for what another thread writes
        const Source& source = source_of(site_of(code));
        atomic_turn({source.file.c_str(), source.line});
    }
    const Site site = site_of(code);
    settle_last_write();
    if (kind == Access::read) {
        spinning::reads(p, site, !is_volatile);
        if (spinning::is_to_end) end_reader(site);
    }
    check({reinterpret_cast<uintptr_t>(p), bytes, kind, site, is_volatile, t->index, false, is_copy});
    if (kind == Access::write) spinning::writes(p, bytes, true);
}

void access(const void* p, std::size_t bytes, Access kind, Place at) {
    Thread* t = running();
    if (!t || !bytes || t->fiber.holds(p) || is_ours(p)) return;
    const Site site = site_of(at);
    if (kind == Access::atomic) settle_last_write(), spinning::reads(p, site, false);
    check({reinterpret_cast<uintptr_t>(p), bytes, kind, site, false, t->index, false});
    if (kind == Access::atomic) spinning::writes(p, bytes, false);
}

void fence() {
    if (!running()) return;
    settle_last_write();
    clocks::fence();
}

void index_out_of_bounds(const char* file, int line, const std::string& index, const std::string& type) {
    Finding f;
    f.kind = "out-of-bounds";
    f.at = here(site_of(Place{file, line}), "index");
    f.text = "out of bounds: index " + index + " of an array of type " + type + " at " + file_and_line(f.at.site) + inside(f.at);
    f.mend = "Compare the index with the size first, or make the array larger";
    stop(std::move(f));
}

namespace checker {

void (*race_of_streams)(const std::string&, Site, bool, Site, bool, uint32_t) = nullptr;

void access(int owner, const void* p, std::size_t bytes, Access kind, Place at) {
    if (!bytes) return;
    spinning::forget();
    check({reinterpret_cast<uintptr_t>(p), bytes, kind, site_of(at), false, owner, true});
}

std::string place_of(const void* p) {
    const auto address = reinterpret_cast<uintptr_t>(p);
    const Region* region = regions::holding(address);
    return region ? element(*region, address) : "";
}

void launch_begins(const void* values, std::size_t bytes) {
    const auto begin = reinterpret_cast<uintptr_t>(values);
    parameters = {begin, begin + bytes};
    is_derailed = false;
    unwritten.clear();
    written_by.clear();
    second_write.reset();
    last_write.reset();
    blocks.clear();
    first_block = clocks::block() + 1;
    dice.seed(static_cast<unsigned>(options.seed * 1000 + options.yields));
    clocks::launch_begins();
    profile::launch_begins();
}

void launch_ends() {
    settle_last_write();
    tell_near();
    if (dynamic.begin) regions::remove(reinterpret_cast<const void*>(dynamic.begin));
    dynamic = {};
}

void block_begins() {
    clocks::block_begins();
    blocks.push_back(thread(0).context.block);
    if (dynamic.begin) regions::remove(reinterpret_cast<const void*>(dynamic.begin));
    dynamic = {};
    if (const std::size_t bytes = dynamic_shared_bytes()) {
        regions::add(dynamic_shared(), bytes, "dynamic shared memory", Space::dynamic_shared, false, false);
        dynamic.begin = reinterpret_cast<uintptr_t>(dynamic_shared());
        dynamic.end = dynamic.begin + bytes;
    }
}

void block_ends() {
    settle_last_write();
    tell_unwritten();
    profile::barrier_passed();
}

void barrier_passed() {
    settle_last_write();
    tell_unwritten();
    profile::barrier_passed();
    clocks::barrier_passed();
}

}  // namespace checker

}  // namespace emulator
#endif
