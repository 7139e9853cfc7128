"""What programs of `tests/optim_machine_programs.py` are made of: optimizers, schedulers, and lines about them.

Values are written as in a program. The last of several is chosen less often, and may be one that is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Options = Mapping[str, Sequence[str]]

LR = ("0.1", "0.01", "1.0", "0", "1", "T.tensor(0.1)", "T.tensor(0.1, dtype=T.float64)", "T.tensor([0.25])", "-1.0")
DECAY = ("0.1", "0.5", "0.01", "-0.5")
BETAS = ("(0.5, 0.9)", "(0.9, 0.99)", "(0.0, 0.5)", "[0.5, 0.9]", "(0.9, 1.0)")
TENSOR_BETAS = ("(T.tensor(0.5), T.tensor(0.75))", *BETAS)
EPS = ("1e-8", "0.1", "-1e-8")
FLAG = ("True", "True", "False")
FOREACH = {"maximize": FLAG, "foreach": FLAG, "capturable": ("False", "False", "True")}
FUSED = {"maximize": FLAG, "foreach": FLAG, "fused": ("False", "False", "True")}

# The options of each optimizer, with values to choose from. The defaults are what is chosen most.
OPTIMIZERS: dict[str, Options] = {
    "SGD": {
        "momentum": ("0.9", "0.5", "0.5", "-0.5"),
        "dampening": ("0.25", "0"),
        "weight_decay": DECAY,
        "nesterov": FLAG,
        **FUSED,
        "foreach": ("False",),  # else torch changes the gradients
    },
    "Adam": {
        "betas": TENSOR_BETAS,
        "eps": EPS,
        "weight_decay": DECAY,
        "amsgrad": FLAG,
        "decoupled_weight_decay": FLAG,
        **FUSED,
    },
    "AdamW": {"betas": TENSOR_BETAS, "eps": EPS, "weight_decay": DECAY, "amsgrad": FLAG, **FUSED},
    "Adamax": {"betas": BETAS, "eps": EPS, "weight_decay": DECAY, **FOREACH},
    "NAdam": {
        "betas": BETAS,
        "eps": EPS,
        "weight_decay": DECAY,
        "momentum_decay": ("0.5", "0"),
        "decoupled_weight_decay": FLAG,
        **FOREACH,
    },
    "RAdam": {"betas": BETAS, "eps": EPS, "weight_decay": DECAY, "decoupled_weight_decay": FLAG, **FOREACH},
    "Adagrad": {
        "lr_decay": ("0.1", "-1"),
        "weight_decay": DECAY,
        "initial_accumulator_value": ("0.5", "-1"),
        "eps": EPS,
        **FUSED,
    },
    "Adadelta": {"rho": ("0.5", "0.0", "1.5"), "eps": ("1e-6", "0.1"), "weight_decay": DECAY, **FOREACH},
    "RMSprop": {
        "alpha": ("0.5", "0.9"),
        "eps": EPS,
        "weight_decay": DECAY,
        "momentum": ("0.9", "0.5"),
        "centered": FLAG,
        **FOREACH,
    },
    "Rprop": {"etas": ("(0.3, 2.0)", "(1.0, 0.5)"), "step_sizes": ("(0.1, 0.4)", "(1e-3, 2)"), **FOREACH},
    "ASGD": {
        "lambd": ("0.1",),
        "alpha": ("0.5",),
        "t0": ("0", "1.5", "3"),
        "weight_decay": DECAY,
        **FOREACH,
        "foreach": ("False",),  # which rounds otherwise in torch
    },
    "Adafactor": {
        "beta2_decay": ("-0.3", "0", "0.5"),
        "eps": ("(None, 0.5)", "(1e-30, 1e-3)", "(0.1, 0.1)"),
        "d": ("1.5", "0.5"),
        "weight_decay": DECAY,
        "foreach": FLAG,
        "maximize": FLAG,
    },
    "Muon": {
        "weight_decay": DECAY,
        "momentum": ("0.3", "0"),
        "nesterov": ("False",),
        "ns_steps": ("2", "0"),
        "adjust_lr_fn": ('"original"', '"match_rms_adamw"', '"other"'),
    },
    "LBFGS": {
        "max_iter": ("2", "3", "1"),
        "max_eval": ("2", "4"),
        "tolerance_grad": ("0.1", "1e-7"),
        "tolerance_change": ("0.01", "1e-9"),
        "history_size": ("2", "1"),
        "line_search_fn": ('"strong_wolfe"', '"strong_wolfe"', '"other"'),
    },
    "Signed": {},
}

FACTOR = ("0.5", "0.1", "0.9")
FUNCTION = ("lambda t: 1 / (1 + t)", "[lambda t: 0.5**t, lambda t: 1.0]", "lambda t: 0.9")

# Schedulers of an optimizer and options: those that must be given, and after the bar those that may be.
SCHEDULERS: dict[str, tuple[Options, Options]] = {
    "StepLR": ({"step_size": ("2", "1", "3", "0")}, {"gamma": FACTOR}),
    "MultiStepLR": ({"milestones": ("[1, 3]", "[2, 2]", "[]", "[0, 4]")}, {"gamma": FACTOR}),
    "ConstantLR": ({}, {"factor": ("0.5", "0.25", "2.0"), "total_iters": ("2", "3", "0")}),
    "LinearLR": (
        {},
        {"start_factor": ("0.25", "0.5", "0"), "end_factor": ("0.5", "0.0", "2"), "total_iters": ("2", "3", "0")},
    ),
    "ExponentialLR": ({"gamma": FACTOR}, {}),
    "PolynomialLR": ({}, {"total_iters": ("3", "2", "1"), "power": ("2.0", "0.5")}),
    "CosineAnnealingLR": ({"T_max": ("3", "2", "1")}, {"eta_min": ("0.01", "0.2")}),
    "CosineAnnealingWarmRestarts": ({"T_0": ("2", "1", "3", "0")}, {"T_mult": ("2", "3"), "eta_min": ("0.01",)}),
    "CyclicLR": (
        {"base_lr": ("0.1", "[0.1, 0.2]"), "max_lr": ("0.5", "1.0", "[0.5, 1.0]"), "step_size_up": ("2", "3", "1")},
        {
            "step_size_down": ("1", "3"),
            "mode": ('"triangular2"', '"exp_range"', '"square"'),
            "gamma": ("0.9",),
            "scale_fn": ("lambda x: 1 / (1 + x)",),
            "scale_mode": ('"iterations"',),
            "cycle_momentum": ("False", "False", "True"),
            "base_momentum": ("0.5",),
        },
    ),
    "OneCycleLR": (
        {"max_lr": ("0.5", "[0.5, 1.0]")},
        {
            "total_steps": ("5", "8", "3", "0"),
            "epochs": ("2",),
            "steps_per_epoch": ("3",),
            "pct_start": ("0.5", "0.25"),
            "anneal_strategy": ('"linear"', '"sine"'),
            "cycle_momentum": ("False", "False", "True"),
            "base_momentum": ("0.5",),
            "div_factor": ("4.0",),
            "three_phase": FLAG,
        },
    ),
    "LambdaLR": ({"lr_lambda": FUNCTION}, {}),
    "MultiplicativeLR": ({"lr_lambda": FUNCTION}, {}),
    "ReduceLROnPlateau": (
        {},
        {
            "mode": ('"max"', '"min"', '"best"'),
            "factor": ("0.5", "1.0"),
            "patience": ("0", "1"),
            "threshold": ("0.3", "0.0"),
            "threshold_mode": ('"abs"',),
            "cooldown": ("1",),
            "min_lr": ("0.02", "[0.01, 0.02]", "[0.05]"),
            "eps": ("0.04",),
        },
    ),
    "Halving": ({}, {}),
    "Warmup": ({"steps": ("2", "3")}, {}),
}

# Parameters; <dtype> is float64 or the default.
PARAMETERS = """\
T.tensor([1.0, -0.5]<dtype>)
T.tensor([[1.0, -0.5, 0.25], [2.0, 0.0, -1.5]]<dtype>)
T.tensor(0.75<dtype>)
T.tensor([[1.0, -0.5, 0.25], [2.0, 0.0, -1.5]]<dtype>).t()
T.arange(6.0<dtype>)[::2]
T.full((1, 2, 2), -0.5<dtype>)
T.zeros(0<dtype>)
T.nn.Parameter(T.ones(2, 2<dtype>))
<p>.detach()
<p>.detach().double()"""

# Lines of a kind, and how often the kind is chosen. <p> and <q>, <o>, <s> and <d> stand for any parameters, optimizer,
# scheduler and saved state of an optimizer, <group> for a group of an optimizer.
LINES = {
    # gradients
    """\
fill(<o>, <k>)""": 12,
    """\
[(fill(<o>, k), <o>.step()) for k in range(7)]
[(fill(<o>, k), <o>.step(), <s>.step()) for k in range(3)]
[(<o>.step(), <s>.step()) for _ in range(5)]""": 3,
    """\
<p>.grad = T.ones_like(<p>)
<p>.grad = None
<p>.grad = T.zeros_like(<p>)
<p>.grad = T.full_like(<p>, -0.26)
<p>.grad = T.full_like(<p>, 1e-30)
<p>.grad = T.full_like(<p>, float("inf"))
<p>.grad = T.full_like(<p>, float("nan"))
<p>.grad = T.ones(5, dtype=<p>.dtype)
<p>.grad = <p>.detach().double()
<p>.grad = 1.0
<p>.grad.mul_(2)
((<p> * <p>).sum() + <q>.sum()).backward()
((<p> * <p>).sum() + <q>.sum()).backward()
T.nn.utils.clip_grad_norm_([<p>], 0.5)
<o>.zero_grad()
<o>.zero_grad(set_to_none=False)""": 6,
    # what may be edited by hand
    """\
<group>["lr"] = <number>
<group>["lr"] *= 0.5
<group>["lr"] = T.tensor(<number>)
<group>["lr"] = T.tensor(<number>, dtype=T.float64)
<group>["momentum"] = <number>
<group>["betas"] = (0.25, <beta>)
<group>["weight_decay"] = <number>
<group>["params"][0].grad = None
<group>["params"][-1].grad = None
<group>["params"][0].data = <group>["params"][0].data.clone()""": 4,
    """\
<group>["weight_decay"] = T.tensor(<number>)
<group>["maximize"] = True
<group>["amsgrad"] = True
<group>["nesterov"] = True
<group>["centered"] = True
<group>["initial_lr"] = <number>
<group>["note"] = "mine"
del <group>["lr"]
<group>["params"].pop()""": 2,
    """\
with T.no_grad(): <p>.mul_(0.5)
<p>.data.add_(0.25)
<p>.data.fill_(1.0)
<p>.data = <p>.data.clone()
<p>.data = <p>.data.double(); <p>.grad = None
<p>.requires_grad_(False)
<p>.requires_grad_()
<p>.detach_()""": 3,
    """\
<o>.add_param_group({"params": [<p>]})
<o>.add_param_group({"params": <p>})
<o>.add_param_group({"params": [<p>], "lr": 0.25})
<o>.add_param_group({"params": [<p>], "lr": 0.25, "initial_lr": 0.5})
<o>.add_param_group({"params": [("extra", <p>)]})
<o>.add_param_group({"params": [<p> * 2]})
<o>.add_param_group({"params": [<p>, <p>]})
<o>.add_param_group({"params": [<p>, <q>]})
<o>.add_param_group({"params": {<p>}})
<o>.add_param_group({"params": []})
<o>.add_param_group({"lr": 0.5})
<o>.add_param_group([<p>])""": 2,
    """\
<o>.state.clear()
<o>.state[<p>]
<o>.state[<p>].clear()
<o>.state[<p>]["note"] = 3
<o>.state[<p>].update(copy.deepcopy(<o>.state[<q>]))
<o>.state[<p>]["step"] += 1
<o>.state[<p>]["exp_avg"].zero_()
<o>.state["note"] = 5""": 2,
    """\
<s>.last_epoch = 2
<s>.base_lrs = [0.5]
<s>.factor = 0.25""": 1,
    """\
<d>["param_groups"][0]["lr"] = 0.375
<d>["param_groups"].pop()
<d>["param_groups"][0]["params"].pop()
<d>["param_groups"][0]["param_names"] = ["a"]
del <d>["param_groups"][0]["lr"]
del <d>["param_groups"][0]["maximize"]
<d>["state"].pop(0)
<d>["state"][0] = {n: v.double() if T.is_tensor(v) else v for n, v in <d>["state"][0].items()}
<d>["state"][0] = {n: v.item() if T.is_tensor(v) else v for n, v in <d>["state"][0].items()}
<d>["state"]["note"] = T.ones(1)
del <d>["state"]""": 2,
    # looking
    """\
<o>.register_step_pre_hook(lambda o, args, kwargs: log.append(len(args)))
<o>.register_step_post_hook(lambda o, args, kwargs: log.append(sorted(kwargs)))
<o>.register_step_post_hook(lambda o, args, kwargs: o.zero_grad())
<o>.register_state_dict_pre_hook(lambda o: log.append(len(o.state)))
<o>.register_state_dict_post_hook(lambda o, saved: {**saved, "extra": 1})
<o>.register_load_state_dict_pre_hook(lambda o, saved: log.append(sorted(saved)))
<o>.register_load_state_dict_post_hook(lambda o: log.append(o.param_groups[0]["lr"]))""": 2,
    """\
log.append(repr(<o>))
log.append(<s>.get_lr())
log.append(<s>.get_last_lr())
log.append(<s>.last_epoch)
del <o>
del <d>""": 2,
}
