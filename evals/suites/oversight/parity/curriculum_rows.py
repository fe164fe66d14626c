"""SA22 and SA23: which tiers are played when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from common.statistics import Interval
from envs.oversight import curriculum
from envs.oversight.curriculum import Schedule
from envs.oversight.environment import Oversight
from envs.oversight.spec import OversightSettings
from evals.core.parity import Control, Found, Row, demands
from evals.suites.oversight.parity.parts import PLAYED, Parts

TASKS = 1000
STARTS = (0, 600, 850, 1000)
SLOTS = 200
"""Of a plan before and after a change."""
Adapt = Callable[[Oversight, int, Mapping[str, Interval]], bool]


def phases_change_the_mix(phases: Callable[[Sequence[str], int], Schedule]) -> Found:
    """SA22, over the slots of a run, whose tiers are those of the tasks' `kind`."""
    schedule = phases(PLAYED, TASKS)
    settings = OversightSettings.model_validate({"curriculum": {"mode": "phases", "tasks": TASKS}})
    kinds = [Oversight(settings, 0).plan(slot).kind for slot in range(TASKS)]
    tiers = [schedule.tier(0, slot) for slot in range(TASKS)]
    mixes = [Counter(tiers[start:end]) for start, end in pairwise(STARTS)]
    return Found(
        "; ".join("/".join(f"{mix[tier] / mix.total():.2f}" for tier in PLAYED) for mix in mixes)
        + f" of {'/'.join(PLAYED)} in the phases",
        demands(
            one_tier_then_two_then_three=[len(mix) for mix in mixes] == [1, 2, 3],
            the_game_plans_it=kinds == tiers,
        ),
    )


def mastery_brings_the_next_tier(adapt: Adapt) -> Found:
    """SA23: skill at the threshold and above it; and the plan of a process that reads the journal."""
    with TemporaryDirectory() as folder:
        env, other = _adaptive(Path(folder)), _adaptive(Path(folder))
        before = _tiers(env, 0)
        at_it = adapt(env, SLOTS, _skill(0.7))
        unchanged = _tiers(env, SLOTS + 2)
        above = adapt(env, SLOTS, _skill(0.71))
        kept, after, replayed = _tiers(env, 0), _tiers(env, SLOTS + 2), _tiers(other, SLOTS + 2)
    return Found(
        f"skill .70: {_mix(unchanged)}; .71: {_mix(after)}; "
        f"{sum(map(str.__eq__, after, replayed))} of {SLOTS} slots the same for another reader of the journal",
        demands(
            not_at_the_threshold=not at_it and set(unchanged) == {"easy"},
            above_it_a_tier_joins=above and set(after) == {"easy", "medium"},
            slots_that_were_planned_stay=kept == before,
            the_journal_replays=after == replayed,
        ),
    )


def _adaptive(folder: Path) -> Oversight:
    settings = {"curriculum": {"mode": "adaptive", "journal": folder / "changes.jsonl"}}
    return Oversight(OversightSettings.model_validate(settings), 0)


def _skill(value: float) -> dict[str, Interval]:
    return {"skill_easy": Interval(value=value, lower=value, upper=value, of=8)}


def _tiers(env: Oversight, since: int) -> list[str]:
    return [env.plan(slot).kind for slot in range(since, since + SLOTS)]


def _mix(tiers: Sequence[str]) -> str:
    return ", ".join(f"{tier} {count}" for tier, count in sorted(Counter(tiers).items()))


def _constant(parts: Parts) -> Parts:
    return parts._replace(phases=lambda tiers, count: curriculum.constant(tiers))


def _only_says_so(parts: Parts) -> Parts:
    """As in the source, where a level is raised and nothing becomes harder."""

    def adapt(env: Oversight, slot: int, measures: Mapping[str, Interval]) -> bool:
        skill = measures["skill_easy"].value
        return skill is not None and skill > env.settings.curriculum.threshold

    return parts._replace(adapt=adapt)


TESTS = "tests/envs/oversight/test_curriculum.py"
ROWS = (
    Row(
        "SA22",
        "a curriculum of three phases that changes the mix of tiers, logged with each task",
        (f"{TESTS}::test_phases_change_the_mix_of_tiers_at_sixty_and_eighty_five_percent",),
        phases_change_the_mix,
        Control("as in the source, all tiers are played alike", _constant),
    ),
    Row(
        "SA23",
        "skill above .7 makes the next tier join",
        (
            f"{TESTS}::test_a_tier_joins_when_the_hardest_one_so_far_is_mastered",
            f"{TESTS}::test_another_process_plans_the_same_from_the_journal",
        ),
        mastery_brings_the_next_tier,
        Control("as in the source, the level is raised and no task changes", _only_says_so),
    ),
)
