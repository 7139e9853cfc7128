// What every source here begins with: `real`, float or double as it is compiled for, and sums over a warp and a block.

#define THREADS 256  // of a block, in all kernels

// One thread after the other takes element i of n, whatever the number of blocks.
#define FOR_EACH(i, n) \
    for (long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; i < (n); i += (long long)gridDim.x * blockDim.x)

__device__ inline real infinity() { return (real)__longlong_as_double(0x7ff0000000000000LL); }

// nan, once met, stays, as in NumPy's maximum.
__device__ inline real larger(real a, real b) { return a > b || a != a ? a : b; }

__device__ inline real warp_sum(real x) {
    for (int lane = 16; lane; lane /= 2) x += __shfl_xor_sync(0xffffffff, x, lane);
    return x;
}

__device__ inline real warp_max(real x) {
    for (int lane = 16; lane; lane /= 2) x = larger(x, __shfl_xor_sync(0xffffffff, x, lane));
    return x;
}

// The sum (the largest) over the THREADS threads of a block, known to all of them.
__device__ inline real block_sum(real x) {
    __shared__ real parts[THREADS / 32];
    x = warp_sum(x);
    __syncthreads();  // `parts` may still be read for the sum before
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    real total = 0;
    for (int i = 0; i < THREADS / 32; i++) total += parts[i];
    return total;
}

__device__ inline real block_max(real x) {
    __shared__ real parts[THREADS / 32];
    x = warp_max(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    real most = parts[0];
    for (int i = 1; i < THREADS / 32; i++) most = larger(most, parts[i]);
    return most;
}

// The same over a team of threads that are neighbours: one alone, a warp, or a block.
template <int TEAM>
__device__ inline real team_sum(real x) {
    if constexpr (TEAM == 1) return x;
    else if constexpr (TEAM == 32) return warp_sum(x);
    else return block_sum(x);
}

template <int TEAM>
__device__ inline real team_max(real x) {
    if constexpr (TEAM == 1) return x;
    else if constexpr (TEAM == 32) return warp_max(x);
    else return block_max(x);
}

// One team after the other takes row r of so many.
#define FOR_EACH_ROW(TEAM, r, rows)                                                                       \
    for (long long r = blockIdx.x * (long long)(THREADS / TEAM) + threadIdx.x / TEAM; r < (rows);         \
         r += gridDim.x * (long long)(THREADS / TEAM))
