// The columns of images, and columns added up to images: `unfold` and `fold` of kernels/convolution.py, over three
// spatial dims (those that are missing are of size 1).

struct Moves {
    int size[3], windows[3], kernel[3], stride[3], padding[3], dilation[3];
};

// One thread a plane and window: columns[plane, tap, window] for all taps.
extern "C" __global__ void unfold(const real* image, real* columns, long long planes, Moves m) {
    long long windows = (long long)m.windows[0] * m.windows[1] * m.windows[2];
    FOR_EACH(i, planes * windows) {
        long long plane = i / windows, window = i % windows;
        int o2 = window % m.windows[2], o1 = window / m.windows[2] % m.windows[1];
        int o0 = window / m.windows[2] / m.windows[1];
        const real* read = image + plane * m.size[0] * m.size[1] * m.size[2];
        real* write = columns + plane * m.kernel[0] * m.kernel[1] * m.kernel[2] * windows + window;
        for (int t0 = 0; t0 < m.kernel[0]; t0++) {
            int p0 = o0 * m.stride[0] + t0 * m.dilation[0] - m.padding[0];
            for (int t1 = 0; t1 < m.kernel[1]; t1++) {
                int p1 = o1 * m.stride[1] + t1 * m.dilation[1] - m.padding[1];
                bool row = p0 >= 0 && p0 < m.size[0] && p1 >= 0 && p1 < m.size[1];
                for (int t2 = 0; t2 < m.kernel[2]; t2++, write += windows) {
                    int p2 = o2 * m.stride[2] + t2 * m.dilation[2] - m.padding[2];
                    bool inside = row && p2 >= 0 && p2 < m.size[2];
                    *write = inside ? read[((long long)p0 * m.size[1] + p1) * m.size[2] + p2] : (real)0;
                }
            }
        }
    }
}

// Which window reads position p with tap t: false if none does.
__device__ inline bool window_at(const Moves& m, int axis, int p, int t, int& o) {
    int from = p + m.padding[axis] - t * m.dilation[axis];
    o = from / m.stride[axis];
    return from >= 0 && o * m.stride[axis] == from && o < m.windows[axis];
}

// One thread an element of the image, the sum of all that was read there.
extern "C" __global__ void fold(const real* columns, real* image, long long planes, Moves m) {
    long long windows = (long long)m.windows[0] * m.windows[1] * m.windows[2];
    long long size = (long long)m.size[0] * m.size[1] * m.size[2];
    FOR_EACH(i, planes * size) {
        long long plane = i / size, position = i % size;
        int p2 = position % m.size[2], p1 = position / m.size[2] % m.size[1], p0 = position / m.size[2] / m.size[1];
        const real* read = columns + plane * m.kernel[0] * m.kernel[1] * m.kernel[2] * windows;
        real sum = 0;
        int o0, o1, o2;
        for (int t0 = 0; t0 < m.kernel[0]; t0++) {
            if (!window_at(m, 0, p0, t0, o0)) continue;
            for (int t1 = 0; t1 < m.kernel[1]; t1++) {
                if (!window_at(m, 1, p1, t1, o1)) continue;
                for (int t2 = 0; t2 < m.kernel[2]; t2++) {
                    if (!window_at(m, 2, p2, t2, o2)) continue;
                    long long tap = (t0 * m.kernel[1] + t1) * m.kernel[2] + t2;
                    sum += read[tap * windows + ((long long)o0 * m.windows[1] + o1) * m.windows[2] + o2];
                }
            }
        }
        image[i] = sum;
    }
}
