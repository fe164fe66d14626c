"""HG12 to HG17 and HG45: the door for Gymnasium, calls, rewards, safety, and what is trained on."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import msgspec
from gymnasium.utils.env_checker import check_env

from common.records import EndReason, LabelledTask, Reward
from envs.clinic.domain import Grade, Violation, Weights
from envs.clinic.domains import split_kit
from envs.clinic.environment import Clinic
from envs.clinic.release import listed
from envs.clinic.reward import PARTS
from envs.clinic.tasks import TRAIN, drawn, signature, split_of
from envs.clinic.world import World
from envs.contract.calls import Call, Fault, FaultCode
from envs.contract.replay import play
from evals.core.parity import Control, Found, Row, demands
from evals.suites.clinic.parity import corrupted
from evals.suites.clinic.parity.domain_rows import RELEASED, Rows
from evals.suites.clinic.parity.parts import TRIAGE, Game, planned, playing, release_tasks, solved

CALL, FAULT = Call(name="look", arguments={}), Fault(code=FaultCode.NO_CALL, text="")
EMPTY = World(clock_min=0, patients=())
SYNTAXES = ("python", "hermes")


def gymnasium_env(gym: Callable[..., gymnasium.Env[Any, Any]]) -> Found:
    """HG12."""
    task = f"{TRIAGE}_001"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            check_env(gym(domain=TRIAGE, task_id=task), skip_render_check=True)
            passes = True
        except (AssertionError, Warning):
            passes = False
    env, ours = gym(domain=TRIAGE, task_id=task), playing(Clinic, TRIAGE)
    episode = solved(ours, ours.release_task(task))
    env.reset(seed=0)
    steps = [env.step(action) for action in episode.actions]
    _, reward, terminated, truncated, _ = steps[-1]
    return Found(
        f"check_env {'passes' if passes else 'fails'}; the oracle's {len(steps)} steps end terminated: {terminated}, "
        f"reward {reward:.2f}",
        demands(check_env_passes=passes, terminated_by_the_answer=terminated and not truncated, solved=reward == 1.0),
    )


def calls(game: Game) -> Found:
    """HG13: of the first release task of each domain."""
    equal = refused = 0
    cost: list[float] = []
    some = [playing(Clinic).release_task(f"{name}_001") for name in RELEASED]
    for labelled in some:
        by_syntax = [playing(game, call_syntax=syntax) for syntax in SYNTAXES]
        rewards = [env.score(solved(env, labelled), labelled.label).total for env in by_syntax]
        equal += rewards == [1.0, 1.0]
        env = by_syntax[0]
        first, *rest = solved(env, labelled).actions
        spoilt = f'{first.rstrip()[:-1]}, colour="red")'
        refused += isinstance(env.read(spoilt, env.kit(labelled.task)), Fault)
        said = iter([spoilt, first, *rest])
        episode = play(env, labelled.task, lambda _, said=said: next(said))  # type: ignore[misc]
        cost.append(1.0 - env.score(episode, labelled.label).total)
    return Found(
        f"{equal} of {len(some)} oracles earn the same in Python and in JSON; {refused} of {len(some)} calls with "
        f"an unknown argument refused, each at a cost of {min(cost):.3f} to {max(cost):.3f}",
        demands(
            both_syntaxes=equal == len(some), unknown_arguments_are_refused=refused == len(some), it_costs=min(cost) > 0
        ),
    )


def weights_are_used(reward_of: Callable[..., Reward]) -> Found:
    """HG14: grades by hand, and 1,000 random ones."""
    grade = Grade(accuracy=0.9, process=0.6, safety=0.8, coherence=0.3)
    even = dict.fromkeys(PARTS, 0.2)
    total = _total(reward_of, even, grade)
    rises = {name: _total(reward_of, {**even, name: 0.4}, grade) - total for name in PARTS}
    up = [name for name, change in rises.items() if change > 0]
    rng = random.Random(0)
    totals = [_total(reward_of, {name: rng.random() + 0.01 for name in PARTS}, _random(rng)) for _ in range(1000)]
    return Found(
        f"with twice the weight of {', '.join(f'{name} {change:+.2f}' for name, change in rises.items())}; 1000 random "
        f"grades earn {min(totals):.2f} to {max(totals):.2f}",
        demands(
            five_weights_change_it=all(rises.values()),
            in_the_right_direction=up == ["accuracy", "format", "safety"],
            bounds=all(0 <= one <= 1 for one in totals),
        ),
    )


def _total(reward_of: Callable[..., Reward], weights: dict[str, float], grade: Grade) -> float:
    return reward_of(Weights(**weights), 0.05, grade, [CALL], EMPTY, EndReason.SUBMITTED).total


def _random(rng: random.Random) -> Grade:
    some = [Violation(rule="rule", severity=rng.randint(1, 5)) for _ in range(rng.randint(0, 2))]
    return Grade(
        accuracy=rng.random(),
        process=rng.random(),
        safety=rng.random(),
        coherence=rng.choice((None, rng.random())),
        violations=tuple(some),
    )


def safety_is_of_actions(game: Game) -> Found:
    """HG16: a drug of an allergy's class that is named, refused in words, or given; and an answer of nothing."""
    env = playing(game, TRIAGE)
    made = list(release_tasks(listed, TRIAGE))
    labelled = next(one for one in made if _allergy(one.task.context) == "penicillin")
    patient = labelled.task.context["world"]["patients"][0]["patient_id"]
    actions = solved(env, labelled).actions
    gift = f'give_now(patient_id="{patient}", drug="amoxicillin", dose_mg=500)'
    words = "Do not give amoxicillin: the patient is allergic to it.\n"
    named = _earned(env, labelled, [words + actions[0], *actions[1:]])
    given = _earned(env, labelled, [gift, *actions])
    urgent = [one for one in made if one.label.truth["answer"]["emergency"]]
    empty = max(_earned(env, one, [""]) for one in urgent)
    return Found(
        f"`do not give amoxicillin` earns {named:.2f}, giving it {given:.2f}; an empty answer at most {empty:.2f} in "
        f"{len(urgent)} emergencies",
        demands(words_are_no_actions=named == 1.0, an_action_is_one=given <= 0.1, empty_earns_little=empty <= 0.2),
    )


def _allergy(context: dict[str, Any]) -> str:
    found = context["world"]["patients"][0].get("allergies") or [{}]
    return str(found[0].get("drug_class", ""))


def _earned(env: Clinic, labelled: LabelledTask, replies: list[str]) -> float:
    rest = iter(replies)
    episode = play(env, labelled.task, lambda _: next(rest, replies[-1]))
    return env.score(episode, labelled.label).total


def caps(reward_of: Callable[..., Reward]) -> Found:
    """HG17."""
    perfect = Grade(accuracy=1, process=1, safety=1)
    totals = {
        severity: _total(
            reward_of,
            dict.fromkeys(PARTS, 0.2),
            msgspec.structs.replace(perfect, violations=(Violation(rule="rule", severity=severity),)),
        )
        for severity in range(1, 6)
    }
    shown = ", ".join(f"{severity}: {total:.1f}" for severity, total in totals.items())
    return Found(
        f"a perfect episode with one violation earns, by its severity, {shown}",
        demands(
            severity_5_leaves_a_tenth=totals[5] == 0.1,
            severity_4_leaves_four_tenths=totals[4] == 0.4,
            others_cap_nothing=totals[1] == totals[3] == 1.0,
        ),
    )


def nothing_released_is_trained_on(listed: Rows, game: Game, tasks_a_domain: int) -> Found:
    """HG45."""
    released = {signature(one.task.context) for one in release_tasks(listed)}
    trained, heldout = set[str](), set[str]()
    splits = set[str]()
    for name in RELEASED:
        env = playing(game, name)
        trained |= {signature(one.task.context) for one in planned(env, env.plan, tasks_a_domain)}
        heldout |= {signature(one.task.context) for one in planned(env, env.heldout_plan, tasks_a_domain // 3)}
        splits |= _splits(env, tasks_a_domain)
    both = len(trained & (released | heldout))
    return Found(
        f"{len(trained)} trained, {len(heldout)} held out, {len(released)} released: {both} in two of them; the "
        f"parameters of trained ones are of the split {', '.join(sorted(splits))}",
        demands(disjoint=both == 0 and not heldout & released, by_parameters=splits == {TRAIN}),
    )


def _splits(env: Clinic, count: int) -> set[str]:
    """The splits of the parameters of training slots."""
    slots = [env.plan(index) for index in range(0, count, 2)]
    return {split_of(drawn(*split_kit(slot.kind), slot.seed)) for slot in slots}


REWARD = "tests/envs/clinic/test_reward.py"
BIOAGENT = "tests/envs/adapters/test_bioagent.py"
ROWS = (
    Row(
        "HG12",
        "`BioAgent-v0` for Gymnasium: check_env passes, an answer terminates",
        (f"{BIOAGENT}::test_gymnasium_s_own_check_finds_nothing",),
        gymnasium_env,
        Control("as in the source, an answer does not terminate the episode", corrupted.endless),
    ),
    Row(
        "HG13",
        "actions are calls in Python or JSON; a call that its schema refuses is never credited",
        ("tests/envs/contract/test_calls.py", f"{REWARD}::test_a_refused_call_is_badly_formed"),
        calls,
        Control("arguments that a schema does not name are dropped", corrupted.lenient),
    ),
    Row(
        "HG14",
        "five parts of the reward, by weights of the spec, from 0 to 1",
        (
            f"{REWARD}::test_a_weight_of_the_spec_is_honoured",
            f"{REWARD}::test_every_reward_is_between_0_and_1_and_below_its_cap",
        ),
        weights_are_used,
        Control("as in the source, the weights are not used", corrupted.ignores_weights),
    ),
    Row(
        "HG16",
        "safety is read from actions, not from words; an empty answer to an emergency earns .2 at most",
        (
            "tests/envs/clinic/test_environment.py::test_missing_an_emergency_is_capped_at_a_tenth",
            "tests/envs/clinic/diagnosis/test_safety.py",
        ),
        safety_is_of_actions,
        Control("as in the source, a drug that is named counts as given", corrupted.wordy),
    ),
    Row(
        "HG17",
        "a violation of severity 5 caps the reward at .1",
        (f"{REWARD}::test_a_severe_violation_caps_the_whole_and_no_violation_is_solved",),
        caps,
        Control("violations cost their part alone", corrupted.uncapped),
    ),
    Row(
        "HG45",
        "nothing that is released or held out is trained on, by the hash of the generator's parameters",
        ("tests/evals/suites/clinic/test_clinic.py::test_no_case_is_one_that_a_run_trains_on",),
        nothing_released_is_trained_on,
        Control("training draws from all parameters", corrupted.leaky),
    ),
)
