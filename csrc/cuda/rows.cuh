// Rows of a matrix: each is shared by a team of threads, which keeps it on the chip while it is needed.
//
// A row is moved in packs of 16 bytes, the most that a thread loads at once. Pack number
// k · team + rank belongs to one thread, which keeps its packs
//
//   k < K           in registers
//   k < K + slots   in shared memory, in slots of its own: no barrier, and no bank conflict, as
//                   neighbours lie 16 bytes apart
//   the others      nowhere: they are read again, from L2 if they were read a moment ago
//
// so that every length is served by one kernel, and a row that fits is read from DRAM once.
//
// A row may start anywhere. Packs lie at multiples of 16 bytes, so that the first and the last may
// stick out of the row: `shift` is by how many numbers the first does. What sticks out is `fill`.
#pragma once
#include "reduce.cuh"
#include "storage.cuh"

// The threads that share a row: 1, 2, 4, ... or 32 neighbours in a warp, or the whole block.
struct Team {
    int size, rank;

    __device__ __forceinline__ explicit Team(int size)
        : size(size), rank(size <= 32 ? threadIdx.x & (size - 1) : threadIdx.x) {}

    __device__ __forceinline__ int in_block() const { return threadIdx.x / size; }  // which one
    __device__ __forceinline__ int per_block() const { return blockDim.x / size; }

    // The row of this team, if the grid has a team for each row.
    __device__ __forceinline__ size_t row() const {
        return static_cast<size_t>(blockIdx.x) * per_block() + in_block();
    }

    template <class T>
    __device__ __forceinline__ T sum(T v) const {
        if (size > 32) return block_sum(v);
        for (int lane = size / 2; lane > 0; lane /= 2) v += __shfl_xor_sync(WARP, v, lane);
        return v;
    }
    // Two sums at the price of one: they share the barriers.
    template <class T>
    __device__ __forceinline__ void sum(T& a, T& b) const {
        for (int lane = (size < 32 ? size : 32) / 2; lane > 0; lane /= 2) {
            a += __shfl_xor_sync(WARP, a, lane);
            b += __shfl_xor_sync(WARP, b, lane);
        }
        if (size <= 32) return;
        __shared__ T partial[2][32];
        const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
        __syncthreads();  // `partial` may still be read from the last call
        if (lane == 0) partial[0][warp] = a, partial[1][warp] = b;
        __syncthreads();
        const bool there = lane < blockDim.x / 32;
        a = warp_sum(there ? partial[0][lane] : T(0));
        b = warp_sum(there ? partial[1][lane] : T(0));
    }
    template <class T>
    __device__ __forceinline__ T max(T v) const {
        if (size > 32) return block_max(v);
        for (int lane = size / 2; lane > 0; lane /= 2) {
            v = larger(v, __shfl_xor_sync(WARP, v, lane));
        }
        return v;
    }
};

// How many numbers lie between the last multiple of 16 bytes and x.
template <class T>
__device__ __forceinline__ int misalignment(const T* x) {
    return static_cast<int>((reinterpret_cast<uintptr_t>(x) & 15) / sizeof(T));
}

// A pack in registers, in the type that is computed with.
template <class T>
struct Values {
    computed_t<T> v[PACK<T>];
};

template <class T>
using Slot = Pack<T, PACK<T>>;  // a pack in memory

// x[j], x[j + 1], ... of a row x[0 .. cols): one load where they lie inside and at 16 bytes.
template <class T>
__device__ __forceinline__ Values<T> read_pack(const T* x, int j, int cols, computed_t<T> fill) {
    constexpr int P = PACK<T>;
    Values<T> values;
    if (j >= 0 && j <= cols - P && is_aligned16(x + j)) {
        const Slot<T> pack = *reinterpret_cast<const Slot<T>*>(x + j);
#pragma unroll
        for (int q = 0; q < P; ++q) values.v[q] = widen(pack.v[q]);
    } else {
#pragma unroll
        for (int q = 0; q < P; ++q) {
            values.v[q] = j + q >= 0 && j + q < cols ? widen(x[j + q]) : fill;
        }
    }
    return values;
}

template <class T>
__device__ __forceinline__ void write_pack(T* y, int j, int cols, const Values<T>& values) {
    constexpr int P = PACK<T>;
    if (j >= 0 && j <= cols - P && is_aligned16(y + j)) {
        Slot<T> pack;
#pragma unroll
        for (int q = 0; q < P; ++q) pack.v[q] = narrow<T>(values.v[q]);
        store_whole(reinterpret_cast<Slot<T>*>(y + j), pack);
    } else {
#pragma unroll
        for (int q = 0; q < P; ++q) {
            if (j + q >= 0 && j + q < cols) y[j + q] = narrow<T>(values.v[q]);
        }
    }
}

// Which numbers of a row this thread has: pack k starts at number at(k).
struct Span {
    int cols, shift, size, rank;

    __device__ __forceinline__ Span(const Team& team, int cols, int shift)
        : cols(cols), shift(shift), size(team.size), rank(team.rank) {}

    template <class T>
    __device__ __forceinline__ int at(int k) const {
        return (k * size + rank) * PACK<T> - shift;
    }
    // Whether any thread of the team has a k-th pack: the same answer in all of them.
    template <class T>
    __device__ __forceinline__ bool reaches(int k) const {
        return k * size * PACK<T> < cols + shift;
    }
};

// A row that stays in memory: weights, which all rows share and the caches hold. Null: all `fill`.
template <class T>
struct Streamed {
    const T* x;
    Span span;
    computed_t<T> fill;

    __device__ __forceinline__ Values<T> held(int k) const { return fetch(k); }
    __device__ __forceinline__ Values<T> fetch(int k) const {
        return read_pack(x, span.template at<T>(k), x ? span.cols : 0, fill);
    }
};

// A row on the chip. `each` and `write` walk over it, together with others of the same span:
//
//   row.each([&](int j, V x) { sum += x; });
//   row.write(y, [&](int j, V x, V w) { return x * w; }, weight);     y[j] = x[j] · w[j]
//
// j is outside of 0 .. cols where a pack sticks out; `each` shows `fill` there.
template <class T, int K>
struct Row {
    using V = computed_t<T>;
    static constexpr int P = PACK<T>;

    const T* x;
    Span span;
    V fill;
    Slot<T>* more;
    int slots;
    Values<T> values[K];

    __device__ __forceinline__ Row(const T* x, const Span& span, V fill, Slot<T>* more, int slots)
        : x(x), span(span), fill(fill), more(more + span.rank), slots(slots) {
#pragma unroll
        for (int k = 0; k < K; ++k) {  // all loads before the first use: K in flight per thread
            if (span.template reaches<T>(k)) {
                values[k] = read_pack(x, span.template at<T>(k), span.cols, fill);
            }
        }
#pragma unroll 1
        for (int k = K; k < K + slots && span.template reaches<T>(k); ++k) {
            const Values<T> far = read_pack(x, span.template at<T>(k), span.cols, fill);
            Slot<T> pack;
#pragma unroll
            for (int q = 0; q < P; ++q) pack.v[q] = narrow<T>(far.v[q]);
            this->more[(k - K) * span.size] = pack;
        }
    }

    __device__ __forceinline__ const Values<T>& held(int k) const { return values[k]; }

    __device__ __forceinline__ Values<T> fetch(int k) const {  // k ≥ K
        if (k >= K + slots) return read_pack(x, span.template at<T>(k), span.cols, fill);
        const Slot<T> pack = more[(k - K) * span.size];
        Values<T> far;
#pragma unroll
        for (int q = 0; q < P; ++q) far.v[q] = widen(pack.v[q]);
        return far;
    }

    template <class F, class... Rows>
    __device__ __forceinline__ void each(F f, const Rows&... rows) const {
#pragma unroll
        for (int k = 0; k < K; ++k) {
            if (span.template reaches<T>(k)) visit(f, k, held(k), rows.held(k)...);
        }
#pragma unroll 1
        for (int k = K; span.template reaches<T>(k); ++k) visit(f, k, fetch(k), rows.fetch(k)...);
    }

    template <class F, class... Rows>
    __device__ __forceinline__ void write(T* y, F f, const Rows&... rows) const {
#pragma unroll
        for (int k = 0; k < K; ++k) {
            if (span.template reaches<T>(k)) put(y, f, k, held(k), rows.held(k)...);
        }
#pragma unroll 1
        for (int k = K; span.template reaches<T>(k); ++k) put(y, f, k, fetch(k), rows.fetch(k)...);
    }

  private:
    template <class F, class... Packs>
    __device__ __forceinline__ void visit(F& f, int k, const Packs&... packs) const {
        const int j = span.template at<T>(k);
#pragma unroll
        for (int q = 0; q < P; ++q) f(j + q, packs.v[q]...);
    }

    template <class F, class... Packs>
    __device__ __forceinline__ void put(T* y, F& f, int k, const Packs&... packs) const {
        const int j = span.template at<T>(k);
        Values<T> result;
#pragma unroll
        for (int q = 0; q < P; ++q) result.v[q] = f(j + q, packs.v[q]...);
        write_pack(y, j, span.cols, result);
    }
};

// eᵈ for d ≤ 0, to the digits that are stored: expf is 8 instructions, exp2f half of that.
template <class T>
__device__ __forceinline__ computed_t<T> exponential(computed_t<T> d) {
    return exp2f(d * 1.44269504f);  // 1 / ln 2
}
template <>
__device__ __forceinline__ float exponential<float>(float d) {
    return expf(d);
}
template <>
__device__ __forceinline__ double exponential<double>(double d) {
    return exp(d);
}
