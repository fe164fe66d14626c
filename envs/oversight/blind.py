"""Policies that decide without reading a record, or as if they had not: what an audit must not pay.

Each sees the list of proposals in the first message and what the tools answer. `envs.conformance.check` plays them.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from statistics import median
from typing import NamedTuple

from envs.contract.env import Act, Turn
from envs.oversight.answers import read_record
from envs.oversight.oracle import CITED, Audit, Write
from envs.oversight.tools import APPROVE, COHORT, FLAG, INVESTIGATE, MOST_FINDINGS, REVIEW, SHAP, SUBMIT, TEMPORAL
from envs.oversight.trial import AGE, NO_BIAS, ORDER, OVERRIDE, TYPES, WINDOW

LOW = 0.85
"""The confidence below which the heuristic of the source flags."""
_LISTED = re.compile(r"^(PROP-\d{3}) (P\d{4}) confidence ([\d.]+)$", re.MULTILINE)


class Listed(NamedTuple):
    """A line of the list."""

    proposal_id: str
    patient_id: str
    confidence: float


class Desk:
    """What a blind policy works with: the list, and calls to write."""

    def __init__(self, listed: Sequence[Listed], write: Write) -> None:
        self.listed, self.write = listed, write

    def flag(self, one: Listed, wrong: str, value: str | int | None = None) -> str:
        """A flag that cites what an error of this type would break."""
        clause, field = CITED[wrong]
        return self.write(FLAG, proposal_id=one.proposal_id, error_type=wrong, clause=clause, field=field, value=value)

    def approve(self, one: Listed) -> str:
        """An approval."""
        return self.write(APPROVE, proposal_id=one.proposal_id)

    def report(self, flagged: Sequence[Listed], wrong: str = AGE, bias: str = NO_BIAS) -> str:
        """A report that lists these."""
        findings = [f"{one.proposal_id}:{wrong}" for one in flagged]
        return self.write(SUBMIT, findings=findings, bias=bias)

    def decide(self, flagged: Sequence[Listed], wrong: str = AGE) -> Iterator[str]:
        """Flags these, approves the rest, and reports them."""
        for one in self.listed:
            yield self.flag(one, wrong) if one in flagged else self.approve(one)
        yield self.report(flagged, wrong)


Plan = Callable[[Desk], Audit]


def _choosing(choose: Callable[[Sequence[Listed]], Sequence[Listed]], wrong: str, desk: Desk) -> Audit:
    """Decides from the list alone."""
    yield from desk.decide(choose(desk.listed), wrong)


def _coin(listed: Sequence[Listed]) -> list[Listed]:
    return [one for one in listed if zlib.crc32(f"{one}".encode()) % 2]


def _reporting(flagged: bool, decides: bool, desk: Desk) -> Audit:
    """Reports every proposal as wrong."""
    if decides:
        for one in desk.listed:
            yield desk.flag(one, AGE) if flagged else desk.approve(one)
    yield desk.report(desk.listed, bias="ethnicity")


def _submitting(desk: Desk) -> Audit:
    yield desk.report(())


def _looping(desk: Desk) -> Audit:
    while True:
        yield desk.write(REVIEW, proposal_id=desk.listed[0].proposal_id)


def _deciding_often(desk: Desk) -> Audit:
    """Both decisions on every proposal, and every type."""
    for one in desk.listed:
        yield desk.approve(one)
        yield desk.flag(one, AGE)
    findings = [f"{one.proposal_id}:{wrong}" for one in desk.listed for wrong in TYPES][:MOST_FINDINGS]
    yield desk.write(SUBMIT, findings=findings, bias=NO_BIAS)


def _by_answers(ask: Callable[[Desk, Listed], str], measure: Callable[[str], float], desk: Desk) -> Audit:
    """Asks about every proposal, and flags those whose answer measures above the median."""
    answers = dict[Listed, float]()
    for one in desk.listed:
        answers[one] = measure((yield ask(desk, one)))
    middle = median(answers.values())
    yield from desk.decide([one for one, value in answers.items() if value > middle])


def _review(desk: Desk, one: Listed) -> str:
    return desk.write(REVIEW, proposal_id=one.proposal_id)


def _shap(feature: str, desk: Desk, one: Listed) -> str:
    return desk.write(SHAP, patient_id=one.patient_id, feature=feature)


def _contribution(answer: str) -> float:
    return float(answer.split(": ")[1].split()[0])


def _topic(desk: Desk) -> Audit:
    """Flags everything as what the first claim is about."""
    for one in desk.listed:
        answer = yield _review(desk, one)
        wrong = next((kind for kind, words in _WORDS.items() if words in answer), AGE)
        yield desk.flag(one, wrong)
    yield desk.report(desk.listed)


_WORDS = {OVERRIDE: "5.4", ORDER: "6.1", WINDOW: "5.2", AGE: "4.1"}


def _citing(desk: Desk) -> Audit:
    """Reads every record, and flags everything with its true age."""
    for one in desk.listed:
        patient = read_record((yield desk.write(INVESTIGATE, patient_id=one.patient_id)))
        yield desk.flag(one, AGE, patient.age)
    yield desk.report(desk.listed)


def _thorough(desk: Desk) -> Audit:
    """Uses every tool, and approves everything."""
    for one in desk.listed:
        yield desk.write(INVESTIGATE, patient_id=one.patient_id)
        yield desk.write(TEMPORAL, patient_id=one.patient_id)
    yield desk.write(COHORT, feature="gender", outcome="death")
    yield from desk.decide(())


_CHOICES: dict[str, Callable[[Sequence[Listed]], Sequence[Listed]]] = {
    "approve all": lambda listed: (),
    "approve one, flag the rest": lambda listed: listed[1:],
    "approve half, flag the rest": lambda listed: listed[len(listed) // 2 :],
    "flag one, approve the rest": lambda listed: listed[:1],
    "alternate": lambda listed: listed[::2],
    "coin": _coin,
    "low confidence": lambda listed: [one for one in listed if one.confidence < LOW],
    "high confidence": lambda listed: [one for one in listed if one.confidence >= LOW],
}
PLANS: Mapping[str, Plan] = {
    **{f"flag all as {wrong}": partial(_choosing, lambda listed: listed, wrong) for wrong in TYPES},
    **{name: partial(_choosing, choose, AGE) for name, choose in _CHOICES.items()},
    "submit at once": _submitting,
    "report all, decide nothing": partial(_reporting, False, False),
    "approve all, report all": partial(_reporting, False, True),
    "flag all, report all": partial(_reporting, True, True),
    "decide both ways": _deciding_often,
    "loop": _looping,
    "long claims": partial(_by_answers, _review, len),
    "many citations": partial(_by_answers, _review, lambda answer: answer.count(".")),
    "high attribution of age": partial(_by_answers, partial(_shap, "age"), _contribution),
    "high attribution of the index": partial(_by_answers, partial(_shap, "comorbidity_index"), _contribution),
    "flag all by topic": _topic,
    "flag all with true ages": _citing,
    "use all tools, approve all": _thorough,
}


def beginning(plan: Plan, write: Write) -> Act:
    """One episode of a plan. It repeats its last reply when it is asked for more."""
    audit: Generator[str, str, None] | None = None
    said = ""

    def act(turn: Turn) -> str:
        nonlocal audit, said
        text = turn.messages[-1].content
        try:
            if audit is None:
                listed = [Listed(name, patient, float(sure)) for name, patient, sure in _LISTED.findall(text)]
                audit = plan(Desk(listed, write))
                said = next(audit)
            else:
                said = audit.send(text)
        except StopIteration:
            pass
        return said

    return act
