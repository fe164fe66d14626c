"""A result as tables, the same in Markdown and on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envs.contract.page_view import words
from envs.oversight.trial import TYPES
from evals.core.policies import ORACLE
from evals.core.report import Report, asked
from evals.core.sheets import Sheet, against_blind, by_reason, compared, shown
from evals.suites.oversight.audits import RIGHT, UNDECIDED
from evals.suites.oversight.figures import COMPARED, Figures
from evals.suites.oversight.limitations import limitations
from evals.suites.oversight.result import Group, Result
from evals.suites.oversight.trials import HELDOUT, PARTS, SOURCE

_SHARES = ("found", "typed", "evidence", "false_alarms", "approved", "decided", "bias")
_COSTS = ("turns", "tokens", "invalid", "truncated")
_PUBLISHED = (
    "Published of the public system on its own trials of these seeds: base model .040, trained .153, policies that do "
    "not read .224 to .438. The trials here are others, and only figures of one table can be compared."
)
_ABOUT = {
    HELDOUT: "Skill: 1 perfect, at most 0 without reading. Audit: the score of the public system, for comparison.",
    SOURCE: _PUBLISHED,
}


def report(result: Result) -> Report:
    """All of it."""
    title = f"{result.suite.capitalize()}: {result.system}"
    sheets = tuple(_sheets(result))
    return Report(title=title, about=tuple(_about(result)), sheets=sheets, limitations=tuple(limitations(result)))


def _sheets(result: Result) -> Iterator[Sheet]:
    """Every table of a result, in order."""
    for part in PARTS:
        if result.group(part).system is not None:
            yield _scores(result, part)
    if result.group(HELDOUT).system is not None:
        yield _counts(result)
        yield _confusion(result)
        yield by_reason("Ends of the audits", [(tier, one.reasons) for tier, one in _systems(result, HELDOUT)])
        blind = [(group.tier, group.blind) for group in _groups(result, HELDOUT)]
        yield against_blind(result.system, blind, "tier")
    if result.against:
        yield _against(result)
    yield _baselines(result)


def _about(result: Result) -> Iterator[str]:
    counts = f"{result.group(HELDOUT).trials} held-out trials and {result.group(SOURCE).trials} of the source's seeds"
    yield f"{counts}; tiers {', '.join(result.tiers)}."
    if result.settings is not None:
        yield asked(result.settings, "one audit a trial")
    yield "Brackets hold 95 % intervals: bootstrap over trials. Shares are of the proposals of all trials."


def _scores(result: Result, part: str) -> Sheet:
    rows = [
        (
            tier,
            str(system.trials),
            shown(system.measures["skill"], "+.2f"),
            shown(system.measures["audit"], ".2f"),
            *(shown(system.measures[name], ".2f") for name in _SHARES),
        )
        for tier, system in _systems(result, part)
    ]
    columns = ("tier", "trials", "skill", "audit", *map(words, _SHARES))
    return Sheet(title=f"{result.system}, {_titled(part)}", columns=columns, rows=tuple(rows), remark=_ABOUT[part])


def _counts(result: Result) -> Sheet:
    rows = [
        (
            tier,
            *map(str, (s.errors, s.found, s.missed, s.proposals - s.errors, s.false_alarms, s.approvals, s.undecided)),
            *(shown(s.measures[name], ".1f" if name in ("turns", "tokens") else ".2f") for name in _COSTS),
        )
        for tier, s in _systems(result, HELDOUT)
    ]
    columns = ("tier", "errors", "found", "missed", "right", "false alarms", "approvals", "undecided")
    return Sheet(
        title=f"Counts, {_titled(HELDOUT)}",
        columns=(*columns, "turns", "tokens", "invalid calls", "truncated"),
        rows=tuple(rows),
        remark="Approvals are of right and wrong proposals. Turns and tokens are means of an audit; tokens are sampled "
        "ones. Truncated: a limit of turns, tokens or context ended the audit.",
    )


def _confusion(result: Result) -> Sheet:
    said = (*TYPES, RIGHT, UNDECIDED)
    system = result.group(HELDOUT).system
    assert system is not None
    return Sheet(
        title=f"Types, {_titled(HELDOUT)}",
        columns=("what is true", *(_called(name) for name in said)),
        rows=tuple(
            (words(true) if true != RIGHT else "right", *(str(row.get(name, 0)) for name in said))
            for true, row in system.confusion.items()
        ),
        remark="Proposals; columns are what the audit said.",
    )


def _against(result: Result) -> Sheet:
    rows = [
        (one.part, one.tier, str(one.trials), words(measure), *compared(one.differences[measure]))
        for one in result.against
        for measure in COMPARED
    ]
    return Sheet(
        title=f"{result.system} against {result.other}, on the same trials",
        columns=("trials", "tier", "count", "measure", "this", "other", "difference", "p"),
        rows=tuple(rows),
        remark="Paired over trials; p of a sign-flip test.",
    )


def _baselines(result: Result) -> Sheet:
    """Every policy, skill and audit; the system first, then the oracle, then by skill."""
    groups = [*_groups(result, HELDOUT), result.group(SOURCE)]
    known = result.group(HELDOUT).baselines
    names = sorted(known, key=lambda name: (name != ORACLE, -_mean(known[name])))
    rows = [(name, *(_pair(group.baselines[name]) for group in groups)) for name in names if name != result.system]
    systems = [_pair(group.system) for group in groups if group.system is not None]
    return Sheet(
        title="Policies without a model: skill (audit)",
        columns=("policy", *(group.tier for group in groups[:-1]), "source's seeds"),
        rows=tuple([(result.system, *systems), *rows] if systems else rows),
    )


def _systems(result: Result, part: str) -> Iterator[tuple[str, Figures]]:
    for group in _groups(result, part):
        if group.system is not None:
            yield group.tier, group.system


def _groups(result: Result, part: str) -> Sequence[Group]:
    return [group for group in result.groups if group.part == part]


def _pair(one: Figures) -> str:
    return f"{_mean(one):+.2f} ({one.measures['audit'].value or 0.0:.2f})"


def _mean(one: Figures) -> float:
    return one.measures["skill"].value or 0.0


def _titled(part: str) -> str:
    return "held-out trials" if part == HELDOUT else "the source's seeds"


def _called(name: str) -> str:
    return "approved" if name == RIGHT else words(name)
