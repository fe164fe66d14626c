"""The warm-up's examples: played demonstrations, of which the assistant's ids are trained."""

from __future__ import annotations

import random
from itertools import compress
from pathlib import Path
from typing import Any

import pytest

from common.config import RunSpec
from common.records import LabelledTask, Limits, Message, Reply, Task
from envs.contract.env import Act, Done, State, Turn
from learner.examples import Example, examples_of
from learner.warm_up import pack_examples
from tests.actors.fake_env import FakeEnv, labelled_task
from tests.common.chat_families import end_of, tokenizer_of
from tests.common.test_chat import stock

SHOWN = ("It is the left one.", "There are two of them.")
REPLIES = ("Let me see.\nlook(id=7)", "look(id=8)", "This one")
FAMILIES = ["tiny", "gemma3", "llama3", "qwen3"]


class ThreeTurns(FakeEnv):
    """Shows something after the first two replies."""

    def advance(self, state: State, action: str, replies: tuple[Reply, ...] = ()) -> tuple[State, Turn | Done]:
        turn = state or 0
        if turn == len(SHOWN):
            return state, Done()
        return turn + 1, Turn(messages=(Message(role="tool", content=SHOWN[turn]),))

    def oracle(self, labelled: LabelledTask, rng: random.Random) -> Act:
        replies = iter(REPLIES)
        return lambda _: next(replies)


class OneTurn(FakeEnv):
    def demonstration(self, labelled: LabelledTask, rng: random.Random) -> str:
        return REPLIES[0]


def task_of_turns() -> LabelledTask:
    one = labelled_task(0)
    task = Task(**{**{f: getattr(one.task, f) for f in Task.__struct_fields__}, "limits": Limits(max_turns=5)})
    return LabelledTask(task=task, label=one.label)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    from transformers import AutoTokenizer

    def from_pretrained(_: Path) -> Any:
        return tokenizer_of(request.param)

    monkeypatch.setattr(AutoTokenizer, "from_pretrained", from_pretrained)
    return str(request.param)


def test_an_episode_is_the_whole_chat_of_which_the_assistants_turns_are_trained(family: str) -> None:
    (example,) = examples_of(RunSpec(), ThreeTurns(), Path("any"), [task_of_turns()])
    said = [Message(role="assistant", content=reply) for reply in REPLIES]
    shown = [Message(role="tool", content=content) for content in SHOWN]
    chat = [Message(role="user", content="note 0"), said[0], shown[0], said[1], shown[1], said[2], shown[0]]
    ids = (*example.prompt_ids, *example.completion_ids)
    assert stock(family, chat)[: len(ids)] == ids
    tokenizer = tokenizer_of(family)
    trained = list(compress(example.completion_ids, example.trained))
    end = end_of(family)
    assert tokenizer.decode(trained) == "".join(f"{reply}{end}" for reply in REPLIES)
    assert example.first_turn == len(tokenizer.encode(REPLIES[0], add_special_tokens=False)) + 1


def test_an_example_of_one_turn_is_what_the_template_and_the_end_of_turn_give(family: str) -> None:
    (example,) = examples_of(RunSpec(), OneTurn(), Path("any"), [labelled_task(0)])
    tokenizer = tokenizer_of(family)
    chat = [{"role": "user", "content": "note 0"}]
    reply = tokenizer.encode(REPLIES[0], add_special_tokens=False)
    assert example == Example(
        prompt_ids=tuple(tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)),
        completion_ids=(*reply, tokenizer.convert_tokens_to_ids(end_of(family))),
        group="v0",
    )


def test_observed_ids_are_in_the_row_and_not_predicted() -> None:
    row = pack_examples(
        [
            Example(prompt_ids=(1, 2), completion_ids=(10, 11, 50, 51, 12), group="a", observed=((2, 4),)),
            Example(prompt_ids=(1, 3), completion_ids=(20,), group="b"),
        ]
    )
    assert row.ids_S.tolist() == [1, 2, 10, 11, 50, 51, 12, 3, 20]
    assert row.positions_S.tolist() == [0, 1, 2, 3, 4, 5, 6, 1, 2]
    assert row.target_N.tolist() == [10, 11, 12, 20] and row.source_N.tolist() == [1, 2, 5, 7]
