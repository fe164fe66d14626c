"""The trained Scribe's learner: after every `phase_steps` steps of the Doctor, the Scribe is trained.

    phase: take_authored -> step -> channel.publish(version) -> again, at most phase_steps times

The Scribe's policy_version counts its own steps, and its own channel updates the engines that serve it. Nothing here
waits for tries: when no batch is ready the phase ends, and the Doctor's training continues.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from common.records import Record
from common.remote import Remote
from common.weights import SyncOutcome
from learner.channel import Channel
from learner.rank_calls import AdaptiveDeadline
from learner.step_report import StepReport

if TYPE_CHECKING:
    from learner.handles import BufferHandle, RankHandle
    from learner.rank_actor import Sent


class ScribePhase(Record):
    """Outcome of one phase, which may be empty. `success_rates` are the Doctor's on the verified errors trained on."""

    policy_version: int  # of the Scribe, after it
    reports: tuple[StepReport, ...]
    syncs: tuple[SyncOutcome, ...]  # one per report
    success_rates: tuple[float, ...]
    starved: bool  # it ended early: no batch was ready


class ScribeSide:
    """The Scribe's rank behind the handle of a `LearnerActor`: `side.save.remote(x)` asks for `scribe("save", x)`."""

    save: Remote[[Path], None]
    load: Remote[[Path], None]
    stage: Remote[[int], None]
    send: Remote[[int, Any], Sent]
    canary: Remote[[Sequence[int]], tuple[float, ...]]

    def __init__(self, rank: RankHandle) -> None:
        self._rank, self.step = rank, rank.scribe_step

    def __getattr__(self, method: str) -> Any:
        return SimpleNamespace(remote=partial(self._rank.scribe.remote, method))


class ScribeLearner:
    """Runs the Scribe's phases. `ranks` are `ScribeSide`s; `version` counts published Scribe steps."""

    def __init__(
        self, phase_steps: int, ranks: Sequence[ScribeSide], channel: Channel, patience: AdaptiveDeadline
    ) -> None:
        self._phase_steps, self._ranks, self._channel, self._deadlines = phase_steps, ranks, channel, patience

    @property
    def version(self) -> int:
        """Scribe steps published."""
        return self._channel.version

    def is_due(self, doctor_steps: int) -> bool:
        """Whether a phase follows the Doctor's step of that number."""
        return doctor_steps % self._phase_steps == 0

    async def phase(self, buffer: BufferHandle) -> ScribePhase:
        """Run a phase on the tries that `buffer` holds."""
        reports, syncs, rates = list[StepReport](), list[SyncOutcome](), list[float]()
        while len(reports) < self._phase_steps:
            batch = await buffer.take_authored.remote(self.version)
            if not batch.groups:
                break
            world = len(self._ranks)
            await self._channel.begin_change()
            steps = [rank.step.remote(*batch.groups[at::world]) for at, rank in enumerate(self._ranks)]
            reports.append((await self._deadlines.of_ranks("it trained the Scribe", steps))[0])
            syncs.append(await self._channel.publish(self.version + 1))
            rates += batch.success_rates
        return ScribePhase(
            policy_version=self.version,
            reports=tuple(reports),
            syncs=tuple(syncs),
            success_rates=tuple(rates),
            starved=len(reports) < self._phase_steps,
        )

    async def save(self, folder: Path) -> dict[str, Any]:
        """Add the Scribe to a checkpoint; returns what the manifest keeps about it."""
        await self._deadlines.of_ranks("it saved the Scribe", [rank.save.remote(folder) for rank in self._ranks])
        return {"policy_version": self.version, "loaded_gap": self._channel.loaded_gap}
