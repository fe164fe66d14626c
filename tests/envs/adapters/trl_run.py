"""One step of TRL's own trainer on an environment of ours. Imported by the test that runs it: it needs torch."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import GRPOConfig, GRPOTrainer

from envs.adapters.trl import environment_factory, rows
from envs.contract.calls import Call, render

CONTEXT = 2048
ROLLOUTS = 4
"""Rollouts of the step, two of each task."""


class HalfOracle(GRPOTrainer):  # type: ignore[misc]
    """The model samples every reply. For every other rollout what it sampled is replaced by what the oracle says: an
    untrained model calls no tool, and rollouts of equal reward teach nothing."""

    def _generate_single_turn(self, prompt_ids: list[list[int]], *args: Any, **kwargs: Any) -> Any:
        completions, logps = super()._generate_single_turn(prompt_ids, *args, **kwargs)
        for at, prompt in enumerate(prompt_ids):
            text = self.processing_class.decode(prompt)
            if value := re.search(r"<tool_response>\s*value=(\d)", text):
                completions[at] = self._called("answer", value=int(value[1]))
            elif at % 2 == 0:
                found = re.search(r'Look up id="(.)"', text)
                assert found
                completions[at] = self._called("look", id=found[1])
        return completions, logps

    def _called(self, name: str, **arguments: Any) -> list[int]:
        reply = render(Call(name=name, arguments=arguments), "hermes") + "<|im_end|>"
        return list(self.processing_class(reply, add_special_tokens=False)["input_ids"])


def one_step(folder: Path, output: Path) -> tuple[dict[str, float], bool]:
    """The figures that TRL logs of the step, and whether the weights changed."""
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, max_position_embeddings=CONTEXT)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    trainer = HalfOracle(
        model=model,
        processing_class=_tokenizer(folder),
        args=_config(output),
        train_dataset=Dataset.from_list(rows(ROLLOUTS)),
        environment_factory=environment_factory("lookup", call_syntax="hermes"),
    )
    trainer.train()
    after = trainer.model.parameters()
    changed = any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))
    return next(entry for entry in trainer.state.log_history if "grad_norm" in entry), changed


def _tokenizer(folder: Path) -> Any:
    """The tiny model's own, with a template that TRL can find calls in: its own template writes none."""
    found = importlib.util.find_spec("trl")
    assert found and found.origin
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
    template = Path(found.origin).parent / "chat_templates" / "qwen2_5.jinja"
    tokenizer.chat_template = template.read_text(encoding="utf-8")
    return tokenizer


def _config(output: Path) -> GRPOConfig:
    return GRPOConfig(
        output_dir=str(output),
        use_cpu=True,
        bf16=False,
        per_device_train_batch_size=ROLLOUTS,
        num_generations=2,
        max_completion_length=160,
        generation_kwargs={"max_new_tokens": 8},
        learning_rate=1e-3,
        max_steps=1,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        dataloader_pin_memory=False,
        seed=0,
    )
