"""Gradient modes: whether operations are recorded. Thread-local; contexts, decorators, around generators."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable
from typing import Any


class _Mode(threading.local):
    grad = True  # results of differentiable operations get a history
    inference = False  # new tensors are inference tensors: no history, no version counter
    watcher: Any = None  # told of every node recorded: anomaly detection, hooks on saved tensors
    recording: Any = True  # the three in one, for recorders: None in inference mode, False, True, or the watcher
    hooks_refused: str | None = None  # why no hooks on saved tensors may be asked for
    walk: Any = None  # the backward walk that is going on


mode = _Mode()


def set_mode(grad: bool, inference: bool, watcher: Any) -> None:
    """Switch this thread's modes."""
    mode.grad, mode.inference, mode.watcher = grad, inference, watcher
    mode.recording = None if inference else (watcher or True) if grad else False


def is_grad_enabled() -> bool:
    """True if operations are being recorded in this thread."""
    return mode.grad


def is_inference_mode_enabled() -> bool:
    """True inside `inference_mode()`."""
    return mode.inference


class _ModeContext:
    """Sets `grad` and `inference` while it is entered, as a context, as a decorator, and around generators."""

    def __init__(self, grad: bool, inference: bool | None = None) -> None:
        self.grad, self.inference = grad, inference
        self.previous: list[tuple[bool, bool]] = []

    def __enter__(self) -> None:
        self.previous.append((mode.grad, mode.inference))
        set_mode(self.grad, mode.inference if self.inference is None else self.inference, mode.watcher)

    def __exit__(self, *exc: object) -> None:
        set_mode(*self.previous.pop(), mode.watcher)

    def _again(self) -> _ModeContext:
        """A fresh context of the same effect, so that one decorated function may run in several threads."""
        return _ModeContext(self.grad, self.inference)

    def __call__(self, function: Callable) -> Callable:
        if inspect.isgeneratorfunction(function):
            return self._around_generator(function)

        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return wrapped

    def _around_generator(self, function: Callable) -> Callable:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            generator = function(*args, **kwargs)
            step, sent = generator.send, None
            while True:
                try:
                    with self._again():
                        value = step(sent)
                except StopIteration as stop:
                    return stop.value
                try:
                    step, sent = generator.send, (yield value)
                except GeneratorExit:
                    with self._again():
                        generator.close()
                    raise
                except BaseException as error:
                    step, sent = generator.throw, error

        return wrapped


class _Switch(_ModeContext):
    """A mode that takes no argument, so `@no_grad` works as well as `@no_grad()`."""

    effect: tuple[bool, bool | None]

    def __new__(cls, function: Callable | None = None) -> Any:
        context = object.__new__(cls)
        if function is None:
            return context
        context.__init__()  # type: ignore[misc]
        return context(function)

    def __init__(self, function: Callable | None = None) -> None:
        super().__init__(*self.effect)


class no_grad(_Switch):
    """Do not record: results need no gradient whatever their inputs do."""

    effect = (False, None)


class enable_grad(_Switch):
    """Record again, inside `no_grad()`."""

    effect = (True, None)


class set_grad_enabled(_ModeContext):
    """`set_grad_enabled(flag)` switches recording at once, and back at the end when used as a context or decorator."""

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self.at_call = is_grad_enabled()
        _set_grad(bool(mode))

    def __enter__(self) -> None:
        self.previous.append((self.at_call, is_inference_mode_enabled()))
        _set_grad(self.grad)

    def __call__(self, function: Callable) -> Callable:
        _set_grad(self.at_call)
        return super().__call__(function)


def _set_grad(flag: bool) -> None:
    set_mode(flag, mode.inference, mode.watcher)


class inference_mode(_ModeContext):
    """`no_grad` whose new tensors can never enter a graph: no history, no version counter."""

    def __new__(cls, mode: Any = True) -> Any:
        context = object.__new__(cls)
        if not callable(mode):
            return context
        context.__init__(True)  # type: ignore[misc]
        return context(mode)

    def __init__(self, mode: bool = True) -> None:
        super().__init__(not mode, bool(mode))
