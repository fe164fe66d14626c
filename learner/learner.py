"""The learner loop: take a batch, step on every rank, publish, release. No torch: it runs in the driver process.

    take_batch (waits for batch_groups groups) -> step -> channel.publish(version) -> release -> on_step -> checkpoint?
                                                                 a trained Scribe's phase, if it is due -^

The batch is released only after the engines hold the new weights: that is what makes the staleness bound strict.
While the ranks accumulate the gradient the engines sample a few fresh rollouts, and the learner scores them just before
the step changes the weights: so every step measures the agreement of sampler and learner without waiting. A synchronous
run makes no other request at that time, so its random draws do not depend on the order of events.

A buffer that dies is replaced here, between two steps, because only here it is known which steps are trained: a batch
that the dead buffer gave out is either trained and published, or was never taken.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.exceptions import RayActorError

from common.buffer_records import Closed, StoredGroup
from common.config import LearnerSpec
from common.errors import last_line
from common.finite import sampled_fault
from common.records import Record, Sampled
from common.weights import SyncOutcome
from learner import checkpoint
from learner.channel import Channel
from learner.rank_calls import AdaptiveDeadline
from learner.rows import dealt
from learner.scribe_learner import ScribeLearner, ScribePhase
from learner.step_report import StepReport

if TYPE_CHECKING:
    from learner.handles import BufferHandle, RankHandle

LOG = logging.getLogger(__name__)


class LearnerStep(Record):
    """Everything about one finished step."""

    report: StepReport
    sync: SyncOutcome
    groups: tuple[StoredGroup, ...]
    fresh_logp_difference: float | None  # mean |engine - learner| on the previous version, nats; None: no engine
    wait_seconds: float  # waiting for the batch
    step_seconds: float  # of the optimiser step on the slowest rank
    seconds: float  # of the whole iteration
    scribe: ScribePhase | None = None  # the trained Scribe's phase after it, if any
    faults: tuple[str, ...] = ()  # what went wrong in it that people should hear of


MAX_SKIPPED = 8
"""Steps in a row that may be skipped because their loss or gradient is not finite; more show that it stays so."""

LEAST_FRESH_SECONDS = 30.0
"""Time that fresh rollouts have after the gradient is ready: so much, or as long as the gradient took."""

OnBatch = Callable[[int, Sequence[StoredGroup]], Awaitable[None]]
"""Called with the step that is to be made, and its batch."""


async def _ignore(step: int, batch: Sequence[StoredGroup]) -> None:
    return


class Hooks(Record):
    """What the loop tells the run that it belongs to, and what it asks of it."""

    step: Callable[[LearnerStep], None]
    phase: Callable[[str], None]
    checkpointed: Callable[[str], None]  # at every checkpoint: the empty string, or why it could not be written
    new_buffer: Callable[[int], Awaitable[BufferHandle]]  # replaces a buffer that died, with so many steps trained
    score: Callable[[], checkpoint.Score | None] = lambda: None  # of the policy, after `step` of the newest step
    batch: OnBatch = _ignore  # awaited while the ranks train on a batch


class Learner:
    """Runs until `steps` are published, the buffer closes or `stop` is called. `version` counts published steps."""

    def __init__(
        self,
        spec: LearnerSpec,
        steps: int,
        run_folder: Path,
        *,
        buffer: BufferHandle,
        ranks: Sequence[RankHandle],
        channel: Channel,
        deadlines: AdaptiveDeadline,
        hooks: Hooks,
        scribe: ScribeLearner | None = None,
    ) -> None:
        self._spec, self._steps, self._run_folder = spec, steps, run_folder
        self._buffer, self._ranks, self._channel = buffer, ranks, channel
        self._deadlines, self._hooks, self._scribe = deadlines, hooks, scribe
        self._stopping = False
        self._skipped = 0  # steps in a row
        self._saved = channel.version

    @property
    def version(self) -> int:
        """Learner steps published."""
        return self._channel.version

    def stop(self) -> None:
        """Finish the current step, write a checkpoint, return."""
        self._stopping = True

    async def run(self) -> None:
        """The loop; it ends with a checkpoint of the last version.

        Raises ActorLost when a pool died, or a rank died or hangs, OSError when the last checkpoint could not be
        written, and RuntimeError when step after step is skipped.
        """
        now = _now
        while self.version < self._steps and not self._stopping:
            started = now()
            self._hooks.phase("waiting for a batch")
            try:
                groups = await self._take()
            except Closed:
                break
            waited = now() - started
            self._hooks.phase("training")
            report, difference, faults = await self._train(groups)
            self._count_skipped(report)
            trained = now() - started - waited
            self._hooks.phase("publishing")
            outcome = await self._channel.publish(self.version + 1)
            await self._release()
            LOG.info("published policy_version %d, trained on %d groups", self.version, len(groups))
            phase = await self._scribe_phase()
            self._hooks.step(
                LearnerStep(
                    report=report,
                    sync=outcome,
                    groups=groups,
                    fresh_logp_difference=difference,
                    wait_seconds=waited,
                    step_seconds=trained,
                    seconds=now() - started,
                    scribe=phase,
                    faults=faults,
                )
            )
            if self.version % self._spec.checkpoint_every == 0:
                await self._try_checkpoint()
        await self.checkpoint()

    def _count_skipped(self, report: StepReport) -> None:
        self._skipped = self._skipped + 1 if report.skipped else 0
        if self._skipped > MAX_SKIPPED:
            raise RuntimeError(
                f"{self._skipped} steps in a row were skipped, the last one because {report.skipped}: lower "
                "learner.learning_rate, or resume from an earlier checkpoint"
            )

    async def _take(self) -> tuple[StoredGroup, ...]:
        while True:
            try:
                return await self._buffer.take_batch.remote()
            except RayActorError:
                if self._stopping:
                    raise Closed("the replay buffer died") from None
                self._buffer = await self._hooks.new_buffer(self.version)

    async def _release(self) -> None:
        try:
            await self._buffer.release.remote(self.version)
        except RayActorError:  # the journal holds the batch, and the new buffer counts it as trained
            self._buffer = await self._hooks.new_buffer(self.version)

    async def _scribe_phase(self) -> ScribePhase | None:
        if self._scribe is None or self._stopping or not self._scribe.is_due(self.version):
            return None
        self._hooks.phase("training the Scribe")
        try:
            return await self._scribe.phase(self._buffer)
        except RayActorError:  # its tries died with the buffer, so the phase ends
            self._buffer = await self._hooks.new_buffer(self.version)
            return None

    async def _difference(self, fresh: Sequence[Sampled]) -> float | None:
        if not fresh:
            return None
        calls = [rank.logp_difference.remote(tuple(fresh)) for rank in self._ranks]
        differences = await self._deadlines.of_ranks("it scored fresh rollouts", calls)
        return differences[0]  # every rank holds the same weights

    async def _train(self, groups: tuple[StoredGroup, ...]) -> tuple[StepReport, float | None, tuple[str, ...]]:
        """The report, the difference of fresh rollouts, and what people should hear of."""
        shares = dealt([group.tokens for group in groups], len(self._ranks))
        calls = [
            rank.accumulate.remote(*(groups[at].reference for at in share))  # each rank gets its groups from the buffer
            for rank, share in zip(self._ranks, shares, strict=True)
        ]
        began, sampling = _now(), asyncio.ensure_future(self._channel.fresh_rollouts())
        try:
            training = self._deadlines.of_ranks("it trained", calls)
            await asyncio.gather(training, self._hooks.batch(self.version + 1, groups))
            fresh, wrong = await self._sampled(sampling, max(LEAST_FRESH_SECONDS, _now() - began))
        finally:
            sampling.cancel()
        difference = await self._difference([sampled for sampled in fresh if not sampled_fault(sampled)])
        await self._channel.begin_change()
        reports = await self._deadlines.of_ranks("it trained", [rank.apply.remote() for rank in self._ranks])
        report = reports[0]  # the same on every rank, except for the timings
        skipped = [f"step {report.step} changed no weight: {report.skipped}"] if report.skipped else []
        return report, difference, (*(f"fresh rollouts: {fault}" for fault in wrong), *skipped)

    async def _sampled(
        self, sampling: asyncio.Future[tuple[Sampled, ...]], seconds: float
    ) -> tuple[tuple[Sampled, ...], list[str]]:
        """The fresh rollouts, and what is wrong with them. An engine that hangs does not hold the step up."""
        await asyncio.wait([sampling], timeout=seconds)
        if not sampling.done():
            return (), [f"an engine gave none for {seconds:.0f} s after the gradient was ready"]
        fresh = sampling.result()
        return fresh, [fault for sampled in fresh if (fault := sampled_fault(sampled))]

    async def _try_checkpoint(self) -> None:
        try:
            await self.checkpoint()
        except OSError as error:
            self._hooks.checkpointed(
                f"the checkpoint of step {self.version} could not be written ({last_line(error)}): training continues, "
                "the next checkpoint is written as scheduled"
            )

    async def checkpoint(self) -> None:
        """Write a checkpoint of the current version, unless there is one. Raises OSError when the disk refuses it."""
        if self._saved == self.version:
            return
        self._hooks.phase("checkpointing")
        try:
            folder = checkpoint.begin(self._run_folder, self.version)
            await self._deadlines.of_ranks("it wrote a checkpoint", [rank.save.remote(folder) for rank in self._ranks])
            scribe = {} if self._scribe is None else {"scribe": await self._scribe.save(folder)}
            oldest = await asyncio.to_thread(self._commit, folder, scribe)
        except OSError:
            checkpoint.discard(self._run_folder)
            raise
        self._saved = self.version
        LOG.info("wrote the checkpoint %s", folder)
        self._hooks.checkpointed("")
        with suppress(RayActorError):  # its replacement is told of the next one
            await self._buffer.checkpointed.remote(oldest)

    def _commit(self, folder: Path, scribe: dict[str, Any]) -> int:
        """The oldest step to which a resume can go back. Raises OSError."""
        checkpoint.commit(
            folder,
            step=self.version,
            policy_version=self.version,
            ranks=len(self._ranks),
            state={"loaded_gap": self._channel.loaded_gap, **scribe},
            score=self._hooks.score(),
        )
        checkpoint.prune(self._run_folder, self._spec.keep_checkpoints)
        return checkpoint.oldest_step(self._run_folder, self._spec.keep_checkpoints)


def _now() -> float:
    return asyncio.get_running_loop().time()
