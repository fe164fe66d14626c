"""The workload of every system in the throughput bench: same model, same prompts, same lengths.

A workload is a JSON file, so that each system can read it in its own process, which makes peak memory comparable.
"""

from __future__ import annotations

import random
from pathlib import Path

import msgspec

from common.backends.dtype import Name
from common.chat import Bridge
from common.records import Message, Record


class Workload(Record):
    """`prompts` holds prompts_per_step * (warm_steps + steps) chats; each gets `group_size` completions of `tokens`."""

    model: str  # folder in Hugging Face form
    dtype: Name  # dtype of every system
    prompts: tuple[tuple[Message, ...], ...]
    prompts_per_step: int = 4
    group_size: int = 8
    tokens: int = 96
    warm_steps: int = 1
    steps: int = 2
    temperature: float = 1.0
    lora_rank: int = 16
    lora_alpha: int = 32
    learning_rate: float = 1e-4
    kl_coef: float = 0.0  # the default in TRL and here
    seed: int = 0

    @property
    def completions_per_step(self) -> int:
        """Prompts per step times completions per prompt."""
        return self.prompts_per_step * self.group_size

    @property
    def bf16(self) -> bool:
        """Whether training is mixed: bfloat16 under autocast, and LoRA in float32."""
        return self.dtype == "bfloat16"

    def step_prompts(self, step: int) -> tuple[tuple[Message, ...], ...]:
        """The chats of step `step`, 0-based, warm-up steps first."""
        return self.prompts[step * self.prompts_per_step : (step + 1) * self.prompts_per_step]


def chats(count: int, seed: int, data: str = "bundled") -> tuple[tuple[Message, ...], ...]:
    """`count` Doctor prompts on notes of `data`, drawn without replacement until the notes run out."""
    from envs.verdict.data.medec import load_notes
    from envs.verdict.prompts import doctor_messages

    notes = load_notes(data)
    rng = random.Random(seed)
    drawn = [note for _ in range(-(-count // len(notes))) for note in rng.sample(notes, len(notes))]
    return tuple(doctor_messages(note.sentences) for note in drawn[:count])


def save(workload: Workload, path: Path) -> Path:
    """Write the workload as JSON; returns the path."""
    path.write_bytes(msgspec.json.encode(workload))
    return path


def load(path: Path) -> Workload:
    """Read a workload. Raises msgspec.ValidationError when the file is something else."""
    return msgspec.json.decode(path.read_bytes(), type=Workload)


def prompt_ids(workload: Workload) -> list[list[int]]:
    """Token ids of every chat under the model's own chat template, generation prompt included."""
    from transformers import AutoTokenizer

    bridge = Bridge(AutoTokenizer.from_pretrained(workload.model))
    return [list(bridge.prompt(chat)) for chat in workload.prompts]
