"""Convolution on the GPU: by cuDNN on its stand-in, in columns, and plans of the real cuDNN where it is installed."""

import threading
from types import SimpleNamespace

import numpy as np
import pytest

import minigrad
import minigrad.nn.functional as F
from minigrad.kernels.gpu import columns, cudnn, settings
from reference import strict_cudnn, strict_cupy
from reference.strict_cudnn import PLANS, log, numerical_note
from tests.gpu import assert_kernels_change_nothing, both_dtypes, needs_emulation, numbers

# input, weight, stride, padding, dilation, groups
CONFIGURATIONS = {
    "1-D": ((2, 3, 9), (4, 3, 3), 2, 1, 1, 1),
    "1-D dilated": ((2, 4, 11), (6, 2, 3), 1, 2, 2, 2),
    "2-D": ((2, 3, 7, 6), (4, 3, 3, 2), 1, 0, 1, 1),
    "2-D strided": ((3, 2, 8, 9), (5, 2, 3, 3), (2, 3), (1, 2), 1, 1),
    "2-D dilated": ((2, 2, 9, 8), (3, 2, 2, 3), 1, (1, 2), (3, 2), 1),
    "1x1": ((2, 3, 4, 5), (4, 3, 1, 1), 1, 0, 1, 1),
    "depthwise": ((2, 4, 6, 6), (4, 1, 3, 3), 1, 1, 1, 4),
    "groups": ((2, 4, 5, 6), (6, 2, 3, 3), 2, 1, 1, 2),
    "one window": ((1, 2, 3, 3), (2, 2, 3, 3), 1, 0, 1, 1),
    "3-D": ((2, 2, 5, 4, 6), (4, 1, 2, 3, 3), (1, 2, 1), 1, (2, 1, 1), 2),
}
CONV = {3: F.conv1d, 4: F.conv2d, 5: F.conv3d}
TRANSPOSED = {3: F.conv_transpose1d, 4: F.conv_transpose2d, 5: F.conv_transpose3d}


def derivatives(convolution, x, w, bias):
    """A convolution, its gradients, and the gradients of these."""
    x, w, bias = (t.requires_grad_() for t in (x, w, bias))
    out = convolution(x, w, bias)
    g = minigrad.cos(minigrad.arange(out.numel(), dtype=out.dtype, device=out.device)).reshape(out.shape)
    first = minigrad.autograd.grad(out, (x, w, bias), g.requires_grad_(), create_graph=True)
    second = minigrad.autograd.grad([(d * d.cos()).sum() for d in first], (x, w, g))
    return [out, *first, *second]


def close(actual, expected, rtol):
    for a, b in zip(actual, expected, strict=True):
        a, b = a.detach().cpu().numpy(), b.detach().numpy()
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max(initial=0))


@pytest.fixture(autouse=True)
def clean():
    """A new log; and no setting is left as a test has made it."""
    before = {name: value for name, value in vars(settings).items() if type(value) in (bool, int)}
    log.__init__()
    yield
    vars(settings).update(before)
    log.__init__()


@pytest.fixture
def device():
    """The stand-ins for CuPy and cuDNN."""
    with strict_cupy.install() as cp:
        yield cp


def executed():
    """The plans taken since the last question, as (kind, index)."""
    seen = [(graph.kind, index) for graph, index in log.executed]
    log.executed.clear()
    return seen


# -- values ------------------------------------------------------------------------------------------------------------


@needs_emulation
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_convolutions_are_those_of_the_cpu(device, name, dtype):
    x_shape, w_shape, stride, padding, dilation, groups = CONFIGURATIONS[name]
    x, w, bias = (numbers(s, dtype, seed) for seed, s in enumerate((x_shape, w_shape, w_shape[:1])))
    rtol = {"float16": 4e-3, "float32": 2e-5, "float64": 1e-12}[dtype]

    def conv(x, w, bias):
        return CONV[x.ndim](x, w, bias, stride, padding, dilation, groups)

    def transposed(x, w, bias):
        channels = w.shape[1] * groups
        return TRANSPOSED[x.ndim](x, w, bias[:channels], stride, padding, 0, groups, dilation)

    for convolution, first in ((conv, x), (transposed, conv(x, w, bias).detach())):
        if convolution is transposed:
            bias = numbers((w_shape[1] * groups,), dtype)
        expected = derivatives(convolution, first.cpu(), w.cpu(), bias.cpu())
        executed()
        close(derivatives(convolution, first.detach(), w.detach(), bias), expected, rtol)
        assert {kind for kind, _ in executed()} == {"conv_fprop", "conv_dgrad", "conv_wgrad"}
        settings.cudnn_enabled = False
        close(derivatives(convolution, first.detach(), w.detach(), bias), expected, rtol)
        assert not executed()
        settings.cudnn_enabled = True


@needs_emulation
@both_dtypes
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_columns_are_those_without_kernels(name, dtype):
    x_shape, w_shape, stride, padding, dilation, groups = CONFIGURATIONS[name]
    settings.cudnn_enabled = False

    def program(dtype):
        x, w = numbers(x_shape, dtype), numbers(w_shape, dtype, 1)
        return derivatives(
            lambda x, w, bias: CONV[x.ndim](x, w, bias, stride, padding, dilation, groups),
            x.transpose(-1, -2).contiguous().transpose(-1, -2),  # with gaps
            w,
            numbers(w_shape[:1], dtype, 2),
        )

    assert_kernels_change_nothing(program, dtype)


@needs_emulation
@both_dtypes
def test_more_elements_than_a_block_has_threads(dtype, monkeypatch):
    launched = []
    over_elements = columns.over_elements
    monkeypatch.setattr(columns, "over_elements", lambda *args: (launched.append(args[1]), over_elements(*args)))

    def program(dtype):
        x = numbers((2, 3, 40, 30), dtype)
        blocks = F.unfold(x, (3, 2), dilation=(2, 1), padding=(1, 1), stride=(3, 2))
        return [blocks, F.fold(blocks * blocks, (40, 30), (3, 2), dilation=(2, 1), padding=(1, 1), stride=(3, 2))]

    assert_kernels_change_nothing(program, dtype)
    assert launched == ["unfold", "fold"]


@needs_emulation
def test_nothing_to_convolve_is_not_cudnns(device):
    w = numbers((4, 3, 3, 3), "float32").requires_grad_()
    out = F.conv2d(minigrad.zeros(0, 3, 5, 5, device="cuda"), w)
    out.sum().backward()
    assert out.shape == (0, 4, 3, 3)
    assert not w.grad.any()
    assert not executed()


@pytest.mark.gpu
@pytest.mark.parametrize("benchmark", [False, True])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_on_a_gpu(name, dtype, benchmark):
    if not minigrad.backends.cudnn.is_available():
        pytest.skip("cuDNN with its frontend for Python is not installed")
    x_shape, w_shape, stride, padding, dilation, groups = CONFIGURATIONS[name]
    x, w, bias = (numbers(s, dtype, seed) for seed, s in enumerate((x_shape, w_shape, w_shape[:1])))
    settings.cudnn_benchmark = benchmark

    def conv(x, w, bias):
        return CONV[x.ndim](x, w, bias, stride, padding, dilation, groups)

    expected = derivatives(conv, x.cpu(), w.cpu(), bias.cpu())
    rtol = {"float16": 2e-2, "float32": 1e-4, "float64": 1e-11}[dtype]  # its transforms round more than sums do
    close(derivatives(conv, x.detach(), w.detach(), bias.detach()), expected, rtol)
    last = x.detach().transpose(1, -1).contiguous().transpose(1, -1)
    close(derivatives(conv, last, w.detach(), bias.detach()), expected, rtol)
    if dtype == "float32":
        settings.cudnn_tf32 = True
        close(derivatives(conv, x.detach(), w.detach(), bias.detach()), expected, 2e-2)
    plans = [context.plan.cache_info() for context in cudnn.library().contexts[0]]
    assert any(info.hits and info.misses for info in plans)


# -- layout ------------------------------------------------------------------------------------------------------------


def pointers(tensor):
    return tensor.array.data.ptr


@needs_emulation
def test_channels_last_stays_channels_last(device, monkeypatch):
    given = []
    run = cudnn.Plan.run
    monkeypatch.setattr(cudnn.Plan, "run", lambda plan, where, *rest: (given.append(where), run(plan, where, *rest)))
    x = numbers((2, 3, 6, 5), "float32").to(memory_format=minigrad.channels_last).requires_grad_()
    w = numbers((4, 3, 3, 3), "float32", 1).to(memory_format=minigrad.channels_last).requires_grad_()
    out = F.conv2d(x, w)
    assert given[0] == {1: pointers(x), 2: pointers(w), 3: pointers(out)}  # no copies
    gradients = minigrad.autograd.grad(out, (x, w), out.detach())
    for t in (out, *gradients):
        assert t.is_contiguous(memory_format=minigrad.channels_last)
        assert not t.is_contiguous()
    plain = F.conv2d(x.detach().contiguous().requires_grad_(), w.detach().contiguous())
    assert plain.is_contiguous()
    close([out], [plain.cpu()], 1e-6)
    for mixed in (F.conv2d(x.detach(), w.detach().contiguous()), F.conv2d(x.detach().contiguous(), w.detach())):
        assert mixed.is_contiguous(memory_format=minigrad.channels_last)
        close([mixed], [plain.cpu()], 1e-6)


@needs_emulation
def test_gaps_are_closed_and_odd_addresses_moved(device):
    whole, w = numbers((4, 6, 9, 11), "float32"), numbers((5, 3, 3, 3), "float32", 1)
    flat = numbers((1 + 5 * 3 * 3 * 3,), "float32", 2)
    odd = flat[1:].reshape(5, 3, 3, 3)
    assert pointers(odd) % 16
    cases = [
        (whole[::2, ::2, 1:, ::2], w), (whole[:, :3].transpose(2, 3), w), (whole[:, :3].expand(4, 3, 9, 11), odd),
        (whole[:, :3].flip(3), w.transpose(2, 3)),
    ]  # fmt: skip
    for x, weight in cases:
        close([F.conv2d(x, weight)], [F.conv2d(x.cpu(), weight.cpu())], 2e-5)
    assert len(executed()) == len(cases)


# -- plans -------------------------------------------------------------------------------------------------------------


def convolve(shape=(2, 3, 5, 5), dtype="float32"):
    return F.conv2d(numbers(shape, dtype), numbers((4, shape[1], 3, 3), dtype))


def plan_notes():
    """The notes of the plan taken last."""
    ((_, index),) = executed()
    return PLANS[index][0]


@needs_emulation
def test_switches_reach_the_plan(device):
    core, loose = numerical_note.TENSOR_CORE, numerical_note.NONDETERMINISTIC
    with minigrad.backends.cudnn.flags(enabled=True):
        convolve()
        assert plan_notes() == {core, loose}  # never the one that makes the inputs smaller
        minigrad.backends.cudnn.allow_tf32 = False
        convolve()
        assert plan_notes() == {loose}
        convolve(dtype="float16")
        assert plan_notes() == {core, loose}
        convolve(dtype="float64")
        assert plan_notes() == {core, loose}
        minigrad.backends.cudnn.deterministic = True
        convolve()
        assert plan_notes() == set()  # not the one before it, which takes too much memory
        minigrad.backends.cudnn.allow_tf32 = True
        convolve()
        assert plan_notes() == {core}
        minigrad.backends.cudnn.deterministic = False
        convolve()
        assert plan_notes() == {core, loose}
        minigrad.use_deterministic_algorithms(True)
        convolve()
        assert plan_notes() == {core}
        minigrad.use_deterministic_algorithms(False)
    with minigrad.backends.cudnn.flags(enabled=False):
        convolve()
        assert not executed()


@needs_emulation
def test_plans_are_kept_up_to_a_number(device, monkeypatch):
    monkeypatch.setattr(cudnn, "PLANS", 2)
    sizes = [(n, 3, 5, 5) for n in (1, 2, 3)]
    for shape, planned in [(0, 1), (0, 1), (1, 2), (0, 2), (2, 3), (0, 3), (1, 4), (1, 4)]:
        convolve(sizes[shape])
        assert len(log.graphs) == planned


@needs_emulation
def test_without_a_plan_columns_do_and_nobody_asks_again(device):
    log.refuses = lambda graph: graph.kind == "conv_fprop"
    x, w = numbers((2, 3, 5, 5), "float32").requires_grad_(), numbers((4, 3, 3, 3), "float32", 1)
    for _ in range(3):
        out = F.conv2d(x, w)
        close([out], [F.conv2d(x.detach().cpu(), w.cpu())], 2e-5)
        out.sum().backward()
    assert executed() == [("conv_dgrad", 1)] * 3
    assert [graph.kind for graph in log.graphs] == ["conv_fprop", "conv_dgrad"]


@needs_emulation
def test_benchmark_takes_the_fastest_of_the_first_few(device, monkeypatch):
    cost = {1: 5.0, 2: 3.0, 3: 4.0, 5: 1.0}  # plan 0 is never allowed, plan 4 takes too much memory
    monkeypatch.setattr(device.cuda, "get_elapsed_time", lambda start, stop: cost[log.executed[-1][1]])
    settings.cudnn_benchmark = True
    for limit, fastest in ((3, 2), (0, 5), (1, 1)):
        settings.cudnn_benchmark_limit = limit
        convolve((limit + 1, 3, 5, 5))
        tried = [index for _, index in executed()]
        assert sorted(set(tried)) == sorted(cost)[: limit or None]
        assert tried[-1] == fastest
        convolve((limit + 1, 3, 5, 5))
        assert executed() == [("conv_fprop", fastest)]
    settings.cudnn_benchmark = False
    convolve((1, 3, 5, 5))
    assert executed() == [("conv_fprop", 1)]


# -- the library -------------------------------------------------------------------------------------------------------


@needs_emulation
def test_where_there_is_no_cudnn_columns_do(device):
    backends = minigrad.backends.cudnn
    assert backends.is_available()
    assert backends.version() == 91900
    assert backends.is_acceptable(minigrad.ones(1, device="cuda"))
    assert not backends.is_acceptable(minigrad.ones(1))
    before = cudnn.use_library(None)
    try:
        assert convolve().shape == (2, 4, 3, 3)
        assert not backends.is_available()
        assert backends.version() is None
    finally:
        cudnn.use_library(before)
    assert not executed()


@needs_emulation
def test_a_gpu_that_cudnn_does_not_take_is_asked_once(device, monkeypatch):
    asked = []

    def create_handle():
        asked.append(1)
        raise RuntimeError("cudnnHandle Create failed")

    monkeypatch.setattr(strict_cudnn, "create_handle", create_handle)
    for _ in range(2):
        assert convolve().shape == (2, 4, 3, 3)
    assert len(asked) == 1
    assert not executed()


@pytest.mark.parametrize("missing", ["cuda.pathfinder", "cublasLt", "cudnn", "libcudnn", None])
def test_cudnn_is_there_if_all_its_parts_are(missing, monkeypatch):
    loaded = []

    def load_nvidia_dynamic_lib(name):
        if name in (missing, "nvrtc", "cudnn"):  # pathfinder may not know those that the system has
            raise RuntimeError(name)
        loaded.append(name)

    def import_module(name):
        if name == missing:
            raise ImportError(name)
        if name == "cuda.pathfinder":
            return SimpleNamespace(load_nvidia_dynamic_lib=load_nvidia_dynamic_lib)
        assert loaded == ["cublasLt"]
        return SimpleNamespace(backend_version=backend_version, cudnnGraphNotSupportedError=Exception)

    def backend_version():
        if missing == "libcudnn":
            raise RuntimeError("Unable to find symbol cudnnGetVersion")

    monkeypatch.setattr(cudnn, "importlib", SimpleNamespace(import_module=import_module))
    assert (cudnn._find() is None) == (missing is not None)


@needs_emulation
def test_work_goes_on_the_current_stream(device):
    streams = []
    for stream in (device.cuda.Stream(non_blocking=True), device.cuda.Stream.null):
        with stream:
            convolve()
        streams.append((stream.ptr, *log.handles.values()))
    assert [given for given, _ in streams] == [seen for _, seen in streams]


@needs_emulation
def test_no_two_threads_have_one_handle(device, monkeypatch):
    """Both stand in the middle of a convolution at once."""
    convolve()
    both, handles = threading.Barrier(2, timeout=10), []
    run = cudnn.Plan.run

    def together(plan, where, context, xp):
        handles.append(context.handle)
        both.wait()
        run(plan, where, context, xp)

    monkeypatch.setattr(cudnn.Plan, "run", together)
    threads = [threading.Thread(target=convolve) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({*handles}) == 2
    both.reset()
    monkeypatch.setattr(cudnn.Plan, "run", run)
    convolve()
    assert len(log.handles) == 2


@needs_emulation
@pytest.mark.parametrize("benchmark", [False, True])
def test_a_captured_convolution_is_done_again(device, benchmark):
    settings.cudnn_benchmark = benchmark  # nothing can be timed, though
    x, w = numbers((2, 3, 5, 5), "float32"), numbers((4, 3, 3, 3), "float32", 1)
    stream = device.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        out = F.conv2d(x, w)
        graph = stream.end_capture()
        assert executed() == [("conv_fprop", 1)]
        x.mul_(2)
        graph.launch()
    close([out], [F.conv2d(x.cpu(), w.cpu())], 2e-5)


@needs_emulation
def test_the_host_never_waits(device):
    x, w = (numbers(s, "float32").requires_grad_() for s in ((2, 3, 5, 5), (4, 3, 3, 3)))
    with strict_cupy.forbid_synchronize(), strict_cupy.forbid_uploads():
        F.conv2d(x, w).sum().backward()
