"""Two users of one machine: what is the other's is neither read, nor written, nor the end of a command."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from common.config import RunSpec
from deploy import apply, ask, compare, export, plan, runs, selfplay, status, stop
from deploy.job.run_folder import RunFolder
from deploy.job.start import starting_point
from tests.common.users import OTHER, as_other_user
from tests.deploy.job.stopped import stopped

Main = Callable[[list[str]], int]
NAMES = ("open", "closed", "files-closed", "lock-closed")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of root's runs, one of them running, and a spec of the other user's."""
    home = tmp_path_factory.mktemp("home")
    (home / "theirs").mkdir()
    os.chown(home / "theirs", OTHER, OTHER)
    for name in NAMES:
        folder = run(home, name)
        (folder.path / "lock").touch()
    live = run(home, "live")
    live.lock()
    for main, arguments in commands(home, "open"):  # imports all they need: the other may not read where Python is
        if main is not selfplay.main:
            code_of(main, arguments)
    (home / "runs" / "closed").chmod(0o700)
    (home / "runs" / "lock-closed" / "lock").chmod(0o600)
    for path in (home / "runs" / "files-closed").iterdir():
        path.chmod(0o700 if path.is_dir() else 0o600)
    settings = {**SETTINGS, "name": "live", "rollout": {"doctors": 3}, "runs": str(home / "runs")}
    (home / "spec.yaml").write_text(yaml.safe_dump(settings))
    yield home


SETTINGS: dict[str, Any] = {"steps": 8, "model": {"source": "tiny"}, "metrics": {"port": 0}}


def run(home: Path, name: str) -> RunFolder:
    """A run of root's that stopped after step 4."""
    file = RunSpec.model_validate({**SETTINGS, "name": name, "runs": home / "runs"})
    return stopped(file, 4)


def contents(folder: Path) -> dict[str, tuple[int, int]]:
    """When everything below a folder was changed, and its size."""
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_size) for path in folder.rglob("*")}


def commands(home: Path, name: str) -> list[tuple[Main, list[str]]]:
    """What can be typed about a run."""
    folder = str(home / "runs" / name)
    return [
        (status.main, [folder]),
        (stop.main, [folder]),
        (ask.main, [folder, "--task", "1"]),
        (export.main, [folder, str(home / "theirs" / "out")]),
        (selfplay.main, [f"{folder}/spec.yaml", "--resume"]),
        (plan.main, [f"{folder}/spec.yaml"]),
        (apply.main, [str(home / "spec.yaml"), "--name", name]),
    ]


def code_of(main: Main, arguments: list[str]) -> int:
    try:
        return main(arguments)
    except SystemExit as ended:
        return int(str(ended.code))


@pytest.mark.parametrize("name", [*NAMES, "live"])
def test_no_command_ends_in_a_traceback_or_changes_a_run_of_another_user(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selfplay, "connect", lambda *_: pytest.fail("Ray was started"))
    before = contents(home / "runs")
    refused = list[str]()
    for main, arguments in commands(home, name):
        with as_other_user(home / "runs"):
            code = code_of(main, arguments)
        said = capsys.readouterr()
        assert code == 0 or (code == 2 and said.err.count("\n") == 1), (arguments, said.err)
        refused += [said.err] if code else []
    assert contents(home / "runs") == before and not any((home / "theirs").iterdir())
    assert len(refused) >= 4 and "Errno" not in "".join(refused)


def test_a_run_cannot_be_resumed_by_a_user_who_may_not_write_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selfplay, "connect", lambda *_: pytest.fail("Ray was started"))
    with as_other_user(home / "runs"):
        assert code_of(selfplay.main, [str(home / "runs" / "open" / "spec.yaml"), "--resume"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(
        f"selfplay: {home / 'runs' / 'open' / 'lock'}: Permission denied; write to a folder of yours"
    )


def test_the_runs_of_others_are_listed_and_those_that_are_closed_are_named(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with as_other_user(home / "runs"):
        assert code_of(lambda given: runs.run(parsed("runs", given)), [str(home / "runs")]) == 0
        said = capsys.readouterr()
        assert code_of(lambda given: runs.run(parsed("runs", given)), [str(home / "runs" / "closed")]) == 2
        closed = capsys.readouterr().err
        pair = [str(home / "runs" / name) for name in ("closed", "open")]
        assert code_of(lambda given: compare.run(parsed("runs compare", given)), pair) == 2
        assert capsys.readouterr().err.count("\n") == 1
    assert "live" in said.out and "open" in said.out
    assert sorted(line.split(":")[1].rsplit("/", 1)[1] for line in said.err.splitlines()) == [
        "closed",
        "files-closed",
        "lock-closed",
    ]
    assert closed.startswith(f"runs: {home / 'runs' / 'closed'}: cannot be listed (Permission denied)")


def parsed(name: str, given: list[str]) -> Any:
    from deploy.commands import parse

    return parse(name, f"medserl {name}", given)


def test_a_closed_run_of_another_user_hides_no_run_of_ones_own(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are called live, in one folder of runs; the other's is closed."""
    shared = home / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o1777)
    settings = {**SETTINGS, "name": "mine", "runs": str(shared)}
    (home / "mine.yaml").write_text(yaml.safe_dump(settings))
    theirs, _ = starting_point(RunSpec.model_validate(settings), False)
    theirs.path.mkdir()
    theirs.lock()
    (theirs.path / "lock").chmod(0o600)
    with as_other_user(shared):
        file = RunSpec.model_validate(settings)
        mine, _ = starting_point(file, False)
        mine.create()
        mine.record(mine.spec, file)
        assert code_of(apply.main, [str(home / "mine.yaml"), "--dry-run", "--rollout.doctors", "2"]) == 0
    assert mine.path.name == "mine-2"
    assert "run mine-2: rollout.doctors: 1 -> 2 (dry run)" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_told_before_anything_starts(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(selfplay, "play", lambda *_: pytest.fail("the run began"))
    with as_other_user(home / "runs"):
        assert code_of(selfplay.main, [str(home / "spec.yaml"), "--name", "new"]) == 2
    assert capsys.readouterr().err == (
        f"selfplay: runs: {home / 'runs' / 'new'}: Permission denied; write to a folder of yours, or get the right to "
        "write there\n"
    )
