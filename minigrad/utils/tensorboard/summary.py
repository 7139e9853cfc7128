"""What TensorBoard's files hold of a number, a histogram, an image, a text: one `Summary` message each."""

from __future__ import annotations

import io
import math
from typing import Any

from google.protobuf.struct_pb2 import ListValue, Value
from tensorboard.compat.proto.summary_pb2 import HistogramProto, Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2
from tensorboard.plugins.text.plugin_data_pb2 import TextPluginData

from minigrad import backend
from minigrad.backend import np
from minigrad.tensor import Tensor

__all__ = ["array_of", "encoded", "figure_to_image", "grid", "histogram", "hparams", "image", "scalar", "text"]


def array_of(value: Any) -> Any:
    """A tensor, an array or a number as a NumPy array, a number as a row of one; NotImplementedError otherwise."""
    if isinstance(value, Tensor):
        return backend.to_numpy(value.array)
    if backend.is_array(value):
        return backend.to_numpy(value)
    if np.isscalar(value):
        return np.array([value])
    raise NotImplementedError(f"Got {type(value)}, but numpy array or torch tensor are expected.")


def scalar(tag: str, value: Any, new_style: bool = False, double_precision: bool = False) -> Any:
    """One number; with `new_style` in the field for tensors. AssertionError for more than one."""
    array = array_of(value).squeeze()
    if array.ndim:
        raise AssertionError(
            "Tensor should contain one element (0 dimensions).             Was given size: "
            f"{array.size} and {array.ndim} dimensions."
        )
    number = float(array)
    if not new_style:
        return Summary(value=[Summary.Value(tag=tag, simple_value=number)])
    double = TensorProto(double_val=[number], dtype="DT_DOUBLE")
    tensor = double if double_precision else TensorProto(float_val=[number], dtype="DT_FLOAT")
    return Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=_plugin("scalars"))])


def _plugin(name: str, content: bytes | None = None) -> Any:
    data = SummaryMetadata.PluginData(plugin_name=name, content=content)
    return SummaryMetadata(plugin_data=data)


def _usual_bins() -> list[float]:
    """Limits that grow by a tenth from 1e-12 to 1e20, and the same below 0."""
    limits, limit = [], 1e-12
    while limit < 1e20:
        limits.append(limit)
        limit *= 1.1
    return [-limit for limit in reversed(limits)] + [0] + limits


USUAL_BINS = _usual_bins()


def histogram(tag: str, values: Any, bins: Any = "tensorflow", max_bins: int | None = None) -> Any:
    """How many values lie between limits: those of `bins` for np.histogram, without the empty ones at both ends.

    More than `max_bins` are joined in groups of equal length. ValueError for no values.
    """
    values = array_of(values).astype(float).reshape(-1)
    if not values.size:
        raise ValueError("The input has no element.")
    counts, limits = np.histogram(values, USUAL_BINS if isinstance(bins, str) and bins == "tensorflow" else bins)
    if max_bins is not None and len(counts) > max_bins:
        step = len(counts) // max_bins
        counts = np.pad(counts, (0, -len(counts) % step)).reshape(-1, step).sum(-1)
        limits = np.append(limits[:-1:step], limits[-1])
    filled = np.flatnonzero(counts)
    if not filled.size:
        raise ValueError("The histogram is empty, please file a bug report.")
    first, last = filled[[0, -1]].tolist()
    proto = HistogramProto(
        min=values.min(),
        max=values.max(),
        num=len(values),
        sum=values.sum(),
        sum_squares=values.dot(values),
        bucket_limit=limits[first : last + 2].tolist(),
        bucket=[0, *counts[first : last + 1].tolist()],  # TensorBoard's buckets begin with what is below all limits
    )
    return Summary(value=[Summary.Value(tag=tag, histo=proto)])


def image(tag: str, tensor: Any, dataformats: str) -> Any:
    """An image, or several in a grid, as PNG: dims as `dataformats` says, uint8 or floats of [0, 1].

    AssertionError if `dataformats` does not fit the dims.
    """
    pixels = array_of(tensor)
    scale = 1 if pixels.dtype == np.uint8 else 255
    pixels = (_in_order(pixels, dataformats).astype(np.float32) * scale).clip(0, 255).astype(np.uint8)
    height, width, channels = pixels.shape
    proto = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=encoded(pixels))
    return Summary(value=[Summary.Value(tag=tag, image=proto)])


def _in_order(pixels: Any, dataformats: str) -> Any:
    """(height, width, 3 or more channels)."""
    if len({*dataformats}) != len(dataformats):
        raise AssertionError(
            f"You can not use the same dimension shorthand twice.             input_format: {dataformats}"
        )
    if pixels.ndim != len(dataformats):
        raise AssertionError(
            "size of input tensor and input format are different.         tensor shape: "
            f"{pixels.shape}, input_format: {dataformats}"
        )
    order = {4: "NCHW", 3: "HWC", 2: "HW"}[len(dataformats)]
    pixels = pixels.transpose([dataformats.upper().find(dim) for dim in order])
    if order == "NCHW":
        return grid(pixels).transpose(1, 2, 0)
    pixels = pixels[:, :, None] if order == "HW" else pixels
    return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


def grid(images: Any, columns: int = 8) -> Any:
    """(n, channels, height, width) as one image (3, rows * height, columns * width)."""
    images = np.repeat(images, 3, axis=1) if images.shape[1] == 1 else images
    n, channels, height, width = images.shape
    if channels != 3:
        raise AssertionError("Input should be a 4D numpy array with 3 channels")
    columns = min(n, columns)
    rows = math.ceil(n / columns)
    tiles = np.zeros((rows * columns, 3, height, width), images.dtype)
    tiles[:n] = images
    tiles = tiles.reshape(rows, columns, 3, height, width).transpose(2, 0, 3, 1, 4)
    return tiles.reshape(3, rows * height, columns * width)


def encoded(pixels: Any) -> bytes:
    """(height, width, channels) of uint8 as PNG."""
    try:
        from PIL import Image
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("images need pillow: pip install 'minigrad-engine[vision]'", name="PIL") from error
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def figure_to_image(figure: Any, close: bool = True) -> Any:
    """A matplotlib figure as an image (3, height, width); a list of equal ones as several."""
    from matplotlib import pyplot
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if isinstance(figure, list):
        return np.stack([figure_to_image(one, close) for one in figure])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[:, :, :3]
    if close:
        pyplot.close(figure)
    return np.moveaxis(pixels, 2, 0)


def text(tag: str, text_string: str) -> Any:
    """A text in Markdown."""
    tensor = TensorProto(
        dtype="DT_STRING",
        string_val=[text_string.encode()],
        tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]),
    )
    about = _plugin("text", TextPluginData(version=0).SerializeToString())
    return Summary(value=[Summary.Value(tag=f"{tag}/text_summary", metadata=about, tensor=tensor)])


def hparams(values: dict[str, Any], metrics: dict[str, Any], choices: dict[str, list[Any]] | None) -> list[Any]:
    """Hyper-parameters of a run, the names of what it is judged by, and the values that they could have had.

    TypeError for choices that do not fit, ValueError for a value that is no number, text or tensor.
    """
    choices = choices or {}
    if not isinstance(choices, dict):
        raise TypeError("parameter: hparam_domain_discrete should be a dictionary, nothing logged.")
    for name, known in choices.items():
        kind = type(values.get(name))
        if name not in values or not isinstance(known, list) or not all(isinstance(choice, kind) for choice in known):
            raise TypeError(
                f"parameter: hparam_domain_discrete[{name}] should be a list of same type as hparam_dict[{name}]."
            )
    start = plugin_data_pb2.SessionStartInfo()
    infos = []
    for name, value in values.items():
        if value is None:
            continue
        value = array_of(value)[0] if isinstance(value, Tensor) else value
        if not isinstance(value, (int, float, str, np.generic)):
            raise ValueError("value should be one of int, float, str, bool, or torch.Tensor")
        field = "string_value" if isinstance(value, str) else "number_value"
        setattr(start.hparams[name], field, value)
        domain = ListValue(values=[Value(**{field: choice}) for choice in choices[name]]) if name in choices else None
        kind = api_pb2.DataType.Value("DATA_TYPE_STRING" if isinstance(value, str) else "DATA_TYPE_FLOAT64")
        infos.append(api_pb2.HParamInfo(name=name, type=kind, domain_discrete=domain))
    judged_by = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in metrics]
    experiment = api_pb2.Experiment(hparam_infos=infos, metric_infos=judged_by)
    end = plugin_data_pb2.SessionEndInfo(status=api_pb2.Status.Value("STATUS_SUCCESS"))
    return [
        _hparams_event(metadata.EXPERIMENT_TAG, experiment=experiment),
        _hparams_event(metadata.SESSION_START_INFO_TAG, session_start_info=start),
        _hparams_event(metadata.SESSION_END_INFO_TAG, session_end_info=end),
    ]


def _hparams_event(tag: str, **part: Any) -> Any:
    content = plugin_data_pb2.HParamsPluginData(version=metadata.PLUGIN_DATA_VERSION, **part)
    about = _plugin(metadata.PLUGIN_NAME, content.SerializeToString())
    return Summary(value=[Summary.Value(tag=tag, metadata=about)])
