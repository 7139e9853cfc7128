"""Generators of the GPU: seeds, states, devices, and what recordings draw."""

import copy
import pickle

import numpy as np
import pytest
import torch

import minigrad
from minigrad import backend, random
from minigrad.nn import functional as F
from minigrad.utils.checkpoint import checkpoint
from reference import strict_cupy
from tests.gpu import needs_emulation


@pytest.fixture
def cp(gpu):
    """CuPy's stand-in, or CuPy; the generators are seeded with 5."""
    minigrad.manual_seed(5)
    return gpu


def test_a_state_is_a_seed_and_an_offset(cp):
    generator = random.Generator(device="cuda").manual_seed(-2)
    assert isinstance(generator, minigrad.Generator)
    assert generator.device == minigrad.device("cuda", 0)
    assert generator.initial_seed() == 2**64 - 2
    minigrad.rand(5, device="cuda", generator=generator)
    state = generator.get_state()
    assert (state.device.type, state.dtype, state.shape) == ("cpu", minigrad.uint8, (16,))
    assert state.numpy().view("<u8").tolist() == [2**64 - 2, 8]
    expected = minigrad.randn(3, device="cuda", generator=generator).tolist()
    others = [generator.clone_state().set_state(state), pickle.loads(pickle.dumps(generator)).set_state(state)]
    generator.set_offset(8)
    for other in (*others, copy.deepcopy(generator), generator):
        assert other.device == generator.device
        assert minigrad.randn(3, device="cuda", generator=other).tolist() == expected
        assert other.get_offset() == 12
    generator.set_state(state[:8])
    assert (generator.initial_seed(), generator.get_offset()) == (2**64 - 2, 0)
    with pytest.raises(RuntimeError, match="RNG state is wrong size"):
        generator.set_state(random.Generator().get_state())
    with pytest.raises(RuntimeError, match="offset must be a multiple of 4"):
        generator.set_offset(6)


def test_a_cpu_generator_has_no_offset():
    for call in (lambda T: T.Generator().get_offset(), lambda T: T.Generator().set_offset(4)):
        texts = []
        for T in (minigrad, torch):
            with pytest.raises(RuntimeError) as error:
                call(T)
            texts.append(str(error.value))
        assert texts[0] == texts[1]


DRAWS = {
    "rand": lambda **kwargs: minigrad.rand(3, **kwargs),
    "randint": lambda **kwargs: minigrad.randint(5, (3,), **kwargs),
    "randperm": lambda **kwargs: minigrad.randperm(3, **kwargs),
    "multinomial": lambda device, generator: minigrad.ones(3, device=device).multinomial(2, generator=generator),
    "poisson": lambda device, generator: minigrad.poisson(minigrad.ones(3, device=device), generator=generator),
    "bernoulli": lambda device, generator: minigrad.bernoulli(minigrad.ones(3, device=device), generator=generator),
    "normal_": lambda device, generator: minigrad.ones(3, device=device).normal_(generator=generator),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_generator_draws_on_its_device_only(name, cp):
    DRAWS[name](device="cuda", generator=random.Generator("cuda"))
    with pytest.raises(RuntimeError, match=r"^Expected a 'cuda' device type for generator but found 'cpu'"):
        DRAWS[name](device="cuda", generator=random.Generator())
    with pytest.raises(RuntimeError, match=r"^Expected a 'cpu' device type for generator but found 'cuda'"):
        DRAWS[name](device="cpu", generator=random.Generator("cuda"))


def drawn(device="cuda"):
    return minigrad.rand(3, device=device).tolist()


def test_seeds(cp):
    cuda = minigrad.cuda
    minigrad.manual_seed(3)
    assert cuda.initial_seed() == 3
    first, on_cpu = drawn(), drawn("cpu")
    cuda.manual_seed(3)
    assert drawn() == first
    assert drawn("cpu") != on_cpu  # the CPU's goes on
    cuda.manual_seed_all(4)
    assert drawn() != first
    assert minigrad.initial_seed() == 3
    state, states = cuda.get_rng_state(), cuda.get_rng_state_all()
    expected = drawn()
    cuda.set_rng_state(state)
    assert drawn() == expected
    cuda.set_rng_state_all(states)
    assert drawn() == expected
    for other in (cuda.seed, cuda.seed_all, minigrad.seed):
        other()
        assert cuda.initial_seed() != 4
        cuda.manual_seed(4)
    minigrad.seed()
    assert cuda.initial_seed() == minigrad.initial_seed()
    assert len(cuda.default_generators) == cuda.device_count()
    assert next(iter(cuda.default_generators)) is cuda.default_generators[0] is random.generator_for(cp.ones(3))
    with pytest.raises(IndexError):
        cuda.default_generators[cuda.device_count()]


def test_seeding_asks_for_no_gpu(monkeypatch):
    """Not even whether CuPy is installed."""
    monkeypatch.setattr(random, "default_generators", random.GpuGenerators())
    with monkeypatch.context() as patched:
        patched.setattr(backend, "gpu_module", lambda: pytest.fail("CuPy was asked for"))
        minigrad.manual_seed(8)
        with minigrad.random.fork_rng():
            minigrad.seed()
        minigrad.rand(3)
        minigrad.manual_seed(9)
    with strict_cupy.install():
        first = drawn()
        assert random.default_generators[0].initial_seed() == 9
        minigrad.manual_seed(9)
        assert drawn() == first


@pytest.mark.skipif(torch.cuda.is_available(), reason="torch has a GPU")
def test_without_a_gpu_seeds_are_accepted(monkeypatch):
    def missing():
        raise AssertionError("Torch not compiled with CUDA enabled")

    monkeypatch.setattr(backend, "gpu_module", missing)
    for T in (minigrad, torch):
        T.cuda.manual_seed(1)
        T.cuda.manual_seed_all(1)
        T.cuda.seed()
        assert T.cuda.get_rng_state_all() == []
        assert len(T.cuda.default_generators) == 0
        with pytest.raises(AssertionError):
            T.cuda.get_rng_state()
        with pytest.raises(AssertionError):
            T.cuda.initial_seed()


@pytest.mark.parametrize("devices", [None, ["cuda"], [0]])
def test_fork_rng_leaves_no_trace(devices, cp):
    state = random.rng_states()
    with minigrad.random.fork_rng(devices):
        inside = drawn()
        drawn("cpu")
    assert random.rng_states() == state
    with minigrad.random.fork_rng(devices=[]):
        assert drawn() == inside
    assert random.rng_states() != state


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_a_checkpoint_draws_again_what_it_drew(use_reentrant, cp):
    x = minigrad.ones(50, device="cuda", requires_grad=True)
    out = checkpoint(lambda x: F.dropout(x, 0.5) * x, x * 1, use_reentrant=use_reentrant)
    after = random.rng_states()
    out.sum().backward()
    assert random.rng_states() == after
    np.testing.assert_array_equal(x.grad.tolist(), (out * 2).tolist())


def test_vmap_watches_the_gpus_generators(cp):
    x = minigrad.zeros(4, 3, device="cuda")

    def noisy(x):
        return x + minigrad.rand_like(x)

    with pytest.raises(RuntimeError, match="randomness error mode"):
        minigrad.func.vmap(noisy)(x)
    same = minigrad.func.vmap(noisy, randomness="same")(x).tolist()
    assert same == same[:1] * 4
    different = minigrad.func.vmap(noisy, randomness="different")(x).tolist()
    assert different[0] != different[1]


@pytest.mark.parametrize(
    "draw",
    [
        lambda g: minigrad.randperm(20, device="cuda", generator=g),
        lambda g: minigrad.ones(20, device="cuda").multinomial(5, True, generator=g),
        lambda g: minigrad.poisson(minigrad.full((20,), 5.0, device="cuda"), generator=g),
    ],
)
def test_what_is_drawn_on_the_host_comes_from_the_same_generator(draw, cp):
    first = draw(random.Generator("cuda").manual_seed(1)).tolist()
    assert draw(random.Generator("cuda").manual_seed(1)).tolist() == first
    assert draw(random.Generator("cuda").manual_seed(2)).tolist() != first
    assert draw(None).device.type == "cuda"


# -- recordings -------------------------------------------------------------------------------------------------------


def program(x):
    """Several draws of several sizes, and a gradient that draws a mask again."""
    noisy = F.dropout(x, 0.5) + minigrad.rand_like(x)
    (grad,) = minigrad.autograd.grad((noisy * noisy).sum(), x)
    return [noisy.detach(), grad, minigrad.randint(0, 9, (3,), device="cuda"), minigrad.randn(7, device="cuda")]


class Recording:
    """`program`, recorded with the default generator as CUDAGraph does it."""

    def __init__(self, cp, x):
        self.generator, side = random.default_generators[0], cp.cuda.Stream(non_blocking=True)
        program(x)  # kernels are compiled before
        with side:
            self.generator.begin_capture()
            side.begin_capture()
            self.results = program(x)
            self.graph = side.end_capture()
            self.captured = self.generator.end_capture()

    def replay(self):
        self.generator.before_replay(self.captured)
        self.graph.launch()
        return [t.tolist() for t in self.results]


@needs_emulation
def test_replays_draw_what_calls_would_draw(cp):
    """With other draws between, with a new seed, and with two recordings of one generator in turn."""
    x = minigrad.arange(10.0, device="cuda", requires_grad=True)
    recordings = [Recording(cp, x), Recording(cp, x)]

    def drawn(step):
        minigrad.manual_seed(11)
        results = []
        for i in range(6):
            results.append(step(i))
            if i == 2:
                results.append(minigrad.rand(5, device="cuda").tolist())
            if i == 4:
                minigrad.manual_seed(-1)
        return results, random.rng_states()

    expected = drawn(lambda i: [t.tolist() for t in program(x)])
    assert drawn(lambda i: recordings[i % 2].replay()) == expected
    assert recordings[0].captured.words == 12 + 12 + 4 + 8


@needs_emulation
def test_what_a_recording_does_not_allow(cp):
    generator, x = random.default_generators[0], minigrad.ones(5, device="cuda")
    place = random.rng_states()
    generator.begin_capture()
    refused = [
        generator.get_state,
        generator.get_offset,
        lambda: generator.set_offset(0),
        lambda: generator.set_state(np.zeros(16, np.uint8)),
        lambda: minigrad.manual_seed(4),
        lambda: minigrad.randperm(5, device="cuda"),
        lambda: x.multinomial(2, True),
        lambda: minigrad.poisson(x),
    ]
    for call in refused:
        with pytest.raises(RuntimeError, match=r"CUDA graph capture|during stream capture"):
            call()
    generator.manual_seed(5)  # the seed that it has
    assert not generator.end_capture()
    generator.before_replay(generator.captured)
    assert random.rng_states() == place
