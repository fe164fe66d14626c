"""The protocol of a client that samples from a model: `evals.core.engine.Vllm`, and the fakes of tests."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from actors.episode import Model
from common.config import RunSpec


class EngineLost(RuntimeError):
    """The engine could not start, or died."""


class ModelClient(Protocol):
    """Samples from one model: `evals.core.engine.Vllm`, or a fake."""

    def resolve(self, spec: RunSpec) -> tuple[Path, str]:
        """The model's folder and checksum. Raises ValueError for a model that does not exist."""

    def asking(self, spec: RunSpec, folder: Path) -> AbstractAsyncContextManager[Model]:
        """Start the model at the spec's temperature; it plays episodes and answers single prompts.

        It and its calls raise EngineLost.
        """
