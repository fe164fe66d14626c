from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from common.config import RunSpec
from common.statistics import Interval
from deploy.job.heldout_curve import HeldoutCurve
from deploy.report.rollout_tables import read_heldout
from envs.verdict.environment import VerdictEnvironment
from envs.verdict.spec import VerdictSettings
from evals.core.curve import points
from simulator.fakes import Handle
from tests.evals.clients import CLEAN, completion
from tests.evals.core.test_evaluator import Pool, environment

SPEC = RunSpec.model_validate({"evaluation": {"every": 2, "tasks": 4}})


class World:
    """A curve over the bundled notes; the policy always says that there is no error."""

    def __init__(self, path: Path, spec: RunSpec = SPEC, env: Any = None) -> None:
        self.notes: list[str] = []
        self.curve = HeldoutCurve(env or environment(), spec, path, self.notes.append, self.unclaimed)
        self.pool = Pool(lambda _: completion(CLEAN, versions=(self.version,)))
        self.curve.attach({"doctor": Handle(self.pool)}, self.hold)
        self.path = path
        self.version = 0

    async def unclaimed(self) -> int | None:
        return 10

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[int]:
        yield self.version

    def stepped(self, version: int) -> None:
        self.version = version
        self.curve.stepped(version)

    def versions(self) -> list[int]:
        return [point.policy_version for point in points(self.path).found]

    async def idle(self) -> None:
        while any(task.get_coro().__name__ == "_evaluate" for task in asyncio.all_tasks()):  # type: ignore[union-attr]
            await asyncio.sleep(0)


async def test_every_other_version_and_the_last_are_evaluated(tmp_path: Path) -> None:
    world = World(tmp_path / "curve.jsonl")
    for version in range(4):
        world.stepped(version)
        await world.idle()
    await world.curve.finish(3)
    assert world.versions() == [0, 2, 3]
    assert len(world.pool.asked) == 3 * 4
    assert world.notes[0].startswith("held-out, policy_version 0: flag accuracy 0.50")


async def test_the_replies_of_each_version_are_kept_with_their_prompts_and_rewards(tmp_path: Path) -> None:
    world = World(tmp_path / "curve.jsonl")
    for version in (0, 2):
        world.stepped(version)
        await world.idle()
    await world.curve.finish(2)
    found, damaged = read_heldout(tmp_path)
    assert not damaged
    rows = [row for table in found for row in table.to_pylist()]
    assert len(rows) == 2 * 4
    assert [row["step"] for row in rows] == [0] * 4 + [2] * 4
    assert [row["task_id"] for row in rows[:4]] == [row["task_id"] for row in rows[4:]]
    assert {row["completion"] for row in rows} == {CLEAN} and {row["reason"] for row in rows} == {"clean", "missed"}
    asked = [json.loads(row["context"])["sentences"][0] in row["prompt"] for row in rows]
    assert all(asked) and {row["policy_version_newest"] for row in rows} == {0, 2}


async def test_without_a_cadence_nothing_is_asked(tmp_path: Path) -> None:
    world = World(tmp_path / "curve.jsonl", RunSpec())
    world.stepped(0)
    await world.curve.finish(1)
    assert not world.path.exists() and world.notes == [] and world.pool.asked == []


async def test_a_failure_in_the_background_is_raised_at_the_end(tmp_path: Path) -> None:
    world = World(tmp_path / "missing" / "curve.jsonl")
    world.stepped(0)
    with pytest.raises(FileNotFoundError):
        await world.curve.finish(0)


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    path.write_text('{"policy_ver')
    assert points(path).found == []


async def test_an_adaptive_game_hears_of_each_point_and_a_slot_that_was_not_given_out(tmp_path: Path) -> None:
    heard = list[tuple[int, float | None]]()

    class Growing(VerdictEnvironment):
        def adapt(self, slot: int, measures: Mapping[str, Interval]) -> bool:
            heard.append((slot, measures["flag_accuracy"].value))
            return len(heard) == 2

    world = World(tmp_path / "curve.jsonl", env=Growing(VerdictSettings(), 0))
    for version in (0, 2):
        world.stepped(version)
        await world.idle()
    await world.curve.finish(2)
    assert heard == [(10, 0.5), (10, 0.5)]
    assert [note for note in world.notes if "slot" in note] == [
        "the game verdict changes its tasks from slot 10 on, by the held-out measures"
    ]
