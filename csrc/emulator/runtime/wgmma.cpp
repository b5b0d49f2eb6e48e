// wgmma: the 128 threads of a warpgroup multiply matrices in shared memory, and go on meanwhile.
#include <algorithm>
#include <cstring>

#include "async.h"
#include "hopper.cuh"
#include "numbers.h"

namespace emulator {
namespace {

struct Product {  // one wgmma: what all 128 threads agreed on
    int columns;
    uint64_t a, b;
    bool accumulate;
    Number number;
    Place at;
    int owner = 0;  // the thread in whose name the checker heard of it
    checker::Time issued = 0;
};

struct Warpgroup {
    std::vector<std::vector<Product>> groups;  // of this block, committed or not
    size_t ran = 0;                            // so many of them have been computed
    std::vector<float> d[128];                 // of each thread, as the products that ran leave it
};

struct Committed {  // what one thread of a warpgroup knows of its products
    size_t committed = 0, finished = 0;  // groups
    float* d = nullptr;                  // where the products on their way add up
    int numbers = 0;                     // of them
    bool open_products = false;          // not committed
    bool fenced = false;                 // wgmma_fence since the registers were last delivered
};

std::vector<Committed> of_thread;
std::vector<Warpgroup> warpgroups;
Place last_product;

struct Events : BlockEvents {
    void begin() override {
        of_thread.assign(block_size(), {});
        warpgroups.clear();
        warpgroups.resize((block_size() + 127) / 128);
    }
    void end() override {
        for (const Committed& t : of_thread)
            if (t.committed > t.finished || t.open_products)
                return report_unfinished("a wgmma still runs when its thread returns", last_product,
                                         "ptx::wgmma_commit(); ptx::wgmma_wait<0>() before its result is used");
    }
} events;

Committed& mine() { return of_thread[self().index]; }

struct Offer {  // what one thread of a warpgroup brings to a wgmma
    float* d;
    Product product;
    int index;
};

// Number k of row (or column) x of an operand. The swizzle is a matter of the address.
float operand(uint64_t descriptor, int x, int k, Number number, Place at) {
    const uint32_t start = (descriptor & 0x3fff) << 4, stride = (descriptor >> 32 & 0x3fff) << 4;
    const int bytes = number == Number::tf32 ? 4 : 2;
    const uint32_t address = swizzled(start + x / 8 * stride + x % 8 * 128 + k * bytes);
    if (address + bytes > dynamic_shared_bytes())
        fail("out-of-bounds", at, "wgmma reads %d bytes at %u of the %zu bytes of dynamic shared memory", bytes, address,
             dynamic_shared_bytes());
    uint32_t bits = 0;
    std::memcpy(&bits, static_cast<const char*>(dynamic_shared()) + address, bytes);
    return number_in(bits, 0, number);
}

void run(Warpgroup& group, const Product& p) {
    const int depth = p.number == Number::tf32 ? 8 : 16;
    std::vector<double> A(64 * depth), B(static_cast<size_t>(p.columns) * depth);
    for (int x = 0; x < 64; ++x)
        for (int k = 0; k < depth; ++k) A[x * depth + k] = operand(p.a, x, k, p.number, p.at);
    for (int x = 0; x < p.columns; ++x)
        for (int k = 0; k < depth; ++k) B[x * depth + k] = operand(p.b, x, k, p.number, p.at);
    for (int t = 0; t < 128; ++t)
        for (int i = 0; i < p.columns / 2; ++i) {
            const int row = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8, col = i / 4 * 8 + t % 4 * 2 + i % 2;
            double sum = p.accumulate ? group.d[t][i] : 0.0;  // rounded once: the hardware's order is not documented
            for (int k = 0; k < depth; ++k) sum += A[row * depth + k] * B[col * depth + k];
            group.d[t][i] = static_cast<float>(sum);
        }
}

// The rows of an operand, 32 bytes each, in the name of the running thread's twin.
void tell_reads(uint64_t descriptor, int rows, Place at) {
    const uint32_t start = (descriptor & 0x3fff) << 4, stride = (descriptor >> 32 & 0x3fff) << 4;
    for (int x = 0; x < rows; ++x)
        for (int half = 0; half < 32; half += 16) {
            const uint32_t address = swizzled(start + x / 8 * stride + x % 8 * 128 + half);
            checker::access(self().index, static_cast<const char*>(dynamic_shared()) + address, 16, Access::read, at);
        }
}

bool same(const Product& p, const Product& q) {
    return p.columns == q.columns && p.a == q.a && p.b == q.b && p.accumulate == q.accumulate && p.number == q.number;
}

void take(void** brought) {
    Offer* const* offers = reinterpret_cast<Offer* const*>(brought);
    Product product = offers[0]->product;
    Warpgroup& group = warpgroups[self().index / 128];
    const size_t number = of_thread[offers[0]->index].committed;  // of the group it will belong to
    for (int t = 0; t < 128; ++t) {
        const Offer& offer = *offers[t];
        Committed& thread = of_thread[offer.index];
        if (!same(offer.product, product) || thread.committed != number)
            fail("wgmma", offer.product.at,
                 "the 128 threads of a warpgroup must issue the same wgmma, but thread %d of it has other operands, "
                 "another size, flag or group than thread 0",
                 t);
        if (thread.committed == thread.finished && !thread.open_products) {  // until now the registers are its own
            if (!thread.fenced)
                fail("missing-fence", offer.product.at,
                     "wgmma without wgmma_fence: the thread's registers may still be written by what came before. "
                     "Call ptx::wgmma_fence() first");
            group.d[t].assign(offer.d, offer.d + product.columns / 2);
        } else if (thread.d != offer.d || thread.numbers != product.columns / 2) {
            fail("wgmma", offer.product.at, "another accumulator while products into the first still run: wait for them");
        }
        thread.d = offer.d;
        thread.numbers = product.columns / 2;
        thread.open_products = true;
        std::fill(offer.d, offer.d + product.columns / 2, NAN);  // who reads it before the wait reads this
    }
    tell_reads(product.a, 64, product.at);
    tell_reads(product.b, product.columns, product.at);
    product.owner = self().index;
    product.issued = checker::issued();
    group.groups.resize(number + 1);
    group.groups[number].push_back(product);
    if (options.early) run(group, product);
}

}  // namespace

void wgmma_fence() { mine().fenced = true; }

void wgmma(float* d, int columns, uint64_t a, uint64_t b, bool accumulate, Number number, Place at) {
    if (a >> 62 != 1 || b >> 62 != 1)
        fail("wgmma", at, "the emulator knows operands with the 128-byte swizzle only: ptx::wgmma_operand");
    last_product = at;
    Offer offer{d, {columns, a, b, accumulate, number, at}, self().index};
    warpgroup_collective(&offer, take, at);
}

void wgmma_commit() {
    Committed& thread = mine();
    ++thread.committed;
    thread.open_products = false;
}

// The first of the warpgroup's threads that must see a group finished finds it so for all of them.
void wgmma_wait(int pending, Place at) {
    Committed& thread = mine();
    if (pending == 0 && thread.open_products)
        fail("missing-commit", at, "wgmma_wait waits for committed groups only: call ptx::wgmma_commit() before it");
    Warpgroup& group = warpgroups[self().index / 128];
    group.groups.resize(std::max(group.groups.size(), thread.committed));
    for (; thread.finished + pending < thread.committed; ++thread.finished) {
        for (const Product& product : group.groups[thread.finished]) {
            if (group.ran == thread.finished && !options.early) run(group, product);
            checker::completed(product.owner, product.issued);
        }
        group.ran = std::max(group.ran, thread.finished + 1);
    }
    if (pending == 0 && thread.d) {
        std::copy_n(group.d[self().index % 128].begin(), thread.numbers, thread.d);
        thread.fenced = false;
        thread.d = nullptr;
    }
}

}  // namespace emulator
