"""`gradcheck` and `gradgradcheck`: hold gradients to finite differences, and say what is wrong with those that differ.

Both take functions of minigrad's tensors and of torch's; the interface, the order of the checks and the first lines of
the errors are torch's. What follows those lines comes from `diagnosis.py` and `evidence.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from minigrad.autograd.diagnosis import likely_cause
from minigrad.autograd.evidence import Evidence, report
from minigrad.autograd.numerical import (
    along,
    as_tuple,
    direction,
    drawn_like,
    engine_of,
    jacobian,
    needing_grad,
    numbers,
)


class GradcheckError(RuntimeError):
    """The gradients that `gradcheck` or `gradgradcheck` looked at are wrong."""


@dataclass(frozen=True)
class _Settings:
    """The options of a check; `grads_from` as in `Evidence`."""

    eps: float
    atol: float
    rtol: float
    nondet_tol: float
    check_undefined_grad: bool
    fast_mode: bool
    masked: bool | None
    grads_from: int | None = None


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """True if backward through `func(*inputs)` agrees with central differences for all `inputs` that require grad.

        x = minigrad.randn(3, dtype=minigrad.float64, requires_grad=True)
        gradcheck(minigrad.sin, (x,))

    Every entry must hold |analytical - numerical| <= atol + rtol * |numerical|; that needs float64. `fast_mode`
    compares along one random direction instead: a few calls at any size. Also checked: that backward gives the same
    twice (within `nondet_tol`), is zero for a zero gradient, and copes with none. Otherwise raises GradcheckError with
    the likely cause (or returns False, with `raise_exception=False`). The inputs are moved in place and put back, so a
    module's parameters can be checked too:

        gradcheck(lambda *parameters: module(x), tuple(module.parameters()))

    minigrad has neither forward-mode derivatives nor vmap: asking to check those is a NotImplementedError.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    _refuse(check_forward_ad=check_forward_ad, check_batched_grad=check_batched_grad)
    settings = _Settings(eps, atol, rtol, nondet_tol, check_undefined_grad, fast_mode, masked)
    return _verdict(func, as_tuple(inputs), settings, raise_exception)


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """`gradcheck` of the gradient of `func`: True if differentiating backward agrees with its central differences.

        x = minigrad.randn(3, dtype=minigrad.float64, requires_grad=True)
        gradgradcheck(minigrad.tanh, (x,))

    The gradient is a function of `inputs` and of `grad_outputs`, which are drawn from [-1, 1) where not given
    (`gen_non_contig_grad_outputs`: with gaps between their elements). The other options are those of `gradcheck`.
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError("Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True")
    if check_undefined_grad and not check_rev_over_rev:
        raise AssertionError("Setting check_undefined_grad=True requires check_rev_over_rev to be True")
    if check_batched_grad and not check_rev_over_rev:
        raise AssertionError("Setting check_batched_grad=True requires check_rev_over_rev to be True")
    _refuse(check_fwd_over_rev=check_fwd_over_rev, check_batched_grad=check_batched_grad)
    arguments = as_tuple(inputs)
    engine = engine_of(arguments)
    if grad_outputs is None:
        outputs = _differentiable(func(*arguments))
        seeds = tuple(drawn_like(o, gen_non_contig_grad_outputs) for o in outputs)
    else:
        seeds = as_tuple(grad_outputs)

    def gradient(*values: Any) -> tuple[Any, ...]:
        if not seeds:
            raise ValueError("gradgradcheck expects func to have an output that requires grad: it has no gradient")
        args, grads = values[: len(arguments)], values[len(arguments) :]
        targets = [args[i] for i in needing_grad(args)]
        found = engine.grad(_differentiable(func(*args)), targets, grads, create_graph=True, allow_unused=True)
        return tuple(g for g in found if g is not None)

    grads_from = len(needing_grad(arguments))
    settings = _Settings(eps, atol, rtol, nondet_tol, check_undefined_grad, fast_mode, masked, grads_from)
    return _verdict(gradient, arguments + seeds, settings, raise_exception)


def _refuse(**asked: bool) -> None:
    for option, value in asked.items():
        if value:
            what = "vmap" if "batched" in option else "forward-mode derivatives"
            raise NotImplementedError(f"{option}=True is not available: minigrad has no {what}; leave it False")


def _differentiable(returned: Any) -> tuple[Any, ...]:
    return tuple(o for o in as_tuple(returned) if o.requires_grad)


def _verdict(func: Callable, inputs: tuple[Any, ...], settings: _Settings, raise_exception: bool) -> bool:
    try:
        _Check(func, inputs, settings).run()
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


class _Check:
    """One check of one function at one point.

    func, inputs      what is checked, and where
    places, leaves    the inputs that require grad, and where they stand among all; "input j" is leaves[j]
    sizes             how many elements each floating point output has
    columns, outputs  the outputs that require grad, and where they stand among the former; "output i" is outputs[i]
    """

    def __init__(self, func: Callable, inputs: tuple[Any, ...], settings: _Settings) -> None:
        self.func, self.inputs, self.settings = func, inputs, settings
        self.engine = engine_of(inputs)
        self.places = needing_grad(inputs)
        self.leaves = [inputs[i] for i in self.places]

    def run(self) -> None:
        self.check_inputs()
        returned = as_tuple(self.func(*self.inputs))
        floating = [o for o in returned if o.requires_grad or o.is_floating_point()]
        self.sizes = [o.numel() for o in floating]
        self.columns = [i for i, o in enumerate(floating) if o.requires_grad]
        self.outputs = [floating[i] for i in self.columns]
        if any(t.is_complex() for t in [*self.leaves, *floating]):
            raise NotImplementedError("gradcheck of complex functions is not available: check real and imaginary parts")
        if not self.outputs:
            self.check_flat()
        elif self.settings.fast_mode:
            self.check_along_directions()
        else:
            self.check_jacobians()
        self.check_zero_gradients()
        if self.settings.check_undefined_grad:
            self.check_undefined_gradients()

    # -- before --------------------------------------------------------------------------------------------------------

    def check_inputs(self) -> None:
        for place, x in zip(self.places, self.leaves, strict=True):
            if str(x.dtype) not in ("torch.float64", "torch.complex128"):
                warnings.warn(
                    f"Input #{place} requires gradient and is not a double precision floating point or complex. This "
                    f"check will likely fail if all the inputs are not of double precision floating point or complex. ",
                    stacklevel=5,
                )
            if any(stride == 0 and size > 1 for stride, size in zip(x.stride(), x.shape, strict=True)):
                raise RuntimeError(
                    f"The {place}th input has a dimension with stride 0. gradcheck only supports inputs that are "
                    f"non-overlapping to be able to compute the numerical gradients correctly. You should call "
                    f".contiguous on the input before passing it to gradcheck."
                )
        if not self.leaves:
            raise ValueError(
                "gradcheck expects at least one input tensor to require gradient, but none of them have "
                "requires_grad=True."
            )

    # -- the two sides of the comparison -------------------------------------------------------------------------------

    def numerical(self) -> list[list[np.ndarray]]:
        """The Jacobian of every output by every input, by differences: [output][input]."""
        by_input = [jacobian(self.func, self.inputs, place, self.sizes, self.settings.eps) for place in self.places]
        return [[rows[column] for rows in by_input] for column in self.columns]

    def backward(self, output: Any, seed: Any) -> list[Any]:
        """The gradients of (output * seed).sum() by all inputs; None where nothing arrives."""
        gradients = self.engine.grad(output, self.leaves, seed, retain_graph=True, allow_unused=True)
        return [None if g is None else g.clone() for g in gradients]

    def pulled(self, output: Any, seeds: Sequence[Any]) -> list[np.ndarray]:
        """What backward makes of each of `seeds`, one a column, for every input; done twice to see that it repeats.

        Their shapes and dtypes are right (`check_grad_dtypes` or not): both engines refuse, or cast, others.
        """
        seeds = [output.detach().new_tensor(seed) for seed in seeds]
        once, again = ([self.backward(output, seed) for seed in seeds] for _ in range(2))
        results = []
        for j in range(len(self.leaves)):
            results.append(self.columns_of(once, j))
            apart = np.abs(results[j] - self.columns_of(again, j)).max(initial=0)
            if apart > self.settings.nondet_tol:
                raise GradcheckError(
                    f"Backward is not reentrant, i.e., running backward with same input and grad_output multiple times "
                    f"gives different values, although analytical gradient matches numerical gradient."
                    f"The tolerance for nondeterminism was {self.settings.nondet_tol}.\n\nTwo gradients of input {j} "
                    f"differ by up to {apart:.3g}. Does backward draw random numbers, or change what it keeps from "
                    f"forward? A sum whose order varies is excused by nondet_tol={2 * apart:.0e}."
                )
        return results

    def columns_of(self, rows: list[list[Any]], j: int) -> np.ndarray:
        """The gradients of input j in `rows`, each a column; nothing counts as zeros."""
        none = np.zeros(self.leaves[j].numel())
        found = [none if row[j] is None else numbers(row[j]).ravel() for row in rows]
        return np.stack(found, axis=1) if found else np.zeros((none.size, 0))

    def analytical(self, output: Any) -> list[np.ndarray]:
        """The Jacobian of `output` by every input, by backward: one call for every element of the output."""
        shape = (output.numel(), *output.shape)
        return self.pulled(output, list(np.eye(output.numel()).reshape(shape)))

    # -- the comparisons -----------------------------------------------------------------------------------------------

    def check_jacobians(self) -> None:
        numerical = self.numerical()
        for i, output in enumerate(self.outputs):
            analytical = self.analytical(output)
            for j, (a, n) in enumerate(zip(analytical, numerical[i], strict=True)):
                if not np.allclose(a, n, self.settings.rtol, self.settings.atol):
                    self.fail(i, j, analytical, numerical)

    def check_along_directions(self) -> None:
        """v' J u both ways, for random directions u of an input and v of an output.

        u and v have both signs: mistakes that cancel in a sum, as a transposed Jacobian's do, cannot hide from them.
        """
        rng = np.random.default_rng(0)
        us, vs = ([direction(rng, t.shape) for t in tensors] for tensors in (self.leaves, self.outputs))
        eps = self.settings.eps
        moved = [along(self.func, self.inputs, p, u, eps) for p, u in zip(self.places, us, strict=True)]
        pulled = [self.pulled(output, [v]) for output, v in zip(self.outputs, vs, strict=True)]
        for j, u in enumerate(us):
            for i, v in enumerate(vs):
                n = float(v.ravel() @ moved[j][self.columns[i]])
                a = float(pulled[i][j][:, 0] @ u.ravel())
                atol = self.settings.atol * np.abs(u).sum() * np.abs(v).sum()  # bounds v' E u if |E| <= atol
                if not np.isclose(a, n, self.settings.rtol, atol):
                    self.fail(i, j, self.analytical(self.outputs[i]), self.numerical(), (n, a))

    def fail(
        self,
        i: int,
        j: int,
        analytical: list[np.ndarray],
        numerical: list[list[np.ndarray]],
        fast: tuple[float, float] | None = None,
    ) -> NoReturn:
        s = self.settings
        evidence = Evidence(
            self.func, self.inputs, self.places, self.columns, self.outputs, i, j, analytical, numerical,
            s.eps, s.atol, s.rtol, s.grads_from,
        )  # fmt: skip
        cause = likely_cause(evidence) if evidence.wrong.any() else None
        raise GradcheckError(report(evidence, cause, fast))

    def check_flat(self) -> None:
        """No output requires grad, so none may depend on the inputs."""
        for j, place in enumerate(self.places):
            if self.settings.fast_mode:
                u = direction(np.random.default_rng(0), self.leaves[j].shape)
                slopes = along(self.func, self.inputs, place, u, self.settings.eps)
                allowed = self.settings.nondet_tol
            else:
                slopes, allowed = jacobian(self.func, self.inputs, place, self.sizes, self.settings.eps), 0.0
            for i, slope in enumerate(slopes):
                if (steepest := np.abs(slope).max(initial=0)) > allowed:
                    raise GradcheckError(
                        f"Numerical gradient for function expected to be zero\nNo output requires grad, but output {i} "
                        f"changes with input {j}, by up to {steepest:.3g} for 1. Was the way from one to the other "
                        f"left, by detach(), .data, no_grad() or NumPy? If that is meant, there is nothing to check."
                    )

    # -- other things that backward must do ----------------------------------------------------------------------------

    def check_zero_gradients(self) -> None:
        zeros = [o.detach().new_zeros(o.shape) for o in self.outputs]
        gradients = self.engine.grad(self.outputs, self.leaves, zeros, allow_unused=True)
        for j, g in enumerate(gradients):
            if g is None:
                continue
            values = numbers(g)
            zero = np.allclose(values, 0) if self.settings.masked else not values.any()
            if not zero:
                raise GradcheckError(
                    f"backward not multiplied by grad_output\nFor grad_output = 0 the gradient of input {j} is up to "
                    f"{np.abs(values).max():.3g}: every term of it must be a product with grad_output (0 * inf is nan)."
                )

    def check_undefined_gradients(self) -> None:
        """Backward copes with outputs to which no gradient comes: first with all of them, then with each alone."""
        count = len(self.outputs)
        for undefined in [set(range(count)), *({i} for i in range(count) if count > 1)]:
            outputs = [
                self.engine.without_gradient(o) if i in undefined else o
                for i, o in enumerate(_differentiable(self.func(*self.inputs)))
            ]
            zeros = [o.detach().new_zeros(o.shape) for o in outputs]
            which = f"No gradient came to output {', '.join(map(str, sorted(undefined)))}"
            which += ", and zeros to the others" if len(undefined) < count else ""
            try:
                gradients = self.engine.grad(outputs, self.leaves, zeros, allow_unused=True)
            except RuntimeError as error:
                _warn_of_undefined()
                raise GradcheckError(
                    f"Expected backward function to handle undefined output grads. Please look at "
                    f'"Notes about undefined output gradients" in "tools/autograd/derivatives.yaml"\n{which}, and '
                    f"backward raised {type(error).__name__}: {error}. After ctx.set_materialize_grads(False) it gets "
                    f"None there."
                ) from error
            for j, g in enumerate(gradients):
                if g is not None and numbers(g).any():
                    _warn_of_undefined()
                    raise GradcheckError(
                        f"Expected all input grads to be undefined or zero when all output grads are undefined or "
                        f'zero. Please look at "Notes about undefined output gradients" in '
                        f'"tools/autograd/derivatives.yaml"\n{which}, but input {j} got a '
                        f"gradient of up to {np.abs(numbers(g)).max():.3g}."
                    )


def _warn_of_undefined() -> None:
    warnings.warn(
        "Backwards compatibility: New undefined gradient support checking feature is enabled by default, but it may "
        "break existing callers of this function. If this is true for you, you can call this function with "
        '"check_undefined_grad=False" to disable the feature',
        stacklevel=6,
    )
