from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.records import Completion
from envs.verdict.data.medec import load_notes
from envs.verdict.prompts import doctor_messages
from evals.run import main
from evals.suites.medec.chosen import chosen
from evals.suites.medec.protocol import gold_answer, submission_text
from evals.suites.medec.result import load_result
from tests.evals.clients import CLEAN, FakeClient, completion, flagged

ROOT = Path(__file__).parents[2]
BUNDLED = load_notes("bundled")
FILES = {"submission.txt", "replies.jsonl", "result.json", "report.md", "report.png"}


def oracle() -> FakeClient:
    """Answers every bundled note right."""
    by_prompt = {doctor_messages(note.sentences)[0].content: note for note in BUNDLED}

    def reply(prompt: str) -> list[Completion]:
        note = by_prompt[prompt]
        if note.error_sentence is None:
            return [completion(CLEAN)]
        return [completion(flagged(note.error_sentence, note.corrected_sentence or "", note.error_type or ""))]

    return FakeClient(reply)


def silent() -> FakeClient:
    return FakeClient(lambda prompt: [completion(CLEAN)])


def run(tmp_path: Path, *flags: str, client: FakeClient) -> int:
    return main(["--model", "m", "--out", str(tmp_path / "out"), *flags], client)


def refusal(capsys: pytest.CaptureFixture[str], *flags: str, client: FakeClient | None = None, code: int = 2) -> str:
    with pytest.raises(SystemExit) as ended:
        main(flags, client or silent())
    assert ended.value.code == code
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("eval: ")
    return lines[0]


@pytest.mark.usefixtures("drawn")
def test_an_oracle_scores_one_and_every_file_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, client=oracle()) == 0
    out = tmp_path / "out"
    assert {path.name for path in out.iterdir()} == FILES
    result = load_result(out / "result.json")
    scores = result.parts[0].system
    assert scores is not None and len(result.cases) == len(BUNDLED)
    assert scores.protocol.flag_accuracy == scores.protocol.sentence_accuracy == 1.0
    assert scores.protocol.corrections.rouge1.mean == pytest.approx(1.0)
    assert scores.detection.pair_accuracy.value == scores.detection.named_macro.value == 1.0
    assert (out / "submission.txt").read_text() == submission_text({n.note_id: gold_answer(n) for n in BUNDLED})
    assert "report:" in capsys.readouterr().out
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("drawn")
def test_the_report_names_floors_absent_metrics_and_the_invalid_share(tmp_path: Path) -> None:
    run(tmp_path, client=FakeClient(lambda prompt: [completion("junk")]))
    report = (tmp_path / "out" / "report.md").read_text()
    for words in (
        "always clean",
        "always error, last sentence",
        "copy the error",
        "BERTScore: absent",
        "BLEURT: absent",
    ):
        assert words in report
    assert "## Limitations\n\n- No medical claim" in report and "![figures](report.png)" in report
    assert "Invalid share 1.000" in report and "| invalid_tags | " in report
    assert "| BERTScore |" not in report, "an absent metric has no column, least of all of zeros"


def test_a_crash_continues_where_it_stopped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = FakeClient(lambda prompt: [completion(CLEAN)], dies_after=5)
    flags = ("--model", "m", "--out", str(tmp_path / "out"), "--limit", "12")
    line = refusal(capsys, *flags, client=first, code=1)
    assert "the engine died" in line and "continues" in line
    second = silent()
    assert main(flags, second) == 0
    assert len(first.prompts) == 5 and len(second.prompts) == 7
    assert not set(first.prompts) & set(second.prompts)
    third = silent()
    assert main(flags, third) == 0 and third.prompts == []


def test_a_model_that_changed_in_place_does_not_mix_with_its_old_replies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, "--limit", "2", client=silent())
    other = silent()
    other.checksum = "1" * 64
    assert "checksum" in refusal(capsys, "--model", "m", "--out", str(tmp_path / "out"), "--limit", "2", client=other)


def test_a_submission_file_is_scored_without_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "submission.txt"
    file.write_text(submission_text({note.note_id: gold_answer(note) for note in BUNDLED[1:]}) + "broken\n")
    assert main(["--submission", str(file), "--out", str(tmp_path / "out")]) == 0
    scores = load_result(tmp_path / "out" / "result.json").parts[0].system
    assert scores is not None
    assert (scores.protocol.missing, scores.protocol.malformed) == (1, 1)
    assert scores.protocol.flag_accuracy == pytest.approx((len(BUNDLED) - 1) / len(BUNDLED))
    assert "Submission lines" in capsys.readouterr().out


def test_the_baselines_need_no_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--baselines"]) == 0
    printed = capsys.readouterr().out
    assert "always clean" in printed and "gold" in printed


def test_two_results_are_compared_by_mcnemar(tmp_path: Path) -> None:
    run(tmp_path, client=silent())
    main(["--model", "m", "--out", str(tmp_path / "b"), "--against", str(tmp_path / "out" / "result.json")], oracle())
    against = load_result(tmp_path / "b" / "result.json").against
    errors = sum(note.is_error for note in BUNDLED)
    assert against is not None
    assert (against.flag.only_this, against.flag.only_other) == (errors, 0)
    assert against.flag.p == pytest.approx(2 / 2**errors)
    assert "exact McNemar" in (tmp_path / "b" / "report.md").read_text()


def test_a_subset_is_scored_beside_all_notes(tmp_path: Path) -> None:
    wanted = [note for note in BUNDLED if note.is_error][:3]
    ids = tmp_path / "cleaned.txt"
    ids.write_text("# checked by hand\n" + "\n".join(note.note_id for note in wanted))
    run(tmp_path, "--subset", str(ids), client=silent())
    result = load_result(tmp_path / "out" / "result.json")
    assert [part.notes for part in result.parts] == [len(BUNDLED), 3]
    assert result.parts[1].system is not None and result.parts[1].system.protocol.flag_accuracy == 0.0
    assert result.parts[1].system.protocol.unknown == 0


def test_limit_takes_twins_together_and_grows_by_adding() -> None:
    few, more = chosen(BUNDLED, 8), chosen(BUNDLED, 20)
    assert few == more[:8] and len({note.vignette for note in few}) <= 5
    assert chosen(list(reversed(BUNDLED)), 8) == few and chosen(BUNDLED, None) == BUNDLED


def test_samples_are_asked_together(tmp_path: Path) -> None:
    client = FakeClient(lambda prompt: [completion(CLEAN), completion("junk"), completion(CLEAN)])
    run(tmp_path, "--samples", "3", "--temperature", "0.7", "--limit", "4", client=client)
    figures = load_result(tmp_path / "out" / "result.json").replies
    assert figures is not None and figures.reasons == {"invalid_tags": 4, "valid": 8}


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ((), "one of the arguments --model --submission --policy --baselines is required"),
        (("--model", "m", "--baselines"), "not allowed with"),
        (("--model", "m", "--samples", "2"), "--samples 2 at temperature 0"),
        (("--model", "m", "--temperature", "-1"), "--temperature -1"),
        (("--model", "m", "--temperature", "nan"), "--temperature nan"),
        (("--model", "m", "--limit", "0"), "--limit 0: write 1 or more"),
        (("--model", "m", "--max-tokens", "5000"), "--max-tokens 5000 leaves no room"),
        (("--model", "missing"), "no such model"),
        (("--model", "m", "--data", "none.csv"), "none.csv: no such file"),
        (("--model", "m", "--spec", "none.yaml"), "none.yaml: no such spec file"),
        (("--model", "m", "--against", "none.json"), "none.json: no such file"),
        (("--model", "m", "--subset", "none.txt"), "none.txt: no such file"),
        (("--submission", "none.txt"), "none.txt: no such file"),
        (("--baselines", "--against", "x"), "--against compares"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], told: str
) -> None:
    assert told in refusal(capsys, *flags, "--out", str(tmp_path / "out"))


@pytest.mark.parametrize(
    ("content", "told"),
    [("a: [", "not YAML"), ("- 1", "holds no settings"), ("stepz: 1", "stepz"), ("model: {context: 8}", "context")],
)
def test_a_bad_spec_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, told: str) -> None:
    (tmp_path / "s.yaml").write_text(content)
    line = refusal(capsys, "--model", "m", "--spec", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "out"))
    assert "s.yaml: " in line and told in line


def test_an_unknown_id_in_a_subset_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ids.txt").write_text(f"{BUNDLED[0].note_id}\nms-test-1\n")
    assert "ids.txt:2: 'ms-test-1'" in refusal(capsys, "--baselines", "--subset", str(tmp_path / "ids.txt"))


def test_a_result_on_other_notes_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path, "--limit", "2", client=silent())
    path = tmp_path / "out" / "result.json"
    content = json.loads(path.read_text())
    for case in content["cases"]:
        case["note_id"] = "else-" + case["note_id"]
    path.write_text(json.dumps(content))
    flags = ("--model", "m", "--out", str(tmp_path / "b"), "--limit", "2", "--against", str(path))
    assert "judged none of these notes" in refusal(capsys, *flags)


@pytest.mark.integration
@pytest.mark.timeout(420)
def test_the_tiny_model_is_asked_through_a_real_engine(tmp_path: Path) -> None:
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"model: {{cache: {tmp_path / 'cache'}}}\npools: [{{max_num_seqs: 4, kv_cache_gib: 0.25}}]\n")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "evals.run", "--model", "tiny", "--limit", "4", "--max-tokens", "24"]
    command += ["--spec", str(spec), "--out", str(out)]
    environment = {**os.environ, "RAY_AUTH_MODE": "disabled"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in out.iterdir()} == FILES
    result = load_result(out / "result.json")
    assert result.replies is not None and result.replies.replies == 4
    assert len((out / "submission.txt").read_text().splitlines()) == 4
    assert (out / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("out", ["file", "file/below"])
def test_results_that_cannot_be_written_are_one_line_with_a_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], out: str
) -> None:
    (tmp_path / "file").write_text("x")
    said = refusal(capsys, "--baselines", "--limit", "1", "--out", str(tmp_path / out))
    assert "Errno" not in said and said.endswith("remove it, or write another path")


@pytest.mark.parametrize("damage", [b"", b"\xff", b'{"torn": ', b"[" * 10_000])
def test_a_reply_that_is_damaged_is_named_and_asked_for_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: bytes
) -> None:
    assert run(tmp_path, "--limit", "4", client=silent()) == 0
    replies = tmp_path / "out" / "replies.jsonl"
    lines = replies.read_bytes().split(b"\n")
    replies.write_bytes(b"\n".join([lines[0], damage, *lines[2:]]))
    capsys.readouterr()
    again = silent()
    assert run(tmp_path, "--limit", "4", client=again) == 0
    assert len(again.prompts) == 1 and f"{replies}:2: left out, it is damaged" in capsys.readouterr().out
