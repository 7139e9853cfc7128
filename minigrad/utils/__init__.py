"""torch.utils: `data`, datasets and how they are read in batches; `checkpoint`, time for memory; `dlpack`,
memory shared with other libraries; `hooks`, handles."""

from minigrad.utils import checkpoint as checkpoint
from minigrad.utils import data as data
from minigrad.utils import dlpack as dlpack
from minigrad.utils import hooks as hooks
