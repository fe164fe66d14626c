"""The warm-up's examples: demonstrations of an environment, tokenised for the policy."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from common.chat import Bridge
from common.config import RunSpec
from common.records import LabelledTask, Message, Record
from envs.contract.env import Environment
from envs.contract.replay import play, turns


class Example(Record, omit_defaults=True):
    """One supervised episode. Examples of one `group` (twins) stay on one side of the held-out split.

    `completion_ids` are all ids after the prompt. `observed` are the spans [start, end) of them that are not the
    assistant's and not trained: what its turns were answered, up to the beginning of its next one.
    """

    prompt_ids: tuple[int, ...]
    completion_ids: tuple[int, ...]
    group: str
    observed: tuple[tuple[int, int], ...] = ()

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return len(self.prompt_ids) + len(self.completion_ids)

    @property
    def trained(self) -> list[bool]:
        """For each completion id, whether it is the assistant's."""
        outside = {at for start, end in self.observed for at in range(start, end)}
        return [at not in outside for at in range(len(self.completion_ids))]

    @property
    def first_turn(self) -> int:
        """Tokens of the assistant's first turn."""
        return self.observed[0][0] if self.observed else len(self.completion_ids)


def examples_of(spec: RunSpec, env: Environment, folder: Path, tasks: Sequence[LabelledTask]) -> list[Example]:
    """The demonstrator's episode of each task, as `fitting` gives them."""
    return [example for _, example in fitting(spec, env, folder, tasks)]


def fitting(
    spec: RunSpec, env: Environment, folder: Path, tasks: Sequence[LabelledTask]
) -> list[tuple[LabelledTask, Example]]:
    """Each task with its demonstrator's episode, for the model in `folder`; those beyond `model.context` are left out.

    Raises ValueError when none fits, or the chat template cannot be continued turn by turn.
    """
    from transformers import AutoTokenizer

    bridge = Bridge(AutoTokenizer.from_pretrained(folder))
    rng = random.Random(spec.seed)
    examples = list[tuple[LabelledTask, Example]]()
    for labelled in tasks:
        episode = play(env, labelled.task, env.demonstrator(labelled, rng))
        shown = [turn.messages for turn in turns(env, labelled.task, episode)]
        replies = [bridge.reply(action) for action in episode.actions]
        example = _example(bridge, shown, replies, labelled.task.provenance.vignette)
        if example.tokens <= spec.model.context:
            examples.append((labelled, example))
    if not examples:
        raise ValueError(
            f"no task's prompt and reply fit model.context {spec.model.context}: raise it, or have the game make "
            "shorter tasks"
        )
    return examples


def _example(
    bridge: Bridge, shown: Sequence[Sequence[Message]], replies: Sequence[Sequence[int]], group: str
) -> Example:
    """An episode as it is sampled: what is shown before each turn, and the turn's ids without their end."""
    ids, observed = list[int](), list[tuple[int, int]]()
    for at, reply in enumerate(replies):
        if at:
            suffix = bridge.suffix(shown[at])
            observed.append((len(ids), len(ids) + len(suffix)))
            ids += suffix
        ids += [*reply, bridge.end_of_turn]
    return Example(prompt_ids=bridge.prompt(shown[0]), completion_ids=tuple(ids), group=group, observed=tuple(observed))
