"""Datasets and loaders for programs about worker processes."""

import multiprocessing
import warnings


def quiet(T, *args, **options):
    """A loader without the warning that this machine has few processors."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This DataLoader will create")
        return T.utils.data.DataLoader(*args, **options)


class Items:
    """A dataset of n items that a function computes."""

    def __init__(self, n, function):
        self.n, self.function = n, function

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.function(i)


def ours():
    """The workers that minigrad started."""
    return [p for p in multiprocessing.active_children() if p.name.startswith("DataLoader worker")]
