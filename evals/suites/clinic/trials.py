"""The cases that are played: the release tasks of each domain, which are of its hardest tier, and of an easier tier
cases made in the same way.

All are of the split `public` by the hash of the generator's parameters: no run trains on one, whatever its seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from envs.clinic.domain import Domain
from envs.clinic.domains import DOMAINS
from envs.clinic.release import Listed, listed, new_list, released
from envs.clinic.spec import TIERS
from evals.core.played import Trial as CoreTrial

EASIER = 60
"""Cases of each domain of a tier that has no release tasks."""
HARDEST = TIERS[-1]


class Trial(CoreTrial):
    """One of them; `pair` is shared with its twin."""

    domain: str
    tier: str
    pair: str


def trials(domains: Sequence[str], tiers: Sequence[str], limit: int | None) -> list[Trial]:
    """All cases of these domains and tiers, or the first `limit` of each."""
    return [
        trial
        for name in domains
        for tier in tiers
        if tier in DOMAINS[name].tiers
        for trial in list(_cases(DOMAINS[name], tier))[:limit]
    ]


def some_of(flag: str, given: str | None, known: Sequence[str], default: Sequence[str]) -> tuple[str, ...]:
    """What a flag names, in the order of `known`. Raises ValueError for what does not exist."""
    named = default if given is None else tuple(name.strip() for name in given.split(","))
    for name in named:
        if name not in known:
            raise ValueError(f"--{flag} {name}: write some of {','.join(known)}")
    return tuple(name for name in known if name in named)


def _cases(domain: Domain, tier: str) -> Iterator[Trial]:
    for row in _rows(domain, tier):
        made = released(domain, row)
        yield Trial(
            name=f"{tier}/{row.name}", labelled=made, domain=domain.name, tier=tier, pair=made.task.provenance.source
        )


def _rows(domain: Domain, tier: str) -> Sequence[Listed]:
    return listed(domain.name) if tier == HARDEST else tuple(new_list(domain, EASIER, tier))
