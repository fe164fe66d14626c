"""TensorBoard as a sink: event files in the run's folder, with the calls of wandb that `sinks.Sink` makes.

    medserl selfplay laptop --metrics.sink tensorboard
    tensorboard --logdir runs

Nothing leaves the machine. Only the package `tensorboard` is needed, no torch.
"""

from __future__ import annotations

import html
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.text.metadata import create_summary_metadata
from tensorboard.summary.writer.event_file_writer import EventFileWriter
from tensorboard.util.tensor_util import make_tensor_proto

FOLDER = "tensorboard"


class TensorBoard:
    """Writes below `run`/tensorboard, a run of TensorBoard for each start."""

    def __init__(self, run: Path) -> None:
        self._folder = run / FOLDER
        self._writer: Any = None

    def init(self, config: Mapping[str, Any], **_: Any) -> None:
        """Begin; the spec is a text of step 0."""
        number = 1 + len(list(self._folder.glob("start-*")))
        self._writer = EventFileWriter(str(self._folder / f"start-{number}"))
        spec = yaml.safe_dump(dict(config), sort_keys=False)
        self._write([_text("spec", f"<pre>{html.escape(spec)}</pre>")], 0)

    def log(self, values: Mapping[str, Any], step: int) -> None:
        """Numbers as scalars, a table as text; in the file at once, for who watches."""
        self._write(_values(values), step)

    def finish(self) -> None:
        """Close the file."""
        self._writer.close()

    @staticmethod
    def Table(columns: Sequence[str], data: Sequence[Sequence[Any]]) -> str:  # as wandb's
        """A table as TensorBoard shows texts: HTML, with every cell escaped."""
        rows = ("".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) for row in (columns, *data))
        return f"<table>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"

    def _write(self, values: Sequence[Any] | Iterator[Any], step: int) -> None:
        self._writer.add_event(Event(wall_time=time.time(), step=step, summary=Summary(value=list(values))))
        self._writer.flush()


def _values(values: Mapping[str, Any]) -> Iterator[Any]:
    for name, value in values.items():
        yield _text(name, value) if isinstance(value, str) else Summary.Value(tag=name, simple_value=float(value))


def _text(tag: str, text: str) -> Any:
    return Summary.Value(tag=tag, metadata=create_summary_metadata(tag, ""), tensor=make_tensor_proto([text.encode()]))
