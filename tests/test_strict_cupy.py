"""The stand-in for CuPy computes as NumPy where CuPy does, and differs where CuPy does."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from minigrad import backend
from minigrad.kernels.sums import sum_to
from reference.strict_cupy import cupy, cupyx, install, ndarray
from reference.strict_device import NAMES
from tests.arrays import values


def same(device, host):
    """True if a result on the device, perhaps nested, has the values, shapes and dtypes of NumPy's."""
    if isinstance(host, (list, tuple)):
        return len(device) == len(host) and all(map(same, device, host))
    if isinstance(device, ndarray):
        host = np.asarray(host)
        return device.dtype == host.dtype and device.shape == host.shape and np.array_equal(device.get(), host)
    return not isinstance(host, (np.ndarray, np.generic)) and device == host


# -- silent differences from NumPy -------------------------------------------------------------------------------------


@given(st.lists(st.integers(-9, 9), min_size=1, max_size=5))
def test_integer_arrays_wrap_around_where_numpy_raises(numbers):
    x, index, inside = values((4, 3)), cupy.asarray(numbers, dtype=np.int8), np.asarray(numbers) % 4
    device = cupy.asarray(x)
    assert same(device[index], x[inside])
    assert same(device[:2, index], x[:2, np.asarray(numbers) % 3])
    assert same(device[..., index, :], x[inside])
    assert same(device.take(index, axis=0), x[inside])
    assert same(cupy.take(device, index, axis=0), x[inside])
    columns = np.stack([np.asarray(numbers)] * 3, axis=1)
    assert same(cupy.take_along_axis(device, cupy.asarray(columns), axis=0), np.take_along_axis(x, columns % 4, axis=0))
    cupy.add.at(device, index, 1.0)
    np.add.at(x, inside, 1.0)
    assert same(device, x)


def test_an_integer_out_of_range_is_an_index_error():
    with pytest.raises(IndexError):
        cupy.zeros(3)[3]


def test_of_several_writes_to_one_place_the_winner_is_not_numpys():
    x = cupy.zeros(3)
    x[cupy.asarray([1, 1, 2])] = cupy.asarray([5.0, 6.0, 7.0])
    assert same(x, np.array([0.0, 5.0, 7.0]))


def test_new_memory_holds_garbage():
    for floats in (cupy.empty(3), cupy.empty_like(cupy.ones(3)), ndarray(3)):
        assert np.isnan(floats.get()).all()
    assert same(cupy.empty(3, dtype=np.int8), np.full(3, 127, np.int8))
    assert same(cupy.empty(3, dtype=bool), np.ones(3, bool))


@pytest.mark.parametrize("reduce", ["sum", "mean", "max", "min", "argmax", "prod", "std", "var", "any", "all", "ptp"])
def test_reductions_give_arrays(reduce):
    x = cupy.asarray(values())
    for result in (getattr(x, reduce)(), getattr(cupy, reduce)(x)):
        assert type(result) is ndarray
        assert result.shape == ()


def test_matmul_in_place_binds_a_new_array():
    x = before = cupy.asarray(values((2, 2)))
    x @= x
    assert x is not before
    assert same(before, values((2, 2)))
    x = before
    x += 1.0
    assert x is before
    assert same(before, values((2, 2)) + 1.0)


def test_scatter_add_of_cupyx_is_deprecated():
    x = cupy.zeros(2)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        cupyx.scatter_add(x, cupy.asarray([0, 0]), 1.0)
    assert same(x, np.array([2.0, 0.0]))


def test_an_empty_array_is_false_with_a_warning_and_many_have_no_truth():
    with pytest.warns(DeprecationWarning, match="ambiguous"):
        assert not cupy.zeros(0)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(cupy.zeros(2))


def test_a_class_that_refuses_ufuncs_answers_the_operator():
    tensor = SimpleNamespace(__array_ufunc__=None)
    assert cupy.zeros(2).__add__(tensor) is NotImplemented
    assert same(np.float32(2) * cupy.ones(2, dtype=np.float32), np.full(2, 2, np.float32))


# -- what is the same as in NumPy --------------------------------------------------------------------------------------

REDUCTIONS = ("sum", "mean", "max", "min", "prod", "std", "var", "argmax", "argmin", "any", "all")
ELEMENTWISE = ("exp", "log", "sqrt", "tanh", "sin", "cos", "floor", "ceil", "sign", "square", "reciprocal", "isnan")
PAIRWISE = ("maximum", "minimum", "power", "hypot", "arctan2", "logaddexp", "equal", "copysign", "logical_and")

AGREE = {
    "arithmetic": lambda xp, x, y: (x + y, x - y, x * y, x / y, x // y, x % y, divmod(x, y), x**2, -x, +x, abs(-x)),
    "numbers on the left": lambda xp, x, y: (1 + x, 1 - x, 2 * x, 1 / x, 7 // x, 7 % x, 2.0**x, divmod(7, x)),
    "comparisons": lambda xp, x, y: (x < y, x <= y, x > y, x >= y, x == y, x != y),
    "logic": lambda xp, x, y: ((x > y) & (x > 2), (x > y) | (x > 2), (x > y) ^ (x > 2), ~(x > y)),
    "elementwise": lambda xp, x, y: [getattr(xp, name)(x) for name in ELEMENTWISE],
    "pairwise": lambda xp, x, y: [getattr(xp, name)(x, y) for name in PAIRWISE],
    "reductions": lambda xp, x, y: [getattr(xp, name)(x, axis=1, keepdims=True) for name in REDUCTIONS],
    "reducing methods": lambda xp, x, y: [getattr(x, name)(axis=0) for name in REDUCTIONS],
    "total reductions": lambda xp, x, y: [getattr(x, name)() for name in REDUCTIONS],
    "statistics": lambda xp, x, y: (x.var(ddof=1), xp.std(x, axis=0, ddof=1), xp.median(x), xp.ptp(x)),
    "products": lambda xp, x, y: (x @ y.T, xp.dot(x, y.T), xp.matmul(x, y.T), xp.outer(x[0], y[0]), xp.kron(x, y)),
    "contractions": lambda xp, x, y: (xp.einsum("ij,kj->ik", x, y), xp.tensordot(x, y, 2), xp.inner(x, y)),
    "joining": lambda xp, x, y: (
        xp.concatenate([x, y]),
        xp.stack([x, y], axis=1),
        xp.vstack((x, y)),
        xp.hstack((x, y)),
    ),
    "splitting": lambda xp, x, y: (
        xp.split(x, [1], axis=1),
        xp.array_split(x, 2, axis=1),
        xp.broadcast_arrays(x, y[0]),
    ),
    "reshaping": lambda xp, x, y: (x.reshape(3, 2), x.reshape((-1,)), xp.reshape(x, (3, 2)), x.ravel(), x.flatten()),
    "transposing": lambda xp, x, y: (x.T, x.mT, x.transpose(1, 0), x.swapaxes(0, 1), xp.transpose(x, (1, 0))),
    "dimensions": lambda xp, x, y: (xp.expand_dims(x, 0), xp.squeeze(x[:1]), x[:1].squeeze(0), xp.moveaxis(x, 0, 1)),
    "repeating": lambda xp, x, y: (xp.broadcast_to(x[0], (4, 3)), xp.tile(x, (2, 1)), xp.repeat(x, 2, axis=1)),
    "turning": lambda xp, x, y: (xp.flip(x, 0), xp.roll(x, 1, axis=1), xp.rot90(x)),
    "padding": lambda xp, x, y: (xp.pad(x, [(1, 0), (0, 2)]), xp.pad(x, 1, mode="reflect")),
    "triangles": lambda xp, x, y: (xp.tril(x), xp.triu(x, 1), xp.diag(x[0]), xp.trace(x), xp.tril_indices(3)),
    "choosing": lambda xp, x, y: (xp.where(x > y, x, 0.0), xp.clip(x, 2.0, 4.0), x.clip(2.0, 4.0), x.round(1)),
    "sorting": lambda xp, x, y: (xp.sort(x, axis=0), xp.argsort(x, axis=1), x.argsort(axis=None)),
    "searching": lambda xp, x, y: xp.searchsorted(xp.sort(x[0]), y[0]),
    "basic indexing": lambda xp, x, y: (x[0], x[:, 1:], x[..., None], x[::-1, ::2], x[None], x[1, 2], x[-1], x[()]),
    "arrays as indices": lambda xp, x, y: (x[xp.asarray([1, 0, 1])], x[:, xp.asarray([[0], [2]])], x[[0, 1], [2, 0]]),
    "masks as indices": lambda xp, x, y: (x[x > 2], x[xp.asarray([True, False])], x[:, x[0] > 3]),
    "taking": lambda xp, x, y: (xp.take(x, xp.asarray([2, 0]), axis=1), xp.take_along_axis(x, xp.argsort(y), axis=1)),
    "creating": lambda xp, x, y: (xp.zeros((2, 1)), xp.ones(2, dtype=np.int8), xp.full((2,), 3), xp.eye(2)),
    "ranges": lambda xp, x, y: (xp.arange(2, 9, 3), xp.linspace(0, 1, 5), xp.indices((2, 2)), xp.meshgrid(x[0], y[0])),
    "creating alike": lambda xp, x, y: (xp.zeros_like(x), xp.ones_like(x, dtype=np.float32), xp.full_like(x, 7.0)),
    "uploading": lambda xp, x, y: (xp.asarray(2.0), xp.array([[1, 2]]), xp.asarray(np.float32(3)), xp.array([x, y])),
    "casting": lambda xp, x, y: (x.astype(np.float32), x.astype(np.int64) // 2, x.view(np.int64)),
    "promotion": lambda xp, x, y: (x.astype(np.float16) * x.astype(np.float32), x.astype(np.int8) * 2.0),
    "running": lambda xp, x, y: (xp.cumsum(x, axis=1), xp.diff(x, axis=1), x.cumprod(axis=0)),
    "counting": lambda xp, x, y: (xp.unique(x, return_counts=True), xp.bincount(x[0].astype(int)), xp.histogram(x, 3)),
    "finding": lambda xp, x, y: (xp.nonzero(x > 2), xp.where(x > 2), xp.argwhere(x > 2), xp.count_nonzero(x > 2)),
    "agreeing": lambda xp, x, y: (xp.allclose(x, y), xp.array_equal(x, x), xp.isclose(x, y)),
    "linear algebra": lambda xp, x, y: (xp.linalg.norm(x, axis=1), xp.linalg.inv(x @ x.T), xp.linalg.det(x @ x.T)),
    "decompositions": lambda xp, x, y: (xp.linalg.svd(x), xp.linalg.qr(x), xp.linalg.eigh(x @ x.T)),
    "ufunc methods": lambda xp, x, y: (xp.add.outer(x[0], y[0]), xp.add.reduce(x), xp.multiply.accumulate(x, axis=1)),
    "layout": lambda xp, x, y: (x.shape, x.strides, x.nbytes, x.itemsize, x.ndim, x.size, xp.shape(x), len(x)),
    "windows": lambda xp, x, y: xp.lib.stride_tricks.sliding_window_view(x, 2, axis=1),
    "strides": lambda xp, x, y: (xp.lib.stride_tricks.as_strided(x, (2, 2), (8, 8)), xp.ascontiguousarray(x.T)),
    "Fourier": lambda xp, x, y: (xp.fft.rfft(x), xp.fft.irfft(xp.fft.rfft(x), n=3)),
    "dtypes": lambda xp, x, y: (xp.float32, xp.dtype("int8"), xp.iinfo(np.int8).max, xp.result_type(x, np.float32)),
    "constants": lambda xp, x, y: (xp.newaxis, xp.pi, xp.inf, xp.broadcast_shapes((2, 1), (3,))),
}


@pytest.mark.parametrize("compute", AGREE.values(), ids=AGREE)
def test_values_shapes_and_dtypes_are_numpys(compute):
    x, y = values(), values(seed=1)
    assert same(compute(cupy, cupy.asarray(x), cupy.asarray(y)), compute(np, x, y))


WRITES = {
    "a row": lambda xp, x, y: x.__setitem__(0, y[1]),
    "a column": lambda xp, x, y: x.__setitem__((slice(None), 1), 7),
    "a number through a mask": lambda xp, x, y: x.__setitem__(x > 2, 0.0),
    "values through a mask": lambda xp, x, y: x.__setitem__(x > 2, y[x > 2]),
    "rows": lambda xp, x, y: x.__setitem__(xp.asarray([1, 0]), y),
    "points": lambda xp, x, y: x.__setitem__((xp.asarray([0, 1]), xp.asarray([2, 2])), y[:, 0]),
    "a view": lambda xp, x, y: x.T[1].fill(3.0),
    "add.at": lambda xp, x, y: xp.add.at(x, xp.asarray([1, 1, 0]), y[0]),
    "add.at beside a slice": lambda xp, x, y: xp.add.at(x, (slice(None), xp.asarray([2, 2])), 1.0),
    "maximum.at": lambda xp, x, y: xp.maximum.at(x, xp.asarray([1, 1]), 4.0),
    "out": lambda xp, x, y: xp.exp(y, out=x),
    "positional out": lambda xp, x, y: xp.add(y, y, x[:, ::-1]),
    "out of a reduction": lambda xp, x, y: y.sum(axis=0, out=x[0]),
    "copyto": lambda xp, x, y: xp.copyto(x, y, where=x > 2),
    "putmask": lambda xp, x, y: xp.putmask(x, x > 2, 1.0),
    "put": lambda xp, x, y: xp.put(x, xp.asarray([1, 4]), y[0]),
    "put_along_axis": lambda xp, x, y: xp.put_along_axis(x, xp.argmax(y, axis=1, keepdims=True), 0.0, axis=1),
    "sort": lambda xp, x, y: x.sort(axis=0),
    "+=": lambda xp, x, y: x.__iadd__(y),
    "-=": lambda xp, x, y: x.__isub__(2),
    "*=": lambda xp, x, y: x.__imul__(y),
    "/=": lambda xp, x, y: x.__itruediv__(y[0]),
    "**=": lambda xp, x, y: x.__ipow__(2),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_writes_are_numpys(write):
    x, y = values(), values(seed=1)
    device = cupy.asarray(x)
    write(cupy, device, cupy.asarray(y))
    write(np, x, y)
    assert same(device, x)


@given(st.data())
def test_any_index_inside_reads_and_writes_as_in_numpy(data):
    shape = data.draw(st_np.array_shapes(max_dims=3, max_side=4))
    index = data.draw(
        st_np.basic_indices(shape, allow_newaxis=True)
        | st_np.integer_array_indices(shape)
        | st_np.arrays(bool, shape)
        | st.tuples(st.just(...), st_np.arrays(np.intp, st.just((2,)), elements=st.integers(-shape[-1], shape[-1] - 1)))
    )
    x = values(shape)
    device = cupy.asarray(x)
    upload = lambda part: cupy.asarray(part) if isinstance(part, np.ndarray) else part
    on_device = tuple(map(upload, index)) if isinstance(index, tuple) else upload(index)
    assert same(device[on_device], x[index])
    device[on_device] = -1
    x[index] = -1
    assert same(device, x)


# -- views, copies, names ----------------------------------------------------------------------------------------------


def test_views_share_memory_and_name_the_first_owner_as_base():
    x = cupy.asarray(values())
    for view in (
        x[0],
        x[:, 1:][0],
        x.T,
        x.reshape(3, 2)[1],
        x.ravel(),
        x[None],
        cupy.broadcast_to(x, (2, 2, 3)),
        x.view(),
    ):
        assert view.base is x
        assert not view.flags.owndata
    for fresh in (x, x.copy(), x + 1, x[x > 2], x[cupy.asarray([0])], x.T.copy(), cupy.stack([x, x])):
        assert fresh.base is None
        assert fresh.flags["OWNDATA"]
    x[0][1:] = 0.0
    assert same(x[0, 1:], np.zeros(2))


def test_what_needs_no_work_gives_the_array_itself():
    x = cupy.asarray(values())
    for result in (x.astype(np.float64, copy=False), cupy.asarray(x), cupy.exp(x, out=x), x[0].T.base, x.real):
        assert result is x


def test_an_upload_and_a_download_are_copies():
    host = values()
    device = cupy.asarray(host)
    host[0] = 0.0
    back = device.get()
    back[1] = 0.0
    assert same(device, values())
    device.set(values(seed=1))
    for twin in (device, copy.deepcopy(device), pickle.loads(pickle.dumps(device))):
        assert same(twin, values(seed=1))
        assert np.array_equal(twin.get(out=np.empty((2, 3))), values(seed=1))


def test_only_names_of_cupy_exist():
    public = {name for name in vars(ndarray) if not name.startswith("__")} - {"_host", "_memory"}
    assert public <= NAMES["cupy.ndarray"].keys()
    dunders = {name for name in vars(ndarray) if name.startswith("__")}
    assert not dunders & {"__imatmul__", "__contains__", "__index__", "__array_namespace__", "__array_interface__"}
    for name in (name for name in dir(np) if not name.startswith("_")):
        assert name in NAMES["cupy"] or not hasattr(cupy, name)


def test_a_missing_name_is_said_to_be_missing_from_cupy():
    with pytest.raises(AttributeError, match=r"module 'cupy' has no attribute 'block' \(CuPy 14"):
        _ = cupy.block
    with pytest.raises(AttributeError, match=r"'Generator' object has no attribute 'normal' \(CuPy 14"):
        _ = cupy.random.default_rng(0).normal
    with pytest.raises(AttributeError, match=r"'cupy.ndarray' object has no attribute 'resize' \(CuPy 14"):
        _ = cupy.zeros(2).resize


@pytest.mark.parametrize("space", [cupy, cupy.linalg, cupy.fft, cupy.random, cupy.cuda, cupy.lib.stride_tricks, cupyx])
def test_every_name_of_cupy_is_imitated_or_said_not_to_be(space):
    def imitated(name):
        try:
            return getattr(space, name, NAMES) is not NAMES
        except NotImplementedError as error:
            return name in str(error)

    assert all(map(imitated, NAMES[space.__name__]))


def test_the_generator_gives_device_arrays():
    generator = cupy.random.default_rng(0)
    for draw in (generator.random((2, 3), dtype=np.float32), generator.standard_normal(3), generator.integers(0, 5)):
        assert type(draw) is ndarray


# -- as minigrad's GPU -------------------------------------------------------------------------------------------------


def test_installed_it_is_the_device_cuda():
    x = values()
    with install() as gpu:
        moved = backend.move(x, "cuda")
        assert type(moved) is ndarray
        assert backend.module_of(moved, x) is gpu
        assert backend.device_of(moved).type == "cuda"
        assert backend.is_view_of(moved[0], moved)
        assert same(sum_to(moved, (1, 3)), x.sum(axis=0, keepdims=True))
        backend.add_at(moved, gpu.asarray([0, 0]), moved[1])
        np.add.at(x, np.array([0, 0]), x[1])
        assert same(moved, x)
        assert np.array_equal(backend.move(moved, "cpu"), x)
    assert not backend.is_array(moved)
