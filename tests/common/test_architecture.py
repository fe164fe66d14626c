from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from common.architecture import PUBLISHED, Architecture, architecture, from_config
from common.config import LearnerSpec

MEDGEMMA = PUBLISHED["google/medgemma-4b-it"]


def test_medgemma_has_the_published_four_point_three_billion_parameters() -> None:
    assert round(MEDGEMMA.text_parameters / 1e9, 2) == 3.88
    assert round((MEDGEMMA.text_parameters + MEDGEMMA.vision_parameters) / 1e9, 1) == 4.3
    large = PUBLISHED["google/medgemma-27b-it"]
    assert round((large.text_parameters + large.vision_parameters) / 1e9, 1) == 27.4


def test_a_sliding_layer_keeps_its_window_and_what_a_step_adds() -> None:
    model = Architecture(
        hidden=8, layers=3, heads=2, kv_heads=1, head_dim=4, intermediate=16, vocabulary=10, window=10, sliding_layers=2
    )
    one_layer = 2 * 1 * 4 * 2  # keys and values of one token, two bytes a number
    assert model.kv_bytes(8, 2, batched=4) == 3 * 8 * one_layer
    assert model.kv_bytes(100, 2, batched=4) == (100 + 2 * 13) * one_layer


def test_a_model_without_facts_names_what_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no facts to plan with; write a folder with config.json, or one of google/"):
        architecture(str(tmp_path))


@pytest.mark.integration
def test_a_family_that_the_formulas_do_not_count_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mixtral"}))
    with pytest.raises(ValueError, match="no plan for model_type mixtral; known are gemma3, gemma3_text, llama"):
        architecture(str(tmp_path))


@pytest.mark.integration
def test_the_tables_medgemma_is_what_transformers_builds_from_the_published_config() -> None:
    import torch
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    text = {"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024}
    vision = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
    vision |= {"image_size": 896, "patch_size": 14, "vision_use_head": False}
    config = Gemma3Config(text_config={**text, "vocab_size": 262208}, vision_config=vision)
    assert from_config(config, "x") == MEDGEMMA
    with torch.device("meta"):
        model = Gemma3ForConditionalGeneration(config)
    assert model.num_parameters() == MEDGEMMA.text_parameters + MEDGEMMA.vision_parameters
    assert sum(p.numel() for p in model.get_decoder().parameters()) == MEDGEMMA.text_parameters


@pytest.mark.integration
@pytest.mark.parametrize("lora_rank", [0, 4])
def test_the_tables_tiny_model_is_the_one_that_is_made(tiny_model: Path, lora_rank: int) -> None:

    from learner.policy import load_policy

    tiny = architecture(str(tiny_model))
    assert tiny.vocabulary <= 4096  # its tokenizer is trained on the notes at hand
    assert msgspec.structs.replace(tiny, vocabulary=4096) == PUBLISHED["tiny"]
    policy = load_policy(tiny_model, LearnerSpec(lora_rank=lora_rank), "cpu", 0)
    trained = sum(p.numel() for p in policy.module.parameters() if p.requires_grad)
    assert trained == (tiny.lora_parameters(lora_rank) if lora_rank else tiny.text_parameters)
