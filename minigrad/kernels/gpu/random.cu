// Random numbers by Philox4x32-10: `kernels/philox.py` has the same in NumPy, and says which element gets which words.
// Every kernel takes a seed and an offset, or a buffer (seed, offset) to whose offset its own is added.

struct Words {
    unsigned at[4];
};

// N values as they are written at once.
template <typename T, int N>
struct alignas(N * sizeof(T) < 16 ? N * sizeof(T) : 16) Pack {
    T at[N];
};

__device__ inline Words philox(unsigned long long counter, unsigned long long seed) {
    unsigned a = (unsigned)counter, b = (unsigned)(counter >> 32), c = 0, d = 0;
    unsigned k = (unsigned)seed, l = (unsigned)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        unsigned p = 0xD2511F53u * a, p_high = __umulhi(0xD2511F53u, a);
        unsigned q = 0xCD9E8D57u * c, q_high = __umulhi(0xCD9E8D57u, c);
        a = q_high ^ b ^ k, b = q, c = p_high ^ d ^ l, d = p;
        k += 0x9E3779B9u, l += 0xBB67AE85u;
    }
    return {{a, b, c, d}};
}

// The k-th four words of a draw.
__device__ inline Words words(long long k, long long seed, long long offset, const unsigned long long* state) {
    unsigned long long key = state ? state[0] : (unsigned long long)seed;
    unsigned long long start = (state ? state[1] : 0) + (unsigned long long)offset;
    return philox(start / 4 + k, key);
}

__device__ inline unsigned long long bits64(const Words& w, int j) {
    return (unsigned long long)w.at[2 * j] << 32 | w.at[2 * j + 1];
}

__device__ inline double digits53(const Words& w, int j) { return (double)(bits64(w, j) & ((1ULL << 53) - 1)); }

// The j-th number of four words, uniform on [0, 1): four floats or two doubles.
__device__ inline float unit(const Words& w, int j, float) { return (float)(w.at[j] & 0xFFFFFF) * (float)0x1p-24; }
__device__ inline double unit(const Words& w, int j, double) { return digits53(w, j) * 0x1p-53; }

constexpr int REALS = 16 / sizeof(real);  // that four words give

// Each four words give N values, written by values(words, x).
template <int N, typename T, typename F>
__device__ inline void fill(T* out, long long n, long long seed, long long offset, const unsigned long long* state,
                            F values) {
    bool aligned = (unsigned long long)out % alignof(Pack<T, N>) == 0;
    FOR_EACH(k, (n + N - 1) / N) {
        Pack<T, N> pack;
        values(words(k, seed, offset, state), pack.at);
        if (aligned && (k + 1) * N <= n) {
            *(Pack<T, N>*)(out + k * N) = pack;
            continue;
        }
#pragma unroll
        for (int j = 0; j < N; j++)
            if (k * N + j < n) out[k * N + j] = pack.at[j];
    }
}

extern "C" __global__ void uniform(real* out, long long n, double low, double width, double high, long long seed,
                                   long long offset, const unsigned long long* state) {
    fill<REALS>(out, n, seed, offset, state, [=](const Words& w, real* x) {
        for (int j = 0; j < REALS; j++) {
            real y = fma(unit(w, j, (real)0), (real)width, (real)low);
            x[j] = y == (real)high ? (real)low : y;
        }
    });
}

// A pair of numbers for Box and Muller: (0, 1] and [0, 1].
__device__ inline void pair(const Words& w, int j, float& a, float& b) {
    a = ((float)w.at[j] + 1) * (float)0x1p-32, b = (float)w.at[j + 1] * (float)0x1p-32;
}
__device__ inline void pair(const Words& w, int, double& a, double& b) {
    a = (digits53(w, 0) + 1) * 0x1p-53, b = digits53(w, 1) * 0x1p-53;
}

// Normal numbers, or those of which they are the logarithms.
extern "C" __global__ void normal(real* out, long long n, double mean, double std, bool exp_, long long seed,
                                  long long offset, const unsigned long long* state) {
    fill<REALS>(out, n, seed, offset, state, [=](const Words& w, real* x) {
        for (int j = 0; j < REALS; j += 2) {
            real a, b;
            pair(w, j, a, b);
            real radius = sqrt((real)-2 * log(a)), angle = (real)6.283185307179586 * b;
            x[j] = fma(radius * cos(angle), (real)std, (real)mean);
            x[j + 1] = fma(radius * sin(angle), (real)std, (real)mean);
        }
        if (exp_)
            for (int j = 0; j < REALS; j++) x[j] = exp(x[j]);
    });
}

// scale * log(1 - u)
extern "C" __global__ void exponential(real* out, long long n, double scale, long long seed, long long offset,
                                       const unsigned long long* state) {
    fill<2>(out, n, seed, offset, state, [=](const Words& w, real* x) {
        for (int j = 0; j < 2; j++) x[j] = (real)(scale * log1p(-unit(w, j, 0.0)));
    });
}

extern "C" __global__ void cauchy(real* out, long long n, double median, double sigma, long long seed, long long offset,
                                  const unsigned long long* state) {
    fill<2>(out, n, seed, offset, state, [=](const Words& w, real* x) {
        for (int j = 0; j < 2; j++) x[j] = (real)fma(tan(3.141592653589793 * (unit(w, j, 0.0) - 0.5)), sigma, median);
    });
}

extern "C" __global__ void geometric(real* out, long long n, double log_failure, long long seed, long long offset,
                                     const unsigned long long* state) {
    fill<2>(out, n, seed, offset, state, [=](const Words& w, real* x) {
        for (int j = 0; j < 2; j++) x[j] = (real)ceil(log(unit(w, j, 0.0)) / log_failure);
    });
}

// low + word % width, of words of 64 bits or of 32; a width of 0 is 2**64.
extern "C" __global__ void integers(long long* out, long long n, long long low, long long width, bool wide,
                                    long long seed, long long offset, const unsigned long long* state) {
    auto value = [=](unsigned long long word) {
        return (long long)((unsigned long long)low + (width ? word % (unsigned long long)width : word));
    };
    if (wide)
        fill<2>(out, n, seed, offset, state, [=](const Words& w, long long* x) {
            for (int j = 0; j < 2; j++) x[j] = value(bits64(w, j));
        });
    else
        fill<4>(out, n, seed, offset, state, [=](const Words& w, long long* x) {
            for (int j = 0; j < 4; j++) x[j] = value(w.at[j]);
        });
}

// 1 where a word is below the limit, else 0; as numbers, and as truth values.
extern "C" __global__ void bernoulli(real* out, long long n, long long limit, long long seed, long long offset,
                                     const unsigned long long* state) {
    fill<4>(out, n, seed, offset, state, [=](const Words& w, real* x) {
        for (int j = 0; j < 4; j++) x[j] = (long long)w.at[j] < limit;
    });
}

extern "C" __global__ void truth(bool* out, long long n, long long limit, long long seed, long long offset,
                                 const unsigned long long* state) {
    fill<4>(out, n, seed, offset, state, [=](const Words& w, bool* x) {
        for (int j = 0; j < 4; j++) x[j] = (long long)w.at[j] < limit;
    });
}

// True with a probability for each element.
extern "C" __global__ void truth_each(const real* p, bool* out, long long n, long long seed, long long offset,
                                      const unsigned long long* state) {
    FOR_EACH(k, (n + REALS - 1) / REALS) {
        Words w = words(k, seed, offset, state);
#pragma unroll
        for (int j = 0; j < REALS; j++) {
            long long i = k * REALS + j;
            if (i < n) out[i] = unit(w, j, (real)0) < p[i];
        }
    }
}

// x * scale where a word is below the limit, else x * 0.
extern "C" __global__ void dropout(const real* x, real* out, long long n, long long limit, double scale, long long seed,
                                   long long offset, const unsigned long long* state) {
    typedef Pack<real, 4> Four;
    bool aligned = ((unsigned long long)x | (unsigned long long)out) % alignof(Four) == 0;
    FOR_EACH(k, (n + 3) / 4) {
        Words w = words(k, seed, offset, state);
        bool whole = aligned && 4 * k + 4 <= n;
        Four v;
        if (whole) v = *(const Four*)(x + 4 * k);
#pragma unroll
        for (int j = 0; j < 4; j++) {
            long long i = 4 * k + j;
            real factor = (long long)w.at[j] < limit ? (real)scale : (real)0;
            if (whole) v.at[j] *= factor;
            else if (i < n) out[i] = x[i] * factor;
        }
        if (whole) *(Four*)(out + 4 * k) = v;
    }
}

// What a recorded launch reads.
extern "C" __global__ void set_state(unsigned long long* state, long long seed, long long offset) {
    if (threadIdx.x == 0) state[0] = (unsigned long long)seed, state[1] = (unsigned long long)offset;
}
