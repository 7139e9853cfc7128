"""Op: the declaration of a differentiable operation, and what is made of it.

    @Op
    def mul(input, other):
        return input * other

    mul.derivative(input=lambda g, other: g * other,
                   other=lambda g, input: g * input)

A parameter without annotation is an operand (an array, a tensor or a number); an annotated one (`dim: int`) is a
constant. A keyword-only parameter `xp` is given the array module. A rule names what it needs, and only that is saved:
operands, constants, `out` (or an output by its name), `<operand>_shape`, `cache`, `xp`, and for a joint rule `needs`.

From the declaration `codegen` writes, at the first call, the two plain functions that an engineer would write by hand:
the recorder (unwrap, compute, remember) and the backward of the node. `print(mul.source())` shows them.
"""

from __future__ import annotations

import functools
import inspect
import threading
import types
from collections.abc import Callable
from typing import Any, Protocol, cast

from minigrad import backend
from minigrad.autograd.codegen import LOCALS, backward_source, recorder_source
from minigrad.autograd.declaration import MISSING, Declaration, Rule
from minigrad.autograd.mode import mode
from minigrad.autograd.node import FREED, next_sequence
from minigrad.autograd.op_node import INFERENCE_SAVED, modified, op_node_class
from minigrad.autograd.promotion import ANY_NUMBER, need_tensors, number_error, promote, shape_error
from minigrad.autograd.variable import INFERENCE, NO_GRAD, ONE_OF_MANY, Variable
from minigrad.kernels.sums import sum_to

_compiling = threading.Lock()  # two threads may meet at an op's first call


class OpFunction(Protocol):
    """An op: a plain function (so it binds as a method), with its declaration beside it."""

    __name__: str
    declaration: Declaration
    forward: Callable[..., Any]
    source: Callable[[], str]
    derivative: Callable[..., None]
    joint_derivative: Callable[..., None]

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...

    def __get__(self, instance: Any, owner: Any = None) -> Callable[..., Any]: ...


def Op(
    forward: Callable[..., Any] | None = None,
    *,
    promote: str | None = None,
    among: tuple[str, ...] | None = None,
    tensors: tuple[str, ...] = (),
    view: bool = False,
    cache: bool = False,
    outputs: tuple[str, ...] = ("out",),
    many: bool = False,
    node: str | None = None,
) -> Any:
    """Declare an operation; see the module's text.

    promote   "common": operands are cast to their common dtype by torch's rules; "float": to a floating dtype at least
    among     which operands are (all by default)
    tensors   which operands must be tensors, where with a number beside a tensor it could be computed as well
    view      the output may share the input's memory
    cache     forward returns (output, cache): values worth keeping for the rules, None under create_graph
    outputs   names of several outputs; one named "indices" is not differentiable
    many      forward returns any number of outputs; `g` in rules is the tuple of their gradients, None where none came
    node      torch's name for the graph node, if it is not the op's own name with Backward0
    """
    if forward is None:
        return functools.partial(
            Op,
            promote=promote,
            among=among,
            tensors=tensors,
            view=view,
            cache=cache,
            outputs=outputs,
            many=many,
            node=node,
        )
    signature = inspect.signature(forward)
    params = [p for p in signature.parameters.values() if p.name != "xp"]
    operands = tuple(p.name for p in params if p.annotation is p.empty)
    camel = "".join(part.capitalize() for part in forward.__name__.strip("_").split("_"))
    declaration = Declaration(
        name=forward.__name__,
        forward=forward,
        params=params,
        takes_xp="xp" in signature.parameters,
        promotes=promote,
        among=operands if among is None else among,
        tensors=tensors,
        view=view,
        cache=cache,
        outputs=outputs,
        many=many,
        node_name=node or f"{camel}Backward0",
    )
    return _make_function(declaration, signature.replace(parameters=params))


def _make_function(declaration: Declaration, signature: inspect.Signature) -> OpFunction:
    """The public function. Its code is a stub until the first call, which compiles the recorder into its place."""
    forward = declaration.forward
    # The namespace carries the module's name, so that warnings and tracebacks are filed under it.
    namespace: dict[str, Any] = {"__name__": forward.__module__, "__builtins__": __builtins__}

    def stub(*args: Any, **kwargs: Any) -> Any:
        return compile_op()(*args, **kwargs)  # type: ignore[name-defined]  # noqa: F821 - from the namespace

    function: Any = types.FunctionType(stub.__code__, namespace, declaration.name)

    def compile_now() -> OpFunction:
        with _compiling:
            if function.__code__ is stub.__code__:
                compiled = _compile(declaration, namespace)
                # The code last: from then on other threads run it.
                function.__defaults__, function.__kwdefaults__ = compiled.__defaults__, compiled.__kwdefaults__
                function.__code__ = compiled.__code__
        return function

    def source() -> str:
        """The text of the recorder and of the backward, as they run."""
        return recorder_source(declaration) + ("\n\n" + backward_source(declaration) if declaration.rules else "")

    def derivative(**rules: Callable[..., Any]) -> None:
        """Give the rule of each named operand."""
        for operand, rule in rules.items():
            _check_names(declaration, (operand,), checked := Rule(rule))
            declaration.rules[operand] = checked

    def joint_derivative(*operands: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the one rule that returns the gradients of all of `operands`."""

        def declare(rule: Callable[..., Any]) -> Callable[..., Any]:
            declaration.joint = checked = Rule(rule)
            _check_names(declaration, operands, checked)
            declaration.rules = dict.fromkeys(operands, checked)
            return rule

        return declare

    namespace["compile_op"] = compile_now
    function.__module__, function.__qualname__ = forward.__module__, forward.__qualname__
    function.__doc__, function.__signature__ = forward.__doc__, signature
    function.declaration, function.forward = declaration, forward
    function.source = source
    function.derivative, function.joint_derivative = derivative, joint_derivative
    return cast(OpFunction, function)


def _check_names(declaration: Declaration, operands: tuple[str, ...], rule: Rule) -> None:
    if taken := {*declaration.operands} & {*declaration.outputs, *LOCALS}:
        raise TypeError(
            f"{declaration.name}: an operand cannot be named `{taken.pop()}`, which the recorder uses itself"
        )
    for operand in operands:
        if operand not in declaration.operands:
            raise TypeError(f"{declaration.name} has no operand `{operand}` to differentiate")
    for name in rule.names:
        if not declaration.can_save(name):
            raise TypeError(f"a rule of {declaration.name} names `{name}`, which is nothing that can be saved")


def _compile(declaration: Declaration, namespace: dict[str, Any]) -> Any:
    """Write and compile the recorder and, for a differentiable op, its node class."""
    namespace.update(
        Variable=Variable,
        Tensor=Variable.concrete,
        new=object.__new__,
        ndarray=backend.ndarray,
        numpy=backend.np,
        module_of=backend.module_of,
        as_array=backend.as_array,
        is_view_of=backend.is_view_of,
        sum_to=sum_to,
        grad_mode=mode,
        compute=declaration.forward,
        declaration=declaration,
        promote_operands=promote,
        need_tensors=need_tensors,
        number_error=number_error,
        shape_error=shape_error,
        write_out=declaration.write_out,
        by_other_names=declaration.by_other_names,
        MISSING=MISSING,
        next_sequence=next_sequence,
        modified=modified,
        NUMBERS=frozenset((int, float)),  # a Python bool is looked at by `promote`
        ANY_NUMBER=ANY_NUMBER,
        FREED=FREED,
        UNCHANGING=([0], 0),
        INFERENCE_SAVED=INFERENCE_SAVED,
        ONE_OF_MANY=ONE_OF_MANY,
        NO_GRAD=NO_GRAD,
        INFERENCE=INFERENCE,
        **{f"default_{p.name}": p.default for p in declaration.params},
    )
    if declaration.rules:
        backward = backward_source(declaration)
        namespace.update({f"{operand}_rule": rule.function for operand, rule in declaration.rules.items()})
        if declaration.joint is not None:
            namespace["joint_rule"] = declaration.joint.function
        exec(compile(backward, f"<backward of {declaration.name}>", "exec"), namespace)
        namespace["Node"] = op_node_class(declaration, namespace.pop("apply"))
    exec(compile(recorder_source(declaration), f"<op {declaration.name}>", "exec"), namespace)
    return namespace[declaration.name]
