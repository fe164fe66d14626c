"""The domains of the clinic, by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from common.records import Tool
from envs.clinic.chart.domain import Chart
from envs.clinic.diagnosis.domain import Diagnosis
from envs.clinic.domain import Domain
from envs.clinic.instruments import Instrument
from envs.clinic.interactions.domain import Interactions
from envs.clinic.triage.domain import Triage

DOMAINS: dict[str, Domain] = {domain.name: domain for domain in (Triage(), Chart(), Interactions(), Diagnosis())}
SEPARATOR = "."


def kit_name(domain: str, tier: str) -> str:
    """The tools of a tier of a domain, as one name: the kind of its tasks, and how their ids begin."""
    return f"{domain}{SEPARATOR}{tier}"


def split_kit(kit: str) -> tuple[Domain, str]:
    """Domain and tier of what begins with a kit's name: a kit, or a task's id."""
    name, tier, *_ = kit.split(SEPARATOR)
    return DOMAINS[name], tier


@cache
def instruments(kit: str) -> Mapping[str, Instrument]:
    """The tools of a kit by name."""
    domain, tier = split_kit(kit)
    return {one.tool.name: one for one in domain.instruments(tier)}


def tools(kit: str) -> tuple[Tool, ...]:
    """What a policy may call with this kit."""
    return tuple(one.tool for one in instruments(kit).values())
