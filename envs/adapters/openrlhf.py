"""The door for OpenRLHF: the file that `--train.agent_func_path` names has two lines.

    from envs.adapters.openrlhf import agent_executor
    AgentExecutor = agent_executor("lookup", tokenizer="the folder of the model")

A row of the data set names its task in the label column, by number (`data.label_key`); its prompt is not read, because
the task is the prompt. OpenRLHF tokenises what it is given as it is, so `reset` and `step` return text with the markup
of the model's chat template. It sums the rewards of the steps; dynamic filtering reads `scores`, from 0 to 1.

OpenRLHF does not say that the length limit cut a reply off: such an episode earns what its steps gave, 0.
OpenRLHF and torch are imported by the functions that need them.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache
from typing import Any

from common.chat import Bridge
from common.records import Message
from envs.adapters.session import Seen, Session
from envs.adapters.source import Source, source_of

AGENTS = "openrlhf.utils.agent"


class GameAgent:
    """One episode. `agent` derives a class for a game, which OpenRLHF makes an object of per prompt and sample."""

    _source: Source
    _split: str
    _markup: Markup

    def __init__(self) -> None:
        self._session = Session(self._source, self._split)

    async def reset(self, states: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """The prompt of the task whose number is the label. Raises ValueError for a label that is no number."""
        label = str(states.get("label", "")).strip()
        if not label.isdecimal():
            raise ValueError(f"label {label!r}: the label column must hold the number of a task, such as 3")
        seen = self._session.reset(index=int(label))
        return {"observation": self._markup.opening(seen.messages)}

    async def step(self, states: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
        """What follows `states["action_text"]`."""
        seen = self._session.step(states["action_text"])
        return {
            "rewards": _tensor(seen.reward),
            "scores": _tensor(float(self._solved)),
            "environment_feedback": "" if seen.done else self._markup.between(seen.messages),
            "done": seen.done,
            "extra_logs": self._logs(seen),
        }

    @property
    def _solved(self) -> bool:
        return self._session.result is not None and self._session.result.solved

    def _logs(self, seen: Seen) -> dict[str, Any]:
        """The same names at every step: OpenRLHF puts episodes into one batch."""
        return {"turns": _tensor(float(seen.turn)), "solved": _tensor(float(self._solved))}


class Markup:
    """Messages as a chat template writes them, special tokens included.

    Raises ValueError for a template that cannot be continued turn by turn (`common.chat`).
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer, self._bridge = tokenizer, Bridge(tokenizer)
        self._bridge.suffix((Message(role="user", content="?"),))

    def opening(self, messages: tuple[Message, ...]) -> str:
        """A first prompt, up to the beginning of the reply."""
        return self._text(self._bridge.prompt(messages))

    def between(self, messages: tuple[Message, ...]) -> str:
        """What stands between a reply with its end-of-turn token and the next one."""
        return self._text(self._bridge.suffix(messages))

    def _text(self, ids: tuple[int, ...]) -> str:
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False))


def agent(game: str | Source, tokenizer: Any, split: str = "train", seed: int = 0, **settings: Any) -> type[GameAgent]:
    """The agent class of a game. `tokenizer` is one of transformers, or the folder or id of its model.

    It derives from OpenRLHF's AgentInstanceBase where OpenRLHF is installed. Raises ValueError like `source_of` and
    `Markup`.
    """
    loaded = _tokenizer(tokenizer) if isinstance(tokenizer, str) else tokenizer
    own = {"_source": source_of(game, seed, **settings), "_split": split, "_markup": Markup(loaded)}
    return type("AgentInstance", (GameAgent, *_base("AgentInstanceBase")), own)


def agent_executor(game: str | Source, tokenizer: Any, **options: Any) -> type[Any]:
    """The class that OpenRLHF looks for under the name AgentExecutor. `options` are those of `agent`.

    Raises ModuleNotFoundError where OpenRLHF is not installed.
    """
    base = importlib.import_module(AGENTS).MultiTurnAgentExecutor
    instance = agent(game, tokenizer, **options)

    def init(self: Any) -> None:
        base.__init__(self, instance)

    return type("AgentExecutor", (base,), {"__init__": init})


def _base(name: str) -> tuple[type[Any], ...]:
    if importlib.util.find_spec("openrlhf") is None:
        return ()
    return (getattr(importlib.import_module(AGENTS), name),)


@cache
def _tokenizer(source: str) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(source)


def _tensor(value: float) -> Any:
    import torch

    return torch.tensor(value)
