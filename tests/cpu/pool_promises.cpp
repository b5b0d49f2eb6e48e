// What pool.hpp promises, one promise for each name on the command line; a broken one says so and exits with 1.
#include "pool.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <mutex>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using mmb::Index;
using mmb::parallel_for;

static void must(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "not so: %s\n", what);
    std::exit(1);
}

static void wait_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(2)); }

static void each_once() {
    for (int threads = 1; threads <= 4; ++threads) {
        mmb::set_threads(threads);
        for (Index n : {0, 1, 2, 3, 1000}) {
            std::vector<std::atomic<int>> times(n);
            parallel_for(n, [&](Index i) { ++times[i]; });
            for (auto& t : times) must(t == 1, "every chunk runs once");
        }
    }
}

static void several_threads() {
    mmb::set_threads(3);
    std::set<std::thread::id> seen;
    std::mutex lock;
    for (int tries = 0; tries < 200 && seen.size() < 2; ++tries)
        parallel_for(8, [&](Index) {
            wait_a_little();  // so that a helper comes, also where other programs have the cores
            const std::lock_guard<std::mutex> guard(lock);
            seen.insert(std::this_thread::get_id());
        });
    must(seen.size() >= 2, "another thread helps");
    must(seen.size() <= 3, "not more threads than were asked for");
}

static void exceptions() {
    for (int threads : {1, 4}) {
        mmb::set_threads(threads);
        for (int tries = 0; tries < 50; ++tries) {
            bool caught = false;
            try {
                parallel_for(64, [](Index i) {
                    if (i % 7 == 3) throw std::runtime_error("chunk");
                });
            } catch (const std::runtime_error& error) {
                caught = std::strcmp(error.what(), "chunk") == 0;
            }
            must(caught, "an exception of a body comes out of the loop");
            std::atomic<int> count{0};
            parallel_for(64, [&](Index) { ++count; });
            must(count == 64, "the next loop runs as if nothing had been");
        }
    }
}

static void nested() {
    mmb::set_threads(4);
    std::atomic<int> count{0};
    std::atomic<bool> alone{true};
    parallel_for(8, [&](Index) {
        const auto self = std::this_thread::get_id();
        parallel_for(8, [&](Index) {
            if (std::this_thread::get_id() != self) alone = false;
            ++count;
        });
    });
    must(count == 64, "loops in a loop run whole");
    must(alone, "a loop in a loop stays on its thread");
}

static void nested_exception() {
    mmb::set_threads(2);
    bool caught = false;
    try {
        parallel_for(4, [](Index) { parallel_for(4, [](Index) { throw std::runtime_error("inner"); }); });
    } catch (const std::runtime_error&) {
        caught = true;
    }
    must(caught, "an exception passes both loops");
    std::set<std::thread::id> seen;
    std::mutex lock;
    for (int tries = 0; tries < 200 && seen.size() < 2; ++tries)
        parallel_for(8, [&](Index) {
            wait_a_little();
            const std::lock_guard<std::mutex> guard(lock);
            seen.insert(std::this_thread::get_id());
        });
    must(seen.size() == 2, "after it loops are shared again");
}

static void two_callers() {
    mmb::set_threads(3);
    std::atomic<Index> sum{0};
    const auto call = [&] {
        for (int tries = 0; tries < 300; ++tries) parallel_for(50, [&](Index i) { sum += i; });
    };
    std::thread other(call);
    call();
    other.join();
    must(sum == 2 * 300 * 49 * 50 / 2, "two threads with loops of their own get in each other's way nowhere");
}

static void fork_after_threads() {
    mmb::set_threads(4);
    parallel_for(100, [](Index) { wait_a_little(); });
    const pid_t child = fork();
    if (child == 0) {
        std::atomic<int> count{0};
        for (int tries = 0; tries < 20; ++tries) parallel_for(10, [&](Index) { wait_a_little(), ++count; });
        _exit(count == 200 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    must(WIFEXITED(status) && WEXITSTATUS(status) == 0, "a forked child computes");
    std::atomic<int> count{0};
    parallel_for(10, [&](Index) { ++count; });
    must(count == 10, "and its parent goes on");
}

int main(int, char** argv) {
    const struct {
        const char* name;
        void (*test)();
    } promises[] = {{"each_once", each_once},     {"several_threads", several_threads}, {"exceptions", exceptions},
                    {"nested", nested},           {"nested_exception", nested_exception}, {"two_callers", two_callers},
                    {"fork_after_threads", fork_after_threads}};
    for (const auto& promise : promises)
        if (std::strcmp(argv[1], promise.name) == 0) return promise.test(), 0;
    std::fprintf(stderr, "no such promise: %s\n", argv[1]);
    return 2;
}
