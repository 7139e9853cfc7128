// cross_entropy and nll_loss of class numbers. The n classes of a sample lie `inner` apart; sample r begins at
// r / inner * n * inner + r % inner. What is kept for the backward: of each sample the largest input and the logarithm
// of the sum of exponentials around it, and at the end the factor that all losses share.

#define SAMPLE(r) ((r) / inner * n * inner + (r) % inner)

// 0 for a sample to be ignored. A class that there is not makes it nan: nothing is read for it.
__device__ inline real weight_of(long long target, const real* weight, long long n, long long ignored) {
    if (target == ignored) return 0;
    if (target < 0 || target >= n) return infinity() - infinity();
    return weight ? weight[target] : (real)1;
}

__device__ inline void finish(real losses, real weights, real* out, real* share, bool mean) {
    *out = mean ? losses / weights : losses;
    *share = mean ? 1 / weights : (real)1;
}

// Sums the losses and weights that the threads bring. A single block has the result; several leave parts (2, blocks).
__device__ inline void add_up(real losses, real weights, real* parts, real* out, real* share, bool mean) {
    losses = block_sum(losses), weights = block_sum(weights);
    if (threadIdx.x) return;
    if (gridDim.x == 1) finish(losses, weights, out, share, mean);
    else parts[blockIdx.x] = losses, parts[gridDim.x + blockIdx.x] = weights;
}

// The result from `blocks` parts; one block.
extern "C" __global__ void total(const real* parts, real* out, real* share, long long blocks, bool mean) {
    real losses = 0, weights = 0;
    for (long long i = threadIdx.x; i < blocks; i += THREADS) losses += parts[i], weights += parts[blocks + i];
    losses = block_sum(losses), weights = block_sum(weights);
    if (threadIdx.x == 0) finish(losses, weights, out, share, mean);
}

// The input is read once: where a larger one comes, the sum so far is scaled down. (Milakov & Gimelshein 2018.)
template <int TEAM>
__device__ inline void rows_of(const real* __restrict__ x, const long long* target, const real* weight, real* kept,
                               real* each, real* parts, real* out, long long rows, long long n, long long inner,
                               long long ignored, bool mean) {
    int lane = threadIdx.x % TEAM;
    real losses = 0, weights = 0;
    FOR_EACH_ROW(TEAM, r, rows) {
        const real* sample = x + SAMPLE(r);
        real most = -infinity(), sum = 0;
#pragma unroll 4
        for (long long i = lane; i < n; i += TEAM) {
            real value = sample[i * inner];
            if (value > most) sum = sum * exp(most - value) + 1, most = value;
            else if (value != -infinity()) sum += exp(value - most);
        }
        real top = team_max<TEAM>(most);
        real log_sum = log(team_sum<TEAM>(sum * exp(most - top)));
        if (lane == 0) {
            long long t = target[r];
            real w = weight_of(t, weight, n, ignored), loss = w;
            if (w == w && w != 0) loss *= log_sum - (sample[t * inner] - top);
            kept[r] = top, kept[rows + r] = log_sum;
            if (each) each[r] = loss;
            losses += loss, weights += w;
        }
    }
    if (!each) add_up(losses, weights, parts, out, kept + 2 * rows, mean);
    else if (threadIdx.x == 0 && blockIdx.x == 0) kept[2 * rows] = 1;
}

// The losses, to `each` or added up, by a `team` of one thread, a warp or a block for a sample.
extern "C" __global__ void cross_entropy(const real* x, const long long* target, const real* weight, real* kept,
                                         real* each, real* parts, real* out, long long rows, long long n,
                                         long long inner, long long ignored, bool mean, long long team) {
    if (team == 1) rows_of<1>(x, target, weight, kept, each, parts, out, rows, n, inner, ignored, mean);
    else if (team == 32) rows_of<32>(x, target, weight, kept, each, parts, out, rows, n, inner, ignored, mean);
    else rows_of<THREADS>(x, target, weight, kept, each, parts, out, rows, n, inner, ignored, mean);
}

// (softmax(x) - one_hot(target)) times weight, share and g, of which there is one for all samples or one for `each`.
template <int TEAM>
__device__ inline void rows_back(const real* g, const real* __restrict__ x, const long long* target,
                                 const real* weight, const real* __restrict__ kept, real* __restrict__ out,
                                 long long rows, long long n, long long inner, long long ignored, bool each) {
    int lane = threadIdx.x % TEAM;
    FOR_EACH_ROW(TEAM, r, rows) {
        long long start = SAMPLE(r), t = target[r];
        real w = weight_of(t, weight, n, ignored), scale = w == 0 ? (real)0 : g[each ? r : 0] * (w * kept[2 * rows]);
        real top = kept[r], log_sum = kept[rows + r];
#pragma unroll 4
        for (long long i = lane; i < n; i += TEAM) {
            real p = exp(x[start + i * inner] - top - log_sum);
            out[start + i * inner] = scale * (i == t ? p - 1 : p);
        }
    }
}

extern "C" __global__ void cross_entropy_back(const real* g, const real* x, const long long* target,
                                              const real* weight, const real* kept, real* out, long long rows,
                                              long long n, long long inner, long long ignored, bool each,
                                              long long team) {
    if (team == 1) rows_back<1>(g, x, target, weight, kept, out, rows, n, inner, ignored, each);
    else if (team == 32) rows_back<32>(g, x, target, weight, kept, out, rows, n, inner, ignored, each);
    else rows_back<THREADS>(g, x, target, weight, kept, out, rows, n, inner, ignored, each);
}

// The same for x that are logarithms of probabilities, a thread a sample. Only the share is kept.
extern "C" __global__ void nll_loss(const real* x, const long long* target, const real* weight, real* kept, real* each,
                                    real* parts, real* out, long long rows, long long n, long long inner,
                                    long long ignored, bool mean) {
    real losses = 0, weights = 0;
    FOR_EACH_ROW(1, r, rows) {
        long long t = target[r];
        real w = weight_of(t, weight, n, ignored), loss = w;
        if (w == w && w != 0) loss *= -x[SAMPLE(r) + t * inner];
        if (each) each[r] = loss;
        losses += loss, weights += w;
    }
    if (!each) add_up(losses, weights, parts, out, kept, mean);
    else if (threadIdx.x == 0 && blockIdx.x == 0) *kept = 1;
}

// The gradient at the targets, into zeros.
extern "C" __global__ void nll_loss_back(const real* g, const long long* target, const real* weight, const real* kept,
                                         real* out, long long rows, long long n, long long inner, long long ignored,
                                         bool each) {
    FOR_EACH(r, rows) {
        long long t = target[r];
        real w = weight_of(t, weight, n, ignored);
        if (w == w && w != 0) out[SAMPLE(r) + t * inner] = -(g[each ? r : 0] * (w * *kept));
    }
}
