"""One life of a simulated run: the actors of one process, from a start or a checkpoint to the end or a death."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from actors.engine_pool import EnginePool
from actors.replay_buffer import ReplayBuffer
from actors.restarts import RestartBudget
from actors.supervisor import Supervisor
from common.buffer_records import RejectReason
from common.errors import ActorLost
from common.metrics import REJECTED, Counts
from common.records import Group
from common.weights import Probe
from learner import checkpoint
from learner.bounds import BOUNDS
from learner.channel import Channel
from learner.learner import Hooks, Learner
from simulator.fake_cluster import FakePlacement, FakeRank
from simulator.virtual import Handle

if TYPE_CHECKING:
    from simulator.simulated_run import SimulatedRun

PROBE = Probe(canary_ids=(1, 2, 3), prompt_ids=(1,), completions=1, max_tokens=8, temperature=1.0)


class NoBoard:
    """Metrics that nobody scrapes. `counts` are the newest of each actor."""

    def __init__(self) -> None:
        self.counts: dict[str, Counts] = {}

    def merge(self, actor: str, counts: Counts) -> None:
        """Kept."""
        self.counts[actor] = counts

    @property
    def late(self) -> int:
        """Groups whose lease was lost."""
        return sum(int(counts.get((REJECTED.name, (RejectReason.LATE,)), 0)) for counts in self.counts.values())

    def forget(self, *_: Any) -> None:
        """Dropped."""

    def add(self, *_: Any) -> None:
        """Dropped."""

    def set(self, *_: Any) -> None:
        """Dropped."""


class Life:
    """The actors of one process, from a start or a checkpoint to an end or a death."""

    def __init__(self, run: SimulatedRun, start: checkpoint.Checkpoint | None) -> None:
        spec, pace = run.spec, run.pace
        loop = asyncio.get_running_loop()
        step = start.manifest.step if start else None
        self.buffer = ReplayBuffer(
            spec.buffer,
            spec.learner.batch_groups,
            spec.filters,
            run.journal,
            step,
            clock=loop.time,
            store=self._batched,
        )
        self.buffer_handle = cast(Any, Handle(self.buffer, pace.travel, pace.speeds.service))
        adapter = spec.transport == "adapter"
        self.ranks: list[Any] = [
            Handle(FakeRank(pace, adapter), pace.travel, serial=True) for _ in range(spec.learner.ranks)
        ]
        pools: dict[str, Any] = {
            pool.name: Handle(EnginePool(pool.name), pace.travel, pace.speeds.service) for pool in spec.pools
        }
        self._pools = list(pools.values())
        self.placement = FakePlacement(spec, pace, run.game, self.buffer_handle, pools)
        gap = start.manifest.state["loaded_gap"] if start else None
        self.channel = Channel(spec.weights, self.ranks, self._pools, PROBE, BOUNDS["bfloat16"], gap, step or 0)
        self.start, self._step = start, step or 0
        self.learner = Learner(
            spec.learner,
            spec.steps,
            run.folder,
            buffer=self.buffer_handle,
            ranks=self.ranks,
            channel=self.channel,
            deadlines=run.deadlines,
            hooks=Hooks(
                step=run.stepped,
                phase=lambda _: None,
                checkpointed=lambda _: None,
                new_buffer=self._lost_buffer,
                score=run.score,
            ),
        )
        self.board, self._run = NoBoard(), run
        board: Any = self.board
        self.restarts = RestartBudget(lambda _: None)
        self.supervisor = Supervisor(spec, self.placement, pools, lambda _: self.channel, board, self.restarts)
        self.killed: asyncio.Future[str] = loop.create_future()

    def _batched(self, group: Group) -> Group:
        tasks = self.buffer._tasks
        leased_at = tasks.held[tasks._index_of[group.task_id]].version
        if wrong := self._run.episodes.batched(group, leased_at, self.learner.version):
            self._run.violations.append(wrong)
        return group

    async def _lost_buffer(self, version: int) -> Any:
        raise ActorLost("buffer", f"the buffer died at version {version}")

    async def play(self, heartbeat: float) -> str:
        """Run to the end; returns "finished", or the reason of the death."""
        if self.start is not None:
            await asyncio.gather(*(rank.load.remote(self.start.folder) for rank in self.ranks))
        await self.supervisor.start_engines()
        await self.supervisor.start(self.buffer_handle)
        learning = asyncio.ensure_future(self.learner.run())
        watching = asyncio.ensure_future(self._watch(heartbeat))
        await asyncio.wait([learning, watching], return_when=asyncio.FIRST_COMPLETED)
        if not learning.done():
            watching.result()  # raises
        learning.result()
        await self.buffer_handle.close.remote()
        return "finished"

    def end(self) -> None:
        """A dead process has no timers, and answers no message that is still on its way."""
        actors = (self.buffer_handle, *self.ranks, *self._pools, *self.placement.engines.values())
        for handle in (*actors, *self.placement.roles.values()):
            handle.kill()
        for timer in (self.buffer._sync, self.buffer._expiry):
            if timer is not None:
                timer.cancel()
        self.buffer._tasks.close()
        self._run.late += self.board.late
        for engine in self.placement.engines.values():
            self._run.felt.update(hang=engine.actor.hung, slow=engine.actor.slowed)
        self._run.felt.update(rank_hang=sum(rank.actor.hung for rank in self.ranks))

    async def _watch(self, heartbeat: float) -> None:
        while True:
            await self.supervisor.beat()
            self.restarts.progressed(self.learner.version)
            self._step = self.learner.version
            self.buffer.check()
            await asyncio.sleep(heartbeat)
