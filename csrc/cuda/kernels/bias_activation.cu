// The way back of y = activation(z), z = x Wᵀ + bias (epilogue.cuh), as far as it is elementwise:
//
//   dz = activation'(z) g,   dbias = Σ dz over the rows,   g = ∂L/∂y
//
//   dz, g, saved   (rows, cols), contiguous; saved is y of a ReLU, which has z's sign, and z of a GELU
//   dbias          (cols), or null: not wanted
//   parts          (gridDim.y, cols): where the rows are shared out among several blocks, the sum of
//                  each; matmul_add_splits adds them. null where gridDim.y is 1
//   grid           (⌈cols / (32 packs)⌉, parts of `share` rows each); block (32, 8)
//   bytes          3 · rows · cols · sizeof(T): one reading of g and saved, one writing of dz
//
// Two passes in one: a sum of its own would read dz once more, a quarter of all. A thread has a pack
// of columns and every eighth row; the eight sums of a column are added at the end, always in the same
// order, and so are the parts: no atomics, the same bits in every run. Not measured yet.
#include "elementwise.cuh"

constexpr int LANES = 32, TURNS = 8;  // threads along a row, and rows at a time

template <class T, class F>
__global__ void __launch_bounds__(LANES* TURNS)
    bias_activation_gradients(T* dz, T* dbias, computed_t<T>* parts, const T* g, const T* saved, int64_t rows,
                              int64_t cols, int64_t share) {
    using S = computed_t<T>;
    constexpr int N = PACK<T>;
    __shared__ S sums[TURNS][LANES * N];
    const int lane = threadIdx.x, turn = threadIdx.y;
    const int64_t col0 = static_cast<int64_t>(blockIdx.x) * LANES * N;
    const int64_t row0 = blockIdx.y * share, after = min(rows, row0 + share);
    const bool packs = is_aligned16(dz) && is_aligned16(g) && is_aligned16(saved) && cols % N == 0;
    // the columns of a thread lie side by side in a pack, else those of neighbouring threads do
    const auto column = [&](int lane, int k) { return col0 + (packs ? lane * N + k : k * LANES + lane); };
    const auto gradient = [](S g, S saved, S& sum) {
        const S slope = F::slope(g, saved);
        sum += slope;
        return narrow<T>(slope);
    };
    const auto of_packs = [&](const Pack<T, N> g, const Pack<T, N> saved, S(&sum)[N]) {  // by value: a load each
        Pack<T, N> out;
#pragma unroll
        for (int k = 0; k < N; ++k) out.v[k] = gradient(widen(g.v[k]), widen(saved.v[k]), sum[k]);
        return out;
    };

    S sum[N] = {};
    if (packs) {
        if (const int64_t col = column(lane, 0); col < cols)
#pragma unroll 1  // two rows at a time would take more registers than sm_75 has for 4 blocks
            for (int64_t row = row0 + turn; row < after; row += TURNS) {
                const int64_t p = row * cols + col;
                store_whole(reinterpret_cast<Pack<T, N>*>(dz + p),
                            of_packs(*reinterpret_cast<const Pack<T, N>*>(g + p),
                                     *reinterpret_cast<const Pack<T, N>*>(saved + p), sum));
            }
    } else {
        for (int64_t row = row0 + turn; row < after; row += TURNS) {
            const int64_t i = row * cols;
#pragma unroll
            for (int k = 0; k < N; ++k)
                if (const int64_t c = column(lane, k); c < cols)
                    dz[i + c] = gradient(widen(g[i + c]), widen(saved[i + c]), sum[k]);
        }
    }
    if (dbias == nullptr) return;

#pragma unroll
    for (int k = 0; k < N; ++k) sums[turn][k * LANES + lane] = sum[k];
    __syncthreads();
    for (int i = turn * LANES + lane; i < LANES * N; i += TURNS * LANES) {
        const int64_t col = column(i % LANES, i / LANES);
        if (col >= cols) continue;
        S total = 0;
#pragma unroll
        for (int t = 0; t < TURNS; ++t) total += sums[t][i];
        if (gridDim.y == 1) dbias[col] = narrow<T>(total);
        else parts[blockIdx.y * cols + col] = total;
    }
}

MMB_KERNEL_AS(relu_gradients_f32, bias_activation_gradients<float, Relu>);
MMB_KERNEL_AS(relu_gradients_f64, bias_activation_gradients<double, Relu>);
MMB_KERNEL_AS(relu_gradients_f16, bias_activation_gradients<__half, Relu>);
MMB_KERNEL_AS(gelu_gradients_f32, bias_activation_gradients<float, Gelu>);
MMB_KERNEL_AS(gelu_gradients_f64, bias_activation_gradients<double, Gelu>);
MMB_KERNEL_AS(gelu_gradients_f16, bias_activation_gradients<__half, Gelu>);
MMB_KERNEL_AS(gelu_tanh_gradients_f32, bias_activation_gradients<float, GeluTanh>);
MMB_KERNEL_AS(gelu_tanh_gradients_f64, bias_activation_gradients<double, GeluTanh>);
MMB_KERNEL_AS(gelu_tanh_gradients_f16, bias_activation_gradients<__half, GeluTanh>);
