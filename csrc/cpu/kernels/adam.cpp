// Adam, one pass over a list of parameters (optim/adam.py):
//
//   m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) g²,   θ ← shrink · θ - lr/(1-β₁ᵗ) · m / (√(v/(1-β₂ᵗ)) + ε)
//
//   bytes  28 an element (θ, m, v read and written, g read): the memory's speed is the limit
#include "python/kernel_table.hpp"
#include "update.hpp"

namespace mmb {
namespace {

struct Options {  // of a parameter: its steps enter lr and the second moment's correction
    double lr_t, correction, beta1, beta2, eps, sign, pull, shrink;
    bool eps_inside;
};

template <class T>
void update(T* theta, const T* g, T* m, T* v, T* v_max, Index n, const Options& o) {
    const T lr = o.lr_t, correction = o.correction, eps = o.eps, sign = o.sign, pull = o.pull, shrink = o.shrink;
    const T beta1 = o.beta1, beta2 = o.beta2, rest1 = 1 - o.beta1, rest2 = 1 - o.beta2;
    each_vector<T>(n, [&](Index i, Index k) {
        const Vec<T> p = load(theta + i, k), d = slope<T>(load(g + i, k), p, sign, pull);
        const Vec<T> mean = beta1 * load(m + i, k) + rest1 * d;
        const Vec<T> square = beta2 * load(v + i, k) + rest2 * (d * d);
        store(m + i, mean, k);
        store(v + i, square, k);
        Vec<T> largest = square;
        if (v_max) {
            const Vec<T> old = load(v_max + i, k);
            largest = old > square || old != old ? old : square;  // NaN stays, as in NumPy
            store(v_max + i, largest, k);
        }
        const Vec<T> scaled = largest * correction;
        const Vec<T> below = o.eps_inside ? sqrt<T>(scaled + eps) : sqrt<T>(scaled) + eps;
        store(theta + i, shrink * p - lr * mean / below, k);
    });
}

template <class T>
void adam(const List<T>& theta, const List<const T>& g, const List<T>& m, const List<T>& v, const List<T>& v_max,
          const std::vector<double>& lr_t, const std::vector<double>& correction, double beta1, double beta2, double eps,
          double sign, double pull, double shrink, bool eps_inside) {
    each_stretch<T>(theta, g, {&m, &v}, {&v_max}, {&lr_t, &correction}, [&](std::size_t k, Index at, Index n) {
        const Options o{lr_t[k], correction[k], beta1, beta2, eps, sign, pull, shrink, eps_inside};
        update<T>(&theta[k][at], &g[k][at], &m[k][at], &v[k][at], from(v_max, k, at), n, o);
    });
}

}  // namespace

MMB_CPU_KERNEL("adam", adam<T>);

}  // namespace mmb
