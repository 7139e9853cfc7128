"""What one comparison is run on: drawn arguments, made into tensors of either engine, and written as code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from minigrad.backend import np
from minigrad.testing.engines import Engine, array_of, is_tensor, with_gaps
from minigrad.testing.strategies import Strategy, composite, hypothesis, tensors

LAYOUTS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "contiguous": lambda a: a,
    "transposed": lambda a: np.asfortranarray(a) if a.ndim else a,
    "with gaps": with_gaps,
}


class Argument(NamedTuple):
    """An array that becomes a tensor of either engine."""

    array: np.ndarray
    requires_grad: bool


class Sample(NamedTuple):
    """Arguments of one call, float64 ones in `dtype`, their strides, and a seed for gradients and random layers."""

    args: tuple[Any, ...]  # `Argument`s, and values that both engines get as they are
    dtype: np.dtype
    layout: str
    seed: int

    def arguments(self, engine: Engine) -> list[Any]:
        """The arguments on an engine."""
        laid_out = LAYOUTS[self.layout]
        return [engine.leaf(laid_out(a.array), a.requires_grad) if isinstance(a, Argument) else a for a in self.args]

    def code(self) -> list[str]:
        """Lines that make the arguments, as x0, x1, ..., on an engine named T."""
        return [f"x{i} = {self._argument_code(a)}" for i, a in enumerate(self.args)]

    def names(self) -> list[str]:
        """x0, x1, ..."""
        return [f"x{i}" for i in range(len(self.args))]

    def _argument_code(self, value: Any) -> str:
        if not isinstance(value, Argument):
            return repr(value)
        array, ndim = value.array, value.array.ndim
        text = tensor_code(array)
        if self.layout == "transposed" and ndim > 1:
            text = f"{tensor_code(array.T)}.permute{tuple(reversed(range(ndim)))}"
        elif self.layout == "with gaps" and ndim:
            text = f"T.stack([{text}] * 2, -1)[..., 0]"
        return f"{text}.requires_grad_()" if value.requires_grad else text


def samples(inputs: Any) -> Strategy:
    """`Sample`s of what `inputs` says: a strategy of argument lists, or a shape, a strategy or a value for each."""
    st = hypothesis().strategies

    def strategy(described: Any) -> Strategy:
        if isinstance(described, st.SearchStrategy):
            return described
        is_shape = isinstance(described, tuple) and all(isinstance(n, int) for n in described)
        return tensors(described) if is_shape else st.just(described)

    drawn = inputs if isinstance(inputs, st.SearchStrategy) else st.tuples(*[strategy(i) for i in inputs])

    def draw_one(draw: Callable[[Strategy], Any]) -> Sample:
        args = draw(drawn)
        dtype = np.dtype(draw(st.sampled_from(["float64", "float32"])))
        layout = draw(st.sampled_from(list(LAYOUTS)))
        values = args if isinstance(args, (tuple, list)) else [args]
        return Sample(tuple(_argument(a, dtype) for a in values), dtype, layout, draw(st.integers(0, 2**16)))

    return composite(draw_one)


def _argument(value: Any, dtype: np.dtype) -> Any:
    """Tensors and arrays as `Argument`s, in `dtype` if they are float64 or float32; other values unchanged."""
    if is_tensor(value):
        array, wants = array_of(value), value.requires_grad
    elif isinstance(value, np.ndarray):
        array, wants = value, value.dtype.kind == "f"
    else:
        return value
    return Argument(array.astype(dtype) if array.dtype in (np.float64, np.float32) else array, wants)


def weights(rng: np.random.Generator, shape: Iterable[int], dtype: Any) -> np.ndarray:
    """Random numbers of two digits, such as an incoming gradient is made of."""
    return np.asarray(np.round(rng.uniform(-2, 2, tuple(shape)), 1), dtype)


# -- arrays as code ----------------------------------------------------------------------------------------------------


def tensor_code(array: np.ndarray, ending: str = "") -> str:
    """`T.tensor([1.0, 2.0], dtype=T.float64)`, of an array."""
    kind = array.dtype.name
    if array.size == 0:
        return f"T.zeros({array.shape}, dtype=T.{kind}{ending})"
    return f"T.tensor({_nested(array)}, dtype=T.{kind}{ending})"


def _nested(array: np.ndarray) -> str:
    if array.ndim:
        return f"[{', '.join(_nested(part) for part in array)}]"
    value = array[()]
    return str(value) if np.isfinite(value) else f'float("{value}")'
