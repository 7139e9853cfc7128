// Steps of optimizers, and norms and bounds of gradients, over many arrays at once. A table, which is a parameter of
// the kernel, says where they lie; a block takes CHUNK elements of one of them, which it finds by its number.
// The updates round after every operation (`times`, `plus`), where the compiler would fuse two: so they are NumPy's.

#define MOST 80     // tensors of a launch: its parameters are to stay below 4 KB
#define CHUNK 2048  // elements of a block
#define LANES (16 / (int)sizeof(real))

struct Tensors {
    real* at[5][MOST];  // columns: the parameter, its gradient, the arrays of its state
    int sizes[MOST];
    int first[MOST + 1];  // block of each tensor, and how many blocks there are
};

struct Counts {
    float* at[MOST];
};

struct alignas(16) Lanes {
    real x[LANES];
};

__device__ inline float times(float a, float b) { return __fmul_rn(a, b); }
__device__ inline double times(double a, double b) { return __dmul_rn(a, b); }
__device__ inline float plus(float a, float b) { return __fadd_rn(a, b); }
__device__ inline double plus(double a, double b) { return __dadd_rn(a, b); }

__device__ inline real smaller(real a, real b) { return a < b || a != a ? a : b; }  // nan stays

// The number itself, or what lies on the device in its place.
__device__ inline double number(const float* single, const double* twice, double value) {
    return single ? (double)*single : twice ? *twice : value;
}

// The last tensor whose first block is not beyond `block`; those without elements have no block.
__device__ inline int tensor_of(const Tensors& table, int count, int block) {
    int low = 0, high = count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (table.first[middle] <= block) low = middle;
        else high = middle - 1;
    }
    return low;
}

// f(values) for every element of the block's stretch of tensor k, values being those of N columns, which it changes.
// The gradient, column 1, is not written.
template <int N, typename F>
__device__ inline void over_stretch(const Tensors& table, int k, int block, F f) {
    long long begin = (long long)(block - table.first[k]) * CHUNK, end = min(begin + CHUNK, (long long)table.sizes[k]);
    real* at[N];
    unsigned long long low_bits = 0;
#pragma unroll
    for (int n = 0; n < N; n++) low_bits |= (unsigned long long)(at[n] = table.at[n][k]);
    long long wide = low_bits % 16 ? begin : end - (end - begin) % LANES;  // up to here, LANES elements at once
    for (long long i = begin + threadIdx.x * LANES; i < wide; i += THREADS * LANES) {
        Lanes loaded[N];
#pragma unroll
        for (int n = 0; n < N; n++) loaded[n] = *(const Lanes*)(at[n] + i);
#pragma unroll
        for (int lane = 0; lane < LANES; lane++) {
            real values[N];
#pragma unroll
            for (int n = 0; n < N; n++) values[n] = loaded[n].x[lane];
            f(values);
#pragma unroll
            for (int n = 0; n < N; n++) loaded[n].x[lane] = values[n];
        }
#pragma unroll
        for (int n = 0; n < N; n++)
            if (n != 1) *(Lanes*)(at[n] + i) = loaded[n];
    }
    for (long long i = wide + threadIdx.x; i < end; i += THREADS) {
        real values[N];
#pragma unroll
        for (int n = 0; n < N; n++) values[n] = at[n][i];
        f(values);
#pragma unroll
        for (int n = 0; n < N; n++)
            if (n != 1) at[n][i] = values[n];
    }
}

#define OVER_BLOCKS(block, table, count) for (int block = blockIdx.x; block < (table).first[count]; block += gridDim.x)

// -- the updates --------------------------------------------------------------------------------------------------------

template <int N>
__device__ inline void sgd_over(const Tensors& table, int count, real rate, real decay, real momentum, real fresh,
                                bool nesterov, bool maximize, bool begins) {
    OVER_BLOCKS(block, table, count) {
        over_stretch<N>(table, tensor_of(table, count, block), block, [&](real* x) {
            real d = maximize ? -x[1] : x[1];
            if (decay != 0) d = plus(d, times(decay, x[0]));
            if (N == 3) {
                real& v = x[N - 1];
                v = begins ? d : plus(times(v, momentum), times(fresh, d));
                d = nesterov ? plus(d, times(momentum, v)) : v;
            }
            x[0] = plus(x[0], -times(rate, d));
        });
    }
}

// Columns: p, g, with a momentum also the velocity; `begins`: there was none, and the gradient becomes it.
extern "C" __global__ void sgd(const __grid_constant__ Tensors table, long long count, const float* lr32,
                               const double* lr64, double lr, double decay, double momentum, double fresh,
                               bool nesterov, bool maximize, bool begins) {
    real rate = number(lr32, lr64, lr);
    if (momentum != 0) sgd_over<3>(table, count, rate, decay, momentum, fresh, nesterov, maximize, begins);
    else sgd_over<2>(table, count, rate, decay, 0, 0, false, maximize, false);
}

template <int N>
__device__ inline void adam_over(const Tensors& table, int count, const double* factors, double step, double root,
                                 double shrink, real fresh, real past, bool near, real b2, real rest, real eps,
                                 real decay, bool shrinks, bool maximize) {
    OVER_BLOCKS(block, table, count) {
        int k = tensor_of(table, count, block);
        real size = factors ? factors[3 * k] : step, scale = factors ? factors[3 * k + 1] : root;
        real kept = factors ? factors[3 * k + 2] : shrink;
        over_stretch<N>(table, k, block, [&](real* x) {
            real d = maximize ? -x[1] : x[1], &p = x[0], &m = x[2], &v = x[3];
            if (shrinks) p = times(p, kept);
            else if (decay != 0) d = plus(d, times(decay, p));
            real gap = plus(d, -m);
            m = near ? plus(m, times(fresh, gap)) : plus(d, -times(past, gap));
            v = plus(times(v, b2), times(times(rest, d), d));
            real most = v;
            if (N == 5) most = x[N - 1] = larger(x[N - 1], v);
            p = plus(p, -(times(size, m) / plus(sqrt(most) / scale, eps)));
        });
    }
}

// Columns: p, g, m, v, with amsgrad also the largest v. Of every tensor, lr / (1 - b1^t), sqrt(1 - b2^t) and
// 1 - lr decay are in `factors`, or else those of all are `step`, `root` and `shrink`; `shrinks`: the decay is
// decoupled. m goes on by fresh = 1 - b1 towards the gradient; `near`: less than half of the way.
extern "C" __global__ void adam(const __grid_constant__ Tensors table, long long count, const double* factors,
                                double step, double root, double shrink, double fresh, double past, bool near,
                                double b2, double rest, double eps, double decay, bool shrinks, bool maximize,
                                bool amsgrad) {
    if (amsgrad)
        adam_over<5>(table, count, factors, step, root, shrink, fresh, past, near, b2, rest, eps, decay, shrinks,
                     maximize);
    else
        adam_over<4>(table, count, factors, step, root, shrink, fresh, past, near, b2, rest, eps, decay, shrinks,
                     maximize);
}

// Count the steps up where they are kept on the device, and compute from them what `adam` needs.
extern "C" __global__ void adam_factors(const __grid_constant__ Counts steps, long long count, double* factors,
                                        const float* lr32, const double* lr64, double lr, double b1, double b2,
                                        double decay) {
    FOR_EACH(k, count) {
        double t = *steps.at[k] += 1, rate = number(lr32, lr64, lr);
        factors[3 * k] = rate / plus(1.0, -pow(b1, t));
        factors[3 * k + 1] = sqrt(plus(1.0, -pow(b2, t)));
        factors[3 * k + 2] = plus(1.0, -times(rate, decay));
    }
}

template <int N>
__device__ inline void rmsprop_over(const Tensors& table, int count, real rate, real alpha, real fresh, real past,
                                    bool near, real eps, real decay, real momentum, bool centered, bool maximize) {
    OVER_BLOCKS(block, table, count) {
        over_stretch<N>(table, tensor_of(table, count, block), block, [&](real* x) {
            real d = maximize ? -x[1] : x[1], &p = x[0], &v = x[2];
            if (decay != 0) d = plus(d, times(decay, p));
            v = plus(times(v, alpha), times(times(fresh, d), d));
            real spread = v;
            if (N > 3 && centered) {
                real &mean = x[N - 1], gap = plus(d, -mean);
                mean = near ? plus(mean, times(fresh, gap)) : plus(d, -times(past, gap));
                spread = plus(v, -times(mean, mean));
            }
            real size = plus(sqrt(spread), eps);
            if (N > 3 && momentum > 0) {
                real& b = x[N > 3 ? 3 : 0];
                b = plus(times(b, momentum), d / size);
                p = plus(p, -times(rate, b));
            } else {
                p = plus(p, -(times(rate, d) / size));
            }
        });
    }
}

// Columns: p, g, the mean of squares, with a momentum its buffer, if centered the mean. The means go on by
// fresh = 1 - alpha; `near`: less than half of the way.
extern "C" __global__ void rmsprop(const __grid_constant__ Tensors table, long long count, const float* lr32,
                                   const double* lr64, double lr, double alpha, double fresh, double past, bool near,
                                   double eps, double decay, double momentum, bool centered, bool maximize) {
    real rate = number(lr32, lr64, lr);
    int more = centered + (momentum > 0);
    if (more == 0)
        rmsprop_over<3>(table, count, rate, alpha, fresh, past, near, eps, decay, momentum, centered, maximize);
    else if (more == 1)
        rmsprop_over<4>(table, count, rate, alpha, fresh, past, near, eps, decay, momentum, centered, maximize);
    else
        rmsprop_over<5>(table, count, rate, alpha, fresh, past, near, eps, decay, momentum, centered, maximize);
}

extern "C" __global__ void count_up(const __grid_constant__ Counts steps, long long count) {
    FOR_EACH(k, count) *steps.at[k] += 1;
}

// -- gradients, in column 0 ---------------------------------------------------------------------------------------------

// The sum of the squares that each block of the launch meets.
extern "C" __global__ void squares(const __grid_constant__ Tensors table, long long count, real* sums) {
    real sum = 0;
    OVER_BLOCKS(block, table, count) {
        int k = tensor_of(table, count, block);
        long long begin = (long long)(block - table.first[k]) * CHUNK;
        long long end = min(begin + CHUNK, (long long)table.sizes[k]);
        const real* g = table.at[0][k];
#pragma unroll 4
        for (long long i = begin + threadIdx.x; i < end; i += THREADS) sum += g[i] * g[i];
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

extern "C" __global__ void root_of_sum(const real* sums, long long n, real* norm) {
    real sum = 0;
    for (long long i = threadIdx.x; i < n; i += THREADS) sum += sums[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *norm = sqrt(sum);
}

// Times most / norm, unless that is more than 1.
extern "C" __global__ void shorten(const __grid_constant__ Tensors table, long long count, const real* norm,
                                   double most) {
    real factor = smaller(times(1 / plus(*norm, (real)1e-6), (real)most), 1);
    OVER_BLOCKS(block, table, count) {
        over_stretch<1>(table, tensor_of(table, count, block), block, [&](real* x) { x[0] = times(x[0], factor); });
    }
}

// Into [-bound, bound].
extern "C" __global__ void confine(const __grid_constant__ Tensors table, long long count, double bound) {
    real high = bound, low = -bound;
    OVER_BLOCKS(block, table, count) {
        over_stretch<1>(table, tensor_of(table, count, block), block,
                        [&](real* x) { x[0] = smaller(larger(x[0], low), high); });
    }
}

extern "C" __global__ void clear(const __grid_constant__ Tensors table, long long count) {
    OVER_BLOCKS(block, table, count) {
        over_stretch<1>(table, tensor_of(table, count, block), block, [](real* x) { x[0] = 0; });
    }
}
