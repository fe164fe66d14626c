"""MEDEC in the real Inspect, where it is installed (docs/doors.md): its own evaluation, a model that is a function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from envs.verdict.data.medec import Note, load_notes
from envs.verdict.prompts import doctor_messages
from evals.suites.medec.chosen import chosen
from evals.suites.medec.protocol import Answer, Submission, gold_answer, official
from evals.suites.medec.replies import Reply, judge
from tests.evals.clients import CLEAN, flagged

inspect_ai = pytest.importorskip("inspect_ai", reason="Inspect is in an environment of its own: docs/doors.md")

NOTES = 20


def scores_of(folder: Path, reply: Callable[[Note], str], stopped: str = "stop") -> dict[str, dict[str, Any]]:
    """The metrics of an evaluation in which the model's reply to a note is that of the function."""
    from inspect_ai.model import ModelOutput, ModelUsage, get_model

    from evals.suites.medec.inspect_task import medec

    by_prompt = {doctor_messages(note.sentences)[0].content: note for note in load_notes("bundled")}

    def answered(messages: Any, *_: Any) -> Any:
        note = by_prompt[messages[-1].text]
        made = ModelOutput.from_content("mockllm/model", reply(note), stop_reason=stopped)
        made.usage = ModelUsage(input_tokens=1, output_tokens=1, total_tokens=2)  # else Inspect fetches a tokenizer
        return made

    (log,) = inspect_ai.eval(
        medec(notes=NOTES),
        model=get_model("mockllm/model", custom_outputs=answered, memoize=False),
        log_dir=str(folder),
        display="none",
    )
    assert log.status == "success", log.error
    return {score.name: {name: one.value for name, one in score.metrics.items()} for score in log.results.scores}


def right(note: Note) -> str:
    gold = gold_answer(note)
    return CLEAN if gold.flag == "0" else flagged(int(gold.sentence), gold.correction, str(note.error_type))


def test_right_replies_score_one_everywhere(tmp_path: Path) -> None:
    scores = scores_of(tmp_path, right)
    assert {name: round(one["mean"], 6) for name, one in scores.items()} == dict.fromkeys(
        ("flag_accuracy", "sentence_accuracy", "rouge1_composite", "valid"), 1.0
    )


def test_the_means_are_those_of_the_official_script(tmp_path: Path) -> None:
    notes = chosen(load_notes("bundled"), NOTES)
    replies = {note.note_id: CLEAN if at % 3 else flagged(1, "She has pneumonia.") for at, note in enumerate(notes)}
    scores = scores_of(tmp_path, lambda note: replies[note.note_id])
    answers: dict[str, Answer] = {
        note.note_id: judge(note, [Reply(text=replies[note.note_id], truncated=False)]).answer for note in notes
    }
    expected = official(notes, Submission(answers=answers))
    assert scores["flag_accuracy"]["mean"] == pytest.approx(expected.flag_accuracy)
    assert scores["sentence_accuracy"]["mean"] == pytest.approx(expected.sentence_accuracy)
    assert scores["rouge1_composite"]["mean"] == pytest.approx(expected.corrections.rouge1.composite)
    assert scores["flag_accuracy"]["stderr"] >= 0


def test_a_reply_that_was_cut_off_is_not_valid_and_counts_as_no_error(tmp_path: Path) -> None:
    scores = scores_of(tmp_path, right, stopped="max_tokens")
    notes = chosen(load_notes("bundled"), NOTES)
    assert scores["valid"]["mean"] == 0
    assert scores["flag_accuracy"]["mean"] == pytest.approx(sum(not note.is_error for note in notes) / NOTES)
