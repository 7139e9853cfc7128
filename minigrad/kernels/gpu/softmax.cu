// softmax and log_softmax along an axis of n elements that lie `inner` apart, one block a row.
// Row r begins at r / inner * n * inner + r % inner.

#define ROW(r) (((r) / inner) * n * inner + (r) % inner)

extern "C" __global__ void softmax(const real* x, real* out, long long rows, long long n, long long inner, bool log_) {
    for (long long r = blockIdx.x; r < rows; r += gridDim.x) {
        long long start = ROW(r);
        real most = -infinity(), sum = 0;
        for (long long i = threadIdx.x; i < n; i += THREADS) most = larger(most, x[start + i * inner]);
        most = block_max(most);
        for (long long i = threadIdx.x; i < n; i += THREADS) sum += exp(x[start + i * inner] - most);
        sum = block_sum(sum);
        real log_sum = log(sum);
        for (long long i = threadIdx.x; i < n; i += THREADS) {
            real shifted = x[start + i * inner] - most;
            out[start + i * inner] = log_ ? shifted - log_sum : exp(shifted) / sum;
        }
    }
}

// out * (g - sum(g * out)), or for the logarithm g - exp(out) * sum(g).
extern "C" __global__ void softmax_back(const real* g, const real* out, real* result, long long rows, long long n,
                                        long long inner, bool log_) {
    for (long long r = blockIdx.x; r < rows; r += gridDim.x) {
        long long start = ROW(r);
        real sum = 0;
        for (long long i = threadIdx.x; i < n; i += THREADS)
            sum += log_ ? g[start + i * inner] : g[start + i * inner] * out[start + i * inner];
        sum = block_sum(sum);
        for (long long i = threadIdx.x; i < n; i += THREADS) {
            long long at = start + i * inner;
            result[at] = log_ ? g[at] - exp(out[at]) * sum : out[at] * (g[at] - sum);
        }
    }
}
