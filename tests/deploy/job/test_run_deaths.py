"""Whatever dies, and whatever is asked for meanwhile: the run goes on, and its tasks are accounted for."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from common.config import RunSpec
from tests.deploy.job.run_world import KINDS, World, play, turns

pytestmark = pytest.mark.usefixtures("fakes")
SIZES = st.fixed_dictionaries({name: st.integers(1, 3) for name in ("scribes", "doctors", "engines")})


def test_a_run_continues_whatever_is_killed_and_its_tasks_are_accounted_for() -> None:
    hits, restarts = Counter[str](), list[float]()

    @settings(max_examples=10)
    @given(kills=st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 400)), min_size=1, max_size=4))
    def survives(kills: list[tuple[str, int]]) -> None:
        with tempfile.TemporaryDirectory() as runs:
            world = World(Path(runs))
            assert asyncio.run(_killed(world, kills, hits))
            world.check_accounts()
            restarts.append(sum(map(world.restarts, KINDS)))

    survives()
    assert hits.total() > 5 and sum(restarts) > 0, (hits, restarts)


async def test_an_engine_that_dies_as_the_run_starts_over_is_replaced(tmp_path: Path) -> None:
    """Found by the test above."""
    world, hits = World(tmp_path), Counter[str]()
    assert await _killed(world, [("pool", 292), ("core", 100), ("engine", 71)], hits)
    world.check_accounts()
    assert hits["pool"] == 1 and world.restarts("pool") >= 1


async def test_a_rank_that_dies_before_there_is_a_buffer_costs_a_start(tmp_path: Path) -> None:
    """Found by the same test: there is no journal yet to go on from."""
    world, hits = World(tmp_path), Counter[str]()
    assert await _killed(world, [("rank", 6)], hits)
    world.check_accounts()
    assert hits["rank"] == 1 and world.restarts("rank") == 1


async def _killed(world: World, kills: list[tuple[str, int]], hits: Counter[str]) -> bool:
    """The run under kills; `hits` are those that met a living actor."""

    async def monkey() -> None:
        for kind, after in kills:
            await turns(after)
            hits[kind] += world.kill(kind)

    return await play(world, monkey)


@pytest.mark.parametrize("kind", KINDS)
async def test_each_death_is_counted_as_its_kind(tmp_path: Path, kind: str) -> None:
    world = World(tmp_path)

    async def monkey() -> None:
        while len(world.folder.rows) < 4:
            await asyncio.sleep(0)
        assert world.kill(kind)

    assert await play(world, monkey)
    world.check_accounts()
    assert world.restarts(kind) >= 1


def test_any_sequence_of_sizes_and_deaths_ends_with_the_wanted_actors_and_no_lost_task() -> None:
    hits = Counter[str]()

    @settings(max_examples=10)
    @given(
        changes=st.lists(st.tuples(SIZES, st.integers(0, 150), st.sampled_from(["", *KINDS])), min_size=1, max_size=4)
    )
    def ends(changes: list[tuple[dict[str, int], int, str]]) -> None:
        with tempfile.TemporaryDirectory() as runs:
            world = World(Path(runs), steps=9999)
            asyncio.run(_resized(world, changes, hits))
            world.check_accounts(len(world.folder.rows))
            counts = changes[-1][0]
            spec = RunSpec.model_validate(yaml.safe_load((world.folder.path / "spec.yaml").read_text()))
            assert spec == world.run.spec
            assert (spec.rollout.scribes, spec.rollout.doctors) == (counts["scribes"], counts["doctors"])

    ends()
    assert hits.total(), "nobody died in any of them"


async def _resized(world: World, changes: list[tuple[dict[str, int], int, str]], hits: Counter[str]) -> None:
    """The run, until what was asked for last is there, and a step after that."""

    async def monkey() -> None:
        while not world.folder.rows:
            await asyncio.sleep(0)
        for sizes, after, dies in changes:
            while world.folder.change.exists():
                await asyncio.sleep(0)
            world.ask(**sizes)
            await turns(after)
            if dies:
                hits[dies] += world.kill(dies)
        while world.serving() != changes[-1][0]:
            await turns(20)  # to look takes longer than a turn
        made = len(world.folder.rows)
        while len(world.folder.rows) < made + 3:
            await asyncio.sleep(0)
        world.run._stops.signalled()

    assert not await play(world, monkey)
