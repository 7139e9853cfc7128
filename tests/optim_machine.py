"""Runs a program of optimizers and schedulers, line by line, on torch and on minigrad, and says where they come apart.

A program is a list of lines of Python in which `T` is the library and `S` its `optim.lr_scheduler`: `o0.step()`,
`s0.step()`, `o1.load_state_dict(d0)`. After every line are compared what it raised and warned of, and all that can be
seen of every parameter, optimizer, scheduler and state dict that has a name: dtypes, values, keys, and which tensor is
the very one seen elsewhere. Then torch's values are copied over minigrad's: roundings do not add up, and a tolerance
is that of one line. `tests/optim_machine_programs.py` writes such programs at random.
"""

from __future__ import annotations

import copy
import functools
import io
import pickle
import re
import types
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch

import minigrad
from tests import shrink
from tests.lockstep import Raised, attempt

# What is known to differ, as patterns of a mismatch's text: a program that meets one of these ends there.
NOT_YET: dict[str, str] = {
    r"gradient layout contract": "torch warns of strides that cost it time",
    r": d\d+\S*\.keys.*minigrad:.*_scale_fn_custom": "torch takes it out of what is loaded, for good",
    r"(load|pickled|copy).*torch:    KeyError.*minigrad: None": "another optimizer's state: the next step refuses it",
    r"TypeError: cannot unpack.*minigrad: KeyError": "another optimizer's options: which is asked first",
    r"torch:    KeyError: 'step'\n    minigrad: \w+Error": "the same: which of two errors comes first",
    r"minigrad: KeyError: 'momentum_buffer'": "Muon with other entries in its state only",
    r"expected dtype \w+ for `end`": "a parameter's dtype changed beside its state: only torch's lerp asks",
    r"minigrad: ValueError: (non-broadcastable|could not)": "state of another shape that broadcasts: NumPy's words",
    r"If capturable=True": "which devices there are",
    r"\['t'\]\n +torch: +Tensor": "LBFGS with a tensor for lr: what the first step's length is kept as",
    r"state\S*\['(prev_flat_grad|H_diag|old_dirs|old_stps|ro|al|d)'\]\S* ?\n": "LBFGS: roundings at a minimum",
    r"torch:    PicklingError.*minigrad: PicklingError": "which of two classes cannot be found first",
    r"torch:    AttributeError: 'float' object": "state of numbers instead of tensors: both refuse",
    r"torch:    RuntimeError: view size is not compatible": "torch's LBFGS wants row-major gradients",
    r"The size of tensor a.*The size of tensor a": "which of two shapes is named first",
    r"'LBFGS' object has no attribute '_params'": "torch's LBFGS does not survive being pickled",
    r"torch:    TypeError: expected Tensor as element": "fused=True wants the state of all parameters or of none",
    r"load.*torch:    IndexError: too many indices.*minigrad: None": "a state that is a tensor, asked for its 'step'",
    r"torch:    KeyError: 'maximize'.*minigrad: None": "Adafactor's saved groups without it: no maximum is meant",
    r"lr as a Tensor is not supported": "foreach is no other implementation here",
}

# One line's rounding, beside the largest element of the tensor or 1: torch fuses products and sums, NumPy does not.
RTOL = {"float64": 1e-12, "float32": 1.3e-6}
RTOL_OF_LBFGS = {"float64": 1e-3, "float32": 1e-2}  # whose one step are many, each told by differences of the last
RTOL_OF_SINGLES = {"float64": 1e-6, "float32": 1e-5}  # rates that are tensors, and state that is float32

SINGLE = r"(lr|betas|weight_decay)\W.*T\.tensor|data\.double"

KINDS = (UserWarning, DeprecationWarning, FutureWarning)  # others are NumPy's, of arithmetic; minigrad silences them

HELPERS = {
    "fill": """\
def fill(o, k):  # gradients, other ones for each k
    values = [0.53, -1.07, 0.29, 2.11, -0.13, 0.0, 1.57, -0.71, 3.1, -2.3, 0.01]
    for i, p in enumerate(p for group in o.param_groups for p in group["params"]):
        flat = np.resize(np.roll(values, k + 3 * i), tuple(p.shape))
        p.grad = T.from_numpy(flat.astype(str(p.dtype)[6:]))
""",
    "closure": """\
def closure(o):
    def loss():
        o.zero_grad()
        params = [p for group in o.param_groups for p in group["params"]]
        value = sum((p * p).sum() + (3 * p).sin().sum() for p in params)
        value.backward()
        log.append(T.is_grad_enabled())
        return value.float()
    return loss
""",
    "through_bytes": """\
def through_bytes(x):
    file = io.BytesIO()
    T.save(x, file)
    file.seek(0)
    return T.load(file)
""",
    "pickled": """\
def pickled(x):
    return pickle.loads(pickle.dumps(x))
""",
    "Halving": """\
class Halving(S.LRScheduler):
    def get_lr(self):
        return [base / 2**self.last_epoch for base in self.base_lrs]
""",
    "Warmup": """\
class Warmup(S.LambdaLR):
    def __init__(self, optimizer, steps):
        self.steps = steps
        super().__init__(optimizer, self.factor)

    def factor(self, epoch):
        return min(1.0, (epoch + 1) / self.steps)
""",
    "Signed": """\
class Signed(T.optim.Optimizer):
    def __init__(self, params, lr=0.1):
        super().__init__(params, {"lr": lr, "maximize": False})

    @T.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.state[p].setdefault("count", T.zeros(())).add_(1)
                    p.add_(p.grad.sign(), alpha=-float(group["lr"]))
""",
}


class Mismatch(AssertionError):
    """The first difference: the line after which it was seen, where, and both sides of it."""

    def __init__(self, line: str, where: str, of_torch: Any, of_minigrad: Any) -> None:
        self.kind = re.sub(r"\w*\d+|'[a-z_]+'", "", where)  # the same for o0.state[p0] and o1.state[p2]
        self.text = f"after `{line}`: {where}\n    torch:    {of_torch}\n    minigrad: {of_minigrad}"
        super().__init__(self.text)


class Run:
    """A program on one library, and the names it has given so far."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.names: dict[str, Any] = {
            "T": module, "S": module.optim.lr_scheduler, "np": np, "io": io, "copy": copy, "pickle": pickle, "log": []
        }  # fmt: skip
        for source in HELPERS.values():
            exec(compiled(source), self.names)

    def step(self, line: str) -> dict[str, Any]:
        """Run one line; returns what it raised and warned of."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            raised = attempt(lambda: exec(compiled(line), self.names))
        return {
            "error": raised,
            "warnings": [f"{w.category.__name__}: {w.message}".split("\n")[0] for w in caught if w.category in KINDS],
        }

    def named(self, letter: str = "") -> dict[str, Any]:
        """What the program has named, in the order of naming; or only p0, p1, ... of one letter."""
        pattern = f"{letter}[0-9]+" if letter else "[pods][0-9]+|log"
        return {n: v for n, v in self.names.items() if re.fullmatch(pattern, n)}


@functools.lru_cache(maxsize=4096)
def compiled(text: str) -> Any:
    return compile(text, "<program>", "exec")


class View:
    """All that can be seen of what has a name: facts by the path that leads there, and tensors likewise."""

    def __init__(self, run: Run) -> None:
        self.T, self.S = run.module, run.names["S"]
        self.facts: dict[str, Any] = {}
        self.tensors: dict[str, Any] = {}
        self.path_of: dict[int, str] = {}  # of tensors and optimizers, by identity: the first way to reach them
        for name, value in run.named().items():
            self.look(name, value)

    def look(self, path: str, value: Any) -> None:
        self.facts[path] = type(value).__name__
        if isinstance(value, (self.T.Tensor, self.T.optim.Optimizer)):
            if id(value) in self.path_of:
                self.facts[path] = self.path_of[id(value)]
                return
            self.path_of[id(value)] = path
        if isinstance(value, self.T.Tensor):
            self.tensors[path] = value
            self.facts[f"{path}.dtype"] = str(value.dtype)
            self.facts[f"{path}.requires_grad"] = value.requires_grad
            self.facts[f"{path}.is_leaf"] = value.is_leaf
            self.facts[f"{path} "] = value.detach().numpy().copy()
            if value.is_leaf:
                self.look(f"{path}.grad", value.grad)
        elif isinstance(value, self.T.optim.Optimizer):
            for part in ("param_groups", "defaults", "state"):
                self.look(f"{path}.{part}", getattr(value, part))
        elif isinstance(value, (self.S.LRScheduler, self.S.ReduceLROnPlateau)):
            self.look(f"{path}.optimizer", getattr(value, "optimizer", None))
            self.look(f"{path}.get_last_lr()", attempt(value.get_last_lr))
            self.look(f"{path}.state_dict()", attempt(value.state_dict))
        elif isinstance(value, dict):
            keys = [self.path_of.get(id(k), repr(k)) if isinstance(k, self.T.Tensor) else repr(k) for k in value]
            self.facts[f"{path}.keys()"] = sorted(keys)
            for key, v in sorted(zip(keys, value.values()), key=lambda item: item[0]):
                self.look(f"{path}[{key}]", v)
        elif isinstance(value, (list, tuple)):
            self.facts[f"len({path})"] = len(value)
            for i, v in enumerate(value):
                self.look(f"{path}[{i}]", v)
        elif not isinstance(value, (types.FunctionType, types.MethodType)):
            self.facts[f"{path} "] = value


def equal(got: Any, expected: Any, rtol: dict[str, float]) -> bool:
    """Equal values, or errors of one class and with one first sentence."""
    if isinstance(expected, Raised):
        if not isinstance(got, Raised) or got.type is not expected.type:
            return False
        sentence = re.split(r"\. | at 0x", expected.text)[0].rstrip(".")
        return expected.type is KeyError or got.text.startswith(sentence)
    if isinstance(expected, np.ndarray):
        if (got.shape, got.dtype) != (expected.shape, expected.dtype):
            return False
        if expected.dtype.kind != "f":
            return bool((got == expected).all())
        with np.errstate(all="ignore"):
            scale = np.abs(expected[np.isfinite(expected)]).max(initial=1)
        return np.allclose(got, expected, rtol=0, atol=rtol[expected.dtype.name] * scale, equal_nan=True)
    if isinstance(expected, float):
        return type(got) is float and np.allclose(got, expected, rtol=rtol["float64"], atol=0, equal_nan=True)
    return type(got) is type(expected) and got == expected


def compare(line: str, views: tuple[dict[str, Any], dict[str, Any]], rtol: dict[str, float]) -> None:
    """Raise the first Mismatch among all facts."""
    expected, got = views
    for where, value in expected.items():
        other = got.get(where, "nothing")
        if not equal(other, value, rtol):
            raise Mismatch(line, where, value, other)
    for where in got.keys() - expected.keys():
        raise Mismatch(line, where, "nothing", got[where])


def difference(program: Sequence[str], modules: Sequence[ModuleType] = (torch, minigrad)) -> Mismatch | None:
    """Where the second library comes apart from the first, if it does."""
    text = "".join(program)
    of_a_step = RTOL_OF_LBFGS if "LBFGS" in text else RTOL_OF_SINGLES if re.search(SINGLE, text) else RTOL
    first, second = (Run(module) for module in modules)
    try:
        for line in program:
            steps = int(found[1]) if (found := re.search(r"range\((\d+)\)", line)) else 1  # their roundings add up
            rtol = {name: steps * value for name, value in of_a_step.items()}
            of_torch, of_minigrad = first.step(line), second.step(line)
            compare(line, (of_torch, of_minigrad), rtol)
            if of_torch["error"] and ".step(" in line:  # what a step has done before it failed is nobody's contract
                return None
            expected, got = View(first), View(second)
            compare(line, (expected.facts, got.facts), rtol)
            for path, t in got.tensors.items():
                np.copyto(t.detach().numpy(), expected.tensors[path].detach().numpy())
    except Mismatch as mismatch:
        return mismatch
    return None


def shortest(program: Sequence[str], like: Mismatch) -> list[str]:
    """The shortest program found with a mismatch of the same kind, not excused."""

    def stays(fewer: list[str]) -> bool:
        mismatch = difference(fewer)
        return mismatch is not None and mismatch.kind == like.kind and not excuse(mismatch)

    return shrink.shortest(program, stays, lambda lines, i, n: lines[:i] + lines[i + n :])


def script(program: Sequence[str]) -> str:
    """The program as it can be pasted and run, after `T = torch` or `T = minigrad`."""
    text = "\n".join(program)
    needed = [source for name, source in HELPERS.items() if f"{name}(" in text]
    start = ["import copy, io, pickle", "import numpy as np", "S, log = T.optim.lr_scheduler, []"]
    return "\n".join([*start, *needed, *program])


def excuse(mismatch: Mismatch) -> str | None:
    """Why this mismatch is not held against minigrad."""
    return next((reason for pattern, reason in NOT_YET.items() if re.search(pattern, mismatch.text, re.DOTALL)), None)


def check(program: Sequence[str]) -> None:
    """AssertionError, with the shortest program found, if the libraries differ."""
    mismatch = difference(program)
    if mismatch is None or excuse(mismatch):
        return
    short = shortest(program, mismatch)
    raise AssertionError(f"\n{script(short)}\n\n{difference(short)}")
