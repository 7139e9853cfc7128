"""Modules moved to other dtypes, devices and layouts: `to` and its short names, `to_empty`, `share_memory`."""

from __future__ import annotations

import os
from typing import Any

import pytest

import minigrad
from tests.lockstep import attempt, same


def net(T: Any) -> Any:
    T.manual_seed(0)
    model = T.nn.Sequential(T.nn.Conv2d(2, 3, 2), T.nn.BatchNorm2d(3), T.nn.Sequential(T.nn.ReLU()))
    model.register_buffer("counts", T.arange(3))
    model.register_buffer("mask", T.tensor([True, False]))
    return model


def seen(model: Any) -> Any:
    return [
        (name, value, value.requires_grad, value.stride()) for name, value in model.state_dict(keep_vars=True).items()
    ]


def moved(*args: Any, **kwargs: Any) -> Any:
    """`to` with the arguments, of which functions are called with the engine."""

    def program(T: Any) -> Any:
        positional = [a(T) if callable(a) else a for a in args]
        named = {name: value(T) if callable(value) else value for name, value in kwargs.items()}
        model = net(T)
        return model.to(*positional, **named) is model, seen(model)

    return program


def dtype(name: str) -> Any:
    return lambda T: getattr(T, name)


TO = {
    "nothing": moved(),
    "None": moved(None),
    "None and None": moved(None, None),
    "dtype": moved(dtype("float64")),
    "Python's float": moved(lambda T: float),
    "named": moved(dtype=dtype("float16")),
    "named nothing": moved(device=None, dtype=None, memory_format=None),
    "device": moved("cpu"),
    "device 0": moved("cpu:0"),
    "device object": moved(lambda T: T.device("cpu"), dtype("half")),
    "both": moved("cpu", dtype("float64")),
    "both and a flag": moved("cpu", dtype("float64"), False),
    "one of each kind": moved("cpu", dtype=dtype("float64")),
    "flag": moved(dtype("float64"), True),
    "no dtype but a flag": moved("cpu", None, True),
    "named flag": moved(non_blocking=True),
    "tensor": moved(lambda T: T.zeros(1, dtype=T.float64)),
    "tensor and flag": moved(lambda T: T.zeros(1, dtype=T.float64), True),
    "named tensor": moved(tensor=lambda T: T.zeros(1, dtype=T.float16)),
    "format": moved(memory_format=dtype("channels_last")),
    "format and dtype": moved(dtype("float64"), memory_format=dtype("channels_last")),
    "format of other dimensions": moved(memory_format=dtype("channels_last_3d")),
    "integer tensor": moved(lambda T: T.zeros(1, dtype=T.int64)),
    "integers": moved(dtype("int64")),
    "truth values": moved(dtype("bool")),
    "bytes": moved(dtype("uint8")),
    "Python's int": moved(lambda T: int),
    "no CUDA": moved("cuda") if not minigrad.cuda.is_available() else moved("cpu"),
    "unknown name": moved(foo=1),
    "Tensor.to's other": moved(other=lambda T: T.zeros(1)),
    "copy": moved("cpu", copy=True),
    "copy by position": moved("cpu", dtype("float64"), True, True),
    "too many": moved("cpu", dtype("float64"), True, False, 1),
    "device after dtype": moved(dtype("float64"), "cpu"),
    "named device after dtype": moved(dtype("float64"), device="cpu"),
    "nothing after dtype": moved(dtype("float64"), None),
    "device twice": moved("cpu", device="cpu"),
    "flag after device": moved("cpu", True),
    "flag after None": moved(None, True),
    "number after device": moved("cpu", 5.5),
    "number as flag": moved(dtype("float64"), 3),
    "tensor and dtype": moved(lambda T: T.zeros(1), dtype("float64")),
    "list": moved([1]),
    "object": moved(lambda T: object()),
    "number as device": moved(device=5.5),
    "number as dtype": moved(dtype=5),
    "number as format": moved(memory_format=3),
}


@pytest.mark.parametrize("name", TO)
def test_to(name: str) -> None:
    same(TO[name])


@pytest.mark.parametrize("name", ["bfloat16", "complex64", "complex128"])
def test_dtypes_that_there_are_not(name: str) -> None:
    with pytest.raises(TypeError, match=f"minigrad has no {name}: its dtypes are bool"):
        net(minigrad).to(getattr(minigrad, name))
    if name == "bfloat16":
        with pytest.raises(TypeError, match="minigrad has no bfloat16"):
            net(minigrad).bfloat16()


def trained(T: Any) -> Any:
    model = net(T)
    model(T.ones(2, 2, 3, 3)).sum().backward()
    return model


def test_casts_and_back() -> None:
    def program(T: Any) -> Any:
        model = trained(T)
        return [(getattr(model, name)() is model, seen(model)) for name in ("double", "half", "cpu", "float")]

    same(program)


def test_parameters_and_gradients_stay_the_same_objects() -> None:
    def program(T: Any) -> Any:
        model = trained(T)
        weight, gradient = model[0].weight, model[0].weight.grad
        model.double()
        kept = [model[0].weight is weight, weight.grad is gradient]
        counts = model.counts.data_ptr()
        model.half()
        return kept, weight.grad is gradient, gradient, weight, model.counts.data_ptr() == counts

    same(program)


def test_a_layout_stays_through_casts() -> None:
    def program(T: Any) -> Any:
        model = net(T).to(memory_format=T.channels_last).double()
        out = model(T.ones(1, 2, 4, 4, dtype=T.float64))
        return model[0].weight.stride(), model[0].bias.stride(), out

    same(program)


def test_to_empty() -> None:
    def program(T: Any) -> Any:
        model = trained(T)
        weight = model[0].weight
        pointers = [v.data_ptr() for v in model.state_dict().values()]
        same_model = model.to_empty(device="cpu", recurse=False) is model
        stayed = [v.data_ptr() == p for v, p in zip(model.state_dict().values(), pointers)]
        model.to_empty(device="cpu")
        described = [(n, v.shape, str(v.dtype), v.requires_grad) for n, v in model.state_dict(keep_vars=True).items()]
        return same_model, stayed, described, model[0].weight is weight, weight.grad.shape

    same(program)
    same(lambda T: net(T).to_empty())
    same(lambda T: net(T).to_empty("cpu"))
    same(lambda T: type(net(T).to_empty(device=None)).__name__)


def test_shared_memory() -> None:
    def program(T: Any) -> Any:
        model = trained(T)
        weight = model[0].weight
        model.register_buffer("empty", T.ones(0, 2))
        return model.share_memory() is model, model[0].weight is weight, weight.grad, seen(model)

    same(program)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_writes_into_shared_memory() -> None:
    model, own = minigrad.nn.Linear(2, 2).share_memory(), minigrad.nn.Linear(2, 2)
    before = own.weight.detach().clone()
    if (child := os.fork()) == 0:
        for m in (model, own):
            m.weight.detach().fill_(5.0)
        os._exit(0)
    os.waitpid(child, 0)
    assert (model.weight == 5.0).all()
    assert (own.weight == before).all()


def test_own_ways_of_moving() -> None:
    """Modules may change `_apply`; those above call it."""

    def program(T: Any) -> Any:
        calls = []

        class Own(T.nn.Linear):
            def _apply(self, fn: Any, recurse: bool = True) -> Any:
                calls.append(recurse)
                return super()._apply(fn, recurse)

        model = T.nn.Sequential(Own(2, 2))
        model.double()
        model._apply(lambda t: t * 2, recurse=False)
        return calls, str(model[0].weight.dtype), attempt(lambda: model.apply(5))

    same(program)
