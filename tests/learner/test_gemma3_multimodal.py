"""MedGemma's class, tiny and random, with its vision tower: load -> LoRA -> published names -> vLLM."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from common.config import LearnerSpec, RunSpec
from learner import warm_up
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


def carried(folder: Path, transport: str) -> dict[str, Any]:
    path = os.pathsep.join([str(ROOT / "tests" / "fakes"), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-m", "tests.learner.gemma3_multimodal_case", str(folder), transport],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    line = next(line for line in done.stdout.splitlines() if line.startswith("found "))
    found: dict[str, Any] = json.loads(line.removeprefix("found "))
    return found


def moved(found: dict[str, Any]) -> bool:
    """Whether the engine held the first policy before the update, and the moved one after it."""
    near, far = ("first before", "moved after"), ("moved before", "first after")
    return all(found[name] < 0.001 for name in near) and all(found[name] > 0.1 for name in far)


def test_a_running_vllm_takes_the_published_names_and_then_holds_the_new_policy(tiny_medgemma: Path) -> None:
    found = carried(tiny_medgemma, "shm")
    assert moved(found), found


def test_a_running_vllm_computes_with_a_text_adapter_under_the_wrapper_and_proves_it(tiny_medgemma: Path) -> None:
    found = carried(tiny_medgemma, "adapter")
    assert moved(found), found
    assert found["held"] == found["sent"]
    assert "adapter v7: tensor base_model.model.model.layers.0." in found["refusal"]
    assert "matches no LoRA layer of this engine" in found["refusal"]


def test_the_warm_ups_adapters_are_on_the_text_alone(tiny_medgemma: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_up, "_WHOLE_MODEL_LIMIT", 1000)
    spec = RunSpec.model_validate({"model": {"source": str(tiny_medgemma), "dtype": "float32"}})
    trainer = warm_up.Trainer(spec, warm_up.load(spec, tiny_medgemma))
    adapted = [name for name, _ in trainer._peft.named_parameters() if "lora_" in name]
    assert adapted and all(".language_model.layers." in name for name in adapted)
