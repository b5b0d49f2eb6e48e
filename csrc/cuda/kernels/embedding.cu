// Rows of a table looked up, y[i] = table[index[i]], and the way back, which adds rows up:
// ∂L/∂table[v] = Σ of share[i] · g[i] over the places i that looked up v.
//
//   gather_rows   y (places, cols), table (vectors, cols), index (places) int64, each below `vectors`
//   sum_by_index  dtable (vectors, cols), g (places, cols); order: the places sorted by their index,
//                 starts (vectors + 1): where in `order` those of each vector begin; share or null
//   grid          a block of (columns, rows) threads, as many columns as a row has use for
//   bytes         gather 2 · places · cols · sizeof(T); sum (places + vectors) · cols · sizeof(T)
//
// The sum takes its terms in the order of the places, so that it has the same bits on every run; an
// atomicAdd per term would need no sorting, but adds in the order in which the blocks happen to come.
// A vector that is looked up n times costs n steps one after the other: fine for words, of which the
// commonest is some 5 % of a text. Not measured yet.
#include "storage.cuh"

template <class T>
__global__ void __launch_bounds__(256)
    gather_rows(T* __restrict__ y, const T* __restrict__ table, const int64_t* __restrict__ index, int64_t places,
                int64_t cols) {
    constexpr int N = PACK<T>;
    const int64_t place = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
    if (place >= places) return;
    T* to = y + place * cols;
    const T* from = table + index[place] * cols;
    const int64_t packs = is_aligned16(to) && is_aligned16(from) ? cols / N : 0;
    for (int64_t j = threadIdx.x; j < packs; j += blockDim.x)
        reinterpret_cast<Pack<T, N>*>(to)[j] = reinterpret_cast<const Pack<T, N>*>(from)[j];
    for (int64_t j = packs * N + threadIdx.x; j < cols; j += blockDim.x) to[j] = from[j];
}

template <class T>
__global__ void __launch_bounds__(256)
    sum_by_index(T* __restrict__ dtable, const T* __restrict__ g, const int64_t* __restrict__ order,
                 const int64_t* __restrict__ starts, const T* __restrict__ share, int64_t vectors, int64_t cols) {
    const int64_t v = static_cast<int64_t>(blockIdx.x) * blockDim.y + threadIdx.y;
    if (v >= vectors) return;
    const int64_t first = starts[v], after = starts[v + 1];
    for (int64_t j = threadIdx.x; j < cols; j += blockDim.x) {
        computed_t<T> sum = 0;
        for (int64_t k = first; k < after; ++k) {
            const int64_t place = order[k];
            const computed_t<T> term = widen(g[place * cols + j]);
            sum += share ? term * widen(share[place]) : term;
        }
        dtable[v * cols + j] = narrow<T>(sum);
    }
}

MMB_KERNEL_AS(gather_rows_f16, gather_rows<__half>);
MMB_KERNEL_AS(gather_rows_f32, gather_rows<float>);
MMB_KERNEL_AS(gather_rows_f64, gather_rows<double>);
MMB_KERNEL_AS(sum_by_index_f16, sum_by_index<__half>);
MMB_KERNEL_AS(sum_by_index_f32, sum_by_index<float>);
MMB_KERNEL_AS(sum_by_index_f64, sum_by_index<double>);
