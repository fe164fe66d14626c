"""The cases that are played: the release tasks of each domain, which are of its hardest tier, and of an easier tier
cases made in the same way.

All are of the split `public` by the hash of the generator's parameters: no run trains on one, whatever its seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

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
        for trial in islice(_cases(DOMAINS[name], tier), limit)
    ]


def _cases(domain: Domain, tier: str) -> Iterator[Trial]:
    for row in _rows(domain, tier):
        made = released(domain, row)
        yield Trial(
            name=f"{tier}/{row.name}", labelled=made, domain=domain.name, tier=tier, pair=made.task.provenance.source
        )


def _rows(domain: Domain, tier: str) -> Sequence[Listed]:
    return listed(domain.name) if tier == HARDEST else tuple(new_list(domain, EASIER, tier))
