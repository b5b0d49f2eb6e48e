// y = x̂ · weight + bias,  x̂ = (x - μ) / √(σ² + ε), with μ, σ² of each row.
//
//   layer_norm_rows        x, y (rows, cols); weight, bias (cols), either may be null
//   stats (3, rows)        what the way back needs of each row: a mean, what corrects it, 1 / √(σ² + ε)
//   grid, block            a team per row, see rows.cuh
//   bytes                  2 · rows · cols · sizeof(T): the row stays on the chip, the weights in L1
//
// The way back, with h = g · weight:
//
//   ∂L/∂x = (h - mean h - x̂ · mean (h x̂)) / √(σ² + ε),   ∂L/∂weight = Σ g x̂,   ∂L/∂bias = Σ g
//
//   layer_norm_backward    all three at once. The blocks stay and walk over the rows, each thread
//                          always at the same columns, so that its share of Σ g x̂ and Σ g is in its
//                          registers; at the end a block writes one row of partial sums, and
//                          sum_columns of reduction.cu adds up those of all blocks.
//   bytes                  3 · rows · cols · sizeof(T), and partial sums: 264 blocks · cols · 16, at
//                          8192 rows 4 % of that. PyTorch reads x and g twice: 5 passes, and gets
//                          37 % of an H100's bandwidth for 3 (Liger: 42 %). From there 85 % is 2.3 ×.
//   registers              2 packs of x, g, Σ g x̂, Σ g each: 64, so 32 warps on an SM; up to 1024
//                          columns a warp has a row for itself and 8 packs of each: no barriers.
//   layer_norm_backward_input, layer_norm_backward_weights   for rows that registers do not hold
//
// Repeated runs give the same bits: no atomics. Not measured yet.
#include "rows.cuh"

// The mean is corrected by the mean of what is left (Chan, Golub and LeVeque, 1983): at a mean of
// 10⁴ a float is off by up to 5 · 10⁻⁴, and x - mean would be.
template <class T, int K>
__global__ void __launch_bounds__(K == 1 ? 128 : 1024)
    layer_norm_rows(T* __restrict__ y, computed_t<T>* __restrict__ stats, const T* __restrict__ x,
                    const T* __restrict__ weight, const T* __restrict__ bias, computed_t<T> eps, int rows,
                    int cols, int team_size, int slots) {
    using V = computed_t<T>;
    MMB_DYNAMIC_SHARED(Slot<T>, more);
    const Team team(team_size);
    const bool live = team.row() < rows;  // the last block may have more teams than rows
    const size_t row = live ? team.row() : 0, start = row * cols;
    const Span span(team, live ? cols : 0, misalignment(x + start));
    const Row<T, K> values(x + start, span, 0, more, slots);

    V total = 0;
    values.each([&](int, V x) { total += x; });
    const V mean = team.sum(total) / cols;
    V left = 0, squares = 0;
    values.each([&](int j, V x) {
        const V d = j >= 0 && j < cols ? x - mean : V(0);
        left += d;
        squares += d * d;
    });
    team.sum(left, squares);
    const V correction = left / cols;
    const V variance = squares / cols - correction * correction;
    const V scale = V(1) / sqrt(variance + eps);
    values.write(
        y + start, [&](int, V x, V w, V b) { return (x - mean - correction) * scale * w + b; },
        Streamed<T>{weight, span, 1}, Streamed<T>{bias, span, 0});
    if (live && team.rank == 0) {
        stats[row] = mean;
        stats[rows + row] = correction;
        stats[2 * static_cast<size_t>(rows) + row] = scale;
    }
}

template <class V>
struct Normal {  // x̂ of one row
    V mean, correction, scale;

    __device__ __forceinline__ Normal(const V* stats, size_t rows, size_t row)
        : mean(stats[row]), correction(stats[rows + row]), scale(stats[2 * rows + row]) {}
    __device__ __forceinline__ V operator()(V x) const { return (x - mean - correction) * scale; }
};

// dx, or partial (2, gridDim.x, cols): ∂L/∂weight and ∂L/∂bias of a block, may be null. A row fits
// the K packs of its team; rows whose length is no multiple of a pack are read number by number.
template <class T, int K, int THREADS>
__global__ void __launch_bounds__(THREADS)
    layer_norm_backward(T* __restrict__ dx, computed_t<T>* __restrict__ partial, const T* __restrict__ g,
                        const T* __restrict__ x, const T* __restrict__ weight,
                        const computed_t<T>* __restrict__ stats, int rows, int cols, int team_size) {
    using V = computed_t<T>;
    constexpr int P = PACK<T>;
    MMB_DYNAMIC_SHARED(V, of_block);  // (2, cols), where a block has several teams
    const Team team(team_size);
    Values<T> dweight[K], dbias[K];
#pragma unroll
    for (int k = 0; k < K; ++k) {
#pragma unroll
        for (int q = 0; q < P; ++q) dweight[k].v[q] = dbias[k].v[q] = 0;
    }
    const int64_t step = static_cast<int64_t>(gridDim.x) * team.per_block();
    for (int64_t first = static_cast<int64_t>(blockIdx.x) * team.per_block(); first < rows; first += step) {
        const bool live = first + team.in_block() < rows;
        const size_t row = live ? first + team.in_block() : 0, start = row * cols;
        const Span span(team, live ? cols : 0, 0);
        const Normal<V> normal(stats, rows, row);
        const Row<T, K> values(x + start, span, normal.mean, nullptr, 0);
        const Row<T, K> gradients(g + start, span, 0, nullptr, 0);
#pragma unroll
        for (int k = 0; k < K; ++k) {
            if (!span.template reaches<T>(k)) continue;
#pragma unroll
            for (int q = 0; q < P; ++q) {
                dweight[k].v[q] += gradients.held(k).v[q] * normal(values.held(k).v[q]);
                dbias[k].v[q] += gradients.held(k).v[q];
            }
        }
        if (!dx) continue;
        const Streamed<T> weights{weight, span, 1};
        V h_sum = 0, along = 0;
        values.each(
            [&](int, V x, V g, V w) {
                h_sum += g * w;
                along += g * w * normal(x);
            },
            gradients, weights);
        team.sum(h_sum, along);
        const V h_mean = h_sum / cols, slope = along / cols;
        values.write(
            dx + start,
            [&](int, V x, V g, V w) { return (g * w - h_mean - normal(x) * slope) * normal.scale; }, gradients,
            weights);
    }
    if (!partial) return;
    const size_t all = static_cast<size_t>(gridDim.x) * cols;
    const int teams = team.per_block();
    for (int turn = 0; turn < teams; ++turn) {  // one team after the other: always the same order
        if (turn > 0) __syncthreads();
        if (turn != team.in_block()) continue;
#pragma unroll
        for (int k = 0; k < K; ++k) {
#pragma unroll
            for (int q = 0; q < P; ++q) {
                const int j = (k * team.size + team.rank) * P + q;
                if (j >= cols) continue;
                V w = dweight[k].v[q], b = dbias[k].v[q];
                if (turn > 0) w += of_block[j], b += of_block[cols + j];
                if (turn < teams - 1) {
                    of_block[j] = w;
                    of_block[cols + j] = b;
                } else {
                    partial[static_cast<size_t>(blockIdx.x) * cols + j] = w;
                    partial[all + static_cast<size_t>(blockIdx.x) * cols + j] = b;
                }
            }
        }
    }
}

template <class T, int K>
__global__ void __launch_bounds__(K == 1 ? 128 : 512)
    layer_norm_backward_input(T* __restrict__ dx, const T* __restrict__ g, const T* __restrict__ x,
                              const T* __restrict__ weight, const computed_t<T>* __restrict__ stats, int rows,
                              int cols, int team_size) {
    using V = computed_t<T>;
    const Team team(team_size);
    const bool live = team.row() < rows;
    const size_t row = live ? team.row() : 0, start = row * cols;
    const Span span(team, live ? cols : 0, misalignment(x + start));
    const Normal<V> normal(stats, rows, row);
    const Row<T, K> values(x + start, span, normal.mean, nullptr, 0);
    const Row<T, K> gradients(g + start, span, 0, nullptr, 0);
    const Streamed<T> weights{weight, span, 1};
    V h_sum = 0, along = 0;
    values.each(
        [&](int, V x, V g, V w) {
            h_sum += g * w;
            along += g * w * normal(x);
        },
        gradients, weights);
    team.sum(h_sum, along);
    const V h_mean = h_sum / cols, slope = along / cols;
    values.write(
        dx + start, [&](int, V x, V g, V w) { return (g * w - h_mean - normal(x) * slope) * normal.scale; },
        gradients, weights);
}

// partial (2, gridDim.y, cols): Σ g x̂ and Σ g of `chunk` rows; a thread per column, 8 in y.
template <class T>
__global__ void __launch_bounds__(256)
    layer_norm_backward_weights(computed_t<T>* __restrict__ partial, const T* __restrict__ g,
                                const T* __restrict__ x, const computed_t<T>* __restrict__ stats, int rows,
                                int cols, int chunk) {
    using V = computed_t<T>;
    __shared__ V sums[2][8][32];
    const int column = blockIdx.x * 32 + threadIdx.x;
    const int64_t begin = static_cast<int64_t>(blockIdx.y) * chunk;
    const int64_t end = min(begin + chunk, static_cast<int64_t>(rows));
    V dweight = 0, dbias = 0;
    if (column < cols) {
        for (int64_t row = begin + threadIdx.y; row < end; row += 8) {
            const Normal<V> normal(stats, rows, row);
            const V g_here = widen(g[row * cols + column]);
            dweight += g_here * normal(widen(x[row * cols + column]));
            dbias += g_here;
        }
    }
    sums[0][threadIdx.y][threadIdx.x] = dweight;
    sums[1][threadIdx.y][threadIdx.x] = dbias;
    __syncthreads();
    if (threadIdx.y > 1 || column >= cols) return;
    V total = 0;  // threads of y = 0 finish the weights, those of y = 1 the biases
    for (int part = 0; part < 8; ++part) total += sums[threadIdx.y][part][threadIdx.x];
    partial[(static_cast<size_t>(threadIdx.y) * gridDim.y + blockIdx.y) * cols + column] = total;
}

// short: one pack per thread; long: as many as 64 registers hold. launch/rows.py chooses.
MMB_KERNEL_AS(layer_norm_rows_short_f32, layer_norm_rows<float, 1>);
MMB_KERNEL_AS(layer_norm_rows_long_f32, layer_norm_rows<float, 6>);
MMB_KERNEL_AS(layer_norm_rows_short_f64, layer_norm_rows<double, 1>);
MMB_KERNEL_AS(layer_norm_rows_long_f64, layer_norm_rows<double, 4>);
MMB_KERNEL_AS(layer_norm_rows_short_f16, layer_norm_rows<__half, 1>);
MMB_KERNEL_AS(layer_norm_rows_long_f16, layer_norm_rows<__half, 2>);
// block: a block per row, or a warp with two packs a lane; warp: a warp per row, eight packs a lane
MMB_KERNEL_AS(layer_norm_backward_block_f32, layer_norm_backward<float, 4, 512>);
MMB_KERNEL_AS(layer_norm_backward_warp_f32, layer_norm_backward<float, 8, 256>);
MMB_KERNEL_AS(layer_norm_backward_block_f64, layer_norm_backward<double, 4, 512>);
MMB_KERNEL_AS(layer_norm_backward_warp_f64, layer_norm_backward<double, 8, 256>);
MMB_KERNEL_AS(layer_norm_backward_block_f16, layer_norm_backward<__half, 2, 512>);
MMB_KERNEL_AS(layer_norm_backward_warp_f16, layer_norm_backward<__half, 4, 256>);
MMB_KERNEL_AS(layer_norm_backward_input_short_f32, layer_norm_backward_input<float, 1>);
MMB_KERNEL_AS(layer_norm_backward_input_long_f32, layer_norm_backward_input<float, 4>);
MMB_KERNEL_AS(layer_norm_backward_input_short_f64, layer_norm_backward_input<double, 1>);
MMB_KERNEL_AS(layer_norm_backward_input_long_f64, layer_norm_backward_input<double, 4>);
MMB_KERNEL_AS(layer_norm_backward_input_short_f16, layer_norm_backward_input<__half, 1>);
MMB_KERNEL_AS(layer_norm_backward_input_long_f16, layer_norm_backward_input<__half, 2>);
MMB_KERNEL_AS(layer_norm_backward_weights_f32, layer_norm_backward_weights<float>);
MMB_KERNEL_AS(layer_norm_backward_weights_f64, layer_norm_backward_weights<double>);
MMB_KERNEL_AS(layer_norm_backward_weights_f16, layer_norm_backward_weights<__half>);
