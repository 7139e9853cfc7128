"""The graph node of an op: what it saved, and the backward that runs its rules on tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

from minigrad import backend
from minigrad.autograd.codegen import constant_names, saved_names, shape_names
from minigrad.autograd.declaration import Declaration, Rule
from minigrad.autograd.node import FREED, FREED_WHEN, Node
from minigrad.autograd.saved import TWICE, Packed, PackedValues
from minigrad.autograd.trace import place_of, told
from minigrad.autograd.variable import Variable, wrap

INFERENCE_SAVED = (
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
    "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in "
    "autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`."
)


class OpNode(Node):
    """A node that an op's recorder made.

    saved      arrays and numbers by `saved_names`, None once they have been freed
    versions   for each of them its version counter and the version it had
    shapes     of operands, by `shape_names`
    constants  by `constant_names`
    """

    __slots__ = ("constants", "saved", "shapes", "versions")

    declaration: Declaration
    saved_names: list[str]
    saved: Any
    versions: Any
    shapes: Any
    constants: Any

    def pack_saved(self, pack: Callable[[Any], Any], unpack: Callable[[Any], Any]) -> None:
        if not self.saved_names:
            return
        edges: dict[str, Any] = dict(zip(self.declaration.rules, self.edges, strict=False))

        def packed(value: Any, edge: Any) -> Any:
            if isinstance(value, (list, tuple)):
                along = edge if isinstance(edge, list) else [None] * len(value)
                return [packed(v, e) for v, e in zip(value, along, strict=True)]
            return Packed(_attach(value, edge), pack, unpack) if backend.is_array(value) else value

        if self.declaration.variadic:
            edges[self.declaration.variadic] = list(self.edges)
        values = [packed(v, edges.get(name)) for name, v in zip(self.saved_names, self.saved, strict=True)]
        self.saved, self.versions = PackedValues(values), ()

    def release(self) -> None:
        if self.saved_names:
            self.saved = self.versions = None

    def apply_graph(self, grads: Any) -> Sequence[Any]:
        d = self.declaration
        if d.many and self.outputs == 1:
            grads = [grads]  # the walk hands on a single gradient bare
        present = grads if self.outputs == 1 and not d.many else next((g for g in grads if g is not None), None)
        if present is None:
            return (None,) * len(self.edges)
        names = self._tensors_by_name()
        names["xp"] = backend.module_of(present.array)
        names["needs"] = tuple(edge is not None for edge in self.edges)
        g = grads
        if self.outputs > 1 and len(d.differentiable_outputs) == 1 and not d.many:
            g = grads[d.outputs.index(d.differentiable_outputs[0])]

        def run(rule: Rule) -> Any:
            return rule.function(g, *[names[n] for n in rule.names])

        if d.variadic:
            return run(d.rules[d.variadic])
        if d.joint is not None:
            results = run(d.joint)
        else:
            results = [None if e is None else run(r) for e, r in zip(self.edges, d.rules.values(), strict=True)]
        return [
            r if e is None or r is None or r.shape == shape else r.sum_to_size(shape)
            for r, e, shape in zip(results, self.edges, self.shapes, strict=False)
        ]

    def _tensors_by_name(self) -> dict[str, Any]:
        """All that rules may name: saved operands as tensors with their history, outputs attached to this node."""
        d = self.declaration
        names: dict[str, Any] = {"cache": None}
        names.update({f"{n}_shape": s for n, s in zip(shape_names(d), self.shapes, strict=True)})
        if constants := constant_names(d):
            names.update(zip(constants, self.constants, strict=True))
        if not self.saved_names:
            return names
        if self.saved is None:
            raise RuntimeError(FREED)
        self.check_versions()
        edges = dict(zip(d.rules, self.edges, strict=False))
        counters = [counter for counter, _ in self.versions]  # none where hooks have packed what was saved
        of_each = repeat(None) if d.variadic or not counters else counters
        for name, value, counter in zip(self.saved_names, self.saved, of_each):
            if name == d.variadic:
                aligned = counters if len(counters) == len(value) else repeat(None)
                names[name] = [_attach(*each) for each in zip(value, self.edges, aligned)]
            elif name in d.operands:
                names[name] = _attach(value, edges.get(name), counter)
            elif name in d.outputs:
                number = d.outputs.index(name)
                names[name] = _attach(value, (self, number) if name in d.differentiable_outputs else None, counter)
        return names

    def check_versions(self) -> None:
        """RuntimeError if a saved tensor was written to since it was saved."""
        for counter, version in self.versions:
            if counter[0] != version:
                raise modified(self, counter)

    def __getattr__(self, name: str) -> Any:
        """torch's `_saved_<name>`: a saved operand (`self` for the first one), output (`result`) or constant."""
        if not name.startswith(("_saved_", "_raw_saved_")):
            raise AttributeError(f"'{self.name()}' object has no attribute '{name}'")
        wanted = name.removeprefix("_raw").removeprefix("_saved_")
        wanted = {"self": self.declaration.operands[0], "result": "out"}.get(wanted, wanted)
        if name.startswith("_raw") and wanted in self.saved_names:
            return SavedTensor(self, self.saved_names.index(wanted))
        if wanted in self.saved_names or wanted in constant_names(self.declaration):
            return self._tensors_by_name()[wanted]
        raise AttributeError(f"'{self.name()}' object has no attribute '{name}': it did not save that")


class SavedTensor:
    """A tensor that a node saved (torch's `_raw_saved_<name>`): hooks may be set on this one alone."""

    def __init__(self, node: OpNode, place: int) -> None:
        self.node, self.place = node, place

    @property
    def data(self) -> Any:
        """The saved values as a tensor without history."""
        if self.node.saved is None:
            raise RuntimeError(FREED)
        return wrap(self.node.saved[self.place])

    def register_hooks(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        """Keep what `pack_hook` makes of the tensor in its place, until `unpack_hook` gives it back."""
        node = self.node
        if node.saved is None:
            raise RuntimeError(f"Calling register_hooks on a saved tensor after it has been freed. {FREED_WHEN}")
        values = node.saved.values if isinstance(node.saved, PackedValues) else list(node.saved)
        if isinstance(values[self.place], Packed):
            raise RuntimeError(TWICE)
        values[self.place] = Packed(wrap(values[self.place]), pack_hook, unpack_hook)
        node.saved = PackedValues(values)


def _attach(value: Any, edge: Any, counter: list[int] | None = None) -> Any:
    """A saved array as the tensor it was: the leaf itself, a result of its node, or a constant.

    With its version `counter`: what a rule saves of it again must not be written to either.
    """
    if not backend.is_array(value):
        return value
    target, number = edge or (None, 0)
    if isinstance(target, Variable):
        return target
    result = wrap(value, edge is not None, target, number)
    if counter is not None:
        result.counter = counter
    return result


def modified(node: Any, counter: list[int]) -> RuntimeError:
    """torch's error for a saved tensor that was changed in place before its use."""
    d = node.declaration
    place = next(i for i, (seen, version) in enumerate(node.versions) if seen is counter and version != counter[0])
    name, array = (d.variadic, node.saved[0][place]) if d.variadic else (node.saved_names[place], node.saved[place])
    kind, shape = backend.dtype_of(array).type_name, list(array.shape)
    made_by = ""
    if name in d.outputs:
        made_by = f", which is output {d.outputs.index(name)} of {node.name().removesuffix('Backward0')},"
    return RuntimeError(
        f"one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[torch.{kind}Tensor {shape}]{made_by} is at version {counter[0]}; expected version {node.versions[place][1]} "
        f"instead. {node.name()} saved it as `{name}`; the last change was made in {told(place_of(counter))}. Clone "
        f"the tensor before changing it, or change it after backward."
    )


def op_node_class(declaration: Declaration, apply: Callable[..., Any]) -> type[OpNode]:
    """The node class of one op, named as torch names it."""
    body: dict[str, Any] = {
        "__slots__": ("outputs",) if declaration.many else (),
        "declaration": declaration,
        "saved_names": saved_names(declaration),
        "apply": apply,
        "__doc__": f"{declaration.name}, recorded.",
    }
    if not declaration.many:
        body["outputs"] = len(declaration.outputs)
    return type(declaration.node_name, (OpNode,), body)
