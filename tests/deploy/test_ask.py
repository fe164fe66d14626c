from __future__ import annotations

import io
from pathlib import Path

import pytest

from common.command_line import BAD_INPUT
from deploy import ask
from envs.verdict.doctor.grammar import CLEAN as CLEAN_WORDS
from tests.deploy.test_export import finished, spec
from tests.evals.clients import CLEAN, THOUGHT, FakeClient, completion, flagged, too_long

LAST = "Paracetamol was given for reperfusion."
NOTE = f"A 40-year-old man has had chest pain for an hour. The ECG shows ST elevation.\n{LAST}"


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text(NOTE)
    return path


def asked(tmp_path: Path, note: str, client: FakeClient, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = ask.main([str(finished(tmp_path, spec())), "--note", note], client)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_accused_sentence_is_marked(tmp_path: Path, note: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client = FakeClient(lambda _: [completion(flagged(2, "Alteplase was given.", "treatment"))])
    code, out, _ = asked(tmp_path, str(note), client, capsys)
    assert code == 0
    assert [line for line in out.splitlines() if line.startswith(">")] == [
        ">  2 Paracetamol was given for reperfusion."
    ]
    assert f"Reasoning  {THOUGHT}" in out and "error of type treatment in sentence 2" in out
    assert "Correction Alteplase was given." in out
    assert client.prompts[0].endswith("\n1 The ECG shows ST elevation.\n2 Paracetamol was given for reperfusion.")


def test_a_clean_verdict_marks_nothing(tmp_path: Path, note: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = asked(tmp_path, str(note), FakeClient(lambda _: [completion(CLEAN)]), capsys)
    assert ">" not in out and "no clinical error" in out and CLEAN_WORDS not in out


@pytest.mark.parametrize(
    ("text", "finish", "reason"),
    [("Nothing to see.", "stop", "tags"), (flagged(9), "stop", "sentence"), (CLEAN, "length", "truncated")],
)
def test_a_reply_without_the_format_is_shown_as_it_is(
    tmp_path: Path, note: Path, capsys: pytest.CaptureFixture[str], text: str, finish: str, reason: str
) -> None:
    code, out, _ = asked(tmp_path, str(note), FakeClient(lambda _: [completion(text, finish)]), capsys)
    assert code == 0 and f"does not follow the format ({reason}):" in out and ">  " not in out


def test_a_note_may_come_from_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("He is well. He takes no drugs."))
    client = FakeClient(lambda _: [completion(CLEAN)])
    assert asked(tmp_path, "-", client, capsys)[0] == 0
    assert client.prompts[0].endswith("0 He is well.\n1 He takes no drugs.")


def test_bad_notes_are_refused_in_one_line(tmp_path: Path, note: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n")
    for path, client, line in (
        (str(tmp_path / "none.txt"), FakeClient(lambda _: []), "cannot be read; write a plain text file"),
        (str(empty), FakeClient(lambda _: []), "holds no sentence"),
        (str(note), FakeClient(too_long), "the text is too long: prompt of 2000 tokens"),
    ):
        (tmp_path / path.replace("/", "_")).mkdir()
        code, _, err = asked(tmp_path / path.replace("/", "_"), path, client, capsys)
        assert code == BAD_INPUT and line in err and err.count("\n") == 1


def test_an_engine_that_dies_is_reported(tmp_path: Path, note: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = asked(tmp_path, str(note), FakeClient(lambda _: [], dies_after=0), capsys)
    assert code == ask.FAILED and err == "ask: the engine died: cancelled\n"
