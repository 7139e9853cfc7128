// Pooling over windows of three dimensions (the leading ones of size 1 where there are fewer), and its transposes.

// A kernel of 0 stands for windows that cover a dimension evenly: window o of m on n goes from floor(o*n/m) to
// ceil((o+1)*n/m).
struct Pool {
    int size[3], windows[3], kernel[3], stride[3], padding[3], dilation[3];
};

#define AXES for (int axis = 0; axis < 3; axis++)

// Element i of (planes, *counts): its place `at` in its plane, and the plane.
__device__ inline long long plane_of(long long i, const int* counts, int* at) {
    for (int axis = 2; axis >= 0; axis--) {
        at[axis] = 0;
        if (counts[axis] == 1) continue;  // divisions are what this takes its time with
        at[axis] = (int)(i % counts[axis]);
        i /= counts[axis];
    }
    return i;
}

__device__ inline long long volume(const int* counts) { return (long long)counts[0] * counts[1] * counts[2]; }

__device__ inline long long flat(const int* at, const int* counts) {
    return ((long long)at[0] * counts[1] + at[1]) * counts[2] + at[2];
}

// Which positions window o reads along an axis: start, start + dilation ... before end, all in the input.
__device__ inline void window(const Pool& pool, int axis, int o, int& start, int& end) {
    int size = pool.size[axis], windows = pool.windows[axis], dilation = pool.dilation[axis];
    if (pool.kernel[axis] == 0) {
        start = (int)((long long)o * size / windows);
        end = (int)(((o + 1LL) * size + windows - 1) / windows);
    } else {
        start = o * pool.stride[axis] - pool.padding[axis];
        end = min(start + (pool.kernel[axis] - 1) * dilation + 1, size);
        if (start < 0) start += (dilation - 1 - start) / dilation * dilation;
    }
}

// Which windows may read position p along an axis: first to last. (With a dilation some of them do not.)
__device__ inline void covering(const Pool& pool, int axis, int p, int& first, int& last) {
    int size = pool.size[axis], windows = pool.windows[axis], stride = pool.stride[axis];
    if (size == 1 && windows == 1) {
        first = last = 0;
    } else if (pool.kernel[axis] == 0) {
        first = (int)((long long)p * windows / size);
        last = (int)(((p + 1LL) * windows - 1) / size);
    } else {
        int reach = p + pool.padding[axis], before = reach - (pool.kernel[axis] - 1) * pool.dilation[axis];
        first = before <= 0 ? 0 : (before + stride - 1) / stride;
        last = min(reach / stride, windows - 1);
    }
}

#define BOX(d, h, w, start, end, step) \
    for (int d = start[0]; d < end[0]; d += step[0]) \
        for (int h = start[1]; h < end[1]; h += step[1]) \
            for (int w = start[2]; w < end[2]; w += step[2])

// -- maximum ----------------------------------------------------------------------------------------------------------

// Of equal numbers the first wins, a nan beats all, of several the last. `n` is the number of windows.
extern "C" __global__ void max_pool(const real* x, real* values, long long* indices, long long n, Pool pool) {
    FOR_EACH(i, n) {
        int o[3], start[3], end[3];
        const real* plane = x + plane_of(i, pool.windows, o) * volume(pool.size);
        AXES window(pool, axis, o[axis], start[axis], end[axis]);
        // That of the first, also if all are -inf; a window that misses the input must not leave the plane.
        long long at = min(flat(start, pool.size), volume(pool.size) - 1);
        real most = -infinity();
        BOX(d, h, w, start, end, pool.dilation) {
            int p[3] = {d, h, w};
            long long here = flat(p, pool.size);
            real value = plane[here];
            if (value > most || value != value) most = value, at = here;
        }
        values[i] = most;
        indices[i] = at;
    }
}

// Every element of the input gathers from the windows around it, always in one order. `n` is the number of elements.
extern "C" __global__ void max_pool_back(const real* g, const long long* indices, real* out, long long n, Pool pool) {
    const int one[3] = {1, 1, 1};
    FOR_EACH(i, n) {
        int p[3], first[3], end[3];
        long long windows = plane_of(i, pool.size, p) * volume(pool.windows), own = flat(p, pool.size);
        AXES {
            covering(pool, axis, p[axis], first[axis], end[axis]);
            end[axis]++;
        }
        real sum = 0;
        BOX(d, h, w, first, end, one) {
            int o[3] = {d, h, w};
            long long here = windows + flat(o, pool.windows);
            if (indices[here] == own) sum += g[here];
        }
        out[i] = sum;
    }
}

// Between planes of `volume` elements and `windows` numbers each, whose places in their plane are any: out holds zeros.
extern "C" __global__ void add_to_places(const real* g, const long long* indices, real* out, long long n,
                                         long long windows, long long volume) {
    FOR_EACH(i, n) {
        long long at = indices[i];
        if (at >= 0 && at < volume) atomicAdd(out + i / windows * volume + at, g[i]);
    }
}

extern "C" __global__ void read_places(const real* x, const long long* indices, real* out, long long n,
                                       long long windows, long long volume) {
    FOR_EACH(i, n) {
        long long at = indices[i];
        out[i] = at >= 0 && at < volume ? x[i / windows * volume + at] : 0;
    }
}

// -- average ----------------------------------------------------------------------------------------------------------

// By what the sum of the window at `o` is divided: `divisor`, or if that is 0 the number of its positions, those in the
// padding counting if `padded`, those beyond it never.
__device__ inline real share(const Pool& pool, const int* o, bool padded, double divisor) {
    if (divisor != 0) return (real)divisor;
    long long count = 1;
    AXES {
        int start, end;
        window(pool, axis, o[axis], start, end);
        if (padded && pool.kernel[axis]) {
            start = o[axis] * pool.stride[axis] - pool.padding[axis];
            end = min(start + pool.kernel[axis], pool.size[axis] + pool.padding[axis]);
        }
        count *= end - start;
    }
    return (real)count;
}

extern "C" __global__ void avg_pool(const real* x, real* out, long long n, Pool pool, bool padded, double divisor) {
    FOR_EACH(i, n) {
        int o[3], start[3], end[3];
        const real* plane = x + plane_of(i, pool.windows, o) * volume(pool.size);
        AXES window(pool, axis, o[axis], start[axis], end[axis]);
        real sum = 0;
        BOX(d, h, w, start, end, pool.dilation) {
            int p[3] = {d, h, w};
            sum += plane[flat(p, pool.size)];
        }
        out[i] = sum / share(pool, o, padded, divisor);
    }
}

extern "C" __global__ void avg_pool_back(const real* g, real* out, long long n, Pool pool, bool padded,
                                         double divisor) {
    const int one[3] = {1, 1, 1};
    FOR_EACH(i, n) {
        int p[3], first[3], end[3];
        const real* windows = g + plane_of(i, pool.size, p) * volume(pool.windows);
        AXES {
            covering(pool, axis, p[axis], first[axis], end[axis]);
            end[axis]++;
        }
        real sum = 0;
        BOX(d, h, w, first, end, one) {
            int o[3] = {d, h, w};
            sum += windows[flat(o, pool.windows)] / share(pool, o, padded, divisor);
        }
        out[i] = sum;
    }
}
