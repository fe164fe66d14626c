"""TRL's GRPOTrainer on the workload: Hugging Face generation, LoRA, a dummy reward.

python -m bench.reference_trl workload.json
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from bench.memory import PeakMemory
from bench.result import TRL, Result, emit
from bench.workload import Workload, load, prompt_ids


class Clock(TrainerCallback):  # type: ignore[misc]  # TRL's types are not checked
    """Records the end of each optimiser step, and the time of its generation."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.generated: list[float] = []
        self._generating = 0.0

    def watch(self, model: Any) -> None:
        """Time every `model.generate` call."""
        generate = model.generate

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            out = generate(*args, **kwargs)
            self._generating += time.perf_counter() - start
            return out

        model.generate = timed

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Called by the trainer after each optimiser step."""
        self.ends.append(time.perf_counter())
        self.generated.append(self._generating)
        self._generating = 0.0


def varied_reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
    """A free reward that differs within a group, so that no advantage is zero."""
    return [float(sum(ids) % 7) for ids in completion_ids]


def config(work: Workload, folder: str) -> GRPOConfig:
    """The same optimisation as our learner: dtype, LoRA, KL to the reference, one update per batch."""
    return GRPOConfig(
        output_dir=folder,
        use_cpu=True,
        bf16=work.bf16,
        model_init_kwargs={"dtype": work.dtype},
        per_device_train_batch_size=work.group_size,
        gradient_accumulation_steps=work.prompts_per_step,
        gradient_checkpointing=True,
        num_generations=work.group_size,
        max_completion_length=work.tokens,
        generation_kwargs={"min_new_tokens": work.tokens},
        temperature=work.temperature,
        beta=work.kl_coef,
        learning_rate=work.learning_rate,
        max_steps=work.warm_steps + work.steps,
        shuffle_dataset=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        dataloader_pin_memory=False,
        seed=work.seed,
    )


def run(work: Workload) -> Result:
    """Train for the workload's steps; measure all except the warm-up steps."""
    torch.set_flush_denormal(True)  # progress bars cost time
    clock = Clock()
    prompts = [[msgspec.structs.asdict(message) for message in chat] for chat in work.prompts]
    with tempfile.TemporaryDirectory() as folder, PeakMemory() as memory:
        trainer = GRPOTrainer(
            model=work.model,
            reward_funcs=varied_reward,
            args=config(work, folder),
            train_dataset=Dataset.from_dict({"prompt": prompts}),
            peft_config=LoraConfig(r=work.lora_rank, lora_alpha=work.lora_alpha, target_modules="all-linear"),
            callbacks=[clock],
        )
        assert trainer.model.get_base_model().dtype == getattr(torch, work.dtype)
        assert trainer.accelerator.mixed_precision == ("bf16" if work.bf16 else "no")
        clock.watch(trainer.model)
        trainer.train()
    seconds = clock.ends[-1] - clock.ends[work.warm_steps - 1]
    generate_s = sum(clock.generated[work.warm_steps :]) / work.steps
    lengths = [len(ids) for ids in prompt_ids(work)]
    return Result(
        name=TRL,
        completions=work.steps * work.completions_per_step,
        seconds=seconds,
        tokens=work.steps * work.completions_per_step * work.tokens,
        prompt_tokens=sum(lengths) / len(lengths),
        generate_s=generate_s,
        train_s=seconds / work.steps - generate_s,
        peak_memory_gib=memory.gib,
    )


if __name__ == "__main__":
    emit(run(load(Path(sys.argv[1]))))
