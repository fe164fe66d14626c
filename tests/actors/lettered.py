"""A tiny verifier: answers of one letter are likely, as they are of no random model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from common.chat import Bridge
from common.config import RunSpec
from common.sections import WarmUpSpec
from envs.verdict.prompts import verifier_messages
from envs.verdict.scribe.verifier import LETTERS
from learner.examples import Example
from learner.warm_up import warmed_model


def lettered_model(spec: RunSpec, folder: Path, cache: Path, sentences: Sequence[str], other: str) -> Path:
    """The model in `folder` after a few steps on questions about `sentences`, of which some are answered with A, some
    with either letter."""
    from transformers import AutoTokenizer

    bridge = Bridge(tokenizer := AutoTokenizer.from_pretrained(folder))
    asked = [
        verifier_messages(sentences, at, order)
        for at, sentence in enumerate(sentences)
        for order in ((sentence, other), (other, sentence))
    ]
    examples = [
        Example(
            prompt_ids=bridge.prompt(messages),
            completion_ids=(tokenizer.convert_tokens_to_ids(letter), bridge.end_of_turn),
            group=str(number),
        )
        for number, messages in enumerate(asked)
        for letter in (LETTERS if number % 2 else LETTERS[:1])
    ]
    model = spec.model.model_copy(update={"cache": cache})
    warm_up = WarmUpSpec(steps=20, batch=4, learning_rate=1e-3)
    return warmed_model(
        spec.model_copy(update={"model": model, "warm_up": warm_up}), folder, examples, lambda step, loss: None
    )
