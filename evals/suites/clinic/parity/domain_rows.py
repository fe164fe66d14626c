"""HG01 to HG06 and HG09: domains, tools, tasks, and how their answers are known."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from common.records import LabelledTask, Task
from envs.clinic.domain import Domain
from envs.clinic.domains import kit_name
from envs.clinic.environment import Clinic
from envs.clinic.instruments import Instrument, use
from envs.clinic.release import Listed, listed
from envs.clinic.scores.score import Score
from envs.clinic.tasks import signature, truth_of, world_at_start
from envs.clinic.triage.esi import LEVELS
from envs.clinic.triage.grade import answer_of
from envs.clinic.world import AGENT
from envs.contract.call_schema import check_tool, first_error
from evals.core.parity import Control, Found, Row, demands
from evals.core.random_calls import random_call
from evals.suites.clinic.parity import corrupted
from evals.suites.clinic.parity.parts import (
    CHARTS,
    DIAGNOSIS,
    DRUGS,
    TRIAGE,
    WANTED,
    Game,
    generated,
    playing,
    release_tasks,
    solved,
)
from evals.suites.clinic.scores_compared import differences

Rows = Callable[[str], tuple[Listed, ...]]
RELEASED = {DIAGNOSIS: 65, DRUGS: 65, CHARTS: 75, TRIAGE: 60}
FEW = 20
"""Generated tasks of which every tool is called, and all levels are submitted."""


def domains_reset(begin: Callable[[Clinic, Task], Any]) -> Found:
    """HG01: of the tasks as they are."""
    env, from_here, fails = playing(Clinic), Counter[str](), Counter[str]()
    for labelled in release_tasks(listed, *RELEASED):
        name = labelled.task.context["domain"]
        try:
            _, turn = begin(env, labelled.task)
        except ValueError:
            fails[name] += 1
        else:
            from_here[name] += bool(turn.tools and turn.messages[0].content)
    begun = ", ".join(f"{name} {from_here[name]} of {from_here[name] + fails[name]}" for name in RELEASED)
    return Found(
        f"{len(from_here)} domains of the {WANTED['domains']} wanted; tasks that begin: {begun}",
        demands(every_task_begins=not fails, with_tools=sum(from_here.values()) == sum(RELEASED.values())),
    )


def tools_have_schemas(domains: Mapping[str, Domain], instruments: Callable[[str], Mapping[str, Instrument]]) -> Found:
    """HG02: every tool of the hardest tier of every domain."""
    seen: dict[str, bool] = {}
    for name, domain in domains.items():
        known = instruments(kit_name(name, domain.tiers[-1]))
        answered = _called(domain)
        for tool_name, one in known.items():
            seen[tool_name] = seen.get(tool_name, True) and _strict(one) and tool_name in answered
    faulty = [name for name, good in seen.items() if not good]
    return Found(
        f"{len(seen)} tools of the {WANTED['tools']} wanted; {len(seen) - len(faulty)} have a JSON schema, refuse a "
        "missing and an unknown argument, and were called",
        tuple(f"{name} does not" for name in faulty),
    )


def _strict(one: Instrument) -> bool:
    """Whether the tool's schema is one, and refuses what is missing and what is not named."""
    check_tool(one.tool)
    required = one.tool.parameters["required"]
    own = [name for name, schema in one.tool.parameters["properties"].items() if name not in required]
    lacks = first_error(one.tool, {}) is not None
    wants = bool(required) or not one.tool.parameters["properties"] or len(own) == 0
    return wants and lacks == bool(required) and first_error(one.tool, {"unknown": 1}) is not None


def _called(domain: Domain) -> set[str]:
    """The tools whose random calls left an event."""
    rng, found = random.Random(domain.name), set[str]()
    for labelled in generated(domain, FEW):
        world = world_at_start(labelled.task)
        ids: dict[str, Any] = {"patient_id": world.patients[0].patient_id}
        ids |= {"hadm_id": world.admissions[0].hadm_id} if world.admissions else {}
        for one in domain.instruments(domain.tiers[-1]):
            after = use(world, one, random_call(rng, (one.tool,), ids).arguments).world
            if any(event.actor == AGENT for event in after.events):
                found.add(one.tool.name)
    return found


def tasks_are_distinct_and_solved(listed: Rows, game: Game) -> Found:
    """HG03."""
    env = playing(game)
    made = list(release_tasks(listed))
    signatures = {signature(one.task.context) for one in made}
    least = min(env.score(solved(env, one), one.label).total for one in made)
    foreign = sum(_foreign(env, one) for one in made)
    return Found(
        f"{len(made)} release tasks of the {WANTED['tasks']} wanted, {len(signatures)} signatures; the oracle's least "
        f"reward {least:.2f}; {foreign} with an id that is not in its world",
        demands(distinct=len(signatures) == len(made), solved=least == 1.0, no_foreign_id=foreign == 0),
    )


def _foreign(env: Clinic, labelled: LabelledTask) -> bool:
    """Whether a call of the oracle is refused."""
    _, world = env.graded(solved(env, labelled), labelled.label)
    return any(event.kind == "refused" for event in world.events)


def diagnoses(
    domains: Mapping[str, Domain], disagreement: Callable[[LabelledTask], str | None], tasks_a_domain: int
) -> Found:
    """HG04."""
    made = list(generated(domains[DIAGNOSIS], tasks_a_domain))
    codes = Counter(truth_of(one.label).answer["diagnosis"] for one in made)
    disputed = sum(disagreement(one) is not None for one in made)
    known = len(domains[DIAGNOSIS].instruments("full"))
    return Found(
        f"{RELEASED[DIAGNOSIS]} release tasks, {known} tools; of {len(made)} generated ones {disputed} disputed, "
        f"{len(codes)} diagnoses, the commonest {codes.most_common(1)[0][1]} times",
        demands(
            no_label_disputed=disputed == 0,
            as_many_tools=known >= 20,
            no_common_one=codes.most_common(1)[0][1] < 0.15 * len(made),
        ),
    )


def drug_keys(
    domains: Mapping[str, Domain], disagreement: Callable[[LabelledTask], str | None], tasks_a_domain: int
) -> Found:
    """HG05."""
    made = list(generated(domains[DRUGS], tasks_a_domain))
    keys = Counter(json.dumps(truth_of(one.label).answer, sort_keys=True) for one in made)
    without = sum(truth_of(one.label).answer["severity"] == "none" for one in made)
    disputed = sum(disagreement(one) is not None for one in made)
    most, known = keys.most_common(1)[0][1], len(domains[DRUGS].instruments("full"))
    return Found(
        f"{RELEASED[DRUGS]} release tasks, {known} tools; of {len(made)} generated ones {disputed} disputed, "
        f"{len(keys)} answers, the commonest {most} times, {without} without an interaction",
        demands(
            no_label_disputed=disputed == 0,
            as_many_tools=known >= 10,
            many_answers=len(keys) > 0.4 * len(made),
            no_common_one=most < 0.2 * len(made),
            half_without=abs(without / len(made) - 0.5) < 0.1,
        ),
    )


def chart_scores(
    domains: Mapping[str, Domain],
    disagreement: Callable[[LabelledTask], str | None],
    scores: Mapping[str, Score],
    tasks_a_domain: int,
    inputs: int,
) -> Found:
    """HG06."""
    made = list(generated(domains[CHARTS], tasks_a_domain))
    disputed = sum(disagreement(one) is not None for one in made)
    differ = {name: len(differences(score, inputs)) for name, score in scores.items()}
    used = [f"{name} {differ[name]}" for name in ("sofa", "news2", "grace")]
    return Found(
        f"{RELEASED[CHARTS]} release tasks; {disputed} of {len(made)} generated labels disputed by a second reading of "
        f"the rows; of {len(scores)} scores {sum(differ.values())} differences in {inputs} random inputs each "
        f"({', '.join(used)})",
        (*demands(no_label_disputed=disputed == 0), *(f"{name} differs" for name, count in differ.items() if count)),
    )


def triage_levels(triage_grade: Callable[..., Any], domains: Mapping[str, Domain]) -> Found:
    """HG09: every level submitted for some patients."""
    exact = within = tried = 0
    wrong: list[str] = []
    known = {one.tool.name: one for one in domains[TRIAGE].instruments("full")}
    for labelled in generated(domains[TRIAGE], FEW):
        answer, world = answer_of(truth_of(labelled.label)), world_at_start(labelled.task)
        for level in LEVELS:
            call = {"patient_id": world.patients[0].patient_id, "level": level, "disposition": answer.place}
            found = triage_grade(use(world, known["submit_triage"], call).world, answer)
            off, tried = abs(level - answer.level), tried + 1
            exact, within = exact + int(found.figures["exact"]), within + int(found.figures["within_one"])
            if (found.figures["exact"], found.figures["within_one"]) != (off == 0, off <= 1):
                wrong.append(f"level {level} for {answer.level} is counted as {found.figures}")
    return Found(
        f"{RELEASED[TRIAGE]} release tasks, {len(known)} tools; of {tried} submitted levels {exact} exact and {within} "
        "within one, as they are",
        tuple(wrong[:1]),
    )


CLINIC = "tests/envs/clinic"
ROWS = (
    Row(
        "HG01",
        "every release task of every domain resets, with tools",
        (f"{CLINIC}/test_domains.py::test_a_clinic_of_all_domains_is_solved_and_checked", "medserl check-env clinic"),
        domains_reset,
        Control("as in the source, one domain cannot reset its tasks", corrupted.cannot_begin),
    ),
    Row(
        "HG02",
        "every tool can be called and has a schema that refuses other arguments",
        (f"{CLINIC}/test_domains.py::test_tools_of_one_name_are_one_tool",),
        tools_have_schemas,
        Control("the schema of each answer requires nothing", corrupted.requires_nothing),
    ),
    Row(
        "HG03",
        "release tasks have distinct signatures, are solved by the oracle through the tools, and name no foreign id",
        (f"{CLINIC}/test_environment.py::test_the_release_tasks_are_those_that_were_listed_and_are_solved",),
        tasks_are_distinct_and_solved,
        Control("one task is listed in the place of another", corrupted.lists_twice),
    ),
    Row(
        "HG04",
        "diagnoses by criteria with a source, of which exactly one holds, found again by rules entered a second time",
        (f"{CLINIC}/diagnosis/test_diagnosis.py", "python -m envs.clinic.show"),
        diagnoses,
        Control("a glucose just below 600 mg/dL is labelled as a hyperosmolar state", corrupted.misdiagnoses),
    ),
    Row(
        "HG05",
        "drug reviews whose key is pairs, severity, action and allergy, confirmed by a list made by hand",
        (f"{CLINIC}/interactions/test_interactions.py",),
        drug_keys,
        Control("moderate interactions are labelled as major", corrupted.graver),
    ),
    Row(
        "HG06",
        "charts with SOFA, NEWS2, GRACE and others, recomputed from the rows and by a second implementation",
        (f"{CLINIC}/chart/test_domain.py", f"{CLINIC}/scores/test_boundaries.py", "python -m bench.clinic_scores"),
        chart_scores,
        Control("NEWS2 gives its points for 22 breaths a minute, not for 21", corrupted.shifted),
    ),
    Row(
        "HG09",
        "triage with tools, scored by the exact level and within one",
        (f"{CLINIC}/test_triage_rules.py", f"{CLINIC}/test_triage_cases.py"),
        triage_levels,
        Control("a level that is off by one counts as exact", corrupted.generous),
    ),
)
