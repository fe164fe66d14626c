"""Seeded models of a few thousand weights, one of each family that is trained.

transformers is imported where a model is made: seconds, which a process that only collects these tests need not spend.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

SIZES: dict[str, Any] = {
    "vocab_size": 61,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 64,
    "initializer_range": 0.6,  # large, so that a wrong mask shows in the log-probs
}


def llama(tied: bool = True) -> PreTrainedConfig:
    from transformers import LlamaConfig

    return LlamaConfig(**SIZES, tie_word_embeddings=tied)


def gemma(softcap: float | None = None) -> PreTrainedConfig:
    """The window (4) is smaller than the prompt (9)."""
    from transformers import Gemma3TextConfig

    return Gemma3TextConfig(
        **SIZES,
        sliding_window=4,
        layer_types=["sliding_attention", "full_attention"],
        final_logit_softcapping=softcap,
        query_pre_attn_scalar=8,
    )


def medgemma() -> PreTrainedConfig:
    from transformers import Gemma3Config, SiglipVisionConfig

    vision = SiglipVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    return Gemma3Config(text_config=gemma(), vision_config=vision, mm_tokens_per_image=4, image_token_index=60)


FAMILIES = {"llama": llama, "gemma": gemma, "medgemma": medgemma}


def saved(config: PreTrainedConfig, folder: Path) -> Path:
    from transformers import AutoModelForCausalLM, Gemma3Config, Gemma3ForConditionalGeneration

    torch.manual_seed(0)
    model = (
        Gemma3ForConditionalGeneration(config)
        if isinstance(config, Gemma3Config)
        else AutoModelForCausalLM.from_config(config)
    )
    model.save_pretrained(folder)
    return folder
