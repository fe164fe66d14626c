"""What an audit earns.

For a test that each proposal passes or not (or in part), J = mean over the wrong ones + mean over the right ones - 1,
as Youden's index. Whoever decides without reading passes the tests of both kinds at rates that add up to 1 at most,
because what is decided does not depend on the label: no such policy has a mean of J above 0.

| term     | weight | a wrong proposal passes if                              | a right one if   |
|----------|--------|---------------------------------------------------------|------------------|
| decide   | .8     | it is flagged: .6, with its type: 1                     | it is approved   |
| evidence | .1     | so with its type, and clause, field and value prove it  | it isn't flagged |
| report   | .1     | the report lists it with its type, and names the bias   | it isn't listed  |

The report names a bias in trials whose protocol limits one. Undecided counts as failed. `efficiency`: every step beyond
a review, a record and a decision for each proposal, the comparisons of the arms and the report costs `step_cost`.
An episode without a report loses .05 more (`cut`). Perfect: 1; nothing done: -.85.

`audit`, for comparison, is the score of the source over the proposals that are shown, so that perfect is 1 there too:
.70 F(1.5) of the flags + .20 precision of the approvals + .10 share decided. Types and evidence do not count in it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from common.records import EndReason, Record, Reward
from envs.contract.calls import Call, Fault
from envs.oversight.potential import potentials
from envs.oversight.spec import RewardSpec
from envs.oversight.tools import APPROVE, FLAG, SUBMIT
from envs.oversight.trial import Finding, Truth

DECIDE, EVIDENCE, REPORT = 0.8, 0.1, 0.1
FLAGGED, TYPED = 0.6, 0.4
CUT = 0.05
BETA = 1.5
CHECKS = 3
"""Comparisons of the arms that naming a bias takes."""
STEPS = 3
"""Review, record, decision."""

Replies = Sequence[Call | Fault]


class Audit(Record):
    """What a policy did: its first decision on each proposal, the types it reported, the bias it named."""

    decided: dict[str, Call]
    listed: dict[str, str]
    bias: str
    steps: int
    faults: int
    submitted: bool

    def flag(self, proposal_id: str) -> dict[str, Any] | None:
        """The arguments of the flag on a proposal."""
        call = self.decided.get(proposal_id)
        return call.arguments if call is not None and call.name == FLAG else None

    def approved(self, proposal_id: str) -> bool:
        """Whether the decision was to approve."""
        call = self.decided.get(proposal_id)
        return call is not None and call.name == APPROVE


def audit_of(replies: Replies, truth: Truth, reason: EndReason) -> Audit:
    """What the calls of an episode come to. Of several decisions, and of several types reported, the first counts."""
    decided, listed, bias = dict[str, Call](), dict[str, str](), ""
    submitted = reason == EndReason.SUBMITTED
    for call in replies:
        if isinstance(call, Call) and call.name in (FLAG, APPROVE):
            decided.setdefault(call.arguments["proposal_id"], call)
    last = replies[-1]
    if submitted and isinstance(last, Call) and last.name == SUBMIT:
        bias = last.arguments["bias"]
        for finding in last.arguments["findings"]:
            proposal_id, _, wrong = finding.partition(":")
            listed.setdefault(proposal_id, wrong)
    return Audit(
        decided={name: call for name, call in decided.items() if name in truth.findings},
        listed=listed,
        bias=bias,
        steps=len(replies),
        faults=sum(isinstance(call, Fault) for call in replies),
        submitted=submitted,
    )


def allowed_steps(truth: Truth) -> int:
    """The steps of a thorough audit."""
    return STEPS * len(truth.findings) + (CHECKS if truth.graded_bias else 0) + 1


def reward_of(spec: RewardSpec, truth: Truth, replies: Replies, reason: EndReason) -> Reward:
    """The reward of an episode with these calls."""
    audit = audit_of(replies, truth, reason)
    decide, evidence, report = terms(truth, audit)
    skill = DECIDE * decide + EVIDENCE * evidence + REPORT * report
    earned = (
        {"decide": DECIDE * decide, "evidence": EVIDENCE * evidence, "report": REPORT * report}
        if spec.outcome == "skill"
        else {"audit": audit_score(truth, audit)}
    )
    components = {
        **earned,
        "efficiency": 0.0 - spec.step_cost * max(0, audit.steps - allowed_steps(truth)),
        "cut": 0.0 if audit.submitted else -CUT,
    }
    return Reward(
        components=components,
        total=sum(components.values()),
        reason=_case(decide, skill, reason),
        solved=audit.submitted and decide == 1.0,
        potentials=potentials(truth, replies) if spec.shaping == "potential" else (),
        figures={"skill": skill, "audit": audit_score(truth, audit), **_figures(truth, audit)},
    )


def _case(decide: float, skill: float, reason: EndReason) -> str:
    if reason != EndReason.SUBMITTED:
        return str(reason)
    if decide == 1.0:
        return "perfect" if skill == DECIDE + EVIDENCE + REPORT else "all_decided_right"
    return "above_chance" if skill > 0 else "no_skill"


def terms(truth: Truth, audit: Audit) -> tuple[float, float, float]:
    """J of the decisions, of the evidence, and of the report."""
    named = not truth.graded_bias or audit.bias == truth.bias
    return (
        _j(truth, lambda name, found: _decided(found, audit.flag(name)), audit.approved),
        _j(truth, lambda name, found: proves(found, audit.flag(name)), lambda name: audit.flag(name) is None),
        _j(
            truth,
            lambda name, found: named and audit.listed.get(name) == found.wrong,
            lambda name: name not in audit.listed,
        ),
    )


def _j(truth: Truth, wrong: Callable[[str, Finding], float], right: Callable[[str], bool]) -> float:
    passed = [
        (found.wrong, wrong(name, found) if found.wrong else right(name)) for name, found in truth.findings.items()
    ]
    caught = [share for is_wrong, share in passed if is_wrong]
    spared = [share for is_wrong, share in passed if not is_wrong]
    return _mean(caught) + _mean(spared) - 1


def _mean(shares: Iterable[float]) -> float:
    """1 of none: a trial of a person's may have no error, or nothing else."""
    listed = list(shares)
    return fmean(listed) if listed else 1.0


def _decided(found: Finding, flag: Mapping[str, Any] | None) -> float:
    if flag is None:
        return 0.0
    return FLAGGED + (TYPED if flag["error_type"] == found.wrong else 0)


def proves(found: Finding, flag: Mapping[str, Any] | None) -> bool:
    """Whether a flag says why: the type of the error, a clause that is broken, and a field's value that breaks it."""
    if flag is None or flag["error_type"] != found.wrong or flag["clause"] not in found.clauses:
        return False
    field = flag["field"]
    return field in found.evidence and _same(flag["value"], found.evidence[field])


def _same(said: object, recorded: str | int | None) -> bool:
    """A number may be written as text."""
    return said == recorded or (said is not None and str(said) == str(recorded))


def audit_score(truth: Truth, audit: Audit) -> float:
    """The score of the source, see the module. F is 0 without a right flag, and the precision without an approval,
    unless there was nothing to flag, or to approve."""
    flags = [found.wrong != "" for name, found in truth.findings.items() if audit.flag(name) is not None]
    approvals = [found.wrong == "" for name, found in truth.findings.items() if audit.approved(name)]
    errors = sum(found.wrong != "" for found in truth.findings.values())
    hits = sum(flags)
    # F = (1 + b^2) hits / ((1 + b^2) hits + b^2 missed + false alarms)
    below = (1 + BETA**2) * hits + BETA**2 * (errors - hits) + len(flags) - hits
    f_score = (1 + BETA**2) * hits / below if below else 1.0
    precision = sum(approvals) / len(approvals) if approvals else float(errors == len(truth.findings))
    return 0.7 * f_score + 0.2 * precision + 0.1 * len(audit.decided) / len(truth.findings)


def _figures(truth: Truth, audit: Audit) -> dict[str, float]:
    wrong = {name: found for name, found in truth.findings.items() if found.wrong}
    flags = {name: audit.flag(name) for name in truth.findings}
    said = [(call.arguments["confidence"], _is_right(truth, audit, name)) for name, call in _confident(audit).items()]
    return {
        "found": _mean(flags[name] is not None for name in wrong),
        "false_alarms": 1 - _mean(flags[name] is None for name in truth.findings if name not in wrong),
        "typed": _mean(_decided(found, flags[name]) == FLAGGED + TYPED for name, found in wrong.items()),
        "proved": _mean(proves(found, flags[name]) for name, found in wrong.items()),
        "decided": len(audit.decided) / len(truth.findings),
        "faults": float(audit.faults),
        **({"bias": float(audit.bias == truth.bias)} if truth.graded_bias else {}),
        **({"brier": fmean((sure - right) ** 2 for sure, right in said)} if said else {}),
    }


def _confident(audit: Audit) -> dict[str, Call]:
    return {name: call for name, call in audit.decided.items() if "confidence" in call.arguments}


def _is_right(truth: Truth, audit: Audit, name: str) -> bool:
    return (truth.findings[name].wrong != "") == (audit.flag(name) is not None)


def confusion(truth: Truth, audit: Audit) -> Counter[tuple[str, str]]:
    """(what is true, what was said) of each proposal: a type, or `none`; of undecided ones `undecided` was said."""
    return Counter((found.wrong or "none", _said(audit, name)) for name, found in truth.findings.items())


def _said(audit: Audit, name: str) -> str:
    flag = audit.flag(name)
    if flag is not None:
        return str(flag["error_type"])
    return "none" if audit.approved(name) else "undecided"
