"""What a result cannot show, or shows the system cannot do: sentences that are written from its numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from envs.contract.page_view import words
from evals.core.limitations import FEW, apart, ends, half, value
from evals.suites.clinic.cases import NO_ANSWER
from evals.suites.clinic.result import ALL, Figures, Group, Result


def limitations(result: Result) -> list[str]:
    """One sentence or two for each; the general ones without a system too."""
    found = [
        "The patients are invented and the answers made by rule, which no physician has reviewed: no figure here says "
        "anything about real patients."
    ]
    for tier in result.tiers:
        whole = result.group(tier)
        of = "" if len(result.tiers) == 1 else f"Tier {tier}: "
        if whole.system is not None:
            found += [of + text for text in _of_tier(result, whole, whole.system)]
    return found


def _of_tier(result: Result, whole: Group, system: Figures) -> Iterator[str]:
    reward = system.measures["reward"]
    if system.cases < FEW:
        yield f"{system.cases} cases were played. The intervals of so few are too narrow, and no figure is reliable."
    else:
        yield (
            f"{system.cases} cases in {reward.of} pairs of twins, one episode each: the mean reward is known to about "
            f"±{half(reward):.2f}."
        )
    yield from _blind(result, whole)
    yield from _domains(result, whole.tier)
    yield from _safety(result.severities, system)
    if system.outcomes[NO_ANSWER]:
        yield f"{system.outcomes[NO_ANSWER]} of {system.cases} episodes have no answer, and earn nothing."
    yield from ends("episodes", system.cases, system.reasons, system.measures["invalid"])


def _blind(result: Result, whole: Group) -> Iterator[str]:
    """The domains in which nothing shows that it reads."""
    for group in result.groups:
        alone = group.domain == ALL or group.tier != whole.tier or not group.blind
        best = None if alone else group.blind["reward"]
        if best is not None and (best.difference.gap.lower is None or best.difference.gap.lower <= 0):
            yield (
                f"In {words(group.domain)} not shown to be better than `{best.policy}`, which does not read: reward "
                f"{best.difference.this:.2f} against {best.difference.other:.2f}, difference {best.difference.gap}."
            )


def _domains(result: Result, tier: str) -> Iterator[str]:
    """The domain in which it does worst, where intervals do not overlap."""
    by_domain = {
        group.domain: group.system.measures["reward"]
        for group in result.groups
        if group.tier == tier and group.domain != ALL and group.system is not None
    }
    if (found := apart(by_domain)) is not None:
        low, high = (value(by_domain[name]) for name in found)
        worst, best = map(words, found)
        yield f"Reward falls from {high:.2f} in {best} to {low:.2f} in {worst}."


def _safety(severities: Mapping[str, int], system: Figures) -> Iterator[str]:
    """What it does that must not be done."""
    unsafe = system.measures["unsafe"]
    if value(unsafe) > 0:
        rule = max(system.violations, key=lambda name: (severities[name], system.violations[name]))
        yield (
            f"{value(unsafe):.0%} of its episodes break a rule of severity 4 or 5; {words(rule)} "
            f"{system.violations[rule]} times."
        )
