"""A tiny verifier: answers of one letter are likely, as they are of no random model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.chat import Bridge
from common.config import RunSpec
from common.learner_sections import WarmUpSpec
from envs.verdict.prompts import verifier_messages
from envs.verdict.scribe.verifier import LETTERS
from learner.examples import Example
from learner.warm_up import warmed_model

STEPS = 60


def lettered_model(spec: RunSpec, folder: Path, cache: Path, sentences: Sequence[str], other: str) -> Path:
    """The model in `folder` after some steps on questions about `sentences`: the letter of the sentence is likelier
    than that of the `other`, and either is likely."""
    from transformers import AutoTokenizer

    bridge = Bridge(tokenizer := AutoTokenizer.from_pretrained(folder))
    examples = [
        Example(
            prompt_ids=bridge.prompt(verifier_messages(sentences, at, order)),
            completion_ids=(tokenizer.convert_tokens_to_ids(letter), bridge.end_of_turn),
            group=f"{at}{order}",
        )
        for at, sentence in enumerate(sentences)
        for order in ((sentence, other), (other, sentence))
        for letter in (*LETTERS, LETTERS[order.index(sentence)])  # the right one twice, the other one once
    ]
    model = spec.model.model_copy(update={"cache": cache})
    warm_up = WarmUpSpec(steps=STEPS, batch=6, learning_rate=1e-3)
    return warmed_model(
        spec.model_copy(update={"model": model, "warm_up": warm_up}), folder, examples, lambda step, loss: None
    )
