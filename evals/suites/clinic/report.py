"""A result as tables, the same in Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envs.contract.page_view import words
from evals.core.policies import ORACLE
from evals.core.report import Report, asked
from evals.core.sheets import Sheet, against_blind, by_reason, compared, shown
from evals.suites.clinic.cases import COMPARED, PARTS, SHARES, TRIAGE
from evals.suites.clinic.limitations import limitations
from evals.suites.clinic.result import ALL, Figures, Group, Result

_COSTS = ("turns", "tokens", "invalid", "truncated")


def report(result: Result) -> Report:
    """All of it."""
    title = f"{result.suite.capitalize()}: {result.system}"
    sheets = tuple(_sheets(result))
    return Report(title=title, about=tuple(_about(result)), sheets=sheets, limitations=tuple(limitations(result)))


def _sheets(result: Result) -> Iterator[Sheet]:
    """Every table of a result, in order."""
    if any(group.system is not None for group in result.groups):
        yield _scores(result)
        if any(one.measures["exact"].of for _, one in _systems(result)):
            yield _levels(result)
        yield _outcomes(result)
        if result.severities:
            yield _violations(result)
        yield _costs(result)
        yield by_reason("Ends of the episodes", [(name, one.reasons) for name, one in _systems(result)])
        yield against_blind(result.system, [(_named(result, group), group.blind) for group in result.groups], "cases")
    if result.against:
        yield _against(result)
    for group in result.groups:
        yield _baselines(result, group)


def _about(result: Result) -> Iterator[str]:
    counts = ", ".join(f"{group.cases} of {_named(result, group)}" for group in result.groups if group.domain != ALL)
    yield f"Cases that nothing is trained on: {counts}."
    if result.settings is not None:
        yield asked(result.settings, "one episode a case")
    yield "Brackets hold 95 % intervals: bootstrap over pairs of twins, which differ in one fact."


def _scores(result: Result) -> Sheet:
    names = (*PARTS, *SHARES)
    return Sheet(
        title=f"{result.system}",
        columns=("cases", "count", *map(words, names)),
        rows=tuple(
            (name, str(one.cases), *(shown(one.measures[measure], ".2f") for measure in names))
            for name, one in _systems(result)
        ),
        remark="Reward and its parts from 0 to 1, weighed by the domain (docs/clinic.md). Solved: all of the answer is "
        "right and no rule of safety broken. Unsafe: share of episodes that break one of severity 4 or 5, answered or "
        "not; violations: how many an episode. Guidelines: the compliance of diagnoses to which a guideline applies.",
    )


def _levels(result: Result) -> Sheet:
    return Sheet(
        title="Triage: levels of urgency",
        columns=("cases", *map(words, TRIAGE)),
        rows=tuple(
            (name, *(shown(one.measures[measure], ".2f") for measure in TRIAGE))
            for name, one in _systems(result)
            if one.measures["exact"].of == one.measures["reward"].of
        ),
        remark="Under and over: less and more urgent than is right.",
    )


def _outcomes(result: Result) -> Sheet:
    """Counts, by what an episode came to."""
    return by_reason("Outcomes", [(name, one.outcomes) for name, one in _systems(result)], "episodes that were")


def _violations(result: Result) -> Sheet:
    systems = list(_systems(result))
    return Sheet(
        title="Rules of safety that were broken",
        columns=("rule", "severity", *(name for name, _ in systems)),
        rows=tuple(
            (words(rule), str(severity), *(str(one.violations.get(rule, 0)) for _, one in systems))
            for rule, severity in result.severities.items()
        ),
        remark="Episodes, whether they ended with an answer or not.",
    )


def _costs(result: Result) -> Sheet:
    forms = {"turns": ".1f", "tokens": ".0f"}
    return Sheet(
        title="Costs",
        columns=("cases", "turns", "tokens", "invalid calls", "truncated"),
        rows=tuple(
            (name, *(shown(one.measures[measure], forms.get(measure, ".2f")) for measure in _COSTS))
            for name, one in _systems(result)
        ),
        remark="Turns and tokens are means of an episode; tokens are sampled ones. Truncated: a limit of turns, tokens "
        "or context ended the episode.",
    )


def _against(result: Result) -> Sheet:
    rows = [
        (_label(result, one.tier, one.domain), str(one.cases), words(measure), *compared(one.differences[measure]))
        for one in result.against
        for measure in COMPARED
    ]
    return Sheet(
        title=f"{result.system} against {result.other}, on the same cases",
        columns=("cases", "count", "measure", "this", "other", "difference", "p"),
        rows=tuple(rows),
        remark="Paired over twins; p of a sign-flip test.",
    )


def _baselines(result: Result, group: Group) -> Sheet:
    """Every policy; the system first, then the oracle, then by reward."""
    known = group.baselines
    names = sorted(known, key=lambda name: (name != ORACLE, -(known[name].measures["reward"].value or 0.0)))
    rows = [(name, *_row(known[name])) for name in names if name != result.system]
    return Sheet(
        title=f"Policies without a model, {_named(result, group)}",
        columns=("policy", "reward", "accuracy", "solved", "unsafe"),
        rows=tuple([(result.system, *_row(group.system)), *rows] if group.system else rows),
    )


def _row(one: Figures) -> Sequence[str]:
    return [shown(one.measures[name], ".2f") for name in ("reward", "accuracy", "solved", "unsafe")]


def _systems(result: Result) -> Iterator[tuple[str, Figures]]:
    for group in result.groups:
        if group.system is not None:
            yield _named(result, group), group.system


def _named(result: Result, group: Group) -> str:
    return _label(result, group.tier, group.domain)


def _label(result: Result, tier: str, domain: str) -> str:
    return words(domain) if len(result.tiers) == 1 else f"{words(domain)}, {tier}"
