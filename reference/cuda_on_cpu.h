// CUDA's language on the CPU: a launch runs its blocks one after the other, the threads of a block as fibers that take
// turns at barriers and shuffles. Between two barriers every thread runs to the end before the next one starts, forwards
// and backwards in turn, so what a missing barrier leaves to chance comes out wrong. Errors: a barrier that not all
// threads reach, a shuffle that not all lanes reach.
#pragma once
#undef _FORTIFY_SOURCE  // its longjmp refuses to change stacks
#include <math.h>  // in C++ with functions of float beside those of double, as in CUDA
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>
#include <memory>
#include <vector>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __restrict__
#define __shared__ static
#define __launch_bounds__(...)
#define __grid_constant__

using std::max;
using std::min;

struct dim3 {
    unsigned x, y, z;
};

static dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

enum State { READY, AT_BARRIER, AT_SHUFFLE, DONE };

struct Fiber {
    ucontext_t context;  // with which it begins, once; then it is a place to jump to, which needs no system call
    jmp_buf place;
    bool begun = false;
    dim3 index;
    State state;
};

static const size_t STACK = 1 << 16;
static std::vector<Fiber> fibers;
static std::unique_ptr<char[]> stacks;
static size_t stacks_for = 0;
static jmp_buf scheduler;
static Fiber* current = nullptr;
static void (*body)(void*);
static void* closure;
static uint64_t exchanged[1024];

inline void wait(State state) {
    current->state = state;
    if (!_setjmp(current->place)) _longjmp(scheduler, 1);
}

static void enter() {
    for (;;) {  // a thread of one block after the other
        body(closure);
        wait(DONE);
    }
}

__attribute__((noinline)) static void resume(Fiber* fiber) {
    if (_setjmp(scheduler)) return;
    current = fiber;
    threadIdx = fiber->index;
    if (fiber->begun) _longjmp(fiber->place, 1);
    fiber->begun = true;
    setcontext(&fiber->context);
}

inline unsigned rank() {
    return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}

// Lets go on who can: the lanes of a warp that all stand at a shuffle, else all threads if all stand at a barrier.
inline bool release() {
    bool any = false, alive = false, all_at_barrier = true;
    for (size_t first = 0; first < fibers.size(); first += 32) {
        size_t last = std::min(first + 32, fibers.size());
        bool together = true, some = false;
        for (size_t i = first; i < last; i++) {
            if (fibers[i].state == DONE) continue;
            some = true;
            together &= fibers[i].state == AT_SHUFFLE;
            all_at_barrier &= fibers[i].state == AT_BARRIER;
        }
        alive |= some;
        if (some && together) {
            any = true;
            for (size_t i = first; i < last; i++)
                if (fibers[i].state != DONE) fibers[i].state = READY;
        }
    }
    if (any || !alive) return any;
    if (all_at_barrier)
        for (auto& fiber : fibers)
            if (fiber.state != DONE) fiber.state = READY;
    return all_at_barrier;
}

// 0, or 1 if threads wait for others that never come.
inline int run_block(bool plain) {
    size_t n = (size_t)blockDim.x * blockDim.y * blockDim.z, i = 0;
    if (plain) {  // no barriers: no fibers
        for (unsigned z = 0; z < blockDim.z; z++)
            for (unsigned y = 0; y < blockDim.y; y++)
                for (unsigned x = 0; x < blockDim.x; x++) {
                    threadIdx = {x, y, z};
                    body(closure);
                }
        return 0;
    }
    if (stacks_for < n) stacks.reset(new char[n * STACK]), stacks_for = n, fibers.clear();
    fibers.resize(n);
    for (unsigned z = 0; z < blockDim.z; z++)
        for (unsigned y = 0; y < blockDim.y; y++)
            for (unsigned x = 0; x < blockDim.x; x++, i++) {
                Fiber& fiber = fibers[i];
                fiber.index = {x, y, z};
                fiber.state = READY;
                if (fiber.begun) continue;
                getcontext(&fiber.context);
                fiber.context.uc_stack.ss_sp = stacks.get() + i * STACK;
                fiber.context.uc_stack.ss_size = STACK;
                fiber.context.uc_link = nullptr;
                makecontext(&fiber.context, enter, 0);
            }
    for (bool backwards = false;; backwards = !backwards) {
        for (size_t k = 0; k < n; k++) {
            Fiber& fiber = fibers[backwards ? n - 1 - k : k];
            if (fiber.state == READY) resume(&fiber);
        }
        if (!release()) break;
    }
    for (auto& fiber : fibers)
        if (fiber.state != DONE) {
            fibers.clear();  // they stand in the middle of this block
            return 1;
        }
    return 0;
}

template <typename F>
int run(const unsigned* grid, const unsigned* block, bool plain, F f) {
    gridDim = {grid[0], grid[1], grid[2]};
    blockDim = {block[0], block[1], block[2]};
    body = [](void* f) { (*(F*)f)(); };
    closure = &f;
    for (unsigned z = 0; z < gridDim.z; z++)
        for (unsigned y = 0; y < gridDim.y; y++)
            for (unsigned x = 0; x < gridDim.x; x++) {
                blockIdx = {x, y, z};
                if (run_block(plain)) return 1;
            }
    return 0;
}

template <typename T>
T exchange(T value, unsigned from) {
    unsigned self = rank();
    exchanged[self] = 0;
    memcpy(&exchanged[self], &value, sizeof value);
    wait(AT_SHUFFLE);
    T result;
    memcpy(&result, &exchanged[from], sizeof value);
    wait(AT_SHUFFLE);  // before anyone overwrites it
    return result;
}

}  // namespace emulated

inline void __syncthreads() { emulated::wait(emulated::AT_BARRIER); }
inline void __syncwarp(unsigned = 0xffffffff) { emulated::wait(emulated::AT_SHUFFLE); }
inline void __threadfence() {}

template <typename T>
T __shfl_xor_sync(unsigned, T value, int lanes) {
    return emulated::exchange(value, emulated::rank() ^ lanes);
}
template <typename T>
T __shfl_down_sync(unsigned, T value, unsigned lanes) {
    unsigned self = emulated::rank();
    return emulated::exchange(value, self % 32 + lanes < 32 ? self + lanes : self);
}
template <typename T>
T __shfl_sync(unsigned, T value, int lane) {
    return emulated::exchange(value, emulated::rank() / 32 * 32 + lane);
}

inline unsigned __ballot_sync(unsigned, bool yes) {
    unsigned self = emulated::rank(), first = self / 32 * 32, mask = 0;
    emulated::exchanged[self] = yes;
    emulated::wait(emulated::AT_SHUFFLE);
    for (unsigned i = first; i < first + 32 && i < emulated::fibers.size(); i++)
        if (emulated::fibers[i].state != emulated::DONE) mask |= (unsigned)emulated::exchanged[i] << (i - first);
    emulated::wait(emulated::AT_SHUFFLE);
    return mask;
}
inline int __ffs(int x) { return __builtin_ffs(x); }

template <typename T, typename V>
T atomicAdd(T* to, V value) {
    T before = *to;
    *to += (T)value;
    return before;
}
template <typename T, typename V>
T atomicMax(T* to, V value) {
    T before = *to;
    if ((T)value > before) *to = (T)value;
    return before;
}

inline float rsqrt(float x) { return 1 / sqrt(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned)((uint64_t)a * b >> 32); }
inline double __longlong_as_double(long long bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}
