// Errors of the runtime API, and how they and other findings are told.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "runtime/findings.h"
#include "state.h"

namespace emulator {

std::string text(const char* format, ...) {
    char buffer[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    return buffer;
}

const char* short_name(const char* file) {
    const char* slash = file ? std::strrchr(file, '/') : nullptr;
    return slash ? slash + 1 : file ? file : "?";
}

static std::string as_json(const char* kind, Place place, const std::string& what, const std::vector<Note>& notes) {
    std::string out = text("{\"source\": \"host\", \"kind\": \"%s\", \"line\": %d, ", kind, place.line);
    out += "\"file\": " + quoted(place.file ? place.file : "") + ", \"message\": " + quoted(what) + ", \"notes\": [";
    for (size_t i = 0; i < notes.size(); i++)
        out += std::string(i ? ", " : "") + "{\"file\": " + quoted(notes[i].place.file ? notes[i].place.file : "") +
               text(", \"line\": %d, \"text\": ", notes[i].place.line) + quoted(notes[i].text) + "}";
    return out + "]}\n";
}

void tell(const char* kind, Place place, const std::string& what, const std::vector<Note>& notes) {
    if (const char* path = std::getenv("MMB_FINDINGS")) {
        if (FILE* file = std::fopen(path, "a")) {
            const std::string line = as_json(kind, place, what, notes);
            std::fwrite(line.data(), 1, line.size(), file);
            std::fclose(file);
            return;
        }
    }
    std::fflush(stdout);
    std::fprintf(stderr, "%s:%d: %s\n", short_name(place.file), place.line, what.c_str());
    for (const Note& n : notes) std::fprintf(stderr, "%s:%d: %s\n", short_name(n.place.file), n.place.line, n.text.c_str());
}

cudaError_t failed(cudaError_t error, const char* kind, Place place, const std::string& what,
                   const std::vector<Note>& notes) {
    tell(kind, place, what + text(" It returned %s.", cudaGetErrorName(error)), notes);
    return host().last = error;
}

cudaError_t sticky() {
    if (host().sticky != cudaSuccess) host().last = host().sticky;
    return host().sticky;
}

struct Named {
    cudaError_t error;
    const char *name, *words;
};
#define E(name, words) {cuda##name, "cuda" #name, words}
static const Named NAMES[] = {
    E(Success, "no error"),
    E(ErrorInvalidValue, "invalid argument"),
    E(ErrorMemoryAllocation, "out of memory"),
    E(ErrorInitializationError, "initialization error"),
    E(ErrorCudartUnloading, "driver shutting down"),
    E(ErrorInvalidConfiguration, "invalid configuration argument"),
    E(ErrorInvalidPitchValue, "invalid pitch argument"),
    E(ErrorInvalidSymbol, "invalid device symbol"),
    E(ErrorInvalidDevicePointer, "invalid device pointer"),
    E(ErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    E(ErrorInsufficientDriver, "CUDA driver version is insufficient for CUDA runtime version"),
    E(ErrorInvalidDeviceFunction, "invalid device function"),
    E(ErrorNoDevice, "no CUDA-capable device is detected"),
    E(ErrorInvalidDevice, "invalid device ordinal"),
    E(ErrorInvalidResourceHandle, "invalid resource handle"),
    E(ErrorNotReady, "device not ready"),
    E(ErrorIllegalAddress, "an illegal memory access was encountered"),
    E(ErrorLaunchOutOfResources, "too many resources requested for launch"),
    E(ErrorLaunchTimeout, "the launch timed out and was terminated"),
    E(ErrorPeerAccessAlreadyEnabled, "peer access is already enabled"),
    E(ErrorPeerAccessNotEnabled, "peer access has not been enabled"),
    E(ErrorAssert, "device-side assert triggered"),
    E(ErrorHostMemoryAlreadyRegistered, "part or all of the requested memory range is already mapped"),
    E(ErrorHostMemoryNotRegistered, "pointer does not correspond to a registered memory region"),
    E(ErrorIllegalInstruction, "an illegal instruction was encountered"),
    E(ErrorMisalignedAddress, "misaligned address"),
    E(ErrorLaunchFailure, "unspecified launch failure"),
    E(ErrorCooperativeLaunchTooLarge, "too many blocks in cooperative launch"),
    E(ErrorNotPermitted, "operation not permitted"),
    E(ErrorNotSupported, "operation not supported"),
    E(ErrorUnknown, "unknown error"),
};
#undef E

static const Named* named(cudaError_t error) {
    for (const Named& n : NAMES)
        if (n.error == error) return &n;
    return nullptr;
}

}  // namespace emulator

extern "C" {
const char* cudaGetErrorName(cudaError_t error) {
    const auto* n = emulator::named(error);
    return n ? n->name : "unrecognized error code";
}
const char* cudaGetErrorString(cudaError_t error) {
    const auto* n = emulator::named(error);
    return n ? n->words : "unrecognized error code";
}
cudaError_t cudaPeekAtLastError(void) { return emulator::host().last; }
cudaError_t cudaGetLastError(void) {
    const cudaError_t error = emulator::host().last;
    emulator::host().last = emulator::host().sticky;  // an error of a kernel stays for good
    return error;
}
}
