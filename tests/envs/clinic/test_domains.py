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
from envs.conformance.released import problems_of, released
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


def test_a_clinic_is_checked_tier_by_tier_and_all_of_it_unless_some_is_named() -> None:
    every = ClinicSettings().parts
    tiers = [f"{name} {tier}" for name, domain in DOMAINS.items() for tier in domain.tiers]
    assert sorted(every) == sorted(tiers)
    assert all(Clinic(one, 0).settings.domains == (name.split()[0],) for name, one in every.items())
    some = ClinicSettings.model_validate({"domains": ["ehr_management"], "tiers": ["first"]}).parts
    assert list(some) == ["ehr_management first"]


def test_the_release_tasks_pay_no_policy_that_does_not_read_and_none_is_wrong() -> None:
    """The list of triage before this one paid .29 for the manner of patients."""
    counted = {}
    for name in DOMAINS:
        found = released(Clinic(ClinicSettings.model_validate({"domains": [name]}), 0), Checker())
        assert found is not None and list(problems_of(found, 1.0, ClinicSettings.ceiling)) == []
        counted[name] = found.tasks
    assert counted == {"triage_emergency": 60, "ehr_management": 75, "drug_interaction": 65, "clinical_diagnosis": 65}


def test_a_policy_of_another_domain_says_nothing() -> None:
    made = [EVERY.release_task(f"{name}_001") for name in DOMAINS]
    for name, policy in EVERY.blind().items():
        actions = [play(EVERY, one.task, policy()).actions for one in made]
        spoke = {one.task.context["domain"] for one, said in zip(made, actions, strict=True) if any(said)}
        assert spoke == {name.partition(":")[0]}
