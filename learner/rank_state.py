"""State of a rank besides DeepSpeed's files: the random state; and loading of checkpoints without running code."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from common.errors import last_line

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"


def saved_ranks(folder: Path) -> int:
    """The number of ranks that wrote their random state into the folder."""
    return len(list(folder.glob("random-*.safetensors")))


def save_random_state(folder: Path, rank: int) -> None:
    """Write torch's random state of this process."""
    state = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    _random_file(folder, rank).write_bytes(save(state))  # save_file raises no OSError when the disk is full


def restore_random_state(folder: Path, rank: int) -> None:
    """Restore what `save_random_state` wrote. Raises ValueError, one line, for a damaged file."""
    path = _random_file(folder, rank)
    try:
        state: dict[str, Tensor] = load_file(path)
    except SafetensorError as error:
        what = f"{path} is damaged ({last_line(error)})"
        raise ValueError(f"{what}: delete {folder.parent} to resume from the one before") from error
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])


def _random_file(folder: Path, rank: int) -> Path:
    return folder / f"random-{rank}.safetensors"


@contextmanager
def tensors_only() -> Iterator[None]:
    """DeepSpeed loads its files as pickles, which can run code; inside this context torch accepts plain data only."""
    from deepspeed.runtime.fp16.loss_scaler import LossScaler
    from deepspeed.runtime.zero.config import ZeroStageEnum
    from deepspeed.utils.tensor_fragment import fragment_address

    allowed = [LossScaler, ZeroStageEnum, fragment_address]
    before = os.environ.get(_FORCE)
    os.environ[_FORCE] = "1"
    try:
        with torch.serialization.safe_globals(allowed):
            yield
    finally:
        os.environ.pop(_FORCE) if before is None else os.environ.__setitem__(_FORCE, before)
