"""DataParallel and data_parallel: without a GPU torch's, with one (CuPy's stand-in) on that one."""

from __future__ import annotations

import copy
from collections import namedtuple
from typing import Any

import pytest

import minigrad
from reference import strict_cupy
from tests.lockstep import attempt, same

nn = minigrad.nn


@pytest.mark.skipif(minigrad.cuda.is_available(), reason="what follows is torch's way without a GPU")
def test_without_a_gpu() -> None:
    def program(T: Any) -> Any:
        T.manual_seed(0)
        layer = T.nn.Linear(2, 3)
        parallel = T.nn.DataParallel(layer, device_ids=[0, 1], output_device=1, dim=1)
        twin, x = copy.deepcopy(parallel), T.ones(4, 2)
        twin.load_state_dict(parallel.state_dict())
        out = parallel(x)
        out.sum().backward()
        return [
            repr(parallel), dict(parallel.state_dict()), [n for n, _ in parallel.named_modules()], parallel.device_ids,
            [hasattr(parallel, name) for name in ("dim", "output_device", "src_device_obj")], parallel.module is layer,
            out, parallel(input=x), layer.weight.grad, twin(x), twin.module is layer,
            T.nn.parallel.DataParallel is T.nn.DataParallel, attempt(parallel), attempt(lambda: parallel.weight),
            attempt(lambda: T.nn.parallel.data_parallel(layer, x)),
            attempt(lambda: parallel.load_state_dict(layer.state_dict())),
        ]  # fmt: skip

    same(program)


Pair = namedtuple("Pair", "x y")


class Shows(nn.Module):
    """Says where its arguments are."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(minigrad.ones(2))

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        self.seen = args, kwargs
        return self.weight * 2


def test_on_the_first_gpu() -> None:
    with strict_cupy.install():
        for module in (nn.DataParallel(Shows()), nn.DataParallel(Shows(), device_ids=["cuda:0"], output_device=0)):
            first, x = minigrad.device("cuda", 0), minigrad.ones(2)
            out = module(x, [x, 3], Pair(x, "text"), key={"x": (x,)})
            args, kwargs = module.module.seen
            moved = [args[0], args[1][0], args[2].x, kwargs["key"]["x"][0], out, module.module.weight]
            assert [t.device for t in moved] == [first] * 6
            assert args[1][1:] == [3]
            assert args[2] == Pair(args[2].x, "text")
            assert (module.device_ids, module.output_device, module.dim) == ([0], 0, 0)
            assert module.src_device_obj == first
            module.cpu()
            with pytest.raises(RuntimeError, match="module must have its parameters and buffers on device cuda:0"):
                module(x)


def test_data_parallel() -> None:
    with strict_cupy.install():
        first, x, module = minigrad.device("cuda", 0), minigrad.ones(2), Shows().cuda()
        for inputs, number in ((x, 1), ((x, x), 2), (None, 0)):
            out = nn.parallel.data_parallel(module, inputs, module_kwargs={"key": x})
            args, kwargs = module.seen
            assert len(args) == number
            assert all(t.device == first for t in (*args, kwargs["key"], out))
        with pytest.raises(RuntimeError, match="found one of them on device: cpu"):
            nn.parallel.data_parallel(module.cpu(), x, device_ids=[0])
