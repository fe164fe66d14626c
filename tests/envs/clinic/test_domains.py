"""What holds of all domains together."""

from __future__ import annotations

import asyncio
import random

from common.records import LabelledTask
from envs.clinic.domains import DOMAINS
from envs.clinic.environment import Clinic
from envs.clinic.spec import ClinicSettings
from envs.clinic_checker.checker import Checker
from envs.conformance.baselines import SILENT
from envs.contract.call_schema import check_tool
from envs.contract.replay import play

EVERY = Clinic(ClinicSettings.model_validate({"domains": list(DOMAINS)}), 0)


def test_tools_of_one_name_are_one_tool() -> None:
    seen = {}
    for domain in DOMAINS.values():
        for one in domain.instruments(domain.tiers[-1]):
            check_tool(one.tool)
            assert seen.setdefault(one.tool.name, one.tool) == one.tool
    assert len(seen) >= 40


def test_exactly_one_tool_of_a_tier_ends_the_episode() -> None:
    for domain in DOMAINS.values():
        for tier in domain.tiers:
            assert sum(one.ends for one in domain.instruments(tier)) == 1


def test_a_clinic_of_all_domains_is_solved_and_checked() -> None:
    played = set()
    for slot in map(EVERY.plan, range(40)):
        made = asyncio.run(EVERY.propose(slot, random.Random(slot.seed), SILENT))
        assert isinstance(made, LabelledTask)
        episode = play(EVERY, made.task, EVERY.oracle(made, random.Random(0)))
        assert EVERY.score(episode, made.label).total == 1.0 and Checker().disagreement(made) is None
        assert EVERY.kind(made).startswith(made.task.context["domain"])
        played.add(made.task.context["domain"])
    assert played == set(DOMAINS)
