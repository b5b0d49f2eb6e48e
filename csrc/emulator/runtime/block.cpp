// One block: its threads run in turn until each waits; then who may go on is decided.
#include <algorithm>
#include <chrono>
#include <deque>
#include <random>
#include <vector>

#include "block.h"
#include "checker.h"
#include "findings.h"
#include "scheduler.h"
#include "stuck.h"

namespace emulator {

extern "C" __attribute__((visibility("hidden"))) Context mmb_thread;
Context mmb_thread;
Options options;

namespace {

std::deque<Thread> threads;  // a deque: a Thread stays where it is when more come
int count = 0;
Thread* current = nullptr;
void (*body)(const void*);
const void* argument;
bool is_failed = false, is_derailed = false;  // derailed: a thread was stopped by a finding
uint64_t number = 0, move_count = 0;
long rounds_of_waiting = 0;  // in which all that ran was loops of atomics
std::mt19937 shuffler;

}  // namespace

// The list of a base class, which the objects of all files join before main.
struct AllBlockEvents {
    static BlockEvents*& first() {
        static BlockEvents* head = nullptr;
        return head;
    }
    template <class F>
    static void each(F f) {
        for (BlockEvents* e = first(); e; e = e->next_) f(*e);
    }
    static bool stalled() {
        for (BlockEvents* e = first(); e; e = e->next_)
            if (e->stalled()) return ++move_count, true;
        return false;
    }
    static void join(BlockEvents* e) {
        e->next_ = first();
        first() = e;
    }
};
std::string what_it_lacks(const Thread& waiting) {
    std::string all;
    AllBlockEvents::each([&](BlockEvents& e) { all += e.lacks(waiting.index); });
    return all;
}
BlockEvents::BlockEvents() { AllBlockEvents::join(this); }

Thread* running() { return current; }
Thread& self() { return *current; }
Thread& thread(int index) { return threads[index]; }
int block_size() { return count; }
uint64_t moves() { return move_count; }
uint64_t block_number() { return number; }

namespace {

void run_thread() {
    Fiber::entered();
    body(argument);
    current->state = State::gone;
    current->spin = {};
    rounds_of_waiting = 0;
    current->fiber.leave(true);
}

void run(Thread& t) {
    current = &t;
    mmb_thread = t.context;
    t.fiber.enter();
    current = nullptr;
    move_count += !t.spin.is_spinning;
}

void stop(Finding finding) {
    report(std::move(finding));
    is_failed = true;
}

void reduce() {
    int any = 0, all = 1, sum = 0;
    for (int i = 0; i < count; ++i)
        if (threads[i].state == State::at_barrier) {
            any |= threads[i].value;
            all &= threads[i].value;
            sum += threads[i].value;
        }
    for (int i = 0; i < count; ++i) {
        Thread& t = threads[i];
        if (t.state != State::at_barrier) continue;
        t.reduced = t.reduce == Reduce::any ? any : t.reduce == Reduce::all ? all : sum;
        t.state = State::ready;
    }
}

// All threads that still live are at a barrier.
void pass_barrier(int waiting) {
    const Thread* first = nullptr;
    for (int i = 0; i < count; ++i) {
        const Thread& t = threads[i];
        if (t.state != State::at_barrier) continue;
        if (!first) first = &t;
        if (t.at.line != first->at.line || t.reduce != first->reduce) return stop(diverged(*first, t));
    }
    int stopped = 0;
    for (int i = 0; i < count; ++i) stopped += threads[i].is_stopped;
    if (waiting + stopped != count) return stop(exited(*first, waiting));
    checker::barrier_passed();
    rounds_of_waiting = 0;
    reduce();
}

bool wake() {
    bool any = false;
    for (int i = 0; i < count; ++i) {
        Thread& t = threads[i];
        const bool may_go_on = t.state == State::waiting    ? t.may_go_on(t.condition)
                               : t.state == State::spinning ? t.spin.moves != move_count
                                                            : false;
        if (!may_go_on) continue;
        t.state = State::ready;
        any = true;
    }
    return any;
}

void prepare(dim3 grid, dim3 block, uint64_t which) {
    for (int i = 0; i < count; ++i) {
        Thread& t = threads[i];
        t.index = i;
        t.state = State::ready;
        t.is_stopped = false;
        t.spin = {};
        t.atomics = 0;
        t.context.block_size = block;
        t.context.grid_size = grid;
        t.context.lane = i % 32;
        const unsigned u = static_cast<unsigned>(i);
        t.context.thread = {u % block.x, u / block.x % block.y, u / (block.x * block.y)};
        t.context.block = {static_cast<unsigned>(which % grid.x), static_cast<unsigned>(which / grid.x % grid.y),
                           static_cast<unsigned>(which / (static_cast<uint64_t>(grid.x) * grid.y))};
        t.fiber.prepare(run_thread, static_cast<std::size_t>(i % 61) * 320);
    }
}

struct Stopped {};  // a finding of the scheduler itself, or of what it asked

void run_to_end(std::vector<int>& order) {
    while (!is_failed) {
        if (options.seed > 1) std::shuffle(order.begin(), order.end(), shuffler);
        bool ran = false;
        for (const int i : order)
            if (threads[i].state == State::ready && !is_failed) {
                ran = true;
                run(threads[i]);
            }
        if (is_failed) break;
        int alive = 0, at_barrier = 0;
        for (int i = 0; i < count; ++i) {
            alive += threads[i].state != State::gone;
            at_barrier += threads[i].state == State::at_barrier;
        }
        if (!alive) break;
        if (at_barrier == alive)
            pass_barrier(at_barrier);
        else if (!wake() && !ran && !gather_active_lanes() && !AllBlockEvents::stalled()) {
            if (is_derailed) break;  // they wait for the thread that was stopped
            stop(any_spins() ? spun_for_ever() : deadlocked());
        }
    }
}

long ready() { return std::count_if(threads.begin(), threads.begin() + count, [](const Thread& t) { return t.state == State::ready; }); }

}  // namespace

bool run_block(dim3 grid, dim3 block, uint64_t which, void (*kernel)(const void*), const void* values) {
    count = static_cast<int>(block.x * block.y * block.z);
    while (static_cast<int>(threads.size()) < count) threads.emplace_back();
    body = kernel;
    argument = values;
    is_failed = is_derailed = false;
    rounds_of_waiting = 0;
    ++number;
    prepare(grid, block, which);
    prepare_warps(count);
    checker::block_begins();
    AllBlockEvents::each([](BlockEvents& e) { e.begin(); });

    std::vector<int> order(count);
    for (int i = 0; i < count; ++i) order[i] = options.seed == 1 ? count - 1 - i : i;
    if (options.seed > 1) shuffler.seed(static_cast<unsigned>(options.seed + which));
    try {
        run_to_end(order);
        if (!is_failed && !is_derailed) AllBlockEvents::each([](BlockEvents& e) { e.end(); });
    } catch (const Stopped&) {
    }
    checker::block_ends();
    return !is_failed;
}

void begin_launch() { number = 0; }

void fail(Finding finding) {
    stop(std::move(finding));
    if (!current) throw Stopped{};
    current->state = State::gone;
    current->fiber.leave(true);  // the other threads of the block are abandoned where they wait
    __builtin_unreachable();
}

void stop_thread() {
    is_derailed = true;
    current->is_stopped = true;
    current->spin = {};
    current->state = State::gone;
    current->fiber.leave(true);
    __builtin_unreachable();
}

void pause(State state, Place at) {
    if (state == State::ready || state == State::spinning)
        ++spinning::steps;
    else
        spinning::forget();  // it meets others
    current->at = at;
    current->state = state;
    current->fiber.leave(false);
}

int block_barrier(Reduce kind, int value, Place at) {
    current->reduce = kind;
    current->value = value;
    pause(State::at_barrier, at);
    return current->reduced;
}

void wait_until(bool (*met)(void*), void* condition, const char* what, Place at) {
    current->may_go_on = met;
    current->condition = condition;
    current->waits_for = what;
    pause(State::waiting, at);
}

void yield() { pause(State::ready, current->at); }
void sleep() { yield(); }

void atomic_turn(Place at) {
    constexpr unsigned TURN = 256;
    if (++current->atomics % TURN) return;
    constexpr long PATIENCE = 20000;  // 5 million atomics of each thread, and nobody got anywhere
    static uint64_t news = 0;
    if (news != spinning::news) {  // the checker saw that somebody got somewhere
        news = spinning::news;
        rounds_of_waiting = 0;
    }
    if (++rounds_of_waiting > PATIENCE * (spinning::looks ? ready() : count))
        fail("livelock", at,
             "livelock: a loop of atomics waits for what nobody does; if it waits for another block, that block runs "
             "only after this one (the emulator has no grid-wide waits)");
    yield();
}

uint64_t clock() {
    spinning::forget();
    return static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

}  // namespace emulator
