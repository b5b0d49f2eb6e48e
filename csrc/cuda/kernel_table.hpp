// The kernels a module holds, by name: each file adds its own, bindings.cpp launches any of them.
#pragma once
#include <cstddef>
#include <type_traits>
#include <utility>

namespace mmb {

enum class Kind : char { pointer = 'p', integer = 'i', real = 'f', object = 'o' };

struct Parameter {
    Kind kind;
    bool read_only;  // a pointer to const
    std::size_t size;
    bool is_signed;  // of an integer
};

struct Entry {
    const char* name;
    void (*kernel)();  // on a GPU the host's stub, whose address cudaLaunchKernel takes
    void (*invoke)(void (*kernel)(), void* const* arguments);  // the emulator's call of one thread
    const Parameter* parameters;
    int count;
};

struct Listed {  // a list through static objects: whoever links a kernel file has its kernels
    Entry entry;
    const Listed* next;
    explicit Listed(const Entry& e) : entry(e), next(head()) { head() = this; }
    static const Listed*& head() {
        static const Listed* first = nullptr;
        return first;
    }
};

template <class T>
constexpr Parameter parameter() {
    using P = std::remove_pointer_t<T>;
    if (std::is_pointer<T>::value) return {Kind::pointer, std::is_const<P>::value, sizeof(T), false};
    if (std::is_integral<T>::value) return {Kind::integer, false, sizeof(T), std::is_signed<T>::value};
    if (std::is_floating_point<T>::value) return {Kind::real, false, sizeof(T), true};
    return {Kind::object, false, sizeof(T), false};
}

#if defined(__CUDACC__)
#define MMB_UNCHECKED
#else
#define MMB_UNCHECKED __attribute__((no_sanitize("thread")))  // not an access of the kernel
#endif

template <class... A>
struct Signature {
    static constexpr Parameter parameters[sizeof...(A) + 1] = {parameter<A>()..., parameter<int>()};
    template <std::size_t... I>
    MMB_UNCHECKED static void call(void (*kernel)(A...), void* const* arguments, std::index_sequence<I...>) {
        kernel(*static_cast<std::remove_const_t<A>*>(arguments[I])...);
    }
    MMB_UNCHECKED static void invoke(void (*kernel)(), void* const* arguments) {
        call(reinterpret_cast<void (*)(A...)>(kernel), arguments, std::index_sequence_for<A...>());
    }
};

template <class... A>
Entry entry(const char* name, void (*kernel)(A...)) {
#if defined(__CUDACC__)
    auto invoke = nullptr;
#else
    auto invoke = Signature<A...>::invoke;
#endif
    return {name, reinterpret_cast<void (*)()>(kernel), invoke, Signature<A...>::parameters,
            static_cast<int>(sizeof...(A))};
}

inline const Entry* find(const char* name) {
    for (const Listed* l = Listed::head(); l; l = l->next) {
        const char *a = l->entry.name, *b = name;
        while (*a && *a == *b) ++a, ++b;
        if (*a == *b) return &l->entry;
    }
    return nullptr;
}

}  // namespace mmb
