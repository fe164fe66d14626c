"""The simulator's replacements for vLLM, DeepSpeed and Ray: actors that only take time, and die."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from actors.doctor import Doctor
from actors.engine import PromptTooLong
from actors.engine_errors import EngineDied
from actors.scribe import Scribe
from common.config import PoolSpec, RunSpec
from common.record import Ids, frozen
from common.records import Completion, Group, Message, Record, Sampled
from common.weights import SyncReport
from learner.step_report import StepReport
from simulator.fake_game import FakeGame
from simulator.virtual import Handle, remote_error


class Speeds(Record):
    """Durations in virtual seconds; lengths in tokens."""

    tokens_per_second: float = 50.0  # per sequence, however many run: decoding is memory-bound
    median_tokens: float = 600.0  # of a turn
    sigma: float = 1.0  # standard deviation of the log of a completion's length: 0 all equal, 1 long-tailed
    longest_tokens: float = 8192.0
    context: float = math.inf  # ids of the longest prompt that is answered; each turn of an episode adds three
    learner_seconds_per_token: float = 1e-3
    load: float = 60.0  # an engine
    transfer: float = 1.0  # of the weights, while engines pause
    travel: float = 1e-3  # mean of a message's way between two actors
    service: float = 0.0  # of the single thread of buffer and pool, per call


class Pace:
    """Speeds with their seeded random draws."""

    def __init__(self, speeds: Speeds, seed: int) -> None:
        self.speeds, self._random = speeds, random.Random(seed)

    def tokens(self) -> int:
        """A drawn completion length, log-normal and cut at `longest_tokens`."""
        drawn = self.speeds.median_tokens * self._random.lognormvariate(0.0, self.speeds.sigma)
        return max(1, int(min(drawn, self.speeds.longest_tokens)))

    def travel(self) -> float:
        """A drawn delay of one message, virtual seconds."""
        return self._random.uniform(0.0, 2 * self.speeds.travel)


class FakeEngine:
    """Decodes as long as its longest completion takes; tokens record the versions of the first and the last one."""

    def __init__(self, engine_id: str, pace: Pace) -> None:
        self.engine_id, self.pace = engine_id, pace
        self.version, self.checksum, self.weights = 0, "", 0
        self.slowness = 1.0
        self.hangs = ""  # the phase of a sync in which it does not answer
        self.hung = self.slowed = 0  # calls that it did not answer, and those that took longer
        self._paused_at: float | None = None
        self._paused_seconds = 0.0
        self._core_died = False
        self._working: dict[asyncio.Future[None], None] = {}

    def kill_core(self) -> None:
        """The core dies: running calls, and every later one, raise EngineDied."""
        self._core_died = True
        for work in self._working:
            _end(work)

    async def load(self, model_folder: Path) -> None:
        """Takes `Speeds.load` seconds."""
        await self._work(self.pace.speeds.load)

    async def check_health(self) -> float:
        """An empty KV cache."""
        await self._work(0.0)
        return 0.0

    async def shutdown(self) -> None:
        """Takes 2 s."""
        await self._work(2.0)

    async def generate(
        self, messages: tuple[Message, ...], n: int, max_tokens: int, temperature: float, likely: int = 0
    ) -> Sampled:
        """Takes as long as decoding the longest completion, plus every pause in between."""
        lengths = [self.pace.tokens() for _ in range(n)]
        first, paused = self.version, self._paused()
        left = self.slowness * max(lengths) / self.pace.speeds.tokens_per_second
        self.slowed += self.slowness > 1
        while left > 0:  # a pause prolongs running decodes
            await self._work(left)
            left, paused = self._paused() - paused, self._paused()
        completions = tuple(self._completion(tokens, first) for tokens in lengths)
        return Sampled(prompt_ids=frozen((1,), np.int32), completions=completions)

    async def proceed(self, prefix: Ids, messages: tuple[Message, ...], max_tokens: int, temperature: float) -> Sampled:
        """A later turn takes as long as a first one. Raises PromptTooLong."""
        if len(prefix) > self.pace.speeds.context:
            raise remote_error(PromptTooLong("no room for a reply"))
        sampled = await self.generate(messages, 1, max_tokens, temperature)
        return msgspec.structs.replace(sampled, prompt_ids=np.append(prefix, 9))

    def _completion(self, tokens: int, first: int) -> Completion:
        return Completion(
            text=str(tokens),
            token_ids=frozen((1, 2), np.int32),
            logps=frozen((-1.0, -1.0), np.float32),
            versions=frozen((first, self.version), np.int32),
            finish_reason="stop" if tokens < self.pace.speeds.longest_tokens else "length",
            engine=self.engine_id,
        )

    async def pause(self) -> None:
        """Decoding stops until `resume`."""
        await self._phase("pause")
        if self._paused_at is None:
            self._paused_at = _now()

    async def resume(self, version: int) -> None:
        """Decoding continues, as `version`."""
        await self._phase("resume")
        self._paused_seconds, self._paused_at = self._paused(), None
        self.version = version

    async def prove(self, canary_ids: tuple[int, ...]) -> SyncReport:
        """Log-probs that depend on the weights that were sent."""
        await self._phase("prove")
        logps = (-1.0 - 0.25 * self.weights,) * (len(canary_ids) - 1)
        return SyncReport(
            engine=self.engine_id, version=self.version, checksum=self.checksum, canary_logps=logps, pause_seconds=1.0
        )

    async def sample(self, prompt_ids: tuple[int, ...], n: int, max_tokens: int, temperature: float) -> Sampled:
        """Completions of 8 tokens in .05 s."""
        await self._phase("sample")
        ids = frozen(prompt_ids, np.int32)
        return Sampled(prompt_ids=ids, completions=(self._completion(8, self.version),) * n)

    def _paused(self) -> float:
        return self._paused_seconds + (0.0 if self._paused_at is None else _now() - self._paused_at)

    async def _phase(self, name: str) -> None:
        if self.hangs == name:
            self.hangs, self.hung = "", self.hung + 1
            await asyncio.Event().wait()
        await self._work(0.05)

    async def _work(self, seconds: float) -> None:
        """Takes so long, or until the core dies."""
        if not self._core_died:
            loop = asyncio.get_running_loop()
            work: asyncio.Future[None] = loop.create_future()
            self._working[work] = None
            timer = loop.call_later(seconds, _end, work)
            try:
                await work
            finally:
                timer.cancel()
                del self._working[work]
        if self._core_died:
            raise remote_error(EngineDied("EngineCore encountered an issue"))


def _end(work: asyncio.Future[None]) -> None:
    if not work.done():
        work.set_result(None)


UNTOLD = ("tokens", "completion_tokens", "loss", "grad_norm", "learning_rate", "reward_mean", "reward_std")


class Sent(Record):
    """As `learner.rank_actor.Sent`."""

    checksum: str
    failures: dict[str, str]


class FakeRank:
    """A learner process that counts steps and takes time. `hangs` names the method that never returns."""

    def __init__(self, pace: Pace, adapter: bool) -> None:
        self.pace, self._adapter, self.version, self.hangs, self.hung = pace, adapter, 0, "", 0
        self._groups: tuple[Group, ...] = ()

    async def accumulate(self, *groups: Group) -> None:
        """Takes time in proportion to the groups' tokens."""
        self._groups = groups
        episodes = [rollout.episode for group in groups for rollout in group.rollouts]
        tokens = sum(int(action) for episode in episodes for action in episode.actions)
        await self._take("accumulate", tokens * self.pace.speeds.learner_seconds_per_token)

    async def apply(self) -> StepReport:
        """Takes .1 s; a report with the lag of the groups."""
        await self._take("apply", 0.1)
        oldest = min((group.oldest_version for group in self._groups), default=self.version)
        self.version += 1
        return StepReport(
            step=self.version,
            policy_version=self.version,
            policy_lag=self.version - 1 - oldest,
            groups=len(self._groups),
            completions=sum(len(group.rollouts) for group in self._groups),
            kl_to_reference=None,
            reward_components={},
            weights={},
            by_turn={},
            seconds={},
            skipped="",
            **dict.fromkeys(UNTOLD, 0),
        )

    async def logp_difference(self, samples: Sequence[Sampled]) -> float:
        """Engines and learner always agree."""
        return 0.0

    async def stage(self, version: int) -> None:
        """Takes .2 s. `version` must be the number of steps taken."""
        assert version == self.version, f"stage {version} of rank at {self.version}"
        await self._take("stage", 0.2)

    async def send(self, version: int, engines: dict[str, Handle]) -> Sent:
        """Takes `Speeds.transfer` seconds; writes checksum and weights into the fake engines."""
        await self._take("send", self.pace.speeds.transfer)
        failures = {engine: "update: the actor is dead" for engine, handle in engines.items() if handle.dead}
        for handle in engines.values():
            handle.actor.checksum, handle.actor.weights = f"sum-{version}", version
            if self._adapter:  # loading it names the version; nothing pauses
                handle.actor.version = version
        return Sent(checksum=f"sum-{version}", failures=failures)

    async def canary(self, ids: tuple[int, ...]) -> tuple[float, ...]:
        """Log-probs that depend on the number of steps taken."""
        return (-1.0 - 0.25 * self.version,) * (len(ids) - 1)

    async def save(self, folder: Path) -> None:
        """Takes 1 s; writes the number of steps."""
        await self._take("save", 1.0)
        (folder / "rank").write_text(str(self.version))

    async def load(self, folder: Path) -> None:
        """Continue from that number."""
        self.version = int((folder / "rank").read_text())

    async def _take(self, name: str, seconds: float) -> None:
        if self.hangs == name:
            self.hangs, self.hung = "", self.hung + 1
            await asyncio.Event().wait()
        await asyncio.sleep(seconds)


class FakePlacement:
    """Starts fakes under the real role actors, and tracks living actors for faults to choose from."""

    def __init__(self, spec: RunSpec, pace: Pace, game: FakeGame, buffer: Any, pools: dict[str, Any]) -> None:
        self._spec, self._pace, self._game, self._buffer, self._pools = spec, pace, game, buffer, pools
        self.model_folder = Path()
        self.engines: dict[str, Handle] = {}
        self.roles: dict[str, Handle] = {}

    def folder(self, pool: PoolSpec) -> Path:
        """There is no model."""
        return self.model_folder

    def engine(self, pool: PoolSpec, engine_id: str) -> Any:
        """A new fake engine, or the one that already has this id."""
        return self._place(self.engines, engine_id, FakeEngine(engine_id, self._pace))

    def machine(self, engine: Any) -> str:
        """All engines are on one."""
        return "here"

    def replay_buffer(self, trained_steps: int | None) -> Any:
        """Never called: a life ends when its buffer dies, and the next life makes its own."""
        raise AssertionError("the simulator's learner starts no second buffer")

    def role(self, kind: str, name: str) -> Any:
        """A real Scribe or Doctor over the fakes."""
        pool, concurrency = next(iter(self._pools.values())), self._spec.rollout.concurrency
        game: Any = self._game
        if kind == "scribe":
            return self._place(self.roles, name, Scribe(name, game, self._buffer, pool, concurrency))
        return self._place(self.roles, name, Doctor(name, game, self._buffer, pool, self._spec.sampling, concurrency))

    def kill(self, handle: Handle) -> None:
        """End an actor at once."""
        handle.kill()

    def alive(self, kind: str) -> list[Handle]:
        """Engines, scribes or doctors that a fault may meet."""
        named = self.engines if kind == "engine" else {n: h for n, h in self.roles.items() if n.startswith(kind)}
        return [handle for handle in named.values() if not handle.dead]

    def _place(self, there: dict[str, Handle], name: str, actor: Any) -> Any:
        return there.setdefault(name, Handle(actor, self._pace.travel))


def _now() -> float:
    return asyncio.get_running_loop().time()
