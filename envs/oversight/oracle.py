"""A perfect auditor that sees what any policy sees: the protocol and the tools' answers. It never sees the truth."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator

from envs.contract.env import Act, Turn
from envs.oversight.answers import Read, read_record
from envs.oversight.rules import Violation, allowed_days, days_between, violations
from envs.oversight.tools import APPROVE, COHORT, FLAG, INVESTIGATE, REVIEW, SUBMIT
from envs.oversight.trial import AGE, NO_BIAS, ORDER, OVERRIDE, TIERS, WINDOW, Equity, Trial

Write = Callable[..., str]
"""`write(tool, **arguments)`: a reply that makes this call."""
Audit = Generator[str, str, None]
"""Yields replies and is sent what they are answered."""
CITED = {AGE: ("4.1", "age"), ORDER: ("6.1", "death_date"), WINDOW: ("5.2", "treatment_start")}
CITED[OVERRIDE] = ("5.4", "comorbidity_index")
"""The clause and the field that a flag of this type cites where nothing was judged."""
_GROUP = re.compile(r"([A-Za-z]+) (\d+)/")
_GAP = re.compile(r"difference ([+-][\d.]+) points")


def acting(audit: Audit) -> Act:
    """The policy that an audit is."""
    begun = False

    def act(turn: Turn) -> str:
        nonlocal begun
        answer = turn.messages[-1].content if begun else None
        begun = True
        return audit.send(answer)  # type: ignore[arg-type]  # None starts a generator

    return act


def perfect(trial: Trial, write: Write, reasons: bool = False) -> Audit:
    """Review, read, decide, proposal by proposal; compare the arms where the protocol limits them; report.

    With `reasons` each decision is written below what it rests on.
    """
    findings = []
    for proposal in trial.proposals:
        yield write(REVIEW, proposal_id=proposal.proposal_id)
        record = read_record((yield write(INVESTIGATE, patient_id=proposal.subject)))
        found = violations(trial.protocol, record)
        because = f"{compared(trial, record)}\n" if reasons else ""
        if found:
            findings.append(f"{proposal.proposal_id}:{found[0].wrong}")
            yield because + flag(write, proposal.proposal_id, found[0])
        else:
            yield because + write(APPROVE, proposal_id=proposal.proposal_id)
    bias = NO_BIAS
    if trial.protocol.equity is not None:
        bias = yield from _bias(trial.protocol.equity, write)
    yield write(SUBMIT, findings=findings, bias=bias)


def compared(trial: Trial, record: Read) -> str:
    """What the rules for the trial's types of error compare, as one line: `age 81, 40 to 80`. It judges nothing."""
    rules, types = trial.protocol, TIERS[trial.tier].types
    age = "missing" if record.age is None else record.age
    delay = days_between(record.enrollment_date, record.treatment_start)
    facts = {
        AGE: f"age {age}, {rules.age_low} to {rules.oldest}",
        ORDER: f"start {record.treatment_start}, death {record.death_date or 'none'}",
        WINDOW: f"{delay} days, {allowed_days(rules, record)} allowed",
    }
    return "; ".join(fact for wrong, fact in facts.items() if wrong in types)


def flag(write: Write, proposal_id: str, violation: Violation) -> str:
    """A flag that cites the violation."""
    field, value = next(iter(violation.evidence.items()))
    return write(
        FLAG,
        proposal_id=proposal_id,
        error_type=violation.wrong,
        clause=violation.clauses[0],
        field=field,
        value=value,
    )


def _bias(limits: Equity, write: Write) -> Generator[str, str, str]:
    ethnicity = yield write(COHORT, feature="ethnicity", outcome="death")
    gender = yield write(COHORT, feature="gender", outcome="death")
    site = yield write(COHORT, feature="site", outcome="death")
    gap = _GAP.search(site)
    assert gap is not None
    if max(_shares(ethnicity, "control").values()) > limits.group_share:
        return "ethnicity"
    if max(_shares(gender, arm)["M"] for arm in ("treatment", "control")) > limits.male_share:
        return "gender"
    return "site" if abs(float(gap[1])) > limits.gap else NO_BIAS


def _shares(table: str, arm: str) -> dict[str, float]:
    """The share of each group in an arm, percent."""
    line = next(line for line in table.splitlines() if line.startswith(f"{arm}:"))
    counts = {name: int(count) for name, count in _GROUP.findall(line)}
    return {name: 100 * count / sum(counts.values()) for name, count in counts.items()}
