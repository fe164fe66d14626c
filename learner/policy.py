"""The policy's weights: load, LoRA, log-probs of completion tokens, and the tensors that engines receive.

Shapes: S packed positions, N completion tokens, T tokens of one sequence, D hidden size, V vocabulary.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModelForCausalLM

from common.config import LearnerSpec
from learner.batch import PackedGroup, attention_mask

Gather = Callable[[list[nn.Parameter]], AbstractContextManager[Any]]
"""Makes partitioned parameters whole inside a `with`; under ZeRO-3 `deepspeed.zero.GatheredParameters`."""


@dataclass(frozen=True)
class Policy:
    """A trainable model and what its reference needs."""

    module: nn.Module  # the Hugging Face model, inside a PeftModel when lora_rank > 0
    frozen: nn.Module | None  # full training only: an untouched copy (costs the model's memory once more)

    @property
    def config(self) -> Any:
        """The Hugging Face config."""
        return base_model(self.module).config


class LogpModel(nn.Module):
    """`completion_logps` as a module's forward: what DeepSpeed wraps, so that its hooks see one whole forward."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, packed: PackedGroup, temperature: float, chunk: int) -> Tensor:
        """Log-probs of the completion tokens, float32 [N]."""
        return completion_logps(self.model, packed, temperature, chunk)


def load_policy(
    folder: Path, learner: LearnerSpec, device: str, seed: int, dtype: torch.dtype = torch.bfloat16
) -> Policy:
    """Load a Hugging Face folder for training; `seed` draws the LoRA matrices.

    Every weight has `dtype`, LoRA's too: DeepSpeed keeps float32 masters of what it trains. Raises ValueError when the
    folder holds no model.
    """
    raise NotImplementedError


def completion_logps(module: nn.Module, packed: PackedGroup, temperature: float, chunk: int) -> Tensor:
    """Log-probs of the group's completion tokens, float32 [N], under logits / temperature."""
    raise NotImplementedError


def sequence_logps(module: nn.Module, ids: Sequence[int]) -> list[float]:
    """Log-probs of `ids[1:]`, each given the tokens before it, at temperature 1. No gradient."""
    raise NotImplementedError


@contextmanager
def reference(policy: Policy) -> Iterator[nn.Module]:
    """The reference model: the policy's module with its adapters off (LoRA), or the frozen copy."""
    raise NotImplementedError


def merged_weights(policy: Policy, dtype: torch.dtype, gather: Gather = lambda _: nullcontext()) -> Iterator[tuple[str, Tensor]]:
    """(Hugging Face checkpoint name, tensor), LoRA merged in float32 and cast to `dtype`."""
    raise NotImplementedError


def adapter_weights(policy: Policy, gather: Gather = lambda _: nullcontext()) -> dict[str, Tensor]:
    """The LoRA tensors under the names of a peft checkpoint."""
    raise NotImplementedError
