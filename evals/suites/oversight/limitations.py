"""What a result cannot show, or shows the system cannot do: sentences that are written from its numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import pstdev

from envs.contract.page_view import words
from envs.oversight.trial import TYPES
from evals.core import limitations as of_every_suite
from evals.core.limitations import FEW, apart, half, value
from evals.suites.oversight.audits import UNDECIDED, Case
from evals.suites.oversight.figures import Figures
from evals.suites.oversight.result import Group, Result
from evals.suites.oversight.trials import HELDOUT


def limitations(result: Result) -> list[str]:
    """One sentence or two for each, of the held-out trials; the general ones without a system too."""
    group = result.group(HELDOUT)
    found = ["The trials are invented and made by rule: no figure here says anything about real trials or patients."]
    if group.system is None:
        return found
    cases = [case for case in result.cases if case.part == HELDOUT]
    found += [_size(group.system, cases), *_blind(group)]
    if len(result.tiers) > 1:
        found += _tiers(result)
    return [*found, *(text for write in _OF_SYSTEM for text in write(group.system)), *_coverage(cases)]


def _size(system: Figures, cases: Sequence[Case]) -> str:
    skills = [case.skill for case in cases]
    if len(cases) < FEW:
        return f"Trials audited: {len(cases)}. The intervals of so few are too narrow, and no figure is reliable."
    return (
        f"{len(cases)} trials, one audit each: the skill of single audits ranges from {min(skills):+.2f} to "
        f"{max(skills):+.2f} (standard deviation {pstdev(skills):.2f}), and its mean is known to about "
        f"±{half(system.measures['skill']):.2f}."
    )


def _blind(group: Group) -> list[str]:
    """Whether it is better than what does not read, and whether the public score can tell."""
    best, audit = group.blind["skill"], group.blind["audit"]
    found = []
    if best.difference.gap.lower is None or best.difference.gap.lower <= 0:
        found.append(
            f"Not shown to be better than `{best.policy}`, which does not read: skill {best.difference.this:+.3f} "
            f"against {best.difference.other:+.3f}, difference {best.difference.gap}."
        )
    if audit.difference.this <= audit.difference.other:
        found.append(
            f"The audit score pays `{audit.policy}`, which does not read, {audit.difference.other:.3f}, and this "
            f"system {audit.difference.this:.3f}: it cannot show what was learned."
        )
    return found


def _tiers(result: Result) -> list[str]:
    """The tier in which it does worst, where intervals do not overlap."""
    by_tier = {tier: _system(result.group(HELDOUT, tier)).measures["skill"] for tier in result.tiers}
    found = apart(by_tier)
    if found is None:
        return []
    worst, best = found
    return [f"Skill falls from {value(by_tier[best]):+.2f} on {best} to {value(by_tier[worst]):+.2f} on {worst}."]


def _types(system: Figures) -> list[str]:
    """The type it finds least often."""
    shares = {
        name: sum(count for said, count in row.items() if said in TYPES) / sum(row.values())
        for name, row in system.confusion.items()
        if name in TYPES and sum(row.values()) >= FEW
    }
    if len(shares) < 2 or max(shares.values()) - min(shares.values()) < 0.1:
        return []
    worst, best = min(shares, key=lambda name: shares[name]), max(shares, key=lambda name: shares[name])
    return [
        f"It flags {shares[best]:.0%} of the errors of type {words(best)}, but {shares[worst]:.0%} of "
        f"{words(worst)} ({sum(system.confusion[worst].values())} errors)."
    ]


def _flags(system: Figures) -> list[str]:
    """What its flags are worth."""
    found, typed, proved = (value(system.measures[name]) for name in ("found", "typed", "evidence"))
    texts = []
    if found and typed < 0.9 * found:
        texts.append(f"Of the errors that it flags, {1 - typed / found:.0%} get the wrong type.")
    if found and proved < 0.9 * found:
        texts.append(f"{proved / found:.0%} of its right flags are proved by a clause and the value that breaks it.")
    if system.false_alarms:
        texts.append(
            f"{system.false_alarms} of its {system.found + system.false_alarms} flags are false alarms, and "
            f"{system.missed} of {system.errors} errors are missed."
        )
    return texts


def _bias(system: Figures) -> list[str]:
    bias = system.measures["bias"]
    if bias.value is None or bias.value >= 0.9:
        return []
    return [f"It names the bias of the cohort, or that there is none, in {bias.value:.0%} of {bias.of} trials."]


def _ends(system: Figures) -> list[str]:
    """Audits that did not end with a report, and replies that could not be read."""
    return list(of_every_suite.ends("audits", system.trials, system.reasons, system.measures["invalid"]))


def _coverage(cases: Sequence[Case]) -> list[str]:
    """Whether it decides less of trials with many proposals."""
    middle = sorted(case.proposals for case in cases)[len(cases) // 2]
    few, many = ([case for case in cases if (case.proposals >= middle) == is_many] for is_many in (False, True))
    if not few or not many:
        return []
    fewer, more = _decided(few), _decided(many)
    if more > 0.95:
        return []
    return [
        f"It decides {more:.0%} of the proposals of trials with {middle} or more, and {fewer:.0%} of those of "
        "trials with fewer."
    ]


def _decided(cases: Sequence[Case]) -> float:
    return 1 - sum(case.said().get(UNDECIDED, 0) for case in cases) / sum(case.proposals for case in cases)


def _system(group: Group) -> Figures:
    assert group.system is not None
    return group.system


_OF_SYSTEM: tuple[Callable[[Figures], list[str]], ...] = (_types, _flags, _bias, _ends)
