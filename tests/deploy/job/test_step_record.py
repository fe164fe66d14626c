from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from common.buffer_records import Reference, StoredGroup
from common.config import ModelSpec, RunSpec
from common.metrics import Board
from common.records import Episode, Group, Task
from common.statistics import Interval
from deploy.job.run_folder import RunFolder
from deploy.job.step_record import StepRecord
from deploy.monitoring.step_metrics import expect
from deploy.report.clock import Clock
from deploy.report.rollout_tables import read_run
from deploy.report.terminal import COLUMNS, Screen
from envs.lookup.environment import Lookup
from envs.verdict.report import VerdictReport
from evals.core.evaluator import EvalPoint
from tests.deploy.job.test_run_folder import step as learner_step
from tests.deploy.report.turns_pages import ENV, lookup_group
from tests.deploy.reports import REPORTS

GOOD, BAD = ('look(id="a")', "answer(value=1)"), ("I would look at a", "answer(value=1)")


class World:
    def __init__(self, folder: Path, env: Lookup = ENV) -> None:
        spec = RunSpec(name="mine", envs=(env.settings,), model=ModelSpec(dtype="bfloat16"))
        self.folder = RunFolder(spec, folder / "mine")
        self.folder.create()
        self.told: list[str] = []
        self.stored: dict[str, Group] = {}
        screen = Screen("mine", 99, self.folder.reports)
        self.board = Board()
        self.record = StepRecord(env, self.folder, self.board, screen, Clock(), self._fetch, self.told.append)

    def _fetch(self, references: Sequence[Reference]) -> list[Group]:
        return [self.stored[reference] for reference in references]

    async def step(self, number: int, *episodes: tuple[str, ...]) -> None:
        """A learner step on one group of these episodes."""
        group = lookup_group(number, *episodes)
        self.stored = {group.task_id: group}
        batch = (StoredGroup.of(group, group.task_id),)
        await self.record.taken(number, batch)
        self.record.stepped(replace(learner_step(number), groups=batch))


async def test_replies_without_a_readable_call_are_counted_logged_and_kept_with_the_rollouts(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.step(1, GOOD, BAD)
    (row,) = world.folder.rows
    assert (row["lookup/calls"], row["lookup/fault_share"], row["lookup/turns"]) == (1.5, 0.25, 2.0)
    assert read_run(world.folder.path)["unread"].to_pylist() == [[], [0]]


async def test_the_prompt_of_each_task_is_kept_with_its_rollouts(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.step(1, GOOD, BAD)
    first, second = read_run(world.folder.path).to_pylist()
    wanted = json.loads(first["context"])["wanted"]
    assert f'"{wanted}"' in first["prompt"] and first["prompt"] == second["prompt"]


class Promptless(Lookup):
    """Its `begin` raises when it is asked once more."""

    def begin(self, task: Task) -> Any:
        raise KeyError("broken game")


async def test_a_game_that_cannot_say_its_prompt_again_costs_the_text_and_not_the_run(tmp_path: Path) -> None:
    world = World(tmp_path, Promptless(ENV.settings, 0))
    await world.step(1, ("answer(value=1)",))
    assert read_run(world.folder.path)["prompt"].to_pylist() == [None]


async def test_a_collapse_is_told_and_is_an_alarm_on_the_board(tmp_path: Path) -> None:
    world = World(tmp_path)
    for number in range(1, 9):
        await world.step(number, GOOD, GOOD)
    assert not world.told
    for number in range(9, 14):
        await world.step(number, BAD, BAD)
    (told,) = world.told
    assert "calls per episode fall: 2.0 -> 1.0" in told and "learner.learning_rate" in told
    assert world.board.registry.get_sample_value("medserl_env_alarm", {"env": "lookup"}) == 1.0


class Unreadable(Lookup):
    """Its `unread` raises."""

    def unread(self, episode: Episode) -> tuple[int, ...] | None:
        raise KeyError("broken game")


async def test_a_game_that_cannot_say_what_it_read_costs_the_measure_and_not_the_run(tmp_path: Path) -> None:
    world = World(tmp_path, Unreadable(ENV.settings, 0))
    await world.step(1, GOOD)
    assert world.folder.rows[0]["lookup/calls"] is None and world.folder.rows[0]["lookup/turns"] == 2.0
    assert read_run(world.folder.path)["unread"].to_pylist() == [None]


async def test_a_step_is_in_the_log_as_in_the_terminal(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    world = World(tmp_path)
    with caplog.at_level(logging.INFO):
        await world.step(1, GOOD)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "deploy.job.step_record"]
    assert line.startswith(f"step 1/{world.folder.spec.steps}  reward -0.90") and "  ok yes  " in line


async def test_what_the_loss_and_the_replies_are_like_is_logged_and_on_the_board(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.step(1, GOOD)
    (row,) = world.folder.rows
    board = world.board.registry.get_sample_value
    names = ("loss", "grad_norm", "learning_rate", "reply_tokens", "truncated_share", "entropy")
    assert {name: board(f"medserl_{name}") for name in names} == {name: row[name] for name in names}
    assert row["kl_to_reference"] is None and board("medserl_kl_to_reference") == 0.0
    assert row["reply_tokens"] > 0 and row["truncated_share"] == 0.0


async def test_a_held_out_point_is_on_the_board_beside_its_chance(tmp_path: Path) -> None:
    world = World(tmp_path)
    share = Interval(value=0.75, lower=0.5, upper=None, of=1)
    measures = {"lookup": {"solved_share": share}}
    world.record.evaluated(EvalPoint(policy_version=3, seconds=1.0, tasks=1, measures=measures, reward_mean=0.0))
    board = world.board.registry.get_sample_value
    figures = {name: board("medserl_heldout_score", {"env": "lookup", "figure": name}) for name in ("value", "lower")}
    assert figures == {"value": 0.75, "lower": 0.5} and board("medserl_heldout_policy_version") == 3.0


def test_chance_is_on_the_board_from_the_start_where_the_game_knows_it() -> None:
    board = Board()
    expect(board, REPORTS)
    found = board.registry.get_sample_value("medserl_heldout_score", {"env": "verdict", "figure": "chance"})
    assert found == 0.5 == VerdictReport.heldout_chance


async def test_a_step_that_was_skipped_is_told_counted_and_shown(tmp_path: Path) -> None:
    world = World(tmp_path)
    group = lookup_group(1, GOOD)
    world.stored = {group.task_id: group}
    await world.record.taken(1, (StoredGroup.of(group, group.task_id),))
    made = learner_step(1)
    report = replace(made.report, skipped="the loss is nan", uniform_groups=0.25)
    world.record.stepped(replace(made, report=report, faults=("step 1 changed no weight: the loss is nan",)))
    assert "step 1 changed no weight: the loss is nan" in world.told
    board = world.board.registry.get_sample_value
    assert board("medserl_skipped_steps_total", {"role": "doctor"}) == 1.0
    assert board("medserl_uniform_groups") == 0.25
    heading = [column[0] for column in COLUMNS]
    assert {"uniform", "loss", "grad"} < set(heading) and world.folder.rows[0]["uniform_groups"] == 0.25
