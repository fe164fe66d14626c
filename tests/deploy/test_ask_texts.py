"""A model is asked about texts."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from common.command_line import BAD_INPUT
from deploy import ask, export
from envs.verdict.doctor.grammar import CLEAN as CLEAN_WORDS
from tests.deploy.asking import said
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
    return said(capsys, finished(tmp_path, spec()), client, "--text", note)


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
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"He is well. He takes no drugs.")))
    client = FakeClient(lambda _: [completion(CLEAN)])
    assert asked(tmp_path, "-", client, capsys)[0] == 0
    assert client.prompts[0].endswith("0 He is well.\n1 He takes no drugs.")


def test_bad_notes_are_refused_in_one_line(tmp_path: Path, note: Path, capsys: pytest.CaptureFixture[str]) -> None:
    empty = tmp_path / "empty.txt"
    empty.write_text(" \n")
    for path, client, line in (
        (str(tmp_path / "none.txt"), FakeClient(lambda _: []), "no such file; write a plain text file"),
        (str(empty), FakeClient(lambda _: []), "holds no sentence"),
        (str(note), FakeClient(too_long), f"the text {note} is too long: prompt of 2000 tokens"),
    ):
        (tmp_path / path.replace("/", "_")).mkdir()
        code, _, err = asked(tmp_path / path.replace("/", "_"), path, client, capsys)
        assert code == BAD_INPUT and line in err and err.count("\n") == 1


def test_an_engine_that_dies_is_reported(tmp_path: Path, note: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = asked(tmp_path, str(note), FakeClient(lambda _: [], dies_after=0), capsys)
    assert code == ask.FAILED and err == "ask: the engine died: cancelled\n"


def test_an_exported_model_is_asked_by_the_spec_in_it_or_by_one_that_is_named(
    tmp_path: Path, note: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "proof", lambda *_: 0.0)
    export.export(finished(tmp_path, spec()), tmp_path / "out", adapter=False)
    text = ("--text", str(note))
    code, out, err = said(capsys, tmp_path / "out", FakeClient(lambda _: [completion(CLEAN)]), *text)
    assert (code, err) == (0, "") and "no clinical error" in out
    (tmp_path / "out" / "medserl.yaml").unlink()
    code, _, err = said(capsys, tmp_path / "out", FakeClient(lambda _: []), *text)
    assert code == BAD_INPUT and "name the spec that it was trained with: --spec laptop" in err
    named = (*text, "--spec", "laptop")
    assert said(capsys, tmp_path / "out", FakeClient(lambda _: [completion(CLEAN)]), *named)[0] == 0
    code, _, err = said(capsys, tmp_path / "runs" / "mine", FakeClient(lambda _: []), *named)
    assert code == BAD_INPUT and "--spec is for an exported model" in err


def test_many_texts_are_asked_in_their_order_each_under_its_name(
    tmp_path: Path, note: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, lines = tmp_path / "notes", tmp_path / "notes.jsonl"
    folder.mkdir()
    for name in ("b", "a"):
        (folder / f"{name}.txt").write_text(f"He is {name}. He rests.")
    lines.write_text('{"id": "x", "text": "She is x. She rests."}\n{"text": "She is y. She rests."}\n')
    client = FakeClient(lambda _: [completion(CLEAN)])
    texts = [part for path in (note, folder, lines) for part in ("--text", str(path))]
    code, out, err = said(capsys, finished(tmp_path, spec()), client, *texts)
    heads = [line for line in out.splitlines() if line.endswith(", trained")]
    assert (code, err) == (0, "")
    assert heads == [f"{name}, trained" for name in (note, "a.txt", "b.txt", "x", "line 2")]
    assert [prompt.split()[-2:] for prompt in client.prompts[1:]] == [["He", "rests."]] * 2 + [["She", "rests."]] * 2


def test_the_base_model_is_asked_beside_the_trained_one_and_json_names_both(
    tmp_path: Path, note: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ("--text", str(note), "--base", "--json")
    replies = [CLEAN, flagged(2)]
    client = FakeClient(lambda _: [completion(replies.pop(0))])
    code, out, _ = said(capsys, finished(tmp_path, spec()), client, *flags)
    found = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and [(one["model"], one["truncated"]) for one in found] == [("trained", False), ("base", False)]
    assert found[0]["reply"] == CLEAN and "error of type diagnosis" in found[1]["shown"]
    assert {one["name"] for one in found} == {str(note)}


@pytest.mark.parametrize(
    ("content", "says"),
    [("{}\n", "line 1 has no text"), ("[\n", "line 1 is not JSON"), ("\n", "no line in it")],
)
def test_lines_without_texts_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, says: str
) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text(content)
    code, _, err = said(capsys, finished(tmp_path, spec()), FakeClient(lambda _: []), "--text", str(file))
    assert code == BAD_INPUT and says in err and err.count("\n") == 1
    (tmp_path / "empty").mkdir()
    flags = ("--text", str(tmp_path / "empty"))
    assert (
        "no .txt file in this folder" in said(capsys, tmp_path / "runs" / "mine", FakeClient(lambda _: []), *flags)[2]
    )
