"""Grad modes, and the hooks of tensors, each short program run on torch and on minigrad."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import minigrad
from minigrad.autograd.op import Op
from tests.lockstep import attempt, leaf, same

# -- modes (D.4) -------------------------------------------------------------------------------------------------------


def test_modes_as_contexts_and_decorators():
    def program(T):
        x = leaf(T, 1.0)
        seen = []

        def record():
            seen.append((x * 2).requires_grad)

        with T.no_grad():
            record()
            with T.enable_grad():
                record()
            seen.append(T.ones(1, requires_grad=True).requires_grad)
        for mode in (T.no_grad, T.no_grad(), T.inference_mode, T.inference_mode(), T.set_grad_enabled(False)):
            mode(record)()
            record()
        T.set_grad_enabled(False)
        record()
        T.set_grad_enabled(True)
        record()
        with T.set_grad_enabled(False):
            record()
        record()
        return seen

    same(program)


def test_a_decorated_generator_switches_only_while_it_runs():
    def program(T):
        @T.no_grad()
        def generator():
            while True:
                sent = yield T.is_grad_enabled()
                if sent == "stop":
                    return

        g = generator()
        return [next(g), T.is_grad_enabled(), g.send("on"), T.is_grad_enabled()]

    same(program)


def test_modes_belong_to_their_thread():
    seen = []
    with minigrad.no_grad():
        thread = threading.Thread(target=lambda: seen.append(minigrad.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_inference_tensors():
    def program(T):
        with T.inference_mode():
            x = T.ones(2) * 2
        w = leaf(T, 1.0, 2.0)
        return (
            x.is_inference(),
            x.requires_grad,
            attempt(lambda: w * x),
            attempt(lambda: x.add_(1)),
            attempt(lambda: x._version),
        )

    same(program)


# -- hooks -------------------------------------------------------------------------------------------------------------


def test_tensor_hooks_run_in_order_and_replace():
    def program(T):
        x, order = leaf(T, 1.0, 2.0), []
        y = x * 2
        first = y.register_hook(lambda g: (order.append("first"), g * 3)[1])
        y.register_hook(lambda g: order.append("second"))
        x.register_hook(lambda g: order.append("leaf"))
        x.register_post_accumulate_grad_hook(lambda t: order.append(f"after {t.grad.sum().item()}"))
        y.sum().backward(retain_graph=True)
        first.remove()
        y.sum().backward()
        return order, x.grad

    same(program)


def test_hooks_are_refused_where_they_make_no_sense():
    same(lambda T: leaf(T, 1.0, requires_grad=False).register_hook(print))
    same(lambda T: (leaf(T, 1.0) * 2).register_post_accumulate_grad_hook(print))

    def changes_size(T):
        y = leaf(T, 1.0) * 2
        y.register_hook(lambda g: T.ones(3))
        y.backward()

    same(changes_size)


def test_a_hook_on_a_leaf_sees_the_whole_gradient_once():
    def program(T):
        x, seen = leaf(T, 1.0), []
        x.register_hook(lambda g: seen.append(g.item()))
        (x * 2 + x * 3 + x).sum().backward()
        return seen

    same(program)


def test_graph_as_data():
    def program(T):
        x = leaf(T, 1.0)
        y = (x * x).exp()
        node = y.grad_fn
        inner = node.next_functions[0][0]
        return (
            node.name(),
            inner.name(),
            [n.name() for n, _ in inner.next_functions],
            inner.next_functions[0][0].variable is x,
        )

    same(program)


def test_deepcopy_and_pickle():
    import copy
    import pickle

    def program(T):
        x = leaf(T, 1.0, 2.0)
        (x * 2).sum().backward()
        y = copy.deepcopy(x)
        z = pickle.loads(pickle.dumps(x))
        return y, y.grad, z, z.requires_grad, attempt(lambda: copy.deepcopy(x * 2))

    same(program)


def test_numpy_on_the_left_keeps_the_history():
    x = minigrad.ones(2, requires_grad=True)
    y = np.array([1.0, 2.0], dtype=np.float32) * x
    assert isinstance(y, minigrad.Tensor)
    assert y.requires_grad


@pytest.mark.parametrize(
    "arguments",
    [
        "y, x, T.eye(3)",
        "y, x, None",
        "y, x, T.ones(2, 2)",
        "y, x, T.ones(3)",
        "[y, y], [x], [T.eye(3), T.ones(2, 3)]",
        "[y, y], [x], [T.eye(3), T.ones(3, 3)]",
        "[y], [x, w], [T.eye(3)]",
        "[y], [x, w], [T.eye(3)], allow_unused=True",
        "[y], [x, w], [T.eye(3)], materialize_grads=True",
        "y, x, T.eye(3), create_graph=True",
    ],
)
def test_gradients_of_rows(arguments):
    def program(T):
        x, w = T.arange(3.0).requires_grad_(), T.ones(2, requires_grad=True)
        y = x * x * 2
        scope = {"T": T, "x": x, "y": y, "w": w}
        first = attempt(lambda: eval(f"T.autograd.grad({arguments}, is_grads_batched=True)", scope))
        return first, attempt(lambda: y.sum().backward()), x.grad

    same(program)


def test_operands_must_not_bear_names_that_the_recorder_uses():
    def clashing(input, result):
        return input * result

    op = Op(clashing)
    with pytest.raises(TypeError, match="an operand cannot be named `result`"):
        op.derivative(input=lambda g, result: g * result)


def test_the_slope_of_relu_can_be_differentiated_though_it_is_flat():
    def program(T):
        x = T.tensor([-1.0, 0.0, 2.0], requires_grad=True)
        (g,) = T.autograd.grad(x.relu().sum(), x, create_graph=True)
        return g, T.autograd.grad(g.sum(), x)

    same(program)
