"""Lazy modules: shapes from the first input, or from a state dict, as in torch."""

from __future__ import annotations

import copy
import pickle

import pytest

import minigrad
from minigrad.nn.modules.lazy import LazyModuleMixin
from reference import strict_cupy
from tests.lockstep import attempt, same

LAYERS = {  # and the sizes of an input
    "LazyLinear(3)": (5, 4),
    "LazyLinear(3, bias=False)": (2, 5, 4),
    "LazyConv1d(3, 2)": (2, 4, 5),
    "LazyConv1d(3, 2, padding=1, dilation=2)": (4, 5),
    "LazyConv2d(6, (2, 3), stride=2, groups=2, bias=False)": (2, 4, 5, 6),
    "LazyConv2d(3, 2, padding='same', padding_mode='circular')": (2, 4, 5, 6),
    "LazyConv3d(3, 2)": (2, 4, 3, 2, 3),
    "LazyConvTranspose1d(3, 2)": (2, 4, 5),
    "LazyConvTranspose2d(6, 2, 2, output_padding=1, groups=2)": (2, 4, 5, 6),
    "LazyConvTranspose3d(3, 2, bias=False)": (2, 4, 3, 2, 3),
    "LazyBatchNorm1d()": (5, 4),
    "LazyBatchNorm2d(eps=0.1, momentum=None)": (2, 4, 5, 6),
    "LazyBatchNorm2d(affine=False)": (2, 4, 5, 6),
    "LazyBatchNorm3d(track_running_stats=False)": (2, 4, 3, 2, 3),
    "LazyInstanceNorm1d()": (2, 4, 5),
    "LazyInstanceNorm2d(affine=False)": (2, 4, 5, 6),
    "LazyInstanceNorm3d(track_running_stats=False)": (2, 4, 3, 2, 3),
}
COPIED = [text for text in LAYERS if "Norm" not in text or "track" in text]  # torch copies no uninitialized buffers
BAD_INPUTS = {"LazyConv2d(3, 2)": (2, 2), "LazyConv2d(4, 2, groups=2)": (2, 3, 5, 5), "LazyConvTranspose1d(3, 2)": (4,)}


def build(T, text):
    T.manual_seed(0)
    return eval(f"T.nn.{text}", {"T": T})


def values(module):
    return [module.state_dict(), [p.requires_grad for p in module.parameters()]]


@pytest.mark.parametrize("text", LAYERS)
def test_the_first_call_makes_the_parameters(text):
    """Drawn from the same stream, and an ordinary module afterwards, whose gradients are torch's."""

    def program(T):
        module = build(T, text)
        before = [repr(module), sorted(module.state_dict()), module.has_uninitialized_params()]
        x = T.rand(*LAYERS[text], requires_grad=True)
        out = module(x)
        out.square().sum().backward()
        after = [repr(module), type(module).__name__, hasattr(module, "_initialize_hook")]
        return before, after, out, x.grad, [p.grad for p in module.parameters()], values(module), module(x)

    same(program, rtol=2e-5)


@pytest.mark.parametrize("text", LAYERS)
def test_copies_stay_lazy(text):
    """Deep copies, pickles, and casts to another dtype."""

    def program(T):
        results, changes = [], [lambda m: pickle.loads(pickle.dumps(m)), lambda m: m.double()]
        for change in changes + [copy.deepcopy] * (text in COPIED):
            module = change(build(T, text))
            x = T.rand(*LAYERS[text])
            shown = repr(module), module.has_uninitialized_params()
            dtypes = [t.dtype for t in module.state_dict(keep_vars=True).values()]
            module(x.to(dtypes[0]) if dtypes else x)
            results.append([shown, [str(dtype) for dtype in dtypes], repr(module), values(module)])
        return results

    same(program)


def test_uninitialized_buffers_are_copied():
    module = copy.deepcopy(minigrad.nn.LazyBatchNorm1d())
    module(minigrad.ones(3, 4))
    assert tuple(module.running_mean.shape) == (4,)


@pytest.mark.parametrize("text", LAYERS)
def test_states_are_loaded_before_the_first_call(text):
    """Values give shapes; the state of a lazy module leaves one as it was."""

    def program(T):
        source, target, untouched = (build(T, text) for _ in range(3))
        keys = untouched.load_state_dict(target.state_dict())
        x = T.rand(*LAYERS[text])
        source(x)
        target.load_state_dict(source.state_dict())
        loaded = [repr(target), target.has_uninitialized_params()]
        return str(keys), untouched.has_uninitialized_params(), loaded, target(x), repr(target), values(target)

    same(program, rtol=2e-5)


@pytest.mark.parametrize("text", BAD_INPUTS)
def test_inputs_that_do_not_fit(text):
    same(lambda T: attempt(lambda: build(T, text)(T.ones(*BAD_INPUTS[text]))))


def test_what_has_no_values_says_so():
    def program(T):
        lazy = T.nn.LazyLinear(3)
        errors = [
            attempt(lambda: lazy.weight.shape),
            attempt(lambda: T.nn.Linear(2, 3).load_state_dict(lazy.state_dict())),
            attempt(lambda: type(lazy.weight)(dtype=T.int64)),
        ]
        types = [type(attempt(action)).__name__ for action in (lambda: lazy.weight + 1, lazy.weight.numel)]
        shown = repr(lazy.weight), repr(list(lazy.parameters())), repr(lazy.state_dict()).replace("OrderedDict", "")
        return errors, types, shown, lazy.weight.requires_grad, lazy.weight.is_leaf, str(lazy.weight.device)

    same(program)


def test_using_an_uninitialized_parameter_names_the_cure():
    with pytest.raises(ValueError, match=r"Attempted to use an uninitialized parameter.*Call `forward`"):
        minigrad.nn.LazyLinear(3).weight + 1


def test_own_lazy_modules():
    """A module that forgets a parameter is told so; one that stays of its class may."""

    def program(T):
        class Scale(T.nn.modules.lazy.LazyModuleMixin, T.nn.Module):
            def __init__(self, forgetful):
                super().__init__()
                self.forgetful = forgetful
                self.weight = T.nn.UninitializedParameter()
                self.mean = T.nn.UninitializedBuffer()

            def initialize_parameters(self, x, offset=0):
                with T.no_grad():
                    self.weight.materialize(x.shape[-1:])
                    self.weight.fill_(2)
                    if not self.forgetful:
                        self.mean.materialize(x.shape[-1:])
                        self.mean.fill_(1)

            def forward(self, x, offset=0):
                return (x - self.mean) * self.weight + offset

        good = Scale(False)
        result = good(T.ones(2, 3), offset=1)
        unready = type("Unready", (T.nn.modules.lazy.LazyModuleMixin, T.nn.Linear), {})
        return [
            result,
            type(good).__name__,
            list(good.state_dict()),
            good(T.zeros(3)),
            attempt(lambda: Scale(True)(T.ones(2, 3))),
            attempt(lambda: unready(2, 3)(T.ones(2))),
        ]

    same(program)


def test_optimizers_take_lazy_parameters():
    """torch's accept them before the first call, and step once there are gradients."""

    def program(T):
        module = build(T, "LazyLinear(3)")
        optimizer = T.optim.SGD(module.parameters(), lr=0.1)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = module(T.ones(2, 4)).square().sum()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        return losses

    same(program, rtol=1e-5)


def test_the_mixin_is_a_module():
    assert issubclass(LazyModuleMixin, minigrad.nn.Module)


def test_lazy_modules_move_to_the_gpu():
    """On the strict stand-in for CuPy; parameters and buffers are then made there."""
    with strict_cupy.install():
        nn = minigrad.nn
        module = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(2)).to("cuda")
        assert module(minigrad.ones(2, 3, 5, 5, device="cuda")).is_cuda
        assert all(t.is_cuda for t in module.state_dict().values())
