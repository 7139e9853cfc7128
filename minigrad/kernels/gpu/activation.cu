// Activation functions of n elements and their gradients, one kernel each. The formulas are those of the plain ways in
// ops/layers/activation.py and ops/elementwise.py, comparisons as there, so that nan and infinities come out the same.

#define FORWARD(result) FOR_EACH(i, n) { real x = input[i]; out[i] = (result); }
#define BACKWARD(result) FOR_EACH(i, n) { real x = input[i], g = grad[i]; out[i] = (result); }

__device__ inline real logistic(real x) { return 1 / (1 + exp(-x)); }

// -- from the output --------------------------------------------------------------------------------------------------

extern "C" __global__ void sigmoid(const real* input, real* out, long long n) { FORWARD(logistic(x)) }
extern "C" __global__ void sigmoid_back(const real* grad, const real* input, real* out, long long n) {
    BACKWARD(g * (1 - x) * x)
}
extern "C" __global__ void tanh_back(const real* grad, const real* input, real* out, long long n) {
    BACKWARD(g * (1 - x * x))
}
extern "C" __global__ void relu_back(const real* grad, const real* input, real* out, long long n) {
    BACKWARD(x <= 0 ? 0 : g)
}

// -- piecewise linear -------------------------------------------------------------------------------------------------

extern "C" __global__ void leaky_relu(const real* input, real* out, long long n, double slope) {
    FORWARD(x > 0 ? x : x * (real)slope)
}
extern "C" __global__ void leaky_relu_back(const real* grad, const real* input, real* out, long long n, double slope) {
    BACKWARD(x > 0 ? g : g * (real)slope)
}
extern "C" __global__ void hardtanh(const real* input, real* out, long long n, double low, double high) {
    FORWARD(x < (real)low ? (real)low : x > (real)high ? (real)high : x)
}
extern "C" __global__ void hardtanh_back(const real* grad, const real* input, real* out, long long n, double low,
                                         double high) {
    BACKWARD(x > (real)low && x < (real)high ? g : 0)
}

__device__ inline real relu6(real x) { return x < 0 ? 0 : x > 6 ? 6 : x; }

extern "C" __global__ void hardsigmoid(const real* input, real* out, long long n) { FORWARD(relu6(x + 3) / 6) }
extern "C" __global__ void hardsigmoid_back(const real* grad, const real* input, real* out, long long n) {
    BACKWARD(x > -3 && x < 3 ? g / 6 : 0)
}
extern "C" __global__ void hardswish(const real* input, real* out, long long n) { FORWARD(x * relu6(x + 3) / 6) }
extern "C" __global__ void hardswish_back(const real* grad, const real* input, real* out, long long n) {
    BACKWARD(g * (x <= -3 ? 0 : x < 3 ? x / 3 + (real)0.5 : 1))
}

// -- exponential ------------------------------------------------------------------------------------------------------

extern "C" __global__ void elu(const real* input, real* out, long long n, double alpha, double scale, double steep) {
    FORWARD(x < 0 ? expm1(x * (real)steep) * (real)(alpha * scale) : x * (real)scale)
}
extern "C" __global__ void elu_back(const real* grad, const real* input, real* out, long long n, double alpha,
                                    double scale, double steep) {
    BACKWARD(g * (x <= 0 ? exp(x * (real)steep) * (real)(alpha * scale * steep) : (real)scale))
}

__device__ inline real log_one_plus_exp(real x) { return (x < 0 ? 0 : x) + log1p(exp(-fabs(x))); }

extern "C" __global__ void softplus(const real* input, real* out, long long n, double beta, double threshold) {
    FORWARD(x * (real)beta > (real)threshold ? x : log_one_plus_exp(x * (real)beta) / (real)beta)
}
extern "C" __global__ void softplus_back(const real* grad, const real* input, real* out, long long n, double beta,
                                         double threshold) {
    BACKWARD(x * (real)beta > (real)threshold ? g : g * logistic(x * (real)beta))
}
extern "C" __global__ void logsigmoid(const real* input, real* out, long long n) { FORWARD(-log_one_plus_exp(-x)) }
extern "C" __global__ void logsigmoid_back(const real* grad, const real* input, real* out, long long n) {
    BACKWARD(g * logistic(-x))
}

// -- smooth gates -----------------------------------------------------------------------------------------------------

// The probability that a standard normal variable falls below x, and its usual approximation.
__device__ inline real normal(real x) { return (real)0.5 * (1 + erf(x * (real)0.70710678118654752440)); }
__device__ inline real nearly_normal(real x) {
    return (real)0.5 * (1 + tanh((real)0.79788456080286535588 * (x + (real)0.044715 * (x * x * x))));
}

extern "C" __global__ void gelu(const real* input, real* out, long long n) { FORWARD(x * normal(x)) }
extern "C" __global__ void gelu_back(const real* grad, const real* input, real* out, long long n) {
    BACKWARD(g * (normal(x) + x * (exp((real)-0.5 * (x * x)) * (real)0.39894228040143267794)))
}
extern "C" __global__ void gelu_tanh(const real* input, real* out, long long n) { FORWARD(x * nearly_normal(x)) }
extern "C" __global__ void gelu_tanh_back(const real* grad, const real* input, real* out, long long n) {
    FOR_EACH(i, n) {
        real x = input[i], p = nearly_normal(x);
        real density = p * (1 - p) * ((real)1.59576912160573071176 * (1 + (real)0.134145 * (x * x)));
        out[i] = grad[i] * (p + x * density);
    }
}
extern "C" __global__ void silu(const real* input, real* out, long long n) { FORWARD(x / (1 + exp(-x))) }
extern "C" __global__ void silu_back(const real* grad, const real* input, real* out, long long n) {
    FOR_EACH(i, n) {
        real x = input[i], s = logistic(x);
        out[i] = grad[i] * (s * (1 + x * (1 - s)));
    }
}
extern "C" __global__ void mish(const real* input, real* out, long long n) { FORWARD(x * tanh(log1p(exp(x)))) }
extern "C" __global__ void mish_back(const real* grad, const real* input, real* out, long long n) {
    FOR_EACH(i, n) {
        real x = input[i], t = tanh(x > 20 ? x : log_one_plus_exp(x));
        out[i] = grad[i] * (t + x * logistic(x) * (1 - t * t));
    }
}
