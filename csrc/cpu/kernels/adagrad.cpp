// Adagrad, one pass over a list of parameters (optim/adagrad.py); d = ±g + pull · θ:
//
//   s ← s + d²,   θ ← θ - lrₜ · d / (√s + ε),   lrₜ = lr / (1 + (t - 1) κ) of each parameter
//
//   bytes  20 an element (θ, s read and written, g read): the memory's speed is the limit
#include "python/kernel_table.hpp"
#include "update.hpp"

namespace mmb {
namespace {

template <class T>
void update(T* theta, const T* g, T* s, Index n, T lr, T eps, T sign, T pull) {
    each_vector<T>(n, [&](Index i, Index k) {
        const Vec<T> p = load(theta + i, k), d = slope<T>(load(g + i, k), p, sign, pull);
        const Vec<T> sum = load(s + i, k) + d * d;
        store(s + i, sum, k);
        store(theta + i, p - lr * d / (sqrt<T>(sum) + eps), k);
    });
}

template <class T>
void adagrad(const List<T>& theta, const List<const T>& g, const List<T>& s, const std::vector<double>& lr_t, double eps,
             double sign, double pull) {
    each_stretch<T>(theta, g, {&s}, {}, {&lr_t}, [&](std::size_t k, Index at, Index n) {
        update<T>(&theta[k][at], &g[k][at], &s[k][at], n, lr_t[k], eps, sign, pull);
    });
}

}  // namespace

MMB_CPU_KERNEL("adagrad", adagrad<T>);

}  // namespace mmb
