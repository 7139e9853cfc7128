"""A training step on tensors that stay where they are, recorded as a CUDA graph and compared with itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import minigrad
from minigrad import cuda


class Program:
    """A step, the tensors that it reads, those that it changes, and what is done between two steps without a graph."""

    def __init__(
        self,
        step: Callable[[], Any],
        inputs: Sequence[Any],
        state: Callable[[], Sequence[Any]],
        between: Callable[[], Any] = lambda: None,
    ) -> None:
        self.step, self.inputs, self.state, self.between = step, inputs, state, between
        self.batches = [x.cpu().numpy() for x in inputs]

    def load(self, number: int) -> None:
        """Batch `number`: the values of the inputs in another order."""
        rng = np.random.default_rng(number)
        for x, values in zip(self.inputs, self.batches, strict=True):
            x.copy_(minigrad.from_numpy(rng.permuted(values.reshape(-1)).reshape(values.shape)))

    def results(self, numbers: Sequence[int], step: Callable[[], Any] | None = None) -> list[float]:
        """The losses of some batches, by `step` or by one that is not recorded."""
        losses = []
        for number in numbers:
            self.load(number)
            losses.append((step or self.step)().item())
            self.between()
        return losses

    def captured(self) -> Callable[[], Any]:
        """Two steps with batch 0 on a side stream, and then what replays the step and gives its loss."""
        with cuda.stream(cuda.Stream()):
            self.results((0, 0))
        cuda.synchronize()
        g = cuda.CUDAGraph()
        with cuda.graph(g):
            loss = self.step()

        def replay() -> Any:
            g.replay()
            return loss

        return replay

    def numbers(self) -> list[np.ndarray]:
        """What the steps have changed."""
        return [t.detach().cpu().numpy() for t in self.state()]


def assert_replays_are_the_steps(make: Callable[[], Program], rtol: float = 1e-5) -> None:
    """Losses of four batches and all that was trained, by replays and by steps without a graph."""
    batches, found = (1, 2, 3, 4), []
    for graphed in (False, True):
        minigrad.manual_seed(0)
        program = make()
        minigrad.manual_seed(1)
        if graphed:
            replay = program.captured()
        else:
            program.results((0, 0))
            replay = program.step
        found.append((program.results(batches, replay), program.numbers(), minigrad.rand(1, device="cuda").item()))
    (losses, state, drawn), (replayed, state_of_replays, drawn_after_replays) = found
    assert len(set(losses)) == len(batches)
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(replayed, losses, rtol=rtol)
    for a, b in zip(state_of_replays, state, strict=True):
        np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * np.abs(b).max(initial=0.1))
    assert drawn == drawn_after_replays


def trained(model: Any, optimizer: Any, loss: Callable[[], Any], inputs: Sequence[Any], **options: Any) -> Program:
    """The usual step. Options: `set_to_none` of zero_grad, `clip`, and `between` two steps."""
    set_to_none, clip = options.pop("set_to_none", True), options.pop("clip", lambda: None)

    def step() -> Any:
        optimizer.zero_grad(set_to_none)
        value = loss()
        value.backward()
        clip()
        optimizer.step()
        return value

    return Program(step, inputs, lambda: list(model.state_dict().values()), **options)
