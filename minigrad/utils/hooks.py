"""torch.utils.hooks: the handle that takes a hook out again."""

from minigrad.autograd.hooks import RemovableHandle

__all__ = ["RemovableHandle"]
