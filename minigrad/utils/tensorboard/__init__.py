"""SummaryWriter: numbers, pictures and texts of a training, for TensorBoard. It needs the package `tensorboard`."""

try:
    import tensorboard as _needed
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        "No module named 'tensorboard'\nSummaryWriter needs it: pip install 'minigrad-engine[tensorboard]'",
        name="tensorboard",
    ) from error

from minigrad.utils.tensorboard.writer import FileWriter, SummaryWriter

__all__ = ["FileWriter", "SummaryWriter"]
