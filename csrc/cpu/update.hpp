// One step of an optimizer over all parameters of a group, for the kernels that differ in its formula.
//
// The elements of all parameters stand in one row, and a chunk is a stretch of it: 200 small arrays
// are shared among threads as one large one is, and a few that are tiny stay on one thread. An element
// meets the same operations wherever a chunk begins.
#pragma once
#include <algorithm>
#include <initializer_list>

#include "pool.hpp"
#include "simd.hpp"

namespace mmb {

constexpr Index update_chunk = 32768;  // elements: 0.5 MB of four arrays of float32

// body(k, start, count) for stretches that cover every element of every parameter k, on all threads.
// An optional list of states is empty where the optimizer does without. Raises: std::invalid_argument.
template <class T, class F>
void each_stretch(const List<T>& theta, const List<const T>& g, std::initializer_list<const List<T>*> states,
                  std::initializer_list<const List<T>*> optional, std::initializer_list<const std::vector<double>*> numbers,
                  const F& body) {
    const std::size_t count = theta.size();
    bool fits = g.size() == count;
    for (const List<T>* s : states) fits = fits && s->size() == count;
    for (const List<T>* s : optional) fits = fits && (s->empty() || s->size() == count);
    for (const std::vector<double>* x : numbers) fits = fits && x->size() == count;
    expect(fits, "as many gradients, states and numbers as parameters");
    std::vector<Index> ends(count);  // of the parameters, in the row of all elements
    Index total = 0;
    for (std::size_t k = 0; k < count; ++k) {
        const Index n = theta[k].size;
        fits = fits && g[k].size == n;
        for (const List<T>* s : states) fits = fits && (*s)[k].size == n;
        for (const List<T>* s : optional) fits = fits && (s->empty() || (*s)[k].size == n);
        ends[k] = total += n;
    }
    expect(fits, "a gradient and states of the parameter's size");
    parallel_for((total + update_chunk - 1) / update_chunk, [&](Index chunk) {
        Index at = chunk * update_chunk;
        const Index last = std::min(at + update_chunk, total);
        for (std::size_t k = std::upper_bound(ends.begin(), ends.end(), at) - ends.begin(); at < last; ++k) {
            const Index stop = std::min(ends[k], last);
            if (stop > at) body(k, at - (ends[k] - theta[k].size), stop - at);
            at = stop;
        }
    });
}

// Where an optional state of parameter k goes on; null if the optimizer does without.
template <class T>
T* from(const List<T>& state, std::size_t k, Index start) {
    return state.empty() ? nullptr : &state[k][start];
}

// g, or -g, and pull · θ: weight decay as a part of the gradient. Without decay a θ that is infinite
// is not looked at.
template <class T>
inline Vec<T> slope(const Vec<T>& g, const Vec<T>& theta, T sign, T pull) {
    return pull == 0 ? sign * g : sign * g + pull * theta;
}

}  // namespace mmb
