from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from common.config import MetricsSpec, RunSpec
from common.statistics import Interval
from deploy import selfplay
from deploy.job.run_folder import RunFolder
from deploy.report.sinks import QUIET, samples
from envs.verdict.spec import DataSpec, VerdictSettings
from evals.core.evaluator import EvalPoint
from tests.deploy.job.test_run_folder import log
from tests.deploy.report.rollouts import group, labelled, rollout


class FakeLibrary(ModuleType):
    """What wandb and trackio have in common."""

    def __init__(self) -> None:
        super().__init__("trackio")
        self.calls: list[tuple[str, Any]] = []

    def init(self, **settings: Any) -> None:
        self.calls.append(("init", settings))

    def log(self, values: dict[str, Any], step: int) -> None:
        self.calls.append(("log", (step, values)))

    def Table(self, columns: list[str], data: list[list[Any]]) -> list[dict[str, Any]]:
        return [dict(zip(columns, row, strict=True)) for row in data]

    def finish(self) -> None:
        self.calls.append(("finish", None))


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> FakeLibrary:
    fake = FakeLibrary()
    monkeypatch.setitem(sys.modules, "trackio", fake)
    return fake


def spec(tmp_path: Path) -> RunSpec:
    return RunSpec(
        name="mine",
        runs=tmp_path,
        envs=(VerdictSettings(data=DataSpec(path="/secret/notes.csv")),),
        metrics=MetricsSpec(sink="trackio"),
    )


def test_a_sink_gets_every_step_with_its_number_and_the_end(tmp_path: Path, library: FakeLibrary) -> None:
    folder = RunFolder(spec(tmp_path), tmp_path / "mine")
    assert library.calls == [], "nothing is sent before there is a run"
    folder.create()
    rows = [log(folder, number) for number in (1, 2)]
    folder.finish()
    assert [kind for kind, _ in library.calls] == ["init", "log", "log", "finish"]
    settings, (number, values) = library.calls[0][1], library.calls[2][1]
    assert (settings["project"], settings["name"]) == ("medserl", "mine")
    assert re.fullmatch("mine-[0-9a-f]{8}", settings["group"])
    assert number == 2 and values["reward_mean"] == rows[1]["reward_mean"] == -0.9
    assert all(isinstance(value, int | float) for value in values.values()), "only numbers leave the machine"
    assert rows[1].keys() - values.keys() >= {"kl_to_reference", "learner_seconds", "step", "time"}


def test_replies_are_sent_as_a_table_where_the_spec_asks_for_some(tmp_path: Path, library: FakeLibrary) -> None:
    metrics = MetricsSpec(sink="trackio", samples=1)
    folder = RunFolder(spec(tmp_path).model_copy(update={"metrics": metrics}), tmp_path / "mine")
    folder.create()
    log(folder, 1)
    log(folder, 2)
    (_, (_, first)), (_, (number, values)) = library.calls[1:]
    assert [row["task_id"] for row in first["samples"]] == ["task-1"]
    (row,) = values["samples"]
    assert (number, row["step"], row["task_id"], row["game"], row["reward"]) == (2, 2, "task-2", "verdict", -0.9)
    assert "amoxicillin" in row["task"] and "error_type" in row["label"] and "<verdict>" in row["reply"]


def test_the_samples_are_of_all_tasks_before_a_second_one_of_any() -> None:
    groups = [group(labelled(number), rollout(versions=(0,)), rollout(versions=(0,))) for number in (1, 2)]
    assert [row[1] for row in samples(5, groups)] == ["task-1", "task-2", "task-1", "task-2"]


def test_wandb_is_told_to_keep_console_and_host_to_itself_unless_the_user_says_otherwise(
    tmp_path: Path, library: FakeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", {"WANDB_CONSOLE": "wrap"})
    RunFolder(spec(tmp_path), tmp_path / "mine").create()
    assert {**os.environ} == {**QUIET, "WANDB_CONSOLE": "wrap"}


def test_a_held_out_point_is_sent_with_its_version_at_the_newest_step(tmp_path: Path, library: FakeLibrary) -> None:
    folder = RunFolder(spec(tmp_path), tmp_path / "mine")
    folder.create()
    for number in (1, 2):
        log(folder, number)
    known, unknown = (
        Interval(value=0.75, lower=0.5, upper=0.9, of=16),
        Interval(value=None, lower=None, upper=None, of=0),
    )
    measures = {"verdict": {"flag_accuracy": known, "youden_j": unknown}}
    folder.evaluated(EvalPoint(policy_version=1, seconds=3.0, tasks=16, measures=measures, reward_mean=-0.5))
    sent = {"heldout/policy_version": 1, "heldout/reward_mean": -0.5, "heldout/verdict/flag_accuracy": 0.75}
    assert library.calls[-1] == ("log", (2, sent))


def test_no_folder_of_this_machine_is_sent(tmp_path: Path, library: FakeLibrary) -> None:
    RunFolder(spec(tmp_path), tmp_path / "mine").create()
    (_, settings) = library.calls[0]
    assert settings["config"]["envs"][0]["data"]["path"] == "notes.csv"
    assert "/secret" not in str(settings) and str(tmp_path) not in str(settings)


def test_starting_over_begins_a_new_run_of_the_same_group_there(tmp_path: Path, library: FakeLibrary) -> None:
    folder = RunFolder(spec(tmp_path), tmp_path / "mine")
    folder.create()
    log(folder, 1)
    folder.resume(0)
    log(folder, 1)
    assert [kind for kind, _ in library.calls] == ["init", "log", "finish", "init", "log"]
    first, second = (settings for kind, settings in library.calls if kind == "init")
    assert first["group"] == second["group"]


def test_a_run_keeps_its_group_in_another_process_and_shares_it_with_no_run_of_its_name(
    tmp_path: Path, library: FakeLibrary
) -> None:
    for folder in (tmp_path / "ann" / "mine", tmp_path / "ben" / "mine"):
        RunFolder(spec(tmp_path), folder).create()
    later = RunFolder(spec(tmp_path), tmp_path / "ann" / "mine")
    assert later.applied() is not None
    later.resume(0)
    first, other, again = (settings["group"] for kind, settings in library.calls if kind == "init")
    assert first == again != other


def test_by_default_nothing_is_sent(tmp_path: Path, library: FakeLibrary) -> None:
    folder = RunFolder(RunSpec(), tmp_path / "mine")
    folder.create()
    log(folder, 1)
    folder.finish()
    assert library.calls == []


def test_a_library_that_is_not_installed_is_one_line_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as where it is not installed
    with pytest.raises(SystemExit) as ended:
        selfplay.main(["deploy/smoke.yaml", "--runs", str(tmp_path), "--metrics.sink", "wandb"])
    said = capsys.readouterr().err
    line = "selfplay: metrics.sink wandb: not installed; pip install wandb, or leave metrics.sink out\n"
    assert (ended.value.code, said) == (2, line) and not list(tmp_path.iterdir())


def test_tensorboard_reads_figures_held_out_points_and_samples_of_each_start(tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    wanted = RunSpec(name="mine", runs=tmp_path, metrics=MetricsSpec(sink="tensorboard", samples=1))
    folder = RunFolder(wanted, tmp_path / "mine")
    folder.create()
    for number in (1, 2):
        log(folder, number)
    measures = {"verdict": {"flag_accuracy": Interval(value=0.75, lower=0.5, upper=0.9, of=16)}}
    folder.evaluated(EvalPoint(policy_version=1, seconds=3.0, tasks=16, measures=measures, reward_mean=-0.5))
    folder.resume(1)
    log(folder, 2)
    read = {}
    for start in (1, 2):
        read[start] = accumulator.EventAccumulator(str(tmp_path / "mine" / "tensorboard" / f"start-{start}"))
        read[start].Reload()
    assert [(one.step, round(one.value, 3)) for one in read[1].Scalars("reward_mean")] == [(1, -0.9), (2, -0.9)]
    assert [one.step for one in read[1].Scalars("heldout/verdict/flag_accuracy")] == [2]
    (first, second) = read[1].Tensors("samples")
    assert (
        b"<td>task-2</td>" in second.tensor_proto.string_val[0]
        and b"&lt;verdict&gt;" in first.tensor_proto.string_val[0]
    )
    assert [one.step for one in read[2].Scalars("reward_mean")] == [2]
