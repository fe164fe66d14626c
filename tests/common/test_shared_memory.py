"""What is ours in shared memory: nothing of a living run, of another user or of another container is ever swept."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from common import shared_memory
from common.shared_memory import Claim, new_name, sweep_run
from tests.common.users import OTHER, as_other_user

ELSEWHERE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
"""Runs a command where the processes of this machine have no ids, as in a container."""
CAN_UNSHARE = not subprocess.run([*ELSEWHERE, "true"], capture_output=True, check=False).returncode
HOLDS = """
import sys
from pathlib import Path
from common.shared_memory import Claim, new_name
for number, kind in enumerate(("weights", "adapters")):
    Claim(Path(sys.argv[1]) / f"medserl-{new_name('exp')}-{kind}", folder=bool(number)).hold()
print("held", flush=True)
sys.stdin.read()
"""
SWEEPS = """
import sys
from pathlib import Path
import psutil
from common import shared_memory
shared_memory.SHARED_MEMORY = Path(sys.argv[1])
print(psutil.pid_exists(int(sys.argv[2])))
shared_memory.sweep_run("exp")
"""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The shared memory of these tests; nobody is waited for."""
    monkeypatch.setattr(shared_memory, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr(shared_memory, "DYING_SECONDS", 0)
    return tmp_path


@pytest.fixture(scope="module")
def dead() -> int:
    """The id of no process."""
    with subprocess.Popen(["true"]) as process:
        return process.pid


@pytest.fixture
def holder(memory: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a file and a folder of a run called exp."""
    command = [sys.executable, "-c", HOLDS, str(memory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
        process.kill()


def names(memory: Path) -> set[str]:
    return {path.name for path in memory.iterdir()}


def test_a_sweep_takes_what_the_dead_left_and_nothing_of_a_living_run_of_the_same_name(memory: Path, dead: int) -> None:
    for pid in (dead, os.getpid()):
        (memory / f"medserl-exp-{pid}-weights").write_bytes(b"w")
        (memory / f"medserl-exp-{pid}-0123456789ab-scribe-adapters").mkdir()
    (memory / f"medserl-exp.2-{dead}-weights").write_bytes(b"another run's")
    sweep_run("exp")
    assert names(memory) == {
        f"medserl-exp-{os.getpid()}-weights",
        f"medserl-exp-{os.getpid()}-0123456789ab-scribe-adapters",
        f"medserl-exp.2-{dead}-weights",
    }


@pytest.mark.parametrize("folder", [False, True])
def test_what_somebody_holds_stays_although_no_process_here_has_its_id(memory: Path, dead: int, folder: bool) -> None:
    claim = Claim(memory / f"medserl-exp-{dead}-weights", folder=folder)
    claim.hold()
    (memory / f"medserl-exp-{dead}-weights.engines-0").write_text("the tensor that an engine reads")
    before = names(memory)
    sweep_run("exp")
    assert names(memory) == before and len(before) == 2
    claim.release()
    sweep_run("exp")
    assert names(memory) == set()


def test_what_a_killed_process_held_is_swept_and_before_that_nothing_is(
    memory: Path, holder: subprocess.Popen[str]
) -> None:
    before = names(memory)
    sweep_run("exp")
    assert names(memory) == before and len(before) == 2
    holder.kill()
    holder.wait()
    sweep_run("exp")
    assert names(memory) == set()


def test_a_process_that_was_just_killed_gets_a_moment_to_let_go(
    memory: Path, dead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In another container, so that its end cannot be waited for by its id."""
    claim = Claim(memory / f"medserl-exp-{dead}-weights")
    claim.hold()
    naps = list[float]()

    def nap(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            claim.release()

    monkeypatch.setattr(shared_memory, "DYING_SECONDS", 3600)
    monkeypatch.setattr(time, "sleep", nap)
    sweep_run("exp")
    assert names(memory) == set() and len(naps) == 3


@pytest.mark.skipif(not CAN_UNSHARE, reason="this user may make no namespace")
def test_a_sweep_in_another_container_leaves_what_a_process_here_holds(
    memory: Path, holder: subprocess.Popen[str]
) -> None:
    def swept_elsewhere() -> str:
        command = [*ELSEWHERE, sys.executable, "-c", SWEEPS, str(memory), str(holder.pid)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    before = names(memory)
    assert swept_elsewhere() == "False\n", "the holder has an id there: nothing is tried"
    assert names(memory) == before and len(before) == 2
    holder.kill()
    holder.wait()
    swept_elsewhere()
    assert names(memory) == set()


def test_what_another_user_left_stays(memory: Path, dead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    (memory / f"medserl-exp-{dead}-weights").write_bytes(b"theirs")
    with monkeypatch.context() as another:
        another.setattr(os, "geteuid", lambda: os.getuid() + 1)
        sweep_run("exp")
        assert len(names(memory)) == 1
    sweep_run("exp")
    assert names(memory) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")
def test_two_users_sweep_the_same_folder_and_each_takes_only_what_is_its_own(memory: Path, dead: int) -> None:
    memory.chmod(0o1777)
    for name in (f"medserl-exp-{dead}-weights", f"medserl-exp-{dead}-adapters"):
        (memory / name).mkdir()
    os.chown(memory / f"medserl-exp-{dead}-weights", OTHER, OTHER)
    (memory / f"medserl-exp-{dead}-weights.engines-0").write_text("root's")
    with as_other_user(memory):
        assert os.geteuid() == OTHER
        sweep_run("exp")
    assert names(memory) == {f"medserl-exp-{dead}-adapters", f"medserl-exp-{dead}-weights.engines-0"}
    os.chown(memory / f"medserl-exp-{dead}-adapters", OTHER, OTHER)
    sweep_run("exp")
    assert names(memory) == {f"medserl-exp-{dead}-adapters"}, "root may remove it, and leaves it"


def test_what_cannot_be_locked_or_removed_is_left_without_a_word(memory: Path, dead: int) -> None:
    (memory / f"medserl-exp-{dead}-weights").symlink_to(memory / "nowhere")
    loop = memory / f"medserl-exp-{dead}-adapters"
    loop.symlink_to(loop)
    sweep_run("exp")
    assert names(memory) == set(), "links of ours are removed, not followed"
    shared_memory.SHARED_MEMORY = memory / "none"
    sweep_run("exp")


@pytest.mark.parametrize("folder", [False, True])
def test_what_a_sweep_took_before_it_was_locked_is_made_again(
    memory: Path, dead: int, folder: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lock, swept = memory / f"medserl-exp-{dead}-weights", fcntl.flock, list[set[str]]()

    def late(held: int, how: int) -> None:
        with monkeypatch.context() as inside:
            inside.setattr(fcntl, "flock", lock)
            if not swept:
                sweep_run("exp")
                swept.append(names(memory))
            lock(held, how)

    monkeypatch.setattr(fcntl, "flock", late)
    claim = Claim(path, folder=folder)
    claim.hold()
    monkeypatch.undo()
    assert swept == [set()] and path.exists()
    monkeypatch.setattr(shared_memory, "SHARED_MEMORY", memory)
    sweep_run("exp")
    assert path.exists(), "it is held"
    claim.release()


def test_a_claim_is_for_this_user_alone_and_follows_no_link(memory: Path) -> None:
    for folder, mode in ((False, 0o600), (True, 0o700)):
        path = memory / f"made-{folder}"
        claim = Claim(path, folder=folder)
        assert not path.exists()
        claim.hold()
        claim.hold()
        shared_memory._remove(path)
        claim.hold()
        assert path.stat().st_mode & 0o777 == mode
        claim.release()
        claim.release()
    (memory / "mine").write_bytes(b"w")
    (memory / "link").symlink_to(memory / "mine")
    with pytest.raises(OSError, match="link"):
        Claim(memory / "link").hold()


def test_no_two_ranks_have_one_name() -> None:
    made = {new_name("exp") for _ in range(100)}
    assert len(made) == 100 and psutil.pid_exists(int(made.pop().split("-")[1]))
