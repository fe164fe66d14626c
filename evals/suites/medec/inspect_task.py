"""MEDEC as a task of Inspect (https://inspect.aisi.org.uk), the evaluation framework of the UK AI Security Institute.

    pip install inspect-ai       in an environment of its own: docs/doors.md
    PYTHONPATH=. inspect eval evals/suites/medec/inspect_task.py -T data=notes.csv --model hf/local -M model_path=FOLDER

The prompt, the reading of replies and the scores are those of `medserl eval --suite medec`: of each text, what it adds
to the official accuracies, so that their means are those of the official script. Standard errors are clustered by
vignette, since twins are alike.
"""

from __future__ import annotations

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, GenerateConfig
from inspect_ai.scorer import Score, Scorer, Target, mean, scorer, stderr
from inspect_ai.solver import TaskState, generate

from envs.verdict.data.medec import Note, load_notes
from envs.verdict.prompts import doctor_messages
from evals.arguments import DEFAULTS, MEDEC
from evals.suites.medec.chosen import chosen
from evals.suites.medec.protocol import PER_TEXT, gold_answer, per_text, submission_line
from evals.suites.medec.replies import Reply, judge

VALID = "valid"
CUT_OFF = frozenset({"max_tokens", "model_length"})
"""Inspect's stop reasons of a reply that has no natural end."""


@task  # type: ignore[untyped-decorator]  # Inspect has types where it is installed
def medec(data: str = "bundled", notes: int | None = None) -> Task:
    """Each text of a MEDEC file once; `notes`: only so many, drawn by vignette. Raises ValueError for a bad file."""
    default = DEFAULTS[MEDEC]
    return Task(
        dataset=MemoryDataset([_sample(note) for note in chosen(load_notes(data), notes)], name=f"medec ({data})"),
        solver=generate(),
        scorer=official(data),
        config=GenerateConfig(temperature=default["temperature"], max_tokens=default["max_tokens"]),
    )


def _sample(note: Note) -> Sample:
    messages = doctor_messages(note.sentences)
    assert all(message.role == "user" for message in messages)
    return Sample(
        id=note.note_id,
        input=[ChatMessageUser(content=message.content) for message in messages],
        target=submission_line(note.note_id, gold_answer(note)),
        metadata={"vignette": note.vignette, "error_type": note.error_type},
    )


@scorer(metrics={name: [mean(), stderr(cluster="vignette")] for name in (*PER_TEXT, VALID)})  # type: ignore[untyped-decorator]
def official(data: str) -> Scorer:
    """The official scores of a reply, and whether it was valid. An invalid one counts as "no error", as there."""
    notes = {note.note_id: note for note in load_notes(data)}

    async def score(state: TaskState, target: Target) -> Score:
        note = notes[str(state.sample_id)]
        reply = Reply(text=state.output.completion, truncated=state.output.stop_reason in CUT_OFF)
        judged = judge(note, [reply])
        (reason,) = judged.reasons
        return Score(
            value={**per_text(note, judged.answer), VALID: float(reason == "valid")},
            answer=submission_line(note.note_id, judged.answer),
            explanation=reason,
        )

    return score
