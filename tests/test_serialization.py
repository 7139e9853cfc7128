"""`save` and `load`: torch reads ours, we read torch's, and a bad file or a bad path gives one clear error."""

import pickle
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import minigrad
from minigrad import backend
from minigrad.nn.parameter import Parameter
from tests.pt_files import by_torch, loaded, saved

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]

# -- objects to save, built alike on both engines ----------------------------------------------------------------------


class Spec:
    """A tensor to be made: an array, perhaps strided, whether it wants a gradient, whether it is a Parameter."""

    def __init__(self, array, requires_grad=False, parameter=False):
        self.array, self.requires_grad, self.parameter = array, requires_grad, parameter

    def __repr__(self):
        return f"Spec({self.array.dtype}, {self.array.shape}, strides {self.array.strides})"

    def build(self, T):
        tensor = T.from_numpy(self.array)
        if self.parameter:
            return (T.nn.Parameter if T is torch else Parameter)(tensor, self.requires_grad)
        return tensor.requires_grad_(self.requires_grad)


def build(spec, T):
    """The object that `spec` describes, of library T."""
    if isinstance(spec, Spec):
        return spec.build(T)
    if isinstance(spec, str) and spec.startswith("dtype:"):
        return getattr(T, spec[6:])
    if type(spec) in (OrderedDict, dict):
        return type(spec)((key, build(value, T)) for key, value in spec.items())
    if type(spec) in (list, tuple):
        return type(spec)(build(value, T) for value in spec)
    return spec


@st.composite
def tensors(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=3)))
    dtype = draw(st.sampled_from(DTYPES))
    array = rng.integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)
    if draw(st.booleans()):  # a view: other order of dims, a part, steps, a repeated dim
        array = array.transpose(rng.permutation(array.ndim))
        array = array[(..., *(slice(draw(st.integers(0, 1)), None, draw(st.integers(1, 2))) for _ in array.shape))]
    floating = dtype.startswith("float")
    return Spec(array, floating and draw(st.booleans()), floating and draw(st.booleans()))


keys = st.text(max_size=5) | st.integers(-(2**70), 2**70)
leaves = (
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.complex_numbers() | st.text(max_size=8)
    | st.binary(max_size=8) | st.binary(max_size=8).map(bytearray) | st.sets(st.integers(), max_size=3)
    | st.sampled_from([f"dtype:{name}" for name in DTYPES]) | st.text("ab", max_size=4).map(Counter) | tensors()
)  # fmt: skip
objects = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple)
    | st.dictionaries(keys, inner, max_size=4) | st.dictionaries(keys, inner, max_size=4).map(OrderedDict),
    max_leaves=8,
)  # fmt: skip


def same(a, b):
    """Equal in type and value, tensors by dtype, shape, strides, flags and bits, whichever library they are of."""
    if isinstance(a, (torch.Tensor, minigrad.Tensor)):
        assert isinstance(b, (torch.Tensor, minigrad.Tensor))
        assert isinstance(a, (torch.nn.Parameter, Parameter)) == isinstance(b, (torch.nn.Parameter, Parameter))
        assert str(a.dtype) == str(b.dtype)
        assert tuple(a.shape) == tuple(b.shape)
        if a.numel():
            assert [s for n, s in zip(a.shape, a.stride()) if n > 1] == [
                s for n, s in zip(b.shape, b.stride()) if n > 1
            ]
        assert a.requires_grad == b.requires_grad
        assert a.detach().numpy().tobytes() == b.detach().numpy().tobytes()
    elif isinstance(a, (dict, list, tuple)):
        assert type(a).__name__ == type(b).__name__
        assert len(a) == len(b)
        items = zip(a.items(), b.items()) if isinstance(a, dict) else zip(a, b)
        for x, y in items:
            same(x, y)
    elif isinstance(a, (backend.dtype, backend.device, torch.dtype, torch.device)):
        assert repr(a) == repr(b)
    else:
        assert type(a) is type(b)
        assert a == b or pickle.dumps(a) == pickle.dumps(b)  # nan equals nan


@given(objects)
@example(OrderedDict(a=Spec(np.array(2, np.float32)), b=[Spec(np.zeros((0, 3)))]))
def test_what_is_saved_is_loaded(spec):
    same(loaded(saved(build(spec, minigrad))), build(spec, minigrad))


@given(objects)
def test_torch_loads_ours(spec):
    same(by_torch(saved(build(spec, minigrad))), build(spec, torch))


@given(objects)
def test_we_load_torchs(spec):
    same(loaded(saved(build(spec, torch), torch.save)), build(spec, minigrad))


@given(objects)
def test_through_both_and_back(spec):
    same(loaded(saved(by_torch(saved(build(spec, minigrad))), torch.save)), build(spec, minigrad))


@given(objects)
def test_equal_objects_give_equal_files(spec):
    assert saved(build(spec, minigrad)) == saved(build(spec, minigrad))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_bit_for_bit(dtype):
    kind = np.dtype(dtype)
    bits = np.arange(256, dtype=np.uint8).repeat(8)[: 256 * kind.itemsize]
    array = bits % 2 == 1 if dtype == "bool" else bits.view(kind)
    assert loaded(saved(torch.from_numpy(array), torch.save)).array.tobytes() == array.tobytes()
    assert by_torch(saved(minigrad.from_numpy(array))).numpy().tobytes() == array.tobytes()


def test_size_and_device():
    ours = {"size": minigrad.zeros(2, 3).shape, "where": [minigrad.device("cpu"), minigrad.device("cuda:1")]}
    theirs = {"size": torch.Size([2, 3]), "where": [torch.device("cpu"), torch.device("cuda:1")]}
    for back in (loaded(saved(ours)), loaded(saved(theirs, torch.save))):
        assert repr(back) == repr(ours)
        assert back["where"] == ours["where"]
    assert by_torch(saved(ours)) == theirs


def test_a_result_is_loaded_as_a_leaf_that_wants_a_gradient():
    result = minigrad.ones(2, requires_grad=True) * 2
    for data in (saved(result), saved(torch.ones(2, requires_grad=True) * 2, torch.save)):
        back = loaded(data)
        assert back.is_leaf
        assert back.requires_grad
    assert by_torch(saved(result)).requires_grad


# -- memory ------------------------------------------------------------------------------------------------------------


def shared(T):
    whole = T.from_numpy(np.arange(12.0).reshape(3, 4))
    part = T.from_numpy(whole.numpy()[1:, ::2]) if T is minigrad else whole[1:, ::2]
    return {"whole": whole, "again": whole, "part": part, "apart": T.from_numpy(np.arange(3))}


@pytest.mark.parametrize(
    "read",
    [
        lambda: loaded(saved(shared(minigrad))),
        lambda: loaded(saved(shared(torch), torch.save)),
        lambda: by_torch(saved(shared(minigrad))),
        lambda: loaded(saved(loaded(saved(shared(minigrad))))),  # still after a second round
        lambda: by_torch(saved(loaded(saved(shared(torch), torch.save)))),
    ],
)
def test_shared_memory_stays_shared(read):
    back = read()
    assert back["whole"] is back["again"]
    back["whole"].numpy()[1, 2] = -7
    assert back["part"].numpy().tolist() == [[4, -7], [8, 10]]
    assert back["apart"].numpy().tolist() == [0, 1, 2]
    back["part"].numpy()[0, 0] = -8
    assert back["whole"].numpy()[1, 0] == -8


def test_shared_memory_is_written_once():
    row = minigrad.from_numpy(np.zeros(10_000))
    assert len(saved([row, minigrad.from_numpy(row.array[5:]), Parameter(row)])) < 82_000


def test_a_tied_weight_stays_tied():
    weight = Parameter(minigrad.ones(2, 2))
    back = loaded(saved({"a": weight, "b": weight, "c": [weight]}))
    assert back["a"] is back["b"] is back["c"][0]
    assert loaded(saved([[weight], [weight]]))[0][0].requires_grad


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6)[::-1],
        np.arange(6.0).view(np.int64),
        np.zeros(3, [("a", "f4"), ("b", "f8")])["b"],
        np.frombuffer(bytes(range(17)), np.uint8)[1:].view(np.float32),
        np.broadcast_to(np.float32(3), (2, 3)),
    ],
    ids=["reversed", "another dtype", "of a record", "misaligned", "repeated"],
)
def test_arrays_that_torch_has_not(array):
    for back in (loaded(saved(minigrad.from_numpy(array))), by_torch(saved(minigrad.from_numpy(array)))):
        np.testing.assert_array_equal(back.numpy(), array)


def test_loaded_tensors_can_be_written_to():
    back = loaded(saved({"x": minigrad.ones(2)}))["x"]
    back.array[0] = 5
    assert back.tolist() == [5, 1]


# -- whole training states ---------------------------------------------------------------------------------------------


def torch_model():
    return torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 2))


def steps(model, optimizer, n):
    for i in range(n):
        optimizer.zero_grad()
        model(torch.arange(15.0).reshape(5, 3) * (i + 1)).square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("kind", ["Adam", "SGD", "RMSprop", "Adagrad"])
def test_a_torch_checkpoint_through_minigrad_resumes_bit_for_bit(kind):
    make = {"SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9)}
    make = make.get(kind, lambda p: getattr(torch.optim, kind)(p, lr=0.01))
    torch.manual_seed(0)
    model = torch_model()
    optimizer = make(model.parameters())
    steps(model, optimizer, 3)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "best": 0.5}
    back = by_torch(saved(loaded(saved(state, torch.save))))
    assert back["model"]._metadata == state["model"]._metadata
    again = torch_model()
    again.load_state_dict(back["model"])
    resumed = make(again.parameters())
    resumed.load_state_dict(back["optimizer"])
    steps(model, optimizer, 3)
    steps(again, resumed, 3)
    same(again.state_dict(), model.state_dict())
    assert (back["epoch"], back["best"]) == (3, 0.5)


def model_and_optimizer(T):
    T.manual_seed(0)
    model = T.nn.Sequential(T.nn.Linear(3, 4), T.nn.BatchNorm1d(4), T.nn.Tanh(), T.nn.Linear(4, 2))
    return model, T.optim.Adam(model.parameters(), lr=0.01, amsgrad=True)


def train(T, model, optimizer, n):
    losses = []
    for i in range(n):
        optimizer.zero_grad()
        loss = model(T.arange(15.0).reshape(5, 3) * (i + 1)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("first", [minigrad, torch], ids=lambda T: T.__name__)
@pytest.mark.parametrize("second", [minigrad, torch], ids=lambda T: T.__name__)
def test_training_begun_on_one_engine_goes_on_on_another(first, second):
    model, optimizer = model_and_optimizer(first)
    train(first, model, optimizer, 3)
    data = saved({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, first.save)
    state = (loaded if second is minigrad else by_torch)(data)
    again, resumed = model_and_optimizer(second)
    again.load_state_dict(state["model"])
    resumed.load_state_dict(state["optimizer"])
    expected, got = train(first, model, optimizer, 3), train(second, again, resumed, 3)
    if first is second:
        assert got == expected
    np.testing.assert_allclose(got, expected, rtol=1e-5)  # float32, six steps of each
