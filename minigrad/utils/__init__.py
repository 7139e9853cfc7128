"""torch.utils: so far `data`, datasets and how they are read in batches."""

from minigrad.utils import data as data
