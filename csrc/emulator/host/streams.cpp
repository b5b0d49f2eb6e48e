// Streams and events: which operation of the device comes before which.
//
// Operations run here in the order of the calls. On a GPU those of two streams run side by side unless
// something orders them: so each is given a time in its stream, and each stream, each event and the
// host know up to which time they have heard of every stream. With the checker a kernel or copy that
// touches what another touched, of which its stream has not heard, is a race between streams.
#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <vector>

#include "checked.h"
#include "runtime/findings.h"

namespace emulator {

using Times = std::map<cudaStream_t, uint64_t>;

static void learn(Times& mine, const Times& other) {
    for (const auto& [stream, time] : other)
        if (uint64_t& known = mine[stream]; known < time) known = time;
}

struct Operation {
    uint32_t first;  // of its blocks, as the checker numbers them
    cudaStream_t stream;
    uint64_t time;
    std::string what;  // "cudaMemcpyAsync", or a kernel
    Place place;
};
static std::vector<Operation> operations;
static std::map<cudaStream_t, Times> of_stream;
static Times of_host, of_current;
static std::set<cudaStream_t> non_blocking;  // the default stream does not wait for these, nor they for it

// cudaStreamLegacy is the default stream.
static cudaStream_t legacy(cudaStream_t s) { return reinterpret_cast<uintptr_t>(s) == 1 ? nullptr : s; }

// What comes before the next operation of a stream.
static Times known_in(cudaStream_t s) {
    Times& mine = of_stream[legacy(s)];
    learn(mine, of_host);
    if (legacy(s) && !non_blocking.count(s)) learn(mine, of_stream[nullptr]);
    if (!legacy(s))
        for (const auto& [other, times] : of_stream)
            if (!non_blocking.count(other)) learn(mine, times);
    return mine;
}

void order_is_known(cudaStream_t s) { learn(of_host, known_in(s)); }
void order_is_known() {
    for (const auto& [stream, times] : of_stream) learn(of_host, times);
}

uint32_t order_begins(cudaStream_t stream, const std::string& what, Place place) {
    if (!checked::looks) return 0;
    checked::know_variables();
    const cudaStream_t s = legacy(stream);
    known_in(s);
    const uint64_t time = ++of_stream[s][s];
    of_current = of_stream[s];
    const uint32_t first = checked::next_block();
    operations.push_back({first, s, time, what, place});
    return first;
}

#if defined(EMULATOR_CHECK)
static const bool hooked = [] {
    clocks::came_before = came_before;
    checker::race_of_streams = [](const std::string& element, Site now, bool now_writes, Site before, bool before_writes, uint32_t block) {
        const Source &here = source_of(now), &there = source_of(before);
        tell_race_of_streams(element, {here.file.c_str(), here.line}, now_writes, {there.file.c_str(), there.line}, before_writes, block);
    };
    return true;
}();
#endif

static const Operation* operation_of(uint32_t block) {
    auto after = std::upper_bound(operations.begin(), operations.end(), block,
                                  [](uint32_t b, const Operation& o) { return b < o.first; });
    return after == operations.begin() ? nullptr : &*std::prev(after);
}

bool came_before(uint32_t block) {
    const Operation* then = operation_of(block);
    if (!then) return true;
    const auto known = of_current.find(then->stream);
    return known != of_current.end() && then->time <= known->second;
}

void tell_race_of_streams(const std::string& element, Place now, bool now_writes, Place before, bool before_writes, uint32_t block) {
    const Operation *one = operation_of(block), *other = &operations.back();
    static std::set<std::pair<int, int>> told;  // by the lines of the calls
    if (!one || !told.insert({one->place.line, other->place.line}).second) return;
    const auto does = [](bool writes) { return writes ? "writes" : "reads"; };
    std::vector<Note> notes{{one->place, one->what + " was called here, in another stream"}};
    if (now.line != other->place.line) notes.push_back({now, other->what + " " + does(now_writes) + " it here"});
    if (before.line != one->place.line) notes.push_back({before, one->what + " " + does(before_writes) + " it here"});
    tell("stream-race", other->place,
         text("%s %s %s, and %s in another stream %s it, and nothing orders the two.", other->what.c_str(), does(now_writes),
              element.c_str(), one->what.c_str(), does(before_writes)),
         notes);
}

static std::set<const void*> streams;
struct Clock {
    bool recorded = false, waited_for = true;
    std::chrono::steady_clock::time_point time;
    bool timing = true;
    Place place;
    Times reached;  // what comes before it
};
static std::map<cudaEvent_t, Clock> events;

bool is_stream(cudaStream_t s) { return reinterpret_cast<uintptr_t>(s) <= 2 || streams.count(s); }
cudaError_t bad_stream(const char* function, Place place) {
    return failed(cudaErrorInvalidResourceHandle, "invalid-handle", place, text("%s got a stream that was not created, or is destroyed.", function));
}
static cudaError_t bad_event(const char* function, Place place) {
    return failed(cudaErrorInvalidResourceHandle, "invalid-handle", place, text("%s got an event that was not created, or is destroyed.", function));
}
// The program waited for one stream or event. For all else that the emulator watches, all is done then.
static cudaError_t waited() {
    synchronized();
    for (auto& e : events) e.second.waited_for = true;
    if (host().sticky) host().last = host().sticky;
    return host().sticky;
}
cudaError_t wait_for_all() {
    order_is_known();
    return waited();
}

}  // namespace emulator

using emulator::failed;
using emulator::host;
using emulator::text;

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
    char* handle = new char[16];
    emulator::streams.insert(handle);
    *stream = reinterpret_cast<cudaStream_t>(handle);
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
    cudaStreamCreate(stream);
    if (flags & cudaStreamNonBlocking) emulator::non_blocking.insert(*stream);
    return cudaSuccess;
}
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) { return cudaStreamCreateWithFlags(stream, flags); }
cudaError_t cudaStreamDestroy(cudaStream_t s, const char* file_, int line_) {
    if (!emulator::streams.erase(s)) return emulator::bad_stream("cudaStreamDestroy", MMB_HERE);
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t s, const char* file_, int line_) {
    if (!emulator::is_stream(s)) return emulator::bad_stream("cudaStreamSynchronize", MMB_HERE);
    emulator::order_is_known(s);
    return emulator::waited();
}
cudaError_t cudaStreamQuery(cudaStream_t s, const char* file_, int line_) { return cudaStreamSynchronize(s, file_, line_); }
cudaError_t cudaStreamWaitEvent(cudaStream_t s, cudaEvent_t event, unsigned, const char* file_, int line_) {
    if (!emulator::is_stream(s)) return emulator::bad_stream("cudaStreamWaitEvent", MMB_HERE);
    if (!emulator::events.count(event)) return emulator::bad_event("cudaStreamWaitEvent", MMB_HERE);
    emulator::learn(emulator::of_stream[emulator::legacy(s)], emulator::events[event].reached);
    return cudaSuccess;
}
cudaError_t cudaStreamAddCallback(cudaStream_t s, cudaStreamCallback_t callback, void* data, unsigned, const char* file_, int line_) {
    if (!emulator::is_stream(s)) return emulator::bad_stream("cudaStreamAddCallback", MMB_HERE);
    callback(s, host().sticky, data);
    return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t s, cudaHostFn_t callback, void* data, const char* file_, int line_) {
    if (!emulator::is_stream(s)) return emulator::bad_stream("cudaLaunchHostFunc", MMB_HERE);
    callback(data);
    return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
    *event = reinterpret_cast<cudaEvent_t>(new char[16]);
    emulator::events[*event].timing = !(flags & cudaEventDisableTiming);
    return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t event, const char* file_, int line_) {
    if (!emulator::events.erase(event)) return emulator::bad_event("cudaEventDestroy", MMB_HERE);
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t s, const char* file_, int line_) {
    auto found = emulator::events.find(event);
    if (found == emulator::events.end()) return emulator::bad_event("cudaEventRecord", MMB_HERE);
    if (!emulator::is_stream(s)) return emulator::bad_stream("cudaEventRecord", MMB_HERE);
    auto& e = found->second;
    e.reached = emulator::known_in(s);
    e.recorded = true, e.waited_for = !host().pending.any, e.place = MMB_HERE, e.time = std::chrono::steady_clock::now();
    return host().sticky;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event, const char* file_, int line_) {
    if (!emulator::events.count(event)) return emulator::bad_event("cudaEventSynchronize", MMB_HERE);
    emulator::learn(emulator::of_host, emulator::events[event].reached);
    return emulator::waited();
}
cudaError_t cudaEventQuery(cudaEvent_t event, const char* file_, int line_) { return cudaEventSynchronize(event, file_, line_); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t stop, const char* file_, int line_) {
    auto a = emulator::events.find(start), b = emulator::events.find(stop);
    if (a == emulator::events.end() || b == emulator::events.end()) return emulator::bad_event("cudaEventElapsedTime", MMB_HERE);
    for (auto& e : {a, b})
        if (!e->second.recorded || !e->second.timing)
            return failed(cudaErrorInvalidResourceHandle, "invalid-handle", MMB_HERE,
                          e->second.timing ? "cudaEventElapsedTime: an event was never recorded."
                                           : "cudaEventElapsedTime: an event was created with cudaEventDisableTiming.");
    if (!b->second.waited_for && host().pending.any)
        return failed(cudaErrorNotReady, "event-not-finished", MMB_HERE,
                      "cudaEventElapsedTime: nobody waited for the second event, so the device may not have reached it.",
                      {{b->second.place, "it was recorded here"}});
    *milliseconds = std::chrono::duration<float, std::milli>(b->second.time - a->second.time).count();
    if (!host().said_time) {
        host().said_time = true;
        emulator::tell("emulated-time", MMB_HERE, "This is the time the emulator took on the CPU. It says nothing about a GPU.");
    }
    return cudaSuccess;
}
