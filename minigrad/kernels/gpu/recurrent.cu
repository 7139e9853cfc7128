// A step of a recurrent cell for n elements of its state, and its derivative, each one kernel between two products.
//
// Gates lie side by side, (rows, G * size): on the way there the sums, replaced by the gates themselves. `h` and `c` hold
// the state before the step and then after it; the state before is kept in `before` and `cells` for the derivative, and
// h' is also put out. On the way back g_h (g_c) is the gradient of the state after the step and then, where that takes
// no product, before it; g_out, if not null, that of what was put out.

#define GRADIENT(i) (g_h[i] + (g_out ? g_out[i] : (real)0))

__device__ inline real logistic(real x) { return 1 / (1 + exp(-x)); }

// i, f, o = sigmoid and g = tanh of the sums; c' = f c + i g; h' = o tanh(c').
extern "C" __global__ void lstm(real* gates, real* h, real* c, real* out, real* before, real* cells, long long n,
                                long long size) {
    FOR_EACH(i, n) {
        long long at = i / size * 4 * size + i % size;
        real in = logistic(gates[at]), forget = logistic(gates[at + size]);
        real candidate = tanh(gates[at + 2 * size]), put = logistic(gates[at + 3 * size]);
        gates[at] = in, gates[at + size] = forget, gates[at + 2 * size] = candidate, gates[at + 3 * size] = put;
        before[i] = h[i];
        cells[i] = c[i];
        c[i] = forget * c[i] + in * candidate;
        out[i] = h[i] = put * tanh(c[i]);
    }
}

extern "C" __global__ void lstm_back(const real* gates, const real* cells, const real* g_out, const real* g_h, real* g_c,
                                     real* slopes, long long n, long long size) {
    FOR_EACH(i, n) {
        long long at = i / size * 4 * size + i % size;
        real in = gates[at], forget = gates[at + size], candidate = gates[at + 2 * size], put = gates[at + 3 * size];
        real curved = tanh(forget * cells[i] + in * candidate);
        real gh = GRADIENT(i), gc = g_c[i] + gh * put * (1 - curved * curved);
        slopes[at] = gc * candidate * in * (1 - in);
        slopes[at + size] = gc * cells[i] * forget * (1 - forget);
        slopes[at + 2 * size] = gc * in * (1 - candidate * candidate);
        slopes[at + 3 * size] = gh * curved * put * (1 - put);
        g_c[i] = gc * forget;
    }
}

// r, z = sigmoid of the sums with those of h, which `from_h` and `bias` (or null) are; n = tanh(x_n + r h_n), of which
// `candidates` keeps h_n; h' = n + z (h - n).
extern "C" __global__ void gru(real* gates, const real* from_h, const real* bias, real* h, real* out, real* before,
                               real* candidates, long long n, long long size) {
    FOR_EACH(i, n) {
        long long at = i / size * 3 * size + i % size;
        real sums[3];
        for (int k = 0; k < 3; k++) sums[k] = from_h[at + k * size] + (bias ? bias[i % size + k * size] : (real)0);
        real r = logistic(gates[at] + sums[0]), z = logistic(gates[at + size] + sums[1]);
        real fresh = tanh(gates[at + 2 * size] + r * sums[2]);
        gates[at] = r, gates[at + size] = z, gates[at + 2 * size] = fresh;
        before[i] = h[i];
        candidates[i] = sums[2];
        out[i] = h[i] = fresh + z * (h[i] - fresh);
    }
}

// `from_x` and `from_h` are the slopes of the two sums; g_h goes on with the part that takes no product.
extern "C" __global__ void gru_back(const real* gates, const real* before, const real* candidates, const real* g_out,
                                    real* g_h, real* from_x, real* from_h, long long n, long long size) {
    FOR_EACH(i, n) {
        long long at = i / size * 3 * size + i % size;
        real r = gates[at], z = gates[at + size], fresh = gates[at + 2 * size], gh = GRADIENT(i);
        real slope = gh * (1 - z) * (1 - fresh * fresh);
        from_x[at] = from_h[at] = slope * candidates[i] * r * (1 - r);
        from_x[at + size] = from_h[at + size] = gh * (before[i] - fresh) * z * (1 - z);
        from_x[at + 2 * size] = slope;
        from_h[at + 2 * size] = slope * r;
        g_h[i] = gh * z;
    }
}

// h' = tanh of the sum, or relu.
extern "C" __global__ void rnn(real* gates, real* h, real* out, real* before, long long n, bool is_tanh) {
    FOR_EACH(i, n) {
        before[i] = h[i];
        real x = gates[i];
        gates[i] = out[i] = h[i] = is_tanh ? tanh(x) : x < 0 ? 0 : x;
    }
}

extern "C" __global__ void rnn_back(const real* gates, const real* g_out, const real* g_h, real* slopes, long long n,
                                    bool is_tanh) {
    FOR_EACH(i, n) {
        real x = gates[i];
        slopes[i] = GRADIENT(i) * (is_tanh ? 1 - x * x : x > 0 ? (real)1 : (real)0);
    }
}
