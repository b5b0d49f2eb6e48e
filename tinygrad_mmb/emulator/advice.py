"""Why each kind of mistake is one, and how it is mended. Kinds are those of the findings' JSON."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Advice:
    title: str
    why: str = ""
    mend: str = ""
    is_note: bool = False  # worth saying, but no mistake


ADVICE = {
    # ---- in kernels
    "race": Advice(
        "Data race",
        "Two threads use the same place, at least one of them writes, and nothing says who comes "
        "first. On a GPU the result changes from run to run.",
        "Put __syncthreads() between the two accesses (all threads of the block must reach it), "
        "let each thread have a place of its own, or use atomicAdd and the like. Threads of "
        "different blocks can be ordered by atomics or by two launches only.",
    ),
    "out-of-bounds": Advice(
        "Access out of bounds",
        "The address is in no array. A GPU may end the kernel with cudaErrorIllegalAddress, or "
        "read and write a neighbour's memory without a word.",
        "Guard the access with if (i < n), and compare the array's size with the largest index: "
        "gridDim.x * blockDim.x threads run, which is often more than n.",
    ),
    "misaligned": Advice(
        "Misaligned access",
        "Values of 8 and 16 bytes (double, float2, float4) must lie at multiples of their size. A "
        "GPU ends the kernel with cudaErrorMisalignedAddress.",
        "Let the index be a multiple of the vector's length, and begin rows at such multiples.",
    ),
    "uninitialised": Advice(
        "Memory read before anything was written to it",
        "What it holds is left over from other programs and kernels: often 0 in a small test, and "
        "something else on the day it matters.",
        "Write it first: __syncthreads() after the store for shared memory, cudaMemset or "
        "cudaMemcpy for memory of cudaMalloc.",
    ),
    "unset-variable": Advice(
        "A local variable is used before it has a value",
        "A register holds what the last computation left there: often 0 in a small test, and "
        "something else on the day it matters.",
        "Give the variable its first value where it is declared: float sum = 0.0f; and every "
        "element of a local array, too: float acc[4] = {};",
    ),
    "barrier-divergence": Advice(
        "Not all threads reach the same __syncthreads()",
        "A barrier counts threads. If some return before it, or wait at another one, the rest wait "
        "for ever or go on too early.",
        "Move __syncthreads() out of the if, and do not return before it: let threads without work "
        "skip the work only.",
    ),
    "deadlock": Advice(
        "Deadlock: every thread waits, and nobody can go on",
        "Each of the remaining threads waits for one that never comes.",
        "Look at who waits where: every barrier, and every lane in the mask of a warp function, "
        "must be reached by all that are named.",
    ),
    "livelock": Advice(
        "Threads wait for one another without end",
        "A loop waits for something that nobody does: the others have ended, or wait too, or the "
        "compiler reads once what the loop would have to read again. Another block may run only "
        "after this one: a GPU promises no more.",
        "Let no block wait for another: end the kernel and launch a second one. Within a block, "
        "wait by __syncthreads(), or read the flag as volatile.",
    ),
    "warp-mask": Advice(
        "The mask of a warp function does not name the lanes that call it",
        "__shfl_sync, __ballot_sync and the like work among the lanes in the mask: each of them "
        "must call it, and nobody else may.",
        "Use 0xffffffff where the whole warp arrives, and let no lane branch off before; or "
        "compute the mask before the branch with __ballot_sync.",
    ),
    "warp-width": Advice(
        "The width of a shuffle is not 1, 2, 4, 8, 16 or 32",
        "The warp is cut into pieces of that width.",
        "Use a power of two.",
    ),
    "warp-divergence": Advice(
        "Lanes of a warp wait at different warp functions",
        "All lanes in the mask must call the same function in the same line.",
        "Call it outside of the branch.",
    ),
    "missing-wait": Advice(
        "An asynchronous copy or product is used before it was waited for",
        "It may land at any time until the wait.",
        "Wait for the group or the mbarrier, then __syncthreads() if other threads read the data.",
    ),
    "cp.async": Advice(
        "An asynchronous copy that the GPU cannot make",
        "cp.async copies 4, 8 or 16 bytes from global to shared memory: nothing else.",
        "__pipeline_memcpy_async(&shared[i], &global[j], 4, 8 or 16). The way back is an ordinary "
        "store: global[j] = shared[i];",
    ),
    "null-pointer": Advice(
        "A kernel follows the null pointer",
        "No memory was given: an allocation failed, or a launch that asks for no dynamic shared "
        "memory (the third number in <<<grid, block, bytes>>>) uses extern __shared__.",
        "Check what cudaMalloc returns, and give the bytes of shared memory at the launch.",
    ),
    "wild-pointer": Advice(
        "An access to memory that no array holds",
        "It may be a pointer of the host, or an index far off.",
        "Hand over what cudaMalloc gave, and check the index.",
    ),
    "local-of-another-thread": Advice(
        "A thread follows a pointer to another thread's local variable",
        "Local variables are private, even through a pointer.",
        "Use shared memory.",
    ),
    "trap": Advice(
        "The kernel called __trap()",
        "It ends the launch with an error.",
        "Look at the condition that led there.",
    ),
    "launch": Advice("The kernel cannot be launched"),
    "read-only": Advice(
        "Write to constant memory",
        "The device cannot write memory that was declared __constant__ or handed over as const.",
        "Write it from the host with cudaMemcpyToSymbol, or declare it __device__.",
    ),
    "illegal-address": Advice(
        "Illegal address in a kernel",
        "The kernel follows a pointer that leads nowhere on the device. A GPU ends the kernel with "
        "cudaErrorIllegalAddress, and every later call fails.",
        "Hand over pointers of cudaMalloc or cudaMallocManaged, and check the index. mmb cuda "
        "check names the array.",
    ),
    "assert": Advice(
        "A device-side assert failed",
        "The condition in assert(...) was false in a thread of the kernel.",
        "The thread and block say with which index to follow the computation by hand.",
    ),
    "write-past-end": Advice(
        "A kernel wrote past the end of an array",
        "On a GPU that overwrites whatever lies behind it.",
        "mmb cuda check says in which line. Guard the access with if (i < n).",
    ),
    # ---- launches
    "invalid-launch": Advice(
        "The kernel was not launched",
        "CUDA refuses the launch, the kernel does not run at all, and the program goes on: only "
        "cudaGetLastError() tells.",
        "A block has at most 1024 threads (x times y times z) and 48 KiB of shared memory, up to "
        "227 KiB after cudaFuncSetAttribute; a grid has at least one block. Check "
        "cudaGetLastError() behind every launch.",
    ),
    "host-pointer": Advice(
        "A kernel gets a pointer to memory of the host",
        "The device has memory of its own. A pointer of malloc, new or std::vector means nothing "
        "there.",
        "Allocate with cudaMalloc, copy with cudaMemcpy(..., cudaMemcpyHostToDevice), and hand "
        "over the pointer that cudaMalloc gave; or allocate with cudaMallocManaged.",
    ),
    "symbol-as-pointer": Advice(
        "A __device__ or __constant__ variable used as a pointer on the host",
        "The host's copy of the name has an address of its own, not the one on the device.",
        "Use the variable by its name in the kernel; copy with cudaMemcpyToSymbol and "
        "cudaMemcpyFromSymbol; or ask cudaGetSymbolAddress for the address.",
    ),
    "invalid-symbol": Advice(
        "Not a variable of the device",
        "cudaMemcpyToSymbol and its like take the variable itself.",
        "Pass the name of a __device__ or __constant__ variable, not a pointer and no string.",
    ),
    "stream-race": Advice(
        "Two streams use the same memory, and nothing orders them",
        "Kernels and copies in different streams may run side by side, and in any order. At least "
        "one of the two writes.",
        "Put both into one stream; or record an event behind the first (cudaEventRecord) and let "
        "the other stream wait for it (cudaStreamWaitEvent); or wait on the host "
        "(cudaStreamSynchronize) before the second.",
    ),
    # ---- the host
    "host-access": Advice(
        "The host dereferences a device pointer",
        "Memory of cudaMalloc lies on the GPU. The CPU cannot reach it: the program ends with a "
        "segmentation fault.",
        "Copy to an array of the host first: cudaMemcpy(host, device, bytes, "
        "cudaMemcpyDeviceToHost); or allocate with cudaMallocManaged.",
    ),
    "host-access-before-sync": Advice(
        "The host uses managed memory while a kernel may still be running",
        "A launch returns at once. Without waiting the host sees values from before the kernel, or "
        "half of them; some systems end the program.",
        "Call cudaDeviceSynchronize() between the launch and the first use of the result.",
    ),
    "host-access-before-copy-ends": Advice(
        "The host uses memory that an asynchronous copy may still be writing",
        "cudaMemcpyAsync returns before the copy is done.",
        "Call cudaStreamSynchronize(stream) or cudaDeviceSynchronize() first.",
    ),
    "wrong-direction": Advice(
        "A copy in the wrong direction",
        "The last argument says where destination and source lie, and that is not where they lie. "
        "Nothing is copied.",
        "The destination comes first: cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice) and "
        "cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost).",
    ),
    "copy-past-allocation": Advice(
        "A copy goes past the end of the memory",
        "It asks for more bytes than were allocated. Nothing is copied.",
        "Sizes are bytes: n * sizeof(float), the same in cudaMalloc and in cudaMemcpy.",
    ),
    "use-after-free": Advice(
        "Memory is used after it was freed",
        "What lies there may already belong to somebody else.",
        "Move cudaFree behind the last use.",
    ),
    "double-free": Advice(
        "Memory is freed twice", "The second call fails.", "Free each allocation once."
    ),
    "invalid-free": Advice(
        "The wrong memory is freed",
        "Each kind of memory has its own function, and wants the pointer it gave.",
        "cudaMalloc and cudaMallocManaged: cudaFree. cudaMallocHost and cudaHostAlloc: "
        "cudaFreeHost. malloc: free. new: delete.",
    ),
    "leak": Advice(
        "Memory is never freed",
        "A GPU gives it back at the end of the program, but a function that leaks fills the GPU "
        "when it is called often.",
        "Call cudaFree (cudaFreeHost for memory of the host) when it is no longer needed.",
    ),
    "never-read": Advice(
        "Results that nobody has read",
        "The host and the GPU have memory of their own: what a kernel writes to its array the host "
        "sees only after a copy.",
        "Copy the result back, before it is looked at: cudaMemcpy(host, device, bytes, "
        "cudaMemcpyDeviceToHost).",
    ),
    "never-synchronized": Advice(
        "The program ends before its kernel",
        "A launch returns at once, and the end of main ends the kernel too.",
        "Call cudaDeviceSynchronize() before main returns, and look at what it returns.",
    ),
    "event-not-finished": Advice(
        "Time taken from an event that nobody waited for",
        "cudaEventRecord only puts the event into the stream.",
        "Call cudaEventSynchronize(stop) before cudaEventElapsedTime.",
    ),
    "out-of-memory": Advice(
        "Not enough memory",
        "The allocation failed, and the pointer is null.",
        "Ask for less, and check what cudaMalloc returns. Sizes are bytes, and negative ones "
        "become huge.",
    ),
    "invalid-argument": Advice("A call got an argument it cannot use"),
    "invalid-handle": Advice(
        "A stream or event that does not exist",
        "It was never created, or has been destroyed.",
        "Create it with cudaStreamCreate or cudaEventCreate, and destroy it after its last use.",
    ),
    "invalid-device": Advice(
        "There is no such device", "The emulator has one device, number 0.", "Use device 0."
    ),
    "not-emulated": Advice(
        "The emulator cannot do this",
        "It runs one block after the other on the CPU.",
        "Run this program on a GPU, or write that part without it.",
    ),
    "undefined": Advice(
        "Undefined behaviour (UBSan)",
        "The C++ standard gives this no meaning; compilers assume that it does not happen.",
        "The text names the operation: an index outside its array, an overflow, a wrong alignment.",
    ),
    "address": Advice(
        "Memory error (AddressSanitizer)",
        "The address belongs to no array, or to one that is gone.",
        "Compare the index with the array's size.",
    ),
    "program-failed": Advice(
        "The program itself reports failure",
        "It ended with an exit code other than 0.",
        "Read what it printed; perhaps its own check of the result failed.",
    ),
    "emulated-time": Advice("A time of the emulator, not of a GPU", is_note=True),
}
