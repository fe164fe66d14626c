from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import pytest
from msgspec.structs import replace

from common.command_line import BAD_INPUT
from common.records import Completion, LabelledTask, Rejection, Task
from common.sections import EnvSettings
from deploy import ask
from envs.contract.env import Complete, Slot
from envs.contract.spec import read
from envs.lookup.environment import Lookup
from envs.lookup.report import LookupReport
from envs.lookup.spec import LookupSettings
from envs.oversight.files import read_trial
from tests.deploy.asking import said
from tests.deploy.report.turns_pages import TASKS
from tests.deploy.test_export import finished, spec
from tests.envs.oversight.strategies import game
from tests.evals.clients import CLEAN, ActingClient, FakeClient, completion


def test_an_episode_as_json_has_actions_end_and_reward(lookup: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, lookup, player(), "--json")
    (found,) = map(json.loads, out.splitlines())
    assert code == 0 and (found["ended"], found["reward"], found["solved"]) == ("submitted", 1.0, True)
    assert len(found["actions"]) == 2 and found["name"] == "lookup-0-heldout-0"


@pytest.fixture
def lookup(tmp_path: Path) -> Path:
    return finished(tmp_path, spec(envs=(LookupSettings(),)))


def player(*prefix: str, text: str = "", looks_at: str = "") -> FakeClient:
    """Says `prefix`, then looks at the record that is asked for, or another one, and answers with what it is shown."""
    left = list(prefix)

    def reply(prompt: str) -> list[Completion]:
        if left:
            return [completion(left.pop(0))]
        wanted = re.search(r'Look up id="(.)"', prompt)
        if wanted:
            return [completion(f'{text}\nlook(id="{looks_at or wanted[1]}")')]
        return [completion(f"answer({prompt})")]

    return FakeClient(reply)


def test_a_whole_episode_is_played_and_shown_turn_by_turn_with_its_score(
    lookup: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, lookup, player(text="Let me see."))
    assert (code, err) == (0, "")
    head, *lines = out.splitlines()
    assert head == "Task lookup-0-heldout-0 of the game lookup, held-out task 1"
    turns = [line for line in lines if line.startswith(("user", "Turn", "tool"))]
    assert [line.split()[0] for line in turns] == ["user", "Turn", "tool", "Turn"]
    assert turns[1] == "Turn 1    Let me see." and re.fullmatch(r"tool      value=\d", turns[2])
    assert any(line.startswith("          look(id=") for line in lines), "the call is below the text before it"
    assert "Ended     submitted: 2 turns, 2 calls, 4 tokens sampled" in lines
    assert "Score     +1.00  solved: right (outcome +1.00)" in lines and lines[-1].startswith('Label     {"value": ')


def test_another_task_is_another_episode_and_the_same_number_the_same(
    lookup: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, third, again = (
        said(capsys, lookup, player(), *flags)[1] for flags in ((), ("--task", "3"), ("--task", "3"))
    )
    assert "lookup-0-heldout-2 of the game lookup, held-out task 3" in third and first != third == again


def test_a_reply_without_a_readable_call_is_marked_and_a_wrong_answer_is_not_solved(
    lookup: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = said(capsys, lookup, player("I would look at it.", "answer(value=0)", "answer(value=0)"))
    assert "Turn 1    I would look at it.\n          (no readable call)\n" in out
    assert "2 turns, 1 call, " in out and "not solved" in out


def test_a_game_that_holds_no_task_back_plays_one_that_it_trains_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend("examples/guess")
    run = finished(tmp_path, spec(envs=read([{"class": "guess:Guess"}])))
    code, out, err = said(capsys, run, FakeClient(lambda prompt: [completion("8")]))
    assert (code, err) == (0, "") and "of the game guess, training task 1" in out
    assert out.count("not a number") == 2 and "Ended     max turns: 3 turns, 6 tokens sampled" in out


def test_long_texts_are_cut_with_what_is_left_out_unless_all_is_asked_for(
    lookup: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "\n".join(f"thought {number}" for number in range(40))
    _, out, _ = said(capsys, lookup, player(text=long))
    assert "thought 11" in out and "thought 12" not in out and "... 29 more lines" in out and "--full" in out
    _, out, _ = said(capsys, lookup, player(text=long), "--full")
    assert "thought 39" in out and "more lines" not in out


def test_what_a_model_writes_cannot_command_the_terminal(lookup: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = said(capsys, lookup, player(text="\x1b[2Jgone\x07"))
    assert "\x1b" not in out and r"\x1b[2Jgone\x07" in out


class Trials(LookupReport):
    """Takes a task from a file."""

    def task_of(self, text: str, settings: EnvSettings) -> Task | LabelledTask:
        task = TASKS[0].task
        return replace(task, task_id="mine", context=json.loads(text))


def test_a_game_may_take_a_task_from_a_file_and_without_a_label_there_is_no_score(
    lookup: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lookup, "report", Trials())
    file = lookup / "trial.json"
    file.write_text('{"wanted": "b", "records": {"a": 1, "b": 6, "c": 2, "d": 3}}')
    code, out, _ = said(capsys, lookup, player(), "--task-file", str(file))
    assert code == 0 and f"Task mine of the game lookup, {file}" in out
    assert "tool      value=6" in out and "Score" not in out and "Label" not in out


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (("--text", "FILE"), "the game takes no text of yours, only tasks: give --task N"),
        (("--task-file", "FILE"), "the game lookup takes no task from a file: give --task N"),
        (("--task-file", "nowhere.json"), "--task-file nowhere.json: no such file"),
        (("--env", "verdict"), "--env verdict: the run plays lookup"),
    ],
)
def test_what_the_game_does_not_take_is_refused_in_one_line(
    lookup: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, str], line: str
) -> None:
    given = [str(lookup / "spec.yaml") if flag == "FILE" else flag for flag in flags]
    code, out, err = said(capsys, lookup, player(), *given)
    assert code == BAD_INPUT and not out and line in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "line"),
    [
        (("--task", "0"), "'0': write a whole number from 1"),
        (("--task", "1", "--text", "x"), "--text: not allowed with argument --task"),
    ],
)
def test_flags_that_cannot_be_meant_are_refused(
    lookup: Path, capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], line: str
) -> None:
    with pytest.raises(SystemExit, match=str(BAD_INPUT)):
        ask.main([str(lookup), *flags], player())
    assert line in capsys.readouterr().err


def test_a_task_beyond_the_last_one_is_refused_with_how_many_there_are(
    lookup: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Lookup, "propose", refuses)
    code, _, err = said(capsys, lookup, player())
    assert code == BAD_INPUT and err == "ask: the game lookup makes no held-out task without a model\n"


async def refuses(self: Lookup, slot: Slot, rng: Random, complete: Complete, verify: object = None) -> Rejection:
    return Rejection(source=slot.source, reason="none")


def test_an_engine_that_dies_in_a_later_turn_and_a_game_that_fails_are_reported(
    lookup: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dying = FakeClient(lambda prompt: [completion('look(id="a")')], dies_after=1)
    assert said(capsys, lookup, dying) == (ask.FAILED, "", "ask: the engine died: cancelled\n")
    monkeypatch.setattr(Lookup, "use", broken)
    code, _, err = said(capsys, lookup, player())
    assert code == ask.FAILED and "broken game" in err and err.startswith("ask: advance: KeyError")


def broken(self: Lookup, own: object, call: object) -> tuple[object, str]:
    raise KeyError("broken game")


def test_a_game_of_one_turn_plays_its_own_tasks_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    client = FakeClient(lambda prompt: [completion(CLEAN)])
    code, out, err = said(capsys, finished(tmp_path, spec()), client, "--task", "2")
    assert (code, err) == (0, "") and "of the game verdict, held-out task 2" in out
    assert "submitted: 1 turn, 2 tokens sampled" in out and "Score " in out


TRIAL = {
    "protocol": {"age_low": 40, "age_high": 80, "window": 21, "extension": 7},
    "patients": [
        {"patient_id": f"P000{at}", "stage": "II", "enrollment_date": "2024-01-08", **fields}
        for at, fields in enumerate(
            ({"age": 84, "treatment_start": "2024-01-20"}, {"age": 61, "treatment_start": "2024-01-29"}), 1
        )
    ],
    "proposals": [{"subject": "P0001", "claims": "The age fits.", "cites": ["4.1"]}, {"subject": "P0002"}],
}


@pytest.fixture
def audits(tmp_path: Path) -> Path:
    return finished(tmp_path, spec(envs=(game("easy").settings,)))


def test_a_trial_in_a_file_is_audited_and_its_calls_findings_and_score_are_shown(
    audits: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = audits / "trial.json"
    file.write_text(json.dumps(TRIAL))
    labelled = read_trial(json.dumps(TRIAL))
    client = ActingClient(lambda prompt: game("easy").oracle(labelled, Random(0)))
    code, out, err = said(capsys, audits, client, "--task-file", str(file), "--full")
    assert (code, err) == (0, "") and f"of the game oversight, {file}" in out
    for line in (
        "PROP-001 P0001 confidence 0.9",
        'Turn 1    review_proposal(proposal_id="PROP-001")',
        'tool      P0001: "The age fits." Cites 4.1.',
        'Turn 2    investigate_patient(patient_id="P0001")',
        'Turn 3    flag_error(proposal_id="PROP-001", error_type="invalid_age", clause="4.1", field="age", value=84)',
        "tool      Recorded, 1 of 2.",
        'Turn 7    submit_audit_report(findings=["PROP-001:invalid_age"], bias="none")',
        "Ended     submitted: 7 turns, 7 calls, 14 tokens sampled",
        "Score     +1.00  solved: perfect (decide +0.80, evidence +0.10, report +0.10, ",
    ):
        assert line in out, line


def test_a_trial_that_cannot_be_read_is_refused_in_one_line(audits: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = audits / "trial.json"
    for content, line in (("{", "the trial cannot be read"), (json.dumps({**TRIAL, "proposals": []}), "no proposals")):
        file.write_text(content)
        code, out, err = said(capsys, audits, player(), "--task-file", str(file))
        assert (code, out) == (BAD_INPUT, "") and line in err and err.startswith("ask: ") and err.count("\n") == 1
