"""Supervisor: keeps the rollout side as the spec says. Collects all heartbeats, replaces dead actors, adds and removes
actors: engines with `actors.engine_manager`, Scribes and Doctors with `actors.role_actors`. Of Ray they use only the
errors: `Placement` starts and ends actors, so tests run them with fakes.

    what died                        consequence
    engine, or vLLM under it         another engine, which serves once it has proved the policy
    Scribe, Doctor                   another of the same kind; claims and leases return
    buffer                           another from its journal, between two steps of the learner, and new role actors
    learner rank, engine pool        ActorLost: the run starts over from its newest checkpoint, in the same process

An actor without an answer for `rollout.silence_seconds` is killed. Steps have no fixed length, so the caller of a rank
decides whether it hangs (learner/rank_calls.py).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from actors.engine_manager import EngineManager, EnginePlacement, WeightSync
from actors.heartbeats import Heartbeats, Responses, Unresponsive
from actors.restarts import RestartBudget
from actors.role_actors import RoleActors, RolePlacement
from common.config import PoolSpec, RunSpec
from common.errors import ActorLost, last_line
from common.metrics import (
    ACTOR_RESTARTS,
    BUFFER,
    BUFFER_STATES,
    CLAIMED,
    IMBALANCE,
    MADE,
    PHASE,
    REFUSED_IN_A_ROW,
    Board,
)
from common.remote import Ready

if TYPE_CHECKING:
    from actors.handles import BufferHandle, PoolHandle

HEARTBEAT_SECONDS = 1.0

Examine = Callable[[], Coroutine[Any, Any, None]]


class Placement(EnginePlacement, RolePlacement, Protocol):
    """Starts and ends actors."""

    def replay_buffer(self, trained_steps: int | None) -> BufferHandle:
        """A new buffer over the run's journal."""


class Supervisor:
    """One per run. `start_engines`, then `start`, which returns when every actor serves; `watch` runs until cancelled,
    or raises.

    `weights` is the weight channel of a pool's engines. The actor that replaces a dead or retired `engines-0` is called
    `engines-0.1` (then `.2` and so on).
    """

    def __init__(
        self,
        spec: RunSpec,
        placement: Placement,
        pools: dict[str, PoolHandle],
        weights: Callable[[PoolSpec], WeightSync],
        board: Board,
        restarts: RestartBudget,
        ranks: Sequence[Ready] = (),
    ) -> None:
        self._placement, self._pools = placement, pools
        self._buffer: BufferHandle
        self._board, self._restarts = board, restarts
        self._board.forget()  # the actors of an attempt that ended had the same names
        self._ranks = {f"learner rank {number}": rank for number, rank in enumerate(ranks)}
        self._births: Counter[str] = Counter()
        self._engine_manager = EngineManager(spec.pools, placement, pools, weights, board, restarts, self._name)
        self._role_actors = RoleActors(spec.rollout, placement, board, restarts, self._name)
        self._heartbeats = Heartbeats(spec.rollout.silence_seconds)
        self._repairing = asyncio.Lock()
        self._warned = set[str]()  # what people were told does not pass
        self._in_a_row = set[tuple[str, str]]()  # labels of the series that are not 0

    async def start_engines(self) -> None:
        """Load every engine and let each prove the policy. The buffer need not exist yet: a run that goes on makes it
        after the ranks have loaded their checkpoint, because it writes the journal.

        Engines of a frozen pool have nothing to prove: they serve what they loaded.
        """
        await self._engine_manager.start()

    async def start(self, buffer: BufferHandle, examine: Examine | None = None) -> None:
        """Call `examine`, if given, and start the role actors, which use `buffer`."""
        self._buffer = buffer
        if examine is not None:
            await self._beating(examine())
        self._role_actors.start(buffer)

    def resize(self, spec: RunSpec) -> None:
        """Use the numbers of Scribes, Doctors and engines in `spec` from the next heartbeat on. Pools stay the same."""
        self._engine_manager.pools, self._role_actors.wanted = spec.pools, spec.rollout

    async def _beating(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for `work` while replacing engines that die during it."""
        working, watching = asyncio.ensure_future(work), asyncio.ensure_future(self.watch())
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            watching.result()  # raises errors that could not be handled
        watching.cancel()
        working.result()

    async def watch(self, look: Callable[[], None] = lambda: None) -> None:
        """Heartbeats and replacements, until cancelled; `look` is called before each.

        Raises ActorLost, and BudgetSpent when actors die again and again.
        """
        while True:
            look()
            await self.beat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def beat(self) -> None:
        """One round: add counters, replace dead actors, grow and shrink. Engines load in the background."""
        async with self._repairing:
            responses = await self._heartbeats.round(
                self._asks(), {n: h.__ray_ready__.remote for n, h in self._ranks.items()}
            )
            self._engine_manager.check()
            self._check_lost(responses)
            if (stats := responses.answers.get("buffer")) is None:
                return  # dead: the learner requests another between two steps; until then role actors die of it
            self._report_buffer(stats)
            states = {
                name: responses.answers[f"pool {name}"] for name in self._pools if f"pool {name}" in responses.answers
            }
            for name, state in states.items():
                self._board.merge(f"pool {name}", state.counts)
            await self._engine_manager.beat(responses, states)
            busy = await self._role_actors.beat(responses) | {
                "engine": any(state.in_flight for state in states.values())
            }
            for kind, works in busy.items():
                self._board.set(PHASE, float(works), kind)

    def _asks(self) -> dict[str, Callable[[], Any]]:
        return {
            "buffer": self._buffer.stats.remote,
            **{f"pool {name}": pool.state.remote for name, pool in self._pools.items()},
            **self._engine_manager.asks(),
            **self._role_actors.asks(),
        }

    def _check_lost(self, responses: Responses) -> None:
        """Raises ActorLost for actors that cannot be replaced alone; kills an unresponsive buffer or pool.

        Killed, so that the calls to it that are still open end with an error: an evaluation would keep its version.
        """
        for name, pool in self._pools.items():
            if isinstance(responses.faults.get(f"pool {name}"), Unresponsive):
                self._placement.kill(pool)
        for name in (*self._ranks, *(f"pool {name}" for name in self._pools)):
            if name in responses.faults:
                kind = "learner" if name in self._ranks else "pool"
                raise ActorLost(kind, f"{name} died ({last_line(responses.faults[name])})")
        if isinstance(responses.faults.get("buffer"), Unresponsive):
            self._placement.kill(self._buffer)

    async def new_buffer(self, version: int) -> BufferHandle:
        """A new buffer in place of the dead one, with `version` steps trained, and new role actors that use it."""
        self._placement.kill(self._buffer)
        await self._restarts.consume("the replay buffer died; starting another from its journal", "buffer", "buffer")
        async with self._repairing:
            self._board.add(ACTOR_RESTARTS.name, 1, "buffer")
            self._board.forget("buffer")
            self._buffer = self._placement.replay_buffer(version)
            self._role_actors.end()
            self._role_actors.start(self._buffer)
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
        in_a_row: dict[tuple[str, str], int] = stats.get("in_a_row", {})
        for labels in self._in_a_row - in_a_row.keys():
            self._board.set(REFUSED_IN_A_ROW, 0.0, *labels)
        for labels, count in in_a_row.items():
            self._board.set(REFUSED_IN_A_ROW, float(count), *labels)
        self._in_a_row = set(in_a_row)
        warnings: dict[str, str] = stats["warnings"]
        for game in warnings.keys() - self._warned:
            self._restarts.notify(warnings[game])
        self._warned = set(warnings)

    async def stop(self) -> None:
        """End every actor that this supervisor started."""
        self._role_actors.end()
        await self._engine_manager.stop()
