from __future__ import annotations

from deploy.report.episode_choice import Episode, by_task, early_and_late


def episode(step: int, vignette: str, kind: str = "error", env: str = "verdict") -> Episode:
    return [{"step": step, "task_id": f"{vignette}-{step}", "vignette": vignette, "kind": kind, "env": env}]


def test_a_pair_is_a_vignettes_first_and_last_episode_and_the_widest_come_first() -> None:
    run = [
        episode(step, vignette)
        for step, vignette in (
            (1, "a"),
            (2, "b"),
            (2, "d"),
            (3, "once"),
            (4, "c"),
            (5, "c"),
            (6, "a"),
            (7, "d"),
            (9, "b"),
        )
    ]
    pairs = [(early[0]["task_id"], late[0]["task_id"]) for early, late in early_and_late(run, 2)]
    assert pairs == [("b-2", "b-9"), ("a-1", "a-6")]


def test_twins_in_two_steps_that_follow_each_other_are_not_early_and_late() -> None:
    run = [episode(1, "a"), episode(2, "a"), episode(4, "b"), episode(6, "b")]
    assert early_and_late(run, 9) == []


def test_a_pair_is_of_one_kind_and_game_and_every_kind_has_one_before_another_has_two() -> None:
    run = [episode(1, "a"), episode(2, "a", "clean"), episode(2, "x", env="other"), episode(2, "b", "clean")]
    run += [episode(3, "c"), episode(8, "x", env="other"), episode(9, "a"), episode(9, "b", "clean"), episode(10, "c")]
    kinds = [(early[0]["env"], early[0]["kind"]) for early, _ in early_and_late(run, 9)]
    assert kinds == [("verdict", "error"), ("other", "error"), ("verdict", "clean"), ("verdict", "error")]


def test_a_vignette_that_came_twice_in_one_step_is_no_pair() -> None:
    assert early_and_late([episode(1, "a"), episode(1, "a")], 4) == []


def test_of_many_versions_the_first_and_the_last_are_kept_and_what_lies_evenly_between() -> None:
    rows = [{"task_id": name, "step": version} for version in range(0, 40, 4) for name in ("one", "two")]
    one, two = by_task(rows, 4)
    assert [row["step"] for row in one] == [0, 12, 24, 36] == [row["step"] for row in two]
    assert by_task(rows[:2], 4) == [rows[:1], rows[1:2]]
