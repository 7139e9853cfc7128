"""SummaryWriter: event files in a folder, which TensorBoard reads while they grow."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn, Self

from google.protobuf import text_format
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.plugins.projector.projector_config_pb2 import EmbeddingInfo, ProjectorConfig
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from minigrad.backend import np
from minigrad.utils.tensorboard import summary

__all__ = ["FileWriter", "SummaryWriter"]


class FileWriter:
    """One event file; what is added is written by a thread, after `max_queue` events or `flush_secs` seconds."""

    def __init__(
        self, log_dir: str | os.PathLike[str], max_queue: int = 10, flush_secs: int = 120, filename_suffix: str = ""
    ) -> None:
        self.event_writer = EventFileWriter(str(log_dir), max_queue, flush_secs, filename_suffix)
        self.get_logdir = self.event_writer.get_logdir
        self.flush, self.close = self.event_writer.flush, self.event_writer.close

    def add_event(self, event: Any, step: Any = None, walltime: float | None = None) -> None:
        """Add an Event message, of a step of the training and a time: now unless given."""
        event.wall_time = time.time() if walltime is None else walltime
        if step is not None:
            event.step = int(step)
        self.event_writer.add_event(event)

    def add_summary(self, summary: Any, global_step: Any = None, walltime: float | None = None) -> None:
        """Add a Summary message."""
        self.add_event(Event(summary=summary), global_step, walltime)


class SummaryWriter:
    """Logs a training to the folder `log_dir`, or to runs/<date>_<computer><comment>.

    Numbers may be tensors, arrays or Python's. `purge_step`: TensorBoard hides what an earlier, broken run logged from
    that step on. The rest is for the event files: how many events, and for how many seconds, are kept before they are
    written, and how file names end. Also a context, which closes it.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: int = 120,
        filename_suffix: str = "",
    ) -> None:
        if not log_dir:
            log_dir = os.path.join("runs", f"{datetime.now():%b%d_%H-%M-%S}_{socket.gethostname()}{comment}")
        self.log_dir, self.purge_step = log_dir, purge_step
        self.max_queue, self.flush_secs, self.filename_suffix = max_queue, flush_secs, filename_suffix
        self.file_writer: FileWriter | None = None
        self.all_writers: dict[str, FileWriter] | None = None
        self._projector = ProjectorConfig()
        self._get_file_writer()

    def _get_file_writer(self) -> FileWriter:
        """The writer of the folder itself; a new one after `close`."""
        if self.file_writer is None:
            self.file_writer = self._open(self.log_dir)
            self.all_writers = {self.file_writer.get_logdir(): self.file_writer}
            if self.purge_step is not None:
                for event in (
                    Event(file_version="brain.Event:2"),
                    Event(session_log=SessionLog(status=SessionLog.START)),
                ):
                    self.file_writer.add_event(event, self.purge_step)
                self.purge_step = None
        return self.file_writer

    def _open(self, folder: str | os.PathLike[str]) -> FileWriter:
        return FileWriter(folder, self.max_queue, self.flush_secs, self.filename_suffix)

    def get_logdir(self) -> Any:
        """The folder."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: Any = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """A number at a step."""
        message = summary.scalar(tag, scalar_value, new_style, double_precision)
        self._get_file_writer().add_summary(message, global_step, walltime)

    def add_scalars(
        self, main_tag: str, tag_scalar_dict: dict[str, Any], global_step: Any = None, walltime: float | None = None
    ) -> None:
        """Numbers that one plot shows: each is logged to a folder of its own below."""
        walltime = time.time() if walltime is None else walltime
        root = self._get_file_writer().get_logdir()
        assert self.all_writers is not None
        for tag, value in tag_scalar_dict.items():
            folder = f"{root}/{main_tag.replace('/', '_')}_{tag}"
            if folder not in self.all_writers:
                self.all_writers[folder] = self._open(folder)
            self.all_writers[folder].add_summary(summary.scalar(main_tag, value), global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: Any = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """How values are spread; `bins` are TensorBoard's usual ones or np.histogram's."""
        self._get_file_writer().add_summary(summary.histogram(tag, values, bins, max_bins), global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """An image of uint8, or of floats of [0, 1]."""
        self._get_file_writer().add_summary(summary.image(tag, img_tensor, dataformats), global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: Any = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Several images in a grid."""
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_figure(
        self, tag: str, figure: Any, global_step: Any = None, close: bool = True, walltime: float | None = None
    ) -> None:
        """A matplotlib figure, or a list of them, as an image; closed afterwards unless `close` is False."""
        dataformats = "NCHW" if isinstance(figure, list) else "CHW"
        self.add_image(tag, summary.figure_to_image(figure, close), global_step, walltime, dataformats)

    def add_text(self, tag: str, text_string: str, global_step: Any = None, walltime: float | None = None) -> None:
        """A text in Markdown."""
        self._get_file_writer().add_summary(summary.text(tag, text_string), global_step, walltime)

    def add_graph(
        self, model: Any, input_to_model: Any = None, verbose: bool = False, use_strict_trace: bool = True
    ) -> NoReturn:
        """NotImplementedError: TensorBoard draws compiled graphs, which minigrad does not make."""
        raise NotImplementedError("minigrad has no compiled graph of a model that TensorBoard could draw")

    def add_hparams(
        self,
        hparam_dict: dict[str, Any],
        metric_dict: dict[str, Any],
        hparam_domain_discrete: dict[str, list[Any]] | None = None,
        run_name: str | None = None,
        global_step: Any = None,
    ) -> None:
        """Hyper-parameters and the metrics they led to, in a folder `run_name` below, or one named by the time."""
        if type(hparam_dict) is not dict or type(metric_dict) is not dict:
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        messages = summary.hparams(hparam_dict, metric_dict, hparam_domain_discrete)
        root = self._get_file_writer().get_logdir()
        with SummaryWriter(os.path.join(root, run_name or str(time.time()))) as run:
            for message in messages:
                run._get_file_writer().add_summary(message, global_step)
            for tag, value in metric_dict.items():
                run.add_scalar(tag, value, global_step)

    def add_embedding(
        self,
        mat: Any,
        metadata: Sequence[Any] | None = None,
        label_img: Any = None,
        global_step: Any = None,
        tag: str = "default",
        metadata_header: Sequence[str] | None = None,
    ) -> None:
        """Points, the rows of `mat`, for the projector, with labels and images; with `metadata_header` rows of labels.

        AssertionError if there are not as many labels or images as points.
        """
        points = summary.array_of(mat)
        if points.ndim != 2:
            raise AssertionError("mat should be 2D, where mat.size(0) is the number of data points")
        if metadata is not None and len(metadata) != len(points):
            raise AssertionError("#labels should equal with #data points")
        if label_img is not None and len(label_img) != len(points):
            raise AssertionError("#images should equal with #data points")
        step = str(global_step or 0).zfill(5)
        below = f"{step}/{_encode(tag)}"
        root = self._get_file_writer().get_logdir()
        folder = os.path.join(root, below)
        os.makedirs(folder, exist_ok=True)
        info = EmbeddingInfo(tensor_name=f"{tag}:{step}", tensor_path=f"{below}/tensors.tsv")
        _write_table(os.path.join(folder, "tensors.tsv"), points.tolist())
        if metadata is not None:
            info.metadata_path = f"{below}/metadata.tsv"
            table = [metadata_header, *metadata] if metadata_header else [[label] for label in metadata]
            _write_table(os.path.join(folder, "metadata.tsv"), table)
        if label_img is not None:
            images = summary.array_of(label_img)
            sheet = summary.grid(images, math.ceil(len(images) ** 0.5)).transpose(1, 2, 0)
            square = np.zeros((sheet.shape[1], sheet.shape[1], 3))
            square[: len(sheet)] = sheet
            with open(os.path.join(folder, "sprite.png"), "wb") as file:
                file.write(summary.encoded((square * 255).clip(0, 255).astype(np.uint8)))
            info.sprite.image_path = f"{below}/sprite.png"
            info.sprite.single_image_dim.extend([images.shape[3], images.shape[2]])
        self._projector.embeddings.append(info)
        with open(os.path.join(root, "projector_config.pbtxt"), "w", encoding="utf-8") as file:
            file.write(text_format.MessageToString(self._projector))

    def flush(self) -> None:
        """Write everything that has been added to the disk."""
        for writer in (self.all_writers or {}).values():
            writer.flush()

    def close(self) -> None:
        """Write everything and close the files; adding more begins new ones."""
        for writer in (self.all_writers or {}).values():
            writer.flush()
            writer.close()
        self.file_writer = self.all_writers = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _encode(tag: str) -> str:
    """A tag as the name of a folder."""
    return tag.replace("%", "%25").replace("/", "%2f").replace("\\", "%5c")


def _write_table(path: str, rows: Sequence[Any]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines("\t".join(map(str, row)) + "\n" for row in rows)
