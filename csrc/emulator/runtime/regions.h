// The memory that kernels may touch, piece by piece, and what the checker remembers of each.
#pragma once
#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

#include "checker.h"
#include "site.h"

namespace emulator {

constexpr uint16_t TWIN = 0x8000;  // in Past::who: not the thread, its asynchronous twin

struct Past {  // an access; block 0: none
    uint32_t block = 0;
    checker::Time time = 0;
    Site site = 0;
    uint16_t who = 0;
    uint8_t bytes = 0;  // a bit for each of the four
    Access kind = Access::read;
    bool is_volatile = false;
};
struct Cell {  // of 4 bytes
    Past write, reads[2];
};

// Memory that is zero until it is touched, and costs nothing until then.
template <class T>
class Zeroed {
   public:
    explicit Zeroed(std::size_t count) : data_(static_cast<T*>(std::calloc(count, sizeof(T)))) {}
    Zeroed(const Zeroed&) = delete;
    Zeroed& operator=(const Zeroed&) = delete;
    ~Zeroed() { std::free(data_); }
    T& operator[](std::size_t i) { return data_[i]; }
    T* data() { return data_; }

   private:
    T* data_;
};

enum class Space { global, shared, dynamic_shared, constant };

struct Region {
    std::uintptr_t begin, end;
    std::string name;
    Space space;
    bool is_read_only, starts_written;  // starts_written: its first values count as written
    Zeroed<Cell> cells;
    Zeroed<uint8_t> written;  // of each 4 bytes, a bit for each byte
    uint64_t block = 0;       // shared memory: to which block `written` belongs

    Region(std::uintptr_t begin, std::size_t bytes, std::string name, Space space, bool is_read_only, bool starts_written);
    bool is_shared() const { return space == Space::shared || space == Space::dynamic_shared; }
    std::size_t bytes() const { return end - begin; }
    std::size_t index(std::uintptr_t p) const { return p / 4 - begin / 4; }
    std::size_t count() const { return (end + 3) / 4 - begin / 4; }
    std::string described() const;  // "array 'x'", "shared array 'tile'"
};

namespace regions {

Region* holding(std::uintptr_t p);
Region* nearest(std::uintptr_t p);
Region& add(const void* p, std::size_t bytes, const std::string& name, Space space, bool is_read_only, bool starts_written);
void remove(const void* p);
void forget_arrays();             // those that mmb_array named; allocations of a host program stay
void remember_as_array(const void* p);
// Items of a known array count as unwritten where they hold this value.
void forget_written(const void* p, std::size_t bytes, uint64_t value, std::size_t item_bytes);
bool add_variable_at(std::uintptr_t p);  // a static variable of the kernels there becomes a region

// Memory that a host program has freed: who touches it is told so.
struct Freed {
    std::uintptr_t begin, end;
    std::string name;
};
const Freed* freed_at(std::uintptr_t p);
void remember_freed(const void* p, std::size_t bytes, const std::string& name);

}  // namespace regions

}  // namespace emulator
