"""Anomaly detection, and the line that changed what backward needed (D.7)."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import minigrad
from tests.lockstep import attempt, same


def warned(action: Any) -> tuple[Any, list[str]]:
    """What an action gives, and what it warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = attempt(action)
    return result, [str(w.message) for w in caught if w.category is UserWarning]


def test_the_nan_and_the_node_are_named():
    def program(T):
        x = T.tensor([4.0, 0.0, 1.0], requires_grad=True)
        with T.autograd.detect_anomaly():
            y = (x.sqrt() * T.tensor([1.0, 0.0, 1.0])).sum()
            return attempt(lambda: y.backward())

    assert "SqrtBackward0" in same(program).text


def test_the_line_that_called_the_failing_operation_is_told():
    x = minigrad.tensor([4.0, 0.0, 1.0], requires_grad=True)
    with minigrad.autograd.set_detect_anomaly(True):
        root = x.sqrt()  # the culprit
        error, told = warned((root * minigrad.tensor([1.0, 0.0, 1.0])).sum().backward)
    assert "1 of 3 elements are nan, the first at (1,)" in error.text
    assert "was finite: the nan arose here (out = 0 there)" in error.text
    assert "Error detected in SqrtBackward0" in told[0]
    assert "root = x.sqrt()  # the culprit" in told[0]


def test_a_nan_that_came_in_is_said_to_have_come_in():
    x = minigrad.tensor([1.0, 2.0], requires_grad=True)
    with minigrad.autograd.set_detect_anomaly(True):
        error, _ = warned(lambda: (x * 2).backward(minigrad.tensor([1.0, float("nan")])))
    assert "was not finite already" in error.text


def test_a_calculation_in_a_backward_is_traced_to_what_induced_it():
    x = minigrad.tensor([0.0, 1.0], requires_grad=True)
    with minigrad.autograd.set_detect_anomaly(True):
        y = x.sqrt() * 0  # first
        with minigrad.autograd.set_detect_anomaly(True, check_nan=False):
            (g,) = minigrad.autograd.grad(y.sum(), x, create_graph=True)
        error, told = warned(g.sum().backward)
    assert "returned nan values" in error.text
    assert any("Previous calculation was induced by SqrtBackward0" in text for text in told)
    assert sum("y = x.sqrt() * 0  # first" in text for text in told) >= 1


def test_nodes_recorded_before_have_no_line():
    x = minigrad.tensor([0.0], requires_grad=True)
    y = x.sqrt() * 0
    with minigrad.autograd.set_detect_anomaly(True):
        error, told = warned(y.backward)
    assert "SqrtBackward0" in error.text
    assert "No forward pass information available" in told[0]


def test_switching():
    def program(T):
        states = [T.is_anomaly_enabled(), T.is_anomaly_check_nan_enabled()]
        with T.autograd.detect_anomaly(check_nan=False):
            states += [T.is_anomaly_enabled(), T.is_anomaly_check_nan_enabled()]
            with T.autograd.set_detect_anomaly(False):
                states += [T.is_anomaly_enabled(), T.is_anomaly_check_nan_enabled()]
            states += [T.is_anomaly_enabled(), T.is_anomaly_check_nan_enabled()]
        T.autograd.set_detect_anomaly(True)
        states.append(T.is_anomaly_enabled())
        T.autograd.set_detect_anomaly(False)
        return [*states, T.is_anomaly_enabled()]

    same(program)


def test_it_goes_with_hooks_on_saved_tensors():
    x = minigrad.tensor([0.0], requires_grad=True)
    with minigrad.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), minigrad.tensor):
        with minigrad.autograd.set_detect_anomaly(True):
            y = x.sqrt() * 0
            error, told = warned(y.backward)
    assert "SqrtBackward0" in error.text
    assert "y = x.sqrt() * 0" in told[0]
    y = x.exp()
    y.backward()
    assert x.grad.tolist() == [1]


@pytest.mark.parametrize("saved_by", ["operation", "Function"])
def test_the_line_that_changed_a_saved_tensor_is_named(saved_by):
    class Double(minigrad.autograd.Function):
        @staticmethod
        def forward(ctx, y):
            ctx.save_for_backward(y)
            return y * 2

        @staticmethod
        def backward(ctx, g):
            return g * ctx.saved_tensors[0]

    x = minigrad.ones(2, requires_grad=True)
    y = x * 1
    z = y * y if saved_by == "operation" else Double.apply(y)
    y.mul_(3)  # the mistake
    with pytest.raises(RuntimeError, match="modified by an inplace operation") as caught:
        z.sum().backward()
    assert "y.mul_(3)  # the mistake" in str(caught.value)
    assert "test_anomaly.py" in str(caught.value)


def test_an_optimizer_that_changed_a_saved_parameter_is_named():
    w = minigrad.ones(2, requires_grad=True)
    optimizer = minigrad.optim.SGD([w], lr=0.1)
    loss = (w * w).sum()
    loss.backward(retain_graph=True)
    optimizer.step()  # too early
    with pytest.raises(RuntimeError, match=r"optimizer.step\(\)  # too early"):
        loss.backward()
