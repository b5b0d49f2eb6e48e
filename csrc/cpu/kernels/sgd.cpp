// SGD, one pass over a list of parameters (optim/sgd.py):
//
//   θ ← θ - step · d                            without momentum; d = ±g + pull · θ
//   m ← keep · m + take · d,  θ ← θ - step · m  with it; Nesterov: θ ← θ - step · (d + ahead · m)
//
//   keep, take  of each parameter: m = d at the first step of PyTorch's form of momentum
//   bytes       12 an element, 20 with momentum: the memory's speed is the limit
#include "python/kernel_table.hpp"
#include "update.hpp"

namespace mmb {
namespace {

template <class T>
void plain(T* theta, const T* g, Index n, T step, T sign, T pull) {
    each_vector<T>(n, [&](Index i, Index k) {
        const Vec<T> p = load(theta + i, k);
        store(theta + i, p - step * slope<T>(load(g + i, k), p, sign, pull), k);
    });
}

template <class T>
void with_momentum(T* theta, const T* g, T* m, Index n, T keep, T take, T step, T ahead, T sign, T pull) {
    each_vector<T>(n, [&](Index i, Index k) {
        const Vec<T> p = load(theta + i, k), d = slope<T>(load(g + i, k), p, sign, pull);
        const Vec<T> mean = keep * load(m + i, k) + take * d;
        store(m + i, mean, k);
        store(theta + i, p - step * (ahead == 0 ? mean : d + ahead * mean), k);
    });
}

template <class T>
void sgd(const List<T>& theta, const List<const T>& g, double step, double sign, double pull) {
    each_stretch<T>(theta, g, {}, {}, {}, [&](std::size_t k, Index at, Index n) {
        plain<T>(&theta[k][at], &g[k][at], n, step, sign, pull);
    });
}

template <class T>
void sgd_momentum(const List<T>& theta, const List<const T>& g, const List<T>& m, const std::vector<double>& keep,
                  const std::vector<double>& take, double step, double ahead, double sign, double pull) {
    each_stretch<T>(theta, g, {&m}, {}, {&keep, &take}, [&](std::size_t k, Index at, Index n) {
        with_momentum<T>(&theta[k][at], &g[k][at], &m[k][at], n, keep[k], take[k], step, ahead, sign, pull);
    });
}

}  // namespace

MMB_CPU_KERNEL("sgd", sgd<T>);
MMB_CPU_KERNEL("sgd_momentum", sgd_momentum<T>);

}  // namespace mmb
