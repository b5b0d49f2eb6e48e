// cooperative_groups: a block, tiles of a warp, the lanes that came together, and what they do.
//
// A tile is a mask of lanes, so its operations are those of emulator/warp.h. Groups that reach beyond
// a block (grid, cluster) cannot wait here, as one block runs at a time: sync() says so.
#pragma once
#include "emulator/math.h"
#include "emulator/thread.h"
#include "emulator/warp.h"

#define EMULATOR_AT emulator::Place at = emulator::Place::here()

namespace cooperative_groups {

class thread_block {
   public:
    EMULATOR_INLINE void sync(EMULATOR_AT) const { __syncthreads(at); }
    EMULATOR_INLINE static unsigned thread_rank() {
        return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    }
    EMULATOR_INLINE static unsigned num_threads() { return blockDim.x * blockDim.y * blockDim.z; }
    EMULATOR_INLINE static unsigned size() { return num_threads(); }
    EMULATOR_INLINE static dim3 group_index() { return blockIdx; }
    EMULATOR_INLINE static dim3 thread_index() { return threadIdx; }
    EMULATOR_INLINE static dim3 dim_threads() { return blockDim; }
    EMULATOR_INLINE static dim3 group_dim() { return blockDim; }
};
EMULATOR_INLINE thread_block this_thread_block() { return {}; }

// Some lanes of one warp; the rank of a lane counts those before it.
class lanes_of_warp {
   public:
    EMULATOR_INLINE explicit lanes_of_warp(unsigned mask) : mask_(mask) {}
    EMULATOR_INLINE unsigned thread_rank() const { return __popc(mask_ & ((1u << emulator::mmb_thread.lane) - 1)); }
    EMULATOR_INLINE unsigned num_threads() const { return __popc(mask_); }
    EMULATOR_INLINE unsigned size() const { return num_threads(); }
    EMULATOR_INLINE void sync(EMULATOR_AT) const { __syncwarp(mask_, at); }
    EMULATOR_INLINE int any(int predicate, EMULATOR_AT) const { return __any_sync(mask_, predicate, at); }
    EMULATOR_INLINE int all(int predicate, EMULATOR_AT) const { return __all_sync(mask_, predicate, at); }
    EMULATOR_INLINE unsigned ballot(int predicate, EMULATOR_AT) const { return packed(__ballot_sync(mask_, predicate, at)); }
    template <class T>
    EMULATOR_INLINE unsigned match_any(T value, EMULATOR_AT) const {
        return packed(__match_any_sync(mask_, value, at));
    }
    template <class T>
    EMULATOR_INLINE T shfl(T value, unsigned rank, EMULATOR_AT) const {
        return emulator::shuffle(mask_, value, lane_of(rank % num_threads()), at);
    }
    template <class T>
    EMULATOR_INLINE T shfl_down(T value, unsigned by, EMULATOR_AT) const {
        const unsigned from = thread_rank() + by;
        return emulator::shuffle(mask_, value, from < num_threads() ? lane_of(from) : emulator::mmb_thread.lane, at);
    }
    template <class T>
    EMULATOR_INLINE T shfl_up(T value, unsigned by, EMULATOR_AT) const {
        const unsigned me = thread_rank();
        return emulator::shuffle(mask_, value, me >= by ? lane_of(me - by) : emulator::mmb_thread.lane, at);
    }
    template <class T>
    EMULATOR_INLINE T shfl_xor(T value, unsigned bits, EMULATOR_AT) const {
        const unsigned from = thread_rank() ^ bits;
        return emulator::shuffle(mask_, value, from < num_threads() ? lane_of(from) : emulator::mmb_thread.lane, at);
    }
    EMULATOR_INLINE unsigned mask() const { return mask_; }

   private:
    EMULATOR_UNCHECKED int lane_of(unsigned rank) const {
        unsigned left = mask_;
        while (rank--) left &= left - 1;
        return __builtin_ctz(left);
    }
    EMULATOR_UNCHECKED unsigned packed(unsigned lanes) const {  // a bit per rank instead of per lane
        unsigned bits = 0, rank = 0;
        for (int lane = 0; lane < 32; ++lane)
            if (mask_ >> lane & 1) bits |= (lanes >> lane & 1) << rank++;
        return bits;
    }
    unsigned mask_;
};

EMULATOR_INLINE unsigned tile_mask(unsigned size) {
    const unsigned first = emulator::mmb_thread.lane / size * size;
    return (size == 32 ? ~0u : (1u << size) - 1) << first & emulator::existing_lanes();
}

// N neighbouring threads of a block: a power of two, at most a warp.
template <unsigned N, class Parent = void>
class thread_block_tile : public lanes_of_warp {
    static_assert(N >= 1 && N <= 32 && (N & (N - 1)) == 0, "tiled_partition<N>: N must be a power of two, at most 32");

   public:
    EMULATOR_INLINE thread_block_tile() : lanes_of_warp(tile_mask(N)) {}
    template <class Other>  // thread_block_tile<32> tile = tiled_partition<32>(block)
    EMULATOR_INLINE thread_block_tile(const thread_block_tile<N, Other>& other) : lanes_of_warp(other) {}
    EMULATOR_INLINE static constexpr unsigned num_threads() { return N; }
    EMULATOR_INLINE static constexpr unsigned size() { return N; }
    EMULATOR_INLINE unsigned meta_group_rank() const { return thread_block::thread_rank() / N; }
    EMULATOR_INLINE unsigned meta_group_size() const { return (thread_block::size() + N - 1) / N; }
};
template <unsigned N, class Parent>
EMULATOR_INLINE thread_block_tile<N, Parent> tiled_partition(const Parent&) {
    return {};
}

class coalesced_group : public lanes_of_warp {
   public:
    using lanes_of_warp::lanes_of_warp;
};
EMULATOR_INLINE coalesced_group coalesced_threads(EMULATOR_AT) { return coalesced_group(__activemask(at)); }
template <class Group>
EMULATOR_INLINE coalesced_group binary_partition(const Group& group, bool predicate, EMULATOR_AT) {
    const unsigned yes = __ballot_sync(group.mask(), predicate, at);
    return coalesced_group(predicate ? yes : group.mask() & ~yes);
}

template <class Group, class T>
EMULATOR_INLINE coalesced_group labeled_partition(const Group& group, T label, EMULATOR_AT) {
    return coalesced_group(__match_any_sync(group.mask(), label, at));
}
// One thread of the group calls f: here the first. Which, CUDA leaves open.
template <class Group, class F, class... A>
EMULATOR_INLINE void invoke_one(const Group& group, F&& f, A&&... a) {
    if (group.thread_rank() == 0) f(a...);
}

// A group whose kind is known when the program runs: a block, or some lanes of a warp.
class thread_group {
   public:
    EMULATOR_INLINE thread_group(thread_block) : is_block_(true), lanes_(0) {}
    EMULATOR_INLINE thread_group(const lanes_of_warp& lanes) : is_block_(false), lanes_(lanes) {}
    EMULATOR_INLINE void sync(EMULATOR_AT) const { is_block_ ? __syncthreads(at) : lanes_.sync(at); }
    EMULATOR_INLINE unsigned thread_rank() const { return is_block_ ? thread_block::thread_rank() : lanes_.thread_rank(); }
    EMULATOR_INLINE unsigned size() const { return is_block_ ? thread_block::size() : lanes_.size(); }
    EMULATOR_INLINE unsigned num_threads() const { return size(); }

   private:
    bool is_block_;
    lanes_of_warp lanes_;
};
EMULATOR_INLINE thread_group tiled_partition(const thread_group&, unsigned size, EMULATOR_AT) {
    if (size < 1 || size > 32 || (size & (size - 1)))
        emulator::fail("warp-width", at, "tiled_partition has size %u, but must have a power of two, at most 32", size);
    return thread_group(lanes_of_warp(tile_mask(size)));
}

class grid_group {
   public:
    EMULATOR_INLINE static bool is_valid() { return false; }  // launched as an ordinary kernel
    EMULATOR_INLINE static void sync(EMULATOR_AT) {
        emulator::fail("not-emulated", at, "grid.sync(): blocks run one after another here, so none can wait for the others. Use two kernels");
    }
    EMULATOR_INLINE static unsigned long long num_blocks() { return static_cast<unsigned long long>(gridDim.x) * gridDim.y * gridDim.z; }
    EMULATOR_INLINE static unsigned long long block_rank() {
        return blockIdx.x + static_cast<unsigned long long>(gridDim.x) * (blockIdx.y + static_cast<unsigned long long>(gridDim.y) * blockIdx.z);
    }
    EMULATOR_INLINE static unsigned long long size() { return num_blocks() * thread_block::size(); }
    EMULATOR_INLINE static unsigned long long num_threads() { return size(); }
    EMULATOR_INLINE static unsigned long long thread_rank() { return block_rank() * thread_block::size() + thread_block::thread_rank(); }
    EMULATOR_INLINE static dim3 group_dim() { return gridDim; }
};
EMULATOR_INLINE grid_group this_grid() { return {}; }

template <class Group>
EMULATOR_INLINE void sync(const Group& group, EMULATOR_AT) {
    group.sync(at);
}
template <class Group>
EMULATOR_INLINE auto thread_rank(const Group& group) {
    return group.thread_rank();
}

template <class T>
struct plus {
    EMULATOR_INLINE T operator()(T a, T b) const { return a + b; }
};
template <class T>
struct less {  // the smaller
    EMULATOR_INLINE T operator()(T a, T b) const { return b < a ? b : a; }
};
template <class T>
struct greater {
    EMULATOR_INLINE T operator()(T a, T b) const { return a < b ? b : a; }
};
template <class T>
struct bit_and {
    EMULATOR_INLINE T operator()(T a, T b) const { return a & b; }
};
template <class T>
struct bit_or {
    EMULATOR_INLINE T operator()(T a, T b) const { return a | b; }
};
template <class T>
struct bit_xor {
    EMULATOR_INLINE T operator()(T a, T b) const { return a ^ b; }
};

// In order of ranks; a GPU combines as a tree, which rounds otherwise.
template <class Group, class T, class Combine>
EMULATOR_INLINE T reduce(const Group& group, T value, Combine combine, EMULATOR_AT) {
    T result = group.shfl(value, 0, at);
    for (unsigned rank = 1; rank < group.num_threads(); ++rank) result = combine(result, group.shfl(value, rank, at));
    return result;
}
template <class Group, class T, class Combine = plus<T>>
EMULATOR_INLINE T inclusive_scan(const Group& group, T value, Combine combine = {}, EMULATOR_AT) {
    for (unsigned by = 1; by < group.num_threads(); by *= 2) {
        const T before = group.shfl_up(value, by, at);
        if (group.thread_rank() >= by) value = combine(before, value);
    }
    return value;
}
template <class Group, class T, class Combine = plus<T>>
EMULATOR_INLINE T exclusive_scan(const Group& group, T value, Combine combine = {}, EMULATOR_AT) {
    const T before = group.shfl_up(inclusive_scan(group, value, combine, at), 1, at);
    return group.thread_rank() ? before : T();
}

}  // namespace cooperative_groups

#undef EMULATOR_AT
