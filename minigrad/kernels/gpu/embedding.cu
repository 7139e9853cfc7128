// Rows added to the rows of a table that their indices name: out[index[i]] += g[i], for g (count, width) and out
// (rows, width). Indices are int64, or int32 where `index` is null. Those out of range wrap around, as in CuPy's take;
// `padding` is an index that counts for nothing, -1 if there is none.

#define INDEX(i) (index ? index[i] : (long long)index32[i])

__device__ inline long long wrapped(long long row, long long rows) {
    if (row >= 0 && row < rows) return row;
    row %= rows;
    return row < 0 ? row + rows : row;
}

// One addition to memory for each element of g: the order of those to one place is left to chance.
extern "C" __global__ void add_rows(const real* g, const long long* index, const int* index32, real* out,
                                    long long count, long long width, long long rows, long long padding) {
    FOR_EACH(i, count * width) {
        long long row = INDEX(i / width);
        if (padding < 0 || row != padding) atomicAdd(out + wrapped(row, rows) * width + i % width, g[i]);
    }
}

#define WARPS (THREADS / 32)
#define COLUMNS 128  // of a block: four for each lane of a warp

// The same in a fixed order, for small tables. A block has COLUMNS columns of one row of `out`, and looks through all
// indices, a warp through a part of them. It adds to what `out` holds if `more`, else writes all of it.
extern "C" __global__ void add_rows_in_order(const real* g, const long long* index, const int* index32, real* out,
                                             long long count, long long width, long long rows, long long padding,
                                             bool more) {
    __shared__ real sums[WARPS][COLUMNS];
    long long tiles = (width + COLUMNS - 1) / COLUMNS, part = (count + WARPS - 1) / WARPS;
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (long long b = blockIdx.x; b < rows * tiles; b += gridDim.x) {
        long long row = b / tiles, first = b % tiles * COLUMNS, end = min((warp + 1) * part, count);
        real sum[COLUMNS / 32] = {};
        for (long long start = warp * part; start < end; start += 32) {
            long long named = -1;
            if (start + lane < end) {
                named = INDEX(start + lane);
                named = padding >= 0 && named == padding ? -1 : wrapped(named, rows);
            }
            for (unsigned here = __ballot_sync(0xffffffff, named == row); here; here &= here - 1) {
                const real* from = g + (start + __ffs(here) - 1) * width;
                for (int k = 0; k < COLUMNS / 32; k++)
                    if (first + k * 32 + lane < width) sum[k] += from[first + k * 32 + lane];
            }
        }
        for (int k = 0; k < COLUMNS / 32; k++) sums[warp][k * 32 + lane] = sum[k];
        __syncthreads();
        if (threadIdx.x < COLUMNS && first + threadIdx.x < width) {
            real* to = out + row * width + first + threadIdx.x;
            real total = more ? *to : (real)0;
            for (int w = 0; w < WARPS; w++) total += sums[w][threadIdx.x];
            *to = total;
        }
        __syncthreads();
    }
}
