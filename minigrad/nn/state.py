"""A module's state as a flat dict of tensors with dotted names, and back: `state_dict` and `load_state_dict`."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from minigrad import backend
from minigrad.autograd.variable import Variable
from minigrad.nn.parameter import Parameter, is_lazy
from minigrad.ops.inplace import bump

if TYPE_CHECKING:
    from minigrad.nn.module import Module

EXTRA_STATE = "_extra_state"  # the last part of its name in state dicts
NEVER_CALLED = (
    "Reached a code path in Module.{}() that should never be called. Please file an issue at "
    "https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml to report this bug."
)


class _IncompatibleKeys(NamedTuple):
    """Names that the module has and the dict has not, and the other way round."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"_IncompatibleKeys(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def state_dict(self: Module, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
    """All parameters and persistent buffers by dotted name, on the memory that the module uses, without history.

    With `keep_vars` they are the parameters themselves; `destination` is the dict to add to, `prefix` goes before
    names. The three may still be given by position, with a warning.
    """
    if args:
        warnings.warn(
            "Positional args are being deprecated, use kwargs instead. Refer to "
            "https://pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict for details.",
            FutureWarning,
            stacklevel=2,
        )
        given: tuple[Any, ...] = (destination, prefix, keep_vars)
        destination, prefix, keep_vars = args + given[len(args) :]
    if destination is None:
        destination = OrderedDict()  # with, as torch keeps it, the version of each module's layout as an attribute
        destination._metadata = OrderedDict()
    about = {"version": self._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = about
    for hook in self._state_dict_pre_hooks.values():
        hook(self, prefix, keep_vars)
    self._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in self._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in self._state_dict_hooks.values():
        returned = hook(self, destination, prefix, about)
        if returned is not None:
            if getattr(hook, "_from_public_api", False):
                raise RuntimeError("state_dict post-hook must return None")
            destination = returned
    return destination


def save_own(self: Module, destination: Any, prefix: str, keep_vars: bool) -> None:
    """Add the module's own parameters and persistent buffers, not those of its children."""
    for name, tensor in _own_state(self).items():
        destination[prefix + name] = tensor if keep_vars else tensor.detach()
    if type(self).get_extra_state is not get_extra_state:
        destination[prefix + EXTRA_STATE] = self.get_extra_state()


def get_extra_state(self: Module) -> Any:
    """What else belongs into the state dict: a subclass that has such a thing defines this and `set_extra_state`."""
    raise RuntimeError(NEVER_CALLED.format("get_extra_state"))


def set_extra_state(self: Module, state: Any) -> None:
    """Take back what `get_extra_state` gave."""
    raise RuntimeError(NEVER_CALLED.format("set_extra_state"))


def _own_state(module: Module) -> dict[str, Any]:
    buffers = {n: b for n, b in module._buffers.items() if n not in module._non_persistent_buffers_set}
    return {name: t for name, t in {**module._parameters, **buffers}.items() if t is not None}


def load_state_dict(
    self: Module, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
) -> _IncompatibleKeys:
    """Copy the values of `state_dict` into the parameters and buffers of the same names.

    strict   RuntimeError if names are missing or left over; without it they are returned
    assign   take the tensors of the dict themselves in place of the module's, dtype and device included

    RuntimeError, naming each, for tensors of another shape; what fits has been loaded by then.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    metadata = getattr(state_dict, "_metadata", None)
    copied: Any = OrderedDict(state_dict)  # which the modules and their hooks may change
    if metadata is not None:
        copied._metadata = metadata
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []

    def load(module: Module, given: Mapping[str, Any], prefix: str) -> None:
        about = dict((metadata or {}).get(prefix[:-1], {}))
        if assign:
            about["assign_to_params_buffers"] = True
        module._load_from_state_dict(given, prefix, about, True, missing, unexpected, errors)
        for name, child in module._modules.items():
            if child is not None:
                below = f"{prefix}{name}."
                load(child, {k: v for k, v in given.items() if k.startswith(below)}, below)
        keys = _IncompatibleKeys(missing, unexpected)
        for hook in module._load_state_dict_post_hooks.values():
            if hook(module, keys) is not None:
                raise AssertionError(
                    "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                    "values, if incompatible_keys need to be modified, it should be done inplace."
                )

    load(self, copied, "")
    if strict:
        for names, what in ((unexpected, "Unexpected"), (missing, "Missing")):
            if names:
                quoted = ", ".join(f'"{name}"' for name in names)
                errors.insert(0, f"{what} key(s) in state_dict: {quoted}. ")
    if errors:
        listed = "\n\t".join(errors)
        raise RuntimeError(f"Error(s) in loading state_dict for {type(self).__name__}:\n\t{listed}")
    return _IncompatibleKeys(missing, unexpected)


def load_own(
    self: Module,
    state_dict: Mapping[str, Any],
    prefix: str,
    local_metadata: Mapping[str, Any],
    strict: bool,
    missing_keys: list[str],
    unexpected_keys: list[str],
    error_msgs: list[str],
) -> None:
    """Load the module's own parameters and buffers from the entries under `prefix`, and add to the three lists."""
    for hook, with_module in self._load_state_dict_pre_hooks.values():
        about_self = (self,) if with_module else ()
        hook(*about_self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs)
    own = _own_state(self)
    assign = bool(local_metadata.get("assign_to_params_buffers"))
    for name, tensor in own.items():
        key = prefix + name
        if key in state_dict:
            error_msgs.extend(_load_tensor(self, name, tensor, key, state_dict[key], assign))
        else:
            missing_keys.append(key)
    extra = prefix + EXTRA_STATE
    if type(self).set_extra_state is not set_extra_state:
        if extra in state_dict:
            self.set_extra_state(state_dict[extra])
        else:
            missing_keys.append(extra)
    elif extra in state_dict:
        unexpected_keys.append(extra)
    for key in state_dict:
        if key.startswith(prefix) and key != extra:
            head, below, _ = key[len(prefix) :].partition(".")
            if head not in (self._modules if below else own):
                unexpected_keys.append(key)


def _load_tensor(module: Module, name: str, own: Any, key: str, value: Any, assign: bool) -> list[str]:
    """Take `value`, the entry `key`, into `own`, the member `name`; returns what is wrong, in one sentence, if so."""
    if not isinstance(value, Variable):
        return [
            f'While copying the parameter named "{key}", expected torch.Tensor or Tensor-like object from '
            f"checkpoint but received {type(value)}"
        ]
    if is_lazy(own) and is_lazy(value):
        return []
    given: Any = value
    if not is_lazy(own) and own.array.ndim == 0 and given.shape == (1,):
        given = given[0]  # so the first releases saved a number
    if given.shape != own.array.shape:
        return [
            f"size mismatch for {key}: copying a param with shape torch.Size({list(given.array.shape)}) from "
            f"checkpoint, the shape in current model is torch.Size({list(own.array.shape)})."
        ]
    try:
        if assign:
            _assign(module, name, own, given)
        else:
            own.array[...] = backend.move(given.array, backend.device_of(own.array))
            bump(own)
    except Exception as error:
        return [
            f'While copying the parameter named "{key}", whose dimensions in the model are {own.shape} and whose '
            f"dimensions in the checkpoint are {given.shape}, an exception occurred : {error.args}."
        ]
    return []


def _assign(module: Module, name: str, before: Any, value: Any) -> None:
    """Make `value` the member `name`; a parameter wants a gradient if the one before it did."""
    if isinstance(before, Parameter):
        wanted = before.requires_grad
        value = value.requires_grad_(wanted) if isinstance(value, Parameter) else Parameter(value, wanted)
    setattr(module, name, value)
