"""Supervisor: keeps the rollout side equal to the spec. Hears everyone's heartbeats, replaces the dead, grows and
shrinks: engines with `actors.engine_manager`, Scribes and Doctors with `actors.role_actors`. They know no Ray API but
the errors: `Placement` starts and ends actors, so tests run them over fakes.

    who died                         what follows
    engine, or vLLM under it         another engine, which serves once it has proved the policy
    Scribe, Doctor                   another of the same kind; claims and leases return
    buffer                           another from its journal, between two steps of the learner, and new role actors
    learner rank, engine pool        ActorLost: the run starts over from its newest checkpoint, in the same process

Who gives no answer for `rollout.silence_seconds` is killed, and so dies. A step takes its time: whether a rank
hangs, its caller knows (learner/rank_calls.py).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from actors.engine_manager import Door, EnginePlacement, Fleet
from actors.heartbeats import Pulse, Round, Silent
from actors.restarts import Restarts
from actors.role_actors import Crew, RolePlacement
from common.config import PoolSpec, RunSpec
from common.errors import ActorLost, last_line
from common.metrics import ACTOR_RESTARTS, BUFFER, BUFFER_STATES, CLAIMED, IMBALANCE, MADE, PHASE, Board

HEARTBEAT_SECONDS = 1.0

Examine = Callable[[], Coroutine[Any, Any, None]]


class Placement(EnginePlacement, RolePlacement, Protocol):
    """Starts and ends actors."""

    def replay_buffer(self, trained_steps: int | None) -> Any:
        """A new buffer over the run's journal."""


class Supervisor:
    """One a run. `start` returns when every actor serves; `watch` runs until cancelled and raises what it cannot mend.

    `door` is the weight channel of a pool's engines. An actor that took the place of a dead one, or of one that was
    sent away, is called `engines-0.1` (then `.2` and so on) after it.
    """

    def __init__(
        self,
        spec: RunSpec,
        placement: Placement,
        pools: dict[str, Any],
        buffer: Any,
        door: Callable[[PoolSpec], Door],
        board: Board,
        restarts: Restarts,
        ranks: Sequence[Any] = (),
    ) -> None:
        self._placement, self._pools, self._buffer = placement, pools, buffer
        self._board, self._restarts = board, restarts
        self._ranks = {f"learner rank {number}": rank for number, rank in enumerate(ranks)}
        self._births: Counter[str] = Counter()
        self._fleet = Fleet(spec.pools, placement, pools, door, board, restarts, self._name)
        self._crew = Crew(spec.rollout, placement, board, restarts, self._name)
        self._pulse = Pulse(spec.rollout.silence_seconds)
        self._mending = asyncio.Lock()

    async def start(self, on_phase: Callable[[str], None], examine: Examine | None = None) -> None:
        """Load every engine, let each prove the policy, then start the role actors, after `examine` where there is one.

        Engines of a frozen pool have nothing to prove: they serve what they loaded, for ever.
        """
        on_phase("starting engines")
        await self._fleet.start()
        if examine is not None:
            await self._beating(examine())
        self._crew.start(self._buffer)

    def resize(self, spec: RunSpec) -> None:
        """Have as many Scribes, Doctors and engines as `spec` says, from the next heartbeat on. Pools stay the same."""
        self._fleet.pools, self._crew.wanted = spec.pools, spec.rollout

    async def _beating(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for `work` while replacing engines that die under it."""
        working, watching = asyncio.ensure_future(work), asyncio.ensure_future(self.watch())
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            watching.result()  # raises what could not be mended
        watching.cancel()
        working.result()

    async def watch(self, look: Callable[[], None] = lambda: None) -> None:
        """Heartbeats and replacements, for ever; `look` is called before each.

        Raises ActorLost, and BudgetSpent when actors die again and again.
        """
        while True:
            look()
            await self.beat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def beat(self) -> None:
        """One round: counters in, the dead replaced, as many actors as wanted. Engines load in the background."""
        async with self._mending:
            heard = await self._pulse.round(self._asks(), {n: h.__ray_ready__.remote for n, h in self._ranks.items()})
            self._fleet.check()
            self._check_lost(heard)
            if (stats := heard.answers.get("buffer")) is None:
                return  # dead: the learner asks for another between two steps; until then, roles die of it
            self._report_buffer(stats)
            states = {name: heard.answers[f"pool {name}"] for name in self._pools if f"pool {name}" in heard.answers}
            for name, state in states.items():
                self._board.merge(f"pool {name}", state.counts)
            await self._fleet.beat(heard, states)
            busy = await self._crew.beat(heard) | {"engine": any(state.in_flight for state in states.values())}
            for kind, works in busy.items():
                self._board.set(PHASE, float(works), kind)

    def _asks(self) -> dict[str, Callable[[], Any]]:
        return {
            "buffer": self._buffer.stats.remote,
            **{f"pool {name}": pool.state.remote for name, pool in self._pools.items()},
            **self._fleet.asks(),
            **self._crew.asks(),
        }

    def _check_lost(self, heard: Round) -> None:
        """Raises ActorLost for those that cannot be replaced alone; ends a silent buffer, so that its callers hear."""
        for name in (*self._ranks, *(f"pool {name}" for name in self._pools)):
            if name in heard.faults:
                kind = "learner" if name in self._ranks else "pool"
                raise ActorLost(kind, f"{name} died ({last_line(heard.faults[name])})")
        if isinstance(heard.faults.get("buffer"), Silent):
            self._placement.kill(self._buffer)

    async def new_buffer(self, version: int) -> Any:
        """The dead buffer's successor, which has trained `version` steps, and new role actors over it."""
        async with self._mending:
            self._placement.kill(self._buffer)
            await self._restarts.spend("the replay buffer died; starting another from its journal")
            self._board.add(ACTOR_RESTARTS.name, 1, "buffer")
            self._buffer = self._placement.replay_buffer(version)
            self._crew.end()
            self._crew.start(self._buffer)
            return self._buffer

    def _name(self, slot: str) -> str:
        self._births[slot] += 1
        births = self._births[slot]
        return f"{slot}.{births - 1}" if births > 1 else slot

    def _report_buffer(self, stats: dict[str, Any]) -> None:
        for state in BUFFER_STATES:
            self._board.set(BUFFER, stats[state], state)
        for metric, name in ((MADE, "made"), (CLAIMED, "claimed"), (IMBALANCE, "imbalance")):
            self._board.set(metric, stats[name])
        self._board.merge("buffer", stats["counts"])

    async def stop(self) -> None:
        """End every actor that this supervisor started."""
        self._crew.end()
        await self._fleet.stop()
