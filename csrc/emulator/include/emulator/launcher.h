// A main for a file that has none: runs one kernel as a plan in a text file says.
//
//   kernel scale             launch grid x y z, block x y z, shared bytes:
//   launch 4 1 1 256 1 1 0
//   array x 4096 in.bin out.bin     a pointer to so many bytes; "-" for no file
//   value a 0000803f                an argument by value, in hexadecimal, as it lies in memory
#pragma once
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "emulator/host.h"

namespace emulator::launcher {

struct Array {
    void* device;
    size_t bytes;
    std::string out;
};

inline int wrong(const std::string& what) {
    fprintf(stderr, "%s\n", what.c_str());
    return 2;
}

inline std::vector<char> bytes_of(const std::string& hexadecimal) {
    std::vector<char> bytes;
    for (size_t i = 0; i + 1 < hexadecimal.size(); i += 2)
        bytes.push_back(static_cast<char>(std::stoi(hexadecimal.substr(i, 2), nullptr, 16)));
    return bytes;
}

inline std::vector<char> contents(const std::string& path, size_t bytes) {
    std::vector<char> data(bytes);
    std::ifstream(path, std::ios::binary).read(data.data(), static_cast<std::streamsize>(bytes));
    return data;
}

// The signatures of all kernels, in the form of mmb_kernels().
inline int list() {
    for (const mmb::Listed* l = mmb::Listed::head(); l; l = l->next) {
        printf("%s\t", l->entry.name);
        for (int i = 0; i < l->entry.count; ++i) {
            const mmb::Parameter& p = l->entry.parameters[i];
            printf("%s%c%zu%s", i ? " " : "", static_cast<char>(p.kind), p.size, p.is_signed ? "" : "u");
        }
        printf("\n");
    }
    return 0;
}

inline int run(const char* plan) {
    std::ifstream file(plan);
    std::string line, kernel;
    dim3 grid, block;
    size_t shared = 0;
    std::vector<Array> arrays;
    std::vector<std::vector<char>> values;
    while (std::getline(file, line)) {
        std::istringstream words(line);
        std::string what, name;
        words >> what >> std::ws;
        if (what == "kernel") std::getline(words, kernel);
        if (what == "launch") words >> grid.x >> grid.y >> grid.z >> block.x >> block.y >> block.z >> shared;
        if (what == "array") {
            Array array;
            std::string in;
            words >> name >> array.bytes >> std::ws;
            std::getline(words, in, '\t');
            std::getline(words, array.out);
            if (allocate(MemoryKind::device, &array.device, array.bytes, "cudaMalloc", {})) return wrong("no memory for " + name);
            name_allocation(array.device, name.c_str());
            if (in != "-") cudaMemcpy(array.device, contents(in, array.bytes).data(), array.bytes, cudaMemcpyHostToDevice);
            arrays.push_back(array);
            values.emplace_back(reinterpret_cast<char*>(&array.device), reinterpret_cast<char*>(&array.device + 1));
        }
        if (what == "value") {
            words >> name >> line;
            values.push_back(bytes_of(line));
        }
    }
    const mmb::Listed* found = mmb::Listed::head();
    while (found && found->entry.name != kernel) found = found->next;
    if (!found) return wrong("no kernel " + kernel);
    std::vector<void*> arguments;
    for (auto& v : values) arguments.push_back(v.data());
    launch_listed("<<<>>>", reinterpret_cast<const void*>(found->entry.kernel), grid, block, arguments.data(), shared,
                  nullptr, false, {});
    if (const cudaError_t error = cudaDeviceSynchronize()) return wrong(kernel + ": " + cudaGetErrorString(error));
    if (const cudaError_t error = cudaGetLastError()) return wrong(kernel + ": " + cudaGetErrorString(error));
    for (const Array& a : arrays) {
        std::vector<char> back(a.bytes);
        cudaMemcpy(back.data(), a.device, a.bytes, cudaMemcpyDeviceToHost);
        if (a.out != "-") std::ofstream(a.out, std::ios::binary).write(back.data(), static_cast<std::streamsize>(a.bytes));
        cudaFree(a.device);
    }
    return 0;
}

}  // namespace emulator::launcher

int main(int count, char** words) {
    return count == 2 ? emulator::launcher::run(words[1]) : emulator::launcher::list();
}
