"""Hooks of a module: functions called around `forward`, `backward`, `state_dict` and `load_state_dict`."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from minigrad.autograd.hooks import RemovableHandle
from minigrad.autograd.variable import Variable
from minigrad.nn import global_hooks
from minigrad.nn.backward_hooks import BackwardHooks

CALL_HOOKS = ("_backward_pre_hooks", "_backward_hooks", "_forward_hooks", "_forward_pre_hooks")
REGISTRIES = (
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


class ModuleHooks:
    """The hooks of a module, by torch's names. Each registration returns a handle whose `remove()` undoes it."""

    _hooked = True  # whether a call looks at the module's hooks: not from `__init__` until one is registered
    _is_full_backward_hook: bool | None  # of the backward hooks, of which a module has one kind

    def __init__(self) -> None:
        hooks: dict[str, Any] = {kind: OrderedDict() for kind in REGISTRIES}
        self.__dict__.update(hooks, _is_full_backward_hook=None, _hooked=False)

    def __setstate__(self, state: dict[str, Any]) -> None:
        ModuleHooks.__init__(self)
        self.__dict__.update(state)
        self.__dict__["_hooked"] = any(self.__dict__[kind] for kind in CALL_HOOKS)

    def _add_hook(self, kind: str, hook: Any, prepend: bool = False, **marks: bool) -> RemovableHandle:
        """Put `hook` into the registry `kind`, and its id into the registries of those `marks` that are true."""
        hooks = getattr(self, kind)
        marked = [self.__dict__[f"{kind}_{mark}"] for mark, wanted in marks.items() if wanted]
        handle = RemovableHandle(hooks, extra_dict=marked)
        hooks[handle.id] = hook
        for registry in marked:
            registry[handle.id] = True
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        if kind in CALL_HOOKS:
            self.__dict__["_hooked"] = True
        return handle

    # -- forward ---------------------------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before `forward`; what it returns replaces the arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)`, which may return a new pair of both.
        """
        return self._add_hook("_forward_pre_hooks", hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after `forward`; what it returns replaces the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`. With `always_call` it is called also where the
        call ends in an error, with the output so far, which may be None; its own error is then only warned of.
        """
        return self._add_hook("_forward_hooks", hook, prepend, with_kwargs=with_kwargs, always_called=always_call)

    # -- backward --------------------------------------------------------------------------------------------------

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_output)` when the gradients of the outputs are known; it may return others."""
        return self._add_hook("_backward_pre_hooks", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` when the gradients of the inputs are known.

        It may return another `grad_input`. Entries for arguments that are no tensors are None, and there are none for
        keyword arguments. Inputs and outputs are passed on as views, which must not be changed in place.
        """
        self._settle_backward_hooks(full=True)
        return self._add_hook("_backward_hooks", hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` with the gradients of the last operation of `forward`.

        Kept for old programs: with several operations its `grad_input` is not that of the module.
        """
        self._settle_backward_hooks(full=False)
        return self._add_hook("_backward_hooks", hook)

    def _settle_backward_hooks(self, full: bool) -> None:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. Please use only "
                "one of them."
            )
        self._is_full_backward_hook = full

    # -- state dicts -----------------------------------------------------------------------------------------------

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, prefix, keep_vars)` before the module's part of a state dict is made."""
        return self._add_hook("_state_dict_pre_hooks", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata)` after it; it changes the dict in place."""
        hook._from_public_api = True  # type: ignore[attr-defined]  # torch's mark: it must return None
        return self._add_hook("_state_dict_hooks", hook)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """The older form, which may return another dict: the result if the module is the one that was asked."""
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was previously registered via "
                "register_state_dict_post_hook"
            )
        return self._add_hook("_state_dict_hooks", hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)`.

        It is called before the module's part of a state dict is loaded, and may change the dict and the lists.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        """The older form, whose hook is not given the module unless asked for."""
        return self._add_hook("_load_state_dict_pre_hooks", (hook, with_module))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(module, incompatible_keys)` after the module and all below it are loaded.

        It may change the lists `missing_keys` and `unexpected_keys` in place, which `strict` then goes by.
        """
        return self._add_hook("_load_state_dict_post_hooks", hook)


class HookedCall:
    """One call of a module with its hooks, the global ones before its own; it knows how far it has come."""

    def __init__(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.module, self.args, self.kwargs = module, args, kwargs
        self.result: Any = None
        self.begun: set[int] = set()  # the forward hooks that have been called
        self.full, self.legacy = self._backward_hooks()

    def run(self) -> Any:
        """The result of `forward`, as the hooks have left it."""
        module = self.module
        self._run_pre_hooks()
        if self.full is not None:
            self.args = self.full.watch_inputs(self.args)
        self.result = module.forward(*self.args, **self.kwargs)
        for key, hook in [*global_hooks.forward.items(), *module._forward_hooks.items()]:
            self._run_forward_hook(key, hook)
        if self.full is not None:
            self.result = self.full.watch_output(self.result)
        if self.legacy:
            watch_last_node(module, self.legacy, self.args, self.result)
        return self.result

    def _backward_hooks(self) -> tuple[BackwardHooks | None, list[Callable[..., Any]]]:
        """The hooks that `backward` will call: the full ones for this call, and those of the old kind."""
        module = self.module
        own, is_full = module._backward_hooks.values(), module._is_full_backward_hook
        pre = [*global_hooks.full_backward_pre.values(), *module._backward_pre_hooks.values()]
        full = [*global_hooks.full_backward.values(), *(own if is_full else ())]
        legacy = [*global_hooks.backward.values(), *(() if is_full else own)]
        return BackwardHooks(module, full, pre) if full or pre else None, legacy

    def _run_pre_hooks(self) -> None:
        module = self.module
        for key, hook in [*global_hooks.forward_pre.items(), *module._forward_pre_hooks.items()]:
            if key in module._forward_pre_hooks_with_kwargs:
                changed = hook(module, self.args, self.kwargs)
                if changed is None:
                    continue
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {changed}."
                    )
                self.args, self.kwargs = changed
            elif (changed := hook(module, self.args)) is not None:
                self.args = changed if isinstance(changed, tuple) else (changed,)

    def _run_forward_hook(self, key: int, hook: Callable[..., Any]) -> None:
        self.begun.add(key)
        if key in self.module._forward_hooks_with_kwargs or key in global_hooks.forward_with_kwargs:
            changed = hook(self.module, self.args, self.kwargs, self.result)
        else:
            changed = hook(self.module, self.args, self.result)
        if changed is not None:
            self.result = changed

    def run_those_always_called(self) -> None:
        """After an error: call the forward hooks that want to be called even then and have not been."""
        for hooks, always, whose in (
            (global_hooks.forward, global_hooks.forward_always_called, "global module"),
            (self.module._forward_hooks, self.module._forward_hooks_always_called, "module"),
        ):
            for key, hook in list(hooks.items()):
                if key not in always or key in self.begun:
                    continue
                try:
                    self._run_forward_hook(key, hook)
                except Exception as error:
                    warnings.warn(
                        f"{whose} forward hook with ``always_call=True`` raised an exception that was silenced as "
                        f"another error was raised in forward: {error}",
                        stacklevel=4,
                    )


def call_with_hooks(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """`module.forward(*args, **kwargs)` with all hooks around it."""
    call = HookedCall(module, args, kwargs)
    try:
        return call.run()
    except Exception:
        call.run_those_always_called()
        raise


def watch_last_node(module: Any, hooks: list[Callable[..., Any]], args: tuple[Any, ...], result: Any) -> None:
    """Call backward hooks of the old kind on the node of the first tensor in `result`."""
    first = result
    while not isinstance(first, Variable):
        first = next(v for v in first.values() if isinstance(v, Variable)) if isinstance(first, dict) else first[0]
    if (node := first.grad_fn) is None:  # type: ignore[attr-defined]
        return
    for hook in hooks:
        node.register_hook(functools.update_wrapper(functools.partial(hook, module), hook))
    if (trouble := _missing_gradients(args, result, node)) is not None:
        warnings.warn(trouble, FutureWarning, stacklevel=5)


def _missing_gradients(args: tuple[Any, ...], result: Any, node: Any) -> str | None:
    """Torch's warning if the gradients at `node` are not all those of the module; None if they are."""
    documented = " Please use register_full_backward_hook to get the documented behavior."
    deprecated = "is deprecated and will be removed in future versions. This hook will be missing some"
    results: Any = (result,) if isinstance(result, Variable) else result
    if not _all_tensors(results):
        return (
            "Using non-full backward hooks on a Module that does not return a single Tensor or a tuple of Tensors "
            f"is deprecated and will be removed in future versions. This hook will be missing some of the grad_output."
            f"{documented}"
        )
    if not _all_tensors(args):
        return (
            "Using non-full backward hooks on a Module that does not take as input a single Tensor or a tuple of "
            f"Tensors {deprecated} of the grad_input.{documented}"
        )
    nodes = {r.grad_fn for r in results} - {None}
    if not nodes or (nodes != {node} and len(nodes) == 1):
        return (
            f"Using a non-full backward hook when outputs are nested in python data structure {deprecated} grad_output."
        )
    if len(nodes) > 1:
        return (
            "Using a non-full backward hook when outputs are generated by different autograd Nodes "
            f"{deprecated} grad_output.{documented}"
        )
    if {a.grad_fn for a in args} - {None} != {n for n, _ in node.next_functions}:
        return (
            "Using a non-full backward hook when the forward contains multiple autograd Nodes "
            f"{deprecated} grad_input.{documented}"
        )
    return None


def _all_tensors(values: Any) -> bool:
    return isinstance(values, tuple) and all(isinstance(v, Variable) for v in values)
