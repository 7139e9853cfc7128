"""Parameters computed from others: `nn.utils.parametrize`, the parametrizations of torch, and the older norm hooks."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections import OrderedDict
from typing import Any

import pytest

import minigrad
from reference import strict_cupy
from tests.lockstep import attempt, same


def modules_of(T: Any) -> Any:
    """Parametrizations of one's own, as classes of the engine."""

    class Symmetric(T.nn.Module):
        def forward(self, x):
            return x.triu() + x.triu(1).T

        def right_inverse(self, a):
            return a.triu()

    class Double(T.nn.Module):
        calls = 0

        def forward(self, x):
            type(self).calls += 1
            return x * 2

    class Shift(T.nn.Module):
        def forward(self, x):
            return x + 1

        def right_inverse(self, x):
            return x - 1

    class Outer(T.nn.Module):
        def forward(self, x, y):
            return x.unsqueeze(-1) * y

        def right_inverse(self, z):
            return z.sum(1), z.sum(0)

    class Odd(T.nn.Module):
        """Gives what it was made with, forwards and backwards."""

        def __init__(self, forth=None, back=None):
            super().__init__()
            self.forth, self.back = forth or (lambda *x: x[0]), back or (lambda x: x)

        def forward(self, *x):
            return self.forth(*x)

        def right_inverse(self, x):
            return self.back(x)

    class Unknown(Double):
        def right_inverse(self, x):
            raise NotImplementedError

    return {c.__name__: c for c in (Symmetric, Double, Shift, Outer, Odd, Unknown)}


def seen(T: Any, module: Any) -> Any:
    names = [name for name, _ in module.named_modules()]
    return dict(module.state_dict()), [name for name, _ in module.named_parameters()], names, repr(module)


def trained(T: Any, module: Any, x: Any, steps: int = 3) -> list[float]:
    """Losses on the way."""
    optimizer, losses = T.optim.SGD(module.parameters(), lr=0.1), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (module(x) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("names", [["Symmetric"], ["Double"], ["Outer"], ["Outer", "Double"], ["Symmetric", "Double"]])
@pytest.mark.parametrize("leave", [True, False])
def test_register_train_and_remove(names, leave):
    def program(T):
        T.manual_seed(0)
        P, own, layer = T.nn.utils.parametrize, modules_of(T), T.nn.Linear(3, 3)
        held = layer.weight
        for name in names:
            P.register_parametrization(layer, "weight", own[name]())
        P.register_parametrization(layer, "bias", own["Double"]())
        state, losses = seen(T, layer), trained(T, layer, T.ones(2, 3))
        known = [P.is_parametrized(layer, n) for n in (None, "weight", "bias", "other")], type(layer).__name__
        weight = layer.weight
        removed = attempt(lambda: P.remove_parametrizations(layer, "weight", leave_parametrized=leave) is layer)
        P.remove_parametrizations(layer, "bias")
        return (
            *(state, losses, known, weight, weight.grad_fn is not None, removed, layer.weight, layer.bias),
            *(layer.weight is held, type(layer).__name__, seen(T, layer), P.is_parametrized(layer)),
            P.type_before_parametrizations(layer) is T.nn.Linear,
        )

    same(program, rtol=1e-5)


def test_assignment_goes_through_the_inverses():
    def program(T):
        P, own, layer = T.nn.utils.parametrize, modules_of(T), T.nn.Linear(3, 3)
        for name in ("Symmetric", "Shift"):
            P.register_parametrization(layer, "weight", own[name]())
        original = layer.parametrizations.weight.original
        layer.weight = T.arange(9.0).reshape(3, 3)
        several = P.register_parametrization(T.nn.Linear(2, 3), "weight", own["Outer"]())
        several.weight = T.ones(3, 2)
        refused = attempt(lambda: setattr(layer, "weight", T.nn.Parameter(T.ones(3, 3))))
        P.register_parametrization(layer, "bias", own["Double"]())
        blocked = attempt(lambda: setattr(layer, "bias", T.ones(3)))
        P.register_parametrization(layer.train(False), "weight", p := own["Odd"]())
        return layer.weight, original, several.weight, refused, blocked, p.training

    same(program)


def test_of_a_buffer_and_of_a_tensor_that_changes_shape():
    def program(T):
        P, own, bn = T.nn.utils.parametrize, modules_of(T), T.nn.BatchNorm1d(2)
        P.register_parametrization(bn, "running_var", own["Double"]())
        buffers = [name for name, _ in bn.named_buffers()]
        P.remove_parametrizations(bn, "running_var")
        layer = P.register_parametrization(
            T.nn.Linear(2, 2), "weight", own["Odd"](lambda x: x[:1].double()), unsafe=True
        )
        return (
            buffers,
            [n for n, _ in bn.named_buffers()],
            bn.running_var,
            layer.weight.shape,
            layer.weight.dtype is T.float64,
        )

    same(program)


def test_cached_values_are_computed_once():
    def program(T):
        P, own = T.nn.utils.parametrize, modules_of(T)
        layer = P.register_parametrization(T.nn.Linear(2, 2), "weight", own["Double"]())
        before = own["Double"].calls
        with P.cached():
            with P.cached():
                first = layer.weight
            again = layer.weight is first
        return again, own["Double"].calls - before, layer.weight is first, own["Double"].calls - before

    same(program)


def test_copies_states_and_transfers():
    def program(T):
        T.manual_seed(1)
        P, own = T.nn.utils.parametrize, modules_of(T)
        layer = P.register_parametrization(T.nn.Linear(3, 3), "weight", own["Symmetric"]())
        twin = copy.deepcopy(layer)
        twin.parametrizations.weight.original.data += 1
        loaded = P.register_parametrization(T.nn.Linear(3, 3), "weight", own["Symmetric"]())
        loaded.load_state_dict(twin.state_dict())
        other = P.transfer_parametrizations_and_params(layer, T.nn.Linear(3, 3))
        outer = P.register_parametrization(T.nn.Linear(3, 3), "weight", own["Outer"]())
        shared = P.transfer_parametrizations_and_params(outer, T.nn.Linear(3, 3), "weight")
        plain = P.transfer_parametrizations_and_params(T.nn.Linear(1, 1), shared) is shared
        same_original = other.parametrizations.weight.original is layer.parametrizations.weight.original
        pickled = attempt(lambda: pickle.dumps(layer))
        return twin.weight, layer.weight, loaded.weight, other.weight, same_original, shared.weight, plain, pickled

    same(program)


REFUSED = {
    "no such tensor": lambda T, P, own: P.register_parametrization(T.nn.Linear(2, 2), "w", own["Double"]()),
    "not parametrized": lambda T, P, own: P.remove_parametrizations(T.nn.Linear(2, 2), "weight"),
    "no modules": lambda T, P, own: P.ParametrizationList([], T.ones(1)),
    "inverse of no tensor": lambda T, P, own: odd(T, P, own, None, lambda x: 5),
    "inverse with no tensors": lambda T, P, own: odd(T, P, own, None, lambda x: (5, 6)),
    "inverse of another dtype": lambda T, P, own: odd(T, P, own, None, lambda x: x.double()),
    "no tensor": lambda T, P, own: odd(T, P, own, lambda x: 5),
    "another dtype": lambda T, P, own: odd(T, P, own, lambda x: x.double()),
    "another shape": lambda T, P, own: odd(T, P, own, lambda x: x[:1]),
    "no tensor on top": lambda T, P, own: odd(T, P, own, lambda x: 5, on_top=True),
    "another dtype on top": lambda T, P, own: odd(T, P, own, lambda x: x.double(), on_top=True),
    "another shape on top": lambda T, P, own: odd(T, P, own, lambda x: x[:1], on_top=True),
    "inverse of no tensor on top": lambda T, P, own: odd(T, P, own, None, lambda x: 5, on_top=True),
    "inverse of another dtype on top": lambda T, P, own: odd(T, P, own, None, lambda x: x.double(), on_top=True),
    "inverse of another shape on top": lambda T, P, own: odd(T, P, own, None, lambda x: x[:1], on_top=True),
    "assigned another dtype": lambda T, P, own: assigned(T, P, own["Odd"](), T.ones(2, 2).double()),
    "assigned no tensor": lambda T, P, own: assigned(T, P, own["Odd"](), 5),
    "assigned too few": lambda T, P, own: assigned(T, P, changing(own, lambda x: (x,)), T.ones(2, 2)),
    "assigned one for several": lambda T, P, own: assigned(T, P, changing(own, lambda x: x.sum().item()), T.ones(2, 2)),
    "assigned no tensors": lambda T, P, own: assigned(T, P, changing(own, lambda x: (x, 5)), T.ones(2, 2)),
    "assigned other dtypes": lambda T, P, own: assigned(T, P, changing(own, lambda x: (x, x.double())), T.ones(2, 2)),
    "without an inverse": lambda T, P, own: assigned(T, P, own["Unknown"](), T.ones(2, 2)),
}


def odd(T, P, own, forth=None, back=None, on_top=False):
    layer = T.nn.Linear(2, 2)
    if on_top:
        P.register_parametrization(layer, "weight", own["Symmetric"]())
    P.register_parametrization(layer, "weight", own["Odd"](forth, back))


def changing(own, later):
    """A parametrization of two tensors whose inverse gives something else from the second time on."""
    results = iter([lambda x: (x, x)])
    return own["Odd"](lambda x, y: x, lambda x: next(results, later)(x))


def assigned(T, P, parametrization, value):
    layer = P.register_parametrization(T.nn.Linear(2, 2), "weight", parametrization)
    layer.weight = value


@pytest.mark.parametrize("program", REFUSED.values(), ids=REFUSED)
def test_refused(program):
    same(lambda T: attempt(lambda: program(T, T.nn.utils.parametrize, modules_of(T))))


# -- the parametrizations of torch -------------------------------------------------------------------------------------

NORMS = {
    "weight_norm": lambda T, m: T.nn.utils.parametrizations.weight_norm(m),
    "weight_norm of all": lambda T, m: T.nn.utils.parametrizations.weight_norm(m, dim=None),
    "weight_norm along 1": lambda T, m: T.nn.utils.parametrizations.weight_norm(m, "weight", 1),
    "spectral_norm": lambda T, m: T.nn.utils.parametrizations.spectral_norm(m),
    "spectral_norm along 1": lambda T, m: T.nn.utils.parametrizations.spectral_norm(m, "weight", 3, dim=-1),
    "spectral_norm of a vector": lambda T, m: T.nn.utils.parametrizations.spectral_norm(m, "bias"),
    "old weight_norm": lambda T, m: T.nn.utils.weight_norm(m),
    "old weight_norm of all": lambda T, m: T.nn.utils.weight_norm(m, dim=None),
    "old spectral_norm": lambda T, m: T.nn.utils.spectral_norm(m),
    "old spectral_norm along 1": lambda T, m: T.nn.utils.spectral_norm(m, "weight", 2, dim=1),
}
LAYERS = {
    "Linear": (lambda T: T.nn.Linear(4, 3), (5, 4)),
    "Conv2d": (lambda T: T.nn.Conv2d(2, 3, 2), (2, 2, 3, 4)),
    "ConvTranspose2d": (lambda T: T.nn.ConvTranspose2d(2, 3, 2), (2, 2, 3, 4)),
}


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("norm", NORMS)
def test_normalized_layers_in_training(layer, norm):
    make, shape = LAYERS[layer]

    def program(T):
        T.manual_seed(0)
        module = NORMS[norm](T, make(T))
        x = T.randn(shape)
        state, losses = seen(T, module), trained(T, module, x)
        last = module.eval()(x), module.weight, module.bias
        saved = module.state_dict()
        other = NORMS[norm](T, make(T))
        other.load_state_dict(saved)
        return state, losses, last, other.eval()(x), list(saved), list(saved._metadata.values())

    same(program, rtol=2e-5)


def test_recurrent_layers_with_normalized_weights():
    def program(T):
        T.manual_seed(0)
        U, x = T.nn.utils, T.ones(4, 1, 2)
        old = U.weight_norm(T.nn.LSTM(2, 3), "weight_hh_l0")
        new = U.parametrizations.orthogonal(T.nn.RNN(2, 3), "weight_hh_l0")
        first, _ = old(x)
        with U.parametrize.cached():
            second, _ = new(x)
        (first.sum() + second.sum()).backward()
        return first, second, [p.grad for p in [*old.parameters(), *new.parameters()]]

    same(program, rtol=1e-5)


def test_functional_calls_second_derivatives_and_casts():
    def program(T):
        T.manual_seed(0)
        layer, x = T.nn.utils.parametrizations.weight_norm(T.nn.Linear(2, 3)), T.ones(1, 2, requires_grad=True)
        out = T.func.functional_call(layer, {name: p * 2 for name, p in layer.named_parameters()}, (x,))
        (first,) = T.autograd.grad((layer(x) ** 2).sum(), x, create_graph=True)
        first.sum().backward()
        layer.double().requires_grad_(False)
        return out, [p.grad for p in layer.parameters()], layer.weight.dtype is T.float64, layer.weight

    same(program, rtol=1e-5)


def test_old_norms_removed_and_refused():
    def program(T):
        T.manual_seed(0)
        U, layer = T.nn.utils, T.nn.Linear(3, 2)
        outcomes = []
        for put, remove in ((U.weight_norm, U.remove_weight_norm), (U.spectral_norm, U.remove_spectral_norm)):
            put(layer)
            outcomes.append(attempt(lambda put=put: put(layer)))
            layer(T.ones(1, 3))
            returned = remove(layer) is layer
            outcomes += [returned, list(layer.state_dict()), layer.weight, layer(T.ones(1, 3))]
            outcomes.append(attempt(lambda remove=remove: remove(layer)))
            outcomes.append(attempt(lambda put=put: put(layer, "nothing")))
        bare = T.nn.Linear(3, 2, bias=False)
        refused = [
            attempt(lambda: U.spectral_norm(layer, n_power_iterations=0)),
            attempt(lambda: U.spectral_norm(bare, "bias")),
            attempt(lambda: U.parametrizations.spectral_norm(layer, n_power_iterations=0)),
            attempt(lambda: U.parametrizations.spectral_norm(layer, dim=2)),
            attempt(lambda: U.parametrizations.spectral_norm(bare, "bias")),
        ]
        return outcomes, refused, list(layer.state_dict()._metadata.values())

    same(program, rtol=1e-5)


def test_state_dicts_of_older_layouts():
    def program(T):
        T.manual_seed(0)
        U = T.nn.utils
        old = U.weight_norm(T.nn.Linear(3, 2))
        new = T.nn.Sequential(U.parametrizations.weight_norm(T.nn.Linear(3, 2)))
        new.load_state_dict({f"0.{name}": value for name, value in old.state_dict().items()})
        spectral = U.spectral_norm(T.nn.Linear(2, 3))
        spectral(T.ones(1, 2))
        saved = OrderedDict(spectral.state_dict())
        bare = U.spectral_norm(T.nn.Linear(2, 3))
        bare.load_state_dict(saved)
        del saved["weight_v"]
        short = attempt(lambda: bare.load_state_dict(dict(saved)))
        saved["weight"] = spectral.weight.detach()
        before = U.spectral_norm(T.nn.Linear(2, 3))
        before.load_state_dict(saved)
        x = T.ones(1, 2)
        return new[0].weight, old.weight, bare.eval()(x), short, before.eval()(x), before.weight_v

    same(program, rtol=1e-4)


# -- orthogonal --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("map", ["matrix_exp", "cayley", "householder", None])
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5)], ids=str)
@pytest.mark.parametrize("trivial", [True, False])
def test_orthogonal(map, shape, trivial):
    def program(T):
        T.manual_seed(0)
        layer = T.nn.Linear(*shape, dtype=T.float64)
        T.nn.utils.parametrizations.orthogonal(layer, orthogonal_map=map, use_trivialization=trivial)
        state, losses = seen(T, layer), trained(T, layer, T.randn(4, shape[0], dtype=T.float64))
        w = layer.weight
        gram = w @ w.T if w.size(0) < w.size(1) else w.T @ w
        orthonormal = T.allclose(gram, T.eye(len(gram), dtype=T.float64))
        put = attempt(lambda: setattr(layer, "weight", T.nn.init.orthogonal_(T.empty(w.shape, dtype=T.float64))))
        return state, losses, w, orthonormal, put, layer.weight

    assert same(program, rtol=1e-9)[3]


def test_orthogonal_batches_and_what_is_refused():
    def program(T):
        T.manual_seed(0)
        orthogonal, holder = T.nn.utils.parametrizations.orthogonal, T.nn.Conv2d(2, 3, 2, dtype=T.float64)
        refused = [
            attempt(lambda: orthogonal(T.nn.Linear(2, 2), "bias")),
            attempt(lambda: orthogonal(T.nn.Linear(2, 2), "w")),
            attempt(lambda: orthogonal(T.nn.Linear(2, 2), orthogonal_map="qr")),
            attempt(lambda: setattr(orthogonal(T.nn.Linear(2, 2)), "weight", T.ones(3, 3))),
        ]
        orthogonal(holder)
        kept = T.nn.Linear(3, 3)
        T.nn.init.orthogonal_(kept.weight)
        before = kept.weight.clone()
        after = orthogonal(kept).weight
        return holder.weight, refused, before, after

    same(program, rtol=1e-6)


@pytest.mark.parametrize("norm", [*NORMS, "orthogonal"])
def test_on_the_gpu_stand_in(norm):
    parametrize = NORMS.get(norm, lambda T, module: T.nn.utils.parametrizations.orthogonal(module))

    def computed(device):
        minigrad.manual_seed(0)
        layer = parametrize(minigrad, minigrad.nn.Linear(3, 3)).to(device)
        (layer.eval()(minigrad.ones(2, 3, device=device)) ** 2).sum().backward()
        return [layer.weight.cpu(), *(p.grad.cpu() for p in layer.parameters())]

    with strict_cupy.install(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        minigrad.testing.assert_close(computed("cuda"), computed("cpu"))  # float32 sums in another order
