"""MedGemma's class, tiny and random, with its vision tower: load -> LoRA -> published names -> vLLM."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from common.config import LearnerSpec
from learner.policy import adapter_weights, load_policy, merged_weights
from tests.actors.engine_cases import ROOT

pytestmark = pytest.mark.integration

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")


@pytest.fixture(scope="module")
def tiny_medgemma(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Config, tokenizer and weights alone: no processor files."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3TextConfig, SiglipVisionConfig

    folder = tmp_path_factory.mktemp("medgemma")
    text = Gemma3TextConfig.from_pretrained(tiny_model)
    text.num_hidden_layers, text.layer_types = 2, ["sliding_attention", "full_attention"]
    vision = SiglipVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, image_size=28, patch_size=14
    )
    last = text.vocab_size - 1
    config = Gemma3Config(
        text_config=text,
        vision_config=vision,
        mm_tokens_per_image=4,
        boi_token_index=last - 2,
        eoi_token_index=last - 1,
        image_token_index=last,
    )
    torch.manual_seed(0)
    Gemma3ForConditionalGeneration(config).save_pretrained(folder)
    for name in TOKENIZER_FILES:
        if (tiny_model / name).is_file():
            shutil.copy2(tiny_model / name, folder / name)
    return folder


def test_what_is_published_is_the_whole_language_model_and_nothing_of_the_vision_tower(tiny_medgemma: Path) -> None:
    from transformers import Gemma3ForConditionalGeneration

    policy = load_policy(tiny_medgemma, LearnerSpec(lora_rank=4), "cpu", seed=1)
    published = [name for name, _ in merged_weights(policy, torch.float32)]
    assert len(published) == len(set(published))
    loaded = set(Gemma3ForConditionalGeneration.from_pretrained(tiny_medgemma).state_dict())
    assert set(published) == {name for name in loaded if "vision" not in name and "multi_modal" not in name} - {
        "lm_head.weight"
    }
    assert not [name for name in adapter_weights(policy) if "vision" in name or "multi_modal" in name]
    with safe_open(tiny_medgemma / "model.safetensors", "pt") as file:
        assert any("vision_tower" in name for name in file.keys())  # noqa: SIM118 not a dict


def test_a_running_vllm_takes_the_published_names_and_then_holds_the_new_policy(tiny_medgemma: Path) -> None:
    path = os.pathsep.join([str(ROOT / "tests" / "fakes"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.learner.gemma3_multimodal_case", str(tiny_medgemma)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("gaps "))
    gaps = json.loads(line.removeprefix("gaps "))
    assert gaps["first before"] < 0.001 < 0.1 < gaps["moved before"]
    assert gaps["moved after"] < 0.001 < 0.1 < gaps["first after"]
