"""Rarer names of torch.nn: those kept for old programs, SyncBatchNorm, pools with indices, conv_tbc."""

from __future__ import annotations

from typing import Any

import pytest

from tests.lockstep import attempt, same


def containers(T: Any) -> Any:
    class Own(T.nn.Container):
        pass

    first = T.nn.Container(a=T.nn.Linear(1, 1), b=T.nn.Tanh())
    refused = [lambda: T.nn.Container(a=3), lambda: T.nn.Container(3), lambda: first(1)]
    return repr(first), repr(Own(x=T.nn.Tanh())), [attempt(r) for r in refused]


def losses(T: Any) -> Any:
    class Own(T.nn.NLLLoss2d):
        pass

    loss = T.nn.NLLLoss2d(T.tensor([1.0, 2.0, 3.0]), ignore_index=1, reduction="sum")
    image, target = T.arange(12.0).reshape(1, 3, 2, 2).requires_grad_(), T.tensor([[[0, 1], [2, 2]]])
    loss(image, target).backward()
    more = [T.nn.NLLLoss2d(size_average=False).reduction, isinstance(loss, T.nn.NLLLoss), list(loss.state_dict())]
    return loss(image, target), image.grad, repr(loss), Own()(image, target), more


def all_processes(T: Any) -> Any:
    """Any number of dimensions; with one process it is batch norm."""
    T.manual_seed(0)
    seen: list[Any] = []
    for shape in ((4, 3), (4, 3, 2), (4, 3, 2, 2), (2, 3, 2, 2, 2), (2, 3, 2, 1, 2, 1)):
        norm, x = T.nn.SyncBatchNorm(3, momentum=0.3, dtype=T.float64), T.randn(shape, dtype=T.float64)
        x.requires_grad_()
        y = norm(x)
        (y * y * y).sum().backward()
        seen.append((y, x.grad, norm.weight.grad, norm.eval()(x.detach()), dict(norm.state_dict())))
    norm = T.nn.SyncBatchNorm(3)
    wrong = [T.ones(3), T.ones(2, 0, 3), T.ones(1, 3), T.ones(2, 4)]
    about = [repr(T.nn.SyncBatchNorm(3, affine=False, process_group=5)), norm.process_group, norm.num_batches_tracked]
    return seen, [attempt(lambda w=w: norm(w)) for w in wrong], about


def converted(T: Any) -> Any:
    inner = T.nn.Sequential(T.nn.BatchNorm2d(4, affine=False), T.nn.BatchNorm3d(2, track_running_stats=False))
    norms = T.nn.BatchNorm1d(3, eps=1e-3, momentum=None), T.nn.BatchNorm1d(2, bias=False)
    model = T.nn.Sequential(T.nn.Linear(2, 3), *norms, inner, T.nn.InstanceNorm1d(2)).eval()
    weight, mean, convert = model[1].weight, model[1].running_mean, T.nn.SyncBatchNorm.convert_sync_batchnorm
    new = convert(model)
    same_members = new is model, model[1].weight is weight, model[1].running_mean is mean
    alone = convert(T.nn.BatchNorm1d(2), 7)
    texts = repr(model), repr(alone), alone.process_group, list(model.state_dict())
    return same_members, texts, [m.training for m in model.modules()], model[2].bias, attempt(lambda: convert(3))


def own_checks(T: Any) -> Any:
    """Own norms say which inputs they take by a method of torch's name."""

    class Flat(T.nn.modules.batchnorm._BatchNorm):
        def _check_input_dim(self, input: Any) -> None:
            if input.dim() != 2:
                raise ValueError("only flat ones")

    class Any2d(T.nn.BatchNorm2d):
        def _check_input_dim(self, input: Any) -> None:
            pass

    class AnyInstance(T.nn.InstanceNorm1d):
        def _check_input_dim(self, input: Any) -> None:
            raise ValueError("none")

    refused = [lambda: Flat(2)(T.ones(3, 2, 2)), lambda: AnyInstance(2)(T.ones(2, 2, 2))]
    return Flat(2)(T.ones(3, 2)), Any2d(2)(T.ones(3, 2)), [attempt(r) for r in refused]


def no_more_statistics(T: Any) -> Any:
    """Not tracked from now on: neither counted nor moved."""
    norm = T.nn.BatchNorm1d(2)
    norm.track_running_stats = False
    return norm(T.ones(3, 2)), dict(norm.state_dict())


def with_indices(T: Any) -> Any:
    F = T.nn.functional
    T.manual_seed(0)
    x, y, z = T.randn(2, 3, 8).requires_grad_(), T.randn(2, 3, 6, 6), T.randn(2, 2, 4, 4, 4)
    places = T.rand(2, 3, 2)
    results = [
        F.max_pool1d_with_indices(x, 2), F.max_pool1d_with_indices(x, 3, 2, 1, 1, True, False),
        F.max_pool2d_with_indices(y, (2, 3), return_indices=False), F.max_pool3d_with_indices(z, 2),
        F.adaptive_max_pool1d_with_indices(x, 3), F.adaptive_max_pool2d_with_indices(y, (3, 2)),
        F.adaptive_max_pool3d_with_indices(z, 2, False),
        F.fractional_max_pool2d_with_indices(y, 2, 3, None, False, places),
        F.fractional_max_pool3d_with_indices(z, 2, output_ratio=0.5, _random_samples=T.rand(2, 2, 3)),
        attempt(lambda: F.fractional_max_pool2d_with_indices(y, 2)),
        attempt(lambda: F.max_pool2d_with_indices(x[0, 0], 2)),
    ]  # fmt: skip
    results[0][0].sum().backward()
    return results, x.grad


def by_time_batch_and_channels(T: Any) -> Any:
    F = T.nn.functional
    T.manual_seed(0)
    x, w, b = (T.randn(shape, dtype=T.float64).requires_grad_() for shape in ((5, 2, 3), (3, 3, 4), (4,)))
    results = []
    for pad in (0, 1, 2):
        out = F.conv_tbc(x, w, b, pad)
        out.square().sum().backward()
        results += [out, x.grad, w.grad, b.grad]
    wrong = [(x[0], w, b), (x, w[0], b), (x, w, b[None]), (x, w[:, :2], b), (x, w, b[:2])]
    return results, [attempt(lambda a=a: F.conv_tbc(*a)) for a in wrong]


def native_shuffles(T: Any) -> Any:
    shuffle, x = T.nn.functional.native_channel_shuffle, T.arange(12.0).reshape(1, 6, 2)
    return (
        shuffle(x, 2),
        shuffle(x.long(), groups=3),
        [attempt(lambda a=a: shuffle(*a)) for a in ((x, 4), (x[0], 2), (x, 0))],
    )


def tuples(T: Any) -> Any:
    U = T.nn.modules.utils
    makers = [U._single, U._pair, U._triple, U._quadruple, U._ntuple(6)]
    made = [[m(x) for x in (3, (1, 2), [4], "ab", None, range(3))] for m in makers]
    return made, [m.__name__ for m in makers], U._reverse_repeat_tuple((1, 2, 3), 2)


def prefixes(T: Any) -> Any:
    """A state saved from a DataParallel and loaded into the module itself; others are left alone."""
    T.manual_seed(0)
    consume, model = T.nn.modules.utils.consume_prefix_in_state_dict_if_present, T.nn.Sequential(T.nn.BatchNorm1d(2))
    state, plain = T.nn.DataParallel(model).state_dict(), dict(T.nn.DataParallel(model).state_dict(), other=1)
    for s in (state, plain):
        consume(s, "module.")
        consume(s, "missing.")
    return dict(state), plain, {k: dict(v) for k, v in state._metadata.items()}, str(model.load_state_dict(state))


def bases(T: Any) -> Any:
    """Scripts subclass these bases, and ask whether a module is of one."""
    found = []
    modules = T.nn.modules
    for name in sorted(n for n in dir(T.nn) if n.endswith("Loss") or "Norm" in n):
        kinds = (
            modules.loss._Loss,
            modules.loss._WeightedLoss,
            modules.batchnorm._NormBase,
            modules.batchnorm._BatchNorm,
        )
        found.append((name, [issubclass(getattr(T.nn, name), kind) for kind in kinds]))

    class Squared(modules.loss._Loss):
        def forward(self, x: Any) -> Any:
            return x.square().sum()

    return (
        found,
        Squared()(T.arange(3.0)),
        Squared(reduction="sum").reduction,
        attempt(lambda: Squared(False).reduction),
    )


PROGRAMS = [
    tuples,
    prefixes,
    bases,
    containers,
    losses,
    all_processes,
    converted,
    own_checks,
    no_more_statistics,
    with_indices,
]


@pytest.mark.parametrize("program", [*PROGRAMS, by_time_batch_and_channels, native_shuffles], ids=lambda p: p.__name__)
def test_programs(program: Any) -> None:
    same(program)
