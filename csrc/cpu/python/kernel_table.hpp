// How a kernel file hands its functions to Python: MMB_CPU_KERNEL("adam", adam<T>) at its end lists
// adam<float> and adam<double>. Functions that share a name: the dtypes of a call choose. No list to
// keep elsewhere.
// kernel_table.cpp calls them; what they take and return: arguments.hpp.
#pragma once
#include <functional>
#include <tuple>

#include "arguments.hpp"

namespace mmb {

class Unlock {  // Python's lock is let go for the lifetime of this
  public:
    Unlock() : state(PyEval_SaveThread()) {}
    ~Unlock() { PyEval_RestoreThread(state); }
    Unlock(const Unlock&) = delete;

  private:
    PyThreadState* state;
};

struct Listed {  // a list through static objects: whoever links a kernel file has its kernels
    const char* name;
    int count;  // of arguments
    // the result; nothing if the arguments are not what this function takes
    Object (*call)(PyObject* const* arguments);
    // the call with its arguments read, to be made without Python, or nothing; null if it makes objects
    std::function<void()> (*bind)(PyObject* const* arguments);
    const Listed* next;
    template <class B>
    Listed(const char* n, B) : name(n), count(B::count), call(B::call), bind(B::bind), next(head()) {
        head() = this;
    }
    static const Listed*& head() {
        static const Listed* first = nullptr;
        return first;
    }
};

template <bool unlocks, auto f>
struct Bound;

template <bool unlocks, class R, class... A, R (*f)(A...)>
struct Bound<unlocks, f> {
    using Values = std::tuple<std::decay_t<A>...>;
    static constexpr int count = sizeof...(A);
    static Object call(PyObject* const* arguments) { return call(arguments, std::index_sequence_for<A...>()); }
    static std::function<void()> bound(PyObject* const* arguments) {
        Values values;
        if (!read_all(arguments, values, std::index_sequence_for<A...>())) return {};
        return [values] { std::apply(f, values); };
    }
    static constexpr std::function<void()> (*bind)(PyObject* const*) = unlocks ? bound : nullptr;

  private:
    template <std::size_t... I>
    static bool read_all(PyObject* const* arguments, Values& values, std::index_sequence<I...>) {
        return (read(arguments[I], std::get<I>(values)) && ...);
    }
    template <std::size_t... I>
    static Object call(PyObject* const* arguments, std::index_sequence<I...> all) {
        Values values;
        if (!read_all(arguments, values, all)) return {};
        if constexpr (unlocks) {
            static_assert(std::is_void<R>::value, "a kernel that runs without Python's lock makes no objects");
            const Unlock others_may_run;
            f(std::get<I>(values)...);
        } else {
            return f(std::get<I>(values)...);
        }
        return Object::none();
    }
};

template <template <class> class B>
struct ListedTwice {  // for float and for double
    Listed first, second;
    explicit ListedTwice(const char* name) : first(name, B<float>()), second(name, B<double>()) {}
};

}  // namespace mmb

#define MMB_JOIN_(a, b) a##b
#define MMB_JOIN(a, b) MMB_JOIN_(a, b)
#define MMB_LISTED(name, unlocks, ...)                                      \
    template <class T>                                                      \
    using MMB_JOIN(BoundOf, __LINE__) = ::mmb::Bound<unlocks, __VA_ARGS__>; \
    static const ::mmb::ListedTwice<MMB_JOIN(BoundOf, __LINE__)> MMB_JOIN(listed_, __LINE__)(name)
// T stands for float and for double. Python's lock is let go while a kernel computes. MMB_CPU_FUNCTION
// keeps it: for what makes objects of Python's, and lets go of the lock itself.
#define MMB_CPU_KERNEL(name, ...) MMB_LISTED(name, true, __VA_ARGS__)
#define MMB_CPU_FUNCTION(name, ...) MMB_LISTED(name, false, __VA_ARGS__)
