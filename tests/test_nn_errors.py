"""What layers refuse, in torch's types and words: settings that make no sense, and inputs that do not fit."""

from __future__ import annotations

import pytest

from tests.lockstep import attempt, same

SETTINGS = """
Linear(-1, 1)
Linear(2, "a")
Bilinear(0, 3, 4)
Unflatten(1, 3)
Unflatten(1, (2, "a"))
Conv2d(3, 4, 3, groups=2)
Conv2d(4, 3, 3, groups=2)
Conv2d(4, 4, 3, groups=0)
Conv2d(4, 4, 3, padding="same", stride=2)
Dropout(2)
Dropout2d(-0.1)
Hardtanh(1, 1)
Embedding(3, 4, padding_idx=5)
Embedding(3, 4, padding_idx=-5)
Embedding(3, 4, _weight=torch.ones(2, 2))
Embedding.from_pretrained(torch.ones(2))
GroupNorm(3, 4)
LSTM(3, 0)
LSTM(0, 4)
LSTM(3, 4, num_layers=0)
LSTM(3, 4.0)
LSTM(3, 4, dropout=2.0)
LSTM(3, 4, dropout=True)
GRU(3, 4, proj_size=0)
RNN(3, 4, proj_size=2)
RNN(3, 4, nonlinearity="cosine")
MSELoss(reduction="middle")
NLLLoss(weight=[1.0])
""".strip().splitlines()


@pytest.mark.parametrize("text", SETTINGS)
def test_settings_that_make_no_sense(text):
    def program(T):
        return repr(eval(f"nn.{text}", {"nn": T.nn, "torch": T}))

    same(program)


@pytest.mark.parametrize("name", ["padding", "padding_mode"])
def test_conv_names_what_it_knows(name):
    """The names are listed in an order that changes from run to run in torch."""

    def program(T):
        outcome = attempt(lambda: T.nn.Conv2d(4, 4, 3, **{name: "sideways"}))
        outcome.text = outcome.text.split(" one of")[0]
        return outcome

    same(program)


CALLS = {
    "Linear(2, 1)": ["(3, 3)", "(2, 2).double()", "3"],
    "Bilinear(2, 3, 4)": ["(5, 2), randn(5, 2)", "(5, 2), randn(4, 3)", "(5, 2), randn(3)"],
    "Conv2d(3, 4, 3)": ["(1, 1, 8, 8)", "(8, 8)", "(1, 3, 2, 8)", "(1, 3, 8, 8).double()", "(1, 3, 8, 8).long()"],
    "Conv1d(3, 4, 3)": ["(1, 2, 8, 8)", "(3, 2)"],
    "MaxPool2d(2)": ["(4, 4)", "(1, 1, 1, 1)", "(1, 0, 4, 4)"],
    "MaxPool2d(2, padding=2)": ["(1, 4, 4)"],
    "MaxPool2d((2, 2, 2))": ["(1, 4, 4)"],
    "AvgPool2d(2)": ["(4, 4)"],
    "AvgPool3d(2)": ["(1, 4, 1, 4)"],
    "AvgPool1d(2)": ["(4)"],
    "AvgPool2d(2, divisor_override=0)": ["(1, 4, 4)"],
    "AdaptiveAvgPool2d((2, 2, 2))": ["(1, 4, 4, 4)", "(4, 4)"],
    "BatchNorm1d(2)": ["(1, 2)", "(3, 3)", "(3)", "(3, 2, 2, 2)", "(3, 2).long()"],
    "BatchNorm2d(2)": ["(3, 2)"],
    "BatchNorm3d(2)": ["(3, 2)"],
    "LayerNorm((2, 3))": ["(3, 2)", "(4, 3, 2)"],
    "GroupNorm(2, 4)": ["(3, 6)", "(4)"],
    "PReLU(3)": ["(2, 2)"],
    "Softmax2d()": ["(3)"],
    "Softmax(5)": ["(2, 2)"],
    "Softmax(1)": ["(2, 2).long()"],
    "GLU()": ["(3)"],
    "Dropout1d()": ["(3)"],
    "Dropout()": ["(3).long()"],
    "Embedding(3, 4)": ["(2)", "(2).bool()", "(1).long() + 3", "(1).long() - 4"],
    "LSTM(3, 4)": [
        "(2, 3, 4)",
        "(3)",
        "(2, 2, 3, 3)",
        "(2, 3, 3), (randn(1, 3, 4), randn(1, 2, 4))",
        "(2, 3, 3), (randn(2, 3, 4), randn(1, 3, 4))",
        "(2, 3, 3), (randn(3, 4), randn(3, 4))",
        "(2, 3), (randn(1, 1, 4), randn(1, 1, 4))",
        "(2, 3, 3).double()",
    ],
    "GRU(3, 4)": ["(2, 3, 3), randn(1, 2, 4)", "(2, 3, 3), randn(3, 4)"],
    "CrossEntropyLoss()": [
        "(2, 3), tensor([0, 1, 2])",
        "(2, 3), tensor([0, 3])",
        "(2, 3), tensor([0, -1])",
        "(2, 3), tensor([0.0, 1.0])",
    ],
    "BCELoss()": ["(2, 3), randn(2)", "(2) + 9, randn(2)"],
    "MSELoss(reduction='middle')": ["(2), randn(2)"],
    "HuberLoss(delta=0)": ["(2), randn(2)"],
    "SmoothL1Loss(beta=-1)": ["(2), randn(2)"],
    "Unflatten(1, (2, 2))": ["(3, 5)"],
    "Flatten(3)": ["(2, 2)"],
}


@pytest.mark.parametrize("call", [f"{module} of {x}" for module, calls in CALLS.items() for x in calls])
def test_inputs_that_do_not_fit(call):
    def program(T):
        T.manual_seed(0)
        module, _, given = call.partition(" of ")
        layer = eval(f"nn.{module}", {"nn": T.nn, "torch": T})
        first = f"randn{given}" if given.startswith("(") else given
        return layer(*eval(f"({first},)", {"randn": T.randn, "tensor": T.tensor}))

    same(program)


def test_a_module_is_no_list():
    same(lambda T: T.nn.Linear(1, 1)[0])
    same(lambda T: len(T.nn.Linear(1, 1)))


def test_a_softmax_without_dim_warns():
    same(lambda T: T.nn.Softmax()(T.ones(2, 2)))


def test_old_arguments_of_losses_warn():
    def program(T):
        nn = T.nn
        losses = nn.MSELoss(size_average=False), nn.L1Loss(reduce=False), nn.CrossEntropyLoss(size_average=True)
        return [loss.reduction for loss in losses]

    same(program)


def test_dropout_between_layers_wants_two_of_them():
    same(lambda T: repr(T.nn.LSTM(3, 4, dropout=0.2)))


def test_instance_norm_of_no_samples_is_empty():
    same(lambda T: T.nn.functional.instance_norm(T.zeros(0, 3, 4, 4)))
