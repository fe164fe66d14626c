"""`result.json`: everything an evaluation found, with what is needed to compare it with another one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from common.records import Record
from evals.core import results
from evals.core.measured import Best, Difference, best_of, on_same_tasks
from evals.core.policies import ORACLE
from evals.suites.oversight.audits import AuditSettings, Case
from evals.suites.oversight.figures import ALL, COMPARED, MEASURES, Figures, differences, figures
from evals.suites.oversight.trials import PARTS

Cases = Sequence[Case]


class Group(Record):
    """The trials of a part and tier, or of all tiers. `blind` is by measure; empty without a system."""

    part: str
    tier: str
    system: Figures | None  # None when only baselines were asked for
    baselines: dict[str, Figures]
    blind: dict[str, Best]

    @property
    def trials(self) -> int:
        """How many."""
        return self.baselines[ORACLE].trials


class Against(Record):
    """Two systems on the trials of a part and tier that both audited, differences by measure."""

    part: str
    tier: str
    trials: int
    differences: dict[str, Difference]


class Result(Record):
    """An evaluation. `system` is a model, or a policy without one; `against` compares it with the system `other`."""

    suite: str
    system: str
    tiers: tuple[str, ...]
    groups: tuple[Group, ...]
    settings: AuditSettings | None = None
    other: str = ""
    against: tuple[Against, ...] = ()
    cases: tuple[Case, ...] = ()

    def group(self, part: str, tier: str = ALL) -> Group:
        """One of `groups`."""
        return next(one for one in self.groups if (one.part, one.tier) == (part, tier))


def groups(tiers: Sequence[str], system: Cases, baselines: Mapping[str, Cases]) -> tuple[Group, ...]:
    """The figures of every part and tier; `system` may be empty, and baselines are on the same trials."""
    return tuple(
        _group(part, tier, _of(system, part, tier), {name: _of(cases, part, tier) for name, cases in baselines.items()})
        for part in PARTS
        for tier in (*tiers, ALL)
    )


def compared(tiers: Sequence[str], these: Cases, other: Result) -> tuple[Against, ...]:
    """Differences to another result. Raises ValueError, one line, when that is of none of these trials."""
    pairs = on_same_tasks(these, other.cases)
    if not pairs:
        raise ValueError(
            f"--against: {other.system} audited none of these trials; give a result of the same --tiers and version"
        )
    found = []
    for part in PARTS:
        for tier in (*tiers, ALL):
            some = [pair for pair in pairs if _of(pair[:1], part, tier)]
            if some:
                ours, theirs = zip(*some, strict=True)
                gaps = differences(ours, theirs)
                found.append(Against(part=part, tier=tier, trials=len(some), differences=gaps))
    return tuple(found)


def load_result(path: Path) -> Result:
    """Read a result.json. Raises ValueError, one line, when it is none of this suite."""
    return results.load(path, Result)


def _of(cases: Cases, part: str, tier: str) -> list[Case]:
    return [case for case in cases if case.part == part and tier in (ALL, case.tier)]


def _group(part: str, tier: str, system: Cases, baselines: Mapping[str, Cases]) -> Group:
    blind = {name: cases for name, cases in baselines.items() if name != ORACLE}
    return Group(
        part=part,
        tier=tier,
        system=figures(system) if system else None,
        baselines={name: figures(cases) for name, cases in baselines.items()},
        blind=best_of(system, blind, {name: MEASURES[name] for name in COMPARED[:2]}) if system else {},
    )
