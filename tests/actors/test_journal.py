from __future__ import annotations

from pathlib import Path

import pytest

from actors.journal import Event, Journal, replay
from common.records import Label, LabelledTask, Limits, Provenance, Task


def labelled(index: int) -> LabelledTask:
    task = Task(
        env="verdict",
        task_id=f"task-{index}",
        split="train",
        context={"note": "naïve “quote”\u2028"},
        limits=Limits(),
        provenance=Provenance(source="bundled", vignette=f"v{index}", quadrant="augmented_safe"),
    )
    return LabelledTask(task=task, label=Label(task_id=task.task_id, truth={"flag": 0}))


def write(path: Path, *events: Event) -> None:
    journal = Journal(path)
    for event in events:
        journal.write(event)
    journal.close()


def ready(*indices: int) -> list[Event]:
    return [Event(state="ready", indices=(index,), labelled=labelled(index)) for index in indices]


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


@pytest.mark.parametrize("damage", [b"{nonsense\n", b'{"indices":[1]}\n', b"\xff\n", b"\n"])
def test_a_damaged_line_is_an_error_that_names_file_and_line(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    write(path, *ready(0))
    path.write_bytes(path.read_bytes() + damage)
    write(path, *ready(1))
    with pytest.raises(ValueError, match=r"journal\.jsonl:2: not a journal line"):
        replay(path, 0)


def test_a_missing_journal_says_to_start_a_new_run(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="start a new run"):
        replay(tmp_path / "journal.jsonl", 4)


def test_an_empty_journal_is_an_empty_run(tmp_path: Path) -> None:
    write(tmp_path / "journal.jsonl")
    assert replay(tmp_path / "journal.jsonl", 0).next_index == 0
