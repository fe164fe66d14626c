from __future__ import annotations

import asyncio
import random
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.doctor import Doctor
from actors.engine_pool import EnginePool
from actors.replay_buffer import ReplayBuffer
from common.config import BufferSpec, FilterSpec, SamplingSpec
from common.record import Ids
from common.records import Completion, EndReason, Episode, Group, Message, Rollout, Sampled, Step
from envs.contract.replay import play, turns
from simulator import virtual
from simulator.episodes import Episodes
from simulator.fake_cluster import FakeEngine, Pace, Speeds
from simulator.fake_game import MAX_TURNS, FakeGame, FakeSettings, task_of
from simulator.rollouts import rewarded
from simulator.virtual import Handle
from tests.actors.fake_turns import Turns, turn_task

TURNS, TURN_SECONDS = 5, 1.2
TURN = Speeds(median_tokens=50 * TURN_SECONDS, sigma=0.0, travel=0.0)


def test_the_simulators_episodes_have_one_to_forty_turns_with_a_long_tail_and_are_pure() -> None:
    game, rng = FakeGame(FakeSettings(goes_on=0.9), 0), random.Random(0)
    task = task_of(0).task
    episodes = [play(game, task, lambda _: str(rng.randrange(10_000))) for _ in range(1000)]
    lengths = [len(episode.actions) for episode in episodes]
    assert (min(lengths), max(lengths)) == (1, MAX_TURNS)
    assert 9 < sum(lengths) / len(lengths) < 11  # a geometric distribution's mean is 10; cut at 40 it is 9.85
    assert all(len(turns(game, task, episode)) == len(episode.actions) for episode in episodes[:20])


def group(*episodes: tuple[tuple[int, ...], ...]) -> Group:
    """One whose episodes' turns have tokens of these versions."""
    return Group(labelled=task_of(0), prompt_ids=(1,), rollouts=tuple(map(rollout, episodes)), doctor="d")


def rollout(versions: tuple[tuple[int, ...], ...]) -> Rollout:
    completions = [
        Completion(
            text="1", token_ids=these, logps=(-1.0,) * len(these), versions=these, finish_reason="stop", engine=engine
        )
        for these, engine in zip(versions, "aabb", strict=False)
    ]
    episode = Episode(task_id="task-0", actions=("1",) * len(versions), reason=EndReason.SUBMITTED)
    return Rollout(steps=tuple(Step(completion=one) for one in completions), episode=episode, reward=rewarded(1.0))


@pytest.mark.parametrize(("leased_at", "newest"), [(2, 5), (3, 4)])
def test_i7_tokens_from_the_lease_to_the_newest_version_are_in_order(leased_at: int, newest: int) -> None:
    episodes = Episodes()
    assert episodes.batched(group(((3, 4), (4,), (4, 4)), ((3,),)), leased_at, newest) == ""
    assert episodes.turns == {1: 1, 3: 1} and episodes.moved == 1


@pytest.mark.parametrize(("leased_at", "newest"), [(4, 5), (3, 3)])
def test_i7_one_token_of_any_turn_that_is_too_old_or_too_new_is_seen(leased_at: int, newest: int) -> None:
    wrong = Episodes().batched(group(((4,), (4, 3)), ((4,),)), leased_at, newest)
    assert wrong == f"task-0, leased at {leased_at}, has tokens of [3, 4] at {newest}"


def test_i7_a_group_that_is_wrong_about_its_oldest_token_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Group, "oldest_version", property(lambda self: 4))
    assert Episodes().batched(group(((4,), (3,))), 3, 4) == "task-0 says that its oldest token is of 4, not 3"


class Recording(FakeEngine):
    """Knows what it was asked to continue; all its tokens are different."""

    ids = count()

    def __init__(self, name: str, version: int) -> None:
        super().__init__(name, Pace(TURN, 0))
        self.version, self.asked = version, list[list[int]]()

    def _completion(self, tokens: int, first: int) -> Completion:
        made = super()._completion(tokens, first)
        return Completion(
            text=made.text,
            token_ids=[next(self.ids), next(self.ids)],
            logps=made.logps,
            versions=made.versions,
            finish_reason="stop",
            engine=made.engine,
        )

    async def proceed(self, prefix: Ids, messages: tuple[Message, ...], max_tokens: int, temperature: float) -> Sampled:
        self.asked.append(prefix.tolist())
        return await super().proceed(prefix, messages, max_tokens, temperature)


@settings(max_examples=20)
@given(
    at=st.integers(0, 65).map(lambda tenth: tenth / 10 + 0.05),
    death=st.sampled_from(["the actor", "the core under it"]),
)
def test_i11_an_engine_dies_in_mid_episode_and_the_same_episodes_finish_with_the_versions_they_had(
    at: float, death: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        group, engines, stats = virtual.run(_played_through_a_death(Path(folder), at, death))
    assert (stats["imbalance"], stats["batched"], stats["rejected"], stats["returned"]) == (0, 1, 0, 0)
    before = min(int(at / TURN_SECONDS), TURNS)  # turns that the first engine finished
    assert (group.oldest_version, group.newest_version) == (4 if before else 5, 5 if before < TURNS else 4)
    for one in group.rollouts:
        assert (one.episode.reason, len(one.steps)) == (EndReason.SUBMITTED, TURNS)
        by_turn = [(step.completion.engine, set(step.completion.versions.tolist())) for step in one.steps]
        assert by_turn == [("first", {4})] * before + [("second", {5})] * (TURNS - before)
        ids = group.prompt_ids.tolist()
        for step, later in zip(one.steps, one.steps[1:], strict=False):
            ids += step.completion.token_ids.tolist()
            assert ids in engines[later.completion.engine].asked, "it goes on from the ids as they were sampled"
            ids += step.observed.tolist()
    if 0 < before < TURNS:
        assert sorted(engines["first"].asked[-2:]) == sorted(engines["second"].asked[:2]), (
            "the turn under way is sampled again"
        )


async def _played_through_a_death(
    folder: Path, at: float, death: str
) -> tuple[Group, dict[str, Recording], dict[str, Any]]:
    """A real Doctor, buffer and pool: the group that they made, its engines, and the buffer's account."""
    spec = BufferSpec(max_lag=1, capacity=1, lease_seconds=100)
    buffer = ReplayBuffer(spec, 1, FilterSpec(), folder / "journal", clock=asyncio.get_running_loop().time)
    await buffer.put_task(await buffer.claim("scribe"), turn_task(wanted=TURNS))
    pool, engines = EnginePool("engines"), {name: Recording(name, at) for name, at in (("first", 4), ("second", 5))}
    handles = {name: Handle(engine) for name, engine in engines.items()}
    for name, handle in handles.items():
        await pool.admit(name, handle)
    sampling = SamplingSpec(group_size=2, max_tokens=64)
    doctor = Doctor("doctor-0", Turns(), Handle(buffer), Handle(pool), sampling, 1)
    working = asyncio.ensure_future(doctor.run())
    await asyncio.sleep(at)
    handles["first"].kill() if death == "the actor" else engines["first"].kill_core()
    (stored,) = await buffer.take_batch()
    buffer.check()
    await buffer.close()
    await working
    return stored.reference, engines, buffer.stats()
