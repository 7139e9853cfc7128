// The functions of libcublas that minigrad calls, on the host's memory: for the stand-in for CuPy. Matrices count down
// columns; arguments are checked as cuBLAS documents it, and refused with its status codes.

#include <cstdint>
#include <cstring>

namespace {

enum Status { SUCCESS = 0, NOT_INITIALIZED = 1, INVALID_VALUE = 7, NOT_SUPPORTED = 15 };
enum Type { R_32F = 0, R_64F = 1, R_16F = 2 };
enum Compute { COMPUTE_32F = 68, COMPUTE_64F = 70, COMPUTE_32F_FAST_TF32 = 77 };

struct Handle {
    void* stream;
    void* workspace;
    size_t bytes;
};

struct half {
    uint16_t bits;
};

uint32_t bits_of(float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return bits;
}

float float_of(uint32_t bits) {
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}

float read(float x) { return x; }
double read(double x) { return x; }
float read(half x) {  // 2^112 moves the exponent's bias from 15 to 127, for subnormals too; inf and nan overflow first
    uint32_t sign = (x.bits & 0x8000u) << 16, rest = (x.bits & 0x7fffu) << 13;
    if (rest >= 0x0f800000u) return float_of(sign | 0x70000000u | rest);
    return float_of(sign | bits_of(float_of(rest) * 5.192296858534828e33f));
}

void write(float* to, float x) { *to = x; }
void write(double* to, double x) { *to = x; }
void write(half* to, float x) {  // ties to even
    uint32_t bits = bits_of(x), sign = bits >> 16 & 0x8000u;
    bits &= 0x7fffffffu;
    if (bits > 0x7f800000u)
        to->bits = sign | 0x7e00u;
    else if (bits >= 0x47800000u)  // 65536
        to->bits = sign | 0x7c00u;
    else if (bits < 0x38800000u)  // below 2^-14: adding 1/2 leaves the subnormal's bits at the end, rounded
        to->bits = sign | (bits_of(float_of(bits) + 0.5f) - 0x3f000000u);
    else
        to->bits = sign | (bits - 0x38000000u + 0xfffu + (bits >> 13 & 1)) >> 13;
}

float tf32(float x) {  // 11 significant bits
    uint32_t bits = bits_of(x);
    return (bits & 0x7f800000u) == 0x7f800000u ? x : float_of((bits + 0x1000u) & ~0x1fffu);
}

template <typename Real, typename Sum>
void gemm(bool turn_a, bool turn_b, int64_t m, int64_t n, int64_t k, Sum alpha, const Real* a, int64_t lda,
          const Real* b, int64_t ldb, Sum beta, Real* c, int64_t ldc, bool rounded) {
    for (int64_t j = 0; j < n; j++)
        for (int64_t i = 0; i < m; i++) {
            Sum sum = 0;
            for (int64_t p = 0; p < k; p++) {
                Sum x = read(a[turn_a ? p + i * lda : i + p * lda]), y = read(b[turn_b ? j + p * ldb : p + j * ldb]);
                sum += rounded ? (Sum)tf32(x) * (Sum)tf32(y) : x * y;
            }
            Real* to = c + i + j * ldc;
            write(to, beta == 0 ? alpha * sum : alpha * sum + beta * read(*to));  // beta 0: what is there counts not
        }
}

template <typename Real, typename Sum>
int batched(int turn_a, int turn_b, int64_t m, int64_t n, int64_t k, const void* alpha, const void* a, int64_t lda,
            int64_t step_a, const void* b, int64_t ldb, int64_t step_b, const void* beta, void* c, int64_t ldc,
            int64_t step_c, int64_t count, bool rounded) {
    for (int64_t i = 0; i < count; i++)
        gemm<Real, Sum>(turn_a, turn_b, m, n, k, *(const Sum*)alpha, (const Real*)a + i * step_a, lda,
                        (const Real*)b + i * step_b, ldb, *(const Sum*)beta, (Real*)c + i * step_c, ldc, rounded);
    return SUCCESS;
}

// Not an exported function, for that could be another library's: NVIDIA's may be loaded, too.
int checked(Handle* handle, int turn_a, int turn_b, int64_t m, int64_t n, int64_t k, const void* alpha, const void* a,
            int type_a, int64_t lda, int64_t step_a, const void* b, int type_b, int64_t ldb, int64_t step_b,
            const void* beta, void* c, int type_c, int64_t ldc, int64_t step_c, int64_t count, int compute,
            int algorithm) {
    if (!handle || !handle->workspace) return NOT_INITIALIZED;  // cuBLAS would take memory of its own
    if (turn_a < 0 || turn_a > 2 || turn_b < 0 || turn_b > 2 || m < 0 || n < 0 || k < 0 || count < 0)
        return INVALID_VALUE;
    int64_t rows_a = turn_a ? k : m, rows_b = turn_b ? n : k;
    if (lda < (rows_a > 1 ? rows_a : 1) || ldb < (rows_b > 1 ? rows_b : 1) || ldc < (m > 1 ? m : 1))
        return INVALID_VALUE;
    if (!alpha || !beta || (m && n && count && (!c || (k && (!a || !b))))) return INVALID_VALUE;
    if (count > 1 && !step_c) return INVALID_VALUE;  // the products would overlap
    if (type_a != type_b || type_a != type_c || algorithm != -1) return NOT_SUPPORTED;
    bool rounded = compute == COMPUTE_32F_FAST_TF32;
    auto run = type_a == R_32F && (compute == COMPUTE_32F || rounded)   ? batched<float, float>
               : type_a == R_64F && compute == COMPUTE_64F              ? batched<double, double>
               : type_a == R_16F && compute == COMPUTE_32F              ? batched<half, float>
                                                                        : nullptr;
    if (!run) return NOT_SUPPORTED;
    return run(turn_a, turn_b, m, n, k, alpha, a, lda, step_a, b, ldb, step_b, beta, c, ldc, step_c, count, rounded);
}

}  // namespace

extern "C" {

const char* cublasGetStatusName(int status) {
    switch (status) {
        case 0: return "CUBLAS_STATUS_SUCCESS";
        case 1: return "CUBLAS_STATUS_NOT_INITIALIZED";
        case 3: return "CUBLAS_STATUS_ALLOC_FAILED";
        case 7: return "CUBLAS_STATUS_INVALID_VALUE";
        case 8: return "CUBLAS_STATUS_ARCH_MISMATCH";
        case 11: return "CUBLAS_STATUS_MAPPING_ERROR";
        case 13: return "CUBLAS_STATUS_EXECUTION_FAILED";
        case 14: return "CUBLAS_STATUS_INTERNAL_ERROR";
        case 15: return "CUBLAS_STATUS_NOT_SUPPORTED";
        case 16: return "CUBLAS_STATUS_LICENSE_ERROR";
        default: return "unrecognized status";
    }
}

int cublasCreate_v2(Handle** handle) {
    if (!handle) return INVALID_VALUE;
    *handle = new Handle{nullptr, nullptr, 0};
    return SUCCESS;
}

int cublasSetStream_v2(Handle* handle, void* stream) {
    if (!handle) return NOT_INITIALIZED;
    *handle = Handle{stream, nullptr, 0};  // the workspace is the library's own again
    return SUCCESS;
}

int cublasSetWorkspace_v2(Handle* handle, void* workspace, size_t bytes) {
    if (!handle) return NOT_INITIALIZED;
    *handle = Handle{handle->stream, workspace, bytes};
    return SUCCESS;
}

int cublasGemmStridedBatchedEx_64(Handle* handle, int turn_a, int turn_b, int64_t m, int64_t n, int64_t k,
                                  const void* alpha, const void* a, int type_a, int64_t lda, int64_t step_a,
                                  const void* b, int type_b, int64_t ldb, int64_t step_b, const void* beta, void* c,
                                  int type_c, int64_t ldc, int64_t step_c, int64_t count, int compute, int algorithm) {
    return checked(handle, turn_a, turn_b, m, n, k, alpha, a, type_a, lda, step_a, b, type_b, ldb, step_b, beta, c,
                   type_c, ldc, step_c, count, compute, algorithm);
}

int cublasGemmEx_64(Handle* handle, int turn_a, int turn_b, int64_t m, int64_t n, int64_t k, const void* alpha,
                    const void* a, int type_a, int64_t lda, const void* b, int type_b, int64_t ldb, const void* beta,
                    void* c, int type_c, int64_t ldc, int compute, int algorithm) {
    return checked(handle, turn_a, turn_b, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0, beta, c, type_c, ldc,
                   0, 1, compute, algorithm);
}

}  // extern "C"
