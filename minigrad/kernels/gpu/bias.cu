// A bias added to every row, or to every plane of a channel, and the sums that are its gradient.

// x (n / inner, inner) += bias, row p being of channel p % channels: short rows, of one element in a linear layer.
extern "C" __global__ void add_to_rows(real* x, const real* bias, long long n, long long channels, long long inner) {
    FOR_EACH(i, n) x[i] += bias[(inner == 1 ? i : i / inner) % channels];
}

// The same for long rows, one block a row: nothing is divided for each element.
extern "C" __global__ void add_to_planes(real* x, const real* bias, long long planes, long long channels,
                                         long long inner) {
    for (long long p = blockIdx.x; p < planes; p += gridDim.x) {
        real b = bias[p % channels];
        for (long long i = threadIdx.x; i < inner; i += THREADS) x[p * inner + i] += b;
    }
}

#define WARPS (THREADS / 32)

// out (parts, columns): the sums down the columns of x (rows, columns), each over a part of `length` rows. A block takes
// 32 columns of a part, a thread of it every eighth row of one column.
extern "C" __global__ void sum_rows(const real* x, real* out, long long rows, long long columns, long long length) {
    __shared__ real sums[WARPS][33];
    long long tiles = (columns + 31) / 32, parts = (rows + length - 1) / length;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (long long b = blockIdx.x; b < tiles * parts; b += gridDim.x) {
        long long part = b / tiles, column = b % tiles * 32 + lane, end = min((part + 1) * length, rows);
        real sum = 0;
        if (column < columns)
            for (long long r = part * length + warp; r < end; r += WARPS) sum += x[r * columns + column];
        sums[warp][lane] = sum;
        __syncthreads();
        if (warp == 0 && column < columns) {
            for (int w = 1; w < WARPS; w++) sum += sums[w][lane];
            out[part * columns + column] = sum;
        }
        __syncthreads();
    }
}

// out (parts, channels): the sums over planes of x (n, channels, inner). Planes are cut into segments of `segment`
// elements; a part is `length` segments of the planes of all n. A block takes a part of a channel, a warp a segment.
extern "C" __global__ void sum_planes(const real* x, real* out, long long n, long long channels, long long inner,
                                      long long segment, long long length) {
    long long cuts = (inner + segment - 1) / segment, parts = (n * cuts + length - 1) / length;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (long long b = blockIdx.x; b < channels * parts; b += gridDim.x) {
        long long part = b / channels, channel = b % channels, end = min((part + 1) * length, n * cuts);
        real sum = 0;
        for (long long s = part * length + warp; s < end; s += WARPS) {
            const real* plane = x + (s / cuts * channels + channel) * inner;
            long long start = s % cuts * segment, stop = min(start + segment, inner);
            for (long long i = start + lane; i < stop; i += 32) sum += plane[i];
        }
        sum = block_sum(sum);
        if (threadIdx.x == 0) out[part * channels + channel] = sum;
    }
}
