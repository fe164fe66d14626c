"""Channel: brings engines to a policy_version, verifies each, and excludes those that fail.

    the ranks stage -> pause every engine -> the ranks send -> resume at `version` -> prove: version, checksum, canary

While an evaluation holds the version, the next publish waits; rollouts and joining engines do not. Each phase has a
deadline; an error names engine and phase, and the tensor being transferred. An engine that fails never serves a
partly updated policy: it is quarantined and replaced. A rank that fails raises ActorLost, and the run rolls back to
its newest checkpoint. Ranks, engines and pools are Ray actor handles, of which only the methods called here are used,
so the class also runs with fakes.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from ray.exceptions import RayActorError, RayError

from common.config import WeightsSpec
from common.errors import ActorLost, last_line
from common.records import Sampled
from common.weights import Canary, Probe, SyncOutcome, SyncReport
from learner.bounds import LOADED, Bounds
from learner.rank_calls import of_ranks

if TYPE_CHECKING:
    from learner.handles import EngineHandle, Engines, PoolHandle, SenderHandle

Answer = TypeVar("Answer")
LOG = logging.getLogger(__name__)

SEND_DEADLINES = 4
"""A sender makes up to three calls to the engines, each with its own deadline, after it has gathered the weights."""


class Channel:
    """The weight channel. `join` adds an engine that was just loaded, `publish` follows each learner step.

    `loaded_gap` is the canary's log-prob difference right after loading; the tolerance follows from it, within the
    `bounds` of the dtype. A resumed run keeps its own, and begins at the `version` of its checkpoint.
    """

    def __init__(
        self,
        spec: WeightsSpec,
        ranks: Sequence[SenderHandle],
        pools: Sequence[PoolHandle],
        probe: Probe,
        bounds: Bounds,
        loaded_gap: float | None = None,
        version: int = 0,
    ) -> None:
        self._spec, self._ranks, self._pools, self._probe, self._bounds = spec, ranks, pools, probe, bounds
        self._loaded_gap, self._version = loaded_gap, version
        self._checksum = ""
        self._canary: Canary | None = None
        self._compared = False  # fresh rollouts were sampled
        self._lock = asyncio.Lock()
        self._held = asyncio.Lock()
        self._changing = False  # the learner holds both locks from its step until the version is published

    @property
    def version(self) -> int:
        """The newest policy_version that the engines were brought to."""
        return self._version

    @property
    def loaded_gap(self) -> float | None:
        """The canary's difference right after loading, nats; None until an engine has proved the policy."""
        return self._loaded_gap

    @property
    def tolerance(self) -> float:
        """Largest mean |log-prob difference| of the canary at which an engine still serves, nats."""
        assert self.loaded_gap is not None
        return self._bounds.tolerance(self.loaded_gap, self._spec.canary_factor)

    async def begin_change(self) -> None:
        """The learner is about to change its weights: until the next `publish` is over no engine joins.

        An engine that joined now would get the new weights under the old version. Waits until nobody holds the
        current version.
        """
        await self._held.acquire()
        await self._lock.acquire()
        self._changing = True

    async def publish(self, version: int) -> SyncOutcome:
        """Bring every serving engine to `version`. Engines that fail twice are quarantined and named in the outcome."""
        if not self._changing:
            await self.begin_change()
        try:
            self._version, self._canary = version, None
            owners, engines = await self._serving()
            outcome = await self._bring(engines)
            if outcome.failures:
                again = await self._bring({engine: engines[engine] for engine in outcome.failures})
                for engine in again.failures:
                    await owners[engine].quarantine.remote(engine)
                outcome = _merged(outcome, again)
            return outcome
        finally:
            self._changing = False
            self._lock.release()
            self._held.release()

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[int]:
        """Context in which no engine changes its weights; yields the policy_version that all of them hold."""
        async with self._held:
            yield self.version

    async def _serving(self) -> tuple[dict[str, PoolHandle], Engines]:
        """Each serving engine's pool and handle, by engine id."""
        owners: dict[str, PoolHandle] = {}
        engines: dict[str, EngineHandle] = {}
        for pool in self._pools:
            try:
                handles = await pool.engines.remote()
            except RayActorError as error:
                raise ActorLost("pool", "an engine pool died") from error
            owners |= dict.fromkeys(handles, pool)
            engines |= handles
        return owners, engines

    async def join(self, pool: PoolHandle, engine: str, handle: EngineHandle, loaded_version: int = 0) -> SyncOutcome:
        """Let a newly loaded engine serve once it has proved the newest policy. A quarantined engine never joins."""
        async with self._lock:
            if self.version == loaded_version:
                outcome = await self._prove({engine: handle}, {}, _now())
            else:
                outcome = await self._bring({engine: handle})
            if outcome.ok:
                await pool.admit.remote(engine, handle)
            return outcome

    async def leave(self, pool: PoolHandle, engine: str) -> None:
        """Give an engine no more work and no more versions; a running publication still includes it."""
        async with self._lock:
            await pool.quarantine.remote(engine)

    async def fresh_rollouts(self) -> tuple[Sampled, ...]:
        """A few completions from each serving engine under the newest version; none when no engine answers.

        The first ones, which all later ones are compared with, are LOADED times as many.
        """
        _, engines = await self._serving()
        probe = self._probe
        completions = probe.completions * (1 if self._compared else LOADED)
        request = (probe.prompt_ids, completions, probe.max_tokens, probe.temperature)
        calls = {engine: handle.sample.remote(*request) for engine, handle in engines.items()}
        failures: dict[str, str] = {}
        sampled = await self._phase("sample", calls, failures)
        for engine, line in failures.items():
            LOG.warning("engine %s gave no fresh rollouts: %s", engine, line)
        self._compared = self._compared or bool(sampled)
        return tuple(sampled.values())

    async def _bring(self, engines: Engines) -> SyncOutcome:
        started = _now()
        failures: dict[str, str] = {}
        await self._of_ranks("stage", engines, [rank.stage.remote(self.version) for rank in self._ranks])
        full = self._spec.transport != "adapter"
        if full:
            await self._phase("pause", {e: h.pause.remote() for e, h in engines.items()}, failures)
        left = _without(engines, failures)
        sent = await self._of_ranks("send", left, [rank.send.remote(self.version, left) for rank in self._ranks])
        failures |= {engine: f"transfer, {line}" for engine, line in sent[0].failures.items()}
        self._checksum = sent[0].checksum
        if full:
            left = _without(engines, failures)
            await self._phase("resume", {e: h.resume.remote(self.version) for e, h in left.items()}, failures)
        return await self._prove(engines, failures, started)

    async def _of_ranks(self, phase: str, engines: Engines, calls: Sequence[Awaitable[Answer]]) -> list[Answer]:
        """Call every rank; their answers. A sender names a slow engine; a rank that hangs raises ActorLost."""
        seconds = SEND_DEADLINES * self._spec.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                return await of_ranks(f"it was asked to {phase} policy_version {self.version}", calls)
        except TimeoutError as error:
            raise ActorLost(
                "learner",
                f"weight sync {self.version}: {phase} for {', '.join(engines) or 'no engine'}: the learner did not "
                f"finish within {seconds:g} s",
            ) from error

    async def _prove(self, engines: Engines, failures: dict[str, str], started: float) -> SyncOutcome:
        left = _without(engines, failures)
        calls = {engine: handle.prove.remote(self._probe.canary_ids) for engine, handle in left.items()}
        if self._canary is None:  # while the engines score theirs
            scores = [rank.canary.remote(self._probe.canary_ids) for rank in self._ranks]
            logps = await self._of_ranks("canary", engines, scores)
            self._canary = Canary(token_ids=self._probe.canary_ids, logps=logps[0])
        reports = await self._phase("prove", calls, failures)
        gaps = {engine: self._canary.gap(report.canary_logps) for engine, report in reports.items()}
        if self._loaded_gap is None:
            self._loaded_gap = max(filter(math.isfinite, gaps.values()), default=None)
        for engine, report in reports.items():
            if fault := self._fault(report, gaps[engine]):
                failures[engine] = fault
        return SyncOutcome(
            version=self.version,
            seconds=_now() - started,
            pause_seconds=max((r.pause_seconds for r in reports.values()), default=0.0),
            canary_gap=max(gaps.values(), default=0.0),
            proved=tuple(engine for engine in reports if engine not in failures),
            failures=failures,
        )

    def _fault(self, report: SyncReport, gap: float) -> str:
        if report.version != self.version:
            return f"prove: holds policy_version {report.version} instead of {self.version}"
        if report.checksum != self._checksum:
            return f"prove: checksum {report.checksum or 'none'} instead of {self._checksum}"
        if not math.isfinite(gap):  # a comparison with nan is false, so it would pass as agreement
            return "prove: canary log-probs are not all finite numbers"
        if gap > self.tolerance:
            return f"prove: canary log-probs differ by {gap:.4f} nats on average, tolerated {self.tolerance:.4f}"
        return ""

    async def _phase(
        self, name: str, calls: Mapping[str, Awaitable[Answer]], failures: dict[str, str]
    ) -> dict[str, Answer]:
        """Await one call per engine, under the deadline; errors are added to `failures`."""
        done: dict[str, Answer] = {}

        async def one(engine: str, call: Awaitable[Answer]) -> None:
            try:
                done[engine] = await asyncio.wait_for(_awaited(call), self._spec.timeout_seconds)
            except TimeoutError:
                failures[engine] = f"{name}: no answer within {self._spec.timeout_seconds:g} s"
            except RayError as error:
                failures[engine] = f"{name}: {last_line(error)}"

        await asyncio.gather(*(one(engine, call) for engine, call in calls.items()))
        return done


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _awaited(call: Awaitable[Answer]) -> Answer:
    return await call


def _without(engines: Engines, failures: dict[str, str]) -> Engines:
    return {engine: handle for engine, handle in engines.items() if engine not in failures}


def _merged(first: SyncOutcome, again: SyncOutcome) -> SyncOutcome:
    """Merge two attempts: failures of the second, sum of the durations, the worst engine's canary."""
    return SyncOutcome(
        version=again.version,
        seconds=first.seconds + again.seconds,
        pause_seconds=first.pause_seconds + again.pause_seconds,
        canary_gap=max(first.canary_gap, again.canary_gap),
        proved=first.proved + again.proved,
        failures=again.failures,
    )
