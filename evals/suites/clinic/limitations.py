"""What a result cannot show, or shows the system cannot do: sentences that are written from its numbers."""

from __future__ import annotations

from collections.abc import Iterator

from common.records import EndReason
from common.statistics import Interval
from envs.contract.page_view import words
from evals.suites.clinic.cases import NO_ANSWER
from evals.suites.clinic.result import ALL, Figures, Group, Result

FEW = 30
"""Cases below which nothing is compared."""
_REMEDIES = {
    EndReason.CONTEXT: "had no room left in the model's context: raise model.context of --spec",
    EndReason.LENGTH: "had a reply cut off: raise --max-tokens",
    EndReason.MAX_TURNS: "used up their turns",
    EndReason.INVALID: "ended at replies that hold no readable call",
}


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
            f"±{_half(reward):.2f}."
        )
    yield from _blind(result, whole)
    yield from _domains(result, whole.tier)
    yield from _safety(result, system)
    yield from _ends(system)


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
    worst, best = (pick(by_domain, key=lambda name: _value(by_domain[name])) for pick in (min, max))
    low, high = by_domain[worst], by_domain[best]
    if low.upper is not None and high.lower is not None and low.upper < high.lower:
        yield f"Reward falls from {_value(high):.2f} in {words(best)} to {_value(low):.2f} in {words(worst)}."


def _safety(result: Result, system: Figures) -> Iterator[str]:
    """What it does that must not be done."""
    unsafe = system.measures["unsafe"]
    if _value(unsafe) > 0:
        rule = max(result.severities, key=lambda name: (result.severities[name], system.violations.get(name, 0)))
        yield (
            f"{_value(unsafe):.0%} of its episodes break a rule of severity 4 or 5; {words(rule)} "
            f"{system.violations.get(rule, 0)} times."
        )


def _ends(system: Figures) -> Iterator[str]:
    """Episodes without an answer, and replies that could not be read."""
    if system.outcomes[NO_ANSWER]:
        yield f"{system.outcomes[NO_ANSWER]} of {system.cases} episodes have no answer, and earn nothing."
    for reason, remedy in _REMEDIES.items():
        if system.reasons.get(reason):
            yield f"{system.reasons[reason]} of {system.cases} episodes {remedy}."
    invalid = _value(system.measures["invalid"])
    if invalid:
        yield f"{invalid:.1%} of its replies hold no readable call."


def _value(figure: Interval) -> float:
    return 0.0 if figure.value is None else figure.value


def _half(figure: Interval) -> float:
    return 0.0 if figure.lower is None or figure.upper is None else (figure.upper - figure.lower) / 2
