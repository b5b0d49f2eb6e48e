#include "pool.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace mmb {
namespace {

thread_local bool inside = false;  // a loop within a loop is serial

struct Pool {
    std::mutex lock, one_loop;  // one_loop: held by the thread whose loop is shared out
    std::condition_variable work, left;
    const std::function<void(Index)>* body = nullptr;  // null: no help is wanted
    Index chunks = 0;
    std::atomic<Index> next{0};  // the first chunk that nobody took
    int helping = 0, started = 0;
    std::exception_ptr error;

    void take_chunks() {
        inside = true;
        try {
            for (Index i; (i = next.fetch_add(1, std::memory_order_relaxed)) < chunks;) (*body)(i);
        } catch (...) {
            next.store(chunks);  // the others need not go on
            const std::lock_guard<std::mutex> guard(lock);
            if (!error) error = std::current_exception();
        }
        inside = false;
    }

    void help() {  // the life of a helping thread
        std::unique_lock<std::mutex> guard(lock);
        for (;;) {
            work.wait(guard, [&] { return body && next.load() < chunks; });
            ++helping;
            guard.unlock();
            take_chunks();
            guard.lock();
            if (--helping == 0) left.notify_one();
        }
    }

    void start(int helpers) {  // with the lock
        try {
            for (; started < helpers; ++started) std::thread([this] { help(); }).detach();
        } catch (const std::system_error&) {  // the system gives no more threads: those that came will do
        }
    }

    void run(Index count, const std::function<void(Index)>& f, int helpers) {
        {
            const std::lock_guard<std::mutex> guard(lock);
            start(helpers);
            body = &f, chunks = count, error = nullptr;
            next.store(0);
        }
        for (int i = 0; i < helpers; ++i) work.notify_one();
        take_chunks();
        std::unique_lock<std::mutex> guard(lock);
        body = nullptr;  // who has not come yet need not come
        left.wait(guard, [&] { return helping == 0; });
        if (error) std::rethrow_exception(error);
    }
};

std::atomic<int> wanted{1};

// Never destroyed: its threads run until the process ends. A forked child has none of them, and gets
// a new pool.
Pool*& the_pool() {
    static Pool* pool = [] {
#if !defined(_WIN32)
        pthread_atfork(nullptr, nullptr, [] { the_pool() = new Pool, inside = false; });
#endif
        return new Pool;
    }();
    return pool;
}

}  // namespace

int threads() { return wanted.load(); }

void set_threads(int n) {
    expect(n >= 1, "at least one thread");
    wanted.store(n);
}

void parallel_for(Index chunks, const std::function<void(Index)>& body) {
    const int helpers = static_cast<int>(std::min<Index>(threads(), chunks)) - 1;
    if (helpers > 0 && !inside) {
        Pool& pool = *the_pool();
        if (const std::unique_lock<std::mutex> mine(pool.one_loop, std::try_to_lock); mine) {
            pool.run(chunks, body, helpers);
            return;
        }
    }
    for (Index i = 0; i < chunks; ++i) body(i);  // no help wanted, or another thread's loop has it
}

}  // namespace mmb
