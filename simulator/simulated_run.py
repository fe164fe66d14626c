"""A run of the real loop on a virtual clock: the real ReplayBuffer, journal, Supervisor, Channel, Learner, EnginePool,
Scribe and Doctor, with `actors.episode`; the engines, learner ranks, game and Ray of `simulator.fake_cluster`.

A run has several lives: when its driver, buffer or learner dies, or the supervisor gives up, it continues from its
newest checkpoint. Invariants are checked all the time; violations are collected in `violations`.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ray.exceptions import RayError

from actors.journal import replay
from common.buffer_records import RejectReason
from common.config import RunSpec
from common.errors import last_line
from common.records import Record
from learner import checkpoint
from learner.learner import LearnerStep
from learner.rank_calls import AdaptiveDeadline
from simulator.episodes import Episodes
from simulator.fake_cluster import Pace, Speeds
from simulator.fake_game import FakeGame
from simulator.life import Life
from simulator.virtual import Handle, end_tasks

SLOW_SECONDS = 300.0  # duration of an engine's slowness
SLOWNESS = 20.0


class Fault(Record):
    """A fault and its time."""

    at: float  # s
    kind: str  # one of FAULTS


FAULTS = ("scribe", "doctor", "engine", "core", "slow", "hang", "rank", "rank_hang", "buffer", "driver", "power")

RANK_CALLS = ("accumulate", "apply", "stage", "send", "save")  # in which a rank may hang


class SimulatedRun:
    """One run below `folder`; `play` it inside `simulator.virtual.run`."""

    def __init__(self, spec: RunSpec, speeds: Speeds, game: FakeGame, seed: int, folder: Path) -> None:
        self.spec, self.game, self.folder = spec, game, folder
        self.pace, self._random = Pace(speeds, seed), random.Random(seed + 1)
        self.journal = folder / "journal.jsonl"
        self.deadlines = AdaptiveDeadline(spec.rollout.silence_seconds)
        self.history: dict[str, int] = {}  # task id -> the step that trained it, along the checkpoints that led here
        self.steps: list[tuple[float, LearnerStep]] = []  # when each was made, in order, abandoned ones too
        self.violations: list[str] = []
        self.episodes = Episodes()
        self.late = 0  # groups whose lease was lost
        self.endings: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()  # by kind, those that hit a living actor
        self.felt: Counter[str] = Counter()  # calls that hung or were slow because of one, by its kind
        self.life: Life | None = None

    async def play(self, faults: Sequence[Fault], heartbeat: float, limit: float) -> None:
        """Run until all steps are made. Every fault that hits a living actor is counted."""
        injecting = asyncio.ensure_future(self._inject(faults))
        try:
            async with asyncio.timeout(limit):
                while not self.endings["finished"]:
                    self.endings[await self._live(injecting, heartbeat)] += 1
        except TimeoutError:
            stats = self.life.buffer.stats() if self.life else {}
            self.violations.append(f"stuck: not finished within {limit:g} s: {dict(self.endings)}, {stats}")
        except AssertionError as error:
            self.violations.append(f"broken: {error!r}"[:2000])
        else:
            self._check_end()
        injecting.cancel()

    async def _live(self, injecting: asyncio.Future[None], heartbeat: float) -> str:
        start = checkpoint.newest(self.folder).checkpoint
        if start is None:
            self.journal.unlink(missing_ok=True)  # nothing to resume from: a new run
        version = start.manifest.step if start else 0
        self.history = {task: step for task, step in self.history.items() if step <= version}
        self.life = life = Life(self, start)
        playing = asyncio.ensure_future(life.play(heartbeat))
        try:
            await asyncio.wait([playing, life.killed], return_when=asyncio.FIRST_COMPLETED)
            return life.killed.result() if life.killed.done() else playing.result()
        except (RayError, RuntimeError) as error:
            return last_line(error)
        finally:
            await end_tasks(injecting)
            life.end()
            if life.killed.done() and life.killed.result() == "power":
                _lose_power(self.journal, self._random.random())

    def stepped(self, step: LearnerStep) -> None:
        """Check a published step."""
        made = step.report.step
        if made != max(self.history.values(), default=0) + 1:
            self.violations.append(f"step {made} follows step {max(self.history.values(), default=0)}")
        for group in step.groups:
            lag = made - 1 - group.oldest_version
            if not 0 <= lag <= self.spec.buffer.max_lag:
                self.violations.append(f"step {made}: {group.task_id} has lag {lag}")
            if group.task_id in self.history:
                self.violations.append(f"step {made}: {group.task_id} was trained in {self.history[group.task_id]}")
            self.history[group.task_id] = made
        self.steps.append((asyncio.get_running_loop().time(), step))

    def score(self) -> checkpoint.Score | None:
        """A random score for a checkpoint: which one is best must not matter."""
        return None if self._random.random() < 0.3 else (self._random.random(), 0.0)

    async def _inject(self, faults: Sequence[Fault]) -> None:
        for fault in sorted(faults, key=lambda fault: fault.at):
            await asyncio.sleep(max(0.0, fault.at - asyncio.get_running_loop().time()))
            if self.life is not None:
                self.faults[fault.kind] += self._apply(fault.kind, self.life)

    def _apply(self, kind: str, life: Life) -> bool:
        if kind in ("driver", "power"):
            if life.killed.done():
                return False
            life.killed.set_result(kind)
            return True
        if kind == "resize":  # not a fault, but it may coincide with one
            life.supervisor.resize(self._resized())
            return True
        if kind == "buffer":
            died = life.buffer_handle.dead
            life.buffer_handle.kill()
            return not died
        if kind.startswith("rank"):
            return self._hit_rank(kind, self._random.choice(life.ranks))
        alive = life.placement.alive(kind if kind in ("scribe", "doctor") else "engine")
        if alive:
            self._hit(kind, self._random.choice(alive))
        return bool(alive)

    def _resized(self) -> RunSpec:
        sizes, rollout = self._random.choices((1, 2, 3, 4), k=3), self.spec.rollout
        pools = tuple(pool.model_copy(update={"engines": sizes[0]}) for pool in self.spec.pools)
        rollout = rollout.model_copy(update={"scribes": sizes[1], "doctors": sizes[2]})
        return self.spec.model_copy(update={"pools": pools, "rollout": rollout})

    def _hit_rank(self, kind: str, rank: Handle) -> bool:
        alive = not rank.dead
        if kind == "rank":
            rank.kill()
        else:
            rank.actor.hangs = self._random.choice(RANK_CALLS)
        return alive

    def _hit(self, kind: str, handle: Handle) -> None:
        if kind == "core":
            handle.actor.kill_core()
        elif kind == "slow":
            handle.actor.slowness = SLOWNESS
            asyncio.get_running_loop().call_later(SLOW_SECONDS, setattr, handle.actor, "slowness", 1.0)
        elif kind == "hang":
            handle.actor.hangs = self._random.choice(("pause", "resume", "prove", "sample"))
        else:
            handle.kill()

    def _check_end(self) -> None:
        """Check the task accounting of the whole run, from its journal and from the steps that it made."""
        assert self.life is not None
        spec, stats = self.spec, self.life.buffer.stats()
        found = replay(self.journal, spec.steps)
        trained = {f"task-{index}": step for index, step in found.trained.items()}
        places = [*found.ready, *found.unclaimed, *found.trained, *found.rejected]
        per_step = Counter(self.history.values())
        for wrong, what in (
            (trained != self.history, "the journal names other trained tasks than the steps did"),
            (sorted(places) != list(range(found.next_index)), "an index is in no state, or in two"),
            (set(per_step) != set(range(1, spec.steps + 1)), "a version is missing"),
            (set(per_step.values()) != {spec.learner.batch_groups}, "a step has too few or too many groups"),
            (bool(stats["imbalance"]), "the task accounting does not balance"),
            (
                bool({RejectReason.STALE, RejectReason.DUPLICATE} & set(found.rejected.values())),
                "a task was rejected as stale or duplicate",
            ),
        ):
            if wrong:
                self.violations.append(f"at the end {what}: {stats}")


def _lose_power(journal: Path, share: float) -> None:
    """Keep `share` of what follows the last durable line."""
    data = journal.read_bytes()
    durable = max(data.rfind(b'{"state":"%s"' % state) for state in (b"batched", b"trained", b"resumed", b"compacted"))
    synced = 0 if durable < 0 else data.index(b"\n", durable) + 1
    os.truncate(journal, synced + int(share * (len(data) - synced)))
