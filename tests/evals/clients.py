"""A model that is a function: what `evals.run` and `medserl ask` ask in the fast tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from actors.engine import PromptTooLong
from actors.episode import PartnerError
from common.config import RunSpec
from common.record import Ids
from common.records import Completion, Message, Reply, Sampled
from envs.contract.env import Act, Ask, Turn
from envs.verdict.doctor.grammar import Verdict, render
from evals.core.client import EngineLost

THOUGHT = "I compared every sentence with the findings."
CLEAN = render(Verdict(error=False, thinking=THOUGHT))


def flagged(sentence: int, correction: str = "He has endocarditis.", error_type: str = "diagnosis") -> str:
    return render(
        Verdict(error=True, thinking=THOUGHT, error_type=error_type, sentence=sentence, correction=correction)
    )


def completion(text: str, finish: str = "stop", versions: tuple[int, ...] = (0, 0)) -> Completion:
    ids = tuple(range(len(versions)))
    return Completion(
        text=text, token_ids=ids, logps=(0.0,) * len(ids), versions=versions, finish_reason=finish, engine="e"
    )


class FakeClient:
    """`reply` gives the completions of a prompt, or raises; after `dies_after` prompts the engine is lost."""

    def __init__(self, reply: Callable[[str], list[Completion]], dies_after: int = 10**9) -> None:
        self._reply, self._left = reply, dies_after
        self.prompts: list[str] = []
        self.checksum = "0" * 64

    def resolve(self, spec: RunSpec) -> tuple[Path, str]:
        if spec.model.source == "missing":
            raise ValueError("model.source 'missing': no such model")
        return Path("model"), self.checksum

    @asynccontextmanager
    async def asking(self, spec: RunSpec, folder: Path) -> AsyncIterator[FakeClient]:
        yield self

    async def start(self, messages: tuple[Message, ...], n: int, max_tokens: int) -> Sampled:
        return Sampled(prompt_ids=(1,), completions=self._said(messages))

    async def proceed(self, prefix: Ids, engine: str, messages: tuple[Message, ...], max_tokens: int) -> Sampled:
        return Sampled(prompt_ids=(*prefix, 1), completions=self._said(messages))

    async def partner(self, ask: Ask) -> Reply:
        raise PartnerError(f"nobody plays the {ask.role}")

    def _said(self, messages: tuple[Message, ...]) -> tuple[Completion, ...]:
        self._hear(messages)
        return tuple(self._reply(messages[0].content))

    def _hear(self, messages: tuple[Message, ...]) -> None:
        if len(self.prompts) >= self._left:
            raise EngineLost("the engine died: cancelled")
        self.prompts.append(messages[0].content)


class ActingClient(FakeClient):
    """Plays episodes of several turns: `begin` gives the policy of an episode by its first message."""

    def __init__(self, begin: Callable[[str], Act], dies_after: int = 10**9) -> None:
        super().__init__(lambda prompt: [], dies_after)
        self._begin = begin
        self._acts: list[Act] = []

    async def start(self, messages: tuple[Message, ...], n: int, max_tokens: int) -> Sampled:
        self._acts.append(self._begin(messages[0].content))
        return self._sampled((len(self._acts) - 1,), messages)

    async def proceed(self, prefix: Ids, engine: str, messages: tuple[Message, ...], max_tokens: int) -> Sampled:
        return self._sampled((*prefix, 1), messages)

    def _sampled(self, prompt_ids: tuple[int, ...], messages: tuple[Message, ...]) -> Sampled:
        """The first id of a prompt is the number of its episode."""
        self._hear(messages)
        said = self._acts[prompt_ids[0]](Turn(messages=messages))
        return Sampled(prompt_ids=prompt_ids, completions=(completion(said),))


def too_long(prompt: str) -> list[Completion]:
    raise PromptTooLong("prompt of 2000 tokens")
