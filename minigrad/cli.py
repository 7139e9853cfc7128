"""The command `minigrad`: `run` a PyTorch script, `train` a network of the tutorials, `compare` its training with
torch's, `bench` to time it beside torch."""

from __future__ import annotations

import argparse
import importlib
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import minigrad
from minigrad import serialization
from minigrad.comparison import EpochReport, compare, import_torch
from minigrad.run import run_script
from minigrad.training import NETWORKS, OPTIMIZERS, Run, Settings, load_data

BAR = 24
RUN = "Run a PyTorch script, unmodified: `import torch` and `import torchvision` give minigrad."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status (1 after an error that was reported in one line)."""
    options = _parser().parse_args(arguments)
    if options.command == "run" and os.path.isfile(options.script):  # whose errors are its own
        run_script(options.script, options.arguments)
        return 0
    try:
        options.run(options)
    except (OSError, ValueError, RuntimeError, AssertionError, ModuleNotFoundError) as error:
        print(f"minigrad {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="minigrad", description="Train small networks with minigrad.")
    parser.add_argument("--version", action="version", version=f"minigrad {minigrad.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    script = commands.add_parser("run", help="run a PyTorch script on minigrad", description=RUN)
    script.set_defaults(run=lambda options: run_script(options.script, options.arguments))
    script.add_argument("script", help="a Python file that imports torch")
    script.add_argument("arguments", nargs=argparse.REMAINDER, help="what the script finds in sys.argv")
    defaults = Settings()
    for name, run, text in (
        ("train", _train, "train a network of the tutorials, and save a checkpoint"),
        ("compare", _compare, "train on minigrad and on torch in lock-step, and show the differences"),
    ):
        command = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        command.set_defaults(run=run)
        add = command.add_argument
        one_of = "one of %(choices)s; default: %(default)s"
        add("--network", metavar="NAME", choices=NETWORKS, default=defaults.network, help=one_of)
        add(
            "--data",
            help="fashion or digits (embedded), line, or a folder of IDX files; default: what fits the network",
        )
        add("--optimizer", metavar="NAME", choices=OPTIMIZERS, default=defaults.optimizer, help=one_of)
        add("--lr", type=float, default=defaults.lr, help="learning rate; default: %(default)s")
        add("--epochs", type=_positive, default=defaults.epochs if name == "train" else 5, help="default: %(default)s")
        add("--batch-size", type=_positive, default=defaults.batch_size, help="default: %(default)s")
        add("--device", default=defaults.device, help="cpu or cuda; default: %(default)s")
        dtype = "float32" if name == "train" else "float64"  # in which rounding stays below what a mistake would show
        add("--dtype", metavar="NAME", choices=("float32", "float64"), default=dtype, help=one_of)
        add("--seed", type=int, default=defaults.seed, help="default: %(default)s")
        if name == "train":
            add("--checkpoint", default="checkpoint.pt", help="where to save the trained state; default: %(default)s")
    # Its options are those of benchmarks/, so none is one here.
    bench = commands.add_parser("bench", help="time it beside torch and others", add_help=False, prefix_chars="\0")
    bench.set_defaults(run=_bench)
    bench.add_argument("arguments", nargs="*")
    return parser


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of at least 1, not {text!r}")
    return number


def _settings(options: argparse.Namespace) -> Settings:
    data = options.data or ("line" if options.network == "linear" else "fashion")
    if (options.network == "linear") != (data == "line"):
        raise ValueError(
            f"the network {options.network} does not fit the data {data}: `linear` goes with `line`, and only so"
        )
    if not 0 < options.lr < math.inf:
        raise ValueError(f"Invalid learning rate: {options.lr}; it must be a positive number")
    return Settings(
        options.network,
        data,
        options.optimizer,
        options.lr,
        options.epochs,
        options.batch_size,
        options.device,
        options.dtype,
        options.seed,
    )


def _check_writable(path: str) -> None:
    """OSError if the checkpoint could not be saved as `path`: better before the training than after it."""
    folder = os.path.dirname(os.path.abspath(path))
    if not path or os.path.isdir(path):
        reason = "that names no file"
    elif not os.path.isdir(folder):
        reason = f"there is no folder {folder}"
    elif not os.access(folder, os.W_OK):
        reason = f"no permission to write in {folder}"
    else:
        return
    raise OSError(f"cannot write the checkpoint {path!r}: {reason}; choose another path with --checkpoint")


def _train(options: argparse.Namespace) -> None:
    settings = _settings(options)
    _check_writable(options.checkpoint)
    data = load_data(settings.data)
    run = Run(minigrad, settings, data)
    count = sum(p.numel() for p in run.model.parameters())
    print(f"{settings.network}: {count:,} parameters, {_how(settings)}")
    print(f"{settings.data}: {len(data.train[0]):,} training and {len(data.test[0]):,} test samples")
    start = time.perf_counter()
    for epoch in range(1, settings.epochs + 1):
        for seen in run.epoch():
            _bar(epoch, seen, len(data.train[0]))
        loss, accuracy = run.evaluate()
        right = "" if run.regression else f"  test accuracy {accuracy:6.1%}"
        print(f"epoch {epoch:3d}  loss {run.loss:.6f}  test loss {loss:.6f}{right}  {run.seconds:5.1f} s", flush=True)
    print(f"trained in {time.perf_counter() - start:.1f} s")
    state = {
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "epoch": settings.epochs,
        "settings": vars(settings),
    }
    serialization.save(state, options.checkpoint)
    print(f"saved {options.checkpoint}")


def _compare(options: argparse.Namespace) -> None:
    settings = _settings(options)
    torch = import_torch()
    data = load_data(settings.data)
    print(f"minigrad {minigrad.__version__} and torch {torch.__version__}, torch's threads: {torch.get_num_threads()}")
    print(f"{settings.network} on {settings.data}: {_how(settings)}")
    print(f"\n{'':5}  {'loss':^19}  {'test accuracy':^15}  {'relative difference':^19}  {'seconds':^14}")
    print(f"epoch  {'minigrad':>9} {'torch':>9}  {'minigrad':>8} {'torch':>6}  {'gradient':>9} {'parameter':>9}  "
          f"{'minigrad':>8} {'torch':>5}")  # fmt: skip
    epoch = 1
    for report in compare(settings, data):
        if isinstance(report, EpochReport):
            (a, b), (s, t) = report.losses, report.seconds
            p, q = ("-" if math.isnan(right) else f"{right:.1%}" for right in report.accuracies)
            print(f"{epoch:5d}  {a:9.6f} {b:9.6f}  {p:>8} {q:>6}  {report.gradient_difference:9.1e} "
                  f"{report.parameter_difference:9.1e}  {s:8.2f} {t:5.2f}", flush=True)  # fmt: skip
            epoch += 1
        else:
            _bar(epoch, report, len(data.train[0]))


def _bench(options: argparse.Namespace) -> None:
    """Hand over to the folder `benchmarks`: in a checkout beside this package, in an installed one within it."""
    package = Path(minigrad.__file__).resolve().parent
    for folder in (package / "bench", package.parent):
        if (folder / "benchmarks" / "cli.py").is_file():
            sys.path.insert(0, str(folder))
            return importlib.import_module("benchmarks.cli").main(options.arguments)
    raise ModuleNotFoundError("this installation lacks the folder `benchmarks`; run it in a checkout")


def _how(settings: Settings) -> str:
    """The settings of the training that are not its network and data."""
    return (
        f"{settings.optimizer}, lr {settings.lr:g}, batch {settings.batch_size}, {settings.dtype}, "
        f"{settings.device}, seed {settings.seed}"
    )


def _bar(epoch: int, seen: int, total: int) -> None:
    """A progress bar on a terminal, wiped at the end of the epoch."""
    if not sys.stderr.isatty():
        return
    done = BAR * seen // total
    text = f"\repoch {epoch:3d}  [{'#' * done}{'.' * (BAR - done)}] {seen:,}/{total:,}"
    sys.stderr.write(text if seen < total else "\r" + " " * len(text) + "\r")
    sys.stderr.flush()
