"""The warm-up's examples: demonstrations of an environment, tokenised for the policy."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from common.config import RunSpec
from common.records import LabelledTask, Record
from envs.contract.env import Environment


class Example(Record):
    """One supervised reply. Examples of one `group` (twins) stay on one side of the held-out split."""

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    group: str

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return len(self.prompt_ids) + len(self.completion_ids)


def examples_of(spec: RunSpec, env: Environment, folder: Path, tasks: Sequence[LabelledTask]) -> list[Example]:
    """One example per task, for the model in `folder`; those that do not fit `model.context` are left out.

    Raises ValueError when none fits.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    rng = random.Random(spec.seed)
    examples = []
    for labelled in tasks:
        _, turn = env.begin(labelled.task)
        chat = [{"role": m.role, "content": m.content} for m in turn.messages]
        prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        reply = tokenizer.encode(env.demonstrator(labelled, rng)(turn), add_special_tokens=False)
        example = Example(
            prompt_ids=tuple(prompt),
            completion_ids=(*reply, tokenizer.eos_token_id),
            group=labelled.task.provenance.vignette,
        )
        if example.tokens <= spec.model.context:
            examples.append(example)
    if not examples:
        raise ValueError(
            f"no task's prompt and reply fit model.context {spec.model.context}: raise it, or have the game make "
            "shorter tasks"
        )
    return examples
