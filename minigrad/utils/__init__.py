"""torch.utils: `data`, datasets and how they are read in batches; `hooks`, the handle that removes one."""

from minigrad.utils import data as data
from minigrad.utils import hooks as hooks
