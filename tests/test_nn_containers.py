"""Sequential, ModuleList, ModuleDict, ParameterList and ParameterDict, on torch and on minigrad."""

from __future__ import annotations

import re
from collections import OrderedDict

import pytest

from tests.lockstep import Raised, attempt, same


def named(outcome):
    """An outcome that can be compared: modules as text, and errors without the names of the packages."""
    if isinstance(outcome, Raised):
        outcome.text = re.sub(r"(torch|minigrad)\.[\w.]*\.", "", outcome.text)
    return repr(outcome) if hasattr(outcome, "state_dict") else outcome


def layers(T):
    """A chain whose layers can be told apart."""
    return T.nn.Sequential(T.nn.Linear(1, 2), T.nn.ReLU(), T.nn.Linear(2, 3), T.nn.Tanh())


def test_three_ways_to_build_a_sequential():
    def program(T):
        nn = T.nn
        by_arguments = nn.Sequential(nn.Linear(2, 1), nn.ReLU())
        by_dict = nn.Sequential(OrderedDict([("linear", nn.Linear(2, 1)), ("act", nn.ReLU())]))
        by_name = nn.Sequential()
        by_name.add_module("linear", nn.Linear(2, 1))
        by_name.add_module("act", nn.ReLU())
        return [(repr(m), list(m.state_dict()), repr(m[0]), repr(m[-1])) for m in (by_arguments, by_dict, by_name)]

    same(program)


def test_a_sequential_calls_one_after_the_other():
    def program(T):
        T.manual_seed(0)
        net = layers(T)
        x = T.ones(3, 1)
        return net(x), net[1:](net[0](x)), T.nn.Sequential()(3), [type(m).__name__ for m in net], len(net)

    same(program)


@pytest.mark.parametrize("index", [0, -1, 3, 4, -5, "a", 1.5, None, slice(1, 3), slice(None, None, 2), slice(5, 9)])
@pytest.mark.parametrize("kind", ["Sequential", "ModuleList"])
def test_indexing(kind, index):
    def program(T):
        held = layers(T) if kind == "Sequential" else T.nn.ModuleList(layers(T))
        return repr(held[index])

    same(program)


SEQUENTIAL_EDITS = {
    "append": lambda T, s: s.append(T.nn.ELU()),
    "append int": lambda T, s: s.append(3),
    "insert": lambda T, s: s.insert(1, T.nn.ELU()),
    "insert at -1": lambda T, s: s.insert(-1, T.nn.ELU()),
    "insert beyond": lambda T, s: s.insert(99, T.nn.ELU()),
    "insert int": lambda T, s: s.insert(0, 3),
    "extend": lambda T, s: s.extend([T.nn.ELU(), T.nn.Sigmoid()]),
    "add": lambda T, s: s + T.nn.Sequential(T.nn.ELU()),
    "add int": lambda T, s: s + 3,
    "iadd": lambda T, s: s.__iadd__(T.nn.Sequential(T.nn.ELU())),
    "mul": lambda T, s: s * 2,
    "rmul": lambda T, s: 2 * s,
    "mul 0": lambda T, s: s * 0,
    "mul float": lambda T, s: s * 1.5,
    "imul": lambda T, s: s.__imul__(2),
    "pop": lambda T, s: s.pop(1),
    "pop name": lambda T, s: s.pop("a"),
    "set": lambda T, s: s.__setitem__(0, T.nn.ELU()),
    "set last": lambda T, s: s.__setitem__(-1, T.nn.ELU()),
    "set int": lambda T, s: s.__setitem__(0, 3),
    "set beyond": lambda T, s: s.__setitem__(9, T.nn.ELU()),
    "del": lambda T, s: s.__delitem__(1),
    "del slice": lambda T, s: s.__delitem__(slice(1, 3)),
    "del beyond": lambda T, s: s.__delitem__(9),
}


@pytest.mark.parametrize("edit", SEQUENTIAL_EDITS)
def test_editing_a_sequential(edit):
    def program(T):
        held = layers(T)
        outcome = attempt(lambda: SEQUENTIAL_EDITS[edit](T, held))
        return named(outcome), repr(held), list(held.state_dict())

    same(program)


@pytest.mark.parametrize("args", ["int", "list", "dict", "int in dict"])
def test_a_sequential_of_no_modules(args):
    def program(T):
        linear = T.nn.Linear(1, 1)
        given = {"int": 3, "list": [linear], "dict": {"a": linear}, "int in dict": OrderedDict(a=linear, b=3)}[args]
        return T.nn.Sequential(given)

    same(program)


LIST_EDITS = {
    "append": lambda T, s: s.append(T.nn.ELU()),
    "append int": lambda T, s: s.append(3),
    "insert": lambda T, s: s.insert(1, T.nn.ELU()),
    "extend": lambda T, s: s.extend([T.nn.ELU(), T.nn.Sigmoid()]),
    "extend int": lambda T, s: s.extend(3),
    "extend module": lambda T, s: s.extend(T.nn.ReLU()),
    "add list": lambda T, s: s + [T.nn.ELU()],
    "iadd": lambda T, s: s.__iadd__([T.nn.ELU()]),
    "pop": lambda T, s: s.pop(-1),
    "set": lambda T, s: s.__setitem__(0, T.nn.ELU()),
    "set int": lambda T, s: s.__setitem__(0, 3),
    "del": lambda T, s: s.__delitem__(-1),
    "del slice": lambda T, s: s.__delitem__(slice(0, 2)),
    "del beyond": lambda T, s: s.__delitem__(9),
    "call": lambda T, s: s(3),
    "reversed": lambda T, s: [repr(m) for m in reversed(s)],
    "contains": lambda T, s: [s[0] in s, T.nn.ReLU() in s],
}


@pytest.mark.parametrize("edit", LIST_EDITS)
def test_editing_a_module_list(edit):
    def program(T):
        held = T.nn.ModuleList(layers(T))
        outcome = attempt(lambda: LIST_EDITS[edit](T, held))
        return named(outcome), repr(held), list(held.state_dict())

    same(program)


def test_a_module_list_prints_equal_runs_once():
    def program(T):
        nn = T.nn

        def block(n):
            return nn.Sequential(nn.Linear(n, n), nn.ReLU())

        lists = [[], [block(1)], [block(1), block(1), nn.ReLU(), block(2), block(2), block(2), block(1)]]
        return [repr(nn.ModuleList(modules)) for modules in lists]

    same(program)


def modules_by_name(T):
    return T.nn.ModuleDict({"a": T.nn.Linear(1, 2), "b": T.nn.ReLU()})


DICT_EDITS = {
    "get": lambda T, d: repr(d["a"]),
    "get missing": lambda T, d: d["z"],
    "set": lambda T, d: d.__setitem__("a", T.nn.ELU()),
    "set new": lambda T, d: d.__setitem__("c", T.nn.ELU()),
    "set int": lambda T, d: d.__setitem__("c", 3),
    "set dotted": lambda T, d: d.__setitem__("a.b", T.nn.ELU()),
    "set method": lambda T, d: d.__setitem__("keys", T.nn.ELU()),
    "del": lambda T, d: d.__delitem__("a"),
    "del missing": lambda T, d: d.__delitem__("z"),
    "pop": lambda T, d: repr(d.pop("a")),
    "pop missing": lambda T, d: d.pop("z"),
    "clear": lambda T, d: d.clear(),
    "update pairs": lambda T, d: d.update([("x", T.nn.Tanh())]),
    "update dict": lambda T, d: d.update({"a": T.nn.Tanh()}),
    "update ModuleDict": lambda T, d: d.update(T.nn.ModuleDict({"q": T.nn.Tanh()})),
    "update int": lambda T, d: d.update(3),
    "update short pair": lambda T, d: d.update([("x",)]),
    "update ints": lambda T, d: d.update([3]),
    "look": lambda T, d: [list(d), list(d.keys()), len(d), "a" in d, "z" in d, [repr(v) for v in d.values()]],
    "items": lambda T, d: [(k, repr(v)) for k, v in d.items()],
    "call": lambda T, d: d(3),
}


@pytest.mark.parametrize("edit", DICT_EDITS)
def test_editing_a_module_dict(edit):
    def program(T):
        held = modules_by_name(T)
        return attempt(lambda: DICT_EDITS[edit](T, held)), repr(held), list(held.state_dict())

    same(program)


PARAMETER_LIST_EDITS = {
    "look": lambda T, p: [len(p), list(p), p[-1], repr(p[1:])],
    "beyond": lambda T, p: p[9],
    "name": lambda T, p: p["a"],
    "append": lambda T, p: repr(p.append(T.ones(5))),
    "extend": lambda T, p: repr(p.extend([T.nn.Parameter(T.ones(1)), 7])),
    "extend int": lambda T, p: p.extend(3),
    "iadd": lambda T, p: repr(p.__iadd__([T.ones(1)])),
    "set": lambda T, p: p.__setitem__(0, T.nn.Parameter(T.ones(5))),
    "set tensor": lambda T, p: p.__setitem__(-1, T.ones(5)),
    "call": lambda T, p: p(3),
}


@pytest.mark.parametrize("edit", PARAMETER_LIST_EDITS)
def test_editing_a_parameter_list(edit):
    def program(T):
        held = T.nn.ParameterList([T.nn.Parameter(T.ones(2)), T.ones(3, 4), 3, "x"])
        return attempt(lambda: PARAMETER_LIST_EDITS[edit](T, held)), repr(held), list(held.state_dict())

    same(program)


PARAMETER_DICT_EDITS = {
    "look": lambda T, p: [len(p), list(p), list(p.keys()), list(p.values()), "a" in p, list(reversed(p)), p["b"]],
    "missing": lambda T, p: p["z"],
    "set": lambda T, p: p.__setitem__("a", T.ones(5)),
    "del": lambda T, p: p.__delitem__("a"),
    "del missing": lambda T, p: p.__delitem__("z"),
    "pop": lambda T, p: p.pop("a"),
    "popitem": lambda T, p: p.popitem(),
    "setdefault": lambda T, p: [p.setdefault("a", 3), p.setdefault("new", T.ones(1))],
    "get": lambda T, p: [p.get("zz"), p.get("zz", 3), p.get("a")],
    "fromkeys": lambda T, p: repr(p.fromkeys(["x", "y"], T.ones(1))),
    "update": lambda T, p: p.update({"q": T.ones(1), "a": T.ones(3)}),
    "update int": lambda T, p: p.update(3),
    "or": lambda T, p: repr(p | T.nn.ParameterDict({"n": T.ones(1)})),
    "copy": lambda T, p: [repr(p.copy()), p.copy()["a"] is p["a"]],
    "clear": lambda T, p: p.clear(),
    "call": lambda T, p: p(3),
}


@pytest.mark.parametrize("edit", PARAMETER_DICT_EDITS)
def test_editing_a_parameter_dict(edit):
    def program(T):
        held = T.nn.ParameterDict({"a": T.nn.Parameter(T.ones(2)), "b": T.ones(2, 2), "c": 5})
        return attempt(lambda: PARAMETER_DICT_EDITS[edit](T, held)), repr(held), list(held.state_dict())

    same(program)


@pytest.mark.parametrize("name", [3, "a.b"])
def test_names_that_a_parameter_dict_refuses(name):
    same(lambda T: T.nn.ParameterDict().__setitem__(name, T.nn.Parameter(T.ones(5))))
