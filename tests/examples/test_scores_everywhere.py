"""Every place of a run that shows a score, for a game from outside: a policy that is always right has 1 in all of them,
and one that guesses has what it reached, which is about a half."""

from __future__ import annotations

import asyncio
import io
import json
import random
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from pyarrow import parquet
from rich.console import Console

from common.buffer_records import Reference, StoredGroup
from common.config import EvaluationSpec, MetricsSpec, ModelSpec, RunSpec
from common.metrics import Board
from common.records import Completion, Episode, Group, LabelledTask, Message, Sampled
from deploy import live, status
from deploy.__main__ import main
from deploy.job.heldout_curve import HeldoutCurve
from deploy.job.run_folder import RunFolder
from deploy.job.step_record import StepRecord
from deploy.monitoring.step_metrics import expect
from deploy.report import comparison, model_card, plot
from deploy.report.clock import Clock
from deploy.report.terminal import Screen, StepTable
from envs.contract import registry, reports
from envs.contract.by_rule import tasks_by_rule
from envs.contract.env import Environment
from envs.contract.spec import read
from evals.core import curve
from simulator.fakes import Handle
from simulator.rollouts import one_turn
from tests.deploy.job.test_run_folder import step
from tests.deploy.report.test_sinks import FakeLibrary
from tests.examples.test_sums import EXAMPLE

STEPS, TASKS = 4, 50
NEAR = 0.15
"""How far from a half a guess of 50 tasks may be; the seeds are fixed."""


def completion(text: str, version: int) -> Completion:
    return Completion(
        text=text, token_ids=(1, 2), logps=(-0.5, -0.5), versions=(version,) * 2, finish_reason="stop", engine="e"
    )


class Player:
    """A policy: right, or a guess."""

    def __init__(self, env: Environment, right: bool) -> None:
        self._env, self._right, self._coin = env, right, random.Random(5)

    def reply(self, prompt: str) -> str:
        """From the question alone, so that it can be asked like a model."""
        if not self._right:
            return self._coin.choice(("true", "false"))
        a, b, shown = map(int, re.findall(r"\d+", prompt))
        return "true" if a + b == shown else "false"

    async def generate(
        self, role: str, messages: tuple[Message, ...], n: int, max_tokens: int, temperature: float
    ) -> Sampled:
        """As a pool of engines, at version STEPS."""
        said = completion(self.reply(messages[-1].content), STEPS)
        return Sampled(prompt_ids=(1,), completions=(said,))

    def group(self, labelled: LabelledTask, version: int) -> Group:
        """Two replies to a task."""
        prompt = self._env.begin(labelled.task)[1].messages[-1].content
        rollouts = []
        for said in (completion(self.reply(prompt), version) for _ in range(2)):
            reward = self._env.score(Episode(task_id=labelled.task.task_id, actions=(said.text,)), labelled.label)
            rollouts.append(one_turn(said, reward, task_id=labelled.task.task_id))
        return Group(labelled=labelled, prompt_ids=(1,), rollouts=tuple(rollouts), doctor="doctor-0")


@dataclass
class Shown:
    """A run as it was made by one policy; its shares solved in the newest step, in all steps, and held out."""

    folder: RunFolder
    board: Board
    sent: dict[str, float]
    told: str
    newest: float
    trained: float
    heldout: float


def solved(groups: list[Group]) -> float:
    found = [rollout.reward.solved for group in groups for rollout in group.rollouts]
    return sum(found) / len(found)


async def made(home: Path, right: bool, library: FakeLibrary) -> Shown:
    """What a run does with each step and with a held-out evaluation, without engines and ranks."""
    spec = RunSpec(
        name="sums",
        runs=home,
        steps=STEPS,
        model=ModelSpec(dtype="float32"),
        envs=read([{"class": "sums:Sums"}]),
        evaluation=EvaluationSpec(every=STEPS, tasks=TASKS),
        metrics=MetricsSpec(sink="trackio"),
    )
    env = registry.environment_of(spec.envs, spec.seed)
    player, folder, board = Player(env, right), RunFolder(spec, home / "sums"), Board()
    folder.create()
    expect(board, folder.reports)
    screen, stored = Screen("sums", STEPS, folder.reports), dict[Reference, Group]()
    record = StepRecord(
        env, folder, board, screen, Clock(), lambda batch: [stored[one] for one in batch], lambda _: None
    )
    tasks = [labelled for _, labelled in await tasks_by_rule(env, env.plan, STEPS * TASKS)]
    groups = list[Group]()
    for number in range(1, STEPS + 1):
        groups = [player.group(one, number - 1) for one in tasks[(number - 1) * TASKS : number * TASKS]]
        stored.update({group.task_id: group for group in groups})
        batch = tuple(StoredGroup.of(group, group.task_id) for group in groups)
        await record.taken(number, batch)
        record.stepped(replace(step(number), groups=batch))

    @asynccontextmanager
    async def hold() -> AsyncIterator[int]:
        yield STEPS

    async def unclaimed() -> int | None:
        return None

    lines = list[str]()
    heldout = HeldoutCurve(env, spec, folder.evaluations, lines.append, unclaimed, record.evaluated)
    heldout.attach({"doctor": Handle(player)}, hold)
    await heldout.finish(STEPS)
    folder.finish()
    rows = parquet.read_table(folder.path / "heldout" / f"version-{STEPS:05d}.parquet")
    sent = {name: value for kind, call in library.calls if kind == "log" for name, value in call[1].items()}
    every = solved(list(stored.values()))
    said = sum(rows["solved"].to_pylist()) / rows.num_rows
    return Shown(folder, board, sent, lines[-1], solved(groups), every, said)


@pytest.fixture(scope="module", params=["perfect", "guess"])
def shown(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(EXAMPLE)
        patch.delitem(sys.modules, "sums", raising=False)
        library = FakeLibrary()
        patch.setitem(sys.modules, "trackio", library)
        right = request.param == "perfect"
        found = asyncio.run(made(tmp_path_factory.mktemp(request.param), right, library))
        for score in (found.newest, found.trained, found.heldout):
            assert score == 1.0 if right else abs(score - 0.5) < NEAR
        yield found


def printed(what: Any) -> str:
    console = Console(file=io.StringIO(), width=200)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_on_the_screen(shown: Shown) -> None:
    table = printed(StepTable("sums", shown.folder.rows[-1:], shown.folder.reports)).split("\n")
    assert "solved" in table[1] and f" {shown.newest:.0%} " in table[2]


def test_in_status_and_its_json(shown: Shown) -> None:
    spec, run = shown.folder.spec, shown.folder.path
    text = printed(status.render(spec, run, None))
    assert f" {shown.newest:.0%} " in text and f"solved share {shown.heldout:.2f} [" in text
    found = status.as_json(spec, run, None)
    assert found["last_step"]["sums/solved_share"] == shown.newest
    assert found["last_evaluation"]["measures"]["sums"]["solved_share"]["value"] == shown.heldout


def test_in_the_line_of_an_evaluation_and_in_the_held_out_curve(shown: Shown) -> None:
    assert f"solved share {shown.heldout:.2f} [" in shown.told
    (point,) = curve.points(shown.folder.evaluations).found
    assert point.measures["sums"]["solved_share"].value == shown.heldout


def test_on_the_live_page(shown: Shown) -> None:
    found = live.state(shown.folder.path)
    assert found["rows"][-1][found["columns"].index("solved")] == f"{shown.newest:.0%}"
    assert f"solved share {shown.heldout:.2f} [" in found["heldout"] and found["alarms"] == []


def test_on_the_page_of_episodes(shown: Shown) -> None:
    page = (shown.folder.path / "episodes.html").read_text()
    shares = [float(share) / 100 for share in re.findall(r"<td>(\d+)%</td><td>[+-]", page)]
    assert sum(shares) / len(shares) == pytest.approx(shown.trained, abs=0.01), "a row each for true and false sums"
    heldout = page.partition('id="heldout"')[2].partition('id="tasks"')[0]
    badges = re.findall(r'class="badge">([^<]+)<', heldout)
    assert len(badges) == 12 and (shown.heldout < 1 or "missed" not in badges)


def test_in_the_picture_with_the_line_of_chance(shown: Shown) -> None:
    axes = {one.get_title(loc="left"): one for one in plot.figure(shown.folder.path, shown.folder.reports).axes}[
        "Solved"
    ]
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert lines["solved"][-1] == shown.newest and set(lines["held-out by chance"]) == {0.5}
    (heldout,) = axes.containers
    assert list(heldout.lines[0].get_ydata()) == [shown.heldout]


def test_in_the_list_of_runs_and_in_a_comparison(shown: Shown, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(shown.folder.path.parent), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["best_heldout"] == shown.heldout
    figures = comparison.figures(shown.folder.path)
    assert figures["best held-out score"] == figures["last held-out score"] == shown.heldout


def test_in_prometheus_beside_chance(shown: Shown) -> None:
    def value(name: str, **labels: str) -> float | None:
        return shown.board.registry.get_sample_value(f"medserl_{name}", labels)

    assert value("env_measure", env="sums", measure="solved_share") == shown.newest
    assert value("heldout_score", env="sums", figure="value") == shown.heldout
    assert value("heldout_score", env="sums", figure="chance") == 0.5
    assert value("env_alarm", env="sums") == 0.0


def test_in_the_model_card(shown: Shown) -> None:
    card = model_card.write(shown.folder.spec, shown.folder.path, adapter=False)
    measured = re.findall(r"solved_share on its own training tasks: ([\d.]+)", card)
    assert float(measured[0]) == pytest.approx(shown.trained, abs=0.001)
    assert f"solved share {shown.heldout:.2f} [" in card


def test_in_what_a_tracker_is_sent(shown: Shown) -> None:
    assert shown.sent["sums/solved_share"] == shown.newest
    assert shown.sent["heldout/sums/solved_share"] == shown.heldout


def test_in_the_score_by_which_the_best_checkpoint_is_kept(shown: Shown) -> None:
    found = reports.score(shown.folder.reports, shown.folder.rows)
    assert found == (pytest.approx(shown.trained),)
    assert reports.score_line(shown.folder.reports, found) == f"solved share {found[0]:.0%}"


def test_in_the_rollouts(shown: Shown) -> None:
    table = parquet.read_table(shown.folder.path / "rollouts")
    assert sum(table["solved"].to_pylist()) / table.num_rows == shown.trained
