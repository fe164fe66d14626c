"""The part of the page of `bench.scribe` that a medical reader judges: injected errors and rewordings, drawn at random,
source and edit side by side, and why the checker holds the error for one."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from html import escape

from common.markup import marked
from common.records import LabelledTask, Record
from envs.verdict.checker import Checker
from envs.verdict.data.medec import Note
from envs.verdict.environment import edits_of
from envs.verdict.scribe.edits import Edit, apply

INJECTIONS, REWORDINGS = 200, 100


class Case(Record):
    """What a reader judges: the sentence before and after, whatever stands around it, and the claim."""

    title: str
    before: str
    after: str
    context: str
    claim: str


def injections(tasks: Sequence[LabelledTask], checker: Checker, sources: Mapping[str, Note], seed: int) -> list[Case]:
    """Up to 200 injected errors, drawn at random, so over the tiers as they come."""
    found = [task for task in tasks if task.task.provenance.kind == "synthetic_injection"]
    drawn = random.Random(f"{seed}:injections").sample(found, min(INJECTIONS, len(found)))
    return [_injection(task, checker, sources[task.task.provenance.source]) for task in drawn]


def rewordings(tasks: Sequence[LabelledTask], sources: Mapping[str, Note], seed: int) -> list[Case]:
    """Up to 100 reworded sentences of augmented tasks, one of a task, drawn at random."""
    found = list[Case]()
    rng = random.Random(f"{seed}:rewordings")
    for task in rng.sample(list(tasks), len(tasks)):
        changed = {edit.sentence for edit in edits_of(task.label) if edit.operator.startswith(("reword:", "retell:"))}
        if task.task.provenance.kind.startswith("augmented") and changed and len(found) < REWORDINGS:
            case = _rewording(task, rng.choice(sorted(changed)), sources[task.task.provenance.source])
            found += [case] if case.before != case.after else []  # noise may put a stock phrase back
    return found


def _injection(task: LabelledTask, checker: Checker, source: Note) -> Case:
    edit = next(one for one in edits_of(task.label) if one.operator.startswith("inject:"))
    before = source.sentences[edit.sentence]
    return Case(
        title=f"{task.task.provenance.tier}, {task.label.truth['error_type']}, {source.note_id}",
        before=before,
        after=apply(source.sentences, edit)[edit.sentence],
        context=_others(source, edit.sentence),
        claim=checker.proof(task),
    )


def _rewording(task: LabelledTask, number: int, source: Note) -> Case:
    edits = [edit for edit in edits_of(task.label) if edit.sentence == number]
    return Case(
        title=f"{task.task.provenance.kind.replace('_', ' ')}, {source.note_id}",
        before=source.sentences[number],
        after=_after(source, edits, number),
        context=_others(source, number),
        claim=", ".join(edit.operator for edit in edits),
    )


def _after(source: Note, edits: Sequence[Edit], number: int) -> str:
    told = source.sentences
    for edit in edits:
        told = apply(told, edit)
    return told[number]


def _others(source: Note, number: int) -> str:
    return " ".join(said for at, said in enumerate(source.sentences) if at != number)


def section(name: str, cases: Sequence[Case]) -> str:
    """The cases as one table with a place for the reader's judgement."""
    rows = "".join(
        f"<tr><th scope='row'>{at}</th><td>{escape(case.title)}</td><td>{marked(case.before, case.after)}"
        f"<details><summary>the note</summary>{escape(case.context)}</details></td><td>{escape(case.claim)}</td></tr>\n"
        for at, case in enumerate(cases, 1)
    )
    head = "".join(f"<th scope='col'>{title}</th>" for title in ("", "what", "source and edit", "why"))
    return f"<h2>{escape(name)} ({len(cases)})</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>\n"
