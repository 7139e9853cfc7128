// softmax and log_softmax along an axis of n elements that lie `inner` apart. Row r begins at r / inner * n * inner +
// r % inner. A team of threads takes a row: one thread where neighbours lie in other rows, else a warp or a block.

template <int TEAM>
__device__ inline void softmax_of(const real* __restrict__ x, real* __restrict__ out, long long rows, long long n,
                                  long long inner, bool logarithm) {
    FOR_EACH_ROW(TEAM, r, rows) {
        long long start = r / inner * n * inner + r % inner;
        real most = -infinity(), sum = 0;
        for (long long i = threadIdx.x % TEAM; i < n; i += TEAM) most = larger(most, x[start + i * inner]);
        most = team_max<TEAM>(most);
        for (long long i = threadIdx.x % TEAM; i < n; i += TEAM) sum += exp(x[start + i * inner] - most);
        sum = team_sum<TEAM>(sum);
        real log_sum = log(sum);
        for (long long i = threadIdx.x % TEAM; i < n; i += TEAM) {
            real shifted = x[start + i * inner] - most;
            out[start + i * inner] = logarithm ? shifted - log_sum : exp(shifted) / sum;
        }
    }
}

// out * (g - sum(g * out)), or for the logarithm g - exp(out) * sum(g).
template <int TEAM>
__device__ inline void softmax_back_of(const real* __restrict__ g, const real* __restrict__ out,
                                       real* __restrict__ result, long long rows, long long n, long long inner,
                                       bool logarithm) {
    FOR_EACH_ROW(TEAM, r, rows) {
        long long start = r / inner * n * inner + r % inner;
        real sum = 0;
        for (long long i = threadIdx.x % TEAM; i < n; i += TEAM) {
            long long at = start + i * inner;
            sum += logarithm ? g[at] : g[at] * out[at];
        }
        sum = team_sum<TEAM>(sum);
        for (long long i = threadIdx.x % TEAM; i < n; i += TEAM) {
            long long at = start + i * inner;
            result[at] = logarithm ? g[at] - exp(out[at]) * sum : out[at] * (g[at] - sum);
        }
    }
}

extern "C" __global__ void softmax(const real* x, real* out, long long rows, long long n, long long inner,
                                   bool logarithm, long long team) {
    if (team == 1) softmax_of<1>(x, out, rows, n, inner, logarithm);
    else if (team == 32) softmax_of<32>(x, out, rows, n, inner, logarithm);
    else softmax_of<THREADS>(x, out, rows, n, inner, logarithm);
}

extern "C" __global__ void softmax_back(const real* g, const real* out, real* result, long long rows, long long n,
                                        long long inner, bool logarithm, long long team) {
    if (team == 1) softmax_back_of<1>(g, out, result, rows, n, inner, logarithm);
    else if (team == 32) softmax_back_of<32>(g, out, result, rows, n, inner, logarithm);
    else softmax_back_of<THREADS>(g, out, result, rows, n, inner, logarithm);
}
