from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from common.statistics import Interval
from envs.contract.adaptive import Adaptive
from envs.oversight import curriculum
from envs.oversight.curriculum import Change, mixed, next_change, phases
from envs.oversight.environment import Oversight
from envs.oversight.spec import CurriculumSpec, OversightSettings

TIERS = ("easy", "medium", "hard")


def mix(env: Oversight, first: int, last: int) -> Counter[str]:
    return Counter(env.plan(index).kind for index in range(first, last, 2))


def skills(**by_tier: float) -> dict[str, Interval]:
    """Held-out measures as the report gives them."""
    unknown = {"skill": Interval(value=None, lower=None, upper=None, of=0)}
    return {
        **unknown,
        **{f"skill_{tier}": Interval(value=value, lower=0, upper=1, of=9) for tier, value in by_tier.items()},
    }


def test_phases_change_the_mix_of_tiers_at_sixty_and_eighty_five_percent() -> None:
    env = Oversight(OversightSettings(curriculum=CurriculumSpec(mode="phases", tasks=2000)), 0)
    assert set(mix(env, 0, 1200)) == {"easy"}
    second, third = mix(env, 1200, 1700), mix(env, 1700, 2000)
    assert set(second) == {"easy", "medium"} and 0.4 < second["easy"] / second.total() < 0.6
    assert set(third) == set(TIERS) and 0.1 < third["easy"] / third.total() < 0.3
    assert set(mix(env, 2000, 2200)) == set(TIERS)


def test_a_plan_does_not_depend_on_the_order_in_which_it_is_asked() -> None:
    settings = OversightSettings(curriculum=CurriculumSpec(mode="phases", tasks=100))
    one, two = Oversight(settings, 3), Oversight(settings, 3)
    forwards = [one.plan(index) for index in range(100)]
    assert [two.plan(index) for index in reversed(range(100))] == forwards[::-1]


def test_a_tier_joins_when_the_hardest_one_so_far_is_mastered(tmp_path: Path) -> None:
    chosen = CurriculumSpec(mode="adaptive", journal=tmp_path / "curriculum.jsonl")
    env = Oversight(OversightSettings(curriculum=chosen), 0)
    before = [env.plan(index) for index in range(64)]
    assert {slot.kind for slot in before} == {"easy"}
    assert isinstance(env, Adaptive) and not env.adapt(40, skills(easy=0.7))
    assert env.adapt(63, skills(easy=0.71)) and not env.adapt(70, skills(easy=0.9, medium=0.2))
    assert [env.plan(index) for index in range(64)] == before
    assert set(mix(env, 64, 264)) == {"easy", "medium"}
    assert env.adapt(299, skills(easy=0.9, medium=0.8)) and not env.adapt(999, skills(hard=1.0))
    assert set(mix(env, 300, 600)) == set(TIERS)


def test_another_process_plans_the_same_from_the_journal(tmp_path: Path) -> None:
    chosen = CurriculumSpec(mode="adaptive", journal=tmp_path / "curriculum.jsonl")
    env = Oversight(OversightSettings(curriculum=chosen), 0)
    env.adapt(20, skills(easy=0.9))
    again = Oversight(OversightSettings(curriculum=chosen), 0)
    assert [again.plan(index) for index in range(80)] == [env.plan(index) for index in range(80)]
    assert again.schedule.changes[-1] == Change(since=22, weights={"easy": 0.5, "medium": 0.5}, skills={"easy": 0.9})


def test_a_change_never_begins_at_a_slot_that_was_given_out() -> None:
    schedule = curriculum.first(TIERS)
    for slot in range(10):
        change = next_change(schedule, TIERS, slot, {"easy": 1.0}, 0.7)
        assert change is not None and change.since > slot and change.since % 2 == 0
    later = curriculum.Schedule(changes=(*schedule.changes, Change(since=50, weights=mixed(TIERS[:2]))))
    with pytest.raises(ValueError, match="slot 40 was planned before: the newest change is since 50"):
        next_change(later, TIERS, 40, {"medium": 1.0}, 0.7)


def test_a_torn_line_of_the_journal_is_no_change(tmp_path: Path) -> None:
    journal = tmp_path / "curriculum.jsonl"
    curriculum.append(journal, Change(since=10, weights={"easy": 1.0}))
    with journal.open("ab") as file:
        file.write(b'{"since": 20, "wei')
    assert curriculum.read(journal, TIERS).changes[-1].since == 10
    curriculum.append(journal, Change(since=30, weights={"easy": 1.0}))
    assert [change.since for change in curriculum.read(journal, TIERS).changes] == [0, 10, 30]


def test_one_and_two_tiers_have_phases_too() -> None:
    assert [change.weights for change in phases(("duo",), 100).changes] == [{"duo": 1.0}] * 3
    assert [change.weights for change in phases(("duo", "easy"), 100).changes] == [
        {"duo": 1.0},
        {"duo": 0.5, "easy": 0.5},
        {"duo": 0.5, "easy": 0.5},
    ]


@pytest.mark.parametrize(("mode", "said"), [("phases", "set tasks to batch_groups"), ("adaptive", "set journal")])
def test_a_mode_without_what_it_needs_is_refused(mode: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        CurriculumSpec.model_validate({"mode": mode})
