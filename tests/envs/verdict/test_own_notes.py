"""Correct notes alone: what somebody has who never labelled an error."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest

from common.records import LabelledTask
from deploy.__main__ import main
from envs.contract.by_rule import tasks_by_rule
from envs.verdict import checker
from envs.verdict.data.medec import bundled_path, load_notes
from envs.verdict.data.overlap import SOURCE_LIMIT, Reference
from envs.verdict.data.sources import gather
from envs.verdict.environment import VerdictEnvironment
from envs.verdict.spec import DataSpec, VerdictSettings
from tests.envs.verdict.own_notes import COUNT, own_notes, write_csv

# In words that the bundled error notes use, so that a phrase of theirs fits.
MINED = "A woman has had a red eye since noon. She is treated for acute angle-closure glaucoma."


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("own") / "notes.csv", own_notes())


def made(settings: VerdictSettings, count: int) -> list[LabelledTask]:
    env = VerdictEnvironment(settings, 0)
    return [task for _, task in asyncio.run(tasks_by_rule(env, env.plan, count))]


def test_correct_notes_alone_give_balanced_tasks_whose_labels_are_proved(own: Path) -> None:
    settings = VerdictSettings(data=DataSpec(path=str(own)))
    tasks, judge = made(settings, 200), checker.make(settings)
    kinds = Counter(task.task.provenance.kind for task in tasks)
    assert kinds == {"synthetic_injection": 100, "synthetic_decoy": 100}
    assert [judge.disagreement(task) for task in tasks] == [None] * 200


def test_the_notice_says_what_becomes_of_the_notes(own: Path) -> None:
    notice = VerdictEnvironment(VerdictSettings(data=DataSpec(path=str(own))), 0).notice
    assert notice.startswith(f"{COUNT} notes of {COUNT} vignettes; phrases of 60 error notes of bundled; of ")
    assert " 0 in augmented tasks, " in notice and notice.endswith(" in synthetic tasks")


def test_a_phrase_of_another_files_error_is_put_into_a_correct_note_and_proved(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "notes.csv", {"a": MINED, **own_notes()})
    settings = VerdictSettings(data=DataSpec(path=str(file), heldout=0))
    judge = checker.make(settings)
    injected = [task for task in made(settings, 200) if task.task.provenance.tier == "B"]
    assert injected and {task.task.provenance.source for task in injected} == {"a"}
    assert [judge.disagreement(task) for task in injected] == [None] * len(injected)
    without = checker.make(VerdictSettings(data=DataSpec(path=str(file), heldout=0, phrases="own")))
    assert all(without.disagreement(task) for task in injected), "nothing else proves them"


def test_without_other_phrases_the_note_itself_must_prove_the_error(own: Path) -> None:
    tasks = made(VerdictSettings(data=DataSpec(path=str(own), phrases="own")), 100)
    assert {task.task.provenance.tier for task in tasks} == {"A", ""}


def test_no_phrase_of_a_held_out_or_an_evaluation_note_is_used(tmp_path: Path) -> None:
    rows = bundled_path().read_text(encoding="utf-8")
    copy = tmp_path / "copy.csv"
    copy.write_text(rows, encoding="utf-8")
    sources = gather(DataSpec(path=str(copy), phrases="bundled", heldout=0.5))
    train = {note.vignette for note in sources.phrases}
    assert 0 < len(train) < 60
    away = Reference(note.text for note in load_notes(copy) if note.vignette not in train)
    assert all(away.containment(note.text) <= SOURCE_LIMIT for note in sources.phrases)
    with pytest.raises(ValueError, match=r"data\.phrases: bundled holds no error note that may be used"):
        gather(DataSpec(path=str(write_csv(tmp_path / "o.csv", own_notes())), evaluation=bundled_path()))


def test_notes_with_errors_of_their_own_use_no_others() -> None:
    assert gather(DataSpec()).phrases == ()


def test_notes_without_any_decision_are_refused_with_the_command_that_shows_why(tmp_path: Path) -> None:
    file = write_csv(tmp_path / "n.csv", {str(n): f"A boy counts {n} birds. He sings." for n in range(9)})
    with pytest.raises(ValueError, match=r"none of \d training vignettes can give .*; medserl data check") as refusal:
        VerdictEnvironment(VerdictSettings(data=DataSpec(path=str(file))), 0)
    assert "\n" not in str(refusal.value)


def test_the_public_settings_name_files_without_their_folders(own: Path) -> None:
    public = VerdictSettings(data=DataSpec(path=str(own), phrases=str(own))).public()
    assert (public["data"]["path"], public["data"]["phrases"]) == ("notes.csv", "notes.csv")


def test_a_resume_compares_notes_and_phrases(own: Path) -> None:
    assert VerdictSettings(data=DataSpec(path=str(own), phrases=str(own))).inputs == {
        "data.path": own,
        "data.phrases": own,
    }
    assert VerdictSettings(data=DataSpec(phrases="bundled")).inputs == {}
    assert VerdictSettings(data=DataSpec(path=str(own), phrases="own")).inputs == {"data.path": own}


def checked(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["data", "check", *arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_data_check_says_of_each_row_whether_it_can_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes = {**own_notes(20), "mined": MINED, "calm": "A boy sings.", "blank": "", "long": "He was given tea. " * 90}
    file = write_csv(tmp_path / "notes.csv", notes)
    code, out, err = checked(capsys, str(file))
    line = {name: next(row for row in out.splitlines() if f"  {name} " in row) for name in ("mined", "calm", "long")}
    assert (code, err) == (0, "")
    assert " yes  errors that fit: " in line["mined"] and line["mined"].endswith(" mined")
    assert " NO   no sentence states a decision" in line["calm"]
    assert " NO   longer than max_words 300" in line["long"]
    assert f"NO   {file}:row 24, field 'text': is missing" in out
    assert "of 24 rows can be used" in out and out.count("\nTask ") == 3 and "       right: " in out


def test_data_check_gives_the_same_as_json(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = checked(capsys, str(own), "--json", "--tasks", "2")
    found = json.loads(out)
    assert code == 0 and len(found["rows"]) == COUNT and len(found["tasks"]) == 2 and not found["refusal"]
    assert sum(row["usable"] for row in found["rows"]) > COUNT / 2


def test_data_check_of_a_file_that_no_run_can_use_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write_csv(tmp_path / "notes.csv", {"a": "A boy sings."})
    code, out, err = checked(capsys, str(file))
    assert code == 2 and "0 of 1 rows can be used" in out and err.startswith("data: ") and err.count("\n") == 1
    code, out, err = checked(capsys, str(tmp_path / "absent.csv"))
    assert (code, out) == (2, "") and "no such file" in err
    code, out, err = checked(capsys, "bundled", "--max-words", "5")
    assert (code, out, err) == (2, "", "data: data.max_words: Input should be greater than or equal to 20\n")
    code, out, err = checked(capsys, str(file), "--phrases", str(tmp_path / "absent.csv"))
    assert (code, out) == (2, "") and "no such file" in err
