"""Preparation before self-play, in a separate actor whose memory is freed afterwards: resolves the model, warms it up
on demonstrations, and chooses the canary."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common.backends import BACKENDS
from common.config import RunSpec
from common.models import resolve_model
from common.records import LabelledTask, Record
from common.sections import BASE
from common.weights import Probe
from envs.contract.by_rule import tasks_by_rule
from envs.contract.env import Environment
from envs.contract.replay import play, turns
from learner.bounds import BOUNDS

LOG = logging.getLogger(__name__)

FRESH_TOKENS = 32


class Prepared(Record):
    """The start of self-play: model and canary."""

    model_folder: Path
    verifier_folder: Path  # that of a frozen pool
    probe: Probe
    warm_up: str  # one line for the user


class Progress(Record):
    """Progress of the preparation."""

    phase: str
    done: int = 0
    total: int = 0
    loss: float | None = None
    seconds_left: float | None = None

    @property
    def detail(self) -> str:
        """The progress as the terminal shows it after the phase: `12/60, loss 1.23, about 2 min left`."""
        parts = [f"{self.done}/{self.total}"] if self.total else []
        parts += [f"loss {self.loss:.2f}"] if self.loss is not None else []
        parts += [f"about {_rounded(self.seconds_left)} left"] if self.seconds_left is not None else []
        return ", ".join(parts)


def environment(spec: RunSpec) -> dict[str, str]:
    """Environment variables of the preparation's process."""
    backend = BACKENDS[spec.backend]
    return {**backend.learner_env, **backend.alone_env, "TOKENIZERS_PARALLELISM": "false"}


class Preparation:
    """`run` in one thread, `progress` in another (deploy gives the actor two)."""

    def __init__(self, spec: RunSpec, env: Environment) -> None:
        self._spec, self._env = spec, env
        self._progress = Progress(phase="resolving the model")

    def progress(self) -> Progress:
        """The latest."""
        return self._progress

    def run(self) -> Prepared:
        """Raises ValueError for a model that does not exist or tasks that do not fit it."""
        from learner.examples import examples_of

        spec = self._spec
        taught = max(8, spec.warm_up.steps * spec.warm_up.batch)
        tasks = asyncio.run(demonstrated(self._env, taught + spec.warm_up.own))
        folder = resolve_model(spec.model, lambda: self._texts(tasks[:taught]))
        self._progress = Progress(phase="writing demonstrations", total=len(tasks))
        examples = examples_of(spec, self._env, folder, tasks[:taught])
        plain = spec.model_copy(update={"warm_up": spec.warm_up.model_copy(update={"own": 0})})
        warmed, line = self._trained(plain, folder, examples, "warming up")
        if spec.warm_up.own:
            warmed, said = self._on_own(warmed, tasks[taught:] or tasks)
            line += f"; {said}"
        frozen = next((pool.model for pool in spec.pools if pool.model is not None), None)
        verifier = warmed if frozen is None else folder if frozen == BASE else self._other(frozen)
        return Prepared(model_folder=warmed, verifier_folder=verifier, probe=_probe(spec, examples), warm_up=line)

    def _other(self, source: str) -> Path:
        """The folder of a verifier that is another model."""
        self._progress = Progress(phase="resolving the verifier's model")
        return resolve_model(self._spec.model.model_copy(update={"source": source}))

    def _on_own(self, folder: Path, tasks: list[LabelledTask]) -> tuple[Path, str]:
        """The model in `folder` trained for an epoch on its own right replies to `tasks`, and a line for the user."""
        from learner.examples import fitting
        from learner.own_replies import own_examples

        spec, total = self._spec, len(tasks)
        self._progress = Progress(phase="sampling own replies", total=total)

        def progress(done: int) -> None:
            self._progress = Progress(phase="sampling own replies", done=done, total=total)

        pairs = fitting(spec, self._env, folder, tasks)
        shown = [example for _, example in pairs]
        kept = own_examples(spec, self._env, folder, [labelled for labelled, _ in pairs], shown, progress)
        if len(kept.examples) < 2:
            return folder, f"{kept}: too few to train on"
        warm_up = spec.warm_up.model_copy(update={"steps": -(-len(kept.examples) // spec.warm_up.batch)})
        again = spec.model_copy(update={"warm_up": warm_up})
        warmed, line = self._trained(again, folder, list(kept.examples), "warming up on own replies")
        return warmed, f"{kept}: {line}"

    def _trained(self, spec: RunSpec, folder: Path, examples: list[Any], phase: str) -> tuple[Path, str]:
        """The model in `folder` trained on `examples`, and a line for the user."""
        from learner.warm_up import report, warmed_model

        self._progress = Progress(phase=phase, total=spec.warm_up.steps)
        started = time.monotonic()
        ended: list[float] = []  # monotonic time at which each step ended

        def progress(step: int, loss: float) -> None:
            ended.append(time.monotonic())
            total = spec.warm_up.steps
            left = seconds_left(ended, total)
            self._progress = Progress(phase=phase, done=step, total=total, loss=loss, seconds_left=left)

        warmed = warmed_model(spec, folder, examples, progress)
        outcome = report(warmed)
        line = f"{outcome.steps} steps" if outcome else "skipped"
        if outcome and outcome.heldout_loss_before is not None and outcome.heldout_loss_after is not None:
            line += f", held-out loss {outcome.heldout_loss_before:.2f} -> {outcome.heldout_loss_after:.2f}"
        line += f" in {time.monotonic() - started:.0f} s" if ended else " (from the cache)" if outcome else ""
        LOG.info("warm-up %s: %s", line, warmed)
        return warmed, line

    def _texts(self, tasks: list[LabelledTask]) -> list[str]:
        rng = random.Random(0)
        texts = set[str]()
        for labelled in tasks:
            episode = play(self._env, labelled.task, self._env.demonstrator(labelled, rng))
            texts |= set(episode.actions)
            texts |= {m.content for turn in turns(self._env, labelled.task, episode) for m in turn.messages}
        return sorted(texts)


def seconds_left(ended: Sequence[float], total: int) -> float | None:
    """Seconds that the remaining steps will take, from the times at which steps `ended`; None before the second one.

    The first step is left out: it includes loading and evaluating the model.
    """
    done = len(ended)
    return None if done < 2 else (ended[-1] - ended[0]) / (done - 1) * (total - done)


def _rounded(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{max(5, round(seconds / 5) * 5)} s"


def _probe(spec: RunSpec, examples: Sequence[Any]) -> Probe:
    """The canary: the first demonstration, truncated so that scoring is cheap, and the shortest prompt for rollouts."""
    bounds = BOUNDS[spec.model.concrete_dtype]
    canary = examples[0].prompt_ids + examples[0].completion_ids
    shortest = min(examples, key=lambda example: len(example.prompt_ids))
    return Probe(
        canary_ids=canary[: min(bounds.canary_tokens, spec.model.context - 1)],
        prompt_ids=shortest.prompt_ids,
        completions=bounds.fresh_completions,
        max_tokens=min(FRESH_TOKENS, spec.sampling.max_tokens, shortest.first_turn),
        temperature=spec.sampling.temperature,
    )


async def demonstrated(env: Environment, count: int) -> list[LabelledTask]:
    """`count` labelled tasks made without a model; twins stay together."""
    tasks = [labelled for _, labelled in await tasks_by_rule(env, env.plan, count)]
    if not tasks:
        raise ValueError("no task could be made: give the game more sources, or other shares of its kinds of tasks")
    return tasks
