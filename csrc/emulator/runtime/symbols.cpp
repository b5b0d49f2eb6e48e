#include "symbols.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <vector>

namespace emulator {
namespace {

struct Segment {
    std::uintptr_t begin, end;
    bool is_writable;
};
struct Library {
    std::map<std::uintptr_t, Variable> variables;  // by where they begin
    std::vector<Segment> segments;
};

std::string demangled(const char* name) {
    int status = 0;
    char* plain = abi::__cxa_demangle(name, nullptr, nullptr, &status);
    std::string result = status == 0 ? plain : name;
    std::free(plain);
    return result;
}

// softmax_rows<float>(float*, int)::tile -> tile
std::string last_part(const std::string& name) {
    int depth = 0;
    for (std::size_t i = name.size(); i > 1; --i) {
        const char c = name[i - 1];
        depth += (c == '>' || c == ')') - (c == '<' || c == '(');
        if (depth == 0 && c == ':' && name[i - 2] == ':') return name.substr(i);
    }
    return name;
}

bool is_of_the_emulator(const char* mangled) {
    return std::strstr(mangled, "N8emulator") || std::strstr(mangled, "N3mmb") || std::strstr(mangled, "4mmb_") ||
           !std::strncmp(mangled, "_ZGV", 4);
}

// Shared memory is static: inside a kernel, or in the namespace that variables.py puts around it.
bool is_shared(const char* mangled) { return !std::strncmp(mangled, "_ZZ", 3) || std::strstr(mangled, "9mmb_block"); }

void read_symbols(Library& library, const char* file, std::size_t bytes, std::uintptr_t base) {
    const auto* header = reinterpret_cast<const ElfW(Ehdr)*>(file);
    if (bytes < sizeof *header || std::memcmp(header->e_ident, ELFMAG, SELFMAG)) return;
    const auto* sections = reinterpret_cast<const ElfW(Shdr)*>(file + header->e_shoff);
    for (int s = 0; s < header->e_shnum; ++s) {
        if (sections[s].sh_type != SHT_SYMTAB) continue;
        const char* names = file + sections[sections[s].sh_link].sh_offset;
        const auto* symbols = reinterpret_cast<const ElfW(Sym)*>(file + sections[s].sh_offset);
        for (std::size_t i = 0; i < sections[s].sh_size / sizeof *symbols; ++i) {
            const ElfW(Sym)& symbol = symbols[i];
            const char* mangled = names + symbol.st_name;
            if (ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT || !symbol.st_size || symbol.st_shndx >= header->e_shnum) continue;
            if (!(sections[symbol.st_shndx].sh_flags & SHF_WRITE) || is_of_the_emulator(mangled)) continue;
            const std::uintptr_t begin = base + symbol.st_value;
            library.variables[begin] = {begin, symbol.st_size, last_part(demangled(mangled)), is_shared(mangled)};
        }
    }
}

int collect_segments(dl_phdr_info* info, std::size_t, void* library_and_base) {
    auto& [library, base] = *static_cast<std::pair<Library*, std::uintptr_t>*>(library_and_base);
    if (info->dlpi_addr != base) return 0;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& segment = info->dlpi_phdr[i];
        if (segment.p_type != PT_LOAD) continue;
        const std::uintptr_t begin = base + segment.p_vaddr;
        library->segments.push_back({begin, begin + segment.p_memsz, (segment.p_flags & PF_W) != 0});
    }
    return 1;
}

Library read_library() {
    Library library;
    Dl_info self;
    if (!dladdr(reinterpret_cast<const void*>(&variable_at), &self)) return library;
    const auto base = reinterpret_cast<std::uintptr_t>(self.dli_fbase);
    std::pair<Library*, std::uintptr_t> wanted{&library, base};
    dl_iterate_phdr(collect_segments, &wanted);
    // the program itself may be known by the name it was started with; the system has its path
    int file = open(self.dli_fname, O_RDONLY);
    if (file < 0) file = open("/proc/self/exe", O_RDONLY);
    struct stat status;
    if (file >= 0 && fstat(file, &status) == 0) {
        const std::size_t bytes = static_cast<std::size_t>(status.st_size);
        void* memory = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, file, 0);
        if (memory != MAP_FAILED) {
            read_symbols(library, static_cast<const char*>(memory), bytes, base);
            munmap(memory, bytes);
        }
    }
    if (file >= 0) close(file);
    return library;
}

const Library& library() {
    static const Library read = read_library();
    return read;
}

}  // namespace

const Variable* variable_at(std::uintptr_t p) {
    const auto& all = library().variables;
    auto next = all.upper_bound(p);
    if (next == all.begin()) return nullptr;
    const Variable& v = std::prev(next)->second;
    return p < v.begin + v.bytes ? &v : nullptr;
}

bool is_in_this_library(std::uintptr_t p, bool* is_writable) {
    for (const Segment& s : library().segments)
        if (p >= s.begin && p < s.end) {
            *is_writable = s.is_writable;
            return true;
        }
    return false;
}

}  // namespace emulator
