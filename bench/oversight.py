"""The oversight game in numbers: labels checked, oracle, policies that do not read, speed, and tokens of an audit.

    python -m bench.oversight                    # 1,000 trials a tier; the tables of docs/oversight.md
    python -m bench.oversight --count 100 --tiers duo easy

Exit code 1 when a label is disputed, the oracle misses 1, or a blind policy earns more than the game's ceiling.
`medserl check-env oversight` also looks for leaks and compares processes.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.table import Table

from common.chat import Bridge
from common.config import ModelSpec
from common.flags import flag_count
from common.models import resolve_model
from common.records import LabelledTask, Record, Reward
from envs.contract.by_rule import tasks_by_rule
from envs.contract.probing import Policy
from envs.contract.replay import play, turns
from envs.oversight.environment import Oversight
from envs.oversight.spec import OversightSettings
from envs.oversight.trial import TIERS
from envs.oversight_checker.checker import Checker


class Tokens(Record):
    """The largest of some audits by the oracle, in tokens of one model."""

    prompt: int
    audit: int
    reply: int


class Figures(Record):
    """One tier, times of this process alone. `blind` holds mean (reward, score of the source) by policy."""

    tier: str
    disputed: int
    oracle: float
    audit_of_oracle: float
    trials_s: float
    step_ms: float
    tokens: Tokens
    blind: dict[str, tuple[float, float]]


def measured(tier: str, count: int, bridge: Bridge, encode: Callable[[str], Sequence[int]]) -> Figures:
    """The figures of the first `count` trials of the plan."""
    env = Oversight(OversightSettings.model_validate({"tiers": [tier]}), 0)
    started = time.process_time()
    tasks = [labelled for _, labelled in asyncio.run(tasks_by_rule(env, env.plan, count))]
    made = time.process_time()
    oracle = [_earned(env, labelled, partial(env.oracle, labelled, random.Random(0))) for labelled in tasks]
    played = time.process_time()
    steps = sum(actions for _, actions in oracle)
    return Figures(
        tier=tier,
        disputed=sum(Checker().disagreement(labelled) is not None for labelled in tasks),
        oracle=min(reward.total for reward, _ in oracle),
        audit_of_oracle=min(reward.figures["audit"] for reward, _ in oracle),
        trials_s=count / (made - started),
        step_ms=1000 * (played - made) / steps,
        tokens=_tokens(env, tasks, bridge, encode),
        blind={name: _means(env, tasks, policy) for name, policy in env.blind().items()},
    )


def _earned(env: Oversight, labelled: LabelledTask, policy: Policy) -> tuple[Reward, int]:
    episode = play(env, labelled.task, policy())
    return env.score(episode, labelled.label), len(episode.actions)


def _means(env: Oversight, tasks: Sequence[LabelledTask], policy: Policy) -> tuple[float, float]:
    rewards = [_earned(env, labelled, policy)[0] for labelled in tasks]
    return fmean(one.total for one in rewards), fmean(one.figures["audit"] for one in rewards)


def _tokens(
    env: Oversight, tasks: Sequence[LabelledTask], bridge: Bridge, encode: Callable[[str], Sequence[int]]
) -> Tokens:
    """Of the audits with the most proposals, which are the longest."""
    most = max(len(labelled.task.context["proposals"]) for labelled in tasks)
    counted = [
        _counted(env, labelled, bridge, encode) for labelled in tasks if len(labelled.task.context["proposals"]) == most
    ]
    return Tokens(
        prompt=max(one.prompt for one in counted),
        audit=max(one.audit for one in counted),
        reply=max(one.reply for one in counted),
    )


def _counted(env: Oversight, labelled: LabelledTask, bridge: Bridge, encode: Callable[[str], Sequence[int]]) -> Tokens:
    episode = play(env, labelled.task, env.oracle(labelled, random.Random(0)))
    shown = [turn.messages for turn in turns(env, labelled.task, episode)]
    prompt = len(bridge.prompt(shown[0]))
    replies = [len(encode(action)) + 1 for action in episode.actions]
    answers = [len(bridge.suffix(messages)) for messages in shown[1:]]
    return Tokens(prompt=prompt, audit=prompt + sum(replies) + sum(answers), reply=max(replies))


def show(found: Sequence[Figures], console: Console) -> None:
    """Two tables: the tiers, and the policies that do not read."""
    tiers = Table("tier", "disputed", "oracle", "audit", "trials/s", "ms a step", "prompt", "whole audit", "reply")
    for one in found:
        tiers.add_row(
            one.tier,
            str(one.disputed),
            f"{one.oracle:.2f}",
            f"{one.audit_of_oracle:.2f}",
            f"{one.trials_s:.0f}",
            f"{one.step_ms:.2f}",
            *map(str, (one.tokens.prompt, one.tokens.audit, one.tokens.reply)),
        )
    blind = Table("policy", *(f"{one.tier}: skill, audit" for one in found))
    for name in found[0].blind:
        blind.add_row(name, *("{:+.2f} {:.2f}".format(*one.blind[name]) for one in found))
    console.print(tiers, blind)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=flag_count, default=1000, help="trials a tier")
    parser.add_argument("--tiers", nargs="+", default=list(TIERS), choices=list(TIERS))
    options = parser.parse_args()
    bridge, encode = _tokenizer()
    found = [measured(tier, options.count, bridge, encode) for tier in options.tiers]
    show(found, Console(width=120))
    ceiling = OversightSettings.ceiling
    kept = all(
        one.disputed == 0 and one.oracle == 1.0 and max(reward for reward, _ in one.blind.values()) <= ceiling
        for one in found
    )
    return 0 if kept else 1


def _tokenizer() -> tuple[Bridge, Callable[[str], Sequence[int]]]:
    """That of the packaged SmolLM2."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(resolve_model(ModelSpec(dtype="bfloat16")))
    return Bridge(tokenizer), lambda text: tokenizer.encode(text, add_special_tokens=False)


if __name__ == "__main__":
    sys.exit(main())
