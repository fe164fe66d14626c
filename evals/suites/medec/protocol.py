"""The official MEDIQA-CORR 2024 protocol: submission lines and scores, as the organisers' script counts them.

A line is `<text id> <flag> <sentence id, -1 for none> <corrected sentence, NA for none>`. Flags and sentence ids are
compared as text, so the gold side is built from whole numbers: a file whose padding rows turned them into floats would
otherwise score a gold submission 0. Protocol: Ben Abacha et al., "Overview of the MEDIQA-CORR 2024 Shared Task".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from common.files import read_text
from common.records import Record
from envs.verdict.data.medec import Note
from envs.verdict.statistics import Case
from evals.suites.medec.corrections import Corrections, Scorer, correction_scores, rouge1

NA = "NA"
_LINE = re.compile(r"[a-z0-9\-]+\s[0-9]+\s-?[0-9]+\s.+")
_TEXT_ID = re.compile(r"[a-z0-9\-]+")


class Answer(Record):
    """A submission's answer for one text, as strings."""

    flag: str
    sentence: str
    correction: str


PER_TEXT = ("flag_accuracy", "sentence_accuracy", "rouge1_composite")
CLEAN_ANSWER = Answer(flag="0", sentence="-1", correction=NA)


class Submission(Record):
    """A submission as the protocol reads it: of a text with several lines the last counts, a malformed line none."""

    answers: dict[str, Answer]
    malformed: tuple[int, ...] = ()  # numbers of the lines, from 1
    duplicates: tuple[str, ...] = ()  # text ids on more than one line


class Protocol(Record):
    """The official accuracies, and how the submission's lines met the texts.

    `missing`: texts without a line, which count as wrong everywhere; `unknown`: ids that are no text, ignored.
    """

    texts: int
    flag_accuracy: float
    sentence_accuracy: float
    missing: int
    malformed: int
    duplicates: int
    unknown: int
    corrections: Corrections


def parse_submission(text: str) -> Submission:
    """Read submission lines; blank ones are skipped."""
    answers: dict[str, Answer] = {}
    malformed, duplicates = list[int](), set[str]()
    for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
        if not line.strip():
            continue
        if not _LINE.fullmatch(line.strip()):
            malformed.append(number)
            continue
        text_id, flag, sentence, *words = line.split()
        if text_id in answers:
            duplicates.add(text_id)
        correction = NA if flag == "0" else _unquoted(" ".join(words))
        answers[text_id] = Answer(flag=flag, sentence=sentence, correction=correction)
    return Submission(answers=answers, malformed=tuple(malformed), duplicates=tuple(sorted(duplicates)))


def load_submission(path: Path) -> Submission:
    """Read a submission file. Raises ValueError, one line, when it cannot be read or holds no valid line."""
    submission = parse_submission(read_text(path, "write the path of a submission"))
    if not submission.answers:
        raise ValueError(
            f"{path}: no valid line in it; write '<text id> <flag> <sentence id or -1> <correction or NA>'"
        )
    return submission


def restricted(submission: Submission, note_ids: Collection[str]) -> Submission:
    """The answers to some texts. The counts of lines stay those of the whole file."""
    return Submission(answers={name: answer for name, answer in submission.answers.items() if name in note_ids})


def submission_line(note_id: str, answer: Answer) -> str:
    """The line that `parse_submission` reads back, the correction on one line within quotes."""
    correction = answer.correction if answer.correction == NA else f'"{" ".join(answer.correction.split())}"'
    return f"{note_id} {answer.flag} {answer.sentence} {correction}"


def submission_text(answers: Mapping[str, Answer]) -> str:
    """A submission file. Raises ValueError for an id that the protocol would refuse."""
    for note_id in answers:
        check_id(note_id)
    return "".join(submission_line(note_id, answer) + "\n" for note_id, answer in answers.items())


def check_id(note_id: str) -> None:
    """Raises ValueError for a text id that the official script cannot read."""
    if not _TEXT_ID.fullmatch(note_id):
        raise ValueError(
            f"note {note_id!r}: the official scorer skips lines of such an id; write lower-case letters, digits and -"
        )


def gold_answer(note: Note) -> Answer:
    """The right answer, from the raw text."""
    if note.error_sentence is None:
        return CLEAN_ANSWER
    correction = note.raw_corrected_sentence or note.corrected_sentence
    assert correction is not None
    return Answer(flag="1", sentence=str(note.error_sentence), correction=correction)


def official(notes: Sequence[Note], submission: Submission, scorers: Mapping[str, Scorer] | None = None) -> Protocol:
    """Score a submission against the notes; `scorers` as in `evals.suites.medec.corrections`."""
    gold = {note.note_id: gold_answer(note) for note in notes}
    given = submission.answers
    flags = sum(note_id in given and given[note_id].flag == answer.flag for note_id, answer in gold.items())
    sentences = sum(note_id in given and given[note_id].sentence == answer.sentence for note_id, answer in gold.items())
    both = [(answer.correction, given[note_id].correction) for note_id, answer in gold.items() if note_id in given]
    return Protocol(
        texts=len(gold),
        flag_accuracy=flags / len(gold),
        sentence_accuracy=sentences / len(gold),
        missing=len(gold.keys() - given.keys()),
        malformed=len(submission.malformed),
        duplicates=len(submission.duplicates),
        unknown=len(given.keys() - gold.keys()),
        corrections=correction_scores(
            [pair for pair in both if NA not in pair],
            agreed_na=sum(pair == (NA, NA) for pair in both),
            texts=len(gold),
            scorers=scorers or {},
        ),
    )


def per_text(note: Note, answer: Answer) -> dict[str, float]:
    """What a text that was answered adds to the scores of `official`: their means over all texts."""
    gold = gold_answer(note)
    corrected = [one.correction for one in (gold, answer) if one.correction != NA]
    both = rouge1(*corrected) if len(corrected) == 2 else float(not corrected)
    scores = float(answer.flag == gold.flag), float(answer.sentence == gold.sentence), both
    return dict(zip(PER_TEXT, scores, strict=True))


def cases(notes: Iterable[Note], submission: Submission, types: Mapping[str, str] | None = None) -> list[Case]:
    """The notes as judged by a submission; a missing one is wrong. `types`: error types named, by note id."""
    judged = []
    for note in notes:
        gold, given = gold_answer(note), submission.answers.get(note.note_id)
        judged.append(
            Case(
                note_id=note.note_id,
                vignette=note.vignette,
                is_error=note.is_error,
                flagged=given is not None and given.flag == "1",
                right=given is not None and given.flag == gold.flag,
                sentence_right=given is not None and given.sentence == gold.sentence,
                error_type=note.error_type,
                named_type=(types or {}).get(note.note_id),
            )
        )
    return judged


def _unquoted(correction: str) -> str:
    """Without the quotes around it; as in the official script, at least one character is kept."""
    while correction.startswith('"') and len(correction) > 1:
        correction = correction[1:]
    while correction.endswith('"') and len(correction) > 1:
        correction = correction[:-1]
    return correction
