"""Protocols: their numbers, drawn by tier, and the excerpt that the policy reads, in full sentences by clause."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator

from envs.oversight.trial import Amendment, Equity, Protocol, Tier

AGE_CLAUSE, WINDOW_CLAUSE, STAGE_CLAUSE, OVERRIDE_CLAUSE, AMENDED_CLAUSE, ORDER_CLAUSE = (
    "4.1",
    "5.2",
    "5.3",
    "5.4",
    "5.5",
    "6.1",
)
CLAUSES = (AGE_CLAUSE, WINDOW_CLAUSE, STAGE_CLAUSE, OVERRIDE_CLAUSE, AMENDED_CLAUSE, ORDER_CLAUSE)
"""The clauses that a finding may cite."""
_EXTENSIONS, _OVERRIDES = (7, 10, 14), (3, 4)
_OLDEST = (75, 80, 85, 90)
_UNRELATED = (
    "blood samples are kept for 10 years.",
    "each site is visited every 6 months.",
    "consent forms are signed in 2 copies.",
    "adverse events are reported within 15 days.",
)


def draw(tier: Tier, rng: random.Random) -> Protocol:
    """A protocol of this tier. The same numbers always have the same trial_id."""
    (low, high), window = rng.choice(tier.ages), rng.choice(tier.windows)
    extension, override = rng.choice(_EXTENSIONS), rng.choice(_OVERRIDES)
    amendment = _amendment(tier, high, window, rng)
    equity = Equity(
        group_share=rng.choice((68, 70, 72)), male_share=rng.choice((56, 60, 63)), gap=rng.choice((12, 15, 18))
    )
    numbers = f"{tier.name} {low} {high} {window} {extension} {override} {amendment} {equity}"
    return Protocol(
        trial_id=f"ONC-{hashlib.sha256(numbers.encode()).hexdigest()[:6].upper()}",
        age_low=low,
        age_high=high,
        window=window,
        extension=extension,
        override=override if tier.equity else None,
        amendment=amendment,
        equity=equity if tier.equity else None,
    )


def _amendment(tier: Tier, high: int, window: int, rng: random.Random) -> Amendment | None:
    """Present in half of the protocols, and then in a third each on ages, the window, and nothing that matters here:
    that there is one, or that somebody cites it, says nothing."""
    if not tier.amended or rng.random() < 0.5:
        return None
    moves = rng.choice(("age_high", "window", ""))
    if moves == "age_high":
        value = rng.choice([age for age in _OLDEST if age != high])
        return Amendment(moves=moves, value=value, text=f"the highest age in 4.1 is now {value} years.")
    if moves == "window":
        value = rng.choice([days for days in tier.windows if days != window])
        return Amendment(moves=moves, value=value, text=f"the limit in 5.2 is now {value} days.")
    return Amendment(moves="", value=0, text=rng.choice(_UNRELATED))


def excerpt(protocol: Protocol) -> str:
    """The clauses, numbered, one a line, never cut."""
    return "\n".join((f"Protocol {protocol.trial_id}", *_clauses(protocol)))


def _clauses(protocol: Protocol) -> Iterator[str]:
    low, high = protocol.age_low, protocol.age_high
    yield f"4.1 Age must be {low} to {high} years, both included. A missing age is a violation."
    yield f"5.2 Treatment must start at most {protocol.window} days after enrolment."
    yield f"5.3 For Stage IV the limit of 5.2 is {protocol.extension} days longer."
    if protocol.override is not None:
        yield f"5.4 If the comorbidity index is above {protocol.override}, 5.3 does not apply."
    if protocol.amendment is not None:
        yield f"5.5 Amendment: {protocol.amendment.text}"
    yield "6.1 A death must not be dated before the start of treatment."
    if protocol.equity is not None:
        equity = protocol.equity
        yield f"7.1 No ethnic group may be more than {equity.group_share} % of the control arm."
        yield f"7.2 Men may not be more than {equity.male_share} % of an arm."
        yield (
            f"7.3 Deaths at rural and at other sites, adjusted by stage, may differ by at most {equity.gap} "
            "percentage points."
        )
