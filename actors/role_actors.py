"""RoleActors: the Scribes and Doctors of a run. Keeps each kind at its wanted number. A surplus actor gets no more work
from the buffer, finishes its work, and ends; after the deadline it is killed, and its claims or leases return."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ray.exceptions import RayActorError

from actors.engine_manager import DRAIN_SECONDS, KILL_SECONDS
from actors.heartbeats import Responses, Unresponsive
from actors.restarts import RestartBudget
from common.config import RolloutSpec
from common.metrics import ACTOR_RESTARTS, ACTORS, ACTORS_WANTED, Board

if TYPE_CHECKING:
    from actors.handles import BufferHandle, RoleHandle

LOG = logging.getLogger(__name__)
KINDS = ("scribe", "doctor")


class RolePlacement(Protocol):
    """Starts and ends role actors."""

    def role(self, kind: str, name: str) -> RoleHandle:
        """A new Scribe or Doctor over the newest buffer."""

    def kill(self, handle: Any) -> None:
        """End an actor at once; harmless when it is dead."""


@dataclass(eq=False)
class _Member:
    kind: str
    name: str
    handle: RoleHandle
    run: asyncio.Future[None]
    answered: bool = False  # has answered a heartbeat
    leave_by: float = math.inf  # loop time


class RoleActors:
    """One per run. The numbers in `wanted` may be changed at any time; once the actors work, the next heartbeat applies
    them. `name` returns a new, unique name for each actor of a slot.
    """

    def __init__(
        self,
        wanted: RolloutSpec,
        placement: RolePlacement,
        board: Board,
        restarts: RestartBudget,
        name: Callable[[str], str],
    ) -> None:
        self.wanted = wanted
        self._placement, self._board, self._restarts, self._name = placement, board, restarts, name
        self._buffer: BufferHandle
        self._members: dict[str, _Member] = {}  # by slot
        self._leaving: list[_Member] = []
        self._due: dict[str, float] = {}  # slots that pause before a restart -> loop time at which it comes
        self._at_work = False

    def start(self, buffer: BufferHandle) -> None:
        """Start all actors, which use `buffer`."""
        self._buffer, self._at_work = buffer, True
        for slot, kind in self._slots().items():
            self._begin(slot, kind)

    def end(self) -> None:
        """End all actors at once."""
        for member in (*self._members.values(), *self._leaving):
            member.run.cancel()
            self._placement.kill(member.handle)
        self._members.clear()
        self._leaving.clear()
        self._due.clear()
        self._at_work = False

    def asks(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        """The heartbeat calls, by actor."""
        everyone = (*self._members.values(), *self._leaving)
        return {member.name: member.handle.state.remote for member in everyone if not member.run.done()}

    async def beat(self, responses: Responses) -> dict[str, bool]:
        """One round: replace dead actors, grow, shrink; returns which kinds are busy. Raises an actor's own error."""
        busy = dict.fromkeys(KINDS, False)
        for member in (*self._members.values(), *self._leaving):
            busy[member.kind] |= self._on_heartbeat(member, responses)
        for slot, member in list(self._members.items()):
            if _died(member):
                await self._lose(slot, member)
        for member in list(self._leaving):
            await self._finish_retiring(member)
        if self._at_work:
            await self._fit()
        self._report()
        return busy

    def _slots(self) -> dict[str, str]:
        counts = {"scribe": self.wanted.scribes, "doctor": self.wanted.doctors}
        return {f"{kind}-{number}": kind for kind in KINDS for number in range(counts[kind])}

    def _begin(self, slot: str, kind: str) -> None:
        name = self._name(slot)
        handle = self._placement.role(kind, name)
        LOG.info("%s starts", name)
        self._members[slot] = _Member(kind, name, handle, asyncio.ensure_future(_finished(handle)))

    def _on_heartbeat(self, member: _Member, responses: Responses) -> bool:
        """Use its heartbeat's counters, or kill it when it hangs; returns whether it is busy."""
        if isinstance(responses.faults.get(member.name), Unresponsive):
            self._placement.kill(member.handle)  # which ends its `run` call
        if member.run.done() or member.name not in responses.answers:
            return False
        busy, counts = responses.answers[member.name]
        self._board.merge(member.name, counts)
        member.answered = True
        return bool(busy)

    async def _lose(self, slot: str, member: _Member) -> None:
        """Another takes its slot, at a later heartbeat if it has to pause: no other actor's heartbeat waits for it."""
        del self._members[slot]
        await self._give_back(member)
        pause = self._restarts.spend(f"{member.name} died; starting another", slot, member.name)
        self._board.add(ACTOR_RESTARTS.name, 1, member.kind)
        self._due[slot] = asyncio.get_running_loop().time() + pause

    async def _give_back(self, member: _Member) -> None:
        returns = self._buffer.return_leases if member.kind == "doctor" else self._buffer.return_claims
        with suppress(RayActorError):  # the buffer died meanwhile: its journal returns the work
            await returns.remote(member.name)

    async def _fit(self) -> None:
        wanted = self._slots()
        for slot in [slot for slot in self._members if slot not in wanted]:
            member = self._members.pop(slot)
            self._leaving.append(member)
            member.leave_by = asyncio.get_running_loop().time() + DRAIN_SECONDS
            with suppress(RayActorError):  # the buffer died: a new buffer has no leases
                await self._buffer.retire.remote(member.kind, member.name)
        for slot, kind in wanted.items():
            if slot not in self._members and self._due.get(slot, 0.0) <= asyncio.get_running_loop().time():
                self._due.pop(slot, None)
                self._begin(slot, kind)

    async def _finish_retiring(self, member: _Member) -> None:
        """Remove a retiring actor once it has ended; kill it after its deadline."""
        if not member.run.done():
            if asyncio.get_running_loop().time() > member.leave_by:
                member.leave_by = math.inf
                self._restarts.notify(
                    f"{member.name} did not finish in {DRAIN_SECONDS:g} s: its work returns to the buffer"
                )
                self._placement.kill(member.handle)  # which ends its `run` call
            return
        if _died(member):
            await self._give_back(member)
        else:
            await self._count_last(member)
        self._placement.kill(member.handle)
        self._leaving.remove(member)

    async def _count_last(self, member: _Member) -> None:
        """Add the counters since its last heartbeat."""
        with suppress(RayActorError, TimeoutError):
            async with asyncio.timeout(KILL_SECONDS):
                _, counts = await member.handle.state.remote()
                self._board.merge(member.name, counts)

    def _report(self) -> None:
        for kind, wanted in (("scribe", self.wanted.scribes), ("doctor", self.wanted.doctors)):
            working = [member for member in self._members.values() if member.kind == kind and member.answered]
            self._board.set(ACTORS, float(sum(not member.run.done() for member in working)), kind)
            self._board.set(ACTORS_WANTED, float(wanted), kind)


def _died(member: _Member) -> bool:
    """Whether its work ended because it died, not because there is no more. Raises any other error."""
    error = member.run.exception() if member.run.done() else None
    if error is not None and not isinstance(error, RayActorError):
        raise error
    return error is not None


async def _finished(handle: RoleHandle) -> None:
    await handle.run.remote()
