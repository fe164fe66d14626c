"""The protocol of a client that samples from a model: `evals.core.engine.Vllm`, and the fakes of tests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from common.config import RunSpec
from common.records import Message, Sampled

Ask = Callable[[tuple[Message, ...]], Awaitable[Sampled]]
"""Sample the replies to one prompt. Raises PromptTooLong when it does not fit the model's context."""


class EngineLost(RuntimeError):
    """The engine could not start, or died."""


class ModelClient(Protocol):
    """Samples from one model: `evals.core.engine.Vllm`, or a fake."""

    def resolve(self, spec: RunSpec) -> tuple[Path, str]:
        """The model's folder and checksum. Raises ValueError for a model that does not exist."""

    def asking(self, spec: RunSpec, folder: Path, samples: int) -> AbstractAsyncContextManager[Ask]:
        """Start the model and return the function that samples from it. Raises EngineLost."""
