"""Tensors print exactly as torch prints them: every string here is compared with torch's own, made on the spot."""

import contextlib
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minigrad.printing import PrintOptions, format_scalar, format_tensor, printoptions, set_printoptions

FLOATS = ("float16", "float32", "float64")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64")
DTYPES = (*FLOATS, *INTEGERS, "bool")

often = settings(max_examples=6 * settings.default.max_examples)  # there is much to vary, and an example is quick


@contextlib.contextmanager
def torch_printing(default_dtype="float32", **options):
    """Run with torch's print options and default dtype set, and put both back."""
    torch.set_printoptions(**options)
    torch.set_default_dtype(getattr(torch, default_dtype))
    try:
        yield
    finally:
        torch.set_printoptions(profile="default")
        torch.set_default_dtype(torch.float32)


def kinds_of_numbers(dtype):
    """Strategies for elements: each draws numbers of one kind, on which one decision of the printing hangs."""
    if dtype == "bool":
        return [st.booleans()]
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        return [st.integers(0, 100), st.integers(info.min, info.max)]
    info = np.finfo(dtype)
    largest, tiny, subnormal = (float(x) for x in (info.max, info.tiny, info.smallest_subnormal))

    def fits(x):
        return not largest < abs(x) < math.inf

    whole = st.integers(-2000, 2000).map(float)
    fractions = st.floats(-3, 3, width=info.bits)
    any_float = st.floats(width=info.bits)  # with infinities, nan, both zeros and subnormal numbers
    scaled = st.builds(lambda digits, power: digits * 10.0**power, st.floats(-10, 10), st.integers(-12, 12))
    borders = [0.0, -0.0, math.inf, -math.inf, math.nan, 1.0, 0.5, 0.99995, 9.99995, 1000.0, 1000.5, 1001.0, 0.1]
    borders += [1e-4, 0.9999e-4, 1.0001e-4, 1e8, 1.0001e8, -1e8, 1e15, largest, tiny, subnormal]
    scaled = scaled.filter(fits)
    mixed = st.one_of(st.sampled_from(list(filter(fits, borders))), whole, fractions, scaled)
    return [whole, fractions, any_float, scaled, mixed]


@st.composite
def arrays(draw, dtypes=DTYPES):
    """Arrays of 0 to 5 dimensions and up to 4000 elements, made of at most 12 different numbers."""
    dtype = draw(st.sampled_from(dtypes))
    least, room, shape = draw(st.sampled_from([1, 1, 1, 0])), 4000, []
    for _ in range(draw(st.integers(0, 5))):
        shape.append(draw(st.integers(least, min(room, draw(st.sampled_from([3, 8, 30, 1500]))))))
        room //= max(1, shape[-1])
    kind = draw(st.sampled_from(kinds_of_numbers(dtype)))
    palette = np.array(draw(st.lists(kind, min_size=1, max_size=12)), dtype)
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return np.asarray(palette[random.integers(len(palette), size=shape)])


options = st.fixed_dictionaries(
    {},
    optional={
        "profile": st.sampled_from(["default", "short", "full", "unknown"]),
        "precision": st.integers(0, 12),
        "threshold": st.sampled_from([0, 1, 5, 20, 1000, math.inf]),
        "edgeitems": st.integers(0, 5),
        "linewidth": st.integers(0, 160),
        "sci_mode": st.sampled_from([None, True, False]),
    },
)


def with_history(tensor, name):
    """The result of an operation whose grad_fn has this name, as long as one likes."""

    class Identity(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, g):
            return g

    return type(name, (Identity,), {}).apply(tensor.requires_grad_())


@often
@given(array=arrays())
@example(array=np.array([np.nan, np.inf, -np.inf]))
@example(array=np.array([1.0, np.inf]))
@example(array=np.array([0.5, -0.0]))
@example(array=np.array([5e-324, 1e308]))
@example(array=np.zeros((2, 2, 2, 2), np.float32))
def test_any_array_prints_as_in_torch(array):
    assert format_tensor(array) == repr(torch.from_numpy(array))


@often
@given(array=arrays(), chosen=options)
@example(array=np.ones(()), chosen={"threshold": 0, "edgeitems": 0})
@example(array=np.ones(4), chosen={"threshold": 0, "edgeitems": 0})
@example(array=np.ones((3, 4)), chosen={"threshold": 0, "edgeitems": 0})
@example(array=np.array([1e-5, 3.0, -0.0]), chosen={"sci_mode": False})
@example(array=np.array([np.nan, 0.0]), chosen={"sci_mode": True})
@example(array=np.array([1.5, 1.0]), chosen={"precision": 0})
def test_any_print_options_mean_what_they_mean_in_torch(array, chosen):
    with torch_printing(**chosen), printoptions(**chosen):
        assert format_tensor(array) == repr(torch.from_numpy(array))


@often
@given(array=arrays(FLOATS), length=st.integers(1, 90), linewidth=st.integers(20, 120), default=st.sampled_from(FLOATS))
def test_suffixes_break_the_line_where_torch_breaks_it(array, length, linewidth, default):
    name = "F" * length
    arguments = {"default_dtype": default, "options": PrintOptions(linewidth=linewidth)}
    with torch_printing(default_dtype=default, linewidth=linewidth):
        leaf = torch.from_numpy(array).requires_grad_()
        assert format_tensor(array, suffixes=["requires_grad=True"], **arguments) == repr(leaf)
        result = with_history(leaf, name)
        assert format_tensor(array, suffixes=[f"grad_fn=<{name}Backward>"], **arguments) == repr(result)


@given(array=arrays(FLOATS), length=st.integers(1, 40))
def test_a_subclass_puts_its_own_name_and_indent(array, length):
    name = "S" * length
    tensor = torch.from_numpy(array).as_subclass(type(name, (torch.Tensor,), {}))
    assert format_tensor(array, prefix=f"{name}(") == repr(tensor)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("default", FLOATS)
@pytest.mark.parametrize("shape", [(), (2,), (0,), (2, 0), (0, 3, 1)])
def test_dtype_is_named_unless_it_is_the_default(dtype, default, shape):
    array = np.ones(shape, dtype)
    with torch_printing(default_dtype=default):
        assert format_tensor(array, default_dtype=default) == repr(torch.from_numpy(array))


def test_the_device_comes_before_size_and_dtype():
    # torch's meta device stands in for the GPU; having no elements, it prints "..." in their place.
    there = torch.empty(0, 3, device="meta", dtype=torch.float64)
    assert format_tensor(np.empty((0, 3)), device="meta") == repr(there).replace("...", "[]")


@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (3,), (20,), (2, 20), (2, 1, 2, 20)])
def test_lines_break_where_torch_breaks_them_at_every_width(shape):
    array = np.full(shape, 0.5)
    leaf = torch.from_numpy(array).requires_grad_()
    for linewidth in range(120):
        with torch_printing(linewidth=linewidth), printoptions(linewidth=linewidth):
            assert format_tensor(array, suffixes=["requires_grad=True"]) == repr(leaf)


def test_scientific_notation_starts_where_torch_starts_it():
    for low, high in itertools.product(range(-6, 11), repeat=2):
        for factor in (1.0, 1.0001, 0.9999):
            array = np.array([10.0**low, factor * 10.0**high])
            assert format_tensor(array) == repr(torch.from_numpy(array))


def test_options_stay_until_changed_and_sci_mode_until_the_next_call():
    array = np.array([1.5, 2.25])
    steps = [{"sci_mode": True}, {"precision": 2}, {"profile": "full"}, {"linewidth": 12}, {"profile": "default"}]
    try:
        for step in steps:
            set_printoptions(**step)
            torch.set_printoptions(**step)
            assert format_tensor(array) == repr(torch.from_numpy(array))
    finally:
        set_printoptions(profile="default")
        torch.set_printoptions(profile="default")


def test_printoptions_puts_back_what_was_even_after_an_error():
    array = np.array([1.5])
    before = format_tensor(array)
    with printoptions(sci_mode=True):
        outer = format_tensor(array)
        with contextlib.suppress(KeyError), printoptions(precision=1):
            inner = format_tensor(array)
            raise KeyError
        assert format_tensor(array) == outer
    assert format_tensor(array) == before
    assert len({before, outer, inner}) == 3


@pytest.mark.parametrize("bad", [{"digits": 3}, {"precision": 2, "sci": True}])
def test_an_unknown_option_is_refused_as_in_torch(bad):
    with pytest.raises(TypeError) as theirs:
        torch.set_printoptions(**bad)
    with pytest.raises(TypeError) as ours:
        set_printoptions(**bad)
    assert str(ours.value) == str(theirs.value)


def outcome(function):
    """What a call returns, or the type and first line of what it raises."""
    try:
        return function()
    except (TypeError, ValueError) as error:
        return type(error), str(error).splitlines()[0]


@pytest.mark.parametrize("spec", [".2f", ">12", "", "+.3e", "d", "x", "%", "s", "nonsense"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_zero_dim_tensor_formats_as_its_number(dtype, spec):
    array = np.array(1.0625).astype(dtype)
    assert outcome(lambda: format_scalar(array, spec)) == outcome(lambda: format(torch.from_numpy(array), spec))


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 1), (0,)])
def test_a_tensor_with_dimensions_takes_no_format(shape):
    array = np.ones(shape)
    assert outcome(lambda: format_scalar(array, ".2f")) == outcome(lambda: format(torch.from_numpy(array), ".2f"))
