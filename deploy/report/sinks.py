"""Each step's figures in Weights & Biases or Trackio too: `--metrics.sink wandb`. Neither is installed with MedSeRL.

Both libraries know these three calls. Only numbers leave the machine, and the spec without its folders: no task, no
reply. Where they go, and under whose account, is theirs to say (`wandb login`, WANDB_MODE=offline, TRACKIO_SPACE_ID).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from common.config import RunSpec
from deploy.report.model_card import public

PROJECT = "medserl"


class Sink:
    """Takes a row a step. What was trained before a resume stays in a run of its own, in the same group."""

    def __init__(self, spec: RunSpec) -> None:
        self._spec = spec
        self._library: Any = None  # once it is open

    def open(self) -> None:
        """Begin a run there, if the spec asks for one and none was begun."""
        if self._library is None and (library := load(self._spec.metrics.sink)) is not None:
            name = self._spec.name
            library.init(project=PROJECT, name=name, group=name, config=public(self._spec))
            self._library = library

    def log(self, row: Mapping[str, Any]) -> None:
        """One line of metrics.jsonl."""
        if self._library is not None:
            numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
            self._library.log(numbers, step=row["step"])

    def close(self) -> None:
        """Send what is left."""
        if self._library is not None:
            self._library.finish()
            self._library = None


def load(name: str | None) -> Any:
    """The library of that name; None for none. Raises ValueError, one line, when it is not installed."""
    if name is None:
        return None
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ValueError(f"metrics.sink {name}: not installed; pip install {name}, or leave metrics.sink out") from None
