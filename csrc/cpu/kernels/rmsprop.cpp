// RMSprop, one pass over a list of parameters (optim/rmsprop.py); d = ±g + pull · θ:
//
//   v ← α v + (1 - α) d²,   s = √v + ε,   θ ← θ - lr · d / s
//   centered: m ← α m + (1 - α) d,  s = √(v - m²) + ε     momentum μ: b ← μ b + d / s,  θ ← θ - lr · b
//
//   bytes  20 an element, 8 more for each of b and m: the memory's speed is the limit
#include "python/kernel_table.hpp"
#include "update.hpp"

namespace mmb {
namespace {

struct Options {
    double lr, alpha, eps, momentum, sign, pull;
};

template <class T>
void update(T* theta, const T* g, T* v, T* m, T* b, Index n, const Options& o) {
    const T lr = o.lr, alpha = o.alpha, rest = 1 - o.alpha, eps = o.eps, momentum = o.momentum;
    const T sign = o.sign, pull = o.pull;
    each_vector<T>(n, [&](Index i, Index k) {
        const Vec<T> p = load(theta + i, k), d = slope<T>(load(g + i, k), p, sign, pull);
        const Vec<T> square = alpha * load(v + i, k) + rest * (d * d);
        store(v + i, square, k);
        Vec<T> variance = square;
        if (m) {
            const Vec<T> mean = alpha * load(m + i, k) + rest * d;
            store(m + i, mean, k);
            variance = square - rounded<T>(mean * mean);  // as NumPy: 0 for α = 0, never below
        }
        Vec<T> move = d / (sqrt<T>(variance) + eps);
        if (b) {
            move = momentum * load(b + i, k) + move;
            store(b + i, move, k);
        }
        store(theta + i, p - lr * move, k);
    });
}

template <class T>
void rmsprop(const List<T>& theta, const List<const T>& g, const List<T>& v, const List<T>& m, const List<T>& b, double lr,
             double alpha, double eps, double momentum, double sign, double pull) {
    const Options o{lr, alpha, eps, momentum, sign, pull};
    each_stretch<T>(theta, g, {&v}, {&m, &b}, {}, [&](std::size_t k, Index at, Index n) {
        update<T>(&theta[k][at], &g[k][at], &v[k][at], from(m, k, at), from(b, k, at), n, o);
    });
}

}  // namespace

MMB_CPU_KERNEL("rmsprop", rmsprop<T>);

}  // namespace mmb
