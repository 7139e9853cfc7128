"""Matrix products on the GPU: cuBLAS as it is called, by its stand-in, and on a GPU where there is one."""

import ast
import ctypes
import importlib
import itertools
import threading
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad.kernels.gpu import blas, settings
from minigrad.kernels.products import with_vector
from minigrad.nn import functional as F
from reference import strict_blas
from tests.gpu import needs_emulation, numbers

pytestmark = needs_emulation

RTOL = {"float64": 1e-12, "float32": 2e-5, "float16": 2e-3}
every_dtype = pytest.mark.parametrize("dtype", RTOL)

# What the library was asked for, with our operands: its first is our second.
Call = namedtuple("Call", "count m n k a b out lead compute beta")


@pytest.fixture
def cp(gpu):
    """CuPy's stand-in, or CuPy."""
    return gpu


@pytest.fixture
def library(cp):
    """The library that computes the products."""
    blas.matmul(cp.ones((1, 1)), cp.ones((1, 1)))
    found = blas.use_library(None)
    blas.use_library(found)
    return found


@pytest.fixture
def calls(library, monkeypatch):
    """The calls of the library so far."""
    seen, one, many = [], library.gemm, library.gemm_batched

    def gemm(*args):
        (_, _, _, n, m, k, _, b, _, _, a, _, _, beta, out, _, lead, compute, _) = args
        seen.append(Call(1, m, n, k, a, b, out, lead, compute, beta))
        return one(*args)

    def gemm_batched(*args):
        (_, _, _, n, m, k, _, b, _, _, _, a, _, _, _, beta, out, _, lead, _, count, compute, _) = args
        seen.append(Call(count, m, n, k, a, b, out, lead, compute, beta))
        return many(*args)

    monkeypatch.setattr(library, "gemm", gemm)
    monkeypatch.setattr(library, "gemm_batched", gemm_batched)
    return seen


def draw(cp, shape, dtype, seed=0):
    return cp.asarray(np.random.default_rng(seed).standard_normal(shape).astype(dtype))


def check(product, a, b, dtype):
    expected = a.get().astype("float64") @ b.get().astype("float64")
    assert product.dtype == dtype
    assert product.shape == expected.shape
    atol = RTOL[dtype] * np.abs(expected).max(initial=0)
    np.testing.assert_allclose(product.get(), expected, rtol=RTOL[dtype], atol=atol)


# -- layouts -----------------------------------------------------------------------------------------------------------

# Views of the shape (*front, rows, columns), and whether cuBLAS can read them as they lie.
VIEWS = {
    "rows": (True, lambda make, front, r, c: make(*front, r, c)),
    "columns": (True, lambda make, front, r, c: make(*front, c, r).swapaxes(-1, -2)),
    "a part": (True, lambda make, front, r, c: make(*front, 2 * r, c + 3)[..., ::2, 1 : c + 1]),
    "a part, turned": (True, lambda make, front, r, c: make(*front, c + 1, 2 * r)[..., 1:, r:].swapaxes(-1, -2)),
    "heads": (True, lambda make, front, r, c: heads(make(r, *front, c))),
    "every other": (False, lambda make, front, r, c: make(*front, r, 2 * c)[..., ::2]),
    "backwards": (False, lambda make, front, r, c: make(*front, r, c)[..., ::-1, :]),
    "one row": (False, lambda make, front, r, c: repeated(make(*front, 1, c), (*front, r, c))),
    "one column": (False, lambda make, front, r, c: repeated(make(*front, r, 1), (*front, r, c))),
}
FRONTS = [
    ((), ()),
    ((3,), (3,)),
    ((3,), ()),
    ((), (3,)),
    ((2, 3), (2, 3)),
    ((2, 3), ()),
    ((1, 1, 4), (4,)),
    ((1,), (4,)),
]


def heads(x):
    """The rows, first in x, as the last dim but one."""
    return x.transpose(*range(1, x.ndim - 1), 0, x.ndim - 1)


def repeated(x, shape):
    return minigrad.backend.module_of(x).broadcast_to(x, shape)


@every_dtype
@pytest.mark.parametrize("first", VIEWS)
def test_layouts(cp, calls, first, dtype):
    """Products of all pairs of views are right, and what cuBLAS can read it reads where it lies."""
    (a_as_it_is, view_a) = VIEWS[first]
    for b_as_it_is, view_b in VIEWS.values():
        for (of_a, of_b), (m, k, n) in itertools.product(FRONTS, [(4, 3, 5), (1, 3, 2), (2, 3, 1), (3, 1, 2)]):
            a = view_a(lambda *shape: draw(cp, shape, dtype), of_a, m, k)
            b = view_b(lambda *shape: draw(cp, shape, dtype, 1), of_b, k, n)
            calls.clear()
            check(blas.matmul(a, b), a, b, dtype)
            (call,) = calls
            assert call.a == a.data.ptr or not a_as_it_is
            assert call.b == b.data.ptr or not b_as_it_is
            if min(m, k, n) > 1:
                assert (call.a == a.data.ptr, call.b == b.data.ptr) == (a_as_it_is, b_as_it_is)


@every_dtype
def test_stacks_that_are_no_one_distance_apart_are_copied(cp, calls, dtype):
    a, b = draw(cp, (2, 1, 4, 3), dtype), draw(cp, (1, 3, 3, 5), dtype, 1)
    check(blas.matmul(a, b), a, b, dtype)
    a = draw(cp, (2, 4, 4, 3), dtype)[:, ::2]
    b = draw(cp, (2, 2, 3, 5), dtype, 1)
    check(blas.matmul(a, b), a, b, dtype)
    backwards = a[:, 0][::-1]
    check(blas.matmul(backwards, b[:, 0]), backwards, b[:, 0], dtype)
    assert [call.count for call in calls] == [6, 4, 2]
    assert calls[1].b == b.data.ptr


def test_one_matrix_for_all_is_one_product(cp, calls):
    """(B, T, D) @ (D, K) has the rows of all samples in one, whichever way the matrix lies."""
    x, w = draw(cp, (2, 5, 4, 3), "float32"), draw(cp, (6, 3), "float32", 1)
    for b in (w.T, cp.ascontiguousarray(w.T)):
        check(blas.matmul(x, b), x, b, "float32")
    rows = draw(cp, (7, 1, 9), "float32")[:, :, 3:6]  # with gaps between
    check(blas.matmul(rows, w.T), rows, w.T, "float32")
    assert [(call.count, call.m) for call in calls] == [(1, 40), (1, 40), (1, 7)]
    assert calls[2].a == rows.data.ptr


def test_a_large_batch(cp, calls):
    a, b = draw(cp, (70000, 2, 3), "float32"), draw(cp, (70000, 3, 1), "float32", 1)
    check(blas.matmul(a, b), a, b, "float32")
    assert calls[-1].count == 70000


@every_dtype
@pytest.mark.parametrize(
    ("a", "b"),
    [((0, 3), (3, 2)), ((2, 3), (3, 0)), ((2, 0), (0, 3)), ((0, 2, 3), (3, 4)), ((3, 2, 0), (3, 0, 4)),
     ((2, 2, 0, 3), (3, 1)), ((0, 0), (0, 0))],
)  # fmt: skip
def test_nothing_to_add_up(cp, calls, a, b, dtype):
    a, b = draw(cp, a, dtype), draw(cp, b, dtype)
    check(blas.matmul(a, b), a, b, dtype)
    out = cp.full((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), 2, dtype)
    expected = 2 + a.get() @ b.get()
    assert np.array_equal(blas.matmul(a, b, out, add=True).get(), expected.astype(dtype))
    check(blas.matmul(a, b, out), a, b, dtype)
    assert not calls


@every_dtype
def test_vectors(cp, calls, dtype):
    v, w = draw(cp, (6,), dtype)[::2], draw(cp, (3, 2), dtype, 1)[:, 1]  # with gaps
    m = draw(cp, (3, 3), dtype, 2)
    for a, b in ((v, w), (m, v), (v, m), (m.T, v), (v, m.T)):
        calls.clear()
        product = with_vector(a, b)
        check(product, a, b, dtype)
        (call,) = calls
        assert {call.a, call.b} == {a.data.ptr, b.data.ptr}
        assert call.m == 1


def test_other_dtypes_are_left_to_cupy(cp, calls):
    whole = cp.asarray(np.arange(6).reshape(2, 3))
    assert np.array_equal(blas.matmul(whole, whole.T).get(), [[5, 14], [14, 50]])
    single, double = draw(cp, (2, 3), "float32"), draw(cp, (3, 2), "float64")
    check(blas.matmul(single, double), single, double, "float64")
    assert not calls


# -- where the result goes ---------------------------------------------------------------------------------------------


@every_dtype
def test_results_are_written_or_added_in_place(cp, calls, dtype):
    a, b = draw(cp, (2, 4, 3), dtype), draw(cp, (2, 3, 5), dtype, 1)
    places = {
        "without gaps": (True, lambda x: x[:2, :4, :5]), "a part": (True, lambda x: x[1:3, 2:6, 3:8]),
        "turned": (False, lambda x: x[:2, :5, :4].swapaxes(1, 2)), "every other": (False, lambda x: x[:2, :4, :10:2]),
    }  # fmt: skip
    for direct, place in places.values():
        for add in (False, True):
            whole = draw(cp, (3, 6, 11), dtype, 2)
            expected = whole.get()
            place(expected)[...] = a.get().astype("float64") @ b.get() + add * place(expected)
            out = place(whole)
            assert blas.matmul(a, b, out, add) is out
            np.testing.assert_allclose(whole.get(), expected, rtol=RTOL[dtype], atol=4 * RTOL[dtype])
            assert (calls[-1].out == out.data.ptr) == direct
    for stack in (a, a[:, ::-1]):  # one matrix for all, and places with gaps between
        whole = cp.zeros((2, 5, 5), dtype)
        check(blas.matmul(stack, b[0], whole[:, :4]), stack, b[0], dtype)
        assert not whole[:, 4].any()


def test_places_that_do_not_fit(cp):
    a = draw(cp, (2, 3), "float32")
    for out in (cp.empty((2, 3), "float32"), cp.empty((2, 2), "float64"), cp.empty((1, 2, 2), "float32")):
        with pytest.raises(ValueError, match="out is"):
            blas.matmul(a, a.T, out)


# -- layers ------------------------------------------------------------------------------------------------------------


def pointer(t):
    return t.array.data.ptr


@pytest.mark.parametrize("bias", [True, False])
def test_a_linear_layer_is_one_product_each_way(calls, bias):
    """Forward, and for both derivatives, without a copy of anything."""
    x, w = numbers((2, 5, 3), "float32").requires_grad_(), numbers((4, 3), "float32", 1).requires_grad_()
    out = F.linear(x, w, minigrad.ones(4, device="cuda") if bias else None)
    g = minigrad.ones_like(out)
    minigrad.autograd.grad(out, (x, w), g)
    assert [(call.count, call.m, call.k, call.n) for call in calls] == [(1, 10, 3, 4), (1, 10, 4, 3), (1, 4, 10, 3)]
    assert [call.a for call in calls] == [pointer(x), pointer(g), pointer(g)]
    assert [call.b for call in calls] == [pointer(w), pointer(w), pointer(x)]


def test_attention_reads_heads_where_they_lie(calls):
    """(B, T, H, D) seen as (B, H, T, D), for one sample: no operand of a product of two heads' stacks is copied."""
    q, k = (numbers((1, 5, 2, 3), "float32", seed).transpose(1, 2) for seed in (0, 1))
    q @ k.transpose(-1, -2)
    assert (calls[0].count, calls[0].a, calls[0].b) == (2, pointer(q), pointer(k))


def test_recurrent_steps_add_to_the_gates(calls):
    minigrad.manual_seed(0)
    lstm = minigrad.nn.LSTM(3, 4).cuda()
    lstm(numbers((5, 2, 3), "float32"))
    steps = [call for call in calls if ctypes.c_float.from_address(call.beta).value == 1]
    assert [(call.count, call.m, call.n) for call in steps] == [(1, 2, 16)] * 5  # all gates at once


# -- precision ---------------------------------------------------------------------------------------------------------


def test_tf32_is_asked_for_where_it_is_allowed(cp, calls, monkeypatch):
    """It rounds the factors: 1 + 2^-12 becomes 1."""
    for precision, compute, value in (("highest", 68, 1 + 2**-12), ("high", 77, 1), ("medium", 77, 1)):
        monkeypatch.setattr(settings, "matmul_precision", precision)
        product = blas.matmul(cp.full((16, 16), (1 + 2**-12) / 16, "float32"), cp.ones((16, 16), "float32"))
        assert calls[-1].compute == compute
        assert np.array_equal(product.get(), np.full((16, 16), value, "float32"))
        for dtype, other in (("float64", 70), ("float16", 68)):
            blas.matmul(cp.ones((2, 2), dtype), cp.ones((2, 2), dtype))
            assert calls[-1].compute == other


def test_halves_are_rounded_once(cp):
    """All of them come through a product, and sums beyond their precision are those of float32."""
    every = np.arange(1 << 16).astype("uint16").view("float16")
    through = blas.matmul(cp.asarray(every[:, None]), cp.ones((1, 1), "float16")).get()[:, 0]
    assert np.array_equal(through, every, equal_nan=True)
    rng = np.random.default_rng(0)
    with np.errstate(over="ignore", invalid="ignore"):
        pairs = (rng.standard_normal((4000, 2)) * 10.0 ** rng.integers(-8, 6, (4000, 2))).astype("float16")
        sums = pairs.astype("float32").sum(axis=1).astype("float16")
    assert np.array_equal(blas.matmul(cp.asarray(pairs), cp.ones((2, 1), "float16")).get()[:, 0], sums, equal_nan=True)


# -- the library -------------------------------------------------------------------------------------------------------


def test_each_thread_has_a_handle_and_each_stream_a_workspace(cp, library, monkeypatch):
    monkeypatch.setattr(library, "handles", {})
    x, streams = cp.ones((2, 2)), [cp.cuda.Stream(non_blocking=True) for _ in range(2)]

    def work():
        for stream in (*streams, *streams):
            with stream:
                blas.matmul(x, x)

    work()
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert len({handle.address for handle in library.handles.values()}) == len(library.handles) == 2
    for handle in library.handles.values():
        assert handle.workspaces.keys() == {stream.ptr for stream in streams}
        assert all(workspace.nbytes >= 4 << 20 for workspace in handle.workspaces.values())


def test_a_captured_product_is_done_again(cp, library):
    x, w = draw(cp, (4, 3), "float32"), draw(cp, (5, 3), "float32", 1)
    stream = cp.cuda.Stream(non_blocking=True)
    with stream:
        blas.matmul(x, w.T)
        stream.synchronize()
        stream.begin_capture()
        out = blas.matmul(x, w.T)
        graph = stream.end_capture()
        x *= 2
        graph.launch()
        stream.synchronize()
    check(out, x, w.T, "float32")


def test_without_a_library_cupy_computes(cp):
    before = blas.use_library(None)
    try:
        a, b = draw(cp, (2, 4, 3), "float32"), draw(cp, (3, 5), "float32", 1)
        check(blas.matmul(a, b), a, b, "float32")
        out = cp.ones((2, 4, 5), "float32")
        blas.matmul(a, b, out, add=True)
        check(out - 1, a, b, "float32")
        stream = cp.cuda.Stream(non_blocking=True)
        with stream:
            stream.begin_capture()
            with pytest.raises(NotImplementedError, match="capture"):
                blas.matmul(a[0], b)
            stream.end_capture()
    finally:
        blas.use_library(before)


def test_shapes_that_do_not_fit(cp):
    for a, b in (((2, 3), (2, 3)), ((2, 2, 3), (3, 3, 2)), ((2, 3), (4, 2, 2))):
        with pytest.raises(ValueError, match=r"columns|broadcast"):
            blas.matmul(cp.ones(a), cp.ones(b))
    with pytest.raises(RuntimeError, match=r"shapes cannot be multiplied \(2x3 and 4x5\)"):
        F.linear(minigrad.ones(2, 3, device="cuda"), minigrad.ones(5, 4, device="cuda"))
    with pytest.raises(TypeError):
        blas.matmul(cp.ones((2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize(("status", "name"), [(13, "EXECUTION_FAILED"), (3, "ALLOC_FAILED"), (15, "NOT_SUPPORTED")])
def test_what_the_library_refuses_is_named(cp, library, monkeypatch, status, name):
    x = cp.ones((2, 3, 3), "float32")
    monkeypatch.setattr(library, "gemm", lambda *args: status)
    monkeypatch.setattr(library, "gemm_batched", lambda *args: status)
    with pytest.raises(RuntimeError, match=rf"^CUDA error: CUBLAS_STATUS_{name} when calling `cublasGemmEx\(handle, "):
        blas.matmul(x[0], x[1])
    with pytest.raises(
        RuntimeError, match=rf"CUBLAS_STATUS_{name} when calling `cublasGemmStridedBatchedEx\("
    ) as error:
        blas.matmul(x, x)
    assert ("memory" in str(error.value)) == (status == 3)


def test_a_handle_that_cannot_be_made(cp, library, monkeypatch):
    monkeypatch.setattr(library, "handles", {})
    monkeypatch.setattr(library, "_create", lambda handle: 1)
    with pytest.raises(
        RuntimeError, match=r"^CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate\(handle\)`\n"
    ):
        blas.matmul(cp.ones((2, 2)), cp.ones((2, 2)))
    assert not library.handles


def test_the_stand_in_refuses_what_cublas_refuses():
    library, (a, b, c) = strict_blas.library(), (np.ones((3, 3), "float32") for _ in range(3))
    one, handle = ctypes.c_float(1), ctypes.c_void_p()
    library._create(ctypes.byref(handle))
    workspace = np.empty(64, "uint8")

    def status(handle=handle, turned=0, m=3, k=3, lda=3, ldc=3, kind=0, compute=68, a=a):
        address = a if a is None else a.ctypes.data
        begin = handle, turned, 0, m, 3, k, ctypes.addressof(one)
        second = b.ctypes.data, 0, 3
        return library.gemm(
            *begin, address, kind, lda, *second, ctypes.addressof(one), c.ctypes.data, 0, ldc, compute, -1
        )

    assert status() == 1  # without a workspace cuBLAS takes memory of its own
    assert library._set_workspace(handle, workspace.ctypes.data, 64) == 0
    assert status() == 0
    assert library._set_stream(handle, None) == 0
    assert status() == 1  # another stream, another workspace
    assert library._set_workspace(handle, workspace.ctypes.data, 64) == 0
    assert status(handle=None) == 1
    assert [status(lda=2), status(ldc=2), status(m=-1), status(turned=3), status(a=None)] == [7] * 5
    assert [status(kind=1), status(compute=70), status(compute=64)] == [15] * 3
    assert [status(m=2, lda=2), status(m=2, lda=2, turned=1)] == [0, 7]  # the rows of what lies there


def found():
    """The path of NVIDIA's libcublas, or None."""
    try:
        return importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib("cublas").abs_path
    except (ImportError, RuntimeError):
        return None


@pytest.mark.skipif(found() is None, reason="libcublas is not installed")
def test_the_real_library_has_the_functions_and_the_names():
    real, stand_in = blas.Library(found()), strict_blas.library()
    assert [real._name(status) for status in range(-1, 30)] == [stand_in._name(status) for status in range(-1, 30)]
    assert real.gemm(*[None, 0, 0, 1, 1, 1], *[None] * 2, 0, 1, None, 0, 1, None, None, 0, 1, 68, -1) == 1


# -- nobody goes around it ---------------------------------------------------------------------------------------------

ON_THE_CPU = {"kernels/products.py", "kernels/winograd.py", "kernels/gpu/blas.py"}
WAITS = {"optim/lbfgs.py"}  # at every step, for numbers of the loss


def test_arrays_are_multiplied_in_one_place():
    """No `@`, `dot` or einsum on arrays in kernels, ops or optimizers: CuPy's could not be captured."""
    package, found = Path(minigrad.__file__).parent, []
    for path in (path for folder in ("kernels", "ops", "optim") for path in sorted((package / folder).rglob("*.py"))):
        name = path.relative_to(package).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            operator = isinstance(node, (ast.BinOp, ast.AugAssign)) and isinstance(node.op, ast.MatMult)
            method = isinstance(node, ast.Attribute) and node.attr in {"dot", "einsum", "matmul", "tensordot", "vdot"}
            if (operator or method) and name not in ON_THE_CPU | WAITS:
                found.append(f"{name}:{node.lineno}")
    assert not found
