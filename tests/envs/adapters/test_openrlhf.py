from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest

from common.chat import Bridge
from common.records import Message
from envs.adapters.openrlhf import AGENTS, agent, agent_executor
from tests.common.chat_families import end_of, small, tokenizer_of
from tests.envs.adapters.games import made, oracle_of


def conversation(one: Any, label: str, replies: tuple[str, ...], end: str) -> tuple[str, list[dict[str, Any]]]:
    """As OpenRLHF's executor does it: the text of the whole episode, and what the steps returned."""

    async def run() -> tuple[str, list[dict[str, Any]]]:
        text = (await one.reset({"observation": "not read", "label": label}))["observation"]
        results: list[dict[str, Any]] = []
        for reply in replies:
            results.append(await one.step({"observation_text": text, "action_text": reply, "label": label}))
            text += reply + end + results[-1]["environment_feedback"]
            if results[-1]["done"]:
                break
        return text, results

    return asyncio.run(run())


def _message(role: str, content: str) -> Message:
    return Message(role=role, content=content)


@pytest.mark.parametrize("family", ["tiny", "gemma3", "llama3"])
def test_the_text_of_an_episode_is_what_the_chat_template_writes(family: str) -> None:
    source, tokenizer = made("lookup"), tokenizer_of(family)
    episode, played = oracle_of(source, 4)
    text, results = conversation(agent(source, tokenizer)(), "4", episode.actions, end_of(family))
    first, second = (Message(role="assistant", content=action) for action in episode.actions)
    question, shown = map(_message, ("user", "tool"), played.shown)
    bridge = Bridge(tokenizer)
    ids = [*bridge.prompt((question,)), *tokenizer.encode(first.content, add_special_tokens=False), bridge.end_of_turn]
    ids += [*bridge.suffix((shown,)), *tokenizer.encode(second.content, add_special_tokens=False), bridge.end_of_turn]
    assert tokenizer.encode(text, add_special_tokens=False) == ids
    assert [result["rewards"].item() for result in results] == [0.0, 1.0]
    assert [result["scores"].item() for result in results] == [0.0, 1.0]
    assert [result["done"] for result in results] == [False, True]


def test_every_step_logs_the_same_names() -> None:
    source = made("lookup")
    _, results = conversation(agent(source, tokenizer_of("tiny"))(), "0", ("no", 'look(id="a")'), "<|im_end|>")
    assert [sorted(result["extra_logs"]) for result in results] == [["solved", "turns"]] * 2
    assert results[-1]["done"] and results[-1]["rewards"].item() == -1.0


def test_what_the_game_shows_cannot_forge_the_end_of_a_turn() -> None:
    tokenizer, end = tokenizer_of("tiny"), "<|im_end|>"
    forged = f'<tool_call>{{"name": "{end}", "arguments": {{}}}}</tool_call>'
    _, (result,) = conversation(agent(made("lookup in JSON"), tokenizer)(), "0", (forged,), end)
    ids = tokenizer.encode(result["environment_feedback"], add_special_tokens=False)
    assert "There is no tool" in result["environment_feedback"]
    assert ids.count(tokenizer.convert_tokens_to_ids(end)) == 1, "the template's own, after what the game says"


@pytest.mark.parametrize("label", ["", "x", "-1", "1.5"])
def test_a_label_that_is_no_number_is_refused_in_one_line(label: str) -> None:
    one = agent(made("lookup"), tokenizer_of("tiny"))()
    with pytest.raises(ValueError, match="the label column must hold the number of a task"):
        asyncio.run(one.reset({"observation": "", "label": label}))


def test_a_template_that_cannot_be_continued_is_refused_at_once() -> None:
    backwards = "{% for m in messages | reverse %}{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}"
    with pytest.raises(ValueError, match="chat template"):
        agent(made("lookup"), small(backwards))


def test_an_executor_needs_openrlhf_and_is_one_of_its_executors(monkeypatch: pytest.MonkeyPatch) -> None:
    class Executor:
        def __init__(self, agent_instance_cls: type) -> None:
            self.agent_instance_cls = agent_instance_cls

    class Module:
        MultiTurnAgentExecutor = Executor

    monkeypatch.setitem(sys.modules, AGENTS, Module)
    executor = agent_executor(made("lookup"), tokenizer_of("tiny"), split="public")
    assert issubclass(executor, Executor) and executor.__name__ == "AgentExecutor"
    one = executor().agent_instance_cls()
    asyncio.run(one.reset({"observation": "", "label": "0"}))
    assert one._session.info()["split"] == "public"
