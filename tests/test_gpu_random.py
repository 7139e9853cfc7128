"""Random numbers made on the GPU: kernels against the specification, generators, captured draws, statistics."""

import math

import numpy as np
import pytest

import minigrad
from minigrad import backend, random
from minigrad.kernels import choices, draws
from minigrad.kernels.gpu.launch import without_kernels
from minigrad.kernels.philox import Philox, philox, stream
from minigrad.nn import functional as F
from reference import strict_cupy
from tests.gpu import drawn_as_on_the_gpu, needs_emulation


@pytest.fixture
def cp(gpu):
    """CuPy's stand-in, or CuPy; the generators are seeded with 5."""
    minigrad.manual_seed(5)
    return gpu


# -- Philox -----------------------------------------------------------------------------------------------------------

PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0)  # its first digits, in base 2**32


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ((0,) * 4, (0,) * 2, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (*PI, "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_known_answers(counter, key, words):
    """Of Random123, by the authors of Philox."""
    found = philox(tuple(np.uint64(c) for c in counter), key)
    assert " ".join(f"{int(w):08x}" for w in found) == words


def test_a_word_is_the_same_however_the_stream_is_cut():
    whole = stream(7, 0, 1000)
    for start, n in ((0, 1), (4, 7), (996, 4), (500, 301)):
        np.testing.assert_array_equal(stream(7, start, n), whole[start : start + n])
    engine = Philox(7)
    parts = [engine.words32(n) for n in (1, 4, 5)]
    assert [p[0] for p in parts] == [whole[0], whole[4], whole[8]]
    assert engine.offset == 16


def test_counters_carry_into_the_second_word():
    words = stream(7, 4 * (2**32 - 1), 8)
    expected = philox((np.uint64(0), np.uint64(1), np.uint64(0), np.uint64(0)), (7, 0))
    np.testing.assert_array_equal(words[4:], np.array(expected))


# -- kernels ----------------------------------------------------------------------------------------------------------

ANY = ("float16", "float32", "float64", "uint8", "int64", "bool")
FLOATS, NUMBERS = ANY[:3], ANY[:5]
CHANCES = np.array([0.0, 0.25, 0.5, 1.0, 0.75])
KINDS = {
    "uniform_": (lambda g, x: draws.uniform_(g, x), FLOATS),
    "uniform_ of a range": (lambda g, x: draws.uniform_(g, x, -1.5, 2), FLOATS),
    "uniform_ of one number": (lambda g, x: draws.uniform_(g, x, 1, 1 + float(np.finfo(x.dtype).eps)), FLOATS),
    "normal_": (lambda g, x: draws.normal_(g, x), FLOATS),
    "normal_ of a mean": (lambda g, x: draws.normal_(g, x, 3, 0.5), FLOATS),
    "log_normal_": (lambda g, x: draws.log_normal_(g, x, 0.5, 0.25), FLOATS),
    "exponential_": (lambda g, x: draws.exponential_(g, x, 2.5), FLOATS),
    "cauchy_": (lambda g, x: draws.cauchy_(g, x, 1, 2), FLOATS),
    "geometric_": (lambda g, x: draws.geometric_(g, x, 0.6), NUMBERS),
    "bernoulli_": (lambda g, x: choices.bernoulli_(g, x, 0.3), ANY),
    "bernoulli_ always": (lambda g, x: choices.bernoulli_(g, x, 1.0), ANY),
    "bernoulli_ by element": (lambda g, x: choices.bernoulli_(g, x, like(x, CHANCES)), ANY),
    "bernoulli_ by float": (lambda g, x: choices.bernoulli_(g, x, like(x, CHANCES.astype("float32"))), ANY),
    "random_": (lambda g, x: choices.random_(g, x), ANY),
    "random_ from to": (lambda g, x: choices.random_(g, x, 3, 100), NUMBERS),
    "random_ wide": (lambda g, x: choices.random_(g, x, -(2**40), 2**41), ("int64", "float64")),
    "random_ of all": (lambda g, x: choices.random_(g, x, -(2**63)), ("int64", "float32")),
    "dropout's noise": (lambda g, x: choices.dropout_noise(g, x, 0.3), FLOATS),
}
LAYOUTS = {
    "a few": lambda xp, dtype: xp.ones((5,), dtype),
    "one": lambda xp, dtype: xp.ones((1, 1, 5), dtype)[..., :1],
    "more than a block": lambda xp, dtype: xp.ones((419, 5), dtype),
    "transposed": lambda xp, dtype: xp.ones((7, 5, 3), dtype).transpose(2, 0, 1),
    "every second": lambda xp, dtype: xp.ones((11, 10), dtype)[:, ::2],
    "not aligned": lambda xp, dtype: xp.ones((51,), dtype)[1:].reshape(10, 5),
    "empty": lambda xp, dtype: xp.ones((0, 5), dtype),
}


def like(x, values):
    return backend.module_of(x).asarray(values[: x.shape[-1]])


@needs_emulation
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_draws_what_is_specified(kind, layout, cp):
    """The same bits, but where the logarithm and the like are the GPU's; from a seed and an offset beyond 32 bits."""
    fill, dtypes = KINDS[kind]
    for dtype in dtypes:
        on_gpu, on_cpu = random.Generator("cuda"), random.GpuGenerator("cpu")
        for generator in (on_gpu, on_cpu):
            generator.manual_seed(-3).set_offset(2**34 - 8)
        array, expected = LAYOUTS[layout](cp, dtype), LAYOUTS[layout](np, dtype)
        drawn, expected = fill(on_gpu, array).get(), fill(on_cpu, expected)
        np.testing.assert_array_equal(on_gpu.get_state(), on_cpu.get_state())
        if "normal" in kind:
            few = 8 * np.finfo(dtype).eps
            np.testing.assert_allclose(drawn, expected, rtol=few, atol=few * 4)
        elif dtype == "float64":
            np.testing.assert_array_max_ulp(drawn, expected, 2)
        else:
            np.testing.assert_array_equal(drawn, expected)


def test_without_kernels_the_specification_is_uploaded(cp):
    def drawn():
        minigrad.manual_seed(1)
        return minigrad.rand(11, device="cuda").tolist()

    with without_kernels():
        plain = drawn()
    assert drawn() == plain


PROGRAMS = {
    "rand": lambda x: minigrad.rand(3, 5, device="cuda"),
    "randn_like": minigrad.randn_like,
    "randint": lambda x: minigrad.randint(3, 9, (4,), device="cuda"),
    "bernoulli": lambda x: minigrad.bernoulli(x.sigmoid()),
    "fills": lambda x: (
        x.uniform_() + x.normal_() + x.exponential_() + x.cauchy_() + x.geometric_(0.3) + x.log_normal_()
    ),
    "init": lambda x: minigrad.nn.init.xavier_uniform_(x) + minigrad.nn.init.kaiming_normal_(x),
    "dropout1d": lambda x: F.dropout1d(x, 0.4),
    "dropout2d": lambda x: F.dropout2d(x[..., None], 0.4),
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.4, True),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x, 0.4, True),
    "rrelu": lambda x: F.rrelu(x, training=True),
    "feature_dropout of (C, L)": lambda x: F.dropout1d(x[0], 0.4),
    "attention": lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.4),
}


@needs_emulation
@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_waits_and_nothing_is_uploaded(name, cp):
    """And the numbers are those of the specification."""
    values = np.random.default_rng(0).standard_normal((2, 6, 4))
    x = minigrad.tensor(values).cuda()
    with strict_cupy.forbid_synchronize(), strict_cupy.forbid_uploads():
        result = PROGRAMS[name](x)
    if name not in ("rand", "randint"):
        with drawn_as_on_the_gpu() as generator:
            generator.manual_seed(5)
            expected = PROGRAMS[name](minigrad.tensor(values))
        np.testing.assert_allclose(result.cpu().numpy(), expected.numpy(), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("k", "replacement"), [(1, False), (1, True), (4, False), (4, True)])
def test_multinomial(k, replacement, cp):
    weights = np.random.default_rng(0).random((50, 9))
    found = minigrad.tensor(weights).cuda().multinomial(k, replacement)
    assert found.is_cuda
    with drawn_as_on_the_gpu() as generator:
        generator.manual_seed(5)
        assert found.tolist() == minigrad.tensor(weights).multinomial(k, replacement).tolist()


@needs_emulation
def test_a_recurrent_networks_dropout_is_drawn_on_the_gpu(cp):
    network = minigrad.nn.LSTM(3, 4, 2, dropout=0.5).cuda()
    x = minigrad.ones(5, 2, 3).cuda()
    network(x)
    with strict_cupy.forbid_synchronize():
        before = random.default_generators[0].get_offset()
        network(x)
    assert random.default_generators[0].get_offset() - before == 40


# -- dropout ----------------------------------------------------------------------------------------------------------

SHAPES = {
    "flat": lambda a: a,
    "odd": lambda a: a.reshape(-1)[:1259],
    "transposed": lambda a: a.transpose(0, 1),
    "sliced": lambda a: a[:, 1::2],
    "channels last": lambda a: a.reshape(2, 5, -1, 3).contiguous(memory_format=minigrad.channels_last),
}


@needs_emulation
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("layout", SHAPES)
def test_dropout(layout, inplace, dtype, cp):
    """Value, gradient (with another layout than the input), and second derivative, as with the specified noise."""
    values = np.random.default_rng(0).standard_normal((30, 42))
    values[0, :3] = math.nan, math.inf, -math.inf

    def program(device):
        x = minigrad.tensor(values, dtype=getattr(minigrad, dtype)).to(device).requires_grad_()
        out = F.dropout(SHAPES[layout](x * 1), 0.3, inplace=inplace)
        g = minigrad.ones_like(out) * 3
        g.requires_grad_()
        (grad,) = minigrad.autograd.grad(out, x, g, create_graph=True)
        (again,) = minigrad.autograd.grad(grad, g, minigrad.ones_like(x))
        (plain,) = minigrad.autograd.grad(F.dropout(SHAPES[layout](x), 0.3).sum(), x)
        results = [t.detach().cpu().numpy() for t in (out, grad, again, plain)]
        return results if dtype == "float16" else [*results, out.stride()]  # CuPy's own products are row-major

    with drawn_as_on_the_gpu() as generator, np.errstate(invalid="ignore"):
        generator.manual_seed(5)
        expected = program("cpu")
    with np.errstate(invalid="ignore"):
        got = program("cuda")
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@needs_emulation
def test_dropout_keeps_no_mask(cp):
    x = minigrad.ones(300, device="cuda", requires_grad=True)
    out = F.dropout(x, 0.5)
    assert out.grad_fn.name() == "NativeDropoutBackward0"
    assert not hasattr(out.grad_fn, "saved")
    zeros = int((out == 0).sum())
    assert 100 < zeros < 200
    assert sorted(set(out.tolist())) == [0.0, 2.0]
    with strict_cupy.forbid_synchronize():
        out.sum().backward()
    np.testing.assert_array_equal(x.grad.cpu().numpy(), out.detach().cpu().numpy())


def test_all_and_nothing_is_dropped(cp):
    x = minigrad.ones(5, device="cuda")
    before = random.default_generators[0].get_offset()
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 1.0).tolist() == [0.0] * 5
    assert random.default_generators[0].get_offset() == before


# -- statistics -------------------------------------------------------------------------------------------------------

N = 1 << 16


def samples(seed=3):
    return Philox(seed)


def test_uniform_bits():
    """Each byte of each word of the counter is uniform: chi-square of 256 classes, within five deviations."""
    words = samples().words32(N)
    for lane in range(4):
        for shift in (0, 8, 16, 24):
            counts = np.bincount((words[lane::4] >> np.uint64(shift)) & np.uint64(255), minlength=256)
            expected = N / 4 / 256
            assert abs(((counts - expected) ** 2 / expected).sum() - 255) < 5 * math.sqrt(2 * 255)


def test_moments_of_normal_numbers():
    for dtype in (np.float32, np.float64):
        x = samples().normals(N, np.dtype(dtype)).astype(np.float64)
        for power, mean, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
            assert abs((x**power).mean() - mean) < 5 * math.sqrt(variance / N), power
        assert abs((x[::2] * x[1::2]).mean()) < 5 / math.sqrt(N / 2)  # the two of a pair


def test_chances():
    for p in (0.0, 1e-3, 0.3, 1.0):
        assert abs(samples().chances(N, p).mean() - p) <= 5 * math.sqrt(p * (1 - p) / N)


def test_draws_seeds_and_offsets_are_independent():
    engine, other = samples(3), samples(4)
    first, second, third = engine.uniform64(N), engine.uniform64(N), other.uniform64(N)
    assert not np.isin(first, second).any()  # 53 bits: consecutive draws share no number
    assert not np.isin(first, third).any()
    pairs = [(first, second), (first, third), (first[:-1], first[1:]), (second[:-4], second[4:])]
    for a, b in pairs:
        assert abs(((a - 0.5) * (b - 0.5)).mean()) < 5 / 12 / math.sqrt(len(a))
    np.testing.assert_array_equal(samples(3).uniform64(N), first)
