// Python's lock, let go while a product of matrices computes, if it computes for long.
#pragma once
#include <Python.h>

namespace mmb {

class Unlocked {
    PyThreadState* state = nullptr;

   public:
    explicit Unlocked(double multiplications) {
        if (multiplications > 2e5) state = PyEval_SaveThread();  // some 4 us; to let go and take again costs 0.1
    }
    ~Unlocked() {
        if (state) PyEval_RestoreThread(state);
    }
    Unlocked(const Unlocked&) = delete;
};

}  // namespace mmb
