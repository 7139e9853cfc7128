// mse_loss, or with `logits` binary_cross_entropy_with_logits, of n pairs: the sum, divided, and its gradient.

// The sum of each block; a single one has the result.
extern "C" __global__ void losses(const real* __restrict__ x, const real* __restrict__ target, real* parts, real* out,
                                  long long n, double divisor, bool logits) {
    real sum = 0;
    if (logits) {
#pragma unroll 4
        FOR_EACH(i, n) sum += (1 - target[i]) * x[i] - ((x[i] < 0 ? x[i] : (real)0) - log1p(exp(-fabs(x[i]))));
    } else {
#pragma unroll 4
        FOR_EACH(i, n) sum += (x[i] - target[i]) * (x[i] - target[i]);
    }
    sum = block_sum(sum);
    if (threadIdx.x) return;
    if (gridDim.x == 1) *out = sum / (real)divisor;
    else parts[blockIdx.x] = sum;
}

extern "C" __global__ void total_loss(const real* parts, real* out, long long blocks, double divisor) {
    real sum = 0;
    for (long long i = threadIdx.x; i < blocks; i += THREADS) sum += parts[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *out = sum / (real)divisor;
}

// `factor` g times input - target, or sigmoid(input) - target.
extern "C" __global__ void losses_back(const real* g, const real* __restrict__ x, const real* __restrict__ target,
                                       real* __restrict__ out, long long n, double factor, bool logits) {
    real scale = *g * (real)factor;
    FOR_EACH(i, n) out[i] = ((logits ? 1 / (1 + exp(-x[i])) : x[i]) - target[i]) * scale;
}
