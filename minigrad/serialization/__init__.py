"""`save` and `load`: torch's `.pt` files, written and read without torch.

Such a file is a zip archive of a pickle, `data.pkl`, and the raw memory of the tensors, `data/0`, `data/1`, ... In the
pickle a tensor is a call of `torch._utils._rebuild_tensor_v2` on a storage (a whole piece of memory, which several
tensors may share), an offset into it, a size and strides.

Reading admits tensors, numbers, text and plain containers: a pickle that names anything else is refused before anything
of it runs, unless `add_safe_globals` has admitted that name, or `weights_only=False` all. Writing is whole or not at
all.
"""

from minigrad.serialization.reading import get_unsafe_globals_in_checkpoint, load
from minigrad.serialization.unpickling import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals
from minigrad.serialization.writing import save

__all__ = [
    "add_safe_globals", "clear_safe_globals", "get_safe_globals", "get_unsafe_globals_in_checkpoint", "load",
    "safe_globals", "save",
]  # fmt: skip
