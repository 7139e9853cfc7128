// Normalization: of rows without gaps (layer norm, rms norm), and of channels, whose elements lie in several planes
// (batch, instance and group norm). `moments` are the means, and after them each 1 / sqrt(variance + eps).

// -- rows: a warp or a block a row ------------------------------------------------------------------------------------

// Without `centres` the mean is taken to be 0: that is rms norm.
template <int TEAM>
__device__ inline void normalize_rows(const real* __restrict__ x, const real* __restrict__ weight,
                                      const real* __restrict__ bias, real* __restrict__ out, real* moments,
                                      long long rows, long long n, bool centres, double eps) {
    int lane = threadIdx.x % TEAM;
    FOR_EACH_ROW(TEAM, r, rows) {
        const real* row = x + r * n;
        real* result = out + r * n;
        real mean = 0, square = 0;
        if (centres) {
            for (long long i = lane; i < n; i += TEAM) mean += row[i];
            mean = team_sum<TEAM>(mean) / n;
        }
        for (long long i = lane; i < n; i += TEAM) square += (row[i] - mean) * (row[i] - mean);
        real rstd = 1 / sqrt(team_sum<TEAM>(square) / n + (real)eps);
        for (long long i = lane; i < n; i += TEAM) {
            real value = (row[i] - mean) * rstd;
            if (weight) value *= weight[i];
            if (bias) value += bias[i];
            result[i] = value;
        }
        if (lane == 0) moments[r] = mean, moments[rows + r] = rstd;
    }
}

extern "C" __global__ void rows_by_warps(const real* x, const real* weight, const real* bias, real* out, real* moments,
                                         long long rows, long long n, bool centres, double eps) {
    normalize_rows<32>(x, weight, bias, out, moments, rows, n, centres, eps);
}

extern "C" __global__ void rows_by_blocks(const real* x, const real* weight, const real* bias, real* out,
                                          real* moments, long long rows, long long n, bool centres, double eps) {
    normalize_rows<THREADS>(x, weight, bias, out, moments, rows, n, centres, eps);
}

// With y = (x - mean) * rstd: (g weight - mean(g weight) - y mean(g weight y)) * rstd.
template <int TEAM>
__device__ inline void rows_back(const real* __restrict__ g, const real* __restrict__ x,
                                 const real* __restrict__ weight, const real* __restrict__ moments,
                                 real* __restrict__ out, long long rows, long long n, bool centres) {
    int lane = threadIdx.x % TEAM;
    FOR_EACH_ROW(TEAM, r, rows) {
        const real *slopes = g + r * n, *row = x + r * n;
        real* result = out + r * n;
        real mean = moments[r], rstd = moments[rows + r], total = 0, along = 0;
        for (long long i = lane; i < n; i += TEAM) {
            real slope = weight ? slopes[i] * weight[i] : slopes[i];
            total += slope;
            along += slope * (row[i] - mean);
        }
        total = centres ? team_sum<TEAM>(total) / n : 0;
        along = team_sum<TEAM>(along) / n * rstd * rstd;
        for (long long i = lane; i < n; i += TEAM) {
            real slope = weight ? slopes[i] * weight[i] : slopes[i];
            result[i] = (slope - total - (row[i] - mean) * along) * rstd;
        }
    }
}

extern "C" __global__ void rows_back_by_warps(const real* g, const real* x, const real* weight, const real* moments,
                                              real* out, long long rows, long long n, bool centres) {
    rows_back<32>(g, x, weight, moments, out, rows, n, centres);
}

extern "C" __global__ void rows_back_by_blocks(const real* g, const real* x, const real* weight, const real* moments,
                                               real* out, long long rows, long long n, bool centres) {
    rows_back<THREADS>(g, x, weight, moments, out, rows, n, centres);
}

// The gradients of weight and bias, sum(g y) and sum(g) down the columns, over each of `parts` of the rows:
// sums (2, parts, n). A block takes 32 columns, its eight warps one row each at a time.
extern "C" __global__ void column_sums(const real* __restrict__ g, const real* __restrict__ x,
                                       const real* __restrict__ moments, real* sums, long long rows, long long n,
                                       long long parts) {
    const int WARPS = THREADS / 32;
    __shared__ real kept[2][WARPS][32];
    int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    long long tiles = (n + 31) / 32;
    for (long long b = blockIdx.x; b < tiles * parts; b += gridDim.x) {
        long long column = b % tiles * 32 + lane, part = b / tiles;
        real total = 0, along = 0;
        if (column < n) {
#pragma unroll 4
            for (long long r = part * WARPS + warp; r < rows; r += parts * WARPS) {
                real slope = g[r * n + column];
                total += slope;
                along += slope * ((x[r * n + column] - moments[r]) * moments[rows + r]);
            }
        }
        __syncthreads();  // `kept` may still be read for the columns before
        kept[0][warp][lane] = along, kept[1][warp][lane] = total;
        __syncthreads();
        if (warp < 2 && column < n) {
            real sum = 0;
            for (int i = 0; i < WARPS; i++) sum += kept[warp][i][lane];
            sums[(warp * parts + part) * n + column] = sum;
        }
    }
}

// (2, parts, n) summed to (2, n).
extern "C" __global__ void sum_of_parts(const real* __restrict__ sums, real* out, long long parts, long long n) {
    FOR_EACH(i, 2 * n) {
        const real* first = sums + i / n * parts * n + i % n;
        real sum = 0;
        for (long long p = 0; p < parts; p++) sum += first[p * n];
        out[i] = sum;
    }
}

// -- channels ---------------------------------------------------------------------------------------------------------

// Unit u is `planes` pieces of `size` numbers, `apart` from one another, the first at u * size: a channel of a batch,
// or a group of channels of one sample. Each of `parts` blocks takes `length` of its numbers; from one number of a
// thread to the next are `whole` pieces and `rest` numbers. A unit has `per` weights, of `weights` in all, each for
// `span` numbers of a piece.
struct Layout {
    long long units, planes, size, apart, parts, length, whole, rest, per, span, weights;
};

#define FOR_EACH_PART(b) for (long long b = blockIdx.x; b < layout.units * layout.parts; b += gridDim.x)

// use(at, plane, j) for each number of this thread: where it is, and which piece and which of its numbers that is.
template <typename Use>
__device__ inline void over_part(const Layout& layout, long long u, long long part, Use use) {
    long long first = part * layout.length + threadIdx.x, n = layout.planes * layout.size;
    long long last = min(n, (part + 1) * layout.length);
    long long times = first < last ? (last - first + THREADS - 1) / THREADS : 0;
    long long plane = first / layout.size, j = first - plane * layout.size;
    long long at = u * layout.size + plane * layout.apart + j;
    long long step = layout.whole * layout.apart + layout.rest, carry = layout.apart - layout.size;
#pragma unroll 4
    for (long long i = 0; i < times; i++) {
        use(at, plane, j);
        at += step, plane += layout.whole, j += layout.rest;
        if (j >= layout.size) j -= layout.size, at += carry, plane++;
    }
}

__device__ inline real count_of(const Layout& layout, long long part) {
    return (real)(min(layout.planes * layout.size, (part + 1) * layout.length) - part * layout.length);
}

__device__ inline long long first_weight(const Layout& layout, long long u) { return u * layout.per % layout.weights; }

// The weight of number j of a piece.
__device__ inline long long weight_of(const Layout& layout, long long first, long long j) {
    return first + (unsigned)j / (unsigned)layout.span;
}

// The mean of each part and the sum of squares around it: sums (2, parts, units). (Welford 1962 for the numbers of a
// thread; Chan, Golub and LeVeque 1979 for threads, and below for parts.)
extern "C" __global__ void channel_moments(const real* __restrict__ x, real* sums, Layout layout) {
    FOR_EACH_PART(b) {
        long long u = b % layout.units, part = b / layout.units;
        real seen = 0, mean = 0, square = 0;
        over_part(layout, u, part, [&](long long at, long long, long long) {
            real difference = x[at] - mean;
            seen += 1;
            mean += difference / seen;
            square += difference * (x[at] - mean);
        });
        real middle = block_sum(mean * seen) / count_of(layout, part);
        square = block_sum(square + seen * (mean - middle) * (mean - middle));
        if (threadIdx.x == 0) sums[b] = middle, sums[layout.units * layout.parts + b] = square;
    }
}

// (x - mean) * rstd * weight + bias. The moments are those that `sums` hold by parts: then they are kept, and the
// running ones move towards them. Without `sums` they are the running ones.
extern "C" __global__ void normalize_channels(const real* __restrict__ x, const real* __restrict__ weight,
                                              const real* __restrict__ bias, const real* __restrict__ sums,
                                              real* moments, real* running_mean, real* running_var,
                                              real* __restrict__ out, Layout layout, double momentum, double eps) {
    long long units = layout.units;
    FOR_EACH_PART(b) {
        long long u = b % units, part = b / units, first = first_weight(layout, u);
        real mean = 0, var = 0;
        if (sums) {
            real n = (real)(layout.planes * layout.size);
            for (long long i = threadIdx.x; i < layout.parts; i += THREADS)
                mean += sums[i * units + u] * count_of(layout, i);
            mean = block_sum(mean) / n;
            for (long long i = threadIdx.x; i < layout.parts; i += THREADS) {
                real away = sums[i * units + u] - mean;
                var += sums[(layout.parts + i) * units + u] + away * away * count_of(layout, i);
            }
            var = block_sum(var) / n;
            if (part == 0 && threadIdx.x == 0) {
                real share = (real)momentum, left = (real)(1 - momentum);
                moments[u] = mean, moments[units + u] = 1 / sqrt(var + (real)eps);
                if (running_mean) running_mean[u] = left * running_mean[u] + share * mean;
                if (running_var) running_var[u] = left * running_var[u] + share * (var * (n / max(n - 1, (real)1)));
            }
        } else {
            mean = running_mean[u], var = running_var[u];
        }
        real rstd = 1 / sqrt(var + (real)eps);
        if (layout.per == 1) {
            real scale = weight ? rstd * weight[first] : rstd, shift = bias ? bias[first] : (real)0;
            over_part(layout, u, part, [&](long long at, long long, long long) {
                out[at] = (x[at] - mean) * scale + shift;
            });
        } else {
            over_part(layout, u, part, [&](long long at, long long, long long j) {
                long long w = weight_of(layout, first, j);
                out[at] = (x[at] - mean) * (weight ? rstd * weight[w] : rstd) + (bias ? bias[w] : (real)0);
            });
        }
    }
}

// sum(g y) and sum(g) over each part, y = (x - mean) * rstd, with g times its weight where there are weights: sums
// (2, parts, units). `rstd` is a variance where the moments are `learnt`. They are those of the unit; or, with
// `groups`, those of the group of the channel u in each sample.
extern "C" __global__ void channel_sums(const real* __restrict__ g, const real* __restrict__ x,
                                        const real* __restrict__ weight, const real* __restrict__ means,
                                        const real* __restrict__ rstds, real* sums, Layout layout, long long groups,
                                        bool learnt, double eps) {
    FOR_EACH_PART(b) {
        long long u = b % layout.units, part = b / layout.units, first = first_weight(layout, u);
        long long row = groups ? u / (layout.units / groups) : u;
        real mean = means[row], rstd = learnt ? 1 / sqrt(rstds[row] + (real)eps) : rstds[row], along = 0, total = 0;
        auto add = [&](real slope, real y) { along += slope * y, total += slope; };
        if (groups) {
            over_part(layout, u, part, [&](long long at, long long plane, long long) {
                add(g[at], (x[at] - means[plane * groups + row]) * rstds[plane * groups + row]);
            });
        } else if (weight) {
            over_part(layout, u, part, [&](long long at, long long, long long j) {
                add(g[at] * weight[weight_of(layout, first, j)], (x[at] - mean) * rstd);
            });
        } else {
            over_part(layout, u, part, [&](long long at, long long, long long) {
                add(g[at], (x[at] - mean) * rstd);
            });
        }
        along = block_sum(along), total = block_sum(total);
        if (threadIdx.x == 0) sums[b] = along, sums[layout.units * layout.parts + b] = total;
    }
}

// The gradients of the input, as for rows, and of weights and biases, those that are wanted. The sums were taken with g
// times its weight, or without: then each unit has one. `learnt` moments do not depend on x, and need no sums.
extern "C" __global__ void normalize_channels_back(const real* __restrict__ g, const real* __restrict__ x,
                                                   const real* __restrict__ weight, const real* __restrict__ means,
                                                   const real* __restrict__ rstds, const real* __restrict__ sums,
                                                   real* __restrict__ g_input, real* g_weight, real* g_bias,
                                                   Layout layout, bool weighted, bool learnt, double eps) {
    long long units = layout.units;
    FOR_EACH_PART(b) {
        long long u = b % units, part = b / units, first = first_weight(layout, u);
        real mean = means[u], rstd = learnt ? 1 / sqrt(rstds[u] + (real)eps) : rstds[u], along = 0, total = 0;
        if (sums) {
            for (long long i = threadIdx.x; i < layout.parts; i += THREADS)
                along += sums[i * units + u], total += sums[(layout.parts + i) * units + u];
            along = block_sum(along), total = block_sum(total);
            if (part == 0 && threadIdx.x == 0) {
                if (g_weight) g_weight[u] = along;
                if (g_bias) g_bias[u] = total;
            }
        }
        if (!g_input) continue;
        real n = (real)(layout.planes * layout.size), scale = weight ? weight[first] : (real)1;
        real factor = weighted ? (real)1 : scale;
        along = along * factor / n * rstd, total = total * factor / n;
        if (learnt) {
            over_part(layout, u, part, [&](long long at, long long, long long) {
                g_input[at] = g[at] * (scale * rstd);
            });
        } else if (layout.per == 1) {
            over_part(layout, u, part, [&](long long at, long long, long long) {
                g_input[at] = (g[at] * scale - total - (x[at] - mean) * along) * rstd;
            });
        } else {
            over_part(layout, u, part, [&](long long at, long long, long long j) {
                real slope = weight ? g[at] * weight[weight_of(layout, first, j)] : g[at];
                g_input[at] = (slope - total - (x[at] - mean) * along) * rstd;
            });
        }
    }
}
