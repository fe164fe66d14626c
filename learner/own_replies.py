"""The model's own replies as warm-up examples: it plays tasks, and what the reward calls right is kept.

A model that can already answer learns the form from its own right replies, with its own reasons; demonstrations made by
rule teach only the rule's. Kinds of tasks that it gets right less often are filled up with demonstrations, so that no
kind, such as silence on clean notes, wins by being easier. What was sampled is cached, as the warmed model is.

Shapes: B episodes in play, T positions, padded on the left.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import torch

from common.backends import BACKENDS
from common.chat import Bridge
from common.config import RunSpec
from common.paths import path_of
from common.records import Episode, LabelledTask, Record
from envs.contract.env import Done, Environment, State, Turn
from envs.contract.replay import play
from learner.examples import Example
from learner.warm_up import key

RIGHT = 0.9  # share of the oracle's reward: in the verdict game the right label, type and sentence
_TOGETHER = 16  # episodes that are sampled at once
_VERSION = 1  # part of the cache key: raise it when sampling or choosing changes

Progress = Callable[[int], None]
"""Called with the number of episodes played so far."""


class Kept(Record):
    """Examples to train on; of `asked` replies `right` were kept, and `filled` demonstrations stand in for others."""

    examples: tuple[Example, ...]
    asked: int
    right: int
    filled: int

    def __str__(self) -> str:
        """One line for people."""
        return f"{self.right} of {self.asked} own replies right, {self.filled} demonstrations for kinds with fewer"


def own_examples(
    spec: RunSpec,
    env: Environment,
    folder: Path,
    tasks: Sequence[LabelledTask],
    shown: Sequence[Example],
    progress: Progress,
) -> Kept:
    """The right ones of one reply of the model in `folder` to each of `tasks`, sampled now or found in the cache.

    `shown` are the demonstrations of the same tasks, one for each.
    """
    home = path_of(spec.model.cache) / "warm"
    games = [one.model_dump(mode="json") for one in spec.envs]  # with what they pay, by which replies are chosen
    settings = [_VERSION, spec.sampling.model_dump(), games, [env.kind(labelled) for labelled in tasks]]
    file = home / f"own-{key(spec, folder, shown, settings)}.msgpack"
    if file.is_file():
        return msgspec.msgpack.decode(file.read_bytes(), type=Kept)
    right = _sampled(spec, env, folder, tasks, progress)
    kept = balanced(right, shown, [env.kind(labelled) for labelled in tasks])
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=home, prefix=".making-", delete=False) as made:
        made.write(msgspec.msgpack.encode(kept))
    Path(made.name).rename(file)  # atomic: a file of this name is always whole
    return kept


def balanced(right: Sequence[Example | None], shown: Sequence[Example], kinds: Sequence[str]) -> Kept:
    """The right replies, and demonstrations of the kinds that have fewer of them than the most frequent one.

    The three have an item for each task; None where the reply was not right. Nothing where none was.
    """
    by_kind = defaultdict[str, list[Example]](list)
    for example, kind in zip(right, kinds, strict=True):
        if example is not None:
            by_kind[kind].append(example)
    most, counts = max(map(len, by_kind.values()), default=0), Counter({k: len(v) for k, v in by_kind.items()})
    filled = list[Example]()
    for example, demonstration, kind in zip(right, shown, kinds, strict=True):
        if example is None and counts[kind] < most:
            counts[kind] += 1
            filled.append(demonstration)
    own = [example for example in right if example is not None]
    return Kept(examples=(*own, *filled), asked=len(kinds), right=len(own), filled=len(filled))


class _Playing:
    """One episode: what was shown and replied, as token ids."""

    def __init__(self, env: Environment, bridge: Bridge, labelled: LabelledTask) -> None:
        self._env, self._bridge, self.labelled = env, bridge, labelled
        self._state: State
        self._state, turn = env.begin(labelled.task)
        self.prompt = bridge.prompt(turn.messages)
        self.ids, self._observed, self._actions = list[int](), list[tuple[int, int]](), list[str]()
        self.episode: Episode | None = None

    def reply(self, ids: Sequence[int], text: str) -> bool:
        """Take a whole reply; whether the episode goes on. It ends without a result where another model is asked."""
        self.ids += [*ids, self._bridge.end_of_turn]
        self._actions.append(text)
        self._state, after = self._env.advance(self._state, text)
        if isinstance(after, Done):
            self.episode = Episode(
                task_id=self.labelled.task.task_id, actions=tuple(self._actions), reason=after.reason
            )
        if not isinstance(after, Turn) or len(self._actions) == self.labelled.task.limits.max_turns:
            return False
        suffix = self._bridge.suffix(after.messages)
        self._observed.append((len(self.ids), len(self.ids) + len(suffix)))
        self.ids += suffix
        return True

    @property
    def example(self) -> Example:
        return Example(
            prompt_ids=self.prompt,
            completion_ids=tuple(self.ids),
            group=self.labelled.task.provenance.vignette,
            observed=tuple(self._observed),
        )


def _sampled(
    spec: RunSpec, env: Environment, folder: Path, tasks: Sequence[LabelledTask], progress: Progress
) -> list[Example | None]:
    """The right episodes, None for the others."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    bridge, rng = Bridge(tokenizer), random.Random(spec.seed)
    dtype = getattr(torch, spec.model.concrete_dtype)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, use_safetensors=True)
    model = model.to(BACKENDS[spec.backend].device).eval()
    found = list[Example | None]()
    with torch.random.fork_rng():
        torch.manual_seed(spec.seed)
        for at in range(0, len(tasks), _TOGETHER):
            group = [_Playing(env, bridge, labelled) for labelled in tasks[at : at + _TOGETHER]]
            _play(spec, model, tokenizer, bridge.end_of_turn, group)
            found += [one.example if _is_right(env, one, rng) else None for one in group]
            progress(len(found))
    return found


def _play(spec: RunSpec, model: Any, tokenizer: Any, end: int, group: Sequence[_Playing]) -> None:
    """Play all episodes of the group in step; those whose reply is cut off, or that no longer fit, end without one."""
    playing = list(group)
    while playing:
        rows = [(*one.prompt, *one.ids) for one in playing]
        room = spec.model.context - max(map(len, rows))
        replies = _generate(model, rows, end, min(spec.sampling.max_tokens, room), spec.sampling.temperature)
        playing = [
            one
            for one, ids in zip(playing, replies, strict=True)
            if ids is not None and one.reply(ids, tokenizer.decode(ids, skip_special_tokens=True))
        ]


@torch.no_grad()
def _generate(
    model: Any, rows: Sequence[Sequence[int]], end: int, most: int, temperature: float
) -> Iterator[list[int] | None]:
    """A reply to each row, without its end; None where it was cut off after `most` tokens."""
    from transformers import GenerationConfig

    if most < 1:
        yield from [None] * len(rows)
        return
    longest = max(map(len, rows))
    ids_BT = torch.tensor([[end] * (longest - len(row)) + list(row) for row in rows], device=model.device)
    mask_BT = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=model.device)
    settings = GenerationConfig(
        do_sample=True, temperature=temperature, top_k=0, top_p=1.0, max_new_tokens=most, eos_token_id=end,
        pad_token_id=end,
    )  # fmt: skip
    written_BT = model.generate(input_ids=ids_BT, attention_mask=mask_BT, generation_config=settings)
    for row in written_BT[:, longest:].tolist():
        yield row[: row.index(end)] if end in row else None


def _is_right(env: Environment, one: _Playing, rng: random.Random) -> bool:
    if one.episode is None:
        return False
    best = env.score(play(env, one.labelled.task, env.oracle(one.labelled, rng)), one.labelled.label).total
    return best > 0 and env.score(one.episode, one.labelled.label).total >= RIGHT * best
