from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import yaml

from common.buffer_records import StoredGroup
from common.config import RunSpec
from common.records import Group
from common.weights import SyncOutcome
from deploy.job.metrics_row import metrics_row
from deploy.job.run_folder import Row, RunFolder, new_name
from deploy.report import rollout_log
from learner.learner import LearnerStep
from learner.scribe_learner import ScribePhase
from learner.step_report import StepReport
from tests.deploy.report.rollouts import group, labelled, rollout
from tests.deploy.reports import REPORTS


def groups_of(number: int) -> list[Group]:
    return [group(labelled(number), rollout(versions=(0,)), rollout(versions=(0,)))]


def step(number: int) -> LearnerStep:
    report = StepReport(
        step=number,
        policy_version=number,
        policy_lag=1,
        groups=1,
        completions=2,
        tokens=100,
        completion_tokens=60,
        loss=0.1,
        kl_to_reference=None,
        grad_norm=1.0,
        learning_rate=1e-4,
        reward_mean=-0.9,
        reward_std=0.0,
        reward_components={"outcome": -1.0, "structure": 0.1},
        weights={"share_clamped": 0.0},
        by_turn={},
        seconds={"step": 2.0},
    )
    sync = SyncOutcome(version=number, seconds=0.5, pause_seconds=0.1, canary_gap=0.02, proved=("e",), failures={})
    groups = tuple(StoredGroup.of(one, one) for one in groups_of(number))
    return LearnerStep(
        report=report,
        sync=sync,
        groups=groups,
        fresh_logp_difference=0.01,
        wait_seconds=1.0,
        step_seconds=2.0,
        seconds=4.0,
    )


def log(folder: RunFolder, number: int) -> Row:
    """As a run does around a step."""
    folder.write_rollouts(number, groups_of(number))
    return folder.log(step(number))


def made(tmp_path: Path, steps: int) -> RunFolder:
    folder = RunFolder(RunSpec(name="mine"), tmp_path / "mine")
    folder.create()
    for number in range(1, steps + 1):
        log(folder, number)
    return folder


def logged(folder: RunFolder) -> list[int]:
    return [json.loads(line)["step"] for line in (folder.path / "metrics.jsonl").read_text().splitlines()]


def rollout_files(folder: RunFolder) -> list[str]:
    return sorted(path.name for path in (folder.path / "rollouts").glob("*.parquet"))


def test_a_new_run_leaves_its_resolved_spec(tmp_path: Path) -> None:
    folder = made(tmp_path, 0)
    assert RunSpec.model_validate(yaml.safe_load((folder.path / "spec.yaml").read_text())) == folder.spec


def test_an_existing_run_is_never_written_over(tmp_path: Path) -> None:
    first, second = made(tmp_path, 1), made(tmp_path, 0)
    assert second.path.name == second.spec.name == f"{first.path.name}-2", "a name that is taken meanwhile"


@pytest.mark.parametrize("runs", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, runs: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"a file is (where a folder should be|there already)"):
        RunFolder(RunSpec(), tmp_path / runs / "r").claim()


def test_a_folder_that_was_claimed_for_nothing_is_removed(tmp_path: Path) -> None:
    folder = RunFolder(RunSpec(), tmp_path / "runs" / "r")
    folder.claim()
    folder.abandon()
    assert not folder.path.exists()
    folder.create()
    folder.abandon()
    assert (folder.path / "spec.yaml").is_file(), "a run that began stays"


def test_a_running_run_cannot_be_resumed_by_a_second_process(tmp_path: Path) -> None:
    running = made(tmp_path, 1)
    with pytest.raises(ValueError, match="another process is running it"):
        RunFolder(running.spec, running.path).lock()
    running._lock.close()  # as the end of its process does
    RunFolder(running.spec, running.path).lock()


def test_resuming_drops_the_rows_and_rollouts_of_later_steps(tmp_path: Path) -> None:
    before = made(tmp_path, 5)
    kept = rollout_files(before)[:2]
    folder = RunFolder(before.spec, before.path)
    folder.resume(2)
    assert logged(folder) == [1, 2] and rollout_files(folder) == kept
    log(folder, 3)
    assert logged(folder) == [1, 2, 3] and len(rollout_files(folder)) == 3


def test_resuming_passes_over_a_line_that_a_crash_tore(tmp_path: Path) -> None:
    folder = made(tmp_path, 2)
    with (folder.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "ti')
    folder.resume(2)
    assert logged(folder) == [1, 2]


def test_resuming_before_anything_was_logged_is_harmless(tmp_path: Path) -> None:
    folder = made(tmp_path, 0)
    folder.resume(0)
    assert logged(folder) == []


def test_finish_returns_resumed_and_new_rows_and_draws_them(tmp_path: Path) -> None:
    before = made(tmp_path, 3)
    folder = RunFolder(before.spec, before.path)
    folder.resume(2)
    log(folder, 3)
    assert [row["step"] for row in folder.finish()] == [1, 2, 3]
    assert (folder.path / "progress.png").is_file() and (folder.path / "episodes.html").is_file()


def test_a_run_without_a_step_draws_nothing(tmp_path: Path) -> None:
    assert RunFolder(RunSpec(), tmp_path / "never").finish() == [] and not (tmp_path / "never").exists()


def test_a_row_gives_rates_over_the_turn_and_learner_rates_over_the_step() -> None:
    row = metrics_row(step(1), REPORTS)
    assert row["completions_per_second"] == pytest.approx(2 / 4)
    assert row["rollout_tokens_per_second"] == pytest.approx(60 / 4)
    assert row["learner_tokens_per_second"] == pytest.approx(100 / 2)
    assert row["sync_ok"] is True and row["reward_outcome"] == -1.0 and row["verdict/valid_share"] == 1.0
    json.dumps(row)


def test_a_new_name_is_the_first_that_is_free(tmp_path: Path) -> None:
    assert new_name(tmp_path / "none", "run") == "run"
    for expected in ("run", "run-2", "run-3"):
        assert new_name(tmp_path, "run") == expected
        (tmp_path / expected).mkdir()
    (tmp_path / "run-10").mkdir()
    assert new_name(tmp_path, "run") == "run-4" and new_name(tmp_path, "other") == "other"


def phase(*rewards: float, rates: tuple[float, ...] = (), starved: bool = False) -> ScribePhase:
    reports = tuple(msgspec.structs.replace(step(1).report, reward_mean=reward) for reward in rewards)
    return ScribePhase(
        policy_version=7,
        reports=reports,
        syncs=(step(1).sync,) * len(rewards),
        success_rates=rates,
        starved=starved,
    )


def test_a_scribe_phase_adds_to_the_line_of_the_step_before_it_and_nothing_where_there_was_none() -> None:
    plain = metrics_row(step(1), REPORTS)
    row = metrics_row(msgspec.structs.replace(step(1), scribe=phase(0.25, 0.75, rates=(0.5, 0.1))), REPORTS)
    assert not [name for name in plain if name.startswith("scribe")] and row.keys() > plain.keys()
    assert (row["scribe_policy_version"], row["scribe_steps"], row["scribe_tries"]) == (7, 2, 4)
    assert (row["scribe_reward_mean"], row["scribe_verified"], row["scribe_success_rate"]) == (0.5, 2, 0.3)


def test_a_starved_scribe_phase_says_so_and_has_no_means() -> None:
    row = metrics_row(msgspec.structs.replace(step(1), scribe=phase(starved=True)), REPORTS)
    assert row["scribe_starved"] and row["scribe_reward_mean"] is None and row["scribe_success_rate"] is None


def test_a_number_that_is_none_is_null_in_the_log_which_stays_json(tmp_path: Path) -> None:
    folder = made(tmp_path, 1)
    wrong = step(2)
    report = msgspec.structs.replace(wrong.report, loss=float("nan"), grad_norm=float("inf"), skipped="the loss is nan")
    folder.write_rollouts(2, groups_of(2))
    row = folder.log(msgspec.structs.replace(wrong, report=report))
    assert (row["loss"], row["grad_norm"], row["skipped"]) == (None, None, "the loss is nan")
    folder.resume(2)
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert [json.loads(line, parse_constant=refuse)["step"] for line in lines] == [1, 2]


def test_a_resume_drops_the_replies_to_held_out_tasks_of_later_versions(tmp_path: Path) -> None:
    folder = made(tmp_path, 2)
    for version in (0, 1, 2):
        rollout_log.write_heldout(folder.path, version, groups_of(1), lambda *_: [], {}, lambda _: None)
    folder.resume(1)
    assert {path.name for path in (folder.path / "heldout").iterdir()} == {
        "version-00000.parquet",
        "version-00001.parquet",
    }
