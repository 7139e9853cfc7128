"""The stand-in for CuPy refuses what CuPy refuses, and counts what waits for the device."""

import numpy as np
import pytest

from reference.strict_cupy import DeviceSynchronized, cupy, forbid_synchronize, synchronizations
from tests.arrays import values

# -- mistakes: every one of these runs on NumPy ------------------------------------------------------------------------

MISTAKES = {
    "a NumPy ufunc": (lambda xp, x: np.exp(x), TypeError),
    "a NumPy function": (lambda xp, x: np.sum(x), TypeError),
    "a NumPy function of a list of arrays": (lambda xp, x: np.concatenate([x, x]), TypeError),
    "an implicit conversion": (lambda xp, x: np.asarray(x), TypeError),
    "array + NumPy array": (lambda xp, x: x + np.ones(3), TypeError),
    "NumPy array + array": (lambda xp, x: np.ones(3) + x, TypeError),
    "array += NumPy array": (lambda xp, x: x.__iadd__(np.ones(3)), TypeError),
    "array == NumPy array": (lambda xp, x: x == np.ones(3), TypeError),
    "a NumPy array for a ufunc": (lambda xp, x: xp.maximum(x, np.ones(3)), TypeError),
    "a NumPy array for a function": (lambda xp, x: xp.where(x > 2, x, np.zeros(3)), TypeError),
    "a NumPy array in a list": (lambda xp, x: xp.stack([x, np.ones((2, 3))]), TypeError),
    "a NumPy array for a method": (lambda xp, x: x.dot(np.ones(3)), TypeError),
    "a list for an operator": (lambda xp, x: x * [1.0, 2.0, 3.0], TypeError),
    "a list for a ufunc": (lambda xp, x: xp.add(x, [1.0, 2.0, 3.0]), TypeError),
    "a list for a function": (lambda xp, x: xp.sum([1.0, 2.0]), TypeError),
    "a tuple for a function": (lambda xp, x: xp.sum((1.0, 2.0)), TypeError),
    "a list for matmul": (lambda xp, x: xp.matmul(x, [1.0, 2.0, 3.0]), TypeError),
    "a list to fill with": (lambda xp, x: xp.full((2,), [1.0, 2.0]), TypeError),
    "a list among arrays": (lambda xp, x: xp.broadcast_arrays(x, [1.0, 2.0, 3.0]), TypeError),
    "a NumPy array stored in a slice": (lambda xp, x: x.__setitem__(0, np.ones(3)), ValueError),
    "a list stored in a slice": (lambda xp, x: x.__setitem__(0, [1.0, 2.0, 3.0]), ValueError),
    "a NumPy array stored at indices": (lambda xp, x: x.__setitem__(xp.asarray([0]), np.ones(3)), TypeError),
    "xp.block": (lambda xp, x: xp.block([x, x]), AttributeError),
    "xp.insert": (lambda xp, x: xp.insert(x, 0, 1.0), AttributeError),
    "xp.errstate": (lambda xp, x: xp.errstate(all="ignore"), AttributeError),
    "xp.vecdot": (lambda xp, x: xp.vecdot(x, x), AttributeError),
    "xp.geomspace": (lambda xp, x: xp.geomspace(1, 8, 4), AttributeError),
    "xp.linalg.vector_norm": (lambda xp, x: xp.linalg.vector_norm(x), AttributeError),
    "xp.linalg.outer": (lambda xp, x: xp.linalg.outer(x[0], x[1]), AttributeError),
    "Generator.normal": (lambda xp, x: xp.random.default_rng(0).normal(size=3), AttributeError),
    "Generator.permutation": (lambda xp, x: xp.random.default_rng(0).permutation(3), AttributeError),
    "x.setflags": (lambda xp, x: x.setflags(write=False), AttributeError),
    "x.resize": (lambda xp, x: x.copy().resize(3, 2), AttributeError),
    "x.flags.writeable": (lambda xp, x: x.flags.writeable, AttributeError),
    "x.__array_namespace__": (lambda xp, x: x.__array_namespace__(), AttributeError),
    "a sum with where=": (lambda xp, x: xp.sum(x, where=x > 2), TypeError),
    "a method with where=": (lambda xp, x: x.sum(where=x > 2), TypeError),
    "a maximum with initial=": (lambda xp, x: xp.max(x, initial=0.0), TypeError),
    "a ufunc with where=": (lambda xp, x: xp.exp(x, where=x > 2, out=xp.zeros_like(x)), TypeError),
    "einsum into out": (lambda xp, x: xp.einsum("ij->ji", x, out=xp.zeros((3, 2))), TypeError),
    "astype with casting": (lambda xp, x: x.astype(np.float32, casting="same_kind"), TypeError),
    "maximum.reduce": (lambda xp, x: xp.maximum.reduce(x), NotImplementedError),
    "logical_and.accumulate": (lambda xp, x: xp.logical_and.accumulate(x), NotImplementedError),
    "multiply.at": (lambda xp, x: xp.multiply.at(x, xp.asarray([0]), 2.0), NotImplementedError),
    "add.at on a dtype without atomics": (
        lambda xp, x: xp.add.at(x.astype(np.int16), xp.asarray([0]), 1),
        TypeError,
    ),
    "subtract.at on floats": (lambda xp, x: xp.subtract.at(x, xp.asarray([0]), 1.0), TypeError),
    "an array as a list index": (lambda xp, x: ["a", "b"][x.argmin() * 0], TypeError),
    "an array as a slice bound": (lambda xp, x: x[: x.argmin()], TypeError),
    "an array as a range": (lambda xp, x: list(range(x.argmin())), TypeError),
    "an array of strings": (lambda xp, x: xp.asarray(["a", "b"]), ValueError),
    "another sort": (lambda xp, x: x.argsort(kind="quicksort"), ValueError),
    "a sum as a key": (lambda xp, x: {x.sum(): 1}, TypeError),
}


@pytest.mark.parametrize(("mistake", "error"), MISTAKES.values(), ids=MISTAKES)
def test_mistake_that_numpy_forgives_is_refused(mistake, error):
    mistake(np, values())
    with pytest.raises(error):
        mistake(cupy, cupy.asarray(values()))


# -- waiting for the device --------------------------------------------------------------------------------------------

WAITS = {
    "float": lambda x: float(x[0, 0]),
    "int": lambda x: int(x[0, 0]),
    "bool": lambda x: bool((x > 0).any()),
    "if": lambda x: 1 if x.sum() else 0,
    "item": lambda x: x.max().item(),
    "tolist": lambda x: x.tolist(),
    "get": lambda x: x.get(),
    "asnumpy": lambda x: cupy.asnumpy(x),
    "print": lambda x: f"{x}" + str(x) + repr(x),
    "in": lambda x: 2.0 in x.ravel(),
    "allclose in an if": lambda x: bool(cupy.allclose(x, x)),
    "reading through a mask": lambda x: x[x > 2],
    "writing through a mask": lambda x: x.__setitem__(x > 2, 0.0),
    "a fill with an array": lambda x: x.fill(x.max()),
    "nonzero": lambda x: x.nonzero(),
    "where with one argument": lambda x: cupy.where(x > 2),
    "unique": lambda x: cupy.unique(x),
    "bincount": lambda x: cupy.bincount(x.ravel().astype(int)),
    "repeat by an array": lambda x: cupy.repeat(x[0], cupy.asarray([1, 2, 0])),
    "a synchronized stream": lambda x: cupy.cuda.get_current_stream().synchronize(),
    "a synchronized device": lambda x: cupy.cuda.Device().synchronize(),
}
QUIET = {
    "upload": lambda x: cupy.asarray(np.ones(3)),
    "arithmetic": lambda x: (x * 2 - 1) @ x.T / x.sum(),
    "in place": lambda x: x.__iadd__(x),
    "slices": lambda x: x[0, 1:].__setitem__(0, 5.0),
    "integer arrays": lambda x: x[cupy.asarray([1, 0])].__setitem__(cupy.asarray([1, 0]), 0.0),
    "where with three arguments": lambda x: cupy.where(x > 2, x, 0.0),
    "comparison": lambda x: cupy.allclose(x, x),
    "shape": lambda x: (len(x), x.size, x.dtype, x.flags.owndata, x.data.ptr, cupy.ndim(x)),
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_waiting_is_counted_and_can_be_forbidden(wait):
    x, before = cupy.asarray(values()), synchronizations.count
    wait(x)
    assert synchronizations.count > before
    with forbid_synchronize(), pytest.raises(DeviceSynchronized):
        wait(x)
    wait(x)


@pytest.mark.parametrize("work", QUIET.values(), ids=QUIET)
def test_work_that_need_not_wait_is_not_counted(work):
    before = synchronizations.count
    with forbid_synchronize():
        work(cupy.asarray(values()))
    assert synchronizations.count == before
