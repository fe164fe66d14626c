"""`result.json`: everything an evaluation found, with what is needed to compare it with another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from common.records import Record
from common.statistics import Interval
from evals.core import results
from evals.core.measured import Best, Difference, best_of, differences, ends, measured, on_same_tasks
from evals.core.played import PlayedSettings
from evals.core.policies import ORACLE
from evals.suites.clinic.cases import BLIND, COMPARED, MEASURES, OUTCOMES, Case
from evals.suites.clinic.policies import GENERAL

ALL = "all"
BEST = "best blind"
"""Over all domains: in each the policy that does not read with the highest mean reward on these very cases."""
Cases = Sequence[Case]
Played = Mapping[str, Mapping[str, Cases]]
"""Judged cases by domain and policy."""


class Figures(Record):
    """A system on some cases. `outcomes` are counts by what an episode came to, `violations` by rule; `reasons` are
    those of the episodes' ends; `measures` as in MEASURES."""

    cases: int
    outcomes: dict[str, int]
    violations: dict[str, int]
    reasons: dict[str, int]
    measures: dict[str, Interval]


class Group(Record):
    """The cases of a tier and a domain, or of all domains. `blind` is by measure; empty without a system."""

    tier: str
    domain: str
    system: Figures | None  # None when only baselines were asked for
    baselines: dict[str, Figures]
    blind: dict[str, Best]

    @property
    def cases(self) -> int:
        """How many."""
        return self.baselines[ORACLE].cases


class Against(Record):
    """Two systems on the cases of a tier and domain that both played, differences by measure."""

    tier: str
    domain: str
    cases: int
    differences: dict[str, Difference]


class Result(Record):
    """An evaluation. `system` is a model, or a policy without one; `against` compares it with the system `other`.

    `severities` are by rule of safety, of all cases.
    """

    suite: str
    system: str
    domains: tuple[str, ...]
    tiers: tuple[str, ...]
    groups: tuple[Group, ...]
    severities: dict[str, int] = {}
    settings: PlayedSettings | None = None
    other: str = ""
    against: tuple[Against, ...] = ()
    cases: tuple[Case, ...] = ()

    def group(self, tier: str, domain: str = ALL) -> Group:
        """One of `groups`; of a single domain, all are its own."""
        named = domain if domain != ALL or len(self.domains) > 1 else self.domains[0]
        return next(one for one in self.groups if (one.tier, one.domain) == (tier, named))


def groups(tiers: Sequence[str], system: Cases, baselines: Played) -> tuple[Group, ...]:
    """The figures of every tier and domain, and of all domains where there are several; `system` may be empty."""
    found = []
    for tier in tiers:
        of_tier = {
            domain: {name: _of(cases, tier, domain) for name, cases in known.items()}
            for domain, known in baselines.items()
        }
        there = {domain: known for domain, known in of_tier.items() if known[ORACLE]}
        for domain, known in there.items():
            found.append(_group(tier, domain, _of(system, tier, domain), known))
        if len(baselines) > 1 and there:
            found.append(_group(tier, ALL, _of(system, tier, ALL), _joined(there)))
    return tuple(found)


def compared(tiers: Sequence[str], domains: Sequence[str], these: Cases, other: Result) -> tuple[Against, ...]:
    """Differences to another result. Raises ValueError, one line, when that is of none of these cases."""
    pairs = on_same_tasks(these, other.cases)
    if not pairs:
        raise ValueError(
            f"--against: {other.system} played none of these cases; give a result of the same --domains, --tiers and "
            "version"
        )
    found = []
    for tier in tiers:
        for domain in (*domains, *([ALL] if len(domains) > 1 else [])):
            some = [pair for pair in pairs if _of(pair[:1], tier, domain)]
            if some:
                ours, theirs = zip(*some, strict=True)
                gaps = differences(ours, theirs, {name: MEASURES[name] for name in COMPARED})
                found.append(Against(tier=tier, domain=domain, cases=len(some), differences=gaps))
    return tuple(found)


def severities(cases: Cases) -> dict[str, int]:
    """By the rules that were broken, the gravest first."""
    found = {rule: severity for case in cases for rule, severity in case.violations.items()}
    return dict(sorted(found.items(), key=lambda one: (-one[1], one[0])))


def figures(cases: Cases) -> Figures:
    """Over at least one case."""
    outcomes = Counter(case.outcome for case in cases)
    return Figures(
        cases=len(cases),
        outcomes={name: outcomes[name] for name in OUTCOMES},
        violations=dict(sorted(Counter(rule for case in cases for rule in case.violations).items())),
        reasons=ends(cases),
        measures=measured(cases, MEASURES),
    )


def load_result(path: Path) -> Result:
    """Read a result.json. Raises ValueError, one line, when it is none of this suite."""
    return results.load(path, Result)


def _of(cases: Cases, tier: str, domain: str) -> list[Case]:
    return [case for case in cases if case.tier == tier and domain in (ALL, case.domain)]


def _joined(played: Played) -> dict[str, list[Case]]:
    """The policies that all domains have, and the best blind ones of each as one policy."""
    joined = {name: [case for known in played.values() for case in known[name]] for name in GENERAL}
    best = [max(_blind(known).values(), key=_reward) for known in played.values()]
    return {**joined, BEST: [case for cases in best for case in cases]}


def _group(tier: str, domain: str, system: Cases, baselines: Mapping[str, Cases]) -> Group:
    return Group(
        tier=tier,
        domain=domain,
        system=figures(system) if system else None,
        baselines={name: figures(cases) for name, cases in baselines.items()},
        blind=best_of(system, _blind(baselines), {name: MEASURES[name] for name in BLIND}) if system else {},
    )


def _blind(baselines: Mapping[str, Cases]) -> dict[str, Cases]:
    return {name: cases for name, cases in baselines.items() if name != ORACLE}


def _reward(cases: Cases) -> float:
    return fmean(case.parts["reward"] for case in cases)
