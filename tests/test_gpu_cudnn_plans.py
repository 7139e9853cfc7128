"""cuDNN itself, which makes plans without a GPU for one that a JSON describes, and the stand-in's likeness to it."""

import enum
import inspect
import itertools
import re
from pathlib import Path

import pytest

import minigrad
from minigrad.kernels.convolution_shapes import Conv
from minigrad.kernels.gpu import cudnn
from minigrad.kernels.gpu.cudnn import Problem
from reference import strict_cudnn


def frontend():
    """cuDNN's frontend, with cuDNN; None if one is not installed."""
    found = cudnn._find()
    return found and found.module


REAL = frontend()
needs_frontend = pytest.mark.skipif(REAL is None, reason="cuDNN with its frontend for Python is not installed")
RESNET = [
    ((3, 224, 224), (64, 3, 7, 7), 2, 3), ((64, 56, 56), (64, 64, 3, 3), 1, 1), ((64, 56, 56), (128, 64, 3, 3), 2, 1),
    ((128, 28, 28), (128, 128, 3, 3), 1, 1), ((64, 56, 56), (128, 64, 1, 1), 2, 0),
    ((128, 28, 28), (256, 128, 3, 3), 2, 1), ((256, 14, 14), (256, 256, 3, 3), 1, 1),
    ((128, 28, 28), (256, 128, 1, 1), 2, 0), ((256, 14, 14), (512, 256, 3, 3), 2, 1),
    ((512, 7, 7), (512, 512, 3, 3), 1, 1), ((256, 14, 14), (512, 256, 1, 1), 2, 0),
]  # fmt: skip
NETWORKS = {
    "ResNet-18": [((n, *x), w, s, p, 1) for n in (32, 128) for x, w, s, p in RESNET],
    "LeNet": [((64, 1, 28, 28), (6, 1, 5, 5), 1, 2, 1), ((64, 6, 14, 14), (16, 6, 5, 5), 1, 0, 1),
              ((7, 16, 5, 5), (120, 16, 5, 5), 1, 0, 1)],
    "depthwise": [((16, 32, 56, 56), (32, 1, 3, 3), 1, 1, 1), ((16, 96, 56, 56), (96, 1, 5, 5), 2, 2, 1)],
    "groups": [((8, 64, 28, 28), (64, 32, 3, 3), 1, 1, 1), ((8, 64, 28, 28), (128, 8, 3, 3), 2, 1, 1)],
    "dilated": [((8, 64, 65, 65), (64, 64, 3, 3), 1, 4, 4), ((4, 3, 33, 31), (8, 3, 3, 5), 1, 2, 2)],
    "1-D": [((16, 64, 1000), (128, 64, 7), 2, 3, 1), ((8, 4, 33), (6, 4, 3), 1, 2, 2),
            ((16, 32, 99), (32, 1, 5), 1, 2, 1)],
    "3-D": [((4, 3, 16, 32, 32), (8, 3, 3, 3, 3), 1, 1, 1), ((2, 8, 9, 10, 11), (16, 8, 3, 3, 3), 2, 1, 1),
            ((2, 8, 9, 10, 11), (8, 4, 2, 3, 3), 1, 2, 2)],
    "small": [((2, 3, 7, 6), (4, 3, 3, 2), 1, 0, 1), ((1, 1, 1, 1), (1, 1, 1, 1), 1, 0, 1)],
}  # fmt: skip
KINDS = ["conv_fprop", "conv_dgrad", "conv_wgrad"]


def problems(network):
    """What a network, and the same network with other switches, asks of cuDNN."""
    for x, w, stride, padding, dilation in NETWORKS[network]:
        n = len(x) - 2
        how = Conv((stride,) * n, (padding,) * n, (dilation,) * n, x[1] // w[1])
        for kind, last in itertools.product(KINDS, (False, True)):
            for char, tf32, deterministic in [("f", True, False), ("f", False, False), ("f", False, True)]:
                yield Problem(kind, char, x, w, how, last, tf32, deterministic, False)
            for char in "ed":
                yield Problem(kind, char, x, w, how, last, True, False, False)


@pytest.fixture(scope="module")
def h200():
    """The GPU for which plans are made."""
    return REAL.create_device_properties(Path(strict_cudnn.__file__).with_name("h200.json").read_text("utf-8"))


@needs_frontend
@pytest.mark.parametrize("network", NETWORKS)
def test_cudnn_has_a_plan(network, h200):
    missing = []
    for problem in problems(network):
        try:
            graph = cudnn.plan_graph(REAL, problem, device_property=h200)
            assert graph.get_workspace_size() <= cudnn.WORKSPACE
        except (RuntimeError, REAL.cudnnGraphNotSupportedError) as error:
            missing.append((problem, str(error)))
    assert not missing


def parameters_of(function):
    """The parameters of a function, from its signature or, for compiled ones, from the first lines of its docstring."""
    try:
        return set(inspect.signature(function).parameters)
    except ValueError:
        signature = next(line for line in function.__doc__.splitlines() if "self:" in line or "->" in line)
        return set(re.findall(r"(\w+):", signature)) | set(re.findall(r"\b(arg\d)\b", signature))


@needs_frontend
def test_the_stand_in_has_nothing_that_cudnn_has_not():
    for name, ours in vars(strict_cudnn).items():
        if isinstance(ours, type) and issubclass(ours, enum.Enum):
            theirs = getattr(REAL, name, None) or getattr(REAL._compiled_module, name)
            assert {member.name for member in ours} <= {*theirs.__members__}
    assert not issubclass(REAL.cudnnGraphNotSupportedError, RuntimeError)
    for ours, theirs in ((strict_cudnn.pygraph, REAL.pygraph), (strict_cudnn.tensor, REAL.tensor)):
        for name, method in vars(ours).items():
            if inspect.isfunction(method) and not name.startswith("_") and name != "at":
                assert_takes(getattr(theirs, name), method)
    for name in ("backend_version", "create_handle", "set_stream"):
        assert_takes(getattr(REAL, name), getattr(strict_cudnn, name))
    assert_takes(REAL.pygraph.__init__, strict_cudnn.pygraph.__init__)


def assert_takes(theirs, ours):
    known, said = parameters_of(theirs), set(inspect.signature(ours).parameters)
    positional = {name for name in known if re.fullmatch(r"arg\d", name)}
    assert said - {"self"} <= known or len(said - {"self"}) == len(positional), (theirs, said, known)


@needs_frontend
def test_the_plans_that_would_be_timed(h200):
    how = Conv((1, 1), (1, 1), (1, 1), 1)
    problem = Problem("conv_fprop", "f", (32, 64, 56, 56), (64, 64, 3, 3), how, False, False, True, True)
    graph, built = cudnn.plan_graph(REAL, problem, device_property=h200), []
    for index in range(graph.get_execution_plan_count()):
        try:
            graph.build_plan_at_index(index)
        except (RuntimeError, REAL.cudnnGraphNotSupportedError):
            continue
        built.append(graph.get_workspace_size_plan_at_index(index))
    assert 2 <= len(built) < graph.get_execution_plan_count()  # not those with tensor cores
    assert max(built) <= cudnn.WORKSPACE


@needs_frontend
def test_without_a_gpu_cudnn_is_not_available():
    if minigrad.cuda.is_available():
        pytest.skip("there is a GPU")
    found = cudnn._find()
    assert found.module.backend_version() >= 90000
    assert cudnn.version() is None
    assert found.borrow(0) is None
    assert found.contexts == {0: None}
