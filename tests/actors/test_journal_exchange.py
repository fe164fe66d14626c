"""The journal's file is exchanged for another: by a compaction, and by a successor."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from actors import journal as journal_module
from actors.journal import Event, Journal, replay
from tests.actors.fragile_os import Crash, FragileOs
from tests.actors.journal_world import ready, write


def long_run() -> list[Event]:
    """Five steps of two tasks each, a rejection of either kind, a resume at 3, and some of everything in flight."""
    events = [Event(state="claimed", indices=(index,), by="s") for index in range(16)]
    events += [*ready(*range(13)), Event(state="rejected", indices=(13,), reason="gate")]
    for step in (1, 2, 3, 4, 5):
        pair = (2 * step - 2, 2 * step - 1)
        events += [Event(state=state, indices=pair, step=step) for state in ("batched", "trained")]
        if step == 4:
            events += [Event(state="resumed", step=3), Event(state="batched", indices=pair, step=4)]
    events += [
        Event(state="rejected", indices=(10,), reason="difficulty"),
        Event(state="leased", indices=(11,), by="d"),
    ]
    return [*events, Event(state="unclaimed", indices=(14,)), Event(state="rolled", indices=(12,))]


def compacted(path: Path, oldest_step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "WORTHWHILE_BYTES", 0)
    journal = Journal(path)
    journal.compact(oldest_step)
    journal.write(Event(state="claimed", indices=(16,), by="s"))
    journal.close()


@pytest.mark.parametrize("oldest", [0, 2, 3, 5])
def test_a_compacted_journal_says_the_same_at_every_step_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, oldest: int
) -> None:
    path, other = tmp_path / "journal.jsonl", tmp_path / "other.jsonl"
    write(path, *long_run())
    size = path.stat().st_size
    write(other, *long_run(), Event(state="claimed", indices=(16,), by="s"))
    compacted(path, oldest, monkeypatch)
    assert path.stat().st_size < size
    for step in range(oldest, 6):
        assert replay(path, step) == replay(other, step)
    compacted(path, 5, monkeypatch)
    assert replay(path, 5) == replay(other, 5), "compacted twice"


def test_a_compacted_journal_refuses_a_step_that_it_forgot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, *long_run())
    compacted(path, 3, monkeypatch)
    with pytest.raises(ValueError, match="cannot go back to step 2; resume from a later checkpoint"):
        replay(path, 2)


def test_a_journal_is_compacted_only_when_it_has_doubled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "WORTHWHILE_BYTES", 1000)
    journal = Journal(tmp_path / "journal.jsonl")
    thresholds = []
    for index in range(40):
        journal.write(ready(index)[0])
        journal.compact(0)
        thresholds.append(journal._worthwhile)
    kept = sorted(set(thresholds))
    assert len(kept) > 3 and all(after >= 2 * before for before, after in pairwise(kept))


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_crash_anywhere_in_a_compaction_leaves_the_old_file_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    disk, crashes = FragileOs(), 0
    path, other = tmp_path / "journal.jsonl", tmp_path / "other.jsonl"
    write(other, *long_run())
    monkeypatch.setattr(journal_module, "WORTHWHILE_BYTES", 0)
    monkeypatch.setattr(journal_module, "os", disk)
    for calls in range(40):
        path.unlink(missing_ok=True)
        write(path, *long_run())
        journal = Journal(path)
        disk.arm(calls, share)
        try:
            journal.compact(3)
        except Crash:
            crashes += 1
        disk.restart()
        for step in (3, 4, 5):
            assert replay(path, step) == replay(other, step)
        Journal(path).close()
        assert sorted(file.name for file in tmp_path.iterdir()) == ["journal.jsonl", "other.jsonl"]
    assert 5 < crashes < 40


def test_a_disk_that_fills_up_during_a_compaction_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FragileOs()
    monkeypatch.setattr(journal_module, "WORTHWHILE_BYTES", 0)
    monkeypatch.setattr(journal_module, "os", disk)
    path = tmp_path / "journal.jsonl"
    write(path, *long_run())
    before = path.read_bytes()
    journal = Journal(path)
    disk.room = 200
    with pytest.raises(ValueError, match="No space left on device"):
        journal.compact(3)
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["journal.jsonl"]


def test_a_process_that_wakes_up_after_its_replacement_started_writes_nothing_into_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "WORTHWHILE_BYTES", 0)
    path = tmp_path / "journal.jsonl"
    stopped = Journal(path)
    for event in ready(0, 1):
        stopped.write(event)
    successor = Journal(path)
    successor.write(Event(state="resumed", step=0), durable=True)
    stopped.write(Event(state="rejected", indices=(0,), reason="gate"), durable=True)
    with pytest.raises(ValueError, match="another process has taken it over"):
        stopped.compact(0)
    successor.write(ready(2)[0])
    successor.compact(0)
    stopped.write(ready(3)[0])
    assert list(replay(path, 0).ready) == [0, 1, 2]
    assert [file.name for file in tmp_path.iterdir()] == ["journal.jsonl"]


def test_a_process_stopped_within_a_compaction_cannot_end_it_after_its_replacement_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedBeforeItsRename(FragileOs):
        def replace(self, source: Path, target: Path) -> None:
            monkeypatch.setattr(journal_module, "os", os)
            self.successor = Journal(path)
            self.successor.write(ready(2)[0])
            os.replace(source, target)

    monkeypatch.setattr(journal_module, "WORTHWHILE_BYTES", 0)
    path, disk = tmp_path / "journal.jsonl", StoppedBeforeItsRename()
    stopped = Journal(path)
    for event in ready(0, 1):
        stopped.write(event)
    monkeypatch.setattr(journal_module, "os", disk)
    with pytest.raises(ValueError, match="No such file"):
        stopped.compact(0)
    disk.successor.write(ready(3)[0])
    assert list(replay(path, 0).ready) == [0, 1, 2, 3]
