"""How batches are made: items are fetched and collated here, or in worker processes that send them on."""

from minigrad.utils.data._utils import collate as collate
from minigrad.utils.data._utils import fetch as fetch
from minigrad.utils.data._utils import worker as worker
