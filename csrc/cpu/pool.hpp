// Work shared among threads, in chunks whose borders depend on the sizes alone: the bits of a result
// are the same for every number of threads.
//
// The caller works through the chunks itself, and another thread helps only if it really runs: there
// is no barrier at which a thread without a core is waited for. On a busy machine a parallel loop
// costs what the serial one costs; OpenMP's static split was measured at 2 to 90 times that.
#pragma once
#include <functional>

#include "array.hpp"

namespace mmb {

// body(i) for every i in [0, chunks), in any order, on up to threads() threads. An exception of a
// body is thrown again here, after the others have ended. Loops inside a body are serial.
void parallel_for(Index chunks, const std::function<void(Index)>& body);

int threads();
void set_threads(int n);  // from 1 on

}  // namespace mmb
