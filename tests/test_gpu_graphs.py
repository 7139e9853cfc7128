"""CUDA graphs: replays of a captured step do what the step would have done, on the stand-in and on a GPU."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import minigrad
from minigrad import cuda, nn
from minigrad.nn import functional as F
from tests.gpu import needs_emulation

pytestmark = [
    needs_emulation,
    pytest.mark.filterwarnings("ignore:This instance was constructed with capturable=True"),  # torch's, of eager steps
]


def mlp():
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))


def convolutional():
    return nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.Conv2d(1, 4, 2, padding=1), nn.BatchNorm2d(4), nn.GELU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 3),
    )  # fmt: skip


def with_dropout():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3))


def of_letters():
    return nn.Sequential(
        nn.Linear(6, 6), nn.Unflatten(1, (3, 2)), nn.TransformerEncoderLayer(2, 1, 4, 0.0, batch_first=True),
        nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip


NETWORKS = {"mlp": mlp, "conv": convolutional, "dropout": with_dropout, "transformer": of_letters}
OPTIMIZERS = {
    "SGD": lambda p: minigrad.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: minigrad.optim.Adam(p, lr=0.01, capturable=True),
    "AdamW": lambda p: minigrad.optim.AdamW(p, lr=0.01, capturable=True),
}


class Step:
    """A training step on tensors that stay where they are."""

    def __init__(self, network, optimizer):
        minigrad.manual_seed(0)
        self.network = NETWORKS[network]().cuda()
        self.optimizer = OPTIMIZERS[optimizer](self.network.parameters())
        self.x, self.y = minigrad.zeros(4, 6, device="cuda"), minigrad.zeros(4, dtype=minigrad.int64, device="cuda")

    def load(self, number):
        rng = np.random.default_rng(number)
        self.x.copy_(minigrad.tensor(rng.standard_normal((4, 6)), dtype=minigrad.float32))
        self.y.copy_(minigrad.tensor(rng.integers(0, 3, 4)))

    def __call__(self):
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.network(self.x), self.y)
        loss.backward()
        self.optimizer.step()
        return loss

    def state(self):
        return [t.cpu().numpy() for t in self.network.state_dict().values()]


def captured(step, pool=None):
    """The graph of a step that has been warmed up with batch 0, and the loss that its replays compute."""
    with cuda.stream(cuda.Stream()):
        for _ in range(2):
            step.load(0)
            step()
    cuda.synchronize()
    g = cuda.CUDAGraph()
    with cuda.graph(g, pool=pool):
        loss = step()
    return g, loss


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("network", NETWORKS)
def test_replays_are_the_steps(gpu, network, optimizer):
    eager, replayed = Step(network, optimizer), Step(network, optimizer)
    minigrad.manual_seed(1)
    for number in (0, 0):
        eager.load(number)
        eager()
    losses = []
    for number in (1, 2, 3):
        eager.load(number)
        losses.append(eager().item())
    minigrad.manual_seed(1)
    g, loss = captured(replayed)
    for number, expected in zip((1, 2, 3), losses, strict=True):
        replayed.load(number)
        g.replay()
        assert loss.item() == pytest.approx(expected, rel=1e-6)
    for a, b in zip(replayed.state(), eager.state(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_nothing_is_computed_while_it_is_recorded(gpu):
    step = Step("mlp", "SGD")
    g, _ = captured(step)
    before = step.state()
    with cuda.graph(cuda.CUDAGraph()):
        assert cuda.is_current_stream_capturing()
        step()
    assert not cuda.is_current_stream_capturing()
    assert all(np.array_equal(a, b) for a, b in zip(step.state(), before, strict=True))
    g.replay()
    assert not all(np.array_equal(a, b) for a, b in zip(step.state(), before, strict=True))


def test_a_learning_rate_in_the_gpus_memory_may_change(gpu):
    steps = [Step("mlp", "Adam") for _ in range(2)]
    for step in steps:
        step.optimizer.param_groups[0]["lr"] = minigrad.tensor(0.01, device="cuda")
    eager, replayed = steps
    g, _ = captured(replayed)
    for _ in range(2):
        eager.load(0)
        eager()
    for number, rate in enumerate((0.5, 0.0, 0.1)):
        for step in steps:
            step.load(number)
            step.optimizer.param_groups[0]["lr"].fill_(rate)
        eager()
        g.replay()
    for a, b in zip(replayed.state(), eager.state(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_what_cannot_be_recorded_is_an_error_and_leaves_all_usable(gpu):
    step = Step("mlp", "SGD")
    g, loss = captured(step)
    for wrong in (lambda: step().item(), lambda: step.load(0), lambda: print(step()), cuda.synchronize):
        with pytest.raises(RuntimeError, match="capturing"):
            with cuda.graph(cuda.CUDAGraph()):
                wrong()
        assert not cuda.is_current_stream_capturing()
    g.replay()
    assert np.isfinite(loss.item())


def test_an_optimizer_that_counts_on_the_host_is_an_error(gpu):
    step = Step("mlp", "SGD")
    step.optimizer = minigrad.optim.Adam(step.network.parameters())
    with pytest.raises(RuntimeError, match="capturable"):
        captured(step)


def test_uses_that_make_no_sense(gpu):
    with pytest.raises(RuntimeError, match="replay without a preceding successful capture"):
        cuda.CUDAGraph().replay()
    with pytest.raises(RuntimeError, match="without a preceding successful capture"):
        cuda.CUDAGraph().pool()
    with pytest.raises(RuntimeError, match="non-default stream"):
        cuda.CUDAGraph().capture_begin()
    with pytest.raises(RuntimeError, match="Unknown capture error mode"):
        cuda.CUDAGraph().capture_begin(capture_error_mode="strict")
    g = cuda.CUDAGraph()
    with cuda.graph(g):
        minigrad.ones(2, device="cuda")
    with pytest.raises(RuntimeError, match="already owns a captured graph"):
        with cuda.graph(g):
            pass
    g.reset()
    with pytest.raises(RuntimeError, match="without a preceding"):
        g.replay()


def test_a_graph_that_was_reset_is_used_again(gpu):
    x, g = minigrad.ones(3, device="cuda"), cuda.CUDAGraph(keep_graph=True)
    for factor in (2, 3):
        with cuda.graph(g):
            y = x * factor
        g.instantiate()
        g.replay()
        assert y.tolist() == [factor] * 3
        g.reset()


def test_a_recording_ends_on_its_own_stream(gpu):
    x, g = minigrad.ones(3, device="cuda"), cuda.CUDAGraph()
    with cuda.stream(cuda.Stream()):
        g.capture_begin()
        y = x + 1
        with cuda.stream(cuda.Stream()), pytest.raises(RuntimeError, match="must end on the same stream"):
            g.capture_end()
        g.capture_end()
    with cuda.stream(cuda.Stream()):
        g.replay()
        assert y.tolist() == [2.0] * 3


def test_a_recording_within_a_recording_is_an_error(gpu):
    step = Step("dropout", "SGD")
    with pytest.raises(RuntimeError, match="capturing"), cuda.graph(cuda.CUDAGraph()):
        captured(step)
    with pytest.raises(RuntimeError), cuda.graph(cuda.CUDAGraph()):
        cuda.CUDAGraph().capture_begin()
    assert not cuda.is_current_stream_capturing()
    g, loss = captured(step)
    g.replay()
    assert np.isfinite(loss.item())


def test_a_block_that_fails_leaves_all_as_it_was(gpu):
    before, g = cuda.current_stream(), cuda.CUDAGraph()
    with pytest.raises(ZeroDivisionError), cuda.graph(g):
        minigrad.rand(3, device="cuda") * (1 / 0)
    assert cuda.current_stream() == before
    assert minigrad.rand(3, device="cuda").sum().item() > 0
    g.reset()
    with cuda.graph(g):
        x = minigrad.ones(3, device="cuda") * 2
    g.replay()
    assert x.tolist() == [2.0] * 3


def test_the_memory_goes_with_the_graph(gpu):
    captured(Step("mlp", "SGD"))  # libraries keep what they need
    cuda.empty_cache()
    before = cuda.memory_reserved()
    with cuda.graph(g := cuda.CUDAGraph()):
        x = minigrad.ones(2**20, device="cuda")
        y = x.exp() + 1
    del x
    assert cuda.memory_reserved() >= before + 2**23
    g.replay()
    assert y[0].item() == pytest.approx(np.e + 1)
    del g, y
    cuda.empty_cache()
    assert cuda.memory_reserved() == before


def test_another_thread_computes_on_the_cpu_meanwhile(gpu):
    def work():
        assert not cuda.is_current_stream_capturing()
        model = mlp()
        optimizer = minigrad.optim.Adam(model.parameters())
        F.cross_entropy(model(minigrad.rand(4, 6)), minigrad.tensor([0, 1, 2, 0])).backward()
        optimizer.step()
        return model[0].weight.sum().item()

    step = Step("mlp", "SGD")
    captured(step)
    with ThreadPoolExecutor(1) as pool, cuda.graph(g := cuda.CUDAGraph()):
        loss = step()
        assert np.isfinite(pool.submit(work).result())
        assert cuda.is_current_stream_capturing()
    g.replay()
    assert np.isfinite(loss.item())


def test_gradients_are_those_of_the_last_replay(gpu):
    """Of parameters without gradients at the recording, and of parameters whose gradients it adds to."""
    x = minigrad.ones(3, device="cuda", requires_grad=True)
    y = minigrad.ones(3, device="cuda", requires_grad=True)
    factor = minigrad.ones((), device="cuda")
    y.grad = minigrad.ones(3, device="cuda")
    assert x.grad is None
    with cuda.graph(g := cuda.CUDAGraph()):
        loss = (x * x + y * y).sum() * factor
        loss.backward(retain_graph=True)
        loss.backward()
    factor.fill_(3.0)
    g.replay()
    assert (x.grad.tolist(), y.grad.tolist()) == ([12.0] * 3, [13.0] * 3)
    g.replay()
    assert (x.grad.tolist(), y.grad.tolist()) == ([12.0] * 3, [25.0] * 3)
    x.grad = y.grad = None
    (x.sum() + y.sum()).backward()  # without a graph: elsewhere
    g.replay()
    assert (x.grad.tolist(), y.grad.tolist()) == ([1.0] * 3, [1.0] * 3)


def test_graphs_share_a_pool(gpu):
    x = minigrad.zeros(3, device="cuda")
    first, second = cuda.CUDAGraph(), cuda.CUDAGraph()
    with cuda.graph(first):
        y = x * 2
    with cuda.graph(second, pool=first.pool()):
        z = y + 1
    assert second.pool() == first.pool() != cuda.graph_pool_handle()
    x.fill_(5)
    first.replay()
    second.replay()
    assert z.tolist() == [11.0] * 3


def test_a_recording_can_be_drawn(gpu, tmp_path):
    g = cuda.CUDAGraph()
    g.enable_debug_mode()
    with pytest.raises(RuntimeError, match="without a recording"):
        g.debug_dump(tmp_path / "graph.dot")
    with cuda.graph(g):
        minigrad.ones(2, device="cuda").exp()
    g.debug_dump(tmp_path / "graph.dot")
    assert "digraph" in (tmp_path / "graph.dot").read_text()


# -- parts of a network ------------------------------------------------------------------------------------------------


def test_graphed_modules_train_as_the_plain_ones(gpu):
    def trained(graphed):
        minigrad.manual_seed(0)
        first, last = mlp().cuda(), nn.Linear(3, 2).cuda()
        sample = minigrad.ones(4, 6, device="cuda")
        if graphed:
            middle = minigrad.ones(4, 3, device="cuda", requires_grad=True)
            first, last = cuda.make_graphed_callables((first, last), ((sample,), (middle,)))
        optimizer = minigrad.optim.SGD([*first.parameters(), *last.parameters()], lr=0.1)
        losses = []
        for number in range(4):
            x = minigrad.tensor(np.random.default_rng(number).standard_normal((4, 6)), dtype=minigrad.float32).cuda()
            optimizer.zero_grad()
            h = first(x)
            loss = last(h if number % 2 else h * 2).square().mean()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        first.eval()
        return [*losses, *first(x)[0].tolist(), *last.weight.grad.flatten().tolist()]

    np.testing.assert_allclose(trained(True), trained(False), rtol=1e-5, atol=1e-7)


def test_a_graphed_function_of_several_results(gpu):
    def several(x, y):
        return {"product": x * y, "more": [x.exp(), (x > 0)]}

    sample = [minigrad.rand(3, device="cuda", requires_grad=True) for _ in range(2)]
    graphed = cuda.make_graphed_callables(several, tuple(sample))
    x, y = (minigrad.tensor(v, device="cuda", requires_grad=True) for v in ([1.0, -2.0, 3.0], [4.0, 5.0, 6.0]))
    out = graphed(x, y)
    assert out["product"].tolist() == [4.0, -10.0, 18.0]
    assert out["more"][1].tolist() == [True, False, True]
    (out["product"].sum() + out["more"][0].sum()).backward()
    np.testing.assert_allclose(x.grad.tolist(), [4 + np.e, 5 + np.exp(-2), 6 + np.exp(3)], rtol=1e-6)
    assert y.grad.tolist() == [1.0, -2.0, 3.0]
    with pytest.raises(RuntimeError, match=r"argument 1 of shape \[3\].*got \[2\]"):
        graphed(x, y[:2])


def test_what_cannot_be_graphed(gpu):
    module, x = mlp().cuda(), minigrad.ones(1, 6, device="cuda")
    for wrong in (1, None):
        with pytest.raises(AssertionError, match="must contain only Tensors"):
            cuda.make_graphed_callables(module, (x, wrong))
    module.register_buffer("wrong", x.clone().requires_grad_())
    with pytest.raises(AssertionError, match="All buffers must have"):
        cuda.make_graphed_callables(module, (x,))
    module = mlp().cuda()
    module.register_forward_hook(lambda *_: None)
    with pytest.raises(AssertionError, match="must not have hooks"):
        cuda.make_graphed_callables(module, (x,))
    unused = minigrad.ones(2, device="cuda", requires_grad=True)
    with pytest.raises(RuntimeError, match="not have been used"):
        cuda.make_graphed_callables(lambda a, b: a * 2, (x.clone().requires_grad_(), unused))
    graphed = cuda.make_graphed_callables(
        lambda a, b: a * 2, (x.clone().requires_grad_(), unused), allow_unused_input=True
    )
    a, b = x.clone().requires_grad_(), unused.clone().detach().requires_grad_()
    graphed(a, b).sum().backward()
    assert a.grad.tolist() == [[2.0] * 6]


def test_what_a_graphed_callable_takes_and_gives(gpu):
    """Nested arguments, results that are no tensors, no keywords, no second derivatives."""
    graphed = cuda.make_graphed_callables(
        lambda pair, more: (pair[0] * pair[1] + more["c"], None, "text"),
        (ones := [minigrad.ones(2, device="cuda", requires_grad=True) for _ in range(2)], {"c": ones[0]}),
    )
    x, y = (minigrad.tensor(v, device="cuda", requires_grad=True) for v in ([1.0, 2.0], [3.0, 4.0]))
    out, nothing, text = graphed((x, y), {"c": x})
    assert (out.tolist(), nothing, text) == ([4.0, 10.0], None, "text")
    (g,) = minigrad.autograd.grad(out.sum() ** 2, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        g.sum().backward()
    with pytest.raises(TypeError, match="with 3 tensors, got 1"):
        graphed(x)
    with pytest.raises(TypeError, match="keyword"):
        graphed((x, y), more={"c": x})


def test_a_module_graphed_in_eval_mode(gpu):
    class Scaled(nn.Linear):
        def forward(self, x, scale=1):
            return F.dropout(super().forward(x), 0.5, self.training) * scale

    module, x = Scaled(3, 2).cuda().eval(), minigrad.ones(4, 3, device="cuda")
    expected = module(x).tolist()
    assert cuda.make_graphed_callables(module, (x,)) is module
    assert module(x).tolist() == expected
    module.train()
    assert np.all(module(x, scale=0).tolist() == np.zeros((4, 2)))  # not the graph: the modes differ
