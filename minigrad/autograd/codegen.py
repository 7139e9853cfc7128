"""The two functions of an op, written out from its declaration as source text, as dataclasses writes `__init__`.

A hand-written recorder knows how many operands it has, which of them can want a gradient and what to save; a generic
one finds out at every call. Writing the text once per op gives the speed of the former from one declaration. Read the
output rather than this file: `print(minigrad.ops.mul.source())`.
"""

from __future__ import annotations

from minigrad.autograd.declaration import Declaration

# Names in the written functions, which operands must not have.
LOCALS = ("cache", "counter", "needs", "node", "number", "out", "outs", "promoted", "recording", "result", "results")


def _tuple(items: list[str]) -> str:
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


class _Lines:
    """Source lines under construction."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.depth = 0

    def __call__(self, *lines: str) -> None:
        self.lines += ["    " * self.depth + line for line in lines]

    def block(self, head: str, *lines: str) -> None:
        self(head)
        self.depth += 1
        self(*lines)
        self.depth -= 1

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


def saved_names(d: Declaration) -> list[str]:
    """What the rules name and may be freed after the walk: operands, outputs, the cache. In a fixed order."""
    named = {name for rule in d.rules.values() for name in rule.names}
    return [n for n in [*d.operands, *d.outputs, "cache"] if n in named]


def constant_names(d: Declaration) -> list[str]:
    """The constants that the rules name."""
    named = {name for rule in d.rules.values() for name in rule.names}
    return [p.name for p in d.params if p.name in named and p.name not in d.operands]


def shape_names(d: Declaration) -> list[str]:
    """The operands whose shape is kept: all differentiable ones (to undo broadcasting) and those named."""
    named = {name for rule in d.rules.values() for name in rule.names}
    return [*d.rules, *(o for o in d.operands if o not in d.rules and f"{o}_shape" in named)]


def _signature(d: Declaration) -> str:
    """The parameters as Python text; defaults are looked up as `default_<name>`."""
    parts, star = [], d.variadic is not None
    for p in d.params:
        if p.kind is p.VAR_POSITIONAL:
            parts.append(f"*{p.name}")
            continue
        if p.kind is p.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        late = d.by_other_names is not None and p.name in d.required
        parts.append(f"{p.name}=MISSING" if late else p.name if p.default is p.empty else f"{p.name}=default_{p.name}")
    if d.by_other_names is not None:
        parts.append("**others")
    elif d.write_out is not None:
        parts += ["out=None"] if star else ["*", "out=None"]
    return ", ".join(parts)


def _arguments(d: Declaration, rename: dict[str, str]) -> str:
    """The arguments of a call of the forward, or of the op itself, with some operands renamed."""
    parts = []
    for p in d.params:
        value = rename.get(p.name, p.name)
        parts.append(
            f"*{value}" if p.kind is p.VAR_POSITIONAL else f"{p.name}={value}" if p.kind is p.KEYWORD_ONLY else value
        )
    return ", ".join(parts)


def recorder_source(d: Declaration) -> str:
    """The public function: unwrap, promote, compute, wrap, record."""
    text = _Lines()
    text(f"def {d.name}({_signature(d)}):")
    text.depth += 1
    if d.by_other_names is not None:
        given = ", ".join(f"'{p.name}': {p.name}" for p in d.params)
        missing = " or ".join(["others", *(f"{name} is MISSING" for name in d.required)])
        text.block(f"if {missing}:", f"return by_other_names({d.name}, {{{given}}}, others)")
    elif d.write_out is not None:
        _hand_on_out(d, text)
    if d.variadic:
        _unwrap_variadic(d, text)
    else:
        _unwrap(d, text)
    if d.promotes:
        _promote(d, text)
    _compute(d, text)
    _wrap_outputs(d, text)
    return str(text)


def _hand_on_out(d: Declaration, text: _Lines) -> None:
    by_name = [p.name for p in d.params if p.kind is p.KEYWORD_ONLY]
    by_place = [f"*{p.name}" if p.kind is p.VAR_POSITIONAL else p.name for p in d.params if p.name not in by_name]
    named = ", ".join(f"'{name}': {name}" for name in by_name)
    text.block("if out is not None:", f"return write_out(out, {d.name}, {_tuple(by_place)}, {{{named}}})")


def _unwrap(d: Declaration, text: _Lines) -> None:
    ops = d.operands
    text(*[f"{o}_is = isinstance({o}, Variable)" for o in ops])
    text(f"if not ({' or '.join(f'{o}_is' for o in ops)}):")
    text.depth += 1
    _plain_call(d, text, ops)
    text.depth -= 1
    text(*[f"{o}_array = {o}.array if {o}_is else {o}" for o in ops])


def _unwrap_variadic(d: Declaration, text: _Lines) -> None:
    v = d.variadic
    text(f"if not any([isinstance(t, Variable) for t in {v}]):")
    text.depth += 1
    _plain_call(d, text, [str(v)])
    text.depth -= 1
    text(f"{v}_array = [t.array if isinstance(t, Variable) else t for t in {v}]")


def _plain_call(d: Declaration, text: _Lines, ops: list[str]) -> None:
    """Given arrays, an op computes and returns arrays."""
    if not d.variadic:
        numbers = " and ".join(f"type({o}) in ANY_NUMBER" for o in ops)
        text.block(f"if {numbers}:", f"raise number_error(declaration, {_tuple(ops)})")
    if d.takes_xp:
        text(_xp_line(d, ops))
    text(f"return compute({_arguments(d, {})}{', xp=xp' if d.takes_xp else ''}){'[0]' if d.cache else ''}")


def _xp_line(d: Declaration, values: list[str]) -> str:
    if d.variadic:
        return f"xp = module_of(*{values[0]})"
    return f"xp = numpy if type({values[0]}) is ndarray else module_of({', '.join(values)})"


def _promote(d: Declaration, text: _Lines) -> None:
    """Cast operands whose dtypes differ, through the recorded op `to`, and call again: rare, so it may cost."""
    names = list(d.among)
    to_float = d.promotes == "float"
    if d.variadic:
        mixed = f"any([a.dtype is not {d.variadic}_array[0].dtype for a in {d.variadic}_array])"
        values = d.variadic
    elif len(names) == 1:
        mixed, values = f"{names[0]}_array.dtype.kind != 'f'", f"({names[0]},)"
    else:
        a, b, *more = names
        both = f"({a}_array.dtype is not {b}_array.dtype or type({a}_array) is not type({b}_array)" + (
            f" or {a}_array.dtype.kind != 'f')" if to_float else ")"
        )
        one = f"({a}_array.dtype.kind != 'f' or type({b}) not in NUMBERS)"
        mixed = f"({both} if {a}_is and {b}_is else {'' if b in d.tensors else f'{one} if {a}_is else '}True)"
        mixed += "".join(f" or not {c}_is or {c}_array.dtype is not {a}_array.dtype" for c in more)
        values = _tuple(names)
    text(f"if {mixed}:")
    text.depth += 1
    if d.tensors:
        text(f"need_tensors(declaration, {_tuple(d.operands)})")
    text(f"promoted = promote_operands('{d.name}', {values}, {to_float})")
    again = _arguments(
        d, {str(d.variadic): "promoted"} if d.variadic else {n: f"promoted[{i}]" for i, n in enumerate(names)}
    )
    text.block("if promoted is not None:", f"return {d.name}({again})")
    text.depth -= 1


def _compute(d: Declaration, text: _Lines) -> None:
    arrays = [f"{o}_array" for o in d.operands]
    if d.takes_xp:
        text(_xp_line(d, arrays))
    target = "outs" if len(d.outputs) > 1 or d.many else "out"
    call = (
        f"{target}{', cache' if d.cache else ''} = compute({_arguments(d, dict(zip(d.operands, arrays, strict=True)))}"
    )
    call += ", xp=xp)" if d.takes_xp else ")"
    if d.variadic:
        text(call)
        return
    text.block("try:", call)
    if d.promotes:
        text.block("except ValueError as error:", f"raise shape_error('{d.name}', {_tuple(arrays)}, error) from None")
    text.block(
        "except (AttributeError, TypeError) as error:",
        f"raise number_error(declaration, {_tuple(d.operands)}, error) from None",
    )


def _wrap_outputs(d: Declaration, text: _Lines) -> None:
    several = len(d.outputs) > 1 or d.many
    text("recording = grad_mode.recording")
    if several:
        text("results = []")
        text("for out in outs:")
        text.depth += 1
    text.block("if type(out) is not ndarray:", "out = as_array(out)")
    text(
        "result = new(Tensor)",
        "result.array = out",
        "result.node = None",
        "result.output_nr = 0",
        "result.needs_grad = False",
        "result.gradient = None",
        "result.meta = None",
    )
    if d.view:
        _wrap_view(d, text)
    else:
        text("result.base = None", "result.counter = [0]")
    if several:
        text("results.append(result)")
        text.depth -= 1
    if d.rules:
        _record(d, text)
    text("if recording is None:")
    text.depth += 1
    if several:
        text("for result in results:")
        text.depth += 1
    if d.view:
        text.block("if result.base is None:", "result.counter = None")
    else:
        text("result.counter = None")
    text.depth -= 2 if several else 1
    text(f"return {'results' if d.many else 'tuple(results)' if several else 'result'}")


def _wrap_view(d: Declaration, text: _Lines) -> None:
    """What a view knows of its base; a view of an inference tensor is only another inference tensor."""
    source = d.operands[0]
    origin = "ONE_OF_MANY" if d.many else f"(None if {source}.base is None else {source}.origin)"
    text(f"if is_view_of(out, {source}_array):")
    text.depth += 1
    text(f"counter = result.counter = {source}.counter")
    text.block("if counter is None:", "result.base = None")
    text.block(
        "else:",
        f"result.base = {source} if {source}.base is None else {source}.base",
        "result.seen = counter[0]",
        f"result.origin = {origin} if recording else NO_GRAD if recording is False else INFERENCE",
    )
    text.depth -= 1
    text.block("else:", "result.base = None", "result.counter = [0]")


def _record(d: Declaration, text: _Lines) -> None:
    """Make the node, if any differentiable operand wants a gradient."""
    operands, several = list(d.rules), len(d.outputs) > 1 or d.many
    if d.variadic:
        v = d.variadic
        text(f"needs = [isinstance(t, Variable) and (t.needs_grad if t.base is None else t.follow()) for t in {v}]")
        condition = "any(needs)"
        edges = f"tuple([(t.node or t, t.output_nr) if n else None for t, n in zip({v}, needs)])"
        shapes = f"(tuple([a.shape for a in {v}_array]),)"
    else:
        text(*[f"{o}_needs = {o}_is and ({o}.needs_grad if {o}.base is None else {o}.follow())" for o in operands])
        condition = " or ".join(f"{o}_needs" for o in operands)
        condition = f"({condition})" if len(operands) > 1 else condition
        edges = _tuple([f"(({o}.node or {o}, {o}.output_nr) if {o}_needs else None)" for o in operands])
        shapes = _tuple([f"({o}_array.shape if {o}_is else ())" for o in shape_names(d)])
    text(f"if {condition} and recording:")
    text.depth += 1
    text("node = new(Node)", "node.sequence = next_sequence()", "node.hooks = None")
    text(f"node.edges = {edges}", f"node.shapes = {shapes}")
    names = saved_names(d)
    if names:
        text(f"node.saved = {_tuple([_saved_value(d, n) for n in names])}")
        text.block("try:", f"node.versions = {_versions(d, names)}")
        text.block("except TypeError:", "raise RuntimeError(INFERENCE_SAVED) from None")
    if constant_names(d):
        text(f"node.constants = {_tuple(constant_names(d))}")
    if d.many:
        text("node.outputs = len(results)")
    text.block("if recording is not True:", "recording.recorded(node)")
    if several:
        text("for number, result in enumerate(results):")
        text.depth += 1
        text("result.output_nr = number")
        differentiable = "True" if d.many else f"{tuple(n in d.differentiable_outputs for n in d.outputs)}[number]"
        text.block(f"if {differentiable}:", "result.node = node", "result.needs_grad = True")
        text.depth -= 1
        text(f"return {'results' if d.many else 'tuple(results)'}")
    else:
        text("result.node = node", "result.needs_grad = True", "return result")
    text.depth -= 1


def _users(d: Declaration, name: str) -> list[str]:
    return [o for o, rule in d.rules.items() if name in rule.names]


def _saved_value(d: Declaration, name: str) -> str:
    """The array to keep; None where no rule that will run names it."""
    if name in d.operands:
        value = f"{name}_array"
    elif name in d.outputs and len(d.outputs) > 1:
        value = f"results[{d.outputs.index(name)}].array"
    else:
        value = name
    users = _users(d, name)
    if d.variadic or len(users) == len(d.rules):
        return value
    return f"({value} if {' or '.join(f'{o}_needs' for o in users)} else None)"


def _versions(d: Declaration, names: list[str]) -> str:
    """The version counters of the tensors among what is saved, each with the version it was saved at.

    UNCHANGING stands in for a number, and for what no rule that will run names.
    """
    if d.variadic in names:
        return f"[(t.counter, t.counter[0]) for t in {d.variadic} if isinstance(t, Variable)]"
    stamps = []
    for name in names:
        if name in d.operands:
            users = _users(d, name)
            condition = f"{name}_is"
            if len(users) != len(d.rules):
                condition += f" and ({' or '.join(f'{o}_needs' for o in users)})"
            stamps.append(f"(({name}.counter, {name}.counter[0]) if {condition} else UNCHANGING)")
        elif name in d.outputs:
            owner = f"results[{d.outputs.index(name)}]" if len(d.outputs) > 1 else "result"
            stamps.append(f"({owner}.counter, {owner}.counter[0])")
        else:  # the cache
            stamps.append("UNCHANGING")
    return _tuple(stamps)


def backward_source(d: Declaration) -> str:
    """The node's `apply`: gradients of the operands from the gradient of the output, on arrays."""
    text = _Lines()
    operands, several = list(d.rules), len(d.outputs) > 1 or d.many
    count = "len(node.edges)" if d.variadic else str(len(operands))
    text("def apply(node, g):")
    text.depth += 1
    if several and len(d.differentiable_outputs) == 1 and not d.many:
        text(f"g = g[{d.outputs.index(d.differentiable_outputs[0])}]")
    if d.many:
        text.block("if node.outputs == 1:", "g = [g]")  # the walk hands on a single gradient bare
    if several and (len(d.differentiable_outputs) > 1 or d.many):
        text("grads, g = g, next((gi for gi in g if gi is not None), None)")
        text.block("if g is None:", f"return (None,) * {count}")
        text("xp = numpy if type(g) is ndarray else module_of(g)", "g = grads")
    else:
        text.block("if g is None:", f"return (None,) * {count}")
        if any("xp" in rule.names for rule in d.rules.values()):
            text("xp = numpy if type(g) is ndarray else module_of(g)")
    if names := saved_names(d):
        text("saved = node.saved")
        text.block("if saved is None:", "raise RuntimeError(FREED)")
        text.block(
            "for counter, version in node.versions:",
            "if counter[0] != version:",
            "    raise modified(node, counter)",
        )
        text(f"{_tuple(names)} = saved")
    if names := constant_names(d):
        text(f"{_tuple(names)} = node.constants")
    text("edges = node.edges")
    text(f"{_tuple([f'{o}_shape' for o in shape_names(d)])} = node.shapes")
    if any("needs" in rule.names for rule in d.rules.values()):
        text("needs = tuple([edge is not None for edge in edges])")
    if d.joint is not None:
        text(f"{_tuple([f'{o}_grad' for o in operands])} = joint_rule({', '.join(['g', *d.joint.names])})")
    elif d.variadic:
        text(f"return {d.variadic}_rule({', '.join(['g', *d.rules[d.variadic].names])})")
        return str(text)
    for i, (o, rule) in enumerate(d.rules.items()):
        if d.joint is None:
            text(f"{o}_grad = None")
            text(f"if edges[{i}] is not None:")
            text.depth += 1
            text(f"{o}_grad = {o}_rule({', '.join(['g', *rule.names])})")
        else:
            text(f"if edges[{i}] is not None and {o}_grad is not None:")
            text.depth += 1
        text.block(f"if {o}_grad.shape != {o}_shape:", f"{o}_grad = sum_to({o}_grad, {o}_shape)")
        text.block(f"elif type({o}_grad) is not ndarray:", f"{o}_grad = as_array({o}_grad)")
        text.depth -= 1
    text(f"return {_tuple([f'{o}_grad' for o in operands])}")
    return str(text)
