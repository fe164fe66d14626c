from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors import journal as journal_module
from actors.journal import Event, Journal, replay
from tests.actors.fragile_os import FragileOs
from tests.actors.journal_world import labelled, ready, write


def test_tasks_come_back_equal_and_in_plan_order(tmp_path: Path) -> None:
    path = tmp_path / "run" / "journal.jsonl"
    write(path, *ready(2, 0, 1), Event(state="leased", indices=(1,), by="d", version=3))
    found = replay(path, 0)
    assert list(found.ready) == [0, 1, 2]
    assert found.ready[1] == labelled(1)
    assert found.next_index == 3


def test_batches_up_to_the_checkpoint_are_trained_and_later_ones_are_ready(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(
        path,
        *ready(0, 1, 2),
        Event(state="batched", indices=(0,), step=1),
        Event(state="trained", indices=(0,), step=1),
        Event(state="batched", indices=(1,), step=2),
        Event(state="trained", indices=(1,), step=2),
        Event(state="batched", indices=(2,), step=3),
    )
    assert (replay(path, 1).trained, list(replay(path, 1).ready)) == ({0: 1}, [1, 2])
    assert replay(path, 2).trained == {0: 1, 1: 2}
    assert replay(path, 3).trained == {0: 1, 1: 2, 2: 3}


def test_a_resumed_line_undoes_what_its_resume_undid(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(
        path,
        *ready(0, 1),
        Event(state="batched", indices=(0,), step=1),
        Event(state="resumed", step=0),
        Event(state="batched", indices=(1,), step=1),
    )
    assert (replay(path, 1).trained, list(replay(path, 1).ready)) == ({1: 1}, [0])


def test_claims_without_a_task_are_given_again_and_rejections_last(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(
        path,
        Event(state="claimed", indices=(0, 1, 2), by="s"),
        Event(state="rejected", indices=(1,), reason="gate"),
        Event(state="unclaimed", indices=(2,)),
    )
    found = replay(path, 0)
    assert (found.unclaimed, found.rejected, found.next_index) == ((0, 2), {1: "gate"}, 3)


def test_a_half_written_last_line_is_dropped_counted_and_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, *ready(0))
    with path.open("a") as file:
        file.write('{"state":"ready","indi')
    assert replay(path, 0).dropped_lines == 1
    write(path, *ready(1))
    found = replay(path, 0)
    assert (list(found.ready), found.dropped_lines) == ([0, 1], 0)


@pytest.mark.parametrize("damage", [b"{nonsense\n", b'{"indices":[1]}\n', b"\xff\n", b"\n", b'{"state":"ready"}\n'])
def test_a_damaged_line_is_left_out_counted_and_named(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, *ready(0, 1))
    first, second = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + damage + second)
    found = replay(path, 0)
    assert (list(found.ready), found.dropped_lines) == ([0, 1], 1)
    assert "journal.jsonl:2: left out" in caplog.text


def test_a_file_without_a_line_of_a_journal_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, *ready(0))
    path.write_bytes(b"nonsense\n" + b"x" + path.read_bytes()[1:] + path.read_bytes()[:0] + b"more\n")
    with pytest.raises(ValueError, match="holds no line of a journal"):
        replay(path, 0)


@given(at=st.integers(0), bit=st.integers(0, 7))
@settings(max_examples=200, deadline=None)
def test_any_bit_that_flips_is_noticed(at: int, bit: int) -> None:
    line = journal_module._sealed(ready(0)[0])
    at %= len(line)
    damaged = line[:at] + bytes([line[at] ^ 1 << bit]) + line[at + 1 :]
    assert journal_module._without_torn_line(line) == line
    assert journal_module._without_torn_line(damaged) == b""


def test_a_last_line_with_a_wrong_checksum_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, *ready(0, 1))
    path.write_bytes(path.read_bytes().replace(b"task-1", b"task-2"))
    found = replay(path, 0)
    assert (list(found.ready), found.dropped_lines) == ([0], 1)


def test_a_missing_journal_says_to_start_a_new_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="start a new run"):
        replay(tmp_path / "journal.jsonl", 4)


def test_an_empty_journal_is_an_empty_run(tmp_path: Path) -> None:
    write(tmp_path / "journal.jsonl")
    assert replay(tmp_path / "journal.jsonl", 0).next_index == 0


def test_a_full_disk_leaves_no_half_line_and_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FragileOs()
    monkeypatch.setattr(journal_module, "os", disk)
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.write(ready(0)[0])
    before = path.read_bytes()
    disk.room = 100
    with pytest.raises(
        ValueError, match=r"journal\.jsonl cannot be written \(No space left on device\): make room"
    ) as said:
        journal.write(ready(1)[0])
    assert path.read_bytes() == before and "\n" not in str(said.value)
    disk.room = None
    journal.write(ready(2)[0])
    assert list(replay(path, 0).ready) == [0, 2]


def test_after_a_failed_sync_nothing_is_written_because_the_state_on_disk_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FragileOs()
    monkeypatch.setattr(journal_module, "os", disk)
    journal = Journal(tmp_path / "journal.jsonl")
    disk.sync_fails = True
    with pytest.raises(ValueError, match="Input/output error"):
        journal.write(Event(state="batched", indices=(0,), step=1), durable=True)
    disk.sync_fails = False
    with pytest.raises(ValueError, match="Input/output error"):
        journal.write(ready(0)[0])
    assert (tmp_path / "journal.jsonl").read_bytes() == b""


def test_lines_reach_the_disk_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "SYNC_LINES", 3)
    journal = Journal(tmp_path / "journal.jsonl")
    waiting = []
    for index in range(4):
        journal.write(Event(state="claimed", indices=(index,)))
        waiting.append(journal.unsynced)
    assert waiting == [True, True, False, True]
    journal.write(Event(state="batched", indices=(0,), step=1), durable=True)
    assert not journal.unsynced
