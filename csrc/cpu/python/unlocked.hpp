// Python's lock, let go while a product of matrices computes, if it computes for long.
#pragma once
#include <optional>

#include "kernel_table.hpp"

namespace mmb {

class UnlockedFor {
   public:
    explicit UnlockedFor(double multiplications) {
        if (multiplications > 2e5) others_may_run.emplace();  // some 4 us; to let go and take again costs 0.1
    }

   private:
    std::optional<Unlock> others_may_run;
};

}  // namespace mmb
