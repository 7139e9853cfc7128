"""What CuPy's source says and its documentation does not: the stand-in does it, too, and nothing breaks."""

import numpy as np
import pytest

import minigrad
from minigrad import cuda, nn
from reference.strict_cupy import forbid_uploads
from reference.strict_device import HostCopied
from tests.gpu import needs_emulation


def test_cupy_sends_a_table_to_join_more_than_eight_arrays(stand_in):
    few, many = ([stand_in.zeros(2) for _ in range(n)] for n in (8, 9))
    with forbid_uploads():
        stand_in.concatenate(few)
        with pytest.raises(HostCopied):
            stand_in.concatenate(many)
        with pytest.raises(HostCopied):
            stand_in.stack(many)


@pytest.mark.parametrize("join", [minigrad.cat, minigrad.stack])
@pytest.mark.parametrize("count", [9, 70])
def test_many_tensors_are_joined_in_a_recording(gpu, join, count):
    parts = [minigrad.full((2, 3), float(i), device="cuda", requires_grad=True) for i in range(count)]
    g = cuda.CUDAGraph()
    with cuda.graph(g):
        out = join(parts, 1)
        (out * out).sum().backward()
    g.replay()
    expected = (np.concatenate if join is minigrad.cat else np.stack)([p.detach().cpu().numpy() for p in parts], 1)
    np.testing.assert_array_equal(out.detach().cpu().numpy(), expected)
    assert [p.grad[0, 0].item() for p in parts] == [2.0 * i for i in range(count)]


def test_an_optimizer_of_many_small_parameters_is_recorded(gpu):
    """Gradients in float16, for which there are no kernels, are joined end to end."""
    params = [nn.Parameter(minigrad.ones(3, dtype=minigrad.float16, device="cuda")) for _ in range(12)]
    optimizer = minigrad.optim.SGD(params, lr=0.25, foreach=True)

    def step():
        for p in params:
            p.grad = p.detach() * 1
        optimizer.step()

    with cuda.stream(cuda.Stream()):
        for _ in range(3):
            step()
    g = cuda.CUDAGraph()
    with cuda.graph(g):
        step()
    g.replay()
    assert [p.tolist() for p in params] == [[0.75**4] * 3] * 12


def test_numbers_are_not_joined(gpu):
    with pytest.raises(TypeError):
        gpu.concatenate([gpu.zeros(()), gpu.zeros(())])
    with pytest.raises(RuntimeError, match="zero-dimensional tensor"):
        minigrad.cat([minigrad.ones((), device="cuda")] * 2)


def test_views_with_strides_of_their_own_are_views(gpu):
    """CuPy's as_strided gives arrays that name no base."""
    assert gpu.lib.stride_tricks.as_strided(gpu.zeros(3), (2,), (8,)).base is None
    x = minigrad.arange(6.0, device="cuda", requires_grad=True)
    y = x * 1
    for view in (y.unfold(0, 2, 2), y.as_strided((3, 2), (2, 1)), y.as_strided((2,), (1,), 3)):
        assert view._base is y
    y.unfold(0, 2, 2)[1].mul_(10)
    assert y.tolist() == [0, 1, 20, 30, 4, 5]
    y.sum().backward()
    assert x.grad.tolist() == [1, 1, 10, 10, 1, 1]
    assert y[:4].reshape(2, 2).t().reshape(4)._base is None  # a copy


@pytest.mark.parametrize("read", ["cpu", "tolist", "numpy"])
def test_reading_leaves_the_current_stream(gpu, read):
    """CuPy enters a stream to copy an array with gaps, and leaves it for the one that was entered before."""
    turned, stream = minigrad.ones(2, 3, device="cuda").t(), cuda.Stream()
    with cuda.stream(stream):
        turned.numpy(force=True) if read == "numpy" else getattr(turned, read)()
        assert cuda.current_stream() == stream
        turned.array.get()
        assert cuda.current_stream() == cuda.default_stream()


def test_the_memory_of_a_graph_that_is_gone_is_given_back(gpu):
    """CuPy loses what is free in a pool that is dropped; what is still in use is given back when it no longer is."""

    def free():
        cuda.empty_cache()
        return cuda.mem_get_info()[0]

    x, g = minigrad.ones(1 << 22, device="cuda"), cuda.CUDAGraph()
    before = free()
    with cuda.graph(g):
        out = (x * 2 + 1).exp()
    held = free()
    g.reset()
    in_use = free()
    del out
    assert held < in_use < before <= free()


@needs_emulation
def test_a_number_is_dropped_as_a_number(gpu):
    """ascontiguousarray gives numbers a dim."""
    assert gpu.ascontiguousarray(gpu.zeros(())).shape == (1,)
    x = minigrad.ones((), device="cuda", requires_grad=True)
    out = nn.functional.dropout(x, 0.5)
    out.backward()
    assert out.shape == x.grad.shape == ()
    assert minigrad.ones((), device="cuda").bernoulli().shape == ()


def test_a_uuid_with_a_zero_in_it_is_one(stand_in):
    assert cuda.get_device_properties().uuid.bytes == bytes([1, 2, 3, 4, 5, 6, 7]) + bytes(9)
